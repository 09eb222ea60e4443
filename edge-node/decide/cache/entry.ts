// What the cache keeps of a response, and the port behind which it is kept. Everything that a hit needs to know about a
// stored response is worked out here, once, when it is stored: a hit adds the time since and compares numbers.
import { type FieldList, field } from '../fields.ts';
import type { Purgeable } from '../purged.ts';
import type { BodySource } from './body-source.ts';
import type { CacheControl } from './cache-control.ts';
import { correctedInitialAgeMs, neverStale, staleWindow } from './freshness.ts';
import { formatHttpDate, parseHttpDate } from './http-date.ts';
import type { LifetimeSource } from './lifetime.ts';
import type { Preparation } from './prepared.ts';
import type { Sliced } from './slices.ts';
import { storedFields } from './stored-fields.ts';
import { consumedFields, parseTags, withoutConsumed } from './tags.ts';
import { effectiveControl } from './targeted.ts';
import { varyValues } from './vary.ts';

/** A stored response without its body. Immutable: validation makes another. Times are Unix milliseconds. */
export interface StoredHead {
  readonly status: number;
  /** As a hit sends them: {@link storedFields} without `consumed`, always with a valid Date. */
  readonly fields: FieldList;
  /** What the origin said to this cache alone (surrogate keys, targeted control): for the next validation. */
  readonly consumed: FieldList;
  /** Surrogate keys, sorted, each once. */
  readonly tags: readonly string[];
  /** When the request to the origin was sent, and when the head of its answer arrived. */
  readonly requestedAt: number;
  readonly receivedAt: number;
  /** RFC 9111 section 4.2.1: freshness lifetime, milliseconds; 0: to be validated before each use. */
  readonly lifetimeMs: number;
  readonly lifetimeSource: LifetimeSource;
  /** Field names in lower case, sorted, each once. */
  readonly vary: readonly string[];
  /** {@link varyValues} of the request that it answered. */
  readonly variant: string;
  /** `PurgeBarrier.current` as it stood when the request to the origin was sent. */
  readonly barrier: number;
  /** Of a targeted field where there is one, else of Cache-Control. */
  readonly control: CacheControl;
  readonly dateMs: number;
  /** RFC 9111 section 4.2.3: corrected_initial_age, milliseconds. */
  readonly initialAgeMs: number;
  /** RFC 9111 section 4.2.4: whether its directives forbid ever using it stale, even when no origin answers. */
  readonly neverStale: boolean;
  /** RFC 5861: how long after it expired it may be used, milliseconds, 0: not: while it is being validated, */
  readonly staleWhileRevalidateMs: number;
  /** ... and when the origin answers with an error. */
  readonly staleIfErrorMs: number;
  readonly etag: string | undefined;
  readonly lastModified: string | undefined;
  readonly lastModifiedMs: number | undefined;
  /** The body is kept in slices, each an entry of its own; that of this one is empty. */
  readonly slices: Sliced | undefined;
}

export interface HeadInput {
  readonly status: number;
  /** As the origin sent them. */
  readonly fields: FieldList;
  /** Those of the request that was sent to the origin. */
  readonly requestFields: FieldList;
  readonly requestedAt: number;
  readonly receivedAt: number;
  readonly lifetimeMs: number;
  readonly lifetimeSource: LifetimeSource;
  readonly vary: readonly string[];
  readonly barrier: number;
  /** The route's, for a response that states none and does not forbid it; absent: none. */
  readonly staleWhileRevalidateMs?: number | undefined;
  readonly staleIfErrorMs?: number | undefined;
  readonly slices?: Sliced | undefined;
}

/** The head to store; `lifetimeMs`, `lifetimeSource` and `vary` are those of `decideStore`. */
export function makeHead(input: HeadInput): StoredHead {
  const { status, requestedAt, receivedAt, lifetimeMs, lifetimeSource, vary, barrier } = input;
  const { control } = effectiveControl(input.fields);
  const kept = storedFields(input.fields, control);
  const fields = withoutConsumed(kept).slice();
  const tags = parseTags(kept);
  let dateMs = parseHttpDate(field(fields, 'date'), receivedAt);
  if (dateMs === undefined) {
    // RFC 9110 section 6.6.1: who keeps a response that has no (readable) Date gives it the time of receipt.
    dateMs = Math.floor(receivedAt / 1000) * 1000;
    replaceField(fields, 'date', formatHttpDate(dateMs));
  }
  const lastModified = field(fields, 'last-modified');
  return {
    status,
    fields,
    consumed: consumedFields(kept),
    tags: tags.kind === 'tags' ? tags.tags : [],
    requestedAt,
    receivedAt,
    lifetimeMs,
    lifetimeSource,
    vary,
    variant: varyValues(vary, input.requestFields),
    barrier,
    control,
    dateMs,
    initialAgeMs: correctedInitialAgeMs(field(input.fields, 'age'), dateMs, requestedAt, receivedAt),
    neverStale: neverStale(control),
    staleWhileRevalidateMs: staleWindow(control, control.staleWhileRevalidateMs, input.staleWhileRevalidateMs),
    staleIfErrorMs: staleWindow(control, control.staleIfErrorMs, input.staleIfErrorMs),
    etag: field(fields, 'etag'),
    lastModified,
    lastModifiedMs: parseHttpDate(lastModified, receivedAt),
    slices: input.slices,
  };
}

