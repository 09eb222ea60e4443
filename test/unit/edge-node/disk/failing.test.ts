// A disk that is full, read-only, broken or slow costs its own tier and nothing else.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { PurgeBarrier } from '../../../../edge-node/decide/barrier.ts';
import { nodeFiles } from '../../../../edge-node/io/disk/files.ts';
import { FolderInUseError, lockFolder } from '../../../../edge-node/io/disk/folder-lock.ts';
import { diskMetrics, openDiskTier } from '../../../../edge-node/io/disk/open.ts';
import { TieredStore } from '../../../../edge-node/io/disk/tiered-store.ts';
import { MemoryStore } from '../../../../edge-node/io/memory-store.ts';
import { type Log, silentLog } from '../../../../infra/runtime/log.ts';
import { Metrics } from '../../../../infra/runtime/metrics.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { MemoryFiles } from '../../../support/memory-files.ts';
import { tempFolder } from '../../../support/temp.ts';
import { bodies, storable } from '../cache/store-support.ts';
import { named } from '../cache/support.ts';
import { bodyOf, openDisk } from './disk-support.ts';

function lines(): { log: Log; errors: string[]; warnings: string[] } {
  const errors: string[] = [];
  const warnings: string[] = [];
  const log = {
    ...silentLog,
    warn: (_: object, message: string) => void warnings.push(message),
    error: (_: object, message: string) => void errors.push(message),
  };
  return { log, errors, warnings };
}

describe('a failing disk', () => {
  for (const code of ['ENOSPC', 'EIO', 'EROFS']) {
    test(`that says ${code} when written to is turned off, once, and memory goes on`, async () => {
      const { log, errors } = lines();
      const disk = await openDisk({ log });
      const store = new TieredStore(new MemoryStore(), disk.tier.store, { maxMemoryBody: 1_000_000 });
      store.put(storable('/before', 'x'));
      await disk.settle();
      disk.files.failWrites = code;
      for (const target of ['/a', '/b', '/c']) store.put(storable(target, target));
      await disk.settle();
      store.put(storable('/d', '/d'));
      store.remove(named('/b').key);
      await disk.settle();
      assert.deepEqual(errors, ['the disk cache failed and is off until the next start; serving goes on']);
      assert.deepEqual(bodies(store, '/a'), ['/a']);
      assert.deepEqual(bodies(store, '/b'), []);
      assert.deepEqual(bodies(store, '/d'), ['/d']);
      assert.equal(
        store.findStored(named('/before').key, () => assert.fail()),
        false,
      );
      const metrics = new Metrics();
      diskMetrics(metrics, () => disk.tier.store.stats());
      assert.match(metrics.render(), /^meridian_disk_cache_up 0$/m);
      assert.equal(disk.tier.store.stats().queuedBytes, 0);
      await disk.tier.close();
    });
  }

  test('that cannot be read is turned off, and what was asked for is not found', async () => {
    const { log, errors } = lines();
    const disk = await openDisk({ log });
    disk.tier.store.put(storable('/a', 'x'));
    await disk.settle();
    disk.files.failReads = 'EIO';
    assert.deepEqual(await disk.find('/a'), []);
    assert.equal(errors.length, 1);
    assert.equal(disk.tier.store.find(named('/a').key), undefined);
  });

  test('starts anew with an empty cache: what was removed meanwhile was not written down', async () => {
    const disk = await openDisk();
    disk.tier.store.put(storable('/a', 'x'));
    await disk.settle();
    disk.tier.store.fail(new Error('for the test'));
    disk.tier.store.remove(named('/a').key);
    await disk.tier.close();
    assert.deepEqual(await (await openDisk({ files: disk.files })).find('/a'), []);
  });

  test('in which purges cannot be written down is turned off: they hold, and the next start is empty', async () => {
    const { log, errors } = lines();
    const disk = await openDisk({ log });
    disk.tier.store.put(storable('/a', 'x'));
    await disk.settle();
    const recorder = disk.tier.journal(disk.barrier);
    disk.files.failWrites = 'ENOSPC';
    recorder.apply({ sequence: 1, targets: [{ target: { $case: 'all', value: {} } }], soft: false });
    assert.equal(disk.barrier.current, 1);
    assert.equal(errors.length, 1);
    assert.equal(disk.tier.store.index.isOff, true);
    // It is gone from the folder if the disk lets it go; files in memory do not while they fail.
    disk.files.failWrites = undefined;
    assert.equal(disk.tier.store.find(named('/a').key), undefined);
  });

  test('that is slow drops what it cannot take, within the bound, and holds nobody', async () => {
    const disk = await openDisk({ limits: { maxQueueBytes: 10_000 } });
    const { promise, resolve } = Promise.withResolvers<void>();
    disk.files.held = promise;
    const put = (i: number) => disk.tier.store.put(storable(`/${i}`, bodyOf(`/${i}`, 2000)));
    const kept = Array.from({ length: 10 }, (_, i) => put(i));
    assert.deepEqual([kept[0], kept[9]], [true, false]);
    assert.ok(disk.tier.store.stats().queuedBytes <= 10_000);
    assert.ok(disk.tier.store.stats().dropped >= 5);
    resolve();
    await disk.settle();
    assert.equal((await disk.find('/0')).length, 1);
    assert.equal((await disk.find('/9')).length, 0);
  });

  test('a version that is dropped takes the one before it along', async () => {
    const disk = await openDisk({ limits: { maxQueueBytes: 3000 } });
    disk.tier.store.put(storable('/', 'old'));
    await disk.settle();
    assert.equal(disk.tier.store.put(storable('/', bodyOf('/', 5000))), false);
    assert.deepEqual(await disk.find('/'), []);
  });

  test('a folder that cannot be written to is said so at the start', async () => {
    const files = new MemoryFiles();
    files.failWrites = 'EROFS';
    await assert.rejects(openDisk({ files }), /EROFS/);
  });
});

