// Purges outlive a restart, and what cannot be judged by them counts as purged.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { PurgeBarrier } from '../../../../edge-node/decide/barrier.ts';
import { PurgeJournal } from '../../../../edge-node/io/disk/purge-journal.ts';
import type { Purge, PurgeTarget } from '../../../../proto/gen/meridian/v1/purge.ts';
import { MemoryFiles } from '../../../support/memory-files.ts';
import { storable } from '../cache/store-support.ts';
import { DATE, headOf, named } from '../cache/support.ts';
import { crash, type Disk, openDisk } from './disk-support.ts';

function purgeOf(sequence: number, path: string): Purge {
  return { sequence, targets: [{ target: { $case: 'url', value: { host: 'example.com', path } } }], soft: false };
}

/** Stored as if requested just now. */
function put(disk: Disk, target: string): void {
  disk.tier.store.put(storable(target, target, { barrier: disk.barrier.current }));
}

/** Those that are there and not purged. */
async function fresh(disk: Disk, ...targets: readonly string[]): Promise<string[]> {
  const all = [];
  for (const target of targets) {
    for (const { head, host, purgeTarget } of await disk.find(target)) {
      if (!disk.barrier.covers(head.barrier, host, purgeTarget)) all.push(target);
    }
  }
  return all;
}

