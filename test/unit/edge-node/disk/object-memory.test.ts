// What an object that is in both tiers takes in memory, beside its body: in the memory tier, where its key and head are among
// it, and for being on disk.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { PurgeBarrier } from '../../../../edge-node/decide/barrier.ts';
import type { Storable } from '../../../../edge-node/decide/cache/entry.ts';
import { cacheKey, purgeName } from '../../../../edge-node/decide/cache/key.ts';
import { openDiskTier } from '../../../../edge-node/io/disk/open.ts';
import { allocateSharedStore } from '../../../../edge-node/io/shared/handles.ts';
import { SharedStore } from '../../../../edge-node/io/shared/shared-store.ts';
import { silentLog } from '../../../../infra/runtime/log.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { tempFolder } from '../../../support/temp.ts';
import { headOf } from '../cache/support.ts';

const OBJECTS = 40_000;
const BATCH = 1000;
const BODY_BYTES = 64;
const MOST = 300;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** As a file server would send it. */
function storable(i: number): Storable {
  const [host, target] = ['www.example.com', `/assets/section-${i % 97}/file-${i}.html`];
  const fields = ['content-type', 'text/html; charset=utf-8', 'cache-control', 'public, max-age=86400'];
  fields.push('etag', `"${i.toString(16).padStart(16, 'a')}"`, 'last-modified', 'Sun, 06 Nov 1994 08:49:37 GMT');
  fields.push('date', 'Mon, 07 Nov 1994 08:49:37 GMT', 'vary', 'accept-encoding', 'server', 'nginx');
  const head = headOf(fields, { requestedAt: Date.UTC(1994, 10, 7), requestFields: ['accept-encoding', 'gzip'] });
  const names = { key: cacheKey('https', host, target), host, purgeTarget: purgeName(host, target) };
  return { ...names, head, body: Buffer.alloc(BODY_BYTES, 1) };
}

/** Of what is not shared, by how many bytes it grows for each object, once there are a fifth of them. */
async function growth(store: (i: number) => void, settle: () => Promise<void>): Promise<number> {
  const used = (): number => {
    collect();
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  };
  let before = 0;
  for (let from = 0; from < OBJECTS; from += BATCH) {
    if (from === OBJECTS / 5) before = used();
    for (let i = from; i < from + BATCH; i += 1) store(i);
    await settle();
  }
  return (used() - before) / (OBJECTS * 0.8);
}

test(`an object takes at most ${MOST} bytes beside its body, in memory and for being on disk together`, async (t) => {
  const handles = allocateSharedStore({ maxBytes: OBJECTS * 512, maxObjects: OBJECTS }, 1, { k0: 1, k1: 2 });
  const memory = new SharedStore(handles, 0, { localBytes: 0 });
  const heldForMemory = await growth(
    (i) => memory.put(storable(i)),
    () => Promise.resolve(),
  );
  const { objects, bytes, evictions } = memory.stats();
  assert.deepEqual([objects, evictions], [OBJECTS, 0]);
  const record = bytes / objects - BODY_BYTES;
  const inMemory = record + handles.index.byteLength / OBJECTS + heldForMemory;
  t.diagnostic(`in memory: ${inMemory.toFixed(0)} bytes, of which ${record.toFixed(0)} are key and head`);

  const limits = { maxBytes: OBJECTS * 1024, maxObjects: OBJECTS * 1.1 };
  const ports = { barrier: new PurgeBarrier(), clock: new FakeClock(), log: silentLog };
  const tier = await openDiskTier({ folder: tempFolder(t), limits, threads: 1 }, ports);
  const heldForDisk = await growth(
    (i) => tier.store.put(storable(i)),
    () => tier.store.idle(),
  );
  assert.equal(tier.store.stats().objects, OBJECTS);
  const onDisk = tier.handles.index.byteLength / limits.maxObjects + heldForDisk;
  t.diagnostic(`for being on disk: ${onDisk.toFixed(0)} bytes`);
  assert.ok(inMemory + onDisk <= MOST, `${inMemory} and ${onDisk} bytes`);
  await tier.close();
});
