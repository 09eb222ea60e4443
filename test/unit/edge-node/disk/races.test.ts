// What happens between two steps of the disk tier.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DiskStore } from '../../../../edge-node/io/disk/disk-store.ts';
import { silentLog } from '../../../../infra/runtime/log.ts';
import { storable } from '../cache/store-support.ts';
import { named } from '../cache/support.ts';
import { assertBody, bodyOf, crash, openDisk } from './disk-support.ts';

test('what does not fit into a segment that was begun goes into a free one', async () => {
  const disk = await openDisk();
  disk.tier.store.put(storable('/small', bodyOf('/small', 20_000)));
  await disk.tier.close();
  const again = await openDisk({ files: disk.files });
  again.tier.store.put(storable('/large', bodyOf('/large', 50_000)));
  await again.settle();
  for (const target of ['/small', '/large'])
    assertBody(target, (await again.find(target))[0]?.body ?? assert.fail(target));
});

test('what another thread removes between the look-up and the reading is not found', async () => {
  const disk = await openDisk({ threads: 2 });
  const { store, handles } = disk.tier;
  const other = new DiskStore(handles, 1, { files: disk.files, log: silentLog, crowded: () => undefined });
  store.put(storable('/', 'x'));
  await disk.settle();
  const { index } = store;
  const locked = index.locked.bind(index);
  index.locked = (action) => {
    const result = locked(action);
    index.locked = locked;
    // The mark in the record comes too late to be read.
    disk.files.held = new Promise(() => undefined);
    other.remove(named('/').key);
    return result;
  };
  assert.deepEqual(await disk.bodies('/'), []);
});

test('what is removed while its head is being written in its place does not come back after a crash', async () => {
  const disk = await openDisk();
  const { store } = disk.tier;
  store.put(storable('/', 'x'));
  await disk.settle();
  const { promise, resolve } = Promise.withResolvers<void>();
  disk.files.held = promise;
  const entry = storable('/', 'x');
  assert.ok(store.refresh(entry, entry.head, true));
  // It has been read, and is about to be written.
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
  disk.files.held = undefined;
  store.remove(named('/').key);
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
  resolve();
  await disk.settle();
  assert.deepEqual(await (await crash(disk)).bodies('/'), []);
});
