// h2load: HTTP/2 for some time, or HTTP/1.1 with a new TLS connection for each request. Its command lines and its reports.
import { percentile } from '../report/statistics.ts';
import { describeErrors, type LoadResult } from './result.ts';

export interface H2Options {
  readonly port: number;
  readonly path: string;
  readonly connections: number;
  readonly seconds: number;
  /** Takes a line for each request. */
  readonly logFile: string;
}

/** Requests under way on each connection at a time. */
const STREAMS = 8;

export function h2Command({ port, path, connections, seconds, logFile }: H2Options): readonly string[] {
  const load = ['-t', '1', '-c', String(connections), '-m', String(STREAMS), '-D', `${Math.round(seconds * 1_000)}ms`];
  return ['h2load', ...load, `--log-file=${logFile}`, ...target(port, path)];
}

/** `connections` at once, each for one request. */
export function handshakesCommand(port: number, path: string, connections: number): readonly string[] {
  return ['h2load', '--h1', '-t', '1', '-c', String(connections), '-n', String(connections), ...target(port, path)];
}

/** The name is what certificate and SNI are for; it need not resolve. */
function target(port: number, path: string): readonly string[] {
  return [`--connect-to=127.0.0.1:${port}`, `https://localhost:${port}${path}`];
}

/** Of h2load's standard output. Throws when it is not what h2load writes, or another protocol than `protocol` was spoken. */
export function parseH2load(stdout: string, protocol: 'h2' | 'http/1.1'): LoadResult {
  const spoken = /^Application protocol: (\S+)$/m.exec(stdout)?.[1];
  if (spoken !== protocol) throw new Error(`h2load spoke ${spoken ?? 'nothing'} instead of ${protocol}`);
  // In a run of fixed duration that is what the rate is taken over, not the time until all connections were closed.
  const rate = /^finished in \S+, ([\d.]+) req\/s,/m.exec(stdout)?.[1];
  const requests = new Map(
    [...(/^requests: (.*)$/m.exec(stdout)?.[1] ?? '').matchAll(/(\d+) (\w+)/g)].map(([, n, name]) => [name, Number(n)]),
  );
  const bytes = /^traffic: \S+ \((\d+)\) total/m.exec(stdout)?.[1];
  const statuses = /^status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx$/m.exec(stdout);
  const done = requests.get('done');
  if (rate === undefined || bytes === undefined || !statuses || done === undefined)
    throw new Error('h2load wrote no report');
  const errors = describeErrors({
    failed: requests.get('failed') ?? 0,
    'timed out': requests.get('timeout') ?? 0,
    'answers that are not 2xx': statuses.slice(2).reduce((sum, count) => sum + Number(count), 0),
  });
  return {
    requests: done,
    seconds: done === 0 ? 0 : done / Number(rate),
    bytes: Number(bytes),
    ...(errors !== undefined && { errors }),
  };
}

/** Of the file of `--log-file`: when a request began, its status, and how many microseconds it took, by tabs. */
export function parseLatencies(log: string): { readonly p50Us: number; readonly p99Us: number } {
  const taken = log
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => Number(line.split('\t')[2]));
  return { p50Us: percentile(taken, 0.5), p99Us: percentile(taken, 0.99) };
}

/** Runs one after the other, as one. */
export function sum(results: readonly LoadResult[]): LoadResult {
  const errors = results.flatMap((result) => result.errors ?? []).join('; ');
  return {
    requests: results.reduce((total, result) => total + result.requests, 0),
    seconds: results.reduce((total, result) => total + result.seconds, 0),
    bytes: results.reduce((total, result) => total + result.bytes, 0),
    ...(errors !== '' && { errors }),
  };
}
