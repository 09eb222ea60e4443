// What the disk tier throws out when it needs room: S3-FIFO, by segments. What comes in is filled into segments of the small
// queue; when one of them is the oldest and the queue has its share, what was used meanwhile is moved to the main queue and the
// rest goes, its names remembered for a while (the ghost). What comes again while it is remembered counts as used at once. In
// the main queue what was used goes round again, each time with one use less. So what is asked for once, however much of it,
// passes through a tenth of the disk and never touches the rest. (Yang, Zhang, Qiu, Yue, Rashmi: "FIFO queues are all you need
// for cache eviction", SOSP 2023.)

/** Uses are counted up to this. */
export const MAX_USES = 3;
/** Of the whole, what the small queue may have before it gives. */
const SMALL_SHARE = 0.1;

export interface Segments {
  /** Full ones, by queue. */
  readonly small: number;
  readonly main: number;
  readonly total: number;
}

/** Whose oldest segment goes. */
export function victimQueue({ small, main, total }: Segments): 'small' | 'main' {
  if (main === 0) return 'small';
  return small > Math.max(1, total * SMALL_SHARE) ? 'small' : 'main';
}

/** With how many uses it stays; undefined: it goes. */
export function usesAfterRound(queue: 'small' | 'main', uses: number): number | undefined {
  if (uses === 0) return undefined;
  return queue === 'small' ? 0 : uses - 1;
}

/** Whether a segment goes round as a whole instead of being copied: nearly all of it would be. `kept`: bytes that stay. */
export function staysWhole(kept: number, segmentBytes: number): boolean {
  return kept > segmentBytes * 0.75;
}

/** Whether so little is left of a segment, after a purge, that it is moved and the segment freed. All in bytes. */
export function isThin(left: number, filled: number): boolean {
  return left < filled * 0.5;
}
