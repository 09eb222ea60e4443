// What is on the disk, and where: a slot for each record, in a chain for each hash and in a list for each segment
// (segment-table.ts). All of it is numbers in shared memory, read and changed under one lock, held for microseconds, which only
// who misses the memory tier ever takes.
//
// A slot is found by hashes alone: whoever reads the record sees whether the key is the right one. It stays with its segment
// until that is used again, also when the record was removed or replaced, since so long its place is not free either.
import { MAX_USES } from '../../decide/cache/eviction.ts';
import { SharedLock } from '../shared/lock.ts';
import * as at from './disk-memory.ts';
import { type Hint, type RecordName, UNIT } from './form.ts';
import { SegmentTable } from './segment-table.ts';

// Slot.
const NEXT = 0;
const SIBLING = 1;
const HIGH = 2;
const LOW = 3;
const VARIANT = 4;
/** Segment, times 8; LIVE; uses. */
const PLACE = 5;
const OFFSET = 6;
const UNITS = 7;
const BARRIER = 8;
const LIVE = 4;
const USES = 3;

const PATIENCE_MS = 10_000;
/** What the main thread waits when it sees to a dead one. */
const RECOVERY_MS = 50;

/** A record, as it was when it was looked up. */
export interface Located {
  readonly slot: number;
  readonly segment: number;
  readonly generation: number;
  /** Both in units. */
  readonly offset: number;
  readonly units: number;
  readonly uses: number;
  readonly barrier: number;
  readonly variant: number;
}

/** All with the lock held, by {@link DiskIndex.locked}, unless it says otherwise. */
export class DiskIndex {
  readonly segments: SegmentTable;
  readonly #handles: at.DiskHandles;
  readonly #control: Int32Array;
  readonly #counts: Float64Array;
  readonly #ints: Int32Array;
  readonly #lock: SharedLock;
  readonly #thread: number;
  /** Where the ghosts and slot 0 begin. */
  readonly #ghosts: number;
  readonly #base: number;
  readonly #versions: number;

  constructor(handles: at.DiskHandles, thread: number) {
    this.#handles = handles;
    this.segments = new SegmentTable(handles, thread);
    this.#control = new Int32Array(handles.control);
    this.#counts = new Float64Array(handles.counts);
    this.#ints = new Int32Array(handles.index);
    this.#lock = new SharedLock(this.#control, at.LOCK, thread);
    this.#thread = thread;
    this.#ghosts = handles.buckets;
    this.#base = handles.buckets + handles.ghosts - at.SLOT_INTS;
    this.#versions = at.versions(handles.segments, handles.threads);
  }

  // Without the lock.

