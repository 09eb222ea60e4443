// The memory of the shared store: how much of it there is and what stands where. Made once, by the main thread, and passed to
// each worker as it is: shared buffers and plain numbers.
//
// Control: the lock and the slot table's numbers; totals, written under the lock; a slice for each thread, written by it alone;
// totals of each owner, written under the lock.
import type { HashKey } from '../../decide/hash.ts';
import { SITE_NUMBERS } from '../../decide/site-numbers.ts';
import { type StoreLimits, storeLimits } from '../store-limits.ts';
import { slotTableBytes, TABLE_CONTROLS } from './slot-table.ts';

export interface SharedStoreHandles {
  readonly limits: StoreLimits;
  readonly threads: number;
  readonly buckets: number;
  readonly hashKey: HashKey;
  readonly control: SharedArrayBuffer;
  readonly index: SharedArrayBuffer;
  /** `limits.maxBytes`. */
  readonly arena: SharedArrayBuffer;
}

/** Places of 32-bit numbers in the control memory. */
export const LOCK = 0;
export const TABLE = 1;

/** Places of doubles in it: the totals, */
const TOTALS = 8;
export const OBJECTS = TOTALS;
export const BYTES = TOTALS + 1;
export const EVICTIONS = TOTALS + 2;
export const VARIANT_EVICTIONS = TOTALS + 3;
export const SWEPT = TOTALS + 4;
export const REFUSED_OLDER = TOTALS + 5;
export const RESETS = TOTALS + 6;

/** ... and in the slice of a thread. */
export const PENDING = 0;
export const REFUSED_TOO_LARGE = 1;
export const REFUSED_PENDING = 2;
export const REFUSED_INCOMPLETE = 3;
export const REFUSED_BUSY = 4;
/** Means nothing: see the fence of the slot table. */
export const FENCE = 7;

const FIRST_SLICE = 16;
const SLICE = 8;

/** Where the slice of `thread` begins, counted in doubles. */
export function slice(thread: number): number {
  return FIRST_SLICE + thread * SLICE;
}

/** ... and in that of an owner, which is a site by its number. */
export const OWNED_OBJECTS = 0;
export const OWNED_BYTES = 1;
export const OWNED_EVICTIONS = 2;
const OWNER = 3;
export const OWNERS = SITE_NUMBERS;

/** Where that of `owner` begins, counted in doubles. `threads`: of the store. */
export function owned(threads: number, owner: number): number {
  return slice(threads) + owner * OWNER;
}

/** A cache of small things holds one for each so many bytes, unless `maxObjects` says otherwise. */
const BYTES_PER_OBJECT = 512;
const MIN_OBJECTS = 1024;
const MAX_OBJECTS = 1 << 25;
const MAX_THREADS = 1024;

/**
 * Memory for a shared store. The index takes 48 to 56 bytes for each of `maxObjects`, beside `maxBytes`; both are taken from the
 * system only as they fill. Throws a RangeError for a limit or a number of threads that makes no sense, or
 * cannot be had.
 *
 * @param threads how many threads will use it, the main one among them
 * @param hashKey random, so that clients cannot know it
 */
export function allocateSharedStore(
  limits: Partial<StoreLimits>,
  threads: number,
  hashKey: HashKey,
): SharedStoreHandles {
  const fitting = Math.ceil(storeLimits(limits).maxBytes / BYTES_PER_OBJECT);
  const maxObjects = Math.min(MAX_OBJECTS, Math.max(MIN_OBJECTS, fitting));
  const complete = storeLimits({ maxObjects, ...limits });
  if (complete.maxObjects > MAX_OBJECTS) {
    throw new RangeError(`cache limit maxObjects: expected at most ${MAX_OBJECTS}, found ${complete.maxObjects}`);
  }
  if (!Number.isInteger(threads) || threads < 1 || threads > MAX_THREADS) {
    throw new RangeError(`threads of the cache: expected 1 to ${MAX_THREADS}, found ${threads}`);
  }
  const buckets = 2 ** Math.floor(Math.log2(complete.maxObjects));
  return {
    limits: complete,
    threads,
    buckets,
    hashKey,
    control: new SharedArrayBuffer(owned(threads, OWNERS) * Float64Array.BYTES_PER_ELEMENT),
    // One slot more than objects: what takes the place of another is there before the other goes.
    index: memory(slotTableBytes(buckets, complete.maxObjects + 1), 'index'),
    arena: memory(complete.maxBytes, 'contents'),
  };
}

function memory(bytes: number, what: string): SharedArrayBuffer {
  try {
    return new SharedArrayBuffer(bytes);
  } catch (cause) {
    throw new RangeError(`the cache's ${what} cannot have ${bytes} bytes of memory; give the cache fewer`, { cause });
  }
}

if (TABLE + TABLE_CONTROLS > TOTALS * 2) throw new Error('the control numbers of the slot table reach into the totals');
