// wrk (HTTP/1.1): its command line, and the report that load/report.lua has it write.
import { fileURLToPath } from 'node:url';
import { describeErrors, type LoadResult } from './result.ts';

const REPORT = fileURLToPath(new URL('report.lua', import.meta.url));
const ZIPF = fileURLToPath(new URL('zipf.lua', import.meta.url));
/** A request that takes longer counts as an error. */
const TIMEOUT_S = 5;

export interface WrkOptions {
  readonly url: string;
  readonly connections: number;
  readonly seconds: number;
  readonly fields: Readonly<Record<string, string>>;
  /** Names a file of paths to ask for instead of the URL's. */
  readonly paths?: string;
}

/** To be interrupted after `seconds`: wrk itself takes whole ones only, and reports when it is. */
export function wrkCommand(options: WrkOptions): readonly string[] {
  const { url, connections, seconds, fields, paths } = options;
  const args = ['wrk', '-t', '1', '-c', String(connections), '-d', `${Math.ceil(seconds) + 10}s`, '--latency'];
  args.push('--timeout', `${TIMEOUT_S}s`, '-s', paths === undefined ? REPORT : ZIPF);
  for (const [name, value] of Object.entries(fields)) args.push('-H', `${name}: ${value}`);
  return paths === undefined ? [...args, url] : [...args, url, '--', paths];
}

const COUNTS = [
  'requests',
  'microseconds',
  'bytes',
  'p50',
  'p99',
  'connect',
  'read',
  'write',
  'timeout',
  'status',
] as const;

/** Of wrk's standard output. Throws when the report is not there or not whole. */
export function parseWrk(stdout: string): LoadResult {
  const line = /^bench (\{.*\})$/m.exec(stdout)?.[1];
  if (line === undefined) throw new Error('wrk wrote no report');
  const report: unknown = JSON.parse(line);
  const count = (name: (typeof COUNTS)[number]): number => {
    const value = typeof report === 'object' && report !== null ? Reflect.get(report, name) : undefined;
    if (typeof value !== 'number') throw new Error(`wrk's report has no number "${name}"`);
    return value;
  };
  const [requests, microseconds, bytes, p50Us, p99Us] = COUNTS.map(count);
  const errors = describeErrors({
    'failed to connect': count('connect'),
    'failed to read': count('read'),
    'failed to write': count('write'),
    'timed out': count('timeout'),
    'answers that are neither 2xx nor 3xx': count('status'),
  });
  return {
    requests: requests ?? 0,
    seconds: (microseconds ?? 0) / 1e6,
    bytes: bytes ?? 0,
    p50Us: p50Us ?? 0,
    p99Us: p99Us ?? 0,
    ...(errors !== undefined && { errors }),
  };
}
