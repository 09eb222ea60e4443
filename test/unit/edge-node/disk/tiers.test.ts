// Memory before disk: what goes where, and large bodies.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { OpenBody } from '../../../../edge-node/decide/cache/body-source.ts';
import type { CacheEntry, Storable } from '../../../../edge-node/decide/cache/entry.ts';
import { TieredStore } from '../../../../edge-node/io/disk/tiered-store.ts';
import { MemoryStore } from '../../../../edge-node/io/memory-store.ts';
import { bodies, put, storable } from '../cache/store-support.ts';
import { headOf, named } from '../cache/support.ts';
import { assertBody, bodyOf, crash, type Disk, fromDisk, openDisk } from './disk-support.ts';

const MIB = 1024 * 1024;
const MAX_MEMORY_BODY = 100_000;
const ROOMY = { maxBytes: 64 * MIB, segmentBytes: 4 * MIB };

interface Tiers {
  readonly disk: Disk;
  readonly store: TieredStore<MemoryStore>;
}

async function tiers(options: Parameters<typeof openDisk>[0] = {}, memory = { maxBytes: 20_000 }): Promise<Tiers> {
  const disk = await openDisk(options);
  const store = new TieredStore(new MemoryStore({ maxObjectBytes: MAX_MEMORY_BODY, ...memory }), disk.tier.store, {
    maxMemoryBody: MAX_MEMORY_BODY,
  });
  return { disk, store };
}

async function stored(store: TieredStore, target: string): Promise<CacheEntry | undefined> {
  return (await fromDisk(store, named(target).key))[0];
}

/** Puts a body piece by piece. */
function write(store: TieredStore, target: string, body: Buffer, piece = 50_000): boolean {
  const { body: _, ...rest } = storable(target, '');
  const writer = store.begin(rest, body.length);
  if (!writer) return false;
  // One buffer for all of them, as an origin's connection has.
  const buffer = Buffer.alloc(piece);
  for (let at = 0; at < body.length; at += piece) {
    const length = body.copy(buffer, 0, at, at + piece);
    if (!writer.write(buffer.subarray(0, length))) return false;
  }
  writer.commit();
  return true;
}

