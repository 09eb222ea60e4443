// The shared store: the contract of every store, then what is its own, with several stores over one memory in place of threads.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { CacheEntry } from '../../../../edge-node/decide/cache/entry.ts';
import { allocateSharedStore } from '../../../../edge-node/io/shared/handles.ts';
import { SharedStore, type SharedStoreOptions } from '../../../../edge-node/io/shared/shared-store.ts';
import { storeContract } from '../cache/store-contract.ts';
import { bodies, type ContractLimits, put, storable } from '../cache/store-support.ts';
import { named } from '../cache/support.ts';

const KEY = { k0: 1, k1: 2 };
const MAX_BYTES = 8 * 1024 * 1024;

function make(limits: ContractLimits = {}, options?: SharedStoreOptions): SharedStore {
  return new SharedStore(allocateSharedStore({ maxBytes: MAX_BYTES, ...limits }, 1, KEY), 0, options);
}

function pair(limits: ContractLimits = {}, options?: SharedStoreOptions): [SharedStore, SharedStore] {
  const handles = allocateSharedStore({ maxBytes: MAX_BYTES, ...limits }, 2, KEY);
  return [new SharedStore(handles, 0, options), new SharedStore(structuredClone(handles), 1, options)];
}

/** Every string has the same hash. */
const SAME_HASH = { of: () => {}, high: 1, low: 1 };
/** Strings meet in few buckets, and mostly with the same hash. */
function poorHash(): { of(text: string): void; high: number; low: number } {
  return {
    high: 0,
    low: 0,
    of(text) {
      this.low = text.length;
    },
  };
}

/** What is found the second time, and kept from then on. */
function kept(store: SharedStore, target: string): readonly CacheEntry[] {
  store.find(named(target).key);
  return store.find(named(target).key);
}

storeContract('shared', make, { paths: 1, around: 40 });
storeContract('shared, nothing kept by the thread', (limits) => make(limits, { localBytes: 0 }), {
  paths: 1,
  around: 40,
});
storeContract('shared, all hashes the same', (limits) => make(limits, { hash: SAME_HASH }), { paths: 1, around: 40 });

describe('a hit', () => {
  test('gives the same list and the same entries from the second time until something changes', () => {
    const store = make();
    put(store, storable('/', 'one'));
    const first = kept(store, '/');
    assert.equal(store.find(named('/').key), first);
    for (const entry of first) store.touch(entry);
    assert.equal(store.find(named('/').key), first);
    put(store, storable('/', 'two'));
    assert.notEqual(store.find(named('/').key), first);
    assert.equal(first[0]?.body.toString(), 'one');
  });

  test('makes no garbage', () => {
    const store = make();
    const keys = Array.from({ length: 50 }, (_, i) => put(store, storable(`/${i}`, 'x')).key);
    const hit = () => {
      for (let i = 0; i < keys.length; i += 1) {
        const entry = store.find(keys[i] ?? '')[0];
        if (entry !== undefined) store.touch(entry);
      }
    };
    for (let i = 0; i < 2000; i += 1) hit();
    let least = Number.POSITIVE_INFINITY;
    for (let round = 0; round < 20; round += 1) {
      const before = process.memoryUsage().heapUsed;
      for (let i = 0; i < 100; i += 1) hit();
      const grown = process.memoryUsage().heapUsed - before;
      if (grown >= 0) least = Math.min(least, grown);
    }
    assert.ok(least < 5000, `5,000 hits took ${least} bytes`);
  });

  test('a miss costs no new list', () => {
    const store = make();
    assert.equal(store.find('a'), store.find('b'));
  });
});

