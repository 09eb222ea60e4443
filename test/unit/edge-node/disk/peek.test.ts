// Looking at what is on disk without leaving a trace: for who wants to know, not for who wants it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { storable } from '../cache/store-support.ts';
import { named } from '../cache/support.ts';
import { openDisk } from './disk-support.ts';

test('what is on disk is seen, and neither counted nor marked as used', async () => {
  const disk = await openDisk();
  const { store } = disk.tier;
  store.put(storable('/', 'one', { accept: 'a' }));
  store.put(storable('/', 'two', { accept: 'b' }));
  await disk.settle();
  const { key } = named('/');
  for (let i = 0; i < 3; i += 1) {
    const seen = (await store.peek(key)) ?? [];
    assert.deepEqual(seen.map(({ body }) => body.toString()).toSorted(), ['one', 'two']);
  }
  assert.deepEqual(await store.peek(named('/other').key), []);
  const { hits, misses } = store.stats();
  assert.deepEqual([hits, misses], [0, 0]);
  // The first use is the first.
  assert.deepEqual(
    (await store.find(key))?.map(({ again }) => again),
    [false, false],
  );
  assert.deepEqual(
    (await store.find(key))?.map(({ again }) => again),
    [true, true],
  );
  await disk.tier.close();
});

test('while nothing is looked up on disk, there is nothing to be seen either', async () => {
  const disk = await openDisk();
  disk.tier.hold(true);
  assert.equal(disk.tier.store.peek(named('/').key), undefined);
  disk.tier.hold(false);
  assert.deepEqual(await disk.tier.store.peek(named('/').key), []);
  await disk.tier.close();
});
