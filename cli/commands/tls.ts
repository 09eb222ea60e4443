// Options that say with which certificates a process talks to the control plane, or the control plane to others.
import { loadTls, TlsFileError, type TlsFiles, type TlsMaterial } from '../../infra/runtime/tls-files.ts';
import { type Arguments, Failure, type Option, UsageError } from './command.ts';

/** Of the processes. `prefix`: of the environment variables, such as MERIDIAN_; `peer`: who is at the other end. */
export function tlsOptions(prefix: string, peer: string, own: string) {
  return {
    ca: {
      type: 'string',
      value: 'FILE',
      env: `${prefix}CA`,
      doc: `Certificates (PEM) of the authorities that ${peer} must have theirs from.`,
    },
    cert: {
      type: 'string',
      value: 'FILE',
      env: `${prefix}CERT`,
      doc: `${own} (PEM, the chain, leaf first). Needs --key and --ca.`,
    },
    key: { type: 'string', value: 'FILE', env: `${prefix}KEY`, doc: 'Its private key (PEM).' },
  } as const satisfies Record<string, Option>;
}

/** Undefined: none of the options is given. Throws UsageError when some are missing. */
export function tlsFiles(args: Arguments): TlsFiles | undefined {
  const [ca, cert, key] = ['ca', 'cert', 'key'].map((name) => args.text(name));
  if (ca === undefined && cert === undefined && key === undefined) return undefined;
  if ((cert === undefined) !== (key === undefined)) {
    const [present, absent] = cert === undefined ? ['key', 'cert'] : ['cert', 'key'];
    throw new UsageError(`${args.label(present)} needs --${absent}`);
  }
  if (ca === undefined) throw new UsageError(`${args.label('cert')} needs --ca: whom to trust at the other end`);
  return { ca, ...(cert !== undefined && key !== undefined && { pair: { cert, key } }) };
}

/** As {@link tlsFiles}, with a certificate of its own. */
export function tlsFilesWithPair(args: Arguments): (TlsFiles & { readonly pair: object }) | undefined {
  const files = tlsFiles(args);
  if (!files) return undefined;
  const { ca, pair } = files;
  if (!pair) throw new UsageError(`${args.label('ca')} needs --cert and --key`);
  return { ca, pair };
}

/** Throws Failure when a file cannot be used. */
export async function readTls(files: TlsFiles | undefined, now: number): Promise<TlsMaterial | undefined> {
  try {
    return files && (await loadTls(files, now));
  } catch (error) {
    if (error instanceof TlsFileError) throw new Failure(error.message, { cause: error });
    throw error;
  }
}
