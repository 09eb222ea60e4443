// What every cache store must do, whatever it keeps things in. A store's own test calls this with a way to make one.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { CacheStore, Storable } from '../../../../edge-node/decide/cache/entry.ts';
import { sweepContract, writerContract } from './store-flow-contract.ts';
import { bodies, type ContractLimits, put, storable } from './store-support.ts';
import { named } from './support.ts';

const SIZE = (make: () => CacheStore) => put(make(), storable('/0', '0123456789')).size;

/** In what form a store keeps things, as far as it shows in sizes. */
export interface StoreForm {
  /** How often the path is kept: in the key, and in what a purge is compared with. */
  readonly paths: number;
  /** What an entry takes at least beside its key, bytes. */
  readonly around: number;
}

const OBJECTS: StoreForm = { paths: 2, around: 300 };

export function storeContract(name: string, make: (limits?: ContractLimits) => CacheStore, form = OBJECTS): void {
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

    test('bytes: everything that is kept of an entry counts', () => {
      const size = (entry: Storable) => put(make(), entry).size;
      const plain = size(storable('/', ''));
      assert.ok(plain > named('/').key.length + form.around, 'what surrounds it counts too');
      assert.equal(size(storable('/', 'x')), plain + 1);
      assert.equal(size(storable('/', '', { padding: 50 })), plain + 50);
      assert.equal(size(storable('/', '', { accept: 'abc' })), plain + ':abc'.length);
      assert.equal(size(storable('/abc', '')), plain + form.paths * 'abc'.length);
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
