// How long a purge of 100,000 objects under one tag takes to give their room on disk back, and whether who reads from disk
// notices: one thread reads, this one purges and sweeps as the main thread of an edge does. Prints a table; fails when the
// barrier takes 5 ms, or the space 10 s.
//
//   node bin/node26.js test/soak/purge-disk.ts [OBJECTS [BODY_BYTES]]
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { openDiskTier } from '../../edge-node/io/disk/open.ts';
import { allocateSharedBarrier, SharedBarrier } from '../../edge-node/io/shared/shared-barrier.ts';
import { systemClock } from '../../infra/runtime/clock.ts';
import { silentLog } from '../../infra/runtime/log.ts';
import type { DiskReaderSetup } from './purge-disk-reader.ts';
import { quantiles } from './quantiles.ts';
import { headOf, named } from './responses.ts';

const OBJECTS = Number(process.argv[2] ?? 100_000);
/** One in so many has no tag, so that something is left of every segment. */
const UNTAGGED = 200;
const PHASES = ['before', 'while it is swept', 'after'] as const;
const PHASE_MS = 2_000;
const UNITS = 20_000;
const UNIT_US = 5;
const BODY_BYTES = Number(process.argv[3] ?? 2048);
/** What main thread and janitor fill, and what is left. */
const IN_USE = 4;

const folder = mkdtempSync(path.join(tmpdir(), 'meridian-purge-'));
try {
  await main();
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function main(): Promise<void> {
  const barrier = new SharedBarrier(allocateSharedBarrier({ k0: 1, k1: 2 }));
  const limits = { maxBytes: Math.max(2 ** 26, OBJECTS * Math.max(10_000, BODY_BYTES * 1.5)) };
  const tier = await openDiskTier({ folder, limits, threads: 2 }, { clock: systemClock, log: silentLog, barrier });
  const { store } = tier;
  let raisedAt = 0;
  const recorder = tier.journal({
    apply(purge) {
      barrier.apply(purge);
      raisedAt = performance.now();
    },
    reset: () => barrier.reset(),
  });
  const tagged = headOf('cache-control', 'max-age=3600', 'surrogate-key', 'all');
  const untagged = headOf('cache-control', 'max-age=3600');
  const keys: string[] = [];
  for (let i = 0; i < OBJECTS; i += 1) {
    if (i % UNTAGGED === 0) {
      const name = named(`/kept/${i}`);
      keys.push(name.key);
      store.put({ ...name, head: untagged, body: Buffer.alloc(BODY_BYTES, name.key) });
    }
    store.put({ ...named(`/${i}`), head: tagged, body: Buffer.alloc(BODY_BYTES, 'x') });
    if (i % 1000 === 0) await store.idle();
  }
  await store.idle();
  const total = OBJECTS + keys.length;
  if (store.stats().objects !== total) throw new Error('not everything was stored');
  const free = () => store.index.locked(() => store.index.segments.closed().free);
  const state = () =>
    `${store.stats().objects} objects, ${(store.stats().bytes / 2 ** 20).toFixed(1)} MiB, ` +
    `${free()} of ${tier.handles.segments} segments free`;
  console.log(state());

  const control = new SharedArrayBuffer(8);
  const counts = new SharedArrayBuffer(PHASES.length * UNITS * 8);
  const flags = new Int32Array(control);
  const setup: Omit<DiskReaderSetup, 'handles'> = {
    keys,
    bodyBytes: BODY_BYTES,
    control,
    counts,
    units: UNITS,
    unitUs: UNIT_US,
  };
  const reader = new Worker(new URL('purge-disk-reader.ts', import.meta.url), {
    workerData: { ...setup, handles: tier.handles },
  });
  await once(reader, 'online');
  await wait(500);
  new Float64Array(counts).fill(0);
  await wait(PHASE_MS);

  Atomics.store(flags, 0, 1);
  const cpu = process.threadCpuUsage();
  const from = performance.now();
  recorder.apply({
    sequence: 1,
    targets: [{ target: { $case: 'tag', value: { tag: 'all', hosts: [] } } }],
    soft: false,
  });
  const raisedMs = raisedAt - from;
  const writtenMs = performance.now() - from;
  let freeMs = 0;
  for (let done = false; !done; done = freeMs > 0 && store.stats().walks > 0) {
    if (performance.now() - from > 60_000) throw new Error(`after a minute: ${state()}`);
    await wait(5);
    const isBack = store.stats().objects === keys.length && free() >= tier.handles.segments - IN_USE;
    if (isBack && freeMs === 0) freeMs = performance.now() - from;
  }
  const used = process.threadCpuUsage(cpu);
  Atomics.store(flags, 0, 2);
  await wait(PHASE_MS);
  Atomics.store(flags, 0, -1);
  await once(reader, 'exit');
  console.log(`barrier raised in ${raisedMs.toFixed(3)} ms, written down in ${writtenMs.toFixed(3)} ms`);
  console.log(
    `space back in ${(freeMs / 1000).toFixed(2)} s, ${((used.user + used.system) / 1000).toFixed(0)} ms of processor time; ${state()}; ` +
      `${store.stats().swept} swept, ${store.stats().moved} moved`,
  );
  console.log(`reads of what is kept that found nothing, or something else: ${Atomics.load(flags, 1)}`);
  const tally = (phase: number) => new Float64Array(counts, phase * UNITS * 8, UNITS);
  console.table(
    PHASES.map((name, phase) => ({ 'reads, microseconds': name, ...quantiles(tally(phase), UNIT_US * 1000) })),
  );
  if (raisedMs > 5 || freeMs > 10_000 || Atomics.load(flags, 1) > 0) process.exitCode = 1;
  await tier.close();
}
