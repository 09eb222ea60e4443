// The part of every cache store's contract that takes time: gathering a body, and sweeping out what is purged.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { CacheStore, Described } from '../../../../edge-node/decide/cache/entry.ts';
import { bodies, type ContractLimits, put, storable } from './store-support.ts';
import { named } from './support.ts';

export function writerContract(name: string, make: (limits?: ContractLimits) => CacheStore): void {
  const start = (store: CacheStore, expected: number | undefined, target = '/') => {
    const { body: _, ...rest } = storable(target, '');
    return store.begin(rest, expected);
  };
  const write = (store: CacheStore, expected: number | undefined, ...chunks: string[]) => {
    const writer = start(store, expected);
    const kept = chunks.map((chunk) => writer?.write(Buffer.from(chunk)) ?? false);
    return { kept, entry: writer?.commit() };
  };

  describe(`${name}: gathering a body`, () => {
    test('stores at commit what was written, and nothing before', () => {
      for (const expected of [6, undefined]) {
        const store = make();
        const writer = start(store, expected);
        assert.ok(writer);
        assert.ok(writer.write(Buffer.from('abc')));
        assert.deepEqual(bodies(store, '/'), []);
        assert.ok(writer.write(Buffer.from('def')));
        assert.equal(writer.commit()?.body.toString(), 'abcdef');
        assert.deepEqual(bodies(store, '/'), ['abcdef']);
        assert.equal(store.stats().pendingBytes, 0);
      }
    });

    test('an empty body is a body', () => {
      for (const expected of [0, undefined]) {
        const store = make();
        assert.ok(write(store, expected).entry);
        assert.deepEqual(bodies(store, '/'), ['']);
      }
    });

    test('copies: neither the larger buffer of a chunk nor later writes to it matter', () => {
      const store = make();
      const pool = Buffer.alloc(65_536, 'x');
      const writer = start(store, undefined);
      assert.ok(writer);
      assert.ok(writer.write(pool.subarray(10, 13)));
      pool.fill('y');
      const body = writer.commit()?.body;
      assert.equal(body?.toString(), 'xxx');
      assert.equal(body?.buffer.byteLength, 3);
    });

    test('an aborted body leaves nothing, and neither does a writer used afterwards', () => {
      const store = make();
      const writer = start(store, undefined);
      assert.ok(writer);
      assert.ok(writer.write(Buffer.from('abc')));
      writer.abort();
      writer.abort();
      assert.equal(writer.write(Buffer.from('def')), false);
      assert.equal(writer.commit(), undefined);
      assert.deepEqual(bodies(store, '/'), []);
      assert.equal(store.stats().pendingBytes, 0);
    });

    test('a body that is shorter or longer than was said is not stored, and counted', () => {
      const store = make();
      assert.deepEqual(write(store, 4, 'abc'), { kept: [true], entry: undefined });
      assert.deepEqual(write(store, 4, 'abc', 'de', 'f'), { kept: [true, false, false], entry: undefined });
      assert.equal(store.stats().refusedIncomplete, 2);
      assert.equal(store.stats().pendingBytes, 0);
    });

    test('a body that is announced or turns out too large is not stored, and counted', () => {
      const store = make({ maxObjectBytes: 4 });
      assert.equal(start(store, 5), undefined);
      assert.deepEqual(write(store, undefined, 'abc', 'de', 'f'), { kept: [true, false, false], entry: undefined });
      assert.equal(store.stats().refusedTooLarge, 2);
      assert.equal(store.stats().pendingBytes, 0);
      assert.ok(write(store, undefined, 'abc', 'd').entry);
      assert.ok(write(store, undefined, 'abcd').entry);
      assert.ok(write(store, 4, 'abcd').entry);
    });

    test('bytes being gathered are bounded over all writers, and counted', () => {
      const store = make({ maxPendingBytes: 100_000 });
      start(store, 100_000)?.abort();
      assert.equal(store.stats().refusedPending, 0);
      const first = start(store, 60_000, '/a');
      assert.ok(first);
      assert.equal(start(store, 60_000, '/b'), undefined);
      assert.equal(store.stats().refusedPending, 1);
      const second = start(store, undefined, '/c');
      assert.equal(second?.write(Buffer.alloc(39_000)), true);
      assert.equal(second.write(Buffer.alloc(39_000)), false);
      assert.equal(store.stats().refusedPending, 2);
      first.abort();
      assert.equal(store.stats().pendingBytes, 0);
      assert.ok(start(store, 60_000, '/b'));
    });

    test('of two that gather the same variant, the last to commit stays', () => {
      const store = make();
      const [one, two] = [start(store, undefined), start(store, undefined)];
      one?.write(Buffer.from('one'));
      two?.write(Buffer.from('two'));
      two?.commit();
      one?.commit();
      assert.deepEqual(bodies(store, '/'), ['one']);
    });
  });
}

export function sweepContract(name: string, make: (limits?: ContractLimits) => CacheStore): void {
  const filled = () => {
    const store = make();
    for (let i = 0; i < 100; i += 1) put(store, storable(`/${i}`, 'x', { barrier: i % 2 }));
    return store;
  };
  const purged = (entry: Described) => entry.head.barrier < 1;

  describe(`${name}: sweeping`, () => {
    test('removes what is purged, a little at a time, and says when it has seen everything', () => {
      const store = filled();
      let removed = 0;
      for (let calls = 1; ; calls += 1) {
        const step = store.sweep(purged, 10);
        assert.ok(step.removed <= 10);
        removed += step.removed;
        if (!step.done) continue;
        assert.equal(calls, 10);
        break;
      }
      assert.equal(removed, 50);
      assert.equal(store.stats().objects, 50);
      assert.equal(store.stats().swept, 50);
    });

    test('sees everything that was there, whatever else happens meanwhile', () => {
      const store = filled();
      store.sweep(purged, 10);
      store.remove(named('/50').key);
      for (const i of [99, 98, 97]) {
        const [entry] = store.find(named(`/${i}`).key);
        if (entry) store.touch(entry);
      }
      for (let i = 100; i < 120; i += 1) put(store, storable(`/${i}`, 'x', { barrier: 1 }));
      put(store, storable('/97', 'y', { barrier: 1, accept: 'other' }));
      while (!store.sweep(purged, 7).done);
      const left = Array.from({ length: 120 }, (_, i) => store.find(named(`/${i}`).key)).flat();
      assert.ok(left.every((entry) => !purged(entry)));
      assert.equal(left.length, 71);
    });

    test('an empty store is done at once', () => {
      assert.deepEqual(make().sweep(purged, 10), { removed: 0, done: true });
    });

    test('a round that is done is followed by another', () => {
      const store = filled();
      assert.equal(store.sweep(purged, 1000).done, true);
      put(store, storable('/late', 'x', { barrier: 0 }));
      assert.deepEqual(store.sweep(purged, 1000), { removed: 1, done: true });
    });
  });
}
