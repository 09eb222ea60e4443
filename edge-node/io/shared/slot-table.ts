// The index of the shared store: a slot for each stored response, in a chain for each hash and in one queue by age. All of it
// is numbers in shared memory. One thread at a time changes it, under the store's lock; any thread reads it, without.
//
// Bucket: SEQUENCE (odd while something of the bucket is being changed or moved: a sequence lock), FIRST of chain, and two CHANGES
// (how often what is stored there has changed: whoever remembers what he read asks only whether this number is still the same),
// between which a bit of the hash chooses, so that half as many neighbours disturb whoever remembers.
// Slot: free, or live and in the chain of its bucket; its generation changes when it is freed, so that (slot, generation)
// names one response for ever. Slots are counted from 1, 0 is none; memory that was never written is an empty table.
//
// A reader sees SEQUENCE, copies, and sees the same even SEQUENCE again: then nothing that he copied was changed meanwhile. The
// stores and loads around that are ordered by Atomics: a store followed by a load is a full fence, on x86 and on ARM.

const BUCKET_SHIFT = 2;
const SEQUENCE = 0;
const FIRST = 1;
const CHANGES = 2;

const SLOT_INTS = 10;
const NEXT = 0;
/** Half of the key's hash: who takes another key's record for the right one sees by the key in it that it is not. */
const HASH = 1;
const GENERATION = 2;
/** Whose it is, a number that means nothing here, doubled, and 1 if it was used. */
const OWNER = 3;
const USED = 1;
const NEWER = 4;
const OLDER = 5;
/** Bytes of the record, 0 in a slot that is free, and of the body. */
const RECORD = 6;
const BODY = 7;
/** Where in the ring, as a double in the place of two numbers. */
const POSITION = 8;

/** Numbers of the queue and of the free slots, in the control memory from where the table is told. */
const OLDEST = 0;
const NEWEST = 1;
const FREE = 2;
const TOP = 3;
export const TABLE_CONTROLS = 4;

/** Bytes of the index; `buckets`: a power of two. */
export function slotTableBytes(buckets: number, slots: number): number {
  return ((buckets << BUCKET_SHIFT) + slots * SLOT_INTS) * Int32Array.BYTES_PER_ELEMENT;
}

export class SlotTable {
  readonly #ints: Int32Array;
  readonly #doubles: Float64Array;
  readonly #mask: number;
  /** Where slot 0 would be. */
  readonly #base: number;
  readonly #control: Int32Array;
  readonly #controlAt: number;
  readonly #fence: number;

  /** `control[controlAt]` and after: the table's numbers; `control[fence]`: a number that only this thread writes. */
  constructor(memory: SharedArrayBuffer, buckets: number, control: Int32Array, controlAt: number, fence: number) {
    this.#ints = new Int32Array(memory);
    this.#doubles = new Float64Array(memory);
    this.#mask = buckets - 1;
    this.#base = (buckets << BUCKET_SHIFT) - SLOT_INTS;
    this.#control = control;
    this.#controlAt = controlAt;
    this.#fence = fence;
  }

