// The shared store under threads that run at the same time, and under threads that die.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { allocateSharedStore, type SharedStoreHandles } from '../../../../edge-node/io/shared/handles.ts';
import { SharedLock } from '../../../../edge-node/io/shared/lock.ts';
import { SharedStore } from '../../../../edge-node/io/shared/shared-store.ts';
import type { StoreLimits } from '../../../../edge-node/io/store-limits.ts';
import { bodies, put, storable } from '../cache/store-support.ts';
import { flaw, type StoreReport, type StoreWork, VARIANTS } from './store-worker.ts';

const KEY = { k0: 1, k1: 2 };
const running = new Set<Worker>();

after(() => Promise.all([...running].map((worker) => worker.terminate())));

function spawn(source: URL | string, workerData: unknown): Worker {
  const worker = new Worker(source, { workerData, eval: typeof source === 'string' });
  running.add(worker);
  worker.on('exit', () => running.delete(worker));
  return worker;
}

function message<T>(worker: Worker): Promise<T> {
  return new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
}

const cells = (length: number) => new Int32Array(new SharedArrayBuffer(length * 4));

function job(limits: Partial<StoreLimits>, over: Partial<StoreWork>): StoreWork {
  const keys = over.keys ?? 24;
  return {
    handles: allocateSharedStore(limits, 4, KEY),
    thread: 0,
    threads: 3,
    seed: 1,
    operations: 8_000,
    keys,
    maxBody: 3_000,
    localBytes: 1024 * 1024,
    roomy: false,
    floors: cells(keys * VARIANTS),
    states: cells(keys * VARIANTS).fill(1),
    progress: cells(1),
    ...over,
  };
}

const LOCKS = cells(1);
const WORKER = new URL('./store-worker.ts', import.meta.url);

/** All entries are whole, and what is counted is what is there. */
function consistent(handles: SharedStoreHandles, keys: number): void {
  const store = new SharedStore(handles, 3, { localBytes: 0 });
  const entries = Array.from({ length: keys }, (_, key) => {
    const found = store.find(storable(`/${key}`, '').key);
    for (const entry of found) assert.equal(flaw(entry, key), undefined);
    return found;
  }).flat();
  const { objects, bytes } = store.stats();
  assert.equal(objects, entries.length);
  assert.equal(
    bytes,
    entries.reduce((sum, { size }) => sum + size, 0),
  );
  while (!store.sweep(() => true, 1000).done);
  assert.deepEqual([store.stats().objects, store.stats().bytes], [0, 0]);
}

describe('three threads at once', () => {
  for (const { name, limits, over } of [
    { name: 'in a store too small for them', limits: { maxBytes: 60_001 }, over: {} },
    { name: 'that keep nothing', limits: { maxBytes: 60_001 }, over: { localBytes: 0 } },
    {
      name: 'in a store of few objects, with larger bodies',
      limits: { maxBytes: 4e6, maxObjects: 20 },
      over: { maxBody: 60_000, operations: 3_000 },
    },
    { name: 'with room for all: nothing that is stored is missed', limits: { maxBytes: 32e6 }, over: { roomy: true } },
    { name: 'with room for all, keeping nothing', limits: { maxBytes: 32e6 }, over: { roomy: true, localBytes: 0 } },
  ]) {
    test(name, async () => {
      const common = job(limits, over);
      const reports = await Promise.all(
        [0, 1, 2].map((thread) => message<StoreReport>(spawn(WORKER, { ...common, thread, seed: 10 + thread }))),
      );
      for (const { errors, found, missed } of reports) {
        assert.deepEqual(errors, []);
        assert.ok(found > 100 && missed > 0);
      }
      const { refusedBusy, resets, evictions } = new SharedStore(common.handles, 3).stats();
      assert.deepEqual([refusedBusy, resets], [0, 0]);
      assert.equal(evictions > 0, !common.roomy);
      consistent(common.handles, common.keys);
    });
  }
});

// The lock is held while siblings are looked for, and that asks for a hash: there the thread stops, and there it is terminated.
const STOPS_IN_PUT = `
  const { parentPort, workerData } = require('node:worker_threads');
  Promise.all([import(workerData.store), import(workerData.support)]).then(([{ SharedStore }, { storable }]) => {
    const hash = { high: 1, low: 1, of() {
      parentPort.postMessage('holding');
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    } };
    new SharedStore(workerData.handles, 1, { hash }).put(storable('/', 'x'));
  });`;

const PUTS_ONE = `
  const { parentPort, workerData } = require('node:worker_threads');
  Promise.all([import(workerData.store), import(workerData.support)]).then(([{ SharedStore }, { storable }]) => {
    const store = new SharedStore(workerData.handles, 2);
    parentPort.postMessage('ready');
    parentPort.postMessage(store.put(storable('/waited', 'x')) !== undefined);
  });`;

