// What a purge gives back on disk: room, soon, and nothing that was not purged.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { seededRandom } from '../../../../infra/runtime/random.ts';
import { below, named } from '../cache/support.ts';
import { assertBody, bodyOf, crash, type Disk, openDisk, SEGMENT, SEGMENTS } from './disk-support.ts';
import { fill, found, freeSegments, RED, ROOMY, served, tagged, turns, walked } from './sweep-support.ts';

/** Calls `hook` once, when the next read has been done and nobody has seen yet what it brought. */
function atNextRead(disk: Disk, hook: () => Promise<void> | void): void {
  const { files } = disk;
  const read = files.read.bind(files);
  files.read = async (fd, target, position) => {
    const bytes = await read(fd, target, position);
    files.read = read;
    await hook();
    return bytes;
  };
}

describe('a purge on disk', () => {
  test('gives back the room of what it covers, by moving what is left together, also after a restart', async () => {
    const disk = await openDisk();
    await fill(disk, 600);
    assert.deepEqual(await found(disk, 600), [200, 400]);
    const [before, { bytes }] = [freeSegments(disk), disk.tier.store.stats()];
    disk.tier.journal(disk.barrier).apply(RED);
    await walked(disk);
    await disk.settle();
    const stats = disk.tier.store.stats();
    assert.deepEqual([stats.objects, stats.swept, stats.evictions], [200, 400, 0]);
    assert.ok(stats.bytes < bytes * 0.4);
    const after = freeSegments(disk);
    // A third of what was in use, and what is open.
    assert.ok(SEGMENTS - after <= (SEGMENTS - before) / 3 + 1, `${before} of ${SEGMENTS} were free, now ${after}`);
    assert.deepEqual(await found(disk, 600), [200, 0]);
    assert.deepEqual(await served(await crash(disk), 600), [200, 0]);
    await disk.tier.close();
    const again = await openDisk({ files: disk.files });
    again.clock.advance(60_000);
    await walked(again);
    assert.ok(freeSegments(again) >= after);
    assert.deepEqual(await found(again, 600), [200, 0]);
  });

  test('reads what stands in front of bodies, not bodies, and those of small ones together', async () => {
    for (const [bytes, count, reads, readBytes] of [
      [700, 300, 10, 500_000],
      [200_000, 30, 40, 150_000],
    ] as const) {
      const disk = await openDisk({ limits: ROOMY });
      await fill(disk, count, { bytes });
      const before = { ...disk.files };
      disk.tier
        .journal(disk.barrier)
        .apply({ ...RED, targets: [{ target: { $case: 'host', value: 'other.example' } }] });
      await walked(disk);
      assert.ok(disk.files.reads - before.reads <= reads, `${disk.files.reads - before.reads} reads`);
      assert.ok(
        disk.files.readBytes - before.readBytes < readBytes,
        `${disk.files.readBytes - before.readBytes} bytes`,
      );
      assert.equal(disk.tier.store.stats().objects, count);
    }
  });

  test('keeps what is left whole: long heads, large bodies, and how often it was used', async () => {
    const disk = await openDisk({ limits: ROOMY });
    await fill(disk, 30, { bytes: 600_000 });
    await fill(disk, 300, { padding: 5000 });
    await disk.find('/green/0');
    disk.tier.journal(disk.barrier).apply(RED);
    await walked(disk);
    await disk.settle();
    assert.equal(disk.tier.store.stats().objects, 100);
    assert.deepEqual(await found(disk, 300), [100, 0]);
    assert.deepEqual(await served(await crash(disk, { limits: ROOMY }), 300), [100, 0]);
  });

  test('that is soft removes nothing, and reads nothing', async () => {
    const disk = await openDisk();
    await fill(disk, 300);
    const { reads } = disk.files;
    disk.tier.journal(disk.barrier).apply({ ...RED, soft: true });
    await turns();
    assert.equal(disk.files.reads, reads);
    assert.deepEqual(await found(disk, 300), [100, 200]);
  });

  test('of all leaves every closed segment free at once, without moving anything', async () => {
    const disk = await openDisk();
    await fill(disk, 600);
    const { writtenBytes } = disk.tier.store.stats();
    disk.tier.journal(disk.barrier).reset();
    await walked(disk);
    const stats = disk.tier.store.stats();
    assert.deepEqual([stats.objects, stats.bytes, stats.writtenBytes], [0, 0, writtenBytes]);
    assert.equal(freeSegments(disk), SEGMENTS - 1);
    assert.deepEqual(await served(await crash(disk), 600), [0, 0]);
  });

  test('lets be what is stored, removed or refreshed while it is being looked at', async () => {
    const disk = await openDisk();
    const { store } = disk.tier;
    await fill(disk, 30);
    const recorder = disk.tier.journal(disk.barrier);
    atNextRead(disk, async () => {
      store.put(tagged('/red/1', { barrier: disk.barrier.current, bytes: 500 }));
      const { key, head } = tagged('/red/2', { barrier: disk.barrier.current });
      store.refresh({ ...tagged('/red/2'), key, head }, tagged('/red/2').head, true);
      store.remove(named('/green/0').key);
      await store.idle();
    });
    recorder.apply(RED);
    await walked(disk);
    await disk.settle();
    assert.equal((await disk.find('/red/1'))[0]?.body.length, 500);
    assert.equal((await disk.find('/red/2'))[0]?.head.barrier, 1);
    assert.deepEqual(await found(disk, 30), [9, 2]);
    assert.equal(store.stats().swept, 18);
  });

  test('waits for who reads before a segment is free', async () => {
    const disk = await openDisk({ limits: ROOMY });
    await fill(disk, 30, { bytes: 600_000 });
    const target = '/red/1';
    const source = (await disk.find(target))[0]?.source;
    const open = source?.open();
    assert.ok(source && open);
    disk.tier.journal(disk.barrier).reset();
    await walked(disk);
    const free = freeSegments(disk);
    const chunks: Buffer[] = [];
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const sink = {
      chunk: (chunk: Buffer) => chunks.push(chunk) > 0,
      end: resolve,
      failed: () => reject(new Error('failed')),
    };
    open.start(sink, 0, source.length);
    await promise;
    assertBody(target, Buffer.concat(chunks));
    await disk.settle();
    assert.equal(freeSegments(disk), free + 1);
  });

  test('leaves a segment where there is no room to move what is left of it', async () => {
    const disk = await openDisk({ limits: { maxBytes: 3 * SEGMENT } });
    let i = 0;
    for (; freeSegments(disk) > 1; i += 1) {
      disk.tier.store.put(tagged(i % 3 === 0 ? `/green/${i}` : `/red/${i}`));
      await disk.tier.store.idle();
    }
    const left = Math.ceil(i / 3);
    assert.deepEqual(await found(disk, i), [left, i - left]);
    disk.tier.journal(disk.barrier).apply(RED);
    await walked(disk);
    assert.equal(disk.tier.store.stats().moved, 0);
    assert.deepEqual(await found(disk, i), [left, 0]);
  });
});

