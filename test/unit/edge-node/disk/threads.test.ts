// One tier, many threads, some of which die.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { diskLimits, segmentsOf } from '../../../../edge-node/io/disk/disk-memory.ts';
import { DiskStore } from '../../../../edge-node/io/disk/disk-store.ts';
import { silentLog } from '../../../../infra/runtime/log.ts';
import { storable } from '../cache/store-support.ts';
import { named } from '../cache/support.ts';
import { assertBody, bodyOf, openDisk, SEGMENTS } from './disk-support.ts';

describe('two threads', () => {
  test('see what the other stores, removes and refreshes', async () => {
    const disk = await openDisk({ threads: 2 });
    const one = disk.tier.store;
    const crowded = () => void disk.tier.tidy();
    const two = new DiskStore(structuredClone(disk.tier.handles), 1, { files: disk.files, log: silentLog, crowded });
    const find = async (store: DiskStore, target: string) => ((await store.find(named(target).key)) ?? []).length;
    one.put(storable('/a', 'one'));
    two.put(storable('/b', 'two'));
    await Promise.all([one.idle(), two.idle()]);
    assert.deepEqual([await find(two, '/a'), await find(one, '/b')], [1, 1]);
    two.remove(named('/a').key);
    assert.equal(await find(one, '/a'), 0);
    // Removed by the other before it is written.
    one.put(storable('/c', 'x'));
    two.remove(named('/c').key);
    await one.idle();
    assert.equal(await find(one, '/c'), 0);
    for (let i = 0; i < 1000; i += 1) {
      (i % 2 === 0 ? one : two).put(storable(`/${i}`, bodyOf(`/${i}`, 3000)));
      if (i % 10 === 0) {
        await Promise.all([one.idle(), two.idle()]);
        await disk.tier.tidy();
      }
    }
    let found = 0;
    for (let i = 0; i < 1000; i += 1) {
      for (const { entry } of (await (i % 2 === 0 ? two : one).find(named(`/${i}`).key)) ?? []) {
        assertBody(`/${i}`, entry.body);
        found += 1;
      }
    }
    assert.ok(found > 100);
    await two.close();
    await disk.tier.close();
  });

  test('one that dies lets go of what it was reading; in the middle of a change it costs the tier', async () => {
    const disk = await openDisk({ threads: 2 });
    const { index } = new DiskStore(structuredClone(disk.tier.handles), 1, {
      files: disk.files,
      log: silentLog,
      crowded: () => undefined,
    });
    index.locked(() => index.segments.pin(3));
    disk.tier.recover(1);
    const own = disk.tier.store.index;
    assert.equal(
      own.locked(() => own.segments.isPinned(3)),
      false,
    );
    assert.equal(own.isOff, false);
    index.locked(() => {
      disk.tier.recover(1);
      return undefined;
    });
    assert.equal(own.isOff, true);
  });

  test('what one that dies was filling is thrown out in its turn, and found until then, also after a restart', async () => {
    const disk = await openDisk({ threads: 2 });
    const { handles, store } = disk.tier;
    const segments = () => store.index.locked(() => store.index.segments.closed());
    for (let death = 0; death < 3; death += 1) {
      const dying = new DiskStore(handles, 1, { files: disk.files, log: silentLog, crowded: () => undefined });
      dying.put(storable(`/${death}`, 'x'));
      await dying.idle();
      disk.tier.recover(1);
    }
    assert.deepEqual(segments(), { small: 3, main: 0, free: SEGMENTS - 3, total: SEGMENTS });
    store.put(storable('/other', 'x'));
    await disk.settle();
    // It does not go on where the list of what is there already is lost.
    assert.equal(segments().small, 3);
    await disk.tier.close();
    const again = await openDisk({ files: disk.files });
    for (const target of ['/0', '/1', '/2', '/other']) assert.deepEqual(await again.bodies(target), ['x'], target);
  });
});

describe('many threads', () => {
  const THREADS = 97;
  const limits = diskLimits({ maxBytes: 32 * 1024 * 1024 }, THREADS);

  test('each fill a segment of their own, over and over', async () => {
    const disk = await openDisk({ threads: THREADS, limits });
    const ports = { files: disk.files, log: silentLog, crowded: () => void disk.tier.tidy() };
    const stores = Array.from({ length: THREADS - 1 }, (_, i) => new DiskStore(disk.tier.handles, i + 1, ports));
    const idle = () => Promise.all(stores.map((store) => store.idle()));
    const body = 33_000;
    for (let round = 0; round < 8; round += 1) {
      for (const [i, store] of stores.entries()) store.put(storable(`/${round}/${i}`, bodyOf(`/${round}/${i}`, body)));
      await idle();
      for (let turn = 0; turn < 4 && stores.some(({ appender }) => appender.queuedBytes > 0); turn += 1) {
        await disk.tier.tidy();
        // As the next put of each would.
        for (const { appender } of stores) appender.kick();
        await idle();
      }
      for (const i of stores.keys()) {
        const target = `/${round}/${i}`;
        const [found] = await disk.find(target);
        assert.ok(found, target);
        assertBody(target, found.body);
      }
    }
    const { dropped, evictions, objects } = disk.tier.store.stats();
    assert.equal(dropped, 0);
    assert.ok(evictions > THREADS, `${evictions} of ${8 * THREADS}, ${objects} left`);
  });

  test('have small segments, which do not change with each thread more', () => {
    const segments = (threads: number) => segmentsOf(diskLimits({ maxBytes: 2 ** 34 }, threads));
    assert.deepEqual([1, 16, 17, 32, 33, 64, 257].map(segments), [64, 64, 128, 128, 256, 256, 2048]);
    assert.throws(() => diskLimits({ maxBytes: 4 * 1024 * 1024 }, 64), /at least 4325376 bytes for 64 threads/);
  });
});
