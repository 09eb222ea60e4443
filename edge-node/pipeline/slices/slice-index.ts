// An index and its slices, as one answer uses them: what is found under it, what is stored under it, and what an origin's 206 makes
// of it (RFC 9111 section 3.4). What a purge has reached meanwhile is neither found nor added to.
import type { OpenBody } from '../../decide/cache/body-source.ts';
import type { CacheEntry, StoredHead, StoreWriter } from '../../decide/cache/entry.ts';
import { isSameVersion, wholeFields } from '../../decide/cache/partial.ts';
import { refreshHead } from '../../decide/cache/refresh.ts';
import { bodyLength, type Sliced, sliceAt, sliceHead, sliceKey } from '../../decide/cache/slices.ts';
import { variesBeyondKey } from '../../decide/forward.ts';
import type { Ports } from '../../ports.ts';
import { type Exchange, isPurgedFor, type OriginAnswer, required } from '../exchange.ts';
import { ALONE, type Flight } from './flights.ts';
import { SliceWriter } from './slice-writer.ts';

/** A slice that is there: in memory, or open on disk. */
export type FoundSlice = Buffer | OpenBody;

/** Of an index that is new. */
export function newGeneration({ random }: Ports): string {
  const part = (): string => Math.floor(random.next() * 2 ** 32).toString(36);
  return `${part()}.${part()}`;
}

export class SliceIndex {
  readonly entry: CacheEntry;
  readonly sliced: Sliced;
  readonly #x: Exchange;
  readonly #ports: Ports;
  #head: StoredHead;
  /** Whether the store has it: else nothing is kept under it. */
  #kept: boolean;

  /** `head`: of `entry`, as it has been refreshed since. */
  constructor(x: Exchange, ports: Ports, entry: CacheEntry, head: StoredHead, kept: boolean) {
    this.entry = entry;
    this.sliced = required(head.slices, 'index');
    this.#x = x;
    this.#ports = ports;
    this.#head = head;
    this.#kept = kept;
  }

  get head(): StoredHead {
    return this.#head;
  }

  /** Whether more than what is on its way may be asked for. */
  get kept(): boolean {
    return this.#kept;
  }

  keyOf(index: number): string {
    return sliceKey(this.entry.key, this.sliced, index);
  }

  /** Slice `index`; undefined: it is missing. `done` is called once, and before this returns unless it has to be read from disk. */
  find(index: number, done: (slice: FoundSlice | undefined) => void): void {
    const { cache } = this.#ports;
    const key = this.keyOf(index);
    if (!this.#isCurrent()) {
      done(undefined);
      return;
    }
    // The index is in use as long as its slices are.
    cache.touch(this.entry);
    const inMemory = this.#usable(cache.find(key)[0], index);
    if (inMemory !== undefined) done(inMemory);
    else if (cache.findStored?.(key, ([found]) => done(this.#usable(found, index))) !== true) done(undefined);
  }

  /** Whether another thread has stored slice `index` since it was looked for, and before it was announced that it is asked for here. */
  isThereNow(index: number): boolean {
    const { cache, claims } = this.#ports;
    return claims !== undefined && this.#usable(cache.find(this.keyOf(index))[0], index) !== undefined;
  }

  /** `entry`, which is stored as slice `index`; undefined: it is not to be used. */
  take(entry: CacheEntry, index: number): FoundSlice | undefined {
    return this.#isCurrent() ? this.#usable(entry, index) : undefined;
  }

  /** Stores what `answer` brings, from byte `from` on, as slices, of which `flight` is told. Undefined: nothing is to be stored. */
  writer(from: number, barrier: number, answer: OriginAnswer, flight: Flight | undefined): StoreWriter | undefined {
    if (!this.#kept) {
      flight?.end(ALONE);
      return undefined;
    }
    const { host, purgeTarget } = this.entry;
    const { requestedAt, receivedAt } = answer;
    return new SliceWriter(this.sliced, from, {
      begin: (index, bytes) => {
        if (!this.#isCurrent()) return undefined;
        const head = sliceHead(this.#head, barrier, requestedAt, receivedAt);
        return this.#ports.cache.begin({ key: this.keyOf(index), host, purgeTarget, head }, bytes);
      },
      landed: (index, slice) => flight?.land(index, slice),
    });
  }

  /** Whether a 206 of a body of `length` bytes is of the same version. */
  isOf(answer: OriginAnswer, length: number): boolean {
    return length === this.sliced.length && isSameVersion(this.#head, answer.fields);
  }

  /** The fields of a 206 that is of the same version count from now on, as those of a 304 would. */
  join(answer: OriginAnswer, barrier: number): void {
    const { cache } = this.#ports;
    const requestFields = this.#x.request.fields;
    const decision = refreshHead({
      entry: this.#head,
      fields304: wholeFields(answer.fields),
      requestFields,
      policy: required(this.#x.route, 'route').cache,
      requestedAt: answer.requestedAt,
      receivedAt: answer.receivedAt,
      barrier,
    });
    if (decision.kind === 'mismatch' || !this.#kept) return;
    const unkeyed = variesBeyondKey(decision.head.vary, requestFields);
    if (decision.kind === 'refresh' && !unkeyed) {
      if (!this.#isCurrent()) return;
      cache.refresh(this.entry, decision.head);
    } else if (unkeyed || (decision.kind === 'answer-only' && decision.remove)) this.drop();
    else this.#kept = false;
    this.#head = decision.head;
  }

  /** The origin has another version: no slice is to be used any more. */
  drop(): void {
    if (!this.#kept) return;
    this.#kept = false;
    const { cache, log } = this.#ports;
    try {
      cache.removeEntry(this.entry);
      // If it came from disk, memory may have it by now.
      for (const entry of cache.find(this.entry.key)) {
        if (entry.head.slices?.generation === this.sliced.generation) cache.removeEntry(entry);
      }
    } catch (error) {
      // The next part that is asked for shows it once more.
      log.error({ err: error, key: this.entry.key }, 'what an origin has replaced could not be removed from the cache');
    }
  }

  #isCurrent(): boolean {
    if (this.#kept && this.#isPurged({ ...this.entry, head: this.#head })) this.#kept = false;
    return this.#kept;
  }

  #isPurged(entry: Pick<CacheEntry, 'host' | 'purgeTarget' | 'head'>): boolean {
    return isPurgedFor(this.#x, this.#ports, entry);
  }

  #usable(entry: CacheEntry | undefined, index: number): FoundSlice | undefined {
    if (entry === undefined || this.#isPurged(entry)) return undefined;
    const { from, to } = sliceAt(this.sliced, index);
    if (bodyLength(entry) !== to - from) return undefined;
    this.#ports.cache.touch(entry);
    return entry.source === undefined ? entry.body : entry.source.open();
  }
}