describe('after a restart', () => {
  test('what was purged and not swept is judged by the journal, and swept when the start is over', async () => {
    const disk = await openDisk();
    await fill(disk, 600);
    disk.tier.journal(disk.barrier).apply(RED);
    const crashed = await crash(disk);
    assert.equal(crashed.tier.store.stats().objects, 600);
    assert.deepEqual(await found(crashed, 600), [200, 400]);
    assert.deepEqual(await served(crashed, 600), [200, 0]);
    crashed.clock.advance(59_000);
    await turns();
    assert.equal(crashed.tier.store.stats().swept, 0);
    crashed.clock.advance(1000);
    await walked(crashed);
    await crashed.settle();
    assert.deepEqual(await found(crashed, 600), [200, 0]);
    assert.ok(freeSegments(crashed) > SEGMENTS / 2);
  });

  test('nothing is read where nothing was purged', async () => {
    const disk = await openDisk();
    await fill(disk, 300);
    await disk.tier.close();
    const again = await openDisk({ files: disk.files });
    const { reads } = again.files;
    again.clock.advance(100_000);
    await turns();
    assert.equal(again.files.reads, reads);
  });
});

test('many times, in any order, with crashes: what is found is what was stored last, and much is', async () => {
  const random = seededRandom(11);
  let disk = await openDisk();
  let recorder = disk.tier.journal(disk.barrier);
  /** Undefined: removed. */
  const last = new Map<string, Buffer | undefined>();
  const colors = ['red', 'green', 'blue'];
  let [hits, swept, moved] = [0, 0, 0];
  for (let round = 0; round < 40; round += 1) {
    for (let i = 0; i < 100; i += 1) {
      const target = `/${colors[below(random, 3)]}/${below(random, 120)}`;
      const { store } = disk.tier;
      const dice = random.next();
      if (dice < 0.4) {
        const entry = tagged(target, { barrier: disk.barrier.current, bytes: below(random, 3000) });
        const body = bodyOf(`${target} ${round} ${i}`, entry.body.length);
        assert.ok(store.put({ ...entry, body }));
        last.set(target, body);
      } else if (dice < 0.45) {
        store.remove(named(target).key);
        last.set(target, undefined);
      } else if (dice < 0.47) {
        const tag = colors[below(random, 3)] ?? '';
        recorder.apply({ ...RED, targets: [{ target: { $case: 'tag', value: { tag, hosts: [] } } }] });
        if (dice < 0.46) disk.clock.advance(60_000);
      } else {
        await store.idle();
        for (const { body, head, host, purgeTarget } of await disk.find(target)) {
          if (disk.barrier.covers(head.barrier, host, purgeTarget, head.tags)) continue;
          assert.ok(last.get(target)?.equals(body), `${target} in round ${round}`);
          hits += 1;
        }
      }
      if (dice < 0.1) await disk.settle();
    }
    await disk.settle();
    const stats = disk.tier.store.stats();
    assert.equal(stats.damaged, 0);
    swept += stats.swept;
    moved += stats.moved;
    const from = disk.barrier.current;
    if (random.next() < 0.5) await disk.tier.close();
    disk = await crash(disk);
    recorder = disk.tier.journal(disk.barrier);
    assert.equal(disk.barrier.current, from);
  }
  assert.ok(hits > 200 && swept > 500 && moved > 100, `${hits} hits, ${swept} swept, ${moved} moved`);
});
