// A process that stores on disk as fast as the disk takes it, from two threads, until it is killed: `disk-storer.ts FOLDER SEED`.
// First it reads everything that an earlier one left and says what it found: a line of JSON. Then a line for every so many puts.
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { PurgeBarrier } from '../../edge-node/decide/barrier.ts';
import type { DiskHandles } from '../../edge-node/io/disk/disk-memory.ts';
import { DiskStore } from '../../edge-node/io/disk/disk-store.ts';
import { nodeFiles } from '../../edge-node/io/disk/files.ts';
import { openDiskTier } from '../../edge-node/io/disk/open.ts';
import { systemClock } from '../../infra/runtime/clock.ts';
import { createLog } from '../../infra/runtime/log.ts';
import { seededRandom } from '../../infra/runtime/random.ts';
import { storable } from '../unit/edge-node/cache/store-support.ts';
import { below, named } from '../unit/edge-node/cache/support.ts';
import { bodyOf } from '../unit/edge-node/disk/disk-support.ts';

/** What one finds of what the one before it stored. */
export interface Report {
  readonly found: number;
  readonly corrupt: number;
  readonly damaged: number;
  readonly scanned: number;
  /** From the call to the open cache, milliseconds. */
  readonly openMs: number;
}

const TARGETS = 4000;
const SMALL_BYTES = 20_000;
const LARGE_BYTES = 400_000;
const MAX_BYTES = 32 * 1024 * 1024;
const log = createLog('storer', 'error');

/** Until it is killed. */
async function storeForever(store: DiskStore, seed: number, told: () => void): Promise<never> {
  const random = seededRandom(seed);
  for (let i = 1; ; i += 1) {
    const target = `/${below(random, TARGETS)}`;
    const choice = random.next();
    if (choice < 0.05) store.remove(named(target).key);
    else if (choice < 0.3) await store.find(named(target).key);
    else if (choice < 0.35) {
      const [found] = (await store.find(named(target).key)) ?? [];
      if (found) store.refresh({ ...found.entry, ...storable(target, found.entry.body) }, found.entry.head, true);
    } else if (choice < 0.37) {
      const body = bodyOf(target, LARGE_BYTES);
      const { body: _, ...rest } = storable(target, '');
      const writer = store.begin(rest, body.length);
      for (let at = 0; at < body.length; at += 50_000) writer?.write(body.subarray(at, at + 50_000));
      writer?.commit();
    } else store.put(storable(target, bodyOf(target, below(random, SMALL_BYTES))));
    if (i % 20 === 0) await store.idle();
    if (i % 100 === 0) told();
  }
}

async function readAll(store: DiskStore): Promise<{ found: number; corrupt: number }> {
  let [found, corrupt] = [0, 0];
  for (let i = 0; i < TARGETS; i += 1) {
    const target = `/${i}`;
    for (const { entry } of (await store.find(named(target).key)) ?? []) {
      found += 1;
      const body = entry.source === undefined ? entry.body : await readBody(entry.source);
      if (body !== undefined && !body.equals(bodyOf(target, body.length))) corrupt += 1;
    }
  }
  return { found, corrupt };
}

/** Undefined: it broke off, as it should when it is damaged. */
function readBody(source: NonNullable<import('../../edge-node/decide/cache/entry.ts').CacheEntry['source']>) {
  const chunks: Buffer[] = [];
  return new Promise<Buffer | undefined>((resolve) => {
    const open = source.open();
    if (open === undefined) return resolve(undefined);
    const sink = {
      chunk: (chunk: Buffer) => chunks.push(chunk) > 0,
      end: () => resolve(Buffer.concat(chunks)),
      failed: () => resolve(undefined),
    };
    return open.start(sink, 0, source.length);
  });
}

async function main(folder: string, seed: number): Promise<void> {
  const limits = { maxBytes: MAX_BYTES, segmentBytes: MAX_BYTES / 64, maxObjects: 10_000 };
  let scanned = 0;
  const watched = {
    ...log,
    info: (fields: object) => {
      if ('scanned' in fields) scanned = Number(fields.scanned);
    },
  };
  const before = performance.now();
  const tier = await openDiskTier(
    { folder, limits, threads: 2 },
    { barrier: new PurgeBarrier(), clock: systemClock, log: watched },
  );
  const openMs = performance.now() - before;
  const read = await readAll(tier.store);
  const report: Report = { ...read, damaged: tier.store.stats().damaged, scanned, openMs };
  process.stdout.write(`${JSON.stringify(report)}\n`);
  const worker = new Worker(new URL(import.meta.url), { workerData: { handles: tier.handles, seed: seed + 1 } });
  worker.on('error', (error) => {
    log.error({ err: error }, 'the second thread failed');
    process.exitCode = 1;
  });
  await storeForever(tier.store, seed, () => process.stdout.write('.\n'));
}

if (isMainThread) {
  const [, , folder, seed] = process.argv;
  if (folder !== undefined) await main(folder, Number(seed));
} else {
  const { handles, seed } = workerData as { handles: DiskHandles; seed: number };
  await storeForever(
    new DiskStore(handles, 1, { files: nodeFiles, log, crowded: () => undefined }),
    seed,
    () => undefined,
  );
}
