// Certificates for tests, of an authority that is made once for each process, and what is wrong with the others.
import { KeyObject, webcrypto } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import * as x509 from '@peculiar/x509';
import { createAuthority, type Issued, issue, type Subject, type Validity } from '../../cli/certs/authority.ts';
import type { TlsFiles, TlsMaterial } from '../../infra/runtime/tls-files.ts';

const DAY_MS = 24 * 3_600_000;

export const aroundNow = (now = Date.now()): Validity => ({ from: now - DAY_MS, to: now + 30 * DAY_MS });
export const past = (now = Date.now()): Validity => ({ from: now - 2 * DAY_MS, to: now - DAY_MS });
export const future = (now = Date.now()): Validity => ({ from: now + DAY_MS, to: now + 2 * DAY_MS });

let authority: Promise<Issued> | undefined;

/** The one that everybody trusts. */
export function theAuthority(): Promise<Issued> {
  authority ??= createAuthority('test authority', { ...aroundNow(), to: Date.now() + 3650 * DAY_MS });
  return authority;
}

export const server = (...names: Subject['names'][number][]): Subject => ({
  commonName: 'control plane',
  use: 'server',
  names: names.length > 0 ? names : [{ type: 'ip', value: '127.0.0.1' }],
});

/** `uri`: such as `meridian://edge/london`; several make a certificate that nobody should accept. */
export const client = (...uris: string[]): Subject => ({
  commonName: 'client',
  use: 'client',
  names: uris.map((value) => ({ type: 'url', value }) as const),
});

export interface MakeOptions {
  readonly validity?: Validity;
  /** The authority that signs; the one that everybody trusts, where not given. */
  readonly by?: Issued;
  /** Authorities that the holder trusts, where not that one. */
  readonly trusts?: readonly Issued[];
}

/** As a client or a server loads it. */
export async function materialOf(subject: Subject | undefined, options: MakeOptions = {}): Promise<TlsMaterial> {
  const trusted = await theAuthority();
  const ca = Buffer.from((options.trusts ?? [trusted]).map(({ cert }) => cert).join(''));
  const base = { ca, subjectAltName: undefined, warnings: [] };
  if (!subject) return base;
  const { by = trusted, validity = aroundNow() } = options;
  const { cert, key } = await issue(by, subject, validity);
  return { ...base, pair: { cert: Buffer.from(cert), key: Buffer.from(key) } };
}

/** The same, as files in `folder`. */
export async function filesIn(
  folder: string,
  subject: Subject,
  options: MakeOptions = {},
): Promise<TlsFiles & { readonly pair: { readonly cert: string; readonly key: string } }> {
  const material = await materialOf(subject, options);
  const files = {
    ca: path.join(folder, 'ca.crt'),
    pair: { cert: path.join(folder, 'tls.crt'), key: path.join(folder, 'tls.key') },
  };
  writeFileSync(files.ca, material.ca);
  writeFileSync(files.pair.key, material.pair?.key ?? '', { mode: 0o600 });
  writeFileSync(files.pair.cert, material.pair?.cert ?? '');
  return files;
}

/** A client's certificate that nobody but its holder vouches for. */
export async function selfSigned(uri: string): Promise<TlsMaterial> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const { from, to } = aroundNow();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      name: 'CN=myself',
      notBefore: new Date(from),
      notAfter: new Date(to),
      signingAlgorithm: algorithm,
      keys,
      extensions: [
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth]),
        new x509.SubjectAlternativeNameExtension([{ type: 'url', value: uri }]),
      ],
    },
    webcrypto,
  );
  const key = KeyObject.from(keys.privateKey).export({ type: 'pkcs8', format: 'pem' });
  const pair = { cert: Buffer.from(certificate.toString('pem')), key: Buffer.from(key) };
  return { ...(await materialOf(undefined)), pair };
}
