// One cache for all threads of the process, in shared memory. Each thread makes a SharedStore over the same handles.
//
// Changes (record-log.ts) take the lock, for microseconds. Looking up does not: bytes are copied out, and used if the sequence
// number of their bucket says that nothing was changed meanwhile (slot-table.ts). What a thread reads often it keeps
// (local-tier.ts) and uses for as long as a number of changes in the bucket is the same: such a hit is a look-up in a map and one
// load, and whatever any thread removes, replaces or refreshes is gone for all threads at once. See docs/adr/0007.
import type {
  CacheEntry,
  CacheStore,
  Described,
  Storable,
  StoredHead,
  StoreStats,
  StoreWriter,
} from '../../decide/cache/entry.ts';
import { encodeRecord, RecordReader } from '../../decide/cache/record.ts';
import { StringHash } from '../../decide/hash.ts';
import { type GatherRefusal, gatherBody, PendingBytes } from '../body-gatherer.ts';
import type { StoreLimits } from '../store-limits.ts';
import * as at from './handles.ts';
import { LocalTier } from './local-tier.ts';
import { SharedLock } from './lock.ts';
import { type Place, RecordLog } from './record-log.ts';
import { Ring } from './ring.ts';
import { SlotTable } from './slot-table.ts';

export interface SharedStoreOptions {
  /** What this thread keeps for itself of what it has read, bytes. */
  readonly localBytes?: number;
  /** How long to wait for the lock, milliseconds. Short on the thread that sees to dead ones ({@link SharedStore.recover}). */
  readonly patienceMs?: number;
  /** Who what is stored of a host is counted for, 0 ..< `OWNERS`; without it all is counted for 0. */
  readonly ownerOf?: (host: string) => number;
  /** Instead of the keyed hash; for tests. */
  readonly hash?: Pick<StringHash, 'of' | 'high' | 'low'>;
}

export interface SharedStoreStats extends StoreStats {
  /** Not done because the lock could not be had in time. */
  readonly refusedBusy: number;
  /** Times that everything was dropped because a thread died, or failed, in the middle of a change. */
  readonly resets: number;
}

const DEFAULT_LOCAL_BYTES = 64 * 1024 * 1024;
const DEFAULT_PATIENCE_MS = 10_000;
/** Reading without the lock is tried so many times before it is read with it. */
const TRIES = 3;
/** A reader that has followed so many links looks whether the chain is still the one that he began with. */
const LINKS = 64;
/** Entries that a sweep looks at without letting go of the lock, and free slots that count for one of them. */
const SWEEP_BATCH = 32;
const FREE_SLOTS = 64;

const NOTHING: readonly CacheEntry[] = Object.freeze([]);
const NO_BODY = Buffer.alloc(0);

class SharedEntry implements CacheEntry, Place {
  readonly key: string;
  readonly host: string;
  readonly purgeTarget: string;
  readonly head: StoredHead;
  readonly body: Buffer;
  readonly size: number;
  readonly slot: number;
  readonly generation: number;
  prepared: CacheEntry['prepared'] = undefined;
  askedAt = -1;

  constructor(content: Omit<Storable, 'body'>, body: Buffer, size: number, slot: number, generation: number) {
    this.key = content.key;
    this.host = content.host;
    this.purgeTarget = content.purgeTarget;
    this.head = content.head;
    this.body = body;
    this.size = size;
    this.slot = slot;
    this.generation = generation;
  }
}

interface Copied extends Place {
  readonly record: string;
  readonly body: Buffer;
}

export class SharedStore implements CacheStore {
  readonly #limits: StoreLimits;
  readonly #lock: SharedLock;
  readonly #patienceMs: number;
  readonly #hash: Pick<StringHash, 'of' | 'high' | 'low'>;
  readonly #ownerOf: ((host: string) => number) | undefined;
  readonly #reader = new RecordReader();
  readonly #slots: SlotTable;
  readonly #ring: Ring;
  readonly #log: RecordLog;
  readonly #local: LocalTier;
  /** Totals and slices: see handles.ts. */
  readonly #counts: Float64Array;
  readonly #threads: number;
  readonly #slice: number;
  readonly #pending: PendingBytes;
  #sweepAt = 0;
  #sweepEnd = 0;

