// The store in memory: the contract of every store, then thousands of operations against a plain version of it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CacheEntry, CacheStore } from '../../../../edge-node/decide/cache/entry.ts';
import { MemoryStore } from '../../../../edge-node/io/memory-store.ts';
import { seededRandom } from '../../../../infra/runtime/random.ts';
import { storeContract } from './store-contract.ts';
import { storable } from './store-support.ts';
import { below, named, pick } from './support.ts';

storeContract('memory', (limits) => new MemoryStore(limits));

test('memory: a miss costs no new list', () => {
  const store = new MemoryStore();
  assert.equal(store.find('a'), store.find('b'));
});

const LIMITS = { maxBytes: 22_000, maxObjectBytes: 3_000, maxObjects: 12, maxVariants: 3, maxPendingBytes: 8_000 };

/** The same rules over one array, most recently used first, each time from the beginning. Sizes are the store's. */
class PlainStore {
  entries: { entry: CacheEntry; key: string; variant: string; barrier: number; body: string; size: number }[] = [];
  evictions = 0;
  variantEvictions = 0;

  put(stored: CacheEntry | undefined, entry: ReturnType<typeof storable>): void {
    const { variant, barrier } = entry.head;
    const same = this.entries.find((item) => item.key === entry.key && item.variant === variant);
    const expected = entry.body.length <= LIMITS.maxObjectBytes && !(same && same.barrier > barrier);
    assert.equal(stored !== undefined, expected);
    if (stored === undefined) return;
    this.entries = this.entries.filter((item) => item !== same);
    const siblings = this.entries.filter((item) => item.key === entry.key);
    if (siblings.length === LIMITS.maxVariants) {
      this.entries = this.entries.filter((item) => item !== siblings.at(-1));
      this.variantEvictions += 1;
    }
    const item = { entry: stored, key: entry.key, variant, barrier, body: entry.body.toString(), size: stored.size };
    this.entries.unshift(item);
    this.trim();
  }

  touch(entry: CacheEntry): void {
    const item = this.entries.find((other) => other.entry === entry);
    if (item) this.entries = [item, ...this.entries.filter((other) => other !== item)];
  }

  refresh(entry: CacheEntry, head: CacheEntry['head']): void {
    const item = this.entries.find((other) => other.entry === entry);
    if (!item || item.barrier > head.barrier) return;
    const inPlace = this.entries.find(
      (other) => other !== item && other.key === item.key && other.variant === head.variant,
    );
    if (inPlace && inPlace.barrier > head.barrier) return;
    this.entries = this.entries.filter((other) => other !== inPlace);
    Object.assign(item, { variant: head.variant, barrier: head.barrier, size: entry.size });
    this.touch(entry);
    this.trim();
  }

  removeWhere(gone: (item: (typeof this.entries)[number]) => boolean): void {
    this.entries = this.entries.filter((item) => !gone(item));
  }

  bytes(): number {
    return this.entries.reduce((sum, item) => sum + item.size, 0);
  }

  trim(): void {
    while (this.bytes() > LIMITS.maxBytes || this.entries.length > LIMITS.maxObjects) {
      this.entries.pop();
      this.evictions += 1;
    }
  }
}

const TARGETS = ['/a', '/b', '/c', '/d', '/e', '/f', '/g', '/h'];
const ACCEPTS = ['1', '2', '3', '4', '5'];

function agree(store: CacheStore, plain: PlainStore): void {
  const stats = store.stats();
  assert.equal(stats.objects, plain.entries.length);
  assert.equal(stats.bytes, plain.bytes());
  assert.ok(stats.bytes <= LIMITS.maxBytes && stats.pendingBytes <= LIMITS.maxPendingBytes);
  assert.equal(stats.evictions, plain.evictions);
  assert.equal(stats.variantEvictions, plain.variantEvictions);
  for (const target of TARGETS) {
    const { key } = named(target);
    const found = new Set(store.find(key));
    const expected = plain.entries.filter((item) => item.key === key);
    assert.equal(found.size, expected.length);
    for (const item of expected) {
      assert.ok(found.has(item.entry));
      assert.equal(item.entry.body.toString(), item.body);
      assert.equal(item.entry.head.variant, item.variant);
    }
  }
}

test('seeded: the store and the plain one hold the same after every operation, and no byte is lost', () => {
  for (let seed = 1; seed <= 12; seed += 1) {
    const random = seededRandom(seed);
    const store = new MemoryStore(LIMITS);
    const plain = new PlainStore();
    // Also what is no longer stored: using it must do nothing.
    const seen: CacheEntry[] = [];
    const writers: { writer: NonNullable<ReturnType<CacheStore['begin']>>; entry: ReturnType<typeof storable> }[] = [];
    let barrier = 0;
    const make = () =>
      storable(pick(random, TARGETS), String(below(random, 10)).repeat(below(random, 3_300)), {
        accept: pick(random, ACCEPTS),
        barrier: Math.max(0, barrier - below(random, 2)),
        padding: below(random, 300),
      });
    for (let step = 0; step < 1000; step += 1) {
      const known = seen.length === 0 ? undefined : pick(random, seen.slice(-30));
      const choice = below(random, 100);
      if (choice < 35) {
        const entry = make();
        const stored = store.put(entry);
        plain.put(stored, entry);
        if (stored) seen.push(stored);
      } else if (choice < 55 && known) {
        store.touch(known);
        plain.touch(known);
      } else if (choice < 68 && known) {
        const { head } = make();
        store.refresh(known, head);
        plain.refresh(known, head);
      } else if (choice < 72) {
        const { key } = named(pick(random, TARGETS));
        store.remove(key);
        plain.removeWhere((item) => item.key === key);
      } else if (choice < 76 && known) {
        store.removeEntry(known);
        plain.removeWhere((item) => item.entry === known);
      } else if (choice < 79) {
        barrier += 1;
        while (!store.sweep((entry) => entry.head.barrier < barrier - 1, 3).done);
        plain.removeWhere((item) => item.barrier < barrier - 1);
      } else if (choice < 90) {
        const entry = make();
        const { body: _, ...rest } = entry;
        const writer = store.begin(rest, random.next() < 0.5 ? undefined : entry.body.length);
        if (writer) writers.push({ writer, entry });
      } else {
        const [open] = writers.splice(below(random, writers.length), 1);
        if (!open) continue;
        const half = open.entry.body.length >> 1;
        const kept = open.writer.write(open.entry.body.subarray(0, half)) && random.next() < 0.8;
        if (kept && open.writer.write(open.entry.body.subarray(half))) {
          const stored = open.writer.commit();
          plain.put(stored, open.entry);
          if (stored) seen.push(stored);
        }
        open.writer.abort();
      }
      agree(store, plain);
    }
    for (const { writer } of writers) writer.abort();
    for (const target of TARGETS) store.remove(named(target).key);
    assert.equal(store.stats().bytes, 0);
    assert.equal(store.stats().objects, 0);
    assert.equal(store.stats().pendingBytes, 0);
  }
});
