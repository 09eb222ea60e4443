// The store over etcd: the contract, against a real server, and what a network brings with it.
import assert from 'node:assert/strict';
import { after, type TestContext, test } from 'node:test';
import { openEtcdStore } from '../../../control-plane/io/etcd-store.ts';
import { type Store, StoreError } from '../../../control-plane/ports.ts';
import { systemClock } from '../../../infra/runtime/clock.ts';
import { type Etcd, startEtcd } from '../../support/etcd.ts';
import { commit, put, storeContract, watch } from './store-contract.ts';

function open(t: TestContext, etcd: Etcd): Store {
  const store = openEtcdStore([etcd.endpoint], systemClock);
  t.after(() => store.close());
  return store;
}

// One server for the whole contract, emptied before each test.
let shared: Promise<Etcd | undefined> | undefined;
let stopShared = async (): Promise<void> => undefined;
after(() => stopShared());

storeContract('etcd', async (t) => {
  shared ??= startEtcd(t, (stop) => {
    stopShared = stop;
  });
  const etcd = await shared;
  if (!etcd) {
    t.skip('no etcd binary in PATH');
    return undefined;
  }
  await etcd.clear();
  const store = open(t, etcd);
  return {
    store,
    async reopen() {
      await store.close();
      await etcd.kill();
      await etcd.restart();
      return open(t, etcd);
    },
  };
});

test('two clusters have two identities', async (t) => {
  const a = await startEtcd(t);
  const b = await startEtcd(t);
  if (!a || !b) return;
  assert.notEqual(await open(t, a).identity(), await open(t, b).identity());
});

test('a server that goes away ends the watch, fails calls soon, and can be used again once it is back', async (t) => {
  const etcd = await startEtcd(t);
  if (!etcd) return;
  const store = open(t, etcd);
  const revision = await commit(store, put('/a/x', '1'));
  const seen = watch(t, store, '/a/', revision);
  await seen.until(revision);
  await etcd.kill();
  await assert.rejects(seen.until(revision + 1));
  assert.equal(seen.lost.length, 1);
  const unavailable = (error: unknown) => error instanceof StoreError && error.kind === 'unavailable';
  await assert.rejects(commit(store, put('/a/x', '2')), unavailable);
  const unborn = watch(t, store, '/a/', revision);
  await assert.rejects(unborn.until(revision));
  await etcd.restart();
  const next = await commit(store, put('/a/x', '3'));
  const resumed = watch(t, store, '/a/', revision + 1);
  await resumed.until(next);
});

test('a transaction beyond what the server takes is refused whole, and says which limits to raise', async (t) => {
  const etcd = await startEtcd(t);
  if (!etcd) return;
  const store = open(t, etcd);
  const tooLarge = (error: unknown) =>
    error instanceof StoreError && error.kind === 'too-large' && /--max-txn-ops/.test(error.message);
  await assert.rejects(commit(store, ...Array.from({ length: 200 }, (_, i) => put(`/a/${i}`, '1'))), tooLarge);
  await assert.rejects(commit(store, put('/a/y', '1'), put('/a/x', 'x'.repeat(3 * 1024 * 1024))), tooLarge);
  assert.deepEqual((await store.read('/a/')).entries, []);
});

test('a revision that is compacted away ends the watch', async (t) => {
  const etcd = await startEtcd(t);
  if (!etcd) return;
  const store = open(t, etcd);
  const first = await commit(store, put('/a/x', '1'));
  await commit(store, put('/a/x', '2'));
  const last = await commit(store, put('/a/x', '3'));
  await etcd.compact(last);
  const seen = watch(t, store, '/a/', first);
  await assert.rejects(seen.until(last));
  assert.match(seen.lost[0] ?? '', /compacted/);
});

test('of two addresses the one that answers is used', async (t) => {
  const etcd = await startEtcd(t);
  if (!etcd) return;
  const store = openEtcdStore(['http://127.0.0.1:1', etcd.endpoint], systemClock);
  t.after(() => store.close());
  for (let i = 0; i < 8; i += 1) await commit(store, put('/a/x', String(i)));
  assert.equal((await store.read('/a/x')).entries[0]?.value, '7');
});

test('what is not the address of a member is refused', () => {
  for (const endpoint of ['127.0.0.1:2379', 'http://127.0.0.1', 'ftp://host:1', 'http://host:2379/path', '']) {
    assert.throws(() => openEtcdStore([endpoint], systemClock), /is not the address of an etcd member/);
  }
  assert.throws(() => openEtcdStore([], systemClock), /at least one address/);
});
