// Starts the local stack in order: store, control plane, configuration, then edges and origins together; and says when the
// whole of it is well.
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { sleep } from '../../infra/runtime/clock.ts';
import type { StatusResponse } from '../../proto/gen/meridian/v1/admin.ts';
import { HealthStatus } from '../../proto/gen/meridian/v1/health.ts';
import { clientHolder, controlPlaneHolder, edgeHolder, LOCAL_HOSTS } from '../certs/holders.ts';
import { command as applyCommand } from '../commands/apply.ts';
import { parseArguments } from '../commands/arguments.ts';
import { CLIENT_OPTIONS, withAdmin } from '../commands/client.ts';
import { Failure, type Io } from '../commands/command.ts';
import type { ChildSpec } from './child.ts';
import { localConfiguration } from './config.ts';
import { etcdArguments, etcdEndpoint } from './etcd.ts';
import { HOST, type Layout } from './layout.ts';
import type { Supervisor } from './supervisor.ts';

export interface StackOptions {
  readonly layout: Layout;
  /** Holds everything that the stack writes. */
  readonly directory: string;
  /** Certificates at both ends of every connection to the control plane. */
  readonly tls: boolean;
  /** Of the requests, the share that edges log, as `meridian edge` reads it. */
  readonly accessLogSample: string;
  readonly store: { readonly kind: 'embedded' | 'own-etcd' } | { readonly kind: 'etcd'; readonly endpoint: string };
}

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));
/** Everything that `--fresh` removes: what a stack writes, and nothing else that may lie in the directory. */
const WRITTEN = ['certs', 'control-plane', 'edges', 'etcd', 'logs', 'local.yaml'];
const HEALTHY_MS = 10_000;
const POLL_MS = 50;

export function wipe(directory: string): void {
  for (const name of WRITTEN) rmSync(path.join(directory, name), { recursive: true, force: true });
}

export function logFolder(directory: string): string {
  return path.join(directory, 'logs');
}

export type StartResult =
  | { readonly kind: 'well' }
  /** It runs, but not all of it was healthy in time. */
  | { readonly kind: 'unwell'; readonly detail: string };

/** Rejects with StartFailure when a process cannot start, and with Failure when the configuration cannot be applied. */
export async function startStack(options: StackOptions, supervisor: Supervisor, io: Io): Promise<StartResult> {
  const { layout, directory, store } = options;
  const { control } = layout;
  const child = (name: string, args: readonly string[]): ChildSpec => ({
    name,
    args,
    logFile: path.join(logFolder(directory), `${name}.log`),
  });
  const meridian = (name: string, ...args: string[]): ChildSpec => child(name, [MAIN, ...args]);
  const folder = (...names: string[]): string => {
    const full = path.join(directory, ...names);
    mkdirSync(full, { recursive: true });
    return full;
  };

  if (options.tls) await makeCertificates(options, io);
  if (store.kind === 'own-etcd') await supervisor.start([child('etcd', etcdArguments(layout, folder('etcd')))]);
  const etcd = store.kind === 'etcd' ? store.endpoint : etcdEndpoint(layout);
  await supervisor.start([
    meridian(
      'control-plane',
      ...['control-plane', '--listen', `${HOST}:${control.edgePort}`],
      ...['--admin-listen', adminAddress(layout), '--http-listen', `${HOST}:${control.httpPort}`],
      ...tlsFlags(options, 'control-plane'),
      ...(store.kind === 'embedded'
        ? ['--store', 'embedded', '--data', folder('control-plane')]
        : ['--store', 'etcd', '--etcd', etcd]),
    ),
  ]);
  await applyConfiguration(options, io);
  await supervisor.start([
    ...layout.origins.map(({ name, city, port }) =>
      meridian(name, 'demo-origin', '--name', name, '--city', city, '--listen', `${HOST}:${port}`),
    ),
    ...layout.edges.map(({ name, port, adminPort }) =>
      meridian(
        name,
        ...['edge', '--name', name, '--listen', `${HOST}:${port}`, '--admin-listen', `${HOST}:${adminPort}`],
        ...['--control', `${HOST}:${control.edgePort}`, '--data', folder('edges', name)],
        // A demonstration: several edges on one machine.
        ...['--threads', '1', '--access-log-sample', options.accessLogSample],
        ...tlsFlags(options, `edge-${name}`),
      ),
    ),
  ]);
  return untilWell(options, io);
}