describe('two threads', () => {
  test('what one stores the other finds', () => {
    const [one, two] = pair();
    const entry = storable('/', 'hello', { accept: 'x', padding: 10 });
    put(one, entry);
    const [found] = two.find(entry.key);
    assert.deepEqual({ ...found?.head }, entry.head);
    assert.deepEqual([found?.key, found?.host, found?.purgeTarget], [entry.key, entry.host, entry.purgeTarget]);
    assert.equal(found?.body.toString(), 'hello');
  });

  test('what one removes, replaces, adds to or refreshes the other sees at once, also what it keeps', () => {
    const [one, two] = pair();
    const first = put(one, storable('/', 'one', { accept: 'a' }));
    assert.equal(kept(two, '/'), two.find(named('/').key));
    assert.deepEqual(bodies(two, '/'), ['one']);
    put(one, storable('/', 'two', { accept: 'b' }));
    assert.deepEqual(bodies(two, '/'), ['one', 'two']);
    put(one, storable('/', 'three', { accept: 'b' }));
    assert.deepEqual(bodies(two, '/'), ['one', 'three']);
    one.refresh(first, storable('/', '', { accept: 'a', barrier: 7 }).head);
    assert.equal(two.find(named('/').key)[0]?.head.barrier, 7);
    one.removeEntry(first);
    assert.deepEqual(bodies(two, '/'), ['three']);
    one.remove(named('/').key);
    assert.deepEqual(bodies(two, '/'), []);
    put(two, storable('/', 'four'));
    assert.deepEqual(bodies(one, '/'), ['four']);
    one.sweep(() => true, 10);
    assert.deepEqual(bodies(two, '/'), []);
  });

  test('an entry that one has found the other need not have read to touch, refresh or remove', () => {
    const [one, two] = pair({ maxObjects: 2 });
    const entry = put(one, storable('/a', 'x'));
    put(one, storable('/b', 'x'));
    const [found] = two.find(entry.key);
    assert.ok(found);
    two.touch(found);
    put(one, storable('/c', 'x'));
    assert.deepEqual([bodies(one, '/a').length, bodies(one, '/b').length], [1, 0]);
    two.removeEntry(entry);
    assert.deepEqual(bodies(one, '/a'), []);
  });

  test('an entry of the past does nothing to what has its place now', () => {
    const [one, two] = pair({ maxObjects: 1 });
    const past = put(one, storable('/a', 'x'));
    one.remove(past.key);
    put(two, storable('/b', 'y'));
    one.removeEntry(past);
    one.refresh(past, storable('/a', '').head);
    one.touch(past);
    assert.deepEqual(bodies(one, '/b'), ['y']);
    // Had the touch counted, another would not have taken its place so soon.
    put(one, storable('/c', 'z'));
    assert.deepEqual(bodies(two, '/b'), []);
  });

  test('moving what is used leaves what others have read as it is', () => {
    const size = put(make(), storable('/0', '0123456789')).size;
    const [one, two] = pair({ maxBytes: 3 * size });
    for (const target of ['/a', '/b', '/c']) put(one, storable(target, '0123456789'));
    const list = kept(two, '/a');
    for (const entry of list) two.touch(entry);
    put(one, storable('/d', '0123456789'));
    assert.equal(two.find(named('/a').key), list);
    assert.deepEqual(bodies(one, '/a'), ['0123456789']);
  });

  test('statistics are those of both, and only what is being gathered is bounded for each', () => {
    const [one, two] = pair({ maxPendingBytes: 100, maxObjectBytes: 60 });
    const { body: _, ...rest } = storable('/', '');
    const writers = [one, one, two].map((store) => store.begin(rest, 60));
    assert.deepEqual(
      writers.map((writer) => writer !== undefined),
      [true, false, true],
    );
    assert.equal(one.stats().pendingBytes, 120);
    for (const store of [one, two]) assert.equal(store.begin(rest, 61), undefined);
    assert.deepEqual({ ...one.stats() }, { ...two.stats() });
    assert.deepEqual([two.stats().refusedTooLarge, two.stats().refusedPending], [2, 1]);
  });
});

describe('the ring', () => {
  test('holds what is as large as itself, and nothing larger', () => {
    const store = make({ maxBytes: 100_000, maxObjectBytes: 200_000 });
    const around = put(store, storable('/', '')).size;
    const body = Buffer.alloc(100_000 - around, 'x');
    put(store, storable('/a', 'small'));
    assert.equal(store.put(storable('/', Buffer.concat([body, Buffer.from('y')]))), undefined);
    assert.deepEqual(bodies(store, '/a'), ['small']);
    put(store, storable('/', body));
    assert.deepEqual(bodies(store, '/'), [body.toString()]);
    assert.deepEqual([store.stats().objects, store.stats().bytes], [1, 100_000]);
    put(store, storable('/', 'z'));
    assert.deepEqual(bodies(store, '/'), ['z']);
  });

  test('goes round many times, with bodies and records across its end at every byte', () => {
    const [store, other] = pair({ maxBytes: 4001 }, { localBytes: 0 });
    for (let i = 0; i < 5000; i += 1) {
      const body = String.fromCharCode(0x61 + (i % 26)).repeat(300 + (i % 301));
      put(store, storable(`/${i}`, body, { padding: i % 7 }));
      assert.deepEqual(bodies(other, `/${i}`), [body]);
      if (i % 3 === 0) for (const entry of other.find(named(`/${i}`).key)) other.touch(entry);
    }
    assert.ok(store.stats().objects > 3 && store.stats().evictions > 4000);
  });

  test('gives back what is removed from the middle when it comes round', () => {
    const size = put(make(), storable('/0', '0123456789')).size;
    const store = make({ maxBytes: 4 * size });
    for (const target of ['/a', '/b', '/c', '/d']) put(store, storable(target, '0123456789'));
    store.remove(named('/b').key);
    put(store, storable('/e', '0123456789'));
    put(store, storable('/f', '0123456789'));
    // /a was the oldest, and what /b left was free behind it.
    assert.deepEqual(
      ['/a', '/b', '/c', '/d', '/e', '/f'].map((target) => bodies(store, target).length),
      [0, 0, 1, 1, 1, 1],
    );
    assert.equal(store.stats().evictions, 1);
  });

  test('one pass over many things does not wash out what is used', () => {
    const store = make({ maxBytes: 100_000 });
    const used = Array.from({ length: 20 }, (_, i) => put(store, storable(`/used/${i}`, 'x'.repeat(500))));
    for (let i = 0; i < 2000; i += 1) {
      for (const entry of used) store.touch(entry);
      put(store, storable(`/once/${i}`, 'x'.repeat(500)));
    }
    for (let i = 0; i < used.length; i += 1) assert.equal(bodies(store, `/used/${i}`).length, 1);
  });

  test('work to make room is bounded: when all is used, something goes before all is moved', () => {
    const store = make({ maxBytes: 16 * 1024 * 1024 });
    const targets = Array.from({ length: 33 }, (_, i) => `/${i}`);
    for (const target of targets) store.touch(put(store, storable(target, Buffer.alloc(500_000))));
    put(store, storable('/last', Buffer.alloc(500_000)));
    // 4 MiB of moves, and then the next.
    assert.deepEqual(
      targets.filter((target) => bodies(store, target).length === 0),
      ['/9'],
    );
    assert.equal(bodies(store, '/last').length, 1);
  });
});

