// What the structures that threads share cost, beside those of one thread: `node bin/node26.js bench/micro/shared-store.ts`.
// Nanoseconds: the best of many short rounds, and processor time over all of them, collecting garbage included. Then bytes.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type Barrier, PurgeBarrier } from '../../edge-node/decide/barrier.ts';
import { type CacheStore, makeHead, type Storable } from '../../edge-node/decide/cache/entry.ts';
import { cacheKey, purgeName } from '../../edge-node/decide/cache/key.ts';
import { encodeRecord, RecordReader } from '../../edge-node/decide/cache/record.ts';
import { decideStore } from '../../edge-node/decide/cache/storable.ts';
import { MemoryStore } from '../../edge-node/io/memory-store.ts';
import { allocateSharedStore } from '../../edge-node/io/shared/handles.ts';
import { allocateSharedBarrier, SharedBarrier } from '../../edge-node/io/shared/shared-barrier.ts';
import { SharedStore } from '../../edge-node/io/shared/shared-store.ts';
import { slotTableBytes } from '../../edge-node/io/shared/slot-table.ts';
import { seededRandom } from '../../infra/runtime/random.ts';

const NOW = 1_780_000_000_000;
const OBJECTS = 100_000;
const ROUNDS = 200;
const HASH_KEY = { k0: 0x1234567, k1: 0x89abcde };
const MAX_BYTES = 512 * 1024 * 1024;

const fields = ['date', new Date(NOW).toUTCString(), 'content-type', 'text/html; charset=utf-8'];
fields.push('content-length', '1024', 'cache-control', 'public, max-age=600', 'server', 'nginx/1.26.0');
fields.push('last-modified', new Date(NOW - 86_400_000).toUTCString(), 'etag', '"5f3c2a-400-6123456789abc"');
fields.push('accept-ranges', 'bytes', 'vary', 'accept-encoding', 'x-content-type-options', 'nosniff');
const request = ['host', 'example.com', 'accept-encoding', 'gzip, deflate, br, zstd'];

function storable(i: number, bodyBytes: number): Storable {
  const target = `/assets/section-${i % 97}/file-${i}.html`;
  const answer = { status: 200, requestedAt: NOW, receivedAt: NOW + 12 };
  const question = { method: 'GET', requestFields: request, responseFields: fields, ...answer };
  const decision = decideStore({ ...question, policy: { enabled: true, defaultTtlMs: 0 } });
  if (decision.kind === 'skip') throw new Error(decision.reason);
  const head = makeHead({ ...answer, fields, requestFields: request, barrier: 0, ...decision });
  const names = { key: cacheKey('https', 'www.example.com', target), host: 'www.example.com' };
  return { ...names, purgeTarget: purgeName('www.example.com', target), head, body: Buffer.alloc(bodyBytes, i) };
}

/** As after a 304: the same head, once more. */
function refresh(store: CacheStore, i: number): void {
  const [entry] = store.find(key(i));
  if (entry !== undefined) store.refresh(entry, entry.head);
}

interface Case {
  readonly name: string;
  run(i: number): unknown;
}

/** Runs the cases in turn in many short rounds, so that whatever else the machine does meets them alike. */
function measure(title: string, calls: number, cases: readonly Case[]): void {
  const best = cases.map(() => Number.POSITIVE_INFINITY);
  const spent = cases.map(() => 0);
  const step = Math.ceil(calls / ROUNDS);
  let sink: unknown;
  for (let round = 0; round < 3 * ROUNDS; round += 1) {
    for (const [index, { run }] of cases.entries()) {
      const from = (round * step) % calls;
      const before = process.cpuUsage();
      const started = performance.now();
      for (let i = from; i < from + step; i += 1) sink = run(i);
      best[index] = Math.min(best[index] ?? 0, ((performance.now() - started) / step) * 1e6);
      const { user, system } = process.cpuUsage(before);
      // The first third warms up.
      if (round >= ROUNDS) spent[index] = (spent[index] ?? 0) + user + system;
    }
  }
  if (sink === measure) throw new Error('the result is used');
  console.log(title);
  for (const [index, { name }] of cases.entries()) {
    const processor = ((spent[index] ?? 0) * 1000) / (2 * ROUNDS * step);
    console.log(
      `  ${name.padEnd(60)}${(best[index] ?? 0).toFixed(0).padStart(7)} ns${processor.toFixed(0).padStart(8)} ns`,
    );
  }
}

