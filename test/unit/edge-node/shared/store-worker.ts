// A thread of the torture of the shared store: seeded operations on keys that all threads use, every answer checked.
//
// Who puts a key is one thread, its owner; everyone else finds, touches, refreshes and removes what he finds. Each put of a key has a
// number, and the owner says which was the first that may be found from now on, as soon as a put or a removal has returned.
import { parentPort, workerData } from 'node:worker_threads';
import type { CacheEntry, Storable } from '../../../../edge-node/decide/cache/entry.ts';
import { field } from '../../../../edge-node/decide/fields.ts';
import type { SharedStoreHandles } from '../../../../edge-node/io/shared/handles.ts';
import { SharedStore } from '../../../../edge-node/io/shared/shared-store.ts';
import { seededRandom } from '../../../../infra/runtime/random.ts';
import { below, DATE, headOf, named, pick } from '../cache/support.ts';

export interface StoreWork {
  readonly handles: SharedStoreHandles;
  readonly thread: number;
  readonly threads: number;
  readonly seed: number;
  /** 0: until it is terminated. */
  readonly operations: number;
  readonly keys: number;
  readonly maxBody: number;
  readonly localBytes: number;
  /** Nothing is evicted and only owners remove: then what was put must be found. */
  readonly roomy: boolean;
  /** For each key and variant: the number of the first put that may be found; then whether it must be found (even: yes). */
  readonly floors: Int32Array<SharedArrayBuffer>;
  readonly states: Int32Array<SharedArrayBuffer>;
  /** Operations done by all. */
  readonly progress: Int32Array<SharedArrayBuffer>;
}

export interface StoreReport {
  readonly found: number;
  readonly missed: number;
  readonly errors: readonly string[];
}

export const VARIANTS = 3;

/** A short hash of every byte and of its place. */
export function checksum(body: Buffer): string {
  let sum = 1;
  for (let i = 0; i < body.length; i += 1) sum = (Math.imul(sum, 31) + (body[i] ?? 0)) | 0;
  return `"${body.length}-${sum}"`;
}

/** A body that says of what it is, under a head that says what its body is. */
export function sealed(key: number, variant: number, number: number, length: number, padding: number): Storable {
  const start = Buffer.from(`${key} ${variant} ${number}|`);
  const body = Buffer.concat([start, Buffer.alloc(length, number + key * 7)]);
  return { ...named(`/${key}`), head: headFor(body, variant, number, padding), body };
}

export function headFor(body: Buffer, variant: number, number: number, padding: number): Storable['head'] {
  const fields = ['date', DATE, 'cache-control', `max-age=${60 + padding}`, 'vary', 'accept', 'etag', checksum(body)];
  fields.push('x-number', `${number}`, 'x-padding', '.'.repeat(padding));
  return headOf(fields, { requestFields: ['accept', `${variant}`], barrier: number });
}

/** What is wrong with an entry found under `key`; undefined: nothing. `number` is that of its put. */
export function flaw(entry: CacheEntry, key: number): string | undefined {
  const { body, head } = entry;
  const number = field(head.fields, 'x-number') ?? 'none';
  if (entry.key !== named(`/${key}`).key || entry.purgeTarget !== named(`/${key}`).purgeTarget) return 'another key';
  if (head.etag !== checksum(body)) return `a torn body, or another's: ${head.etag} is ${checksum(body)}`;
  const text = body.toString('latin1', 0, body.indexOf('|'));
  if (text !== `${key} ${variantOf(entry)} ${number}`) return `"${text}" under ${key} ${variantOf(entry)} ${number}`;
  return head.barrier === Number(number) ? undefined : `barrier ${head.barrier} of number ${number}`;
}

export function variantOf(entry: CacheEntry): number {
  return Number(entry.head.variant.replace(/\D/g, ''));
}

function work(job: StoreWork): StoreReport {
  const { handles, thread, threads, keys, maxBody, roomy, floors, states } = job;
  const store = new SharedStore(handles, thread, { localBytes: job.localBytes });
  const random = seededRandom(job.seed);
  const errors: string[] = [];
  // Who takes the place of a dead thread goes on with its numbers.
  const next = Int32Array.from(floors);
  let found = 0;
  let missed = 0;
  const own = Array.from({ length: keys }, (_, key) => key).filter((key) => key % threads === thread % threads);

  const look = (key: number): readonly CacheEntry[] => {
    const at = key * VARIANTS;
    const before = Array.from({ length: VARIANTS }, (_, v) => [
      Atomics.load(floors, at + v),
      Atomics.load(states, at + v),
    ]);
    const entries = store.find(named(`/${key}`).key);
    for (const entry of entries) {
      const wrong = flaw(entry, key);
      const [floor = 0] = before[variantOf(entry)] ?? [];
      if (wrong !== undefined) errors.push(`key ${key}: ${wrong}`);
      else if (entry.head.barrier < floor) errors.push(`key ${key}: ${entry.head.barrier} after ${floor} was told`);
    }
    if (roomy) {
      for (const [v, [floor = 0, state = 0]] of before.entries()) {
        if (floor === 0 || (state & 1) === 1 || Atomics.load(states, at + v) !== state) continue;
        if (!entries.some((entry) => variantOf(entry) === v)) errors.push(`key ${key} variant ${v} was not found`);
      }
    }
    if (entries.length > 0) found += 1;
    else missed += 1;
    return entries;
  };
  const putOwn = (key: number): void => {
    const variant = below(random, VARIANTS);
    const at = key * VARIANTS + variant;
    const number = (next[at] ?? 0) + 1;
    next[at] = number;
    store.put(sealed(key, variant, number, below(random, maxBody), below(random, 50)));
    if ((Atomics.load(states, at) & 1) === 1) Atomics.add(states, at, 1);
    Atomics.store(floors, at, number);
  };
  const removeOwn = (key: number): void => {
    const at = key * VARIANTS;
    for (let v = 0; v < VARIANTS; v += 1) if ((Atomics.load(states, at + v) & 1) === 0) Atomics.add(states, at + v, 1);
    store.remove(named(`/${key}`).key);
    for (let v = 0; v < VARIANTS; v += 1) Atomics.store(floors, at + v, (next[at + v] ?? 0) + 1);
  };

  for (let i = 0; i < 3 * VARIANTS * own.length; i += 1) if (roomy) putOwn(pick(random, own));
  for (let step = 0; job.operations === 0 || step < job.operations; step += 1) {
    const choice = below(random, 100);
    const key = below(random, keys);
    if (choice < 20) putOwn(pick(random, own));
    else if (choice < 23) removeOwn(pick(random, own));
    else {
      const entries = look(key);
      const entry = entries.length === 0 ? undefined : pick(random, entries);
      if (entry === undefined) continue;
      if (choice < 60) store.touch(entry);
      else if (roomy) continue;
      else if (choice < 66) {
        store.refresh(entry, headFor(entry.body, variantOf(entry), entry.head.barrier, below(random, 50)));
      } else if (choice < 68) store.removeEntry(entry);
      else if (choice < 69) store.sweep((each) => each.head.barrier % 13 === 0, 20);
    }
    Atomics.add(job.progress, 0, 1);
    if (errors.length > 5) break;
  }
  return { found, missed, errors };
}

if (parentPort) parentPort.postMessage(work(workerData as StoreWork));