function sources(handles: SharedStoreHandles) {
  const at = (path: string) => new URL(path, import.meta.url).href;
  return {
    handles,
    store: at('../../../../edge-node/io/shared/shared-store.ts'),
    support: at('../cache/store-support.ts'),
  };
}

describe('a thread that dies', () => {
  test('with the lock held costs what is stored, and nobody waits for it for ever', async () => {
    const handles = allocateSharedStore({ maxBytes: 1e6 }, 3, KEY);
    const main = new SharedStore(handles, 0, { patienceMs: 20 });
    const before = put(main, storable('/before', 'x'));
    const dead = spawn(STOPS_IN_PUT, sources(handles));
    await message(dead);

    // Who will not wait is told so; looking up needs no lock.
    assert.equal(main.put(storable('/other', 'x')), undefined);
    assert.throws(() => main.remove(before.key), /locked for more than 20 ms/);
    assert.throws(() => main.removeEntry(before), /locked for more than 20 ms/);
    assert.deepEqual(
      main.sweep(() => true, 10),
      { removed: 0, done: false },
    );
    main.refresh(before, before.head);
    assert.equal(main.stats().refusedBusy, 5);
    assert.deepEqual(bodies(main, '/before'), ['x']);

    const waiting = spawn(PUTS_ONE, sources(handles));
    await message(waiting);
    const stored = message<boolean>(waiting);
    await dead.terminate();
    main.recover(1);
    assert.equal(await stored, true);
    assert.deepEqual(bodies(main, '/waited'), ['x']);
    assert.deepEqual(bodies(main, '/before'), []);
    assert.equal(main.stats().resets, 1);
    main.removeEntry(before);
    main.touch(before);
    assert.equal(main.stats().objects, 1);
    put(main, storable('/after', 'y'));
    assert.deepEqual(bodies(main, '/after'), ['y']);
    // The round that had begun is ended, and the next sees everything.
    for (let rounds = 0; rounds < 2; ) if (main.sweep(() => true, 10).done) rounds += 1;
    assert.equal(main.stats().objects, 0);
  });

  test('without the lock costs nothing but what it was gathering', () => {
    const handles = allocateSharedStore({ maxBytes: 1e6 }, 2, KEY);
    const [main, other] = [new SharedStore(handles, 0), new SharedStore(handles, 1)];
    const { body: _, ...rest } = storable('/', '');
    other.begin(rest, 1000);
    put(other, storable('/a', 'x'));
    assert.equal(main.stats().pendingBytes, 1000);
    main.recover(1);
    assert.deepEqual([main.stats().pendingBytes, main.stats().resets, bodies(main, '/a').length], [0, 0, 1]);
  });

  test('at any moment leaves the others whole answers and exact counts', async () => {
    const common = job({ maxBytes: 60_001 }, { operations: 0 });
    const main = new SharedStore(common.handles, 3, { localBytes: 0 });
    let died = 0;
    for (let round = 0; round < 5; round += 1) {
      const workers = [0, 1].map((thread) => spawn(WORKER, { ...common, thread, seed: 100 * round + thread }));
      const target = Atomics.load(common.progress, 0) + 2_000 + 37 * round;
      while (Atomics.load(common.progress, 0) < target) {
        assert.ok(running.size > 0, 'somebody works');
        for (let key = 0; key < common.keys; key += 1) {
          for (const entry of main.find(storable(`/${key}`, '').key)) assert.equal(flaw(entry, key), undefined);
        }
        await new Promise((resolve) => setImmediate(resolve));
      }
      for (const [thread, worker] of workers.entries()) {
        await worker.terminate();
        main.recover(thread);
        died += 1;
      }
    }
    assert.equal(died, 10);
    consistent(common.handles, common.keys);
  });
});

describe('the lock', () => {
  test('is had by one at a time, and by nobody twice', () => {
    const [one, two] = [0, 1].map((thread) => new SharedLock(LOCKS, 0, thread));
    assert.ok(one && two);
    assert.equal(one.acquire(10), true);
    assert.equal(two.acquire(10), false);
    assert.throws(() => one.acquire(10), /taken by the thread that asks/);
    one.release();
    assert.equal(two.acquire(10), true);
    two.release();
  });

  test('of the dead is seized from them alone', () => {
    const [one, two, three] = [0, 1, 2].map((thread) => new SharedLock(LOCKS, 0, thread));
    assert.ok(one && two && three);
    assert.equal(three.seize(0), false);
    one.acquire(10);
    assert.equal(two.acquire(10), false, 'which leaves its mark');
    assert.equal(three.seize(1), false);
    assert.equal(three.seize(0), true);
    assert.equal(two.acquire(10), false);
    three.release();
    assert.equal(two.acquire(10), true);
    two.release();
  });
});