describe('purges and the disk', () => {
  test('what was purged stays so after a crash, what was requested later is fresh', async () => {
    const disk = await openDisk();
    for (const target of ['/a', '/b', '/c']) put(disk, target);
    await disk.settle();
    const recorder = disk.tier.journal(disk.barrier);
    recorder.apply(purgeOf(1, '/a'));
    recorder.apply(purgeOf(2, '/b'));
    recorder.stand({ epoch: 7, sequence: 2 });
    put(disk, '/b');
    await disk.settle();
    const after = await crash(disk);
    assert.equal(after.barrier.current, 2);
    assert.deepEqual(after.tier.position, { epoch: 7, sequence: 2 });
    assert.deepEqual(await fresh(after, '/a', '/b', '/c'), ['/b', '/c']);
    // It counts on, so that the next purge is later than everything stored.
    after.tier.journal(after.barrier).apply(purgeOf(3, '/c'));
    assert.deepEqual(await fresh(after, '/a', '/b', '/c'), ['/b']);
    assert.deepEqual(await fresh(await crash(after), '/a', '/b', '/c'), ['/b']);
  });

  test('each kind of purge, hard and soft, reaches after a restart what it reached before', async () => {
    const kinds: readonly (readonly [string, PurgeTarget['target']])[] = [
      ['/url', { $case: 'url', value: { host: 'example.com', path: '/url' } }],
      ['/prefix/of/it', { $case: 'prefix', value: { host: 'example.com', path: '/prefix' } }],
      ['/tagged', { $case: 'tag', value: { tag: 'red', hosts: ['example.com'] } }],
      ['/tagged anywhere', { $case: 'tag', value: { tag: 'blue', hosts: [] } }],
    ];
    const tags: Readonly<Record<string, string>> = { '/tagged': 'red green', '/tagged anywhere': 'blue' };
    const all = [...kinds.map(([target]) => target), '/prefixed', '/green'];
    const everything: typeof kinds = [
      ['host', { $case: 'host', value: 'example.com' }],
      ['all', { $case: 'all', value: {} }],
    ];
    for (const soft of [false, true]) {
      for (const [name, target] of [...kinds, ...everything]) {
        const disk = await openDisk();
        const put = (path: string, barrier: number): void => {
          const fields = ['date', DATE, 'cache-control', 'max-age=60', 'surrogate-key', tags[path] ?? 'green'];
          disk.tier.store.put({ ...named(path), head: headOf(fields, { barrier }), body: Buffer.from(path) });
        };
        for (const path of all) put(path, 0);
        await disk.settle();
        disk.tier.journal(disk.barrier).apply({ sequence: 1, targets: [{ target }], soft });
        put('/later', disk.barrier.current);
        await disk.settle();
        const reached = await Promise.all(
          [disk, await crash(disk)].map(async ({ barrier, find }) => {
            const verdicts: Record<string, string> = {};
            for (const path of [...all, '/later']) {
              const [entry] = await find(path);
              // What it reached may have been swept.
              if (entry === undefined) {
                verdicts[path] = 'purged';
                continue;
              }
              const { host, purgeTarget, head } = entry;
              const purged = barrier.covers(head.barrier, host, purgeTarget, head.tags);
              const stale = barrier.stales(head.barrier, host, purgeTarget, head.tags);
              if (purged || stale) verdicts[path] = purged ? 'purged' : 'stale';
            }
            return verdicts;
          }),
        );
        const expected = name.startsWith('/') ? [name] : all;
        for (const verdicts of reached) {
          assert.deepEqual(
            verdicts,
            Object.fromEntries(expected.map((path) => [path, soft ? 'stale' : 'purged'])),
            name,
          );
        }
      }
    }
  });

  test('everything purged is everything, over restarts', async () => {
    const disk = await openDisk();
    put(disk, '/a');
    await disk.settle();
    disk.tier.journal(disk.barrier).reset();
    put(disk, '/b');
    await disk.settle();
    const after = await crash(disk);
    assert.deepEqual(await fresh(after, '/a', '/b'), ['/b']);
    assert.equal(after.tier.position, undefined);
  });

  test('at every byte that is lost of the journal: nothing purged comes back as fresh unless the control plane is told', async () => {
    const disk = await openDisk();
    put(disk, '/a');
    await disk.settle();
    const recorder = disk.tier.journal(disk.barrier);
    recorder.stand({ epoch: 1, sequence: 10 });
    recorder.apply(purgeOf(11, '/a'));
    recorder.stand({ epoch: 1, sequence: 11 });
    put(disk, '/a');
    put(disk, '/late');
    await disk.settle();
    const journal = disk.files.contents.get('/cache/purges');
    assert.ok(journal);
    const { length } = journal;
    for (let left = length; left >= 12; left -= 1) {
      journal.length = left;
      const after = await crash(disk);
      const entries = await fresh(after, '/a', '/late');
      if (after.barrier.current === 1) {
        assert.deepEqual(entries, ['/a', '/late']);
      } else {
        // What was requested after a purge that is lost cannot be judged by later ones.
        assert.deepEqual(entries, []);
        assert.notDeepEqual(after.tier.position, { epoch: 1, sequence: 11 });
      }
    }
    journal.length = 0;
    assert.deepEqual(await fresh(await crash(disk), '/a', '/late'), []);
  });

  test('when the journal is full it begins anew; what was stored before all it knows counts as purged', () => {
    const files = new MemoryFiles();
    const failed = (error: unknown) => assert.fail(String(error));
    const open = () => new PurgeJournal({ folder: '/cache', files, fullBytes: 1000, failed });
    const journal = open();
    const plain = new PurgeBarrier();
    for (let i = 1; i <= 200; i += 1) {
      const purge = purgeOf(i, `/${i % 20}`);
      plain.apply(purge);
      journal.apply(purge);
      if (i % 3 === 0) journal.stand({ epoch: 1, sequence: i });
      const again = open();
      const barrier = new PurgeBarrier();
      again.replay(barrier);
      assert.equal(again.base + barrier.current, i);
      assert.equal(again.position?.sequence ?? 0, i - (i % 3));
      assert.ok(i < 20 || again.base < i - 10);
      // From where it reaches back to it says the same.
      for (let number = again.base; number <= i; number += 1) {
        for (const target of ['/1', '/7', '/13']) {
          const name = `example.com${target}`;
          const [own, expected] = [
            barrier.covers(number - again.base, 'example.com', name),
            plain.covers(number, 'example.com', name),
          ];
          assert.equal(own, expected);
        }
      }
    }
    const size = [...files.contents.values()].reduce((sum, { length }) => sum + length, 0);
    assert.ok(size < 2500, `${size} bytes`);
  });

  test('what the journal does not reach back to is not even entered', async () => {
    const disk = await openDisk();
    put(disk, '/old');
    await disk.settle();
    const recorder = disk.tier.journal(disk.barrier);
    const many = Array.from({ length: 1000 }, (_, i) => ({
      target: { $case: 'url' as const, value: { host: 'example.com', path: `/${i}${'x'.repeat(3000)}` } },
    }));
    for (let sequence = 1; sequence <= 8; sequence += 1) recorder.apply({ sequence, targets: many, soft: false });
    put(disk, '/new');
    await disk.settle();
    const after = await crash(disk);
    assert.deepEqual(await after.find('/old'), []);
    assert.equal((await after.find('/new')).length, 1);
  });
});
