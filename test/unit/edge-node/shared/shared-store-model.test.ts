// Thousands of operations on the shared store, by two threads' stores in turn, against the same rules over one plain list.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CacheEntry, CacheStore, StoredHead } from '../../../../edge-node/decide/cache/entry.ts';
import { encodeRecord } from '../../../../edge-node/decide/cache/record.ts';
import { allocateSharedStore } from '../../../../edge-node/io/shared/handles.ts';
import { SharedStore, type SharedStoreOptions } from '../../../../edge-node/io/shared/shared-store.ts';
import { seededRandom } from '../../../../infra/runtime/random.ts';
import { storable } from '../cache/store-support.ts';
import { below, named, pick } from '../cache/support.ts';

const LIMITS = { maxBytes: 12_345, maxObjectBytes: 3_000, maxObjects: 12, maxVariants: 3, maxPendingBytes: 8_000 };

interface Item {
  readonly key: string;
  readonly body: string;
  head: StoredHead;
  position: number;
  size: number;
  used: boolean;
}

/** Items by age. Every one has its bytes from `position` on, around the end; what lies between two of them is nobody's. */
class PlainRing {
  items: Item[] = [];
  evictions = 0;
  variantEvictions = 0;

  put(entry: ReturnType<typeof storable>): Item | undefined {
    const { key, head, body } = entry;
    const size = encodeRecord(entry).length + body.length;
    if (body.length > LIMITS.maxObjectBytes || size > LIMITS.maxBytes) return undefined;
    const siblings = this.items.filter((item) => item.key === key);
    let replaced = siblings.find((item) => item.head.variant === head.variant);
    if (replaced && replaced.head.barrier > head.barrier) return undefined;
    const crowded = !replaced && siblings.length === LIMITS.maxVariants;
    if (crowded) {
      // By the time of the last put or growth of each: the order in its chain.
      const chain = this.chain.filter((item) => siblings.includes(item));
      replaced = chain.find((item) => !item.used) ?? chain[0];
      if (chain.every((item) => item.used)) for (const item of chain) item.used = false;
    }
    const item = { key, body: body.toString(), head, position: 0, size, used: false };
    this.makeRoom(size, () => (replaced && this.items.includes(replaced) ? 0 : 1));
    item.position = this.end();
    if (replaced && this.items.includes(replaced)) {
      this.remove(replaced);
      if (crowded) this.variantEvictions += 1;
      // The end may have come nearer with it, but the place was chosen before.
    }
    this.items.push(item);
    this.chain.push(item);
    return item;
  }

  refresh(item: Item, head: StoredHead, size: number): void {
    if (!this.items.includes(item) || item.head.barrier > head.barrier) return;
    const other = this.items.find((i) => i !== item && i.key === item.key && i.head.variant === head.variant);
    if (other && other.head.barrier > head.barrier) return;
    if (other) this.remove(other);
    item.head = head;
    const next = this.items[this.items.indexOf(item) + 1];
    const reach = next ? this.distance(item.position, next.position) : item.size + this.free();
    if (size > reach) {
      this.remove(item);
      if (size > LIMITS.maxBytes) {
        this.evictions += 1;
        return;
      }
      this.makeRoom(size, () => 1);
      item.position = this.end();
      this.items.push(item);
      this.chain.push(item);
    }
    item.size = size;
    item.used = true;
  }

  /** Oldest link first. */
  chain: Item[] = [];

  remove(gone: Item): void {
    this.items = this.items.filter((item) => item !== gone);
    this.chain = this.chain.filter((item) => item !== gone);
  }

  removeWhere(gone: (item: Item) => boolean): void {
    for (const item of this.items.filter(gone)) this.remove(item);
  }

  bytes(): number {
    return this.items.reduce((sum, item) => sum + item.size, 0);
  }

  distance(from: number, to: number): number {
    return (to - from + LIMITS.maxBytes) % LIMITS.maxBytes;
  }

  end(): number {
    const newest = this.items.at(-1);
    return newest ? (newest.position + newest.size) % LIMITS.maxBytes : 0;
  }

  free(): number {
    const oldest = this.items[0];
    return oldest ? this.distance(this.end(), oldest.position) : LIMITS.maxBytes;
  }

  makeRoom(bytes: number, more: () => number): void {
    while (this.free() < bytes || this.items.length + more() > LIMITS.maxObjects) {
      const oldest = this.items[0];
      assert.ok(oldest);
      if (oldest.used) {
        oldest.used = false;
        this.items.shift();
        if (this.items.length > 0) oldest.position = this.end();
        this.items.push(oldest);
      } else {
        this.remove(oldest);
        this.evictions += 1;
      }
    }
  }
}