/** What a holder of certificates is started with; nothing without TLS. */
export function tlsFlags({ tls, directory }: StackOptions, holder: string): string[] {
  const file = (name: string): string => path.join(directory, 'certs', holder, name);
  return tls ? ['--ca', file('ca.crt'), '--cert', file('tls.crt'), '--key', file('tls.key')] : [];
}

/** Of whoever administers the local stack. */
export const ADMINISTRATOR = 'client-admin';

async function makeCertificates({ layout, directory }: StackOptions, io: Io): Promise<void> {
  const folder = await import('../certs/folder.ts');
  const wanted = [
    controlPlaneHolder(LOCAL_HOSTS, false),
    ...layout.edges.map(({ name }) => edgeHolder(name, false)),
    clientHolder('admin', 'administer', false),
  ];
  const options = { now: io.clock.now(), days: 365, force: false };
  try {
    await folder.makeCertificates(path.join(directory, 'certs'), wanted, options);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw new Failure(`${error.message} (meridian certs --dir ${path.join(directory, 'certs')}, or --fresh)`, {
      cause: error,
    });
  }
}

/**
 * Applies the layout's configuration where the store has none yet, or the one of another layout. What an operator applied
 * since then stays.
 */
async function applyConfiguration(options: StackOptions, io: Io): Promise<void> {
  const { layout, directory } = options;
  const file = path.join(directory, 'local.yaml');
  const wanted = localConfiguration(layout);
  const snapshot = await admin(options, io, (client) => client.get({ kind: '', name: '', version: undefined }));
  const isEmpty = !snapshot.snapshot?.sites.length && !snapshot.snapshot?.edges.length;
  const former = readIfThere(file);
  if (!isEmpty && former === wanted) return;
  const next = `${file}.new`;
  writeFileSync(next, wanted);
  const args = parseArguments(applyCommand, ['-f', next, ...adminFlags(options)], {});
  await applyCommand.run(args, { ...io, env: {}, stdout: { write: () => undefined } });
  renameSync(next, file);
  if (!isEmpty) io.stderr.write(`the layout is another than before: ${file} is applied anew\n`);
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

async function untilWell(options: StackOptions, io: Io): Promise<StartResult> {
  const deadline = io.clock.monotonic() + HEALTHY_MS;
  for (;;) {
    const detail = ailment(await admin(options, io, (client) => client.status()));
    if (detail === undefined) return { kind: 'well' };
    if (io.clock.monotonic() >= deadline) return { kind: 'unwell', detail };
    await sleep(io.clock, POLL_MS);
  }
}

/** What is not well yet, in words; undefined when every edge is connected and up to date and every origin is up. */
export function ailment({ edges, origins }: StatusResponse): string | undefined {
  const absent = edges.filter((edge) => !edge.connected || !edge.applied).map((edge) => edge.name);
  if (absent.length > 0) return `not yet serving: ${absent.join(', ')}`;
  const doubtful = origins
    .filter((origin) => origin.status !== HealthStatus.UP || origin.edgesUp < edges.length)
    .map((origin) => origin.origin?.origin ?? '');
  if (doubtful.length > 0 || origins.length === 0) return `not yet healthy: ${doubtful.join(', ') || 'any origin'}`;
  return undefined;
}

function adminAddress(layout: Layout): string {
  return `${HOST}:${layout.control.adminPort}`;
}

function adminFlags(options: StackOptions): string[] {
  return ['--control-plane', adminAddress(options.layout), ...tlsFlags(options, ADMINISTRATOR)];
}

function admin<T>(options: StackOptions, io: Io, use: Parameters<typeof withAdmin<T>>[2]): Promise<T> {
  // Without the environment: a token or an address there is for another control plane.
  const args = parseArguments({ options: CLIENT_OPTIONS }, adminFlags(options), {});
  return withAdmin(args, { ...io, env: {} }, use);
}
