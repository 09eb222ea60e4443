// The memory of the disk tier that all threads share: how much of it there is and what stands where. Made once, by the main
// thread, and passed to each worker as it is.
import type { HashKey } from '../../decide/hash.ts';
import type { OutdatedHandles } from './outdated-keys.ts';

export interface DiskLimits {
  /** Of all segments together: the files are not larger. */
  readonly maxBytes: number;
  /** Of one file; also the bound of one object, less what surrounds it. */
  readonly segmentBytes: number;
  /** Records, removed ones among them until their segment is used again. */
  readonly maxObjects: number;
  /** What one thread has yet to write, bytes. */
  readonly maxQueueBytes: number;
  readonly maxVariants: number;
}

/** What the folder says of itself; see disk-folder.ts. */
export interface DiskIdentity {
  readonly hashKey: HashKey;
  /** How often the folder has been opened. */
  readonly boot: number;
  /** The number, counted from when the folder was made, at which the barrier of this process began; */
  readonly barrierBase: number;
  /** ... and that up to which purges were known when it started. */
  readonly barrierKnown: number;
  /** After a take-over. */
  readonly inherited?: Inherited | undefined;
}

/** What came of it that another process had the folder when this one started. */
export interface Inherited {
  readonly outdated: OutdatedHandles;
  /** What was stored before counts as requested no later: of the purges after it this process learnt in another order. */
  readonly barrierAtMost: number;
}

export interface DiskHandles {
  readonly folder: string;
  readonly limits: DiskLimits;
  readonly identity: DiskIdentity;
  readonly threads: number;
  readonly segments: number;
  readonly buckets: number;
  readonly ghosts: number;
  /** The file of each segment. */
  readonly files: readonly number[];
  readonly control: SharedArrayBuffer;
  readonly counts: SharedArrayBuffer;
  readonly index: SharedArrayBuffer;
}

/** Places of 32-bit numbers in the control memory; after them a row for each segment, then pins, then versions. */
export const LOCK = 0;
export const OFF = 1;
export const FREE_SLOT = 2;
export const TOP_SLOT = 3;
export const GENERATION = 4;
export const ORDER = 5;
export const OBJECTS = 6;
export const SLOTS = 7;
export const HELD = 8;
const ROWS = 16;
export const ROW = 8;
/** Cells that say how often something whose hash falls there was removed. */
export const VERSIONS = 1 << 14;

/** Doubles: totals, written under the lock; then a slice for each thread. */
export const SEQUENCE = 0;
export const BYTES = 1;
const SLICES = 8;
export const COUNTERS = [
  'hits',
  'misses',
  'writes',
  'writtenBytes',
  'dropped',
  'refusedTooLarge',
  'refusedOlder',
  'evictions',
  'variantEvictions',
  'moved',
  'damaged',
  'swept',
  'walks',
] as const;
export type DiskCounter = (typeof COUNTERS)[number];

export const SLOT_INTS = 9;

const MIN_SEGMENT = 64 * 1024;
const MAX_SEGMENT = 256 * 1024 * 1024;
const SEGMENTS = 64;
/** Each thread fills one, others are being moved, and most are to be neither. */
const SEGMENTS_PER_THREAD = 4;
const BYTES_PER_OBJECT = 8 * 1024;
const MIN_OBJECTS = 1024;
const MAX_OBJECTS = 1 << 25;
/** Beside one for each thread: one to move to, and one to empty. */
const SPARE_SEGMENTS = 2;

/** Of those that do not follow from the size. */
export const DEFAULT_DISK_LIMITS = {
  maxQueueBytes: 32 * 1024 * 1024,
  maxVariants: 20,
} as const satisfies Partial<DiskLimits>;

/** `limits` with defaults for so many threads, the main one among them. Throws a RangeError for what makes no sense. */
export function diskLimits(limits: Partial<DiskLimits> & Pick<DiskLimits, 'maxBytes'>, threads: number): DiskLimits {
  // By powers of two: a thread more is not to change the size of the files, which empties the cache.
  const segments = Math.max(SEGMENTS, SEGMENTS_PER_THREAD * 2 ** Math.ceil(Math.log2(threads)));
  const share = Math.floor(limits.maxBytes / segments / 4096) * 4096;
  const complete = {
    segmentBytes: Math.min(MAX_SEGMENT, Math.max(MIN_SEGMENT, share)),
    maxObjects: Math.min(MAX_OBJECTS, Math.max(MIN_OBJECTS, Math.ceil(limits.maxBytes / BYTES_PER_OBJECT))),
    ...DEFAULT_DISK_LIMITS,
    ...limits,
  };
  for (const [name, value] of Object.entries(complete)) {
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new RangeError(`disk cache limit ${name}: expected a whole number above 0, found ${value}`);
    }
  }
  const { maxBytes, segmentBytes, maxObjects } = complete;
  if (segmentBytes % 4096 !== 0 || segmentBytes > 2 ** 31) {
    throw new RangeError(
      `disk cache limit segmentBytes: expected a multiple of 4096 up to 2^31, found ${segmentBytes}`,
    );
  }
  const least = (threads + SPARE_SEGMENTS) * segmentBytes;
  if (maxBytes < least) {
    throw new RangeError(`disk cache: expected at least ${least} bytes for ${threads} threads, found ${maxBytes}`);
  }
  if (maxObjects > MAX_OBJECTS) {
    throw new RangeError(`disk cache limit maxObjects: expected at most ${MAX_OBJECTS}, found ${maxObjects}`);
  }
  return complete;
}

export function segmentsOf(limits: DiskLimits): number {
  return Math.floor(limits.maxBytes / limits.segmentBytes);
}

/** 42 to 48 bytes for each of `maxObjects`, taken from the system only as they fill. */
export function allocateDisk(
  folder: string,
  limits: DiskLimits,
  identity: DiskIdentity,
  threads: number,
  files: readonly number[],
): DiskHandles {
  const segments = segmentsOf(limits);
  const buckets = 2 ** Math.max(8, Math.floor(Math.log2(limits.maxObjects)));
  const ghosts = buckets / 2;
  const ints = Int32Array.BYTES_PER_ELEMENT;
  return {
    folder,
    limits,
    identity,
    threads,
    segments,
    buckets,
    ghosts,
    files,
    control: new SharedArrayBuffer((versions(segments, threads) + VERSIONS) * ints),
    counts: new SharedArrayBuffer((SLICES + threads * 16) * Float64Array.BYTES_PER_ELEMENT),
    index: new SharedArrayBuffer((buckets + ghosts + (limits.maxObjects + 1) * SLOT_INTS) * ints),
  };
}

/** Where the row of a segment begins, */
export function row(segment: number): number {
  return ROWS + segment * ROW;
}

/** how often a thread reads, or changes, a segment just now, */
export function pin(segments: number, thread: number, segment: number): number {
  return row(segments) + thread * segments + segment;
}

/** and the first of the versions. */
export function versions(segments: number, threads: number): number {
  return pin(segments, threads, 0);
}

/** Where a counter of a thread stands, in doubles. */
export function counterAt(thread: number, counter: DiskCounter): number {
  return SLICES + thread * 16 + COUNTERS.indexOf(counter);
}
