// The segments of the disk tier: a row of numbers for each, in shared memory.
//
// free -> open (one thread fills it) -> closed -> leaving (what is kept is being moved) -> free. Who reads or changes bytes of
// a segment pins it; what is pinned does not become free. All with the index's lock held, but for `unpin`.
import type { Segments } from '../../decide/cache/eviction.ts';
import * as at from './disk-memory.ts';
import { type Queue, UNIT } from './form.ts';

const STATE = 0;
const SEGMENT_GENERATION = 1;
const QUEUE = 2;
const FIRST = 3;
/** Where the next record would begin, in units; */
const END = 4;
/** its age among the closed ones; */
const AGE = 5;
/** the thread that fills it while it is open. */
const FILLER = 6;
const FREE = 0;
const OPEN = 1;
const CLOSED = 2;
const LEAVING = 3;

export interface OpenedSegment {
  readonly segment: number;
  readonly generation: number;
  /** Units in use; 0: it is to be begun. */
  readonly end: number;
}

export class SegmentTable {
  readonly count: number;
  readonly #handles: at.DiskHandles;
  readonly #control: Int32Array;
  readonly #thread: number;

  constructor(handles: at.DiskHandles, thread: number) {
    this.count = handles.segments;
    this.#handles = handles;
    this.#control = new Int32Array(handles.control);
    this.#thread = thread;
  }

  unpin(segment: number): void {
    Atomics.sub(this.#control, at.pin(this.count, this.#thread, segment), 1);
  }

  unpinAll(thread: number): void {
    for (let segment = 0; segment < this.count; segment += 1) {
      Atomics.store(this.#control, at.pin(this.count, thread, segment), 0);
    }
  }

  generation(segment: number): number {
    return this.#row(segment, SEGMENT_GENERATION);
  }

  isClosed(segment: number): boolean {
    return this.#state(segment) === CLOSED;
  }

  /** Of a closed one; see {@link OpenedSegment}. */
  end(segment: number): number {
    return this.#row(segment, END);
  }

  queue(segment: number): Queue {
    return this.#row(segment, QUEUE) === 1 ? 'main' : 'small';
  }

  pin(segment: number): void {
    Atomics.add(this.#control, at.pin(this.count, this.#thread, segment), 1);
  }

  isPinned(segment: number): boolean {
    for (let thread = 0; thread < this.#handles.threads; thread += 1) {
      if (Atomics.load(this.#control, at.pin(this.count, thread, segment)) > 0) return true;
    }
    return false;
  }

  /** At the start: what a folder has. */
  restore(segment: number, generation: number, queue: Queue, end: number): void {
    this.#setRow(segment, SEGMENT_GENERATION, generation);
    this.#setRow(segment, QUEUE, queue === 'main' ? 1 : 0);
    this.#control[at.GENERATION] = Math.max(this.#control[at.GENERATION] ?? 0, generation);
    this.close(segment, end);
  }

  /**
   * For the thread alone: with `begun` a closed one that is less than half full, if there is one; else a free one. `reserve`:
   * free ones to leave.
   */
  open(queue: Queue, reserve: number, begun: boolean): OpenedSegment | undefined {
    const half = this.#handles.limits.segmentBytes / UNIT / 2;
    let free = -1;
    let left = 0;
    for (let segment = 0; segment < this.count; segment += 1) {
      const state = this.#state(segment);
      if (state === FREE) {
        free = segment;
        left += 1;
      } else if (begun && state === CLOSED && this.queue(segment) === queue && this.#row(segment, END) < half) {
        this.#begin(segment);
        return { segment, generation: this.generation(segment), end: this.#row(segment, END) };
      }
    }
    if (free === -1 || left <= reserve) return undefined;
    const generation = (this.#control[at.GENERATION] ?? 0) + 1;
    this.#control[at.GENERATION] = generation;
    this.#begin(free);
    this.#setRow(free, SEGMENT_GENERATION, generation);
    this.#setRow(free, QUEUE, queue === 'main' ? 1 : 0);
    return { segment: free, generation, end: 0 };
  }

  /** `end`: see {@link OpenedSegment}. From now on it may go. */
  close(segment: number, end: number): void {
    this.#setRow(segment, END, end);
    this.#renew(segment);
  }

  /**
   * Those that a dead thread was filling. Its list of what is in them is lost, so nobody fills them on: they count as full, and
   * the next start reads them record by record.
   */
  closeOf(thread: number): void {
    const full = this.#handles.limits.segmentBytes / UNIT;
    for (let segment = 0; segment < this.count; segment += 1) {
      if (this.#state(segment) === OPEN && this.#row(segment, FILLER) === thread) this.close(segment, full);
    }
  }

  /** A segment that was leaving stays, as the youngest of the main queue. */
  goRound(segment: number): void {
    this.#setRow(segment, QUEUE, 1);
    this.#renew(segment);
  }

  /** A segment that was leaving stays where it was. */
  stay(segment: number): void {
    this.#setRow(segment, STATE, CLOSED);
  }

  /** It leaves; {@link free} or {@link stay} follows. */
  leave(segment: number): void {
    this.#setRow(segment, STATE, LEAVING);
  }

  /** The oldest closed segment of a queue. */
  oldest(queue: Queue): number | undefined {
    let oldest: number | undefined;
    for (let segment = 0; segment < this.count; segment += 1) {
      if (this.#state(segment) !== CLOSED || this.queue(segment) !== queue) continue;
      if (oldest === undefined || this.#row(segment, AGE) < this.#row(oldest, AGE)) oldest = segment;
    }
    return oldest;
  }

  closed(): Segments & { readonly free: number } {
    const number = { small: 0, main: 0, free: 0 };
    for (let segment = 0; segment < this.count; segment += 1) {
      const state = this.#state(segment);
      if (state === FREE) number.free += 1;
      else if (state === CLOSED) number[this.queue(segment)] += 1;
    }
    return { ...number, total: this.count };
  }

  /** The newest slot of its list. */
  first(segment: number): number {
    return this.#row(segment, FIRST);
  }

  setFirst(segment: number, slot: number): void {
    this.#setRow(segment, FIRST, slot);
  }

  free(segment: number): void {
    this.#setRow(segment, FIRST, 0);
    this.#setRow(segment, END, 0);
    this.#setRow(segment, STATE, FREE);
  }

  #begin(segment: number): void {
    this.#setRow(segment, STATE, OPEN);
    this.#setRow(segment, FILLER, this.#thread);
  }

  #renew(segment: number): void {
    const age = (this.#control[at.ORDER] ?? 0) + 1;
    this.#control[at.ORDER] = age;
    this.#setRow(segment, AGE, age);
    this.#setRow(segment, STATE, CLOSED);
  }

  #state(segment: number): number {
    return this.#row(segment, STATE);
  }

  #row(segment: number, lane: number): number {
    return this.#control[at.row(segment) + lane] ?? 0;
  }

  #setRow(segment: number, lane: number, value: number): void {
    this.#control[at.row(segment) + lane] = value;
  }
}