/** What requests ask for: the key is always a new string, as it is when it was just put together. */
function asked(i: number): string {
  const n = i % OBJECTS;
  return cacheKey('https', 'www.example.com', `/assets/section-${n % 97}/file-${n}.html`);
}

/** Objects as Zipf's law has them asked for. */
function zipf(length: number): number[] {
  const random = seededRandom(7);
  const sums: number[] = [];
  let sum = 0;
  for (let rank = 1; rank <= OBJECTS; rank += 1) {
    sum += 1 / rank;
    sums.push(sum);
  }
  return Array.from({ length }, () => {
    const at = random.next() * sum;
    let low = 0;
    for (let high = OBJECTS - 1; low < high; ) {
      const middle = (low + high) >> 1;
      if ((sums[middle] ?? 0) < at) low = middle + 1;
      else high = middle;
    }
    return low;
  });
}

function filled(store: CacheStore, bodyBytes: number): CacheStore {
  for (let i = 0; i < OBJECTS; i += 1) store.put(storable(i, bodyBytes));
  return store;
}

function hit(store: CacheStore, key: string): unknown {
  const [entry] = store.find(key);
  if (entry === undefined) throw new Error(`nothing is stored under ${key}`);
  store.touch(entry);
  return entry;
}

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Bytes of JavaScript's heap, and outside of it, that are there after `make` and were not before, and what it made. */
function grown<T>(make: () => T): { readonly made: T; readonly heap: number; readonly outside: number } {
  collect();
  const before = process.memoryUsage();
  const made = make();
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return { made, heap: heapUsed - before.heapUsed, outside: arrayBuffers - before.arrayBuffers };
}

const shared = (localBytes: number) =>
  new SharedStore(allocateSharedStore({ maxBytes: MAX_BYTES }, 1, HASH_KEY), 0, { localBytes });
const inHeap = grown(() => filled(new MemoryStore({ maxBytes: MAX_BYTES }), 1024));
const plain = inHeap.made;
const warm = filled(shared(64 * 1024 * 1024), 1024);
const cold = filled(shared(0), 1024);
for (let i = 0; i < 2000; i += 1) warm.find(asked(i % 1000));

const keys = Array.from({ length: 1000 }, (_, i) => asked(i));
const absent = keys.map((text) => `${text}?`);
const key = (i: number) => keys[i % 1000] ?? '';
measure('a hit: find and touch, 1,000 objects in turn', 200_000, [
  { name: 'MemoryStore', run: (i) => hit(plain, key(i)) },
  { name: 'SharedStore, local tier', run: (i) => hit(warm, key(i)) },
  { name: '(putting a key together)', run: (i) => asked(i % 1000) },
  { name: 'MemoryStore, key put together', run: (i) => hit(plain, asked(i % 1000)) },
  { name: 'SharedStore, local tier, key put together', run: (i) => hit(warm, asked(i % 1000)) },
]);
const ranks = zipf(500_000);
measure('the same by Zipf over 100,000 objects of 1 KiB, key put together', 500_000, [
  { name: 'MemoryStore', run: (i) => hit(plain, asked(ranks[i % ranks.length] ?? 0)) },
  { name: 'SharedStore, local tier of 64 MiB', run: (i) => hit(warm, asked(ranks[i % ranks.length] ?? 0)) },
]);
measure('a find that reads shared memory', 50_000, [
  { name: 'body of 1 KiB, 1,000 objects in turn', run: (i) => cold.find(key(i)) },
  { name: 'body of 1 KiB, 100,000 objects in turn', run: (i) => cold.find(asked(i * 7919)) },
  { name: 'nothing stored', run: (i) => cold.find(absent[i % 1000] ?? '') },
]);
const entries = Array.from({ length: 1000 }, (_, i) => storable(i, 1024));
measure('put, in the place of the same', 20_000, [
  { name: 'MemoryStore', run: (i) => plain.put(entries[i % 1000] ?? storable(0, 0)) },
  { name: 'SharedStore', run: (i) => cold.put(entries[i % 1000] ?? storable(0, 0)) },
]);
const many = Array.from({ length: 20_000 }, (_, i) => storable(i, 1024));
const small = { maxBytes: 8 * 1024 * 1024 };
const [fullPlain, full] = [new MemoryStore(small), new SharedStore(allocateSharedStore(small, 1, HASH_KEY), 0)];
measure('put into a full store, something else each time', 20_000, [
  { name: 'MemoryStore, 8 MiB', run: (i) => fullPlain.put(many[i % 20_000] ?? storable(0, 0)) },
  { name: 'SharedStore, 8 MiB', run: (i) => full.put(many[i % 20_000] ?? storable(0, 0)) },
]);
measure('refresh', 20_000, [
  { name: 'MemoryStore', run: (i) => refresh(plain, i) },
  { name: 'SharedStore', run: (i) => refresh(cold, i) },
]);

