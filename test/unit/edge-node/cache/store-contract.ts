// What every cache store must do, whatever it keeps things in. A store's own test calls this with a way to make one.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { CacheEntry, CacheStore, Storable } from '../../../../edge-node/decide/cache/entry.ts';
import { DATE, headOf, named } from './support.ts';

export interface ContractLimits {
  readonly maxBytes?: number;
  readonly maxObjectBytes?: number;
  readonly maxObjects?: number;
  readonly maxVariants?: number;
  readonly maxPendingBytes?: number;
}

export interface StorableOptions {
  readonly accept?: string;
  readonly barrier?: number;
  /** Length of a field of no meaning. */
  readonly padding?: number;
}

/** An answer that varies on Accept. */
export function storable(target: string, body: string | Buffer, options: StorableOptions = {}): Storable {
  const { accept, barrier = 0, padding = 0 } = options;
  const requestFields = accept === undefined ? [] : ['accept', accept];
  const fields = ['date', DATE, 'cache-control', 'max-age=60', 'vary', 'accept', 'x-padding', '.'.repeat(padding)];
  return { ...named(target), head: headOf(fields, { requestFields, barrier }), body: Buffer.from(body) };
}

export function bodies(store: CacheStore, target: string): string[] {
  return store
    .find(named(target).key)
    .map((entry) => entry.body.toString())
    .toSorted();
}

/** Stores what must fit. */
export function put(store: CacheStore, entry: Storable): CacheEntry {
  const stored = store.put(entry);
  assert.ok(stored, 'expected it to be stored');
  return stored;
}

const SIZE = (make: () => CacheStore) => put(make(), storable('/0', '0123456789')).size;