  /** Throws when another thread has held the lock for ten seconds. */
  locked<Result>(action: () => Result): Result {
    if (!this.#lock.acquire(PATIENCE_MS)) throw new Error(`the disk cache was locked for more than ${PATIENCE_MS} ms`);
    try {
      return action();
    } finally {
      this.#lock.release();
    }
  }

  /** To be called for a thread that is dead; true: it died in the middle of a change, and what the index says is worth nothing. */
  recover(thread: number): boolean {
    this.segments.unpinAll(thread);
    if (this.#lock.seize(thread)) {
      this.#lock.release();
      return true;
    }
    // Who holds it may be dead as well, and its turn comes after this.
    if (!this.#lock.acquire(RECOVERY_MS)) return false;
    this.segments.closeOf(thread);
    this.#lock.release();
    return false;
  }

  get isOff(): boolean {
    return Atomics.load(this.#control, at.OFF) !== 0;
  }

  /** False: it was off already. */
  turnOff(): boolean {
    return Atomics.compareExchange(this.#control, at.OFF, 0, 1) === 0;
  }

  /** Whether nothing may be looked up for now, by any thread. */
  get isHeld(): boolean {
    return Atomics.load(this.#control, at.HELD) !== 0;
  }

  hold(held: boolean): void {
    Atomics.store(this.#control, at.HELD, held ? 1 : 0);
  }

  count(counter: at.DiskCounter, by = 1): void {
    const place = at.counterAt(this.#thread, counter);
    this.#counts[place] = (this.#counts[place] ?? 0) + by;
  }

  total(counter: at.DiskCounter): number {
    let sum = 0;
    for (let thread = 0; thread < this.#handles.threads; thread += 1) {
      sum += this.#counts[at.counterAt(thread, counter)] ?? 0;
    }
    return sum;
  }

  get objects(): number {
    return this.#control[at.OBJECTS] ?? 0;
  }

  get bytes(): number {
    return this.#counts[at.BYTES] ?? 0;
  }

  /** Changes whenever something with this hash is removed. */
  version(low: number): number {
    return Atomics.load(this.#control, this.#versions + (low & (at.VERSIONS - 1)));
  }

  // Records.

  invalidate(low: number): void {
    Atomics.add(this.#control, this.#versions + (low & (at.VERSIONS - 1)), 1);
  }

  /** The number of a new record. */
  nextSequence(): number {
    const next = (this.#counts[at.SEQUENCE] ?? 0) + 1;
    this.#counts[at.SEQUENCE] = next;
    return next;
  }

  seenSequence(sequence: number): void {
    this.#counts[at.SEQUENCE] = Math.max(this.#counts[at.SEQUENCE] ?? 0, sequence);
  }

  /** What is stored under a key's hash, newest first. */
  find(high: number, low: number): Located[] {
    const found: Located[] = [];
    for (let slot = this.#int(this.#bucket(low)); slot !== 0; slot = this.#get(slot, NEXT)) {
      if (this.#get(slot, HIGH) === high && this.#get(slot, LOW) === low) found.push(this.locate(slot));
    }
    return found;
  }

  findVariant({ high, low, variant }: RecordName): Located | undefined {
    for (let slot = this.#int(this.#bucket(low)); slot !== 0; slot = this.#get(slot, NEXT)) {
      const same = this.#get(slot, HIGH) === high && this.#get(slot, LOW) === low;
      if (same && this.#get(slot, VARIANT) === variant) return this.locate(slot);
    }
    return undefined;
  }

  locate(slot: number): Located {
    const place = this.#get(slot, PLACE);
    const segment = place >>> 3;
    return {
      slot,
      segment,
      generation: this.segments.generation(segment),
      offset: this.#get(slot, OFFSET),
      units: this.#get(slot, UNITS),
      uses: place & USES,
      barrier: this.#get(slot, BARRIER) >>> 0,
      variant: this.#get(slot, VARIANT),
    };
  }

  name(slot: number): RecordName {
    return { high: this.#get(slot, HIGH), low: this.#get(slot, LOW), variant: this.#get(slot, VARIANT) };
  }

  /** Whether it is still there, and nowhere else. */
  isThere({ slot, segment, generation, offset }: Located): boolean {
    const place = this.#get(slot, PLACE);
    return (
      (place & LIVE) !== 0 &&
      place >>> 3 === segment &&
      this.#get(slot, OFFSET) === offset &&
      this.segments.generation(segment) === generation
    );
  }

  /** Its slot; 0: there is none left. */
  insert(name: RecordName, segment: number, hint: Pick<Hint, 'offset' | 'units' | 'barrier'>, uses: number): number {
    let slot = this.#control[at.FREE_SLOT] ?? 0;
    if (slot !== 0) {
      this.#control[at.FREE_SLOT] = this.#get(slot, NEXT);
    } else {
      slot = (this.#control[at.TOP_SLOT] ?? 0) + 1;
      if (slot > this.#handles.limits.maxObjects) return 0;
      this.#control[at.TOP_SLOT] = slot;
    }
    const bucket = this.#bucket(name.low);
    this.#set(slot, NEXT, this.#int(bucket));
    this.#set(slot, SIBLING, this.segments.first(segment));
    this.#set(slot, HIGH, name.high);
    this.#set(slot, LOW, name.low);
    this.#set(slot, VARIANT, name.variant);
    this.#set(slot, PLACE, segment * 8 + LIVE + uses);
    this.#set(slot, OFFSET, hint.offset);
    this.#set(slot, UNITS, hint.units);
    this.#set(slot, BARRIER, hint.barrier);
    this.#ints[bucket] = slot;
    this.segments.setFirst(segment, slot);
    this.#control[at.SLOTS] = (this.#control[at.SLOTS] ?? 0) + 1;
    this.#tally(1, hint.units);
    return slot;
  }

  /** It is found no more. */
  kill(slot: number): void {
    const bucket = this.#bucket(this.#get(slot, LOW));
    if (this.#int(bucket) === slot) {
      this.#ints[bucket] = this.#get(slot, NEXT);
    } else {
      let before = this.#int(bucket);
      while (before !== 0 && this.#get(before, NEXT) !== slot) before = this.#get(before, NEXT);
      if (before !== 0) this.#set(before, NEXT, this.#get(slot, NEXT));
    }
    this.#set(slot, PLACE, this.#get(slot, PLACE) & ~LIVE);
    this.#tally(-1, -this.#get(slot, UNITS));
  }

  use(slot: number): void {
    const place = this.#get(slot, PLACE);
    if ((place & USES) < MAX_USES) this.#set(slot, PLACE, place + 1);
  }

  setUses(slot: number, uses: number): void {
    this.#set(slot, PLACE, (this.#get(slot, PLACE) & ~USES) + uses);
  }

  setBarrier(slot: number, barrier: number): void {
    this.#set(slot, BARRIER, barrier);
  }

  get freeSlots(): number {
    return this.#handles.limits.maxObjects - (this.#control[at.SLOTS] ?? 0);
  }

  /** Remembers what was thrown out unused. */
  addGhost({ high, low }: RecordName): void {
    this.#ints[this.#ghosts + (low & (this.#handles.ghosts - 1))] = high;
  }

  isGhost(high: number, low: number): boolean {
    return high !== 0 && this.#int(this.#ghosts + (low & (this.#handles.ghosts - 1))) === high;
  }

  // Segments.

  /**
   * What is live among the next `most` slots of a segment, and the slot to go on from; 0: it was the last. The segment must stay
   * pinned meanwhile: only what is free has another list.
   */
  take(from: number, most: number): { readonly found: Located[]; readonly next: number } {
    const found: Located[] = [];
    let slot = from;
    for (let left = most; slot !== 0 && left > 0; left -= 1) {
      if ((this.#get(slot, PLACE) & LIVE) !== 0) found.push(this.locate(slot));
      slot = this.#get(slot, SIBLING);
    }
    return { found, next: slot };
  }

  /** Takes out what was purged, but for what is not there any more, or was refreshed since it was looked up. */
  sweep(purged: readonly Located[]): void {
    for (const located of purged) {
      if (!this.isThere(located) || this.#get(located.slot, BARRIER) >>> 0 !== located.barrier) continue;
      this.kill(located.slot);
      this.count('swept');
    }
  }

  /** The live slots of a segment. */
  *slots(segment: number): Generator<number> {
    for (let slot = this.segments.first(segment); slot !== 0; slot = this.#get(slot, SIBLING)) {
      if ((this.#get(slot, PLACE) & LIVE) !== 0) yield slot;
    }
  }

  /** Makes the segment free, and its slots, whatever state it is in. */
  release(segment: number): void {
    for (let slot = this.segments.first(segment); slot !== 0; ) {
      if ((this.#get(slot, PLACE) & LIVE) !== 0) this.kill(slot);
      const sibling = this.#get(slot, SIBLING);
      this.#set(slot, PLACE, 0);
      this.#set(slot, NEXT, this.#control[at.FREE_SLOT] ?? 0);
      this.#control[at.FREE_SLOT] = slot;
      this.#control[at.SLOTS] = (this.#control[at.SLOTS] ?? 0) - 1;
      slot = sibling;
    }
    this.segments.free(segment);
  }

  #tally(objects: number, units: number): void {
    this.#control[at.OBJECTS] = this.objects + objects;
    this.#counts[at.BYTES] = this.bytes + units * UNIT;
  }

  #bucket(low: number): number {
    return low & (this.#handles.buckets - 1);
  }

  #int(place: number): number {
    return this.#ints[place] ?? 0;
  }

  #get(slot: number, lane: number): number {
    return this.#ints[this.#base + slot * at.SLOT_INTS + lane] ?? 0;
  }

  #set(slot: number, lane: number, value: number): void {
    this.#ints[this.#base + slot * at.SLOT_INTS + lane] = value;
  }
}
