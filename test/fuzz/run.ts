// The fuzzing run: a real edge process, fed with octets until so many were sent; it may neither crash, nor answer wrongly, nor
// keep what it should have let go.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { seededRandom } from '../../infra/runtime/random.ts';
import { startMeridian } from '../support/command.ts';
import { until } from '../support/until.ts';
import { attempt } from './connection.ts';
import { Octets, type Plan } from './octets.ts';

export interface FuzzOptions {
  readonly bytes: number;
  readonly seed: number;
  /** Connections at once. */
  readonly connections: number;
  /** Told about once a second. */
  onProgress(report: FuzzReport): void;
}

export interface FuzzReport {
  readonly bytes: number;
  readonly connections: number;
  /** Resident memory of the edge, MiB; NaN where the system does not say. */
  readonly memory: number;
}

const PROBE = 'all is well';
const MIB = 1 << 20;
/** What memory may grow by from the middle of a run to its end, MiB: what a heap swings by. */
const GROWTH_MIB = 64;

/** Rejects with what went wrong, and where the octets that did it were written. */
export async function fuzz(options: FuzzOptions): Promise<FuzzReport> {
  const directory = mkdtempSync(path.join(tmpdir(), 'meridian-fuzz-'));
  const origin = http.createServer(serve);
  await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', resolve));
  const edge = startEdge(directory, (origin.address() as AddressInfo).port);
  try {
    const port = await edge.port();
    await probe(port);
    return await run(port, edge, options, () => origin.closeAllConnections());
  } finally {
    await edge.stop();
    origin.closeAllConnections();
    origin.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** `letGo`: closes the connections to the origin. */
async function run(port: number, edge: EdgeProcess, options: FuzzOptions, letGo: () => void): Promise<FuzzReport> {
  const octets = new Octets(seededRandom(options.seed));
  const idle = edge.descriptors();
  let bytes = 0;
  let connections = 0;
  let middle = Number.NaN;
  let reportedAt = performance.now();
  const report = (): FuzzReport => ({ bytes, connections, memory: edge.memory() });

  const client = async (): Promise<void> => {
    while (bytes < options.bytes) {
      const plan = octets.next();
      bytes += plan.bytes;
      connections += 1;
      const fault = edge.exited() ?? (await attempt(port, plan)) ?? edge.exited();
      if (fault !== undefined) throw new Error(`${fault}; the connection's octets are in ${keep(plan)}`);
      if (Number.isNaN(middle) && bytes > options.bytes / 2) middle = edge.memory();
      if (performance.now() - reportedAt < 1_000) continue;
      reportedAt = performance.now();
      await probe(port);
      options.onProgress(report());
    }
  };
  await Promise.all(Array.from({ length: options.connections }, client));

  await probe(port);
  letGo();
  await until('the edge lets go of all connections', () => edge.descriptors() <= idle + 8, 30_000);
  const last = report();
  if (last.memory > middle + GROWTH_MIB) {
    throw new Error(`memory grew from ${middle} MiB in the middle of the run to ${last.memory} MiB at its end`);
  }
  return last;
}

interface EdgeProcess {
  port(): Promise<number>;
  /** Why it is gone, if it is. */
  exited(): string | undefined;
  memory(): number;
  /** Open file descriptors; 0 where the system does not say. */
  descriptors(): number;
  stop(): Promise<void>;
}

function startEdge(directory: string, originPort: number): EdgeProcess {
  const snapshot = path.join(directory, 'snapshot.yaml');
  writeFileSync(snapshot, configuration(originPort));
  const { child, output } = startMeridian(
    ...['edge', '--name', 'fuzz', '--snapshot', snapshot, '--data', path.join(directory, 'data')],
    ...['--listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0', '--cache-bytes', '64MiB'],
  );
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const listening = (): string | undefined => /"port":(\d+)/.exec(output())?.[1];
  const exited = (): string | undefined =>
    child.exitCode === null && child.signalCode === null
      ? undefined
      : `the edge ended (${child.exitCode ?? child.signalCode}): ${output().slice(-2_000)}`;
  return {
    exited,
    async port() {
      await until('the edge listens', () => listening() !== undefined || exited() !== undefined, 30_000);
      const port = listening();
      if (port === undefined) throw new Error(exited());
      return Number(port);
    },
    memory() {
      const resident = /^VmRSS:\s+(\d+) kB$/m.exec(read(`/proc/${child.pid}/status`))?.[1];
      return resident === undefined ? Number.NaN : Math.round((Number(resident) * 1024) / MIB);
    },
    descriptors() {
      try {
        return readdirSync(`/proc/${child.pid}/fd`).length;
      } catch {
        return 0;
      }
    },
    async stop() {
      child.kill('SIGTERM');
      await gone;
    },
  };
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** The hostnames are those that the generated requests ask for most. */
const configuration = (originPort: number): string => `
sites:
  fuzz:
    hostnames: [localhost, 127.0.0.1, a.example, b.example]
    routes:
      - { path: /, pool: origin }
pools:
  origin:
    origins:
      local: { address: "http://127.0.0.1:${originPort}", location: { latitude: 0, longitude: 0 } }
    healthCheck: { path: /healthz, interval: 1h }
edges:
  fuzz: { location: { latitude: 0, longitude: 0 } }
`;

/** The origin: takes any body, and answers what may be stored. */
function serve(req: http.IncomingMessage, res: http.ServerResponse): void {
  req.on('error', () => undefined);
  req.resume();
  req.on('end', () => res.setHeader('cache-control', 'max-age=60').end(req.url === '/probe' ? PROBE : 'x'.repeat(500)));
}

async function probe(port: number): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${port}/probe`, { signal: AbortSignal.timeout(10_000) });
  const body = await response.text();
  if (response.status !== 200 || body !== PROBE) throw new Error(`a usual request got ${response.status}: ${body}`);
}

function keep({ pieces, ending }: Plan): string {
  const file = path.join(tmpdir(), `meridian-fuzz-${process.pid}-${ending}.bin`);
  writeFileSync(file, Buffer.concat(pieces));
  return file;
}