export function storeContract(name: string, make: (limits?: ContractLimits) => CacheStore): void {
  describe(`${name}: finding`, () => {
    test('an empty store has nothing', () => {
      const store = make();
      assert.deepEqual(store.find('http://example.com/'), []);
      assert.equal(store.stats().objects, 0);
      assert.equal(store.stats().bytes, 0);
    });

    test('what was put is found under its key alone, as it was put', () => {
      const store = make();
      const entry = storable('/a', 'hello');
      put(store, entry);
      const [found] = store.find(entry.key);
      assert.deepEqual(found?.head, entry.head);
      assert.deepEqual(found?.body, entry.body);
      assert.equal(found?.purgeTarget, 'example.com/a');
      assert.deepEqual(bodies(store, '/b'), []);
    });

    test('variants stand side by side; the same variant is replaced', () => {
      const store = make();
      put(store, storable('/', 'one', { accept: 'a' }));
      put(store, storable('/', 'two', { accept: 'b' }));
      assert.deepEqual(bodies(store, '/'), ['one', 'two']);
      put(store, storable('/', 'three', { accept: 'a' }));
      assert.deepEqual(bodies(store, '/'), ['three', 'two']);
      assert.equal(store.stats().objects, 2);
      assert.equal(store.stats().evictions, 0);
    });

    test('a list once found does not change', () => {
      const store = make();
      put(store, storable('/', 'one', { accept: 'a' }));
      const before = store.find(named('/').key);
      put(store, storable('/', 'two', { accept: 'b' }));
      store.remove(named('/').key);
      assert.equal(before.length, 1);
    });

    test('what was requested before a purge does not replace what was requested after', () => {
      const store = make();
      put(store, storable('/', 'new', { barrier: 2 }));
      assert.equal(store.put(storable('/', 'old', { barrier: 1 })), undefined);
      assert.deepEqual(bodies(store, '/'), ['new']);
      assert.equal(store.stats().refusedOlder, 1);
      put(store, storable('/', 'newer', { barrier: 2 }));
      assert.deepEqual(bodies(store, '/'), ['newer']);
    });
  });

  describe(`${name}: removing`, () => {
    test('all variants of a key', () => {
      const store = make();
      put(store, storable('/', 'one', { accept: 'a' }));
      put(store, storable('/', 'two', { accept: 'b' }));
      put(store, storable('/x', 'three'));
      store.remove(named('/').key);
      store.remove(named('/').key);
      assert.deepEqual(bodies(store, '/'), []);
      assert.deepEqual(bodies(store, '/x'), ['three']);
    });

    test('one variant, once', () => {
      const store = make();
      const one = put(store, storable('/', 'one', { accept: 'a' }));
      put(store, storable('/', 'two', { accept: 'b' }));
      store.removeEntry(one);
      store.removeEntry(one);
      assert.deepEqual(bodies(store, '/'), ['two']);
      assert.equal(store.stats().objects, 1);
    });

    test('what is removed can be put again', () => {
      const store = make();
      put(store, storable('/', 'one'));
      store.remove(named('/').key);
      put(store, storable('/', 'two'));
      assert.deepEqual(bodies(store, '/'), ['two']);
    });
  });

  describe(`${name}: refreshing`, () => {
    test('replaces the head and keeps the body', () => {
      const store = make();
      const entry = put(store, storable('/', 'body'));
      const { head } = storable('/', '', { barrier: 3, padding: 100 });
      store.refresh(entry, head);
      const [found] = store.find(entry.key);
      assert.equal(found?.head.barrier, 3);
      assert.equal(found?.body.toString(), 'body');
      assert.equal(store.stats().bytes, found?.size);
    });

    test('does nothing to what is no longer stored', () => {
      const store = make();
      const entry = put(store, storable('/', 'body'));
      store.remove(entry.key);
      store.refresh(entry, storable('/', '').head);
      assert.deepEqual(bodies(store, '/'), []);
      assert.equal(store.stats().bytes, 0);
    });

    test('does not go back behind a purge', () => {
      const store = make();
      const entry = put(store, storable('/', 'body', { barrier: 5 }));
      store.refresh(entry, storable('/', '', { barrier: 4 }).head);
      assert.equal(store.find(entry.key)[0]?.head.barrier, 5);
    });

    test('into the place of another variant, it takes that place', () => {
      const store = make();
      const one = put(store, storable('/', 'one', { accept: 'a' }));
      put(store, storable('/', 'two', { accept: 'b' }));
      store.refresh(one, storable('/', '', { accept: 'b' }).head);
      assert.deepEqual(bodies(store, '/'), ['one']);
      assert.equal(store.stats().objects, 1);
    });
  });

  describe(`${name}: limits`, () => {
    test('bytes: the least recently used goes first', () => {
      const size = SIZE(make);
      const store = make({ maxBytes: 3 * size });
      const [a] = ['/a', '/b', '/c'].map((target) => put(store, storable(target, '0123456789')));
      assert.ok(a);
      store.touch(a);
      put(store, storable('/d', '0123456789'));
      assert.deepEqual(
        ['/a', '/b', '/c', '/d'].map((target) => bodies(store, target).length),
        [1, 0, 1, 1],
      );
      assert.equal(store.stats().evictions, 1);
      assert.equal(store.stats().bytes, 3 * size);
    });

    test('bytes: one large body drives out as many as it takes', () => {
      const size = SIZE(make);
      const store = make({ maxBytes: 4 * size });
      for (const target of ['/a', '/b', '/c', '/d']) put(store, storable(target, '0123456789'));
      put(store, storable('/e', '.'.repeat(10 + 2 * size)));
      assert.equal(store.stats().objects, 2);
      assert.deepEqual(bodies(store, '/d').length, 1);
    });

    test('bytes: a head that grew counts, and touches its entry', () => {
      const size = SIZE(make);
      const store = make({ maxBytes: 2 * size });
      const one = put(store, storable('/a', '0123456789'));
      put(store, storable('/b', '0123456789'));
      store.refresh(one, storable('/a', '', { padding: 1 }).head);
      assert.deepEqual(
        ['/a', '/b'].map((target) => bodies(store, target).length),
        [1, 0],
      );
      assert.equal(store.stats().bytes, size + 1);
    });

    test('objects', () => {
      const store = make({ maxObjects: 2 });
      for (const target of ['/a', '/b', '/c']) put(store, storable(target, 'x'));
      assert.deepEqual(bodies(store, '/a'), []);
      assert.equal(store.stats().objects, 2);
    });

    test('variants of one key: the least recently used of them goes', () => {
      const store = make({ maxVariants: 2 });
      const one = put(store, storable('/', 'one', { accept: 'a' }));
      put(store, storable('/', 'two', { accept: 'b' }));
      store.touch(one);
      put(store, storable('/', 'three', { accept: 'c' }));
      assert.deepEqual(bodies(store, '/'), ['one', 'three']);
      assert.equal(store.stats().variantEvictions, 1);
      assert.equal(store.stats().evictions, 0);
    });

    test('a body above the limit of one is refused and counted, and throws nothing out', () => {
      const store = make({ maxObjectBytes: 4 });
      put(store, storable('/a', '1234'));
      assert.equal(store.put(storable('/b', '12345')), undefined);
      assert.deepEqual(bodies(store, '/a'), ['1234']);
      assert.equal(store.stats().refusedTooLarge, 1);
    });

    test('so is what is larger than the whole store', () => {
      const store = make({ maxBytes: 2 * SIZE(make) });
      put(store, storable('/a', 'x'));
      assert.equal(store.put(storable('/b', '', { padding: 3 * SIZE(make) })), undefined);
      assert.deepEqual(bodies(store, '/a'), ['x']);
    });

    test('a limit that makes no sense is refused at once', () => {
      for (const bad of [0, -1, 1.5, Number.NaN]) assert.throws(() => make({ maxObjects: bad }), RangeError);
    });
  });

  writerContract(name, make);
  sweepContract(name, make);
}

function writerContract(name: string, make: (limits?: ContractLimits) => CacheStore): void {
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
    });

    test('bytes being gathered are bounded over all writers, and counted', () => {
      const store = make({ maxPendingBytes: 100_000 });
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

function sweepContract(name: string, make: (limits?: ContractLimits) => CacheStore): void {
  const filled = () => {
    const store = make();
    for (let i = 0; i < 100; i += 1) put(store, storable(`/${i}`, 'x', { barrier: i % 2 }));
    return store;
  };
  const purged = (entry: Pick<CacheEntry, 'head'>) => entry.head.barrier < 1;

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