/** Sets the first line of `name`, or appends one, and removes the others. */
function replaceField(fields: string[], name: string, value: string): void {
  for (let i = fields.length - 2; i >= 0; i -= 2) if (fields[i] === name) fields.splice(i, 2);
  fields.push(name, value);
}

/** What is put into a store. */
export interface Storable {
  /** `cacheKey` of the request. */
  readonly key: string;
  /** Lower-case hostname without a port. */
  readonly host: string;
  /** `purgeName` of the request: what a purge of its URL is compared with. */
  readonly purgeTarget: string;
  readonly head: StoredHead;
  /** Complete. The store keeps it as it is: it must not be a slice of a larger buffer, nor be written to again. */
  readonly body: Buffer;
}

/** What a store holds. `head` is another object after `refresh`: read it once for one answer. */
export interface CacheEntry extends Storable {
  /** Bytes that it counts for: body, fields, key, and a fixed overhead. */
  readonly size: number;
  /** What this thread has made ready of it; not stored, and not counted. */
  prepared: Preparation | undefined;
  /** Its age at the last hit, whole seconds; -1: none yet. */
  askedAt: number;
  /** Where the body is, if it is not in memory; `body` is empty then. */
  readonly source?: BodySource;
}

/** What a sweep is told of an entry. */
export interface Described extends Purgeable {
  readonly size: number;
}

/** Gathers a body on its way through. After `false`, `commit` or `abort` it does nothing more. */
export interface StoreWriter {
  /** Copies `chunk`. False: the body turned out too large, or too much is being gathered; what was gathered is dropped. */
  write(chunk: Buffer): boolean;
  /** All that came so far, which stays as it is whatever follows. Undefined: it is not in memory. */
  gathered(): Buffer | undefined;
  /** The body is complete. The entry; undefined when it was dropped, or is not as long as was said. */
  commit(): CacheEntry | undefined;
  /** The body will not be complete. */
  abort(): void;
}

export interface StoreStats {
  readonly objects: number;
  /** Of what is stored; never above the limit. */
  readonly bytes: number;
  /** Held by writers; never above the limit. */
  readonly pendingBytes: number;
  /** Counters since the start: removed to stay within the limits of objects and bytes, */
  readonly evictions: number;
  /** ... of variants of one key, */
  readonly variantEvictions: number;
  /** removed by `sweep`, */
  readonly swept: number;
  /** not stored because what is stored under the same name was requested later, */
  readonly refusedOlder: number;
  /** because of their own size, */
  readonly refusedTooLarge: number;
  /** because too much was being gathered, */
  readonly refusedPending: number;
  /** because the body was shorter or longer than was said. */
  readonly refusedIncomplete: number;
}

/** Where responses are kept. Synchronous: a hit must not wait. */
export interface CacheStore {
  /** All variants under `key`; the array does not change afterwards. */
  find(key: string): readonly CacheEntry[];
  /** Marks as used just now. */
  touch(entry: CacheEntry): void;
  /**
   * Stores; takes the place of the entry with the same key and `head.variant`, unless that one was requested after a purge
   * that this one was requested before. The entry; undefined when it was not stored.
   */
  put(entry: Storable): CacheEntry | undefined;
  /** Starts to gather a body of `expectedLength` bytes (undefined: not known). Undefined: it will not be stored. */
  begin(entry: Omit<Storable, 'body'>, expectedLength: number | undefined): StoreWriter | undefined;
  /** Replaces the head after validation. Does nothing when the entry is not stored any more. */
  refresh(entry: CacheEntry, head: StoredHead): void;
  /** Removes all variants under `key`. */
  remove(key: string): void;
  /** Removes one variant, if it is still stored. */
  removeEntry(entry: CacheEntry): void;
  /**
   * Looks at the next `budget` or so entries and removes those for which `purged` is true; call again until `done`, which
   * says that everything stored when the round began has been looked at.
   */
  sweep(purged: (entry: Described) => boolean, budget: number): { readonly removed: number; readonly done: boolean };
  stats(): StoreStats;
}
