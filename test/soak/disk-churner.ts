// Stores ten times more objects than fit, and reads among them, for a while: `disk-churner.ts FOLDER SECONDS`. Run with
// --expose-gc. Prints a line of JSON for each so many requests: what the process takes, after a collection.
import { setImmediate } from 'node:timers/promises';
import { PurgeBarrier } from '../../edge-node/decide/barrier.ts';
import { openDiskTier } from '../../edge-node/io/disk/open.ts';
import { TieredStore } from '../../edge-node/io/disk/tiered-store.ts';
import { allocateSharedStore } from '../../edge-node/io/shared/handles.ts';
import { SharedStore } from '../../edge-node/io/shared/shared-store.ts';
import { systemClock } from '../../infra/runtime/clock.ts';
import { createLog } from '../../infra/runtime/log.ts';
import { seededRandom } from '../../infra/runtime/random.ts';
import { storable } from '../unit/edge-node/cache/store-support.ts';
import { below, named } from '../unit/edge-node/cache/support.ts';
import { bodyOf, fromDisk } from '../unit/edge-node/disk/disk-support.ts';

export interface ChurnSample {
  readonly requests: number;
  /** Of the system, bytes; */
  readonly rss: number;
  /** of objects and buffers that are in use. */
  readonly used: number;
  readonly objects: number;
  /** Distinct objects that were asked for. */
  readonly asked: number;
  readonly evictions: number;
  readonly wrong: number;
}

const MIB = 1024 * 1024;
const DISK_BYTES = 16 * MIB;
const MEMORY_BYTES = 4 * MIB;
/** On average 2 KiB, with what surrounds them: about a tenth of them fits on the disk. */
const OBJECTS = 64_000;
const BODY_BYTES = 4000;
const SAMPLE = 10_000;
/** Requests, however long a busy machine takes for them. */
const LEAST = 5 * SAMPLE;

async function main(folder: string, seconds: number): Promise<void> {
  const collect = globalThis.gc;
  if (collect === undefined) throw new Error('run with --expose-gc');
  const log = createLog('churner', 'error');
  const ports = { barrier: new PurgeBarrier(), clock: systemClock, log };
  const tier = await openDiskTier({ folder, limits: { maxBytes: DISK_BYTES, maxObjects: 16_000 }, threads: 1 }, ports);
  const key = { k0: 1, k1: 2 };
  const memory = new SharedStore(allocateSharedStore({ maxBytes: MEMORY_BYTES }, 1, key), 0, { localBytes: MIB });
  const store = new TieredStore(memory, tier.store, { maxMemoryBody: MIB });
  const random = seededRandom(1);
  const asked = new Uint8Array(OBJECTS);
  let wrong = 0;
  const until = performance.now() + seconds * 1000;
  for (let i = 1; performance.now() < until || i <= LEAST; i += 1) {
    // Each fourth is one of the more popular.
    const number = below(random, i % 4 === 0 ? OBJECTS / 100 : OBJECTS);
    const target = `/${number}`;
    asked[number] = 1;
    const found = store.find(named(target).key)[0] ?? (await fromDisk(store, named(target).key))[0];
    if (found === undefined) store.put(storable(target, bodyOf(target, below(random, BODY_BYTES))));
    else {
      store.touch(found);
      if (!found.body.equals(bodyOf(target, found.body.length))) wrong += 1;
    }
    if (i % 100 === 0) await tier.store.idle();
    if (i % SAMPLE !== 0) continue;
    // Nothing is on its way, and what was is taken back: the collector frees buffers a moment after it has found them.
    await tier.store.idle();
    await tier.tidy();
    await tier.store.idle();
    for (let turn = 0; turn < 3; turn += 1) {
      await setImmediate();
      collect();
    }
    const usage = process.memoryUsage();
    const { objects, evictions } = tier.store.stats();
    const distinct = asked.reduce((sum, one) => sum + one, 0);
    const sample: ChurnSample = {
      requests: i,
      rss: usage.rss,
      used: usage.heapUsed + usage.external,
      objects,
      asked: distinct,
      evictions,
      wrong,
    };
    process.stdout.write(`${JSON.stringify(sample)}\n`);
  }
  await tier.close();
}

const [, , folder, seconds] = process.argv;
if (folder !== undefined) await main(folder, Number(seconds));