const TARGETS = ['/a', '/b', '/c', '/d', '/e', '/f', '/g', '/h'];
const ACCEPTS = ['1', '2', '3', '4', '5'];

function agree(store: CacheStore, plain: PlainRing, what: string): void {
  const stats = store.stats();
  const { length: objects } = plain.items;
  const { evictions, variantEvictions } = plain;
  const counted = { objects: stats.objects, bytes: stats.bytes };
  assert.deepEqual(
    { ...counted, evictions: stats.evictions, variantEvictions: stats.variantEvictions },
    { objects, bytes: plain.bytes(), evictions, variantEvictions },
    what,
  );
  assert.ok(stats.bytes <= LIMITS.maxBytes && objects <= LIMITS.maxObjects);
  for (const target of TARGETS) {
    const { key } = named(target);
    const found = store.find(key).map(({ body, head, size }) => ({ body: body.toString(), head, size }));
    const expected = plain.chain.filter((item) => item.key === key);
    assert.deepEqual(
      found,
      expected.map(({ body, head, size }) => ({ body, head, size })),
      `${what}: ${target}`,
    );
  }
}

for (const [name, options] of Object.entries<SharedStoreOptions>({
  'as it is': {},
  'with nothing kept by the threads': { localBytes: 0 },
  'with every hash the same': { hash: { of: () => {}, high: 3, low: 5 } },
})) {
  test(`seeded: the store ${name} and the plain one hold the same after every operation`, () => {
    for (let seed = 1; seed <= 4; seed += 1) run(seed, options);
  });
}

function run(seed: number, options: SharedStoreOptions): void {
  const random = seededRandom(seed);
  const handles = allocateSharedStore(LIMITS, 2, { k0: seed, k1: 0 });
  const stores = [0, 1].map((thread) => new SharedStore(handles, thread, options));
  const plain = new PlainRing();
  // Also what is no longer stored: using it must do nothing.
  const seen: { entry: CacheEntry; item: Item }[] = [];
  let barrier = 0;
  const make = () =>
    storable(pick(random, TARGETS), String(below(random, 10)).repeat(below(random, 3_300)), {
      accept: pick(random, ACCEPTS),
      barrier: Math.max(0, barrier - below(random, 2)),
      padding: below(random, 300),
    });
  for (let step = 0; step < 1000; step += 1) {
    const store = pick(random, stores);
    const known = seen.length === 0 ? undefined : pick(random, seen.slice(-30));
    const choice = below(random, 100);
    if (choice < 45) {
      const entry = make();
      const stored = store.put(entry);
      const item = plain.put(entry);
      assert.equal(stored !== undefined, item !== undefined);
      if (stored && item) seen.push({ entry: stored, item });
    } else if (choice < 65 && known) {
      store.touch(known.entry);
      if (plain.items.includes(known.item)) known.item.used = true;
    } else if (choice < 80 && known) {
      const { head } = random.next() < 0.5 ? make() : known.item;
      const size = encodeRecord({ ...known.entry, head }).length + known.entry.body.length;
      store.refresh(known.entry, head);
      plain.refresh(known.item, head, size);
    } else if (choice < 85) {
      const { key } = named(pick(random, TARGETS));
      store.remove(key);
      plain.removeWhere((item) => item.key === key);
    } else if (choice < 92 && known) {
      store.removeEntry(known.entry);
      plain.removeWhere((item) => item === known.item);
    } else if (choice < 95) {
      barrier += 1;
      while (!store.sweep((entry) => entry.head.barrier < barrier - 1, 3).done);
      plain.removeWhere((item) => item.head.barrier < barrier - 1);
    } else {
      // Entries as they are found serve as well as those that were put.
      const { key } = named(pick(random, TARGETS));
      for (const entry of store.find(key)) {
        const item = plain.items.find((i) => i.key === key && i.head.variant === entry.head.variant);
        if (item) seen.push({ entry, item });
      }
    }
    for (const each of stores) agree(each, plain, `seed ${seed} step ${step}`);
  }
  for (const target of TARGETS) pick(random, stores).remove(named(target).key);
  const { objects, bytes } = pick(random, stores).stats();
  assert.deepEqual({ objects, bytes }, { objects: 0, bytes: 0 });
}
