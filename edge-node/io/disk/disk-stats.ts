// What the disk tier tells of itself: for all threads together, but for what one has yet to write.
import type { DiskIndex } from './disk-index.ts';
import { COUNTERS, type DiskCounter } from './disk-memory.ts';

export interface DiskStats {
  /** 1, or 0 when the disk has failed. */
  readonly on: number;
  readonly objects: number;
  readonly bytes: number;
  /** What this thread has yet to write, bytes. */
  readonly queuedBytes: number;
  /** Counted since the start: looked up and found, or not; */
  readonly hits: number;
  readonly misses: number;
  /** records written, and their bytes; */
  readonly writes: number;
  readonly writtenBytes: number;
  /** not written because the disk did not keep up; because of their size; because what is there was requested later; */
  readonly dropped: number;
  readonly refusedTooLarge: number;
  readonly refusedOlder: number;
  /** thrown out to make room, of all and of the variants of one key; moved because they were used; */
  readonly evictions: number;
  readonly variantEvictions: number;
  readonly moved: number;
  /** found not to be what was written; */
  readonly damaged: number;
  /** removed because they were purged, and how often the whole disk was looked through for such. */
  readonly swept: number;
  readonly walks: number;
}

export function diskStats(index: DiskIndex, queuedBytes: number): DiskStats {
  const totals = Object.fromEntries(COUNTERS.map((counter) => [counter, index.total(counter)])) as Record<
    DiskCounter,
    number
  >;
  const { isOff } = index;
  return {
    on: isOff ? 0 : 1,
    objects: isOff ? 0 : index.objects,
    bytes: isOff ? 0 : index.bytes,
    queuedBytes,
    ...totals,
  };
}