  /** `thread`: 0 ..< `handles.threads`, of those that use the store at one time another for each. */
  constructor(handles: at.SharedStoreHandles, thread: number, options: SharedStoreOptions = {}) {
    if (!Number.isInteger(thread) || thread < 0 || thread >= handles.threads) {
      throw new RangeError(`thread of the cache: expected 0 to ${handles.threads - 1}, found ${thread}`);
    }
    const ints = new Int32Array(handles.control);
    this.#limits = handles.limits;
    this.#threads = handles.threads;
    this.#slice = at.slice(thread);
    this.#counts = new Float64Array(handles.control);
    this.#lock = new SharedLock(ints, at.LOCK, thread);
    this.#patienceMs = options.patienceMs ?? DEFAULT_PATIENCE_MS;
    this.#hash = options.hash ?? new StringHash(handles.hashKey);
    this.#ownerOf = options.ownerOf;
    this.#slots = new SlotTable(handles.index, handles.buckets, ints, at.TABLE, (this.#slice + at.FENCE) * 2);
    this.#ring = new Ring(handles.arena);
    this.#log = new RecordLog(
      this.#limits,
      this.#threads,
      this.#slots,
      this.#ring,
      this.#counts,
      this.#hash,
      this.#reader,
    );
    this.#local = new LocalTier(options.localBytes ?? DEFAULT_LOCAL_BYTES);
    this.#pending = new PendingBytes(this.#limits.maxPendingBytes, this.#counts, this.#slice + at.PENDING);
  }

  find(key: string): readonly CacheEntry[] {
    const known = this.#local.get(key);
    if (known !== undefined && this.#slots.changes(known.counter) === known.changes) return known.entries;
    return this.#find(key);
  }

  touch(entry: CacheEntry): void {
    if (entry instanceof SharedEntry) this.#slots.use(entry.slot, entry.generation);
  }

  put(entry: Storable): CacheEntry | undefined {
    const { body } = entry;
    const record = encodeRecord(entry);
    const size = record.length + body.length;
    if (body.length > this.#limits.maxObjectBytes || size > this.#ring.capacity) {
      this.#refused('too-large');
      return undefined;
    }
    const owner = this.#ownerOf?.(entry.host) ?? 0;
    const place = this.#attempt(() => this.#log.put(entry, record, owner));
    return place && new SharedEntry(entry, body, size, place.slot, place.generation);
  }

  begin(entry: Omit<Storable, 'body'>, expectedLength: number | undefined): StoreWriter | undefined {
    return gatherBody(this.#pending, expectedLength, this.#limits.maxObjectBytes, {
      kept: (body) => this.put({ ...entry, body }),
      refused: (because) => this.#refused(because),
    });
  }

  refresh(entry: CacheEntry, head: StoredHead): void {
    if (entry instanceof SharedEntry) this.#attempt(() => this.#log.refresh(entry, entry, head));
  }

  /** Throws when the lock cannot be had: what must not be used any more would stay. */
  remove(key: string): void {
    const done = this.#attempt(() => {
      this.#log.removeKey(key);
      return true;
    });
    if (!done) throw this.#busy();
  }

  /** Throws when the lock cannot be had. */
  removeEntry(entry: CacheEntry): void {
    if (!(entry instanceof SharedEntry)) return;
    const done = this.#attempt(() => {
      if (this.#log.holds(entry)) this.#log.remove(entry.slot);
      return true;
    });
    if (!done) throw this.#busy();
  }

  // An entry stays in its slot for life, so a round goes once through all slots that were in use when it began.
  sweep(purged: (entry: Described) => boolean, budget: number): { readonly removed: number; readonly done: boolean } {
    if (this.#sweepAt === 0) {
      this.#sweepAt = 1;
      this.#sweepEnd = this.#slots.top;
    }
    let removed = 0;
    for (let left = budget; left > 0 && this.#sweepAt <= this.#sweepEnd; ) {
      const batch = this.#attempt(() => this.#sweepSome(purged, Math.min(left, SWEEP_BATCH)));
      if (batch === undefined) break;
      removed += batch.removed;
      left -= batch.cost;
    }
    const done = this.#sweepAt > this.#sweepEnd;
    if (done) this.#sweepAt = 0;
    return { removed, done };
  }

  /** Of the whole node; only `maxPendingBytes` holds for each thread. */
  stats(): SharedStoreStats {
    const count = (place: number) => this.#counts[place] ?? 0;
    const total = (lane: number) => {
      let sum = 0;
      for (let thread = 0; thread < this.#threads; thread += 1) sum += count(at.slice(thread) + lane);
      return sum;
    };
    return {
      objects: count(at.OBJECTS),
      bytes: count(at.BYTES),
      pendingBytes: total(at.PENDING),
      evictions: count(at.EVICTIONS),
      variantEvictions: count(at.VARIANT_EVICTIONS),
      swept: count(at.SWEPT),
      refusedOlder: count(at.REFUSED_OLDER),
      refusedTooLarge: total(at.REFUSED_TOO_LARGE),
      refusedPending: total(at.REFUSED_PENDING),
      refusedIncomplete: total(at.REFUSED_INCOMPLETE),
      refusedBusy: total(at.REFUSED_BUSY),
      resets: count(at.RESETS),
    };
  }

  /** What is stored, and was evicted since the start, of one owner; 0 ..< `OWNERS`. */
  owned(owner: number): { readonly objects: number; readonly bytes: number; readonly evictions: number } {
    const from = at.owned(this.#threads, owner);
    const count = (lane: number) => this.#counts[from + lane] ?? 0;
    return {
      objects: count(at.OWNED_OBJECTS),
      bytes: count(at.OWNED_BYTES),
      evictions: count(at.OWNED_EVICTIONS),
    };
  }

  /**
   * To be called when `thread` is dead, before another takes its number. If it died in the middle of a change the cache is
   * emptied, and the threads that wait for it go on.
   */
  recover(thread: number): void {
    this.#counts[at.slice(thread) + at.PENDING] = 0;
    if (!this.#lock.seize(thread)) return;
    this.#log.reset();
    this.#lock.release();
  }

  #find(key: string): readonly CacheEntry[] {
    this.#hash.of(key);
    const { high, low } = this.#hash;
    const keep = this.#local.isRecent(high, low);
    for (let tries = 0; tries < TRIES; tries += 1) {
      const found = this.#read(key, low, keep);
      if (found !== undefined) return found;
    }
    return this.#attempt(() => this.#read(key, low, keep)) ?? NOTHING;
  }

  /** Undefined: something changed meanwhile. */
  #read(key: string, low: number, keep: boolean): readonly CacheEntry[] | undefined {
    const slots = this.#slots;
    const bucket = slots.bucket(low);
    const sequence = slots.sequence(bucket);
    if ((sequence & 1) === 1) return undefined;
    const counter = slots.counter(low);
    const changes = slots.changes(counter);
    let copies: Copied[] | undefined;
    let links = 0;
    for (let slot = slots.first(bucket); slot !== 0; slot = slots.next(slot)) {
      links += 1;
      if (links % LINKS === 0 && !slots.unchanged(bucket, sequence)) return undefined;
      if (!slots.matches(slot, low)) continue;
      copies ??= [];
      copies.push(this.#copy(slot, keep));
    }
    if (!slots.unchanged(bucket, sequence)) return undefined;
    if (copies === undefined) return NOTHING;
    const entries = this.#unpack(key, copies);
    if (keep) this.#local.remember(key, entries, counter, changes);
    return entries;
  }

  /** Numbers that do not belong together copy bytes that do not; it is the sequence number that tells. */
  #copy(slot: number, keep: boolean): Copied {
    const slots = this.#slots;
    const position = slots.position(slot);
    const bodyBytes = slots.bodyBytes(slot);
    const record = this.#ring.readText(this.#ring.after(position, bodyBytes), slots.recordBytes(slot));
    const body = bodyBytes === 0 ? NO_BODY : this.#local.allocate(bodyBytes, keep);
    this.#ring.read(position, body);
    return { slot, generation: slots.generation(slot), record, body };
  }

  #unpack(key: string, copies: readonly Copied[]): readonly CacheEntry[] {
    const entries: SharedEntry[] = [];
    // A chain has the newest first; a list, as others expect it, last.
    for (let i = copies.length - 1; i >= 0; i -= 1) {
      const copied = copies[i];
      const content = copied && this.#reader.read(copied.record, key);
      if (copied === undefined || content === undefined) continue;
      const size = copied.record.length + copied.body.length;
      entries.push(new SharedEntry(content, copied.body, size, copied.slot, copied.generation));
    }
    return entries.length === 0 ? NOTHING : entries;
  }

  #sweepSome(purged: (entry: Described) => boolean, budget: number): { cost: number; removed: number } {
    const slots = this.#slots;
    let cost = 0;
    let free = 0;
    let removed = 0;
    for (; cost < budget && this.#sweepAt <= this.#sweepEnd; this.#sweepAt += 1) {
      const slot = this.#sweepAt;
      if (!slots.isLive(slot)) {
        free += 1;
        if (free % FREE_SLOTS === 0) cost += 1;
        continue;
      }
      cost += 1;
      const { host, purgeTarget, head } = this.#reader.purgeable(this.#log.record(slot));
      if (!purged({ host, purgeTarget, head, size: slots.size(slot) })) continue;
      this.#log.remove(slot);
      removed += 1;
    }
    this.#add(at.SWEPT, removed);
    return { cost, removed };
  }

  /** With the lock held. Undefined, and counted, when it cannot be had. */
  #attempt<Result>(change: () => Result): Result | undefined {
    if (!this.#lock.acquire(this.#patienceMs)) {
      this.#add(this.#slice + at.REFUSED_BUSY, 1);
      return undefined;
    }
    try {
      return change();
    } catch (error) {
      // A defect costs what is stored, not the right answers.
      this.#log.reset();
      throw error;
    } finally {
      this.#lock.release();
    }
  }

  #busy(): Error {
    return new Error(`the cache was locked for more than ${this.#patienceMs} ms; see whether a thread hangs`);
  }

  #refused(because: GatherRefusal): void {
    this.#add(this.#slice + REFUSED[because], 1);
  }

  #add(place: number, by: number): void {
    this.#counts[place] = (this.#counts[place] ?? 0) + by;
  }
}

const REFUSED: Readonly<Record<GatherRefusal, number>> = {
  'too-large': at.REFUSED_TOO_LARGE,
  'pending-full': at.REFUSED_PENDING,
  'wrong-length': at.REFUSED_INCOMPLETE,
};