describe('keys', () => {
  test('with the same hash are told apart', () => {
    const [one, two] = pair({}, { hash: SAME_HASH });
    for (let i = 0; i < 200; i += 1) put(one, storable(`/${i}`, `body ${i}`));
    one.remove(named('/100').key);
    for (let i = 0; i < 200; i += 1) assert.deepEqual(bodies(two, `/${i}`), i === 100 ? [] : [`body ${i}`]);
    assert.deepEqual(two.find('http://example.com/none'), []);
    while (one.stats().objects > 0) one.sweep(() => true, 50);
    for (let i = 0; i < 200; i += 1) assert.deepEqual(bodies(two, `/${i}`), []);
  });

  test('may have as many variants as are allowed, each with its own body', () => {
    const [one, two] = pair({ maxVariants: 100 });
    for (let i = 0; i < 150; i += 1) put(one, storable('/', `body ${i}`, { accept: `${i}` }));
    const found = two.find(named('/').key);
    assert.deepEqual(
      found.map((entry) => entry.body.toString()),
      Array.from({ length: 100 }, (_, i) => `body ${i + 50}`),
    );
    assert.equal(one.stats().variantEvictions, 50);
  });

  test('may be of any length and any characters', () => {
    const [one, two] = pair();
    for (const target of ['/', `/${'x'.repeat(50_000)}`, '/é', '/€', `/${'€'.repeat(100)}`]) {
      put(one, storable(target, target));
      assert.deepEqual(bodies(two, target), [target]);
    }
  });
});

describe('what a thread keeps', () => {
  test('is bounded, and what is too large for it is read each time', () => {
    const store = make({}, { localBytes: 64 * 1024 });
    put(store, storable('/large', Buffer.alloc(5000)));
    assert.notEqual(kept(store, '/large'), store.find(named('/large').key));
    const keys = Array.from({ length: 500 }, (_, i) => put(store, storable(`/${i}`, 'x'.repeat(100))).key);
    const lists = keys.map((_, i) => kept(store, `/${i}`));
    const isKept = (i: number) => store.find(keys[i] ?? '') === lists[i];
    assert.deepEqual([isKept(499), isKept(480), isKept(100), isKept(0)], [true, true, false, false]);
  });

  test('may be nothing at all', () => {
    const store = make({}, { localBytes: 0 });
    put(store, storable('/', 'x'));
    assert.notEqual(kept(store, '/'), kept(store, '/'));
  });
});

test('numbers that make no sense are refused', () => {
  for (const bad of [0, -1, 1.5, Number.NaN]) assert.throws(() => allocateSharedStore({}, bad, KEY), RangeError);
  const handles = allocateSharedStore({ maxBytes: 10_000 }, 2, KEY);
  for (const bad of [-1, 2, 0.5]) assert.throws(() => new SharedStore(handles, bad), /expected 0 to 1/);
  assert.throws(() => allocateSharedStore({ maxObjects: 2 ** 40 }, 1, KEY), /maxObjects/);
  assert.throws(() => allocateSharedStore({ maxBytes: 2 ** 52 }, 1, KEY), /cannot have 4503599627370496 bytes/);
  for (const bad of [-1, 0.5]) assert.throws(() => new SharedStore(handles, 0, { localBytes: bad }), RangeError);
});

test('a poor hash makes a slow store, not a wrong one', () => {
  const [one, two] = pair({}, { hash: poorHash() });
  for (let i = 0; i < 1000; i += 1) put(i % 2 ? one : two, storable(`/${i}`, `${i}`));
  for (let i = 0; i < 1000; i += 1) assert.deepEqual(bodies(i % 3 ? one : two, `/${i}`), [`${i}`]);
});