const { body: _, ...content } = storable(1, 0);
const record = Buffer.from(encodeRecord(content), 'latin1').toString('latin1');
const reader = new RecordReader();
const json = JSON.stringify(content);
measure('the record alone', 100_000, [
  { name: 'decode', run: () => reader.read(record, content.key) },
  { name: 'decode JSON', run: () => JSON.parse(json) },
  { name: 'encode', run: () => encodeRecord(content) },
  { name: 'encode JSON', run: () => JSON.stringify(content) },
]);

const [quietPlain, quietShared] = [new PurgeBarrier(), new SharedBarrier(allocateSharedBarrier(HASH_KEY))];
const [busyPlain, busyShared] = [new PurgeBarrier(), new SharedBarrier(allocateSharedBarrier(HASH_KEY))];
for (let i = 0; i < 50_000; i += 1) {
  const target = { $case: 'url', value: { host: 'www.example.com', path: `/purged/${i}` } } as const;
  for (const barrier of [busyPlain, busyShared]) barrier.apply({ sequence: i + 1, targets: [{ target }], soft: false });
}
const asks = (barrier: Barrier) => (i: number) => {
  const { host, purgeTarget } = entries[i % 1000] ?? content;
  return barrier.covers(0, host, purgeTarget);
};
measure('barrier.covers', 200_000, [
  { name: 'PurgeBarrier, nothing purged', run: asks(quietPlain) },
  { name: 'SharedBarrier, nothing purged', run: asks(quietShared) },
  { name: 'PurgeBarrier, 50,000 URLs purged since', run: asks(busyPlain) },
  { name: 'SharedBarrier, 50,000 URLs purged since', run: asks(busyShared) },
]);

const index = slotTableBytes(2 ** Math.floor(Math.log2(OBJECTS)), OBJECTS) / OBJECTS;
const read = grown(() => {
  const store = new SharedStore(allocateSharedStore({ maxBytes: 64 * 1024 * 1024 }, 1, HASH_KEY), 0);
  for (let i = 0; i < 10_000; i += 1) {
    store.put(storable(i, 1024));
    // Kept from the second time.
    store.find(asked(i));
    store.find(asked(i));
  }
  return store;
});
const name = content.key.length;
console.log('bytes of an object beside its body');
console.log(`  shared: record ${record.length} (key ${name}; as JSON ${json.length}) and index ${index.toFixed(0)}`);
console.log(`  in the local tier of each thread that has read it: ${(read.heap / 10_000).toFixed(0)}`);
console.log(`  MemoryStore: ${((inHeap.heap + inHeap.outside) / OBJECTS - 1024).toFixed(0)}`);
