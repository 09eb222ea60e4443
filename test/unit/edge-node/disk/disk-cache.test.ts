// The disk tier of a process that takes another's place: it waits for the folder, and begins with nothing.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PurgeBarrier } from '../../../../edge-node/decide/barrier.ts';
import { DiskCache } from '../../../../edge-node/io/disk/disk-cache.ts';
import type { DiskHandles } from '../../../../edge-node/io/disk/disk-memory.ts';
import { DiskStore } from '../../../../edge-node/io/disk/disk-store.ts';
import { FolderInUseError } from '../../../../edge-node/io/disk/folder-lock.ts';
import { silentLog } from '../../../../infra/runtime/log.ts';
import { Metrics } from '../../../../infra/runtime/metrics.ts';
import { Purge } from '../../../../proto/gen/meridian/v1/purge.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import type { MemoryFiles } from '../../../support/memory-files.ts';
import { storable } from '../cache/store-support.ts';
import { named } from '../cache/support.ts';
import { openDisk, SEGMENT, SEGMENTS } from './disk-support.ts';

const purge = Purge.fromPartial({ targets: [{ target: { $case: 'host', value: 'other.example' } }] });

class Folder {
  readonly files: MemoryFiles;
  taken = true;

  constructor(files: MemoryFiles) {
    this.files = files;
  }

  readonly lock = (): (() => void) => {
    if (this.taken) throw new FolderInUseError('the folder /cache is in use by another process');
    this.taken = true;
    return () => {
      this.taken = false;
    };
  };
}

/** One process. */
class Process {
  readonly barrier = new PurgeBarrier();
  readonly clock = new FakeClock();
  readonly files: MemoryFiles;
  readonly cache: DiskCache;
  handles: DiskHandles | undefined;

  constructor({ files, lock }: Folder, mayWait: boolean) {
    const { barrier, clock } = this;
    const limits = { maxBytes: SEGMENTS * SEGMENT, segmentBytes: SEGMENT };
    const options = { folder: '/cache', limits, threads: 2, files, lock, mayWait };
    const opened = (handles: DiskHandles): void => {
      assert.equal(this.handles, undefined);
      this.handles = handles;
    };
    this.files = files;
    this.cache = new DiskCache(options, { clock, log: silentLog, metrics: new Metrics(), barrier, opened });
  }

  /** As a worker sees it. */
  worker(): DiskStore {
    assert.ok(this.handles);
    return new DiskStore(this.handles, 1, { files: this.files, log: silentLog, crowded: () => undefined });
  }

  async retry(): Promise<void> {
    this.clock.advance(500);
    for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
  }
}

/** With one entry in it, and another process that has it. */
async function inUse(): Promise<Folder> {
  const older = await openDisk();
  older.tier.store.put(storable('/older', 'older'));
  await older.settle();
  await older.tier.close();
  return new Folder(older.files);
}

async function has(store: DiskStore, target: string): Promise<boolean> {
  return ((await store.find(named(target).key)) ?? []).length > 0;
}

test('a folder that another process has keeps an edge from starting, unless that process is about to end', async () => {
  const folder = await inUse();
  await assert.rejects(new Process(folder, false).cache.open(), FolderInUseError);
  const waiting = new Process(folder, true);
  await waiting.cache.open();
  assert.deepEqual([waiting.handles, waiting.cache.position], [undefined, undefined]);
  await waiting.cache.close();
  folder.taken = false;
  await waiting.retry();
  assert.equal(waiting.handles, undefined);
});

test('a free folder is used at once, and as it is', async () => {
  const folder = await inUse();
  folder.taken = false;
  const second = new Process(folder, true);
  await second.cache.open();
  assert.equal(await has(second.worker(), '/older'), true);
  await second.cache.close();
});

test('one that had to wait begins with nothing, and what it stores is judged by its own purges after a restart', async () => {
  const folder = await inUse();
  const second = new Process(folder, true);
  await second.cache.open();
  const recorder = second.cache.journal(second.barrier);
  for (const sequence of [1, 2, 3]) {
    recorder.apply(purge);
    recorder.stand({ epoch: 1, sequence });
  }
  await second.retry();
  assert.equal(second.handles, undefined);
  folder.taken = false;
  await second.retry();
  const store = second.worker();
  assert.equal(await has(store, '/older'), false);
  const { head } = storable('/a', 'a');
  // On its way since before the last purge, and since after it.
  store.put({ ...storable('/early', 'early'), head: { ...head, barrier: 2 } });
  for (const target of ['/kept', '/purged']) {
    store.put({ ...storable(target, target), head: { ...head, barrier: second.barrier.current } });
  }
  await store.idle();
  for (const target of ['/early', '/kept', '/purged']) assert.equal(await has(store, target), true, target);
  const { host, path } = { host: named('/purged').host, path: '/purged' };
  recorder.apply(Purge.fromPartial({ targets: [{ target: { $case: 'url', value: { host, path } } }] }));
  recorder.stand({ epoch: 1, sequence: 4 });
  await store.close();
  await second.cache.close();

  const third = new Process(folder, false);
  await third.cache.open();
  assert.deepEqual(third.cache.position, { epoch: 1, sequence: 4 });
  const again = third.worker();
  // Which purges it is to be judged by is not known any more.
  assert.equal(await has(again, '/early'), false);
  for (const target of ['/kept', '/purged']) {
    const [found] = (await again.find(named(target).key)) ?? [];
    assert.ok(found, target);
    const { entry } = found;
    assert.equal(third.barrier.covers(entry.head.barrier, entry.host, entry.purgeTarget), target === '/purged');
  }
  await third.cache.close();
});
