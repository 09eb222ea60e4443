// What every place must do where responses are kept, whether it answers at once or later. A store's own test calls this with a
// way to make one; `atOnce` makes one of a CacheStore.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { CacheEntry, CacheStore, Storable, StoredHead } from '../../../../edge-node/decide/cache/entry.ts';
import { seededRandom } from '../../../../infra/runtime/random.ts';
import { storable } from './store-support.ts';
import { below, headOf, named, pick } from './support.ts';

export interface AnyStore {
  /** All variants, with their bodies. */
  find(key: string): Promise<readonly CacheEntry[]>;
  put(entry: Storable): void;
  refresh(entry: CacheEntry, head: StoredHead): void;
  remove(key: string): void;
  removeEntry(entry: CacheEntry): void;
  /** When all that was asked for is done. */
  settle(): Promise<void>;
  objects(): number;
}

export interface AnyLimits {
  readonly maxObjects?: number;
  readonly maxVariants?: number;
}

export function atOnce(store: CacheStore): AnyStore {
  return {
    find: async (key) => store.find(key),
    put: (entry) => void store.put(entry),
    refresh: (entry, head) => store.refresh(entry, head),
    remove: (key) => store.remove(key),
    removeEntry: (entry) => store.removeEntry(entry),
    settle: async () => undefined,
    objects: () => store.stats().objects,
  };
}

