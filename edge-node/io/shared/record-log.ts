// What is stored, and how it changes: bodies and records (decide/cache/record.ts) in a ring, in the order in which they came, and
// the slot table that says where. Only with the store's lock held, but for what the slot table allows to all.
//
// Room is made at the old end: what was used since it came, or came round last, is moved to the new end, the rest is dropped
// (second chance over first in, first out: near to least recently used, and one pass over many things does not wash out what is
// used). What is removed in the middle leaves a gap, whose bytes are of use again when the old end has come to it.
import type { Storable, StoredHead } from '../../decide/cache/entry.ts';
import { encodeRecord, type RecordName, type RecordReader } from '../../decide/cache/record.ts';
import type { StringHash } from '../../decide/hash.ts';
import type { StoreLimits } from '../store-limits.ts';
import * as at from './handles.ts';
import type { Ring } from './ring.ts';
import type { SlotTable } from './slot-table.ts';

/** (slot, generation) names one stored response for ever: see the slot table. A refresh leaves it the same. */
export interface Place {
  readonly slot: number;
  readonly generation: number;
}

interface Sibling extends RecordName {
  readonly slot: number;
}

/** Bytes that may be moved to make room, and what a move counts for beside its bytes. Then even what is used is dropped. */
const MOVE_BUDGET = 4 * 1024 * 1024;
const MOVE_COST = 512;

export class RecordLog {
  readonly #limits: StoreLimits;
  readonly #threads: number;
  readonly #slots: SlotTable;
  readonly #ring: Ring;
  readonly #counts: Float64Array;
  readonly #hash: Pick<StringHash, 'of' | 'low'>;
  readonly #reader: RecordReader;

  /** `counts`: the control memory of a store of `threads`. */
  constructor(
    limits: StoreLimits,
    threads: number,
    slots: SlotTable,
    ring: Ring,
    counts: Float64Array,
    hash: Pick<StringHash, 'of' | 'low'>,
    reader: RecordReader,
  ) {
    this.#limits = limits;
    this.#threads = threads;
    this.#slots = slots;
    this.#ring = ring;
    this.#counts = counts;
    this.#hash = hash;
    this.#reader = reader;
  }

  /** `record`: of `entry`; with its body no longer than the ring; `owner`: 0 ..< `OWNERS`. Undefined: what is stored there is newer. */
  put(entry: Storable, record: string, owner: number): Place | undefined {
    const slots = this.#slots;
    const { body, head } = entry;
    const siblings = this.#siblings(entry.key);
    const { low } = this.#hash;
    const former = siblings.find(({ variant }) => variant === head.variant);
    if (former !== undefined && former.barrier > head.barrier) {
      this.#add(at.REFUSED_OLDER, 1);
      return undefined;
    }
    const crowded = former === undefined && siblings.length >= this.#limits.maxVariants;
    const replaced = crowded ? this.#leastUsed(siblings) : (former?.slot ?? 0);
    const generation = slots.generation(replaced);
    // It may have to go already to make room.
    const isThere = () => replaced !== 0 && slots.generation(replaced) === generation;
    this.#makeRoom(record.length + body.length, () => (isThere() ? 0 : 1));

    const slot = slots.allocate(low, owner);
    this.#write(slot, body, record);
    const bucket = slots.bucketOf(slot);
    const replaces = isThere();
    slots.open(bucket);
    if (replaces) this.#take(replaced);
    this.#give(slot);
    slots.close(bucket, slot);
    if (replaces) slots.free(replaced);
    if (replaces && crowded) {
      this.#add(at.VARIANT_EVICTIONS, 1);
      this.#own(replaced, at.OWNED_EVICTIONS, 1);
    }
    return { slot, generation: slots.generation(slot) };
  }

  /** Does nothing when `place` is not of what is stored. `entry` says under what it is stored. */
  refresh(place: Place, entry: Omit<Storable, 'head' | 'body'>, head: StoredHead): void {
    const slots = this.#slots;
    const { slot } = place;
    if (!this.holds(place)) return;
    const siblings = this.#siblings(entry.key);
    if ((siblings.find((sibling) => sibling.slot === slot)?.barrier ?? 0) > head.barrier) return;
    const other = siblings.find((sibling) => sibling.variant === head.variant && sibling.slot !== slot);
    if (other !== undefined) {
      if (other.barrier > head.barrier) return;
      this.remove(other.slot);
    }
    const { key, host, purgeTarget } = entry;
    const record = encodeRecord({ key, host, purgeTarget, head });
    const bodyBytes = slots.bodyBytes(slot);
    const bucket = slots.bucketOf(slot);
    if (bodyBytes + record.length <= this.#reach(slot)) {
      const position = slots.position(slot);
      slots.open(bucket);
      this.#addBytes(slot, record.length - slots.recordBytes(slot));
      slots.place(slot, position, record.length, bodyBytes);
      this.#ring.writeText(this.#ring.after(position, bodyBytes), record);
      slots.close(bucket, slot);
    } else {
      // It needs more room than it has: it goes to the new end, and for as long as that takes it is nowhere.
      const body = Buffer.allocUnsafeSlow(bodyBytes);
      this.#ring.read(slots.position(slot), body);
      slots.open(bucket);
      this.#take(slot);
      slots.close(bucket, slot);
      if (bodyBytes + record.length > this.#ring.capacity) {
        slots.free(slot);
        this.#countEviction(slot);
        return;
      }
      this.#makeRoom(bodyBytes + record.length, () => 1);
      this.#write(slot, body, record);
      slots.open(bucket);
      this.#give(slot);
      slots.close(bucket, slot);
    }
    slots.setUsed(slot, true);
  }

  holds({ slot, generation }: Place): boolean {
    return this.#slots.generation(slot) === generation;
  }

