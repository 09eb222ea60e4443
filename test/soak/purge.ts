// How long a purge of 100,000 objects under one tag takes, and whether hits notice: one thread serves hits, this one purges and
// sweeps as the main thread of an edge does. Prints a table; fails when the barrier takes 5 ms, or the space 10 s.
//
//   node bin/node26.js test/soak/purge.ts [OBJECTS]
import { once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { allocateSharedStore } from '../../edge-node/io/shared/handles.ts';
import { allocateSharedBarrier, SharedBarrier } from '../../edge-node/io/shared/shared-barrier.ts';
import { SharedStore } from '../../edge-node/io/shared/shared-store.ts';
import { Sweeper } from '../../edge-node/io/sweeper.ts';
import { systemClock } from '../../infra/runtime/clock.ts';
import { compute } from './compute.ts';
import type { ReaderSetup } from './purge-reader.ts';
import { quantiles } from './quantiles.ts';
import { headOf, named } from './responses.ts';

const OBJECTS = Number(process.argv[2] ?? 100_000);
const HOT = 500;
const PHASES = ['before', 'while it is swept', 'after', 'while another thread computes'] as const;
const PHASE_MS = 2_000;
const UNITS = 1_000_000;
const UNIT_NS = 10;
/** Entries that the sweeper looks at in one step. */
const STEP = 800;
const BODY = Buffer.alloc(1024, 'x');
const KEY = { k0: 1, k1: 2 };

const handles = allocateSharedStore({ maxBytes: 2048 * (OBJECTS + HOT), maxObjects: OBJECTS + HOT }, 2, KEY);
const barriers = allocateSharedBarrier(KEY);
const store = new SharedStore(handles, 0, { localBytes: 0, patienceMs: 50 });
const barrier = new SharedBarrier(barriers);
const sweeper = new Sweeper(store, barrier, systemClock);
const tagged = headOf('cache-control', 'max-age=3600', 'surrogate-key', 'all');
const untagged = headOf('cache-control', 'max-age=3600');
for (let i = 0; i < OBJECTS; i += 1) store.put({ ...named(`/${i}`), head: tagged, body: BODY });
const keys = Array.from({ length: HOT }, (_, i) => named(`/hot/${i}`).key);
for (let i = 0; i < HOT; i += 1) store.put({ ...named(`/hot/${i}`), head: untagged, body: BODY });
if (store.stats().objects !== OBJECTS + HOT) throw new Error('not everything was stored');
const mebibytes = () => (store.stats().bytes / 2 ** 20).toFixed(1);
console.log(`${store.stats().objects} objects, ${mebibytes()} MiB`);

const control = new SharedArrayBuffer(8);
const counts = new SharedArrayBuffer(PHASES.length * UNITS * 8);
const anew = new SharedArrayBuffer(counts.byteLength);
const flags = new Int32Array(control);
const workerData: ReaderSetup = {
  store: handles,
  barrier: barriers,
  keys,
  control,
  counts,
  anew,
  units: UNITS,
  unitNs: UNIT_NS,
};
const reader = new Worker(new URL('purge-reader.ts', import.meta.url), { workerData });
await once(reader, 'online');
await wait(500);
const warm = new Float64Array(counts);
warm.fill(0);
new Float64Array(anew).fill(0);
await wait(PHASE_MS);

Atomics.store(flags, 0, 1);
const from = performance.now();
sweeper.apply({ sequence: 1, targets: [{ target: { $case: 'tag', value: { tag: 'all', hosts: [] } } }], soft: false });
const raisedMs = performance.now() - from;
const cpu = process.threadCpuUsage();
while (store.stats().objects > HOT) {
  if (performance.now() - from > 60_000) throw new Error('the space did not come back within a minute');
  await wait(5);
}
const sweptMs = performance.now() - from;
const used = process.threadCpuUsage(cpu);
Atomics.store(flags, 0, 2);
await wait(PHASE_MS);
// What is not the store's doing: as much work, in as many steps, on memory that nobody shares.
Atomics.store(flags, 0, 3);
const busyMs = (used.user + used.system) / 1000;
const steps = Math.ceil(OBJECTS / STEP);
for (let step = 0; step < steps; step += 1) {
  compute(busyMs / steps);
  await wait((sweptMs - busyMs) / steps);
}
Atomics.store(flags, 0, -1);
await once(reader, 'exit');
sweeper.stop();

console.log(`barrier raised in ${raisedMs.toFixed(3)} ms`);
console.log(
  `space back in ${(sweptMs / 1000).toFixed(2)} s, ${busyMs.toFixed(0)} ms of processor time; ${mebibytes()} MiB are left`,
);
console.log(`hits that were none: ${Atomics.load(flags, 1)}`);
const of = (tallies: SharedArrayBuffer, phase: number) => new Float64Array(tallies, phase * UNITS * 8, UNITS);
const row = (name: string, quantiles: Record<string, number>) => ({
  'hits, microseconds': name,
  hits: 0,
  ...quantiles,
});
const rows = PHASES.flatMap((name, phase) => [
  row(name, quantiles(of(counts, phase), UNIT_NS)),
  row('  of these, lists read again', quantiles(of(anew, phase), UNIT_NS)),
]);
console.table(rows.filter(({ hits }) => hits !== 0));
if (raisedMs > 5 || sweptMs > 10_000 || Atomics.load(flags, 1) > 0) process.exitCode = 1;
