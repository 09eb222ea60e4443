// What a purge gives back on disk: room, soon, without costing more than it should, and nothing that was not purged.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Storable } from '../../../../edge-node/decide/cache/entry.ts';
import type { Purge } from '../../../../proto/gen/meridian/v1/purge.ts';
import { DATE, headOf, named } from '../cache/support.ts';
import { assertBody, bodyOf, crash, type Disk, openDisk, SEGMENT, SEGMENTS } from './disk-support.ts';

const RED: Purge = {
  sequence: 1,
  targets: [{ target: { $case: 'tag', value: { tag: 'red', hosts: [] } } }],
  soft: false,
};
const MIB = 1024 * 1024;
const ROOMY = { maxBytes: 64 * MIB, segmentBytes: 4 * MIB };

interface Options {
  readonly bytes?: number;
  readonly barrier?: number;
  /** Of a field of no meaning. */
  readonly padding?: number;
}

/** Tagged by the first part of its path. */
function tagged(target: string, { bytes = 700, barrier = 0, padding = 0 }: Options = {}): Storable {
  const [, tag = ''] = target.split('/');
  const fields = ['date', DATE, 'cache-control', 'max-age=60', 'surrogate-key', tag, 'x-padding', '.'.repeat(padding)];
  return { ...named(target), head: headOf(fields, { barrier }), body: bodyOf(target, bytes) };
}

/** So many, one in three of them green, the others red. */
async function fill(disk: Disk, count: number, options: Options = {}): Promise<void> {
  for (let i = 0; i < count; i += 1) {
    disk.tier.store.put(tagged(i % 3 === 0 ? `/green/${i}` : `/red/${i}`, options));
    if (i % 50 === 0) await disk.settle();
  }
  await disk.settle();
}

async function turns(count = 200): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await Promise.resolve();
}

/** Until the disk has been looked through so often. */
async function walked(disk: Disk, walks = 1): Promise<void> {
  for (let turn = 0; disk.tier.store.stats().walks < walks; turn += 1) {
    assert.ok(turn < 1000, 'a walk that ends');
    await turns();
  }
}

function freeSegments({ tier }: Disk): number {
  const { index } = tier.store;
  return index.locked(() => index.segments.closed().free);
}

/** How many of `count` are found, green and red ones; none damaged. */
async function found(disk: Disk, count: number): Promise<[number, number]> {
  const seen = { green: 0, red: 0 };
  for (let i = 0; i < count; i += 1) {
    const color = i % 3 === 0 ? 'green' : 'red';
    for (const { body } of await disk.find(`/${color}/${i}`)) {
      assertBody(`/${color}/${i}`, body);
      seen[color] += 1;
    }
  }
  assert.equal(disk.tier.store.stats().damaged, 0);
  return [seen.green, seen.red];
}

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
    const crashed = await crash(disk);
    assert.deepEqual(await found(crashed, 600), [200, 0]);
    await disk.tier.close();
    const again = await openDisk({ files: disk.files });
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
    assert.deepEqual(await found(await crash(disk, { limits: ROOMY }), 300), [100, 0]);
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
    assert.deepEqual(await found(await crash(disk), 600), [0, 0]);
  });

  test('lets be what is stored, removed or refreshed while it is being looked at', async () => {
    const disk = await openDisk();
    const { store } = disk.tier;
    await fill(disk, 30);
    const recorder = disk.tier.journal(disk.barrier);
    atNextRead(disk, async () => {
      store.put(tagged('/red/1', { barrier: disk.barrier.current, bytes: 500 }));
      const { key, head } = tagged('/red/2', { barrier: disk.barrier.current });
      store.refresh({ ...tagged('/red/2'), key, head }, head.variant, true);
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
  test('what was purged and not swept is judged by the journal, and swept', async () => {
    const disk = await openDisk();
    await fill(disk, 600);
    disk.tier.journal(disk.barrier).apply(RED);
    const crashed = await crash(disk);
    assert.equal(crashed.tier.store.stats().objects, 600);
    const [entry] = await crashed.find('/red/1');
    assert.ok(
      entry === undefined || crashed.barrier.covers(entry.head.barrier, entry.host, entry.purgeTarget, ['red']),
    );
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
    await turns();
    assert.equal(again.files.reads, reads);
  });
});

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
    await disk.tier.stopSweeping();
    disk.tier.journal(disk.barrier).apply(RED);
    await untilMoved(disk);
    assert.deepEqual(await found(disk, 30), [10, 20]);
    assert.equal(disk.tier.store.stats().walks, 0);
  });
});
