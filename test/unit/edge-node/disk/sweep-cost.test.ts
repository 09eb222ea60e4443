// What it costs to sweep the disk, and when it does not.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Disk, openDisk } from './disk-support.ts';
import { fill, found, RED, tagged, turns, walked } from './sweep-support.ts';

describe('what it costs', () => {
  /** Each read takes so long. */
  function slow(disk: Disk, ms: number): void {
    const { files } = disk;
    const read = files.read.bind(files);
    files.read = (fd, target, position) => {
      disk.clock.advance(ms);
      return read(fd, target, position);
    };
  }

  test('of all time it works a tenth, and purges that come meanwhile are swept together', async () => {
    const disk = await openDisk();
    await fill(disk, 300);
    const recorder = disk.tier.journal(disk.barrier);
    slow(disk, 10);
    recorder.apply(RED);
    await walked(disk);
    const took = disk.clock.monotonic();
    assert.ok(took >= 30, `${took} ms`);
    await turns();
    for (let i = 0; i < 10; i += 1) recorder.apply(RED);
    await turns();
    const { reads } = disk.files;
    disk.clock.advance(9 * took - 1);
    await turns();
    assert.equal(disk.files.reads, reads);
    disk.clock.advance(1);
    await walked(disk, 2);
    // None of the ten is left over, and after as long again a purge is swept at once.
    disk.clock.advance(20 * took);
    await turns();
    assert.equal(disk.tier.store.stats().walks, 2);
    recorder.apply(RED);
    await walked(disk, 3);
  });

  test('a long walk rests on its way', async () => {
    const disk = await openDisk();
    await fill(disk, 600);
    slow(disk, 4000);
    disk.tier.journal(disk.barrier).apply(RED);
    await turns(5000);
    const { swept } = disk.tier.store.stats();
    assert.ok(swept > 0 && swept < 400, `${swept} are swept`);
    for (let since = 0; disk.tier.store.stats().walks === 0; ) {
      const { reads } = disk.files;
      const worked = disk.clock.monotonic() - since;
      assert.ok(worked >= 10_000 && worked < 200_000, `${worked} ms`);
      disk.clock.advance(9 * worked - 1);
      await turns();
      assert.equal(disk.files.reads, reads);
      disk.clock.advance(1);
      since = disk.clock.monotonic();
      await turns(5000);
    }
    assert.deepEqual(await found(disk, 600), [200, 0]);
  });

  test('it ends when the tier is closed or fails, wherever it is', async () => {
    for (const end of ['close', 'fail'] as const) {
      for (let after = 0; after < 400; after += 20) {
        const disk = await openDisk();
        await fill(disk, 100);
        disk.tier.journal(disk.barrier).apply(RED);
        await turns(after);
        if (end === 'fail') disk.files.failReads = 'EIO';
        await disk.tier.close();
        const { reads } = disk.files;
        disk.clock.advance(1_000_000);
        await turns();
        assert.equal(disk.files.reads, reads);
        disk.files.failReads = undefined;
        if (end === 'fail') continue;
        const again = await openDisk({ files: disk.files });
        again.clock.advance(60_000);
        await walked(again);
        assert.deepEqual(await found(again, 100), [34, 0]);
      }
    }
  });
});

describe('making room', () => {
  /** Stores until something was moved. */
  async function untilMoved(disk: Disk): Promise<void> {
    for (let i = 0; disk.tier.store.stats().moved === 0; i += 1) {
      assert.ok(i < 3000);
      disk.tier.store.put(tagged(`/blue/${i}`, { barrier: disk.barrier.current }));
      if (i % 10 === 0) await disk.settle();
    }
  }

  test('does not take along what was purged', async () => {
    const disk = await openDisk();
    await fill(disk, 30);
    await found(disk, 30);
    // Without a walk.
    disk.barrier.apply(RED);
    await untilMoved(disk);
    assert.deepEqual(await found(disk, 30), [10, 0]);
    assert.equal(disk.tier.store.stats().swept, 20);
  });

  test('takes it along when another process is to have the folder, and nothing is swept', async () => {
    const disk = await openDisk();
    await fill(disk, 30);
    await found(disk, 30);
    disk.tier.stopSweeping();
    disk.tier.journal(disk.barrier).apply(RED);
    await untilMoved(disk);
    assert.deepEqual(await found(disk, 30), [10, 20]);
    assert.equal(disk.tier.store.stats().walks, 0);
  });
});
