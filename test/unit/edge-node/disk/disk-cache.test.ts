// The disk tier of a process that takes another's place: it waits for the folder, and has what the other left.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { PurgeBarrier } from '../../../../edge-node/decide/barrier.ts';
import type { Storable } from '../../../../edge-node/decide/cache/entry.ts';
import { DiskCache } from '../../../../edge-node/io/disk/disk-cache.ts';
import type { DiskHandles } from '../../../../edge-node/io/disk/disk-memory.ts';
import { DiskStore } from '../../../../edge-node/io/disk/disk-store.ts';
import { FolderInUseError } from '../../../../edge-node/io/disk/folder-lock.ts';
import { NotingStore } from '../../../../edge-node/io/disk/noting-store.ts';
import type { PurgeRecorder } from '../../../../edge-node/io/disk/open.ts';
import { type OutdatedHandles, OutdatedKeys } from '../../../../edge-node/io/disk/outdated-keys.ts';
import { MemoryStore } from '../../../../edge-node/io/memory-store.ts';
import { silentLog } from '../../../../infra/runtime/log.ts';
import { Metrics } from '../../../../infra/runtime/metrics.ts';
import { Purge } from '../../../../proto/gen/meridian/v1/purge.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import type { MemoryFiles } from '../../../support/memory-files.ts';
import { storable } from '../cache/store-support.ts';
import { named } from '../cache/support.ts';
import { type Disk, openDisk, SEGMENT, SEGMENTS } from './disk-support.ts';

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
  /** The cache of a worker until there is a tier. */
  noting: NotingStore | undefined;

  constructor({ files, lock }: Folder, mayWait: boolean) {
    const { barrier, clock } = this;
    const limits = { maxBytes: SEGMENTS * SEGMENT, segmentBytes: SEGMENT };
    const options = { folder: '/cache', limits, threads: 2, files, lock, mayWait };
    const opened = (handles: DiskHandles): void => {
      assert.equal(this.handles, undefined);
      this.handles = handles;
    };
    const awaited = (outdated: OutdatedHandles): void => {
      this.noting = new NotingStore(new MemoryStore(), new OutdatedKeys(outdated));
    };
    this.files = files;
    this.cache = new DiskCache(options, { clock, log: silentLog, metrics: new Metrics(), barrier, awaited, opened });
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

/** The folder while `older` has it. */
function folderOf(older: Disk): Folder {
  return new Folder(older.files);
}

/** The older process ends, and the folder is free. */
async function end(older: Disk, folder: Folder): Promise<void> {
  await older.settle();
  await older.tier.close();
  folder.taken = false;
}

function stored(target: string): Storable {
  return storable(target, target);
}

/** Requested when the barrier stood so. */
function requestedAt(target: string, barrier: number): Storable {
  return storable(target, target, { barrier });
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

const url = (target: string, soft = false): Purge => {
  const { host } = named(target);
  return Purge.fromPartial({ targets: [{ target: { $case: 'url', value: { host, path: target } } }], soft });
};

describe('one that had to wait', () => {
  test('has what the other left, but for what it has stored or removed itself, also after a restart', async () => {
    const older = await openDisk();
    const folder = folderOf(older);
    for (const target of ['/kept', '/removed', '/replaced', '/refreshed', '/late'])
      older.tier.store.put(stored(target));
    await older.settle();
    const second = new Process(folder, true);
    await second.cache.open();
    const { noting } = second;
    assert.ok(noting);
    second.cache.journal(second.barrier);
    noting.remove(named('/removed').key);
    noting.put(storable('/replaced', 'newer'));
    const refreshed = noting.put(stored('/refreshed'));
    assert.ok(refreshed);
    noting.refresh(refreshed, refreshed.head);
    // It is the older one's until that ends.
    older.tier.store.put(stored('/at last'));
    await second.retry();
    assert.equal(second.handles, undefined);
    await end(older, folder);
    await second.retry();
    // A thread that has not heard of the tier yet.
    noting.remove(named('/late').key);
    const store = second.worker();
    assert.equal(await has(store, '/late'), false);
    for (const key of noting.recent) store.remove(key);
    for (const target of ['/removed', '/replaced', '/refreshed']) assert.equal(await has(store, target), false, target);
    for (const target of ['/kept', '/at last']) assert.equal(await has(store, target), true, target);
    store.put(storable('/removed', 'stored again'));
    await store.idle();
    assert.equal(await has(store, '/removed'), true);
    await store.close();
    await second.cache.close();

    const third = new Process(folder, false);
    await third.cache.open();
    const again = third.worker();
    for (const target of ['/kept', '/at last', '/removed']) assert.equal(await has(again, target), true, target);
    for (const target of ['/replaced', '/refreshed', '/late']) assert.equal(await has(again, target), false, target);
    await third.cache.close();
  });

  test('judges by the purges of both, in whatever order it learnt of them, also after a restart', async () => {
    const older = await openDisk();
    const folder = folderOf(older);
    const journal = older.tier.journal(older.barrier);
    const put = (target: string, barrier = older.barrier.current): unknown =>
      older.tier.store.put(requestedAt(target, barrier));
    for (const target of ['/before', '/after', '/own', '/softly', '/kept']) put(target);
    journal.apply(url('/before'));
    journal.stand({ epoch: 1, sequence: 1 });
    const second = new Process(folder, true);
    await second.cache.open();
    assert.deepEqual(second.cache.position, { epoch: 1, sequence: 1 });
    // The older one goes on, ...
    put('/since');
    journal.apply(url('/after'));
    put('/since the next');
    put('/own since');
    await older.tier.store.idle();
    // ... until purges come to the newer one, which hears again of the last.
    const recorder = second.cache.journal(second.barrier);
    recorder.apply(url('/own since'));
    const early = second.barrier.current;
    for (const purge of [url('/after'), url('/own'), url('/softly', true), url('/early')]) recorder.apply(purge);
    recorder.stand({ epoch: 1, sequence: 6 });
    await end(older, folder);
    await second.retry();
    const store = second.worker();
    store.put(requestedAt('/early', early));
    store.put(requestedAt('/newest', second.barrier.current));
    await store.idle();

    const judged = async ({ barrier }: Process, from: DiskStore): Promise<Record<string, string>> => {
      const verdicts: Record<string, string> = {};
      const targets = [
        '/before',
        '/after',
        '/own',
        '/own since',
        '/early',
        '/softly',
        '/kept',
        '/since',
        '/since the next',
      ];
      for (const target of [...targets, '/newest']) {
        const [found] = (await from.find(named(target).key)) ?? [];
        // What was purged may have been swept.
        if (found === undefined) {
          verdicts[target] = 'purged';
          continue;
        }
        const { host, purgeTarget, head } = found.entry;
        const soft = barrier.stales(head.barrier, host, purgeTarget) ? 'stale' : 'good';
        verdicts[target] = barrier.covers(head.barrier, host, purgeTarget) ? 'purged' : soft;
      }
      return verdicts;
    };
    const expected = {
      ...{ '/before': 'purged', '/after': 'purged', '/own': 'purged', '/own since': 'purged', '/early': 'purged' },
      ...{ '/softly': 'stale', '/kept': 'good', '/since': 'good', '/since the next': 'good', '/newest': 'good' },
    };
    assert.deepEqual(await judged(second, store), expected);
    await store.close();
    await second.cache.close();
    const third = new Process(folder, false);
    await third.cache.open();
    assert.deepEqual(third.cache.position, { epoch: 1, sequence: 6 });
    assert.deepEqual(await judged(third, third.worker()), expected);
    await third.cache.close();
  });

  test('does not use what the older one stores after it has given the purges away', async () => {
    const older = await openDisk();
    const folder = folderOf(older);
    older.tier.store.put(stored('/before'));
    const second = new Process(folder, true);
    await second.cache.open();
    second.cache.journal(second.barrier);
    older.barrier.reset();
    older.tier.store.put(requestedAt('/after', older.barrier.current));
    await end(older, folder);
    await second.retry();
    const store = second.worker();
    assert.deepEqual([await has(store, '/before'), await has(store, '/after')], [true, false]);
    await second.cache.close();
  });

  test('looks nothing up before it knows what was purged meanwhile', async () => {
    const older = await openDisk();
    const folder = folderOf(older);
    older.tier.store.put(stored('/a'));
    const second = new Process(folder, true);
    await second.cache.open();
    second.cache.journal(second.barrier);
    let ready = false;
    second.cache.holdUntil(() => ready);
    await end(older, folder);
    await second.retry();
    assert.equal(await has(second.worker(), '/a'), false);
    ready = true;
    second.clock.advance(20);
    assert.equal(await has(second.worker(), '/a'), true);
    await second.cache.close();
  });

  for (const [why, change] of [
    [
      'more purges came than it remembers',
      (recorder: PurgeRecorder) => {
        for (let i = 0; i <= 10_000; i += 1) recorder.apply(purge);
      },
    ],
    ['the folder is another one', (_: PurgeRecorder, { files }: Folder) => files.remove('/cache/format')],
    ['the journal is gone', (_: PurgeRecorder, { files }: Folder) => files.remove('/cache/purges')],
  ] as const) {
    test(`begins with nothing when ${why}`, async () => {
      const older = await openDisk();
      const folder = folderOf(older);
      older.tier.store.put(stored('/older'));
      const second = new Process(folder, true);
      await second.cache.open();
      const recorder = second.cache.journal(second.barrier);
      recorder.apply(purge);
      await end(older, folder);
      change(recorder, folder);
      await second.retry();
      const store = second.worker();
      assert.equal(await has(store, '/older'), false);
      store.put(requestedAt('/newer', second.barrier.current));
      await store.close();
      assert.equal(await has(store, '/newer'), true);
      await second.cache.close();
    });
  }
});

test('what one that had to wait stores is judged by its own purges after a restart', async () => {
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
  assert.equal(await has(store, '/older'), true);
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
  assert.equal(await has(again, '/early'), true);
  for (const target of ['/kept', '/purged']) {
    const [found] = (await again.find(named(target).key)) ?? [];
    assert.ok(found, target);
    const { entry } = found;
    assert.equal(third.barrier.covers(entry.head.barrier, entry.host, entry.purgeTarget), target === '/purged');
  }
  await third.cache.close();
});
