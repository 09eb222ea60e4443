// What every store must do, told from simple to complex. Each test gets a store of its own.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Batch, Operation } from '../../../control-plane/decide/keys.ts';
import { type Store, StoreError, type Watch } from '../../../control-plane/ports.ts';

export interface StoreUnderTest {
  readonly store: Store;
  /** Closes the store and opens what it wrote again, as a new process would. */
  reopen(): Promise<Store>;
}

/** `open` gives an empty store, closed after the test; undefined when it skipped the test. */
export function storeContract(name: string, open: (t: TestContext) => Promise<StoreUnderTest | undefined>): void {
  const contract = (
    title: string,
    run: (store: Store, reopen: StoreUnderTest['reopen'], t: TestContext) => Promise<void>,
  ): void => {
    test(`${name}: ${title}`, { timeout: 60_000 }, async (t) => {
      const under = await open(t);
      if (under) await run(under.store, under.reopen, t);
    });
  };

  contract('an empty store has nothing under a prefix', async (store) => {
    assert.deepEqual((await store.read('/a/')).entries, []);
  });

  contract('what was put is read back with the revision that wrote it', async (store) => {
    const first = await commit(store, put('/a/x', '{"n":1}'));
    const second = await commit(store, put('/a/y', '{"n":"žluťoučký 🐎"}'));
    assert.ok(second > first);
    assert.deepEqual(await store.read('/a/'), {
      revision: second,
      entries: [
        { key: '/a/x', value: '{"n":1}', modRevision: first },
        { key: '/a/y', value: '{"n":"žluťoučký 🐎"}', modRevision: second },
      ],
    });
  });

  contract('a key that is put again has the new value and the new revision', async (store) => {
    await commit(store, put('/a/x', '1'));
    const revision = await commit(store, put('/a/x', '2'));
    assert.deepEqual((await store.read('/a/')).entries, [{ key: '/a/x', value: '2', modRevision: revision }]);
  });

  contract('a prefix covers its keys alone', async (store) => {
    await commit(store, put('/a/x', '1'), put('/a', '2'), put('/ab', '3'), put('/a0', '4'), put('/A/x', '5'));
    assert.deepEqual(keys((await store.read('/a/')).entries), ['/a/x']);
    assert.deepEqual(keys((await store.read('/a')).entries), ['/a', '/a/x', '/a0', '/ab']);
  });

  contract('a transaction writes all its operations at one revision', async (store) => {
    await commit(store, put('/a/old', '0'));
    const revision = await commit(store, put('/a/x', '1'), put('/a/y', '2'), remove('/a/old'));
    assert.deepEqual((await store.read('/a/')).entries, [
      { key: '/a/x', value: '1', modRevision: revision },
      { key: '/a/y', value: '2', modRevision: revision },
    ]);
  });

  contract(
    'a transaction whose comparison fails writes nothing and says at which revision the store is',
    async (store) => {
      const revision = await commit(store, put('/a/x', '1'));
      for (const modRevision of [0, revision + 1, revision - 1]) {
        const compares = [
          { key: '/a/y', modRevision: 0 },
          { key: '/a/x', modRevision },
        ];
        const result = await store.commit({ compares, operations: [put('/a/x', '2'), put('/a/z', '3')] });
        assert.deepEqual(result, { kind: 'conflict', revision });
      }
      assert.deepEqual(await store.read('/a/'), {
        revision,
        entries: [{ key: '/a/x', value: '1', modRevision: revision }],
      });
    },
  );

  contract('comparisons may ask for a revision, and for a key not to exist', async (store) => {
    const revision = await commit(store, put('/a/x', '1'));
    const compares = [
      { key: '/a/x', modRevision: revision },
      { key: '/a/y', modRevision: 0 },
    ];
    assert.equal((await store.commit({ compares, operations: [put('/a/y', '2')] })).kind, 'committed');
    assert.equal((await store.commit({ compares, operations: [put('/a/y', '3')] })).kind, 'conflict');
  });

  contract('a transaction without operations only compares', async (store) => {
    const revision = await commit(store, put('/a/x', '1'));
    const ask = (modRevision: number) => store.commit({ compares: [{ key: '/a/x', modRevision }], operations: [] });
    assert.deepEqual(await ask(revision), { kind: 'committed', revision });
    assert.deepEqual(await ask(0), { kind: 'conflict', revision });
  });

  contract('a key that was deleted does not exist for a comparison', async (store) => {
    await commit(store, put('/a/x', '1'));
    await commit(store, remove('/a/x'));
    const result = await store.commit({ compares: [{ key: '/a/x', modRevision: 0 }], operations: [put('/a/x', '2')] });
    assert.equal(result.kind, 'committed');
  });

  contract('deleting what does not exist changes nothing', async (store) => {
    const revision = await commit(store, put('/a/x', '1'));
    assert.equal(await commit(store, remove('/a/none')), revision);
  });

  contract('a key twice in one transaction is refused whole', async (store) => {
    const refused = store.commit({ compares: [], operations: [put('/a/y', '0'), put('/a/x', '1'), put('/a/x', '2')] });
    await assert.rejects(refused, StoreError);
    assert.deepEqual((await store.read('/a/')).entries, []);
  });

  contract('of writers that compare the same revision exactly one wins each round', async (store) => {
    let revision = await commit(store, put('/a/x', 'start'));
    for (let round = 0; round < 3; round += 1) {
      const compares = [{ key: '/a/x', modRevision: revision }];
      const results = await Promise.all(
        Array.from({ length: 20 }, (_, i) => store.commit({ compares, operations: [put('/a/x', `${round}.${i}`)] })),
      );
      assert.equal(results.filter(({ kind }) => kind === 'committed').length, 1);
      const winner = results.findIndex(({ kind }) => kind === 'committed');
      const [entry] = (await store.read('/a/x')).entries;
      assert.equal(entry?.value, `${round}.${winner}`);
      revision = entry?.modRevision ?? 0;
    }
  });

  contract('a value of a mebibyte comes back whole', async (store) => {
    const value = JSON.stringify('ž'.repeat(512 * 1024));
    await commit(store, put('/a/x', value));
    assert.equal((await store.read('/a/')).entries[0]?.value, value);
  });

  contract('more keys than fit into one page are read at one revision', async (store) => {
    let revision = 0;
    for (let i = 0; i < 12; i += 1) {
      revision = await commit(store, ...Array.from({ length: 100 }, (_, j) => put(`/a/${i * 100 + j}`, '1')));
    }
    const reading = await store.read('/a/');
    assert.equal(reading.revision, revision);
    assert.equal(new Set(keys(reading.entries)).size, 1200);
    assert.deepEqual(keys(reading.entries), keys(reading.entries).toSorted());
  });

  contract('a watch gets each transaction under its prefix as one batch, in order', async (store, _, t) => {
    const revision = await commit(store, put('/b/before', '0'));
    const seen = watch(t, store, '/a/', revision + 1);
    const first = await commit(store, put('/a/x', '1'), put('/b/x', '1'), put('/a/y', '1'));
    await commit(store, put('/b/x', '2'));
    const second = await commit(store, remove('/a/x'), put('/a/y', '2'));
    const third = await commit(store, put('/a/last', '1'));
    await seen.until(third);
    assert.deepEqual(seen.batches, [
      { revision: first, events: [put('/a/x', '1'), put('/a/y', '1')] },
      { revision: second, events: [remove('/a/x'), put('/a/y', '2')] },
      { revision: third, events: [put('/a/last', '1')] },
    ]);
  });

  contract('a watch resumes from a revision and misses nothing', async (store, _, t) => {
    const revisions: number[] = [];
    for (let i = 0; i < 5; i += 1) revisions.push(await commit(store, put('/a/x', String(i))));
    const seen = watch(t, store, '/a/', revisions[2] ?? 0);
    const last = await commit(store, put('/a/x', 'last'));
    await seen.until(last);
    assert.deepEqual(
      seen.batches.map(({ revision }) => revision),
      [...revisions.slice(2), last],
    );
  });

  contract(
    'what was read and what is watched from there on make up the whole, while others write',
    async (store, _, t) => {
      const writers = Array.from({ length: 4 }, async (_unused, writer) => {
        for (let i = 0; i < 10; i += 1) await commit(store, put(`/a/${writer}`, String(i)));
      });
      await commit(store, put('/a/start', '0'));
      const reading = await store.read('/a/');
      const seen = watch(t, store, '/a/', reading.revision + 1);
      await Promise.all(writers);
      const last = await commit(store, put('/a/end', '0'));
      await seen.until(last);
      const whole = new Map(reading.entries.map(({ key, value }) => [key, value]));
      for (const { events } of seen.batches) {
        for (const event of events) if (event.kind === 'put') whole.set(event.key, event.value);
      }
      const now = (await store.read('/a/')).entries.map(({ key, value }) => [key, value] as const);
      assert.deepEqual([...whole].toSorted(), now);
    },
  );

  contract('a watch that was stopped hears nothing more', async (store, _, t) => {
    const revision = await commit(store, put('/a/x', '1'));
    const stopped = watch(t, store, '/a/', revision + 1);
    const going = watch(t, store, '/a/', revision + 1);
    await going.until(await commit(store, put('/a/x', '2')));
    stopped.watch.stop();
    const heard = stopped.batches.length;
    await going.until(await commit(store, put('/a/x', '3')));
    assert.equal(stopped.batches.length, heard);
    assert.deepEqual(stopped.lost, []);
  });

  contract('what was committed survives a restart, and revisions go on rising', async (store, reopen) => {
    const identity = await store.identity();
    const revision = await commit(store, put('/a/x', '1'));
    const again = await reopen();
    assert.equal(await again.identity(), identity);
    assert.deepEqual((await again.read('/a/')).entries, [{ key: '/a/x', value: '1', modRevision: revision }]);
    assert.ok((await commit(again, put('/a/x', '2'))) > revision);
  });

  contract('a store that was closed refuses, with a reason', async (store) => {
    await store.close();
    const refused = (error: unknown) => error instanceof StoreError && error.kind === 'unavailable';
    await assert.rejects(store.read('/a/'), refused);
    await assert.rejects(store.commit({ compares: [], operations: [put('/a/x', '1')] }), refused);
  });
}

