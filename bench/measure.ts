// One measurement: a row's load on one server for some time, with what it cost the server.
import { createReadStream } from 'node:fs';
import { readFile, rm, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { seededRandom } from '../infra/runtime/random.ts';
import { check, fillMany, settled } from './check.ts';
import { type Instance, nextNumber, type Surroundings } from './instance.ts';
import { h2Command, handshakesCommand, parseH2load, parseLatencies, sum } from './load/h2load.ts';
import type { LoadResult } from './load/result.ts';
import { parseWrk, wrkCommand } from './load/wrk.ts';
import { zipf } from './load/zipf.ts';
import type { Cores } from './machine.ts';
import { cacheable, type Row } from './rows.ts';
import { cpuSeconds, memory, othersSeconds } from './usage.ts';

export interface Measurement {
  /** In the row's unit. */
  readonly value: number;
  readonly requestsPerSecond?: number;
  readonly p50Us?: number;
  readonly p99Us?: number;
  /** CPU time of the server per request, microseconds. */
  readonly cpuUs?: number;
  /** Share of its core that the server used, 0 to 1. */
  readonly busy?: number;
  /** What programs that are not part of the benchmark took of its two cores meanwhile, in cores: 0 to 2. */
  readonly disturbed?: number;
  /** At the end of the run. */
  readonly pssBytes: number;
  readonly rssBytes: number;
  /** What readers should know of it. */
  readonly notes: readonly string[];
}

const IDLE = fileURLToPath(new URL('load/idle.ts', import.meta.url));
const ZIPF_REQUESTS = 200_000;
const ZIPF_SEED = 20_260_101;
/** What a head may take, bytes. */
const MAX_HEAD = 2_048;
/** Longer than any server holds log lines back, milliseconds. */
const LOG_MS = 2_500;
const POLL_MS = 250;
/** Until what many new connections caused is over, milliseconds. */
const SETTLE_MS = 1_000;

/** Which instances hold the objects of the row `zipf` already. */
const filled = new WeakSet<Instance>();

/** Rejects with what went wrong; with CannotError when the server lacks what the row is about. */
export async function measure(
  row: Row,
  instance: Instance,
  seconds: number,
  around: Surroundings,
): Promise<Measurement> {
  await check(row, instance, around.origin, around.certificate.certificate);
  if (row.load === 'idle') return measureIdle(row, instance, seconds, around);
  const paths = row.load === 'zipf' ? await prepareZipf(row, instance, around) : undefined;
  if (instance.accessLog !== undefined) await truncate(instance.accessLog).catch(() => undefined);
  const asked = await around.origin.requests();
  const before = snapshot(instance, around.cores);
  let result = await run(row, instance, seconds, around, paths);
  // Where the generator hardly had the time to start that says nothing about the server.
  if (result.requests === 0) result = await run(row, instance, seconds * 5, around, paths);
  const after = snapshot(instance, around.cores);
  const originRequests = (await settled(around.origin)) - asked;

  const fault = instance.broken() ?? result.errors ?? describeFault(row, result, originRequests);
  if (fault !== undefined) throw new Error(fault);
  const elapsed = after.seconds - before.seconds;
  const cpu = after.server - before.server;
  return {
    value: valueIn(row, result, cpu),
    requestsPerSecond: result.requests / result.seconds,
    ...(result.p50Us !== undefined && result.p99Us !== undefined && { p50Us: result.p50Us, p99Us: result.p99Us }),
    cpuUs: (cpu / result.requests) * 1e6,
    busy: Math.min(1, cpu / elapsed),
    disturbed: Math.max(0, (after.others - before.others) / elapsed),
    ...memory(instance.pids),
    notes: instance.accessLog === undefined ? [] : await countLines(instance.accessLog, result.requests),
  };
}

/** Times since some fixed moment, seconds: on the clock, of the server's CPU, and of both cores' for what is not the benchmark's. */
function snapshot(instance: Instance, { server, load }: Cores): { seconds: number; server: number; others: number } {
  return {
    seconds: performance.now() / 1_000,
    server: cpuSeconds(instance.pids),
    others: othersSeconds([server, load]),
  };
}

function run(
  row: Row,
  instance: Instance,
  seconds: number,
  { processes, cores, directory }: Surroundings,
  paths: string | undefined,
): Promise<LoadResult> {
  const { connections } = row;
  const limitMs = seconds * 1_000 + 20_000;
  const start = (args: readonly string[], interruptMs?: number) =>
    processes.run({ args }, cores.load, { limitMs, ...(interruptMs !== undefined && { interruptMs }) });

  const wrk = async (): Promise<LoadResult> => {
    const url = row.tls ? `https://localhost:${instance.tlsPort}` : `http://127.0.0.1:${instance.httpPort}`;
    const options = { url: url + row.path, connections, seconds, fields: row.fields };
    const command = wrkCommand({ ...options, ...(paths !== undefined && { paths }) });
    return parseWrk((await start(command, seconds * 1_000)).stdout);
  };
  const h2 = async (): Promise<LoadResult> => {
    const logFile = path.join(directory, 'h2load.log');
    const { stdout } = await start(
      h2Command({ port: instance.tlsPort, path: row.path, connections, seconds, logFile }),
    );
    const latencies = parseLatencies(await readFile(logFile, 'utf8'));
    await rm(logFile);
    return { ...parseH2load(stdout, 'h2'), ...latencies };
  };
  const handshakes = async (): Promise<LoadResult> => {
    const command = handshakesCommand(instance.tlsPort, row.path, connections);
    const results: LoadResult[] = [];
    const deadline = performance.now() + seconds * 1_000;
    while (performance.now() < deadline) results.push(parseH2load((await start(command)).stdout, 'http/1.1'));
    return sum(results);
  };
  if (row.load === 'h2') return h2();
  return row.load === 'handshakes' ? handshakes() : wrk();
}

/** What the numbers say that must not be; undefined when they are sound. */
function describeFault(row: Row, { requests, bytes }: LoadResult, originRequests: number): string | undefined {
  if (requests === 0) return 'answered no request';
  const average = bytes / requests;
  // At the end some answers are under way: their bytes count, they do not.
  const most = row.answer.bytes + MAX_HEAD + ((row.answer.bytes + MAX_HEAD) * row.connections) / requests;
  if (average < row.answer.bytes || (row.load !== 'h2' && average > most)) {
    return `received ${average.toFixed(0)} bytes for each request instead of ${row.answer.bytes} and a head`;
  }
  if (row.cached && originRequests !== 0) return `asked the origin ${originRequests} times in ${requests} hits`;
  if (!row.cached && originRequests < requests)
    return `asked the origin ${originRequests} times in ${requests} requests`;
  return undefined;
}

function valueIn(row: Row, { requests, seconds, bytes }: LoadResult, cpu: number): number {
  switch (row.unit) {
    case 'requests/s':
      return requests / seconds;
    case 'connections/CPU s':
      return requests / cpu;
    case 'MiB/CPU s':
      return bytes / 1024 ** 2 / cpu;
    case 'KiB/connection':
      throw new Error('memory is not a matter of load');
  }
}

/** The file of paths in the order in which they are asked for; all of them are stored in the instance by then. */
async function prepareZipf(row: Row, instance: Instance, around: Surroundings): Promise<string> {
  const file = path.join(around.directory, `zipf-${row.size}.txt`);
  if (!filled.has(instance)) {
    const ranks = zipf(row.size, Math.min(ZIPF_REQUESTS, row.size * 10), seededRandom(ZIPF_SEED));
    await writeFile(file, ranks.map((rank) => `${cacheable(row.answer.bytes, rank)}\n`).join(''));
    await fillMany(instance.httpPort, row.size, row.answer.bytes);
    filled.add(instance);
  }
  return file;
}

/** Memory that connections take which have had one answer each and then do nothing, beyond that of a warm server. */
async function measureIdle(row: Row, instance: Instance, seconds: number, around: Surroundings): Promise<Measurement> {
  const warm = { ...row, load: 'wrk', unit: 'requests/s' } as const;
  const { errors } = await run(warm, instance, Math.min(1, seconds), around, undefined);
  if (errors !== undefined) throw new Error(errors);
  const settleMs = Math.min(1, seconds) * SETTLE_MS;
  await wait(settleMs);
  const before = memory(instance.pids);
  const args = [process.execPath, IDLE, String(instance.httpPort), row.path, String(row.size)];
  const client = around.processes.start('idle', { args }, around.cores.load, true);
  try {
    await nextNumber(client.child, 'open', client.tail);
    await wait(settleMs);
    const after = memory(instance.pids);
    const reply = nextNumber(client.child, 'open', client.tail);
    client.child.send({});
    const open = await reply;
    const broken = instance.broken();
    if (broken !== undefined) throw new Error(broken);
    if (open < row.size) throw new Error(`kept ${open} of ${row.size} idle connections`);
    return { value: (after.pssBytes - before.pssBytes) / 1024 / open, ...after, notes: [] };
  } finally {
    await client.stop();
  }
}

/** A note when the access log does not have a line for each request. */
async function countLines(file: string, requests: number): Promise<readonly string[]> {
  const deadline = performance.now() + LOG_MS;
  let lines = await linesIn(file);
  while (lines < requests && performance.now() < deadline) {
    await wait(POLL_MS);
    lines = await linesIn(file);
  }
  if (lines >= requests) return [];
  if (lines < requests / 2) throw new Error(`logged ${lines} of ${requests} requests`);
  return [`logged ${((lines / requests) * 100).toFixed(1)} % of the requests`];
}

async function linesIn(file: string): Promise<number> {
  let lines = 0;
  for await (const piece of createReadStream(file)) {
    for (let at = piece.indexOf(10); at >= 0; at = piece.indexOf(10, at + 1)) lines += 1;
  }
  return lines;
}