export function storedContract(name: string, make: (limits?: AnyLimits) => Promise<AnyStore>): void {
  const bodies = async (store: AnyStore, target: string): Promise<string[]> => {
    await store.settle();
    return (await store.find(named(target).key)).map(({ body }) => body.toString()).toSorted();
  };
  const only = async (store: AnyStore, target: string): Promise<CacheEntry> => {
    await store.settle();
    const [entry, ...others] = await store.find(named(target).key);
    assert.ok(entry !== undefined && others.length === 0, 'one entry');
    return entry;
  };

  describe(`${name}: what every store does`, () => {
    test('what was put is found under its key alone, as it was put', async () => {
      const store = await make();
      assert.deepEqual(await bodies(store, '/a'), []);
      const entry = storable('/a', 'hello', { accept: 'x', padding: 300, barrier: 0 });
      store.put(entry);
      const found = await only(store, '/a');
      assert.deepEqual(found.head, entry.head);
      assert.deepEqual(found.body, entry.body);
      assert.deepEqual([found.key, found.host, found.purgeTarget], [entry.key, entry.host, entry.purgeTarget]);
      assert.deepEqual(await bodies(store, '/b'), []);
    });

    test('variants stand side by side; the same variant is replaced', async () => {
      const store = await make();
      store.put(storable('/', 'one', { accept: 'a' }));
      store.put(storable('/', 'two', { accept: 'b' }));
      assert.deepEqual(await bodies(store, '/'), ['one', 'two']);
      store.put(storable('/', 'three', { accept: 'a' }));
      assert.deepEqual(await bodies(store, '/'), ['three', 'two']);
      assert.equal(store.objects(), 2);
    });

    test('what was requested before a purge does not replace what was requested after', async () => {
      const store = await make();
      store.put(storable('/', 'new', { barrier: 2 }));
      store.put(storable('/', 'old', { barrier: 1 }));
      assert.deepEqual(await bodies(store, '/'), ['new']);
      store.put(storable('/', 'newer', { barrier: 2 }));
      assert.deepEqual(await bodies(store, '/'), ['newer']);
    });

    test('what is removed is gone: all of a key, or one variant; and may come again', async () => {
      const store = await make();
      store.put(storable('/', 'one', { accept: 'a' }));
      store.put(storable('/', 'two', { accept: 'b' }));
      store.put(storable('/x', 'three'));
      await store.settle();
      const one = (await store.find(named('/').key)).find(({ body }) => body.toString() === 'one');
      assert.ok(one);
      store.removeEntry(one);
      assert.deepEqual(await bodies(store, '/'), ['two']);
      store.remove(named('/').key);
      assert.deepEqual(await bodies(store, '/'), []);
      assert.deepEqual(await bodies(store, '/x'), ['three']);
      store.put(storable('/', 'four', { accept: 'a' }));
      assert.deepEqual(await bodies(store, '/'), ['four']);
    });

    test('what is removed right after it was put, before it is settled, is gone', async () => {
      const store = await make();
      store.put(storable('/', 'one'));
      store.remove(named('/').key);
      assert.deepEqual(await bodies(store, '/'), []);
    });

    test('a refresh replaces the head and keeps the body, whether the head grows or shrinks', async () => {
      const store = await make();
      store.put(storable('/', 'body', { padding: 50 }));
      for (const padding of [50, 51, 1000, 0, 10_000]) {
        const { head } = storable('/', '', { barrier: 3, padding });
        store.refresh(await only(store, '/'), head);
        const found = await only(store, '/');
        assert.deepEqual(found.head, head);
        assert.equal(found.body.toString(), 'body');
      }
      assert.equal(store.objects(), 1);
    });

    test('a refresh does not go back behind a purge, nor bring back what is gone', async () => {
      const store = await make();
      store.put(storable('/', 'body', { barrier: 5 }));
      const entry = await only(store, '/');
      store.refresh(entry, storable('/', '', { barrier: 4 }).head);
      assert.equal((await only(store, '/')).head.barrier, 5);
      store.remove(entry.key);
      store.refresh(entry, storable('/', '', { barrier: 6 }).head);
      assert.deepEqual(await bodies(store, '/'), []);
    });

    test('a refresh of what another response has taken the place of changes nothing', async () => {
      const store = await make();
      const of = (tag: string): Storable => ({
        ...storable('/', tag),
        head: headOf(['cache-control', 'max-age=60', 'etag', tag]),
      });
      store.put(of('"old"'));
      const old = await only(store, '/');
      store.put(of('"new"'));
      await store.settle();
      store.refresh(old, of('"old"').head);
      await store.settle();
      const found = await only(store, '/');
      assert.deepEqual([found.head.etag, found.body.toString()], ['"new"', '"new"']);
    });

    test('a refresh into the place of another variant takes that place', async () => {
      const store = await make();
      store.put(storable('/', 'one', { accept: 'a' }));
      const one = await only(store, '/');
      store.put(storable('/', 'two', { accept: 'b' }));
      await store.settle();
      store.refresh(one, storable('/', '', { accept: 'b' }).head);
      assert.deepEqual(await bodies(store, '/'), ['one']);
      assert.equal(store.objects(), 1);
    });

    test('limits: objects, and variants of one key', async () => {
      const store = await make({ maxObjects: 400, maxVariants: 3 });
      for (let i = 0; i < 1000; i += 1) {
        store.put(storable(`/${i}`, 'x'));
        await store.settle();
        assert.ok(store.objects() <= 400);
      }
      assert.deepEqual(await bodies(store, '/999'), ['x']);
      for (let i = 0; i < 5; i += 1) {
        store.put(storable('/', `${i}`, { accept: `${i}` }));
        await store.settle();
      }
      const left = await bodies(store, '/');
      assert.ok(left.length === 3 && left.includes('4'));
    });

    test('thousands of operations: only what was put last, or nothing', async () => {
      const random = seededRandom(11);
      const store = await make({ maxObjects: 400 });
      const last = new Map<string, string>();
      const targets = Array.from({ length: 100 }, (_, i) => `/${i}`);
      for (let i = 0; i < 3000; i += 1) {
        const target = pick(random, targets);
        const choice = below(random, 10);
        if (choice < 6) {
          last.set(target, `${i}`);
          store.put(storable(target, `${i}`, { padding: below(random, 300) }));
        } else if (choice < 7) {
          last.delete(target);
          store.remove(named(target).key);
        } else if (choice < 8) {
          const [entry] = await store.find(named(target).key);
          if (entry) store.refresh(entry, storable(target, '', { padding: below(random, 300) }).head);
        }
        if (choice % 3 === 0) await store.settle();
        const found = await store.find(named(target).key);
        if (choice % 3 === 0 && last.get(target) === undefined) assert.equal(found.length, 0);
        for (const { body } of found) {
          if (choice % 3 === 0) assert.equal(body.toString(), last.get(target));
        }
      }
    });
  });
}
