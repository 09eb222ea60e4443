// The disk tier: what is stored is found, also after a restart, and only as it was stored.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { storable } from '../cache/store-support.ts';
import { named } from '../cache/support.ts';
import { assertBody, bodyOf, crash, openDisk } from './disk-support.ts';

describe('disk', () => {
  test('what is stored is found when it is written, and after a restart', async () => {
    const disk = await openDisk();
    assert.equal(disk.tier.store.find(named('/a').key), undefined);
    const entry = storable('/a', bodyOf('/a', 1000));
    assert.ok(disk.tier.store.put(entry));
    await disk.settle();
    const [found] = await disk.find('/a');
    assert.deepEqual(found?.head, entry.head);
    assert.deepEqual(found.body, entry.body);
    await disk.tier.close();
    const again = await openDisk({ files: disk.files });
    assert.deepEqual((await again.find('/a'))[0]?.head, entry.head);
    assertBody('/a', (await again.find('/a'))[0]?.body ?? Buffer.alloc(1));
    const crashed = await crash(disk);
    assert.equal((await crashed.find('/a')).length, 1);
  });

  test('many, more than fit, all right', async () => {
    const disk = await openDisk();
    for (let i = 0; i < 2000; i += 1) {
      disk.tier.store.put(storable(`/${i}`, bodyOf(`/${i}`, (i * 37) % 5000)));
      if (i % 10 === 0) await disk.settle();
    }
    await disk.settle();
    let found = 0;
    for (let i = 0; i < 2000; i += 1) {
      for (const entry of await disk.find(`/${i}`)) {
        assertBody(`/${i}`, entry.body);
        found += 1;
      }
    }
    const { objects, damaged } = disk.tier.store.stats();
    assert.ok(found > 200);
    assert.deepEqual([objects, damaged], [found, 0]);
    const after = await crash(disk);
    assert.ok(after.tier.store.stats().objects > 200);
  });
});