  bucket(low: number): number {
    return (low & this.#mask) << BUCKET_SHIFT;
  }

  /** Where the number of changes of all that has this hash is. */
  counter(low: number): number {
    return this.bucket(low) + CHANGES + (low >>> 31);
  }

  changes(counter: number): number {
    return Atomics.load(this.#ints, counter);
  }

  // Reading.

  sequence(bucket: number): number {
    return Atomics.load(this.#ints, bucket + SEQUENCE);
  }

  /** Whether everything read since {@link sequence} gave `sequence` was read whole. */
  unchanged(bucket: number, sequence: number): boolean {
    Atomics.store(this.#control, this.#fence, 0);
    return Atomics.load(this.#ints, bucket + SEQUENCE) === sequence;
  }

  first(bucket: number): number {
    return this.#ints[bucket + FIRST] ?? 0;
  }

  next(slot: number): number {
    return this.#get(slot, NEXT);
  }

  matches(slot: number, low: number): boolean {
    return this.#get(slot, HASH) === low;
  }

  isLive(slot: number): boolean {
    return this.#get(slot, RECORD) !== 0;
  }

  generation(slot: number): number {
    return this.#get(slot, GENERATION);
  }

  position(slot: number): number {
    return this.#doubles[(this.#base + slot * SLOT_INTS + POSITION) >> 1] ?? 0;
  }

  recordBytes(slot: number): number {
    return this.#get(slot, RECORD);
  }

  bodyBytes(slot: number): number {
    return this.#get(slot, BODY);
  }

  size(slot: number): number {
    return this.#get(slot, RECORD) + this.#get(slot, BODY);
  }

  owner(slot: number): number {
    return this.#get(slot, OWNER) >>> 1;
  }

  isUsed(slot: number): boolean {
    return (this.#get(slot, OWNER) & USED) !== 0;
  }

  /** Any thread may call it. Written only where it changes something: a slot that everybody uses stays in every core's cache. */
  use(slot: number, generation: number): void {
    const at = this.#base + slot * SLOT_INTS;
    if (((this.#ints[at + OWNER] ?? 0) & USED) !== 0 || this.#ints[at + GENERATION] !== generation) return;
    // The slot may by now be another's, whose owner must stay.
    Atomics.or(this.#ints, at + OWNER, USED);
  }

  /** The oldest and the newest of the queue. */
  get oldest(): number {
    return this.#control[this.#controlAt + OLDEST] ?? 0;
  }

  get newest(): number {
    return this.#control[this.#controlAt + NEWEST] ?? 0;
  }

  newer(slot: number): number {
    return this.#get(slot, NEWER);
  }

  /** Slots above it were never used. */
  get top(): number {
    return this.#control[this.#controlAt + TOP] ?? 0;
  }

  // Changing: with the store's lock held.

  bucketOf(slot: number): number {
    return this.bucket(this.#get(slot, HASH));
  }

  /** Turns readers of the bucket away until {@link close}. */
  open(bucket: number): void {
    const sequence = Atomics.load(this.#ints, bucket + SEQUENCE);
    Atomics.store(this.#ints, bucket + SEQUENCE, sequence + 1);
    // Nothing that follows may be seen before the odd number is: see the fence above.
    Atomics.load(this.#ints, bucket + SEQUENCE);
  }

  /** `changed`: a slot of the key for which not the same is stored as before; 0: something was moved at most. */
  close(bucket: number, changed: number): void {
    if (changed !== 0) Atomics.add(this.#ints, this.counter(this.#get(changed, HASH)), 1);
    Atomics.add(this.#ints, bucket + SEQUENCE, 1);
  }

  /** A slot that is neither live nor free any more. There must be one. */
  allocate(low: number, owner: number): number {
    let slot = this.#control[this.#controlAt + FREE] ?? 0;
    if (slot === 0) {
      slot = this.top + 1;
      this.#control[this.#controlAt + TOP] = slot;
    } else {
      this.#control[this.#controlAt + FREE] = this.next(slot);
    }
    this.#set(slot, HASH, low);
    this.#set(slot, OWNER, owner << 1);
    return slot;
  }

  /** Out of chain and queue it must be already. */
  free(slot: number): void {
    this.#set(slot, GENERATION, (this.generation(slot) + 1) | 0);
    this.#set(slot, RECORD, 0);
    this.#set(slot, NEXT, this.#control[this.#controlAt + FREE] ?? 0);
    this.#control[this.#controlAt + FREE] = slot;
  }

  place(slot: number, position: number, recordBytes: number, bodyBytes: number): void {
    this.#doubles[(this.#base + slot * SLOT_INTS + POSITION) >> 1] = position;
    this.#set(slot, RECORD, recordBytes);
    this.#set(slot, BODY, bodyBytes);
  }

  setUsed(slot: number, used: boolean): void {
    const at = this.#base + slot * SLOT_INTS + OWNER;
    if (used) Atomics.or(this.#ints, at, USED);
    else Atomics.and(this.#ints, at, ~USED);
  }

  /** Its bucket must be open. */
  chain(slot: number): void {
    const bucket = this.bucketOf(slot);
    this.#set(slot, NEXT, this.first(bucket));
    this.#ints[bucket + FIRST] = slot;
  }

  /** Its bucket must be open. */
  unchain(slot: number): void {
    const bucket = this.bucketOf(slot);
    if (this.first(bucket) === slot) {
      this.#ints[bucket + FIRST] = this.next(slot);
      return;
    }
    let before = this.first(bucket);
    while (before !== 0 && this.next(before) !== slot) before = this.next(before);
    if (before !== 0) this.#set(before, NEXT, this.next(slot));
  }

  enqueue(slot: number): void {
    const { newest } = this;
    this.#set(slot, OLDER, newest);
    this.#set(slot, NEWER, 0);
    if (newest === 0) this.#control[this.#controlAt + OLDEST] = slot;
    else this.#set(newest, NEWER, slot);
    this.#control[this.#controlAt + NEWEST] = slot;
  }

  dequeue(slot: number): void {
    const older = this.#get(slot, OLDER);
    const newer = this.#get(slot, NEWER);
    if (older === 0) this.#control[this.#controlAt + OLDEST] = newer;
    else this.#set(older, NEWER, newer);
    if (newer === 0) this.#control[this.#controlAt + NEWEST] = older;
    else this.#set(newer, OLDER, older);
  }

  /** Empties the table, whatever state it is in. Entries and lists that anybody remembers are told from what comes later. */
  clear(): void {
    for (let bucket = 0; bucket <= this.#mask << BUCKET_SHIFT; bucket += 1 << BUCKET_SHIFT) {
      const odd = Atomics.load(this.#ints, bucket + SEQUENCE) | 1;
      Atomics.store(this.#ints, bucket + SEQUENCE, odd);
      this.#ints[bucket + FIRST] = 0;
      for (const changes of [CHANGES, CHANGES + 1]) Atomics.add(this.#ints, bucket + changes, 1);
      Atomics.store(this.#ints, bucket + SEQUENCE, odd + 1);
    }
    for (let slot = 1; slot <= this.top; slot += 1) {
      this.#set(slot, GENERATION, (this.generation(slot) + 1) | 0);
      this.#set(slot, RECORD, 0);
    }
    for (let i = 0; i < TABLE_CONTROLS; i += 1) this.#control[this.#controlAt + i] = 0;
  }

  #get(slot: number, lane: number): number {
    return this.#ints[this.#base + slot * SLOT_INTS + lane] ?? 0;
  }

  #set(slot: number, lane: number, value: number): void {
    this.#ints[this.#base + slot * SLOT_INTS + lane] = value;
  }
}
