// `npm run bench:control`: how soon a purge and a change are confirmed by very many edges, and what an edge costs a control
// plane in memory and on the wire. The edges are simulated (control/edge.ts); control planes, store and streams are real.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { onPath } from '../cli/stack/etcd.ts';
import { edgesOf, POOL, sitesOf } from './control/names.ts';
import { ControlWorld, type Timed, type WorldOptions } from './control/world.ts';
import { percentile } from './report/statistics.ts';
import { digits, markdownTable } from './report/table.ts';

const HELP = `How soon purges and changes are confirmed by many edges, over etcd (or, where it is not installed, over a file and with one
replica).

  npm run bench:control -- [OPTIONS]

  --rows ID,..    measure these only: one, two, routes
  --seconds S     how long each row lasts once its edges are connected (default 10)
  --json          print the result as JSON
  --smoke         few edges, one turn each: whether all confirm, and no time is judged
  --profile DIR   write a CPU profile of the first control plane of each row
`;

interface Row extends WorldOptions {
  readonly id: string;
  readonly title: string;
  readonly kind: 'purge' | 'change';
}

interface Result {
  readonly id: string;
  readonly title: string;
  readonly rounds: number;
  /** From accepted, or committed, to the last ACK, milliseconds. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** To half of the ACKs, milliseconds. */
  readonly halfMs: number;
  /** CPU time of the control planes for each round, milliseconds. */
  readonly cpuMs: number;
  readonly connectMs: number;
  readonly memoryPerEdgeBytes: number;
  /** What each edge received for each round, of all kinds. */
  readonly wirePerEdgeBytes: number;
}

const { values } = parseArgs({
  options: {
    rows: { type: 'string' },
    seconds: { type: 'string', default: '10' },
    json: { type: 'boolean', default: false },
    smoke: { type: 'boolean', default: false },
    profile: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

const etcd = onPath('etcd', process.env.PATH);
const share = values.smoke ? 0.02 : 1;
const nodeArguments = values.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${values.profile}`];
const rowOf = (id: string, kind: Row['kind'], replicas: number, edges: number, routes: number): Row => {
  const many = (count: number): string => Math.round(count * share).toLocaleString('en');
  const where = replicas === 1 ? 'one replica' : `${replicas} replicas`;
  const what = kind === 'purge' ? 'a purge' : `one of ${many(routes)} routes changes`;
  const title = `${what}, ${many(edges)} edges, ${where}`;
  const sizes = { edges: Math.round(edges * share), routes: Math.max(1, Math.round(routes * share)) };
  return { id, title, kind, replicas, ...sizes, etcd, nodeArguments };
};
const rows = [
  rowOf('one', 'purge', 1, 1_000, 1),
  rowOf('two', 'purge', 2, 3_000, 1),
  rowOf('routes', 'change', 1, 100, 10_000),
].filter(({ id, replicas }) => (etcd || replicas === 1) && (values.rows?.split(',').includes(id) ?? true));

async function measure(folder: string, row: Row): Promise<Result> {
  const world = await ControlWorld.start(folder, row);
  try {
    const act = (round: number): Promise<Timed> =>
      row.kind === 'purge'
        ? world.purge()
        : world.apply({ sites: sitesOf(row.routes, round), pools: [POOL], edges: edgesOf(row.edges), waitMs: 30_000 });
    // What runs often is compiled first.
    if (!values.smoke) for (let round = 1; round <= 3; round += 1) check(row, await act(round));
    const [before, cpuMs] = [await world.received(), world.cpuMs()];
    const rounds: Timed[] = [];
    const deadline = performance.now() + (values.smoke ? 0 : Number(values.seconds) * 1_000);
    do rounds.push(check(row, await act(rounds.length + 100)));
    while (performance.now() < deadline);
    const spentMs = world.cpuMs() - cpuMs;
    const received = (await world.received()) - before;
    const all = rounds.map(({ lines }) => lines.at(-1) ?? Number.NaN);
    const half = rounds.map(({ lines }) => lines[lines.length >> 1] ?? Number.NaN);
    return {
      ...{ id: row.id, title: row.title, rounds: rounds.length },
      ...{ p50Ms: percentile(all, 0.5), p99Ms: percentile(all, 0.99), halfMs: percentile(half, 0.5) },
      ...{ cpuMs: spentMs / rounds.length, connectMs: world.connectMs, memoryPerEdgeBytes: world.bytesPerEdge },
      wirePerEdgeBytes: received / rounds.length / row.edges,
    };
  } finally {
    await world.stop();
  }
}

/** Throws when not every edge confirmed. */
function check({ title, edges }: Row, timed: Timed): Timed {
  const problem = timed.lines.length === edges ? timed.problem : `${timed.lines.length} of ${edges} edges answered`;
  if (problem !== undefined) throw new Error(`${title}: ${problem}`);
  return timed;
}

function table(results: readonly Result[]): string {
  const titles = [
    'rounds',
    'all ACKs, p50 ms',
    'p99 ms',
    'half of them, ms',
    'CPU ms',
    'connected in, s',
    'KiB memory/edge',
    'KiB wire/edge',
  ];
  const columns = [{ title: '' }, ...titles.map((title) => ({ title, align: 'right' as const }))];
  const lines = results.map((result) => {
    const { p50Ms, p99Ms, halfMs, cpuMs, connectMs, memoryPerEdgeBytes, wirePerEdgeBytes } = result;
    const numbers = [
      p50Ms,
      p99Ms,
      halfMs,
      cpuMs,
      connectMs / 1_000,
      memoryPerEdgeBytes / 1024,
      wirePerEdgeBytes / 1024,
    ];
    return [result.title, String(result.rounds), ...numbers.map(digits)];
  });
  return markdownTable(columns, lines);
}

if (values.help) console.log(HELP);
else {
  const folder = mkdtempSync(path.join(tmpdir(), 'meridian-control-'));
  try {
    const results: Result[] = [];
    for (const row of rows) results.push(await measure(folder, row));
    console.log(values.json ? JSON.stringify(results, undefined, 2) : table(results));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
