// What a second thread costs: CPU time of an edge for each request, with one thread and with two, under the same load, in turns.
// `npm run bench:threads`, or with how many rounds of how many seconds. Where two cores are all there is, the load shares them
// with the edge, so the rate says little; CPU time for each request says whether threads hinder each other.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { makeCertificate } from './certificate.ts';
import { ask } from './check.ts';
import { nextNumber } from './instance.ts';
import { parseWrk, wrkCommand } from './load/wrk.ts';
import { fillIn } from './peers/peer.ts';
import { Processes, type Running } from './processes.ts';
import { median, ratio } from './report/statistics.ts';
import { markdownTable } from './report/table.ts';
import { cacheable } from './rows.ts';
import { cpuSeconds, memory } from './usage.ts';

const CONNECTIONS = 64;
const WARM_UP_S = 5;
const START_MS = 60_000;
const ROWS = [
  { title: 'Hit, 1 KiB', path: cacheable(1024), tls: false },
  { title: 'Hit, 64 KiB', path: cacheable(64 * 1024), tls: false },
  { title: 'Hit, 1 KiB, TLS', path: cacheable(1024), tls: true },
];

interface Served {
  readonly running: Running;
  readonly httpPort: number;
  readonly tlsPort: number;
  readonly startCpuMs: number;
}

const [rounds = 5, seconds = 2] = process.argv.slice(2).map(Number);
const directory = mkdtempSync(path.join(tmpdir(), 'meridian-threads-'));
const processes = new Processes(directory);
try {
  console.log(await measureAll());
} finally {
  await processes.close();
  rmSync(directory, { recursive: true, force: true });
}

async function measureAll(): Promise<string> {
  makeCertificate(path.join(directory, 'certificates'));
  const origin = processes.start('origin', { args: [process.execPath, file('origin.ts')] }, undefined, true);
  const config = await fillIn('meridian.yaml', directory, {
    ORIGIN_PORT: await nextNumber(origin.child, 'port', origin.tail),
  });
  const edges = [await startEdge(1, config), await startEdge(2, config)] as const;
  const table: string[][] = [];
  for (const row of ROWS) {
    const cost: [number[], number[]] = [[], []];
    const rate: [number[], number[]] = [[], []];
    // Each thread compiles for itself what it runs often, and that is no part of what a request costs.
    for (const edge of edges) await load(edge, row, WARM_UP_S);
    for (let round = 0; round < rounds; round += 1) {
      for (const which of round % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const)) {
        const { cpuUs, perSecond } = await load(edges[which], row, seconds);
        cost[which].push(cpuUs);
        rate[which].push(perSecond);
      }
    }
    const found = ratio(cost[1], cost[0]);
    const spread = found && `${found.median.toFixed(2)} (${found.min.toFixed(2)} to ${found.max.toFixed(2)})`;
    table.push([
      row.title,
      ...cost.map((values) => median(values).toFixed(1)),
      spread ?? '',
      ...rate.map((values) => Math.round(median(values)).toLocaleString('en')),
    ]);
  }
  const columns = ['', 'µs CPU/request, 1 thread', '2 threads', 'ratio', 'requests/s, 1 thread', '2 threads'].map(
    (title, index) => ({ title, ...(index > 0 && { align: 'right' as const }) }),
  );
  const starts = edges.map(({ running, startCpuMs }, index) => {
    return `${index + 1}: ${startCpuMs} ms CPU to start, ${Math.round(memory([running.pid]).pssBytes / 2 ** 20)} MiB`;
  });
  return `${markdownTable(columns, table)}\nThreads ${starts.join('; ')}`;
}

async function load(
  { running, httpPort, tlsPort }: Served,
  row: (typeof ROWS)[number],
  forS: number,
): Promise<{ cpuUs: number; perSecond: number }> {
  const url = row.tls ? `https://localhost:${tlsPort}` : `http://127.0.0.1:${httpPort}`;
  const before = cpuSeconds([running.pid]);
  const command = wrkCommand({ url: url + row.path, connections: CONNECTIONS, seconds: forS, fields: {} });
  const limits = { limitMs: forS * 1_000 + 20_000, interruptMs: forS * 1_000 };
  const {
    requests,
    seconds: took,
    errors,
  } = parseWrk((await processes.run({ args: command }, undefined, limits)).stdout);
  if (errors !== undefined) throw new Error(errors);
  return { cpuUs: ((cpuSeconds([running.pid]) - before) / requests) * 1e6, perSecond: requests / took };
}

async function startEdge(threads: number, config: string): Promise<Served> {
  const ports = path.join(directory, `edge-${threads}.log`);
  const certificates = path.join(directory, 'certificates');
  const args = [process.execPath, file('../cli/main.ts'), 'edge', '--name', 'bench', '--snapshot', config];
  args.push(
    '--listen',
    '127.0.0.1:0',
    '--admin-listen',
    '127.0.0.1:0',
    '--data',
    path.join(directory, `data-${threads}`),
  );
  args.push('--tls-listen', '127.0.0.1:0', '--certificates', certificates);
  args.push('--threads', String(threads), '--access-log', 'off', '--cache-bytes', '64MiB');
  const running = processes.start(`edge-${threads}`, { args, stdout: ports }, undefined);
  const deadline = performance.now() + START_MS;
  for (;;) {
    const ready = /"port":(\d+),"adminPort":\d+,"tlsPort":(\d+)/.exec(running.tail());
    if (ready !== null) {
      const [httpPort, tlsPort] = [Number(ready[1]), Number(ready[2])];
      const startCpuMs = Math.round(cpuSeconds([running.pid]) * 1_000);
      for (const row of ROWS) await ask({ port: httpPort, path: row.path });
      return { running, httpPort, tlsPort, startCpuMs };
    }
    if (running.ended() !== undefined || performance.now() > deadline) throw new Error(`no edge: ${running.tail()}`);
    await wait(20);
  }
}

function file(name: string): string {
  return new URL(name, import.meta.url).pathname;
}