export const put = (key: string, value: string): Operation => ({ kind: 'put', key, value });
export const remove = (key: string): Operation => ({ kind: 'delete', key });

/** Commits without comparisons; the revision. */
export async function commit(store: Store, ...operations: Operation[]): Promise<number> {
  const result = await store.commit({ compares: [], operations });
  assert.equal(result.kind, 'committed');
  return result.revision;
}

const keys = (entries: readonly { readonly key: string }[]): string[] => entries.map(({ key }) => key);

interface Seen {
  readonly watch: Watch;
  readonly batches: Batch[];
  readonly lost: string[];
  /** Resolves once a batch of this revision or later came. */
  until(revision: number): Promise<void>;
}

/** Watches and keeps what comes; fails when revisions do not rise. */
export function watch(t: TestContext, store: Store, prefix: string, fromRevision: number): Seen {
  const batches: Batch[] = [];
  const lost: string[] = [];
  let woken = Promise.withResolvers<void>();
  const wake = (): void => {
    woken.resolve();
    woken = Promise.withResolvers();
  };
  const handle = store.watch(prefix, fromRevision, {
    onBatch(batch) {
      batches.push(batch);
      wake();
    },
    onLost(reason) {
      lost.push(reason);
      wake();
    },
  });
  t.after(() => handle.stop());
  return {
    watch: handle,
    batches,
    lost,
    async until(revision) {
      while ((batches.at(-1)?.revision ?? 0) < revision) {
        assert.deepEqual(lost, []);
        await woken.promise;
      }
      const revisions = batches.map((batch) => batch.revision);
      assert.deepEqual(
        revisions,
        [...new Set(revisions)].toSorted((a, b) => a - b),
        'revisions rise',
      );
    },
  };
}
