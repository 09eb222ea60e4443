// What happens between two steps of the disk tier.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { storable } from '../cache/store-support.ts';
import { assertBody, bodyOf, openDisk } from './disk-support.ts';

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