describe('the folder', () => {
  const open = (folder: string, log = silentLog, segmentBytes = 65_536) =>
    openDiskTier(
      { folder, limits: { maxBytes: 1024 * 1024, segmentBytes }, threads: 1, files: nodeFiles },
      { barrier: new PurgeBarrier(), clock: new FakeClock(), log },
    );

  test('belongs to one process at a time', async (t) => {
    const folder = path.join(tempFolder(t), 'deep/cache');
    const tier = await open(folder);
    await assert.rejects(open(folder), FolderInUseError);
    await tier.close();
    await (await open(folder)).close();
    const unlock = lockFolder(folder);
    assert.throws(() => lockFolder(folder), /in use by another process/);
    unlock();
  });

  test('is emptied, with a line in the log, when another release wrote it or the limits are others', async (t) => {
    const folder = tempFolder(t);
    const stored = async () => {
      const tier = await open(folder);
      tier.store.put(storable('/a', 'x'));
      await tier.close();
    };
    const objects = async (log: Log, segmentBytes?: number) => {
      const tier = await open(folder, log, segmentBytes);
      await tier.close();
      return tier.store.stats().objects;
    };
    await stored();
    const { log, warnings } = lines();
    assert.equal(await objects(log), 1);
    assert.deepEqual(warnings, []);
    assert.equal(await objects(log, 131_072), 0);
    await stored();
    writeFileSync(path.join(folder, 'format'), 'meridian-cache 99 and what may follow\n');
    assert.equal(await objects(log), 0);
    await stored();
    writeFileSync(path.join(folder, 'purges'), 'damaged');
    assert.equal(await objects(log), 0);
    assert.equal(warnings.length, 3);
  });

  test('a limit that makes no sense is refused', async (t) => {
    const folder = tempFolder(t);
    const limits = (maxBytes: number) =>
      openDiskTier(
        { folder, limits: { maxBytes }, threads: 1 },
        { barrier: new PurgeBarrier(), clock: new FakeClock(), log: silentLog },
      );
    for (const bad of [0, -1, 1.5, Number.NaN, 1000]) await assert.rejects(limits(bad), RangeError);
  });
});