  remove(slot: number): void {
    const bucket = this.#slots.bucketOf(slot);
    this.#slots.open(bucket);
    this.#take(slot);
    this.#slots.close(bucket, slot);
    this.#slots.free(slot);
  }

  removeKey(key: string): void {
    for (const { slot } of this.#siblings(key)) this.remove(slot);
  }

  /** Drops everything, whatever state it is in. */
  reset(): void {
    this.#slots.clear();
    this.#counts[at.OBJECTS] = 0;
    this.#counts[at.BYTES] = 0;
    for (let owner = 0; owner < at.OWNERS; owner += 1) {
      this.#counts[at.owned(this.#threads, owner) + at.OWNED_OBJECTS] = 0;
      this.#counts[at.owned(this.#threads, owner) + at.OWNED_BYTES] = 0;
    }
    this.#add(at.RESETS, 1);
  }

  /** The record of a slot that is live. */
  record(slot: number): string {
    const slots = this.#slots;
    return this.#ring.readText(this.#ring.after(slots.position(slot), slots.bodyBytes(slot)), slots.recordBytes(slot));
  }

  /** What is stored under `key`, newest first; leaves the key's hash in `#hash`. */
  #siblings(key: string): Sibling[] {
    const slots = this.#slots;
    this.#hash.of(key);
    const { low } = this.#hash;
    const siblings: Sibling[] = [];
    for (let slot = slots.first(slots.bucket(low)); slot !== 0; slot = slots.next(slot)) {
      if (!slots.matches(slot, low)) continue;
      const name = this.#reader.name(this.record(slot));
      if (name.key === key) siblings.push({ slot, ...name });
    }
    return siblings;
  }

  /** Of variants of one key, newest first: the oldest that was not used; if all were, the oldest, and all start anew. */
  #leastUsed(siblings: readonly Sibling[]): number {
    const unused = siblings.findLast(({ slot }) => !this.#slots.isUsed(slot));
    if (unused !== undefined) return unused.slot;
    for (const { slot } of siblings) this.#slots.setUsed(slot, false);
    return siblings.at(-1)?.slot ?? 0;
  }

  /** Where the next one goes: behind the newest. */
  #end(): number {
    const { newest } = this.#slots;
    return newest === 0 ? 0 : this.#ring.after(this.#slots.position(newest), this.#slots.size(newest));
  }

  /** Bytes free there, in one piece. */
  #free(): number {
    const { oldest } = this.#slots;
    return oldest === 0 ? this.#ring.capacity : this.#ring.distance(this.#end(), this.#slots.position(oldest));
  }

  /** Bytes from where it begins to the next one. */
  #reach(slot: number): number {
    const next = this.#slots.newer(slot);
    if (next === 0) return this.#slots.size(slot) + this.#free();
    return this.#ring.distance(this.#slots.position(slot), this.#slots.position(next));
  }

  /** Until there are `bytes` free in one piece, and `more()` objects more would not be too many. */
  #makeRoom(bytes: number, more: () => number): void {
    const slots = this.#slots;
    let budget = MOVE_BUDGET;
    while (this.#free() < bytes || (this.#counts[at.OBJECTS] ?? 0) + more() > this.#limits.maxObjects) {
      const { oldest } = slots;
      if (slots.isUsed(oldest) && budget > 0) {
        budget -= slots.size(oldest) + MOVE_COST;
        this.#moveToEnd(oldest);
      } else {
        this.remove(oldest);
        this.#countEviction(oldest);
      }
    }
  }

  /** The oldest becomes the newest, and is no longer used. What it leaves behind it can overlap only in front. */
  #moveToEnd(slot: number): void {
    const slots = this.#slots;
    const bucket = slots.bucketOf(slot);
    const from = slots.position(slot);
    slots.setUsed(slot, false);
    slots.open(bucket);
    slots.dequeue(slot);
    const to = slots.newest === 0 ? from : this.#end();
    this.#ring.move(from, to, slots.size(slot));
    slots.place(slot, to, slots.recordBytes(slot), slots.bodyBytes(slot));
    slots.enqueue(slot);
    slots.close(bucket, 0);
  }

  /** Behind the newest, where there must be room. */
  #write(slot: number, body: Buffer, record: string): void {
    const position = this.#end();
    this.#ring.write(position, body);
    this.#ring.writeText(this.#ring.after(position, body.length), record);
    this.#slots.place(slot, position, record.length, body.length);
  }

  /** Into the queue, and into the chain of its bucket, which must be open. */
  #give(slot: number): void {
    this.#slots.chain(slot);
    this.#slots.enqueue(slot);
    this.#addObjects(slot, 1);
    this.#addBytes(slot, this.#slots.size(slot));
  }

  #take(slot: number): void {
    this.#slots.unchain(slot);
    this.#slots.dequeue(slot);
    this.#addObjects(slot, -1);
    this.#addBytes(slot, -this.#slots.size(slot));
  }

  #addObjects(slot: number, by: number): void {
    this.#add(at.OBJECTS, by);
    this.#own(slot, at.OWNED_OBJECTS, by);
  }

  #addBytes(slot: number, by: number): void {
    this.#add(at.BYTES, by);
    this.#own(slot, at.OWNED_BYTES, by);
  }

  /** A slot that is free keeps its owner until it is used again. */
  #countEviction(slot: number): void {
    this.#add(at.EVICTIONS, 1);
    this.#own(slot, at.OWNED_EVICTIONS, 1);
  }

  #own(slot: number, lane: number, by: number): void {
    this.#add(at.owned(this.#threads, this.#slots.owner(slot)) + lane, by);
  }

  #add(place: number, by: number): void {
    this.#counts[place] = (this.#counts[place] ?? 0) + by;
  }
}