/** Reads bytes `from` ..< `to`, pausing at each piece when told to. */
async function read(
  entry: CacheEntry | undefined,
  from = 0,
  to = entry?.source?.length ?? 0,
  slow = false,
): Promise<Buffer> {
  const open: OpenBody | undefined = entry?.source?.open();
  assert.ok(open, 'a body that can be opened');
  const chunks: Buffer[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const chunk = (piece: Buffer): boolean => {
    chunks.push(piece);
    if (slow) setImmediate(() => open.resume());
    return !slow;
  };
  open.start({ chunk, end: resolve, failed: () => reject(new Error('failed')) }, from, to);
  await promise;
  return Buffer.concat(chunks);
}

describe('memory before disk', () => {
  test('what memory has no room for is on disk; read twice it is in memory', async () => {
    const { disk, store } = await tiers();
    for (let i = 0; i < 40; i += 1) store.put(storable(`/${i}`, bodyOf(`/${i}`, 1000)));
    await disk.settle();
    assert.deepEqual(bodies(store, '/0'), []);
    assertBody('/0', (await stored(store, '/0'))?.body ?? Buffer.alloc(1));
    assert.deepEqual(bodies(store, '/0'), []);
    const promoted = await stored(store, '/0');
    const [inMemory] = store.find(named('/0').key);
    assert.equal(inMemory, promoted);
    assertBody('/0', inMemory?.body ?? Buffer.alloc(1));
    assert.equal(inMemory?.body.buffer.byteLength, 1000, 'a body of its own');
  });

  test('what is removed while it is being read is not found, and not brought back to memory', async () => {
    const { disk, store } = await tiers();
    store.put(storable('/', 'x'));
    await disk.settle();
    store.memory.remove(named('/').key);
    await stored(store, '/');
    const reading = stored(store, '/');
    store.remove(named('/').key);
    assert.equal(await reading, undefined);
    assert.deepEqual(bodies(store, '/'), []);
  });

  test('what another thread removes just before it comes to memory does not stay there', async () => {
    class Interrupted extends MemoryStore {
      interrupt: (() => void) | undefined;
      override put(entry: Storable): CacheEntry | undefined {
        this.interrupt?.();
        return super.put(entry);
      }
    }
    const disk = await openDisk();
    const memory = new Interrupted();
    const store = new TieredStore(memory, disk.tier.store, { maxMemoryBody: MAX_MEMORY_BODY });
    disk.tier.store.put(storable('/', 'x'));
    await disk.settle();
    await stored(store, '/');
    memory.interrupt = () => store.remove(named('/').key);
    await stored(store, '/');
    assert.deepEqual(bodies(store, '/'), []);
    assert.equal(await stored(store, '/'), undefined);
  });

  test('many that look for the same at once read it once', async () => {
    const { disk, store } = await tiers();
    store.put(storable('/', 'x'));
    await disk.settle();
    const before = disk.files.reads;
    const found = await Promise.all(Array.from({ length: 100 }, () => stored(store, '/')));
    assert.ok(found.every((entry) => entry?.body.toString() === 'x'));
    assert.equal(disk.files.reads - before, 1);
  });

  test('the disk is not asked before it may be', async () => {
    const { disk, store } = await tiers();
    disk.tier.hold(true);
    store.put(storable('/', 'x'));
    await disk.settle();
    assert.equal(await stored(store, '/'), undefined);
    disk.tier.hold(false);
    assert.equal((await stored(store, '/'))?.body.toString(), 'x');
  });

  test('hits in memory keep it on disk', async () => {
    const { disk, store } = await tiers();
    const entry = put(store, storable('/hot', 'hot'));
    for (let i = 0; i < 1500; i += 1) {
      store.touch(entry);
      store.put(storable(`/${i}`, bodyOf(`/${i}`, 1000)));
      if (i % 20 === 0) await disk.settle();
    }
    await disk.settle();
    assert.equal((await disk.find('/0')).length, 0);
    assert.deepEqual(await disk.bodies('/hot'), ['hot']);
  });

  test('a refresh of what was read from disk is on disk and in memory', async () => {
    const { disk, store } = await tiers();
    store.put(storable('/', 'x'));
    await disk.settle();
    store.memory.remove(named('/').key);
    const entry = await stored(store, '/');
    assert.ok(entry);
    const { head } = storable('/', '', { barrier: 2 });
    store.refresh(entry, head);
    await disk.settle();
    assert.equal(store.find(named('/').key)[0]?.head.barrier, 2);
    assert.equal((await disk.find('/'))[0]?.head.barrier, 2);
    assert.equal(disk.tier.store.stats().writes, 1, 'in its place');
  });

  test('a refresh of what was read from disk also reaches what has come to memory since, if it is the same', async () => {
    const { disk, store } = await tiers();
    const of = (tag: string): Storable => ({
      ...storable('/', tag),
      head: headOf(['cache-control', 'no-cache', 'etag', tag]),
    });
    const fresh = headOf(['cache-control', 'max-age=60', 'etag', '"old"']);
    for (const tag of ['"old"', '"new"']) {
      store.put(of('"old"'));
      await disk.settle();
      store.memory.remove(named('/').key);
      const entry = await stored(store, '/');
      assert.ok(entry);
      store.memory.put(of(tag));
      store.refresh(entry, fresh);
      await disk.settle();
      const [inMemory] = store.find(named('/').key);
      assert.deepEqual(inMemory?.head, tag === '"old"' ? fresh : of(tag).head);
      assert.equal(inMemory?.body.toString(), tag);
    }
  });
});

describe('a large body', () => {
  const BODY = bodyOf('/large', 1_500_000);

  test('is on disk alone, and read piece by piece, from anywhere to anywhere, also after a restart', async () => {
    const { disk, store } = await tiers({ limits: ROOMY });
    assert.ok(write(store, '/large', BODY));
    await disk.settle();
    assert.deepEqual(bodies(store, '/large'), []);
    for (const { tier } of [disk, await crash(disk, { limits: ROOMY })]) {
      const [found] = (await tier.store.find(named('/large').key)) ?? [];
      assert.equal(found?.entry.source?.length, BODY.length);
      assert.ok((await read(found?.entry)).equals(BODY));
      assert.ok((await read(found?.entry, 0, BODY.length, true)).equals(BODY));
      for (const [from, to] of [
        [0, 1],
        [131_071, 131_073],
        [262_144, 524_288],
        [1_499_999, 1_500_000],
        [700_001, 700_001],
      ] as const) {
        assert.ok((await read(found?.entry, from, to)).equals(BODY.subarray(from, to)));
      }
    }
  });

  test('is read in several parts, one after the other, and its place is kept until the last has been', async () => {
    const { disk, store } = await tiers({ limits: ROOMY });
    assert.ok(write(store, '/large', BODY));
    await disk.settle();
    const [found] = await disk.find('/large');
    const open = found?.source?.open();
    assert.ok(open);
    const parts = [
      [1_000_000, 1_000_010],
      [0, 300_000],
      [1_499_999, 1_500_000],
    ] as const;
    const { index: places } = disk.tier.store;
    const { segments } = places;
    const isPinned = () =>
      places.locked(() => Array.from({ length: segments.count }, (_, i) => segments.isPinned(i)).some(Boolean));
    for (const [index, [from, to]] of parts.entries()) {
      const chunks: Buffer[] = [];
      await new Promise<void>((resolve, reject) => {
        const chunk = (piece: Buffer): boolean => chunks.push(piece) > 0;
        open.start({ chunk, end: resolve, failed: () => reject(new Error('failed')) }, from, to, index < 2);
      });
      assert.ok(Buffer.concat(chunks).equals(BODY.subarray(from, to)));
      assert.equal(isPinned(), index < 2, `after part ${index}`);
    }
  });

  test('one that breaks off, is too short or too long leaves nothing, also after a crash', async () => {
    const { disk, store } = await tiers({ limits: ROOMY });
    const { body: _, ...rest } = storable('/large', '');
    for (const how of ['abort', 'short', 'long']) {
      const writer = store.begin(rest, BODY.length);
      assert.equal(writer?.write(BODY.subarray(0, 1_000_000)), true);
      if (how === 'abort') writer.abort();
      if (how === 'short') assert.equal(writer.commit(), undefined);
      if (how === 'long') assert.equal(writer.write(BODY), false);
      await disk.settle();
      assert.equal(writer.write(BODY), false);
    }
    const writer = store.begin(rest, BODY.length);
    writer?.write(BODY);
    const crashed = await crash(disk, { limits: ROOMY });
    assert.deepEqual(await crashed.find('/large'), []);
    writer?.abort();
    await disk.settle();
    assert.deepEqual(await disk.find('/large'), []);
    // What they took is of use again.
    for (let i = 0; i < 60; i += 1) {
      write(store, `/${i}`, BODY);
      await disk.settle();
    }
    assert.equal((await disk.find('/59')).length, 1);
  });

  test('larger than a segment it is refused, and counted', async () => {
    const { disk, store } = await tiers({ limits: ROOMY });
    assert.equal(write(store, '/', Buffer.alloc(4 * MIB)), false);
    assert.equal(disk.tier.store.stats().refusedTooLarge, 1);
  });

  test('when the disk is slower than the origin it is given up', async () => {
    const { disk, store } = await tiers({ limits: { maxBytes: 256 * MIB, segmentBytes: 32 * MIB } });
    const { promise, resolve } = Promise.withResolvers<void>();
    disk.files.held = promise;
    assert.equal(write(store, '/', Buffer.alloc(20 * MIB), MIB), false);
    resolve();
    await disk.settle();
    assert.deepEqual(await disk.find('/'), []);
    assert.equal(disk.tier.store.stats().dropped, 1);
  });

  test('damaged in the middle: what came before it was right, and then it breaks off', async () => {
    const { disk, store } = await tiers({ limits: ROOMY });
    assert.ok(write(store, '/large', BODY));
    await disk.settle();
    const [found] = await disk.find('/large');
    const needle = BODY.subarray(1_000_000, 1_000_100);
    for (const { bytes } of disk.files.contents.values()) {
      const at = bytes.indexOf(needle);
      if (at !== -1) bytes[at] = (bytes[at] ?? 0) ^ 4;
    }
    await assert.rejects(read(found), /failed/);
    assert.ok((await read(found, 0, 900_000)).equals(BODY.subarray(0, 900_000)));
    assert.equal(disk.tier.store.stats().damaged, 1);
  });

  test('while it is read its place is not used for anything else', async () => {
    const { disk, store } = await tiers({ limits: ROOMY });
    assert.ok(write(store, '/large', BODY));
    await disk.settle();
    const [found] = await disk.find('/large');
    const open = found?.source?.open();
    assert.ok(open);
    const chunks: Buffer[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    const sink = {
      chunk: (chunk: Buffer) => chunks.push(chunk) === 0,
      end: resolve,
      failed: () => assert.fail('it was overwritten'),
    };
    open.start(sink, 0, BODY.length);
    for (let i = 0; i < 100; i += 1) {
      write(store, `/${i}`, bodyOf(`/${i}`, 1_500_000));
      await disk.settle();
      if (i % 10 === 9) open.resume();
    }
    for (let left = 10; left > 0; left -= 1) {
      open.resume();
      await disk.settle();
    }
    await promise;
    assert.ok(Buffer.concat(chunks).equals(BODY));
    assert.equal(
      disk.tier.store.index.locked(() => disk.tier.store.index.segments.isPinned(0)),
      false,
    );
  });

  test('one that is used is kept, by moving it', async () => {
    const { disk, store } = await tiers({ limits: ROOMY });
    assert.ok(write(store, '/large', BODY));
    await disk.settle();
    for (let i = 0; i < 100; i += 1) {
      if (i % 5 === 0) await disk.find('/large');
      write(store, `/${i}`, bodyOf(`/${i}`, 300_000));
      await disk.settle();
    }
    assert.ok(disk.tier.store.stats().evictions > 0);
    const [found] = await disk.find('/large');
    assert.ok((await read(found)).equals(BODY));
    const [again] = await (await crash(disk, { limits: ROOMY })).find('/large');
    assert.ok((await read(again)).equals(BODY));
  });
});
