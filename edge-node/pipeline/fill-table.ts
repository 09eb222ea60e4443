// The fills under way in this thread, by cache key: who asks, who waits, and what is refreshed behind the clients' backs. A miss that
// nobody else waits for costs one look-up, one entry and its removal.
import type { CacheEntry, StoreWriter } from '../decide/cache/entry.ts';
import {
  DEFAULT_FILL_LIMITS,
  type FillLimits,
  looksAlike,
  mayWait,
  refreshesEarly,
  TAKEN,
  UNSHARED,
} from '../decide/cache/fills.ts';
import { type Invalidations, LocalInvalidations } from '../decide/cache/invalidation.ts';
import { RecentKeys } from '../decide/cache/recent-keys.ts';
import { PLAIN_LOOKUP, RANGE_LOOKUP } from '../decide/cache/request.ts';
import { selectVariant, varyValues } from '../decide/cache/vary.ts';
import { withoutFields } from '../decide/fields.ts';
import type { Ports } from '../ports.ts';
import { Exchange, forgetLookUp } from './exchange.ts';
import { Fill } from './fill.ts';
import { RemoteFill } from './remote-fill.ts';
import type { Engine } from './run.ts';
import { Flights } from './slices/flights.ts';
import type { Outcome } from './table.ts';
import { Unattended } from './unattended.ts';

export type AnyFill = Fill | RemoteFill;

export interface FillStats {
  /** At the moment. */
  readonly fills: number;
  readonly waiting: number;
}

const NO_NAMES: readonly string[] = Object.freeze([]);
const RANGE: ReadonlySet<string> = new Set(['range', 'if-range']);

export class FillTable {
  readonly ports: Ports;
  /** Of what is kept in slices. */
  readonly flights: Flights;
  readonly #invalidations: Invalidations;
  readonly #limits: FillLimits;
  /** The newest of each key; the others follow by `next`. */
  readonly #fills = new Map<string, AnyFill>();
  readonly #uncollapsed: RecentKeys;
  readonly #unrefreshed: RecentKeys;
  /** Kept by the fills. */
  waiting = 0;

  constructor(ports: Ports, limits: Partial<FillLimits> = {}) {
    this.ports = ports;
    this.#invalidations = ports.invalidations ?? new LocalInvalidations();
    this.#limits = { ...DEFAULT_FILL_LIMITS, ...limits };
    this.flights = new Flights(ports, this, this.#limits);
    this.#uncollapsed = new RecentKeys(this.#limits.remembered, this.#limits.uncollapsedMs);
    this.#unrefreshed = new RecentKeys(this.#limits.remembered, this.#limits.refreshHoldMs);
  }

  /** The step `collapse`, for a GET that the cache could not answer, of the whole or of slices. */
  enter(x: Exchange, engine: Engine): Outcome<'collapse'> {
    const { requestClass } = x;
    if (requestClass?.kind !== 'lookup') return 'choose';
    const { clock } = this.ports;
    if (this.#uncollapsed.size > 0 && this.#uncollapsed.has(x.key, clock.monotonic())) return 'choose';
    const newest = this.#fills.get(x.key);
    const { directives } = requestClass;
    if (newest === undefined) {
      return directives.noStore ? 'choose' : this.#first(x, engine);
    }
    if (!mayWait(directives)) return 'choose';
    const fill = this.#suitable(newest, x);
    if (fill === undefined) {
      if (!directives.noStore && count(newest) < this.#limits.perKey) this.#begin(x, newest, false);
      return 'choose';
    }
    return this.mayJoin(x) ? fill.join(x, engine) : 'choose';
  }

  /** Nobody in this thread asks for the same. */
  #first(x: Exchange, engine: Engine): Outcome<'collapse'> {
    const claim = this.#claim(x.key);
    if (claim === TAKEN) return this.#waitElsewhere(x, engine);
    if (claim !== UNSHARED && this.#hasCome(x)) {
      this.release(claim, false);
      forgetLookUp(x);
      return 'lookUp';
    }
    this.#begin(x, undefined, false, claim);
    return 'choose';
  }

  /** Whether another thread has stored an answer for `x`, and given its claim back, since `x` was looked up. */
  #hasCome(x: Exchange): boolean {
    const entry = selectVariant(this.ports.cache.find(x.key), x.request.fields);
    return entry !== undefined && entry.head.requestedAt > (x.stale?.head.requestedAt ?? Number.NEGATIVE_INFINITY);
  }

  /** Whether `x` may wait for what others ask for. */
  mayJoin(x: Exchange): boolean {
    x.share ??= { fill: undefined, rounds: 0, until: this.ports.clock.monotonic() + this.#limits.waitMs };
    if (x.share.rounds >= this.#limits.rounds) return false;
    if (this.waiting < this.#limits.waiters) return true;
    this.ports.fillEvents?.note('refused');
    return false;
  }

  /** Another thread asks for the same. */
  #waitElsewhere(x: Exchange, engine: Engine): Outcome<'collapse'> {
    if (x.requestClass?.kind !== 'lookup' || !mayWait(x.requestClass.directives) || !this.mayJoin(x)) return 'choose';
    const fill = new RemoteFill(x, this);
    this.#fills.set(x.key, fill);
    this.ports.claims?.whenFree(x.key, this.#limits.waitMs, (useless) => fill.onFree(useless));
    return fill.join(x, engine);
  }

  /** Refreshes `entry`, which a request has found and is answered with, unless that is under way. */
  refreshBehind(x: Exchange, engine: Engine, entry: CacheEntry): void {
    const { requestClass } = x;
    const { clock } = this.ports;
    if (requestClass?.kind !== 'lookup' || requestClass.directives.noStore) return;
    if (this.#unrefreshed.size > 0 && this.#unrefreshed.has(x.key, clock.monotonic())) return;
    const newest = this.#fills.get(x.key);
    for (let fill = newest; fill !== undefined; fill = fill.next) {
      if (varyValues(entry.head.vary, fill.x.request.fields) === entry.head.variant) return;
    }
    if (newest !== undefined && count(newest) >= this.#limits.perKey) return;
    // If it has changed, nobody may want all of what is kept in slices.
    const sliced = entry.head.slices !== undefined;
    const fields = sliced ? [...withoutFields(x.request.fields, RANGE), 'range', 'bytes=0-0'] : x.request.fields;
    const behind = new Exchange(new Unattended({ ...x.request, method: 'GET', fields }), clock.monotonic());
    behind.serving = x.serving;
    behind.admitted = x.admitted;
    behind.site = x.site;
    behind.route = x.route;
    behind.requestClass = sliced ? RANGE_LOOKUP : PLAIN_LOOKUP;
    behind.target = x.target;
    behind.key = x.key;
    behind.outcome = 'miss';
    behind.forward = 'expired';
    behind.stale = entry;
    // No client is answered, so there is nothing to enter in the ledger.
    behind.finished = true;
    const claim = newest === undefined ? this.#claim(x.key) : UNSHARED;
    if (claim === TAKEN) return;
    this.#begin(behind, newest, true, claim);
    this.ports.fillEvents?.note('refresh');
    engine.resume(behind, 'collapse', 'choose');
  }

  /** A hit on `entry`, which expires in `ttlMs`, soon. */
  refreshEarly(x: Exchange, engine: Engine, entry: CacheEntry, ttlMs: number): void {
    if (refreshesEarly(entry.head, ttlMs, this.ports.random.next())) this.refreshBehind(x, engine, entry);
  }

  /** RFC 9111 section 4.4: what is stored under `key`, and what was requested for it before now, is not to be used any more. */
  invalidate(key: string): void {
    // First noted: what is stored between the two goes with the rest.
    this.#invalidations.note(key);
    this.ports.cache.remove(key);
  }

  /** Whether an unsafe request has made invalid what `x` brings, since that was asked for. */
  isInvalid({ key, moment }: Exchange): boolean {
    return this.#invalidations.bars(key, moment);
  }

  /** Stores what was gathered for `x`, unless an unsafe request came in between. */
  commit(x: Exchange, writer: StoreWriter): CacheEntry | undefined {
    if (this.isInvalid(x)) {
      writer.abort();
      return undefined;
    }
    const entry = writer.commit();
    if (entry === undefined || !this.isInvalid(x)) return entry;
    // Another thread has noted it in between, and removed what was there before this.
    this.ports.cache.remove(x.key);
    return undefined;
  }

  /** As it stands now: to be kept with a request to an origin. */
  get moment(): number {
    return this.#invalidations.moment;
  }

  /** `writer`, which stores nothing that an unsafe request has made invalid. */
  guarded(x: Exchange, writer: StoreWriter): StoreWriter {
    return {
      write: (chunk) => writer.write(chunk),
      gathered: () => writer.gathered(),
      commit: () => this.commit(x, writer),
      abort: () => writer.abort(),
    };
  }

  /** An answer to `key` is being stored: others may wait for the next. */
  onStorable(key: string): void {
    if (this.#uncollapsed.size > 0) this.#uncollapsed.forget(key);
  }

  /** Other threads wait no longer. */
  release(claim: number, useless: boolean): void {
    this.ports.claims?.release(claim, useless);
  }

  onUseless(key: string): void {
    this.ports.fillEvents?.note('useless');
    this.#uncollapsed.note(key, this.ports.clock.monotonic());
  }

  onRefreshInVain({ key }: Exchange): void {
    this.#unrefreshed.note(key, this.ports.clock.monotonic());
  }

  /** May be called more than once. */
  remove(fill: AnyFill): void {
    const { key } = fill.x;
    const newest = this.#fills.get(key);
    if (newest === fill) {
      if (fill.next === undefined) this.#fills.delete(key);
      else this.#fills.set(key, fill.next);
      return;
    }
    for (let at = newest; at !== undefined; at = at.next) if (at.next === fill) at.next = fill.next;
  }

  stats(): FillStats {
    let fills = 0;
    for (const newest of this.#fills.values()) fills += count(newest);
    return { fills, waiting: this.waiting };
  }

  /** Only the first for a key is known to other threads. */
  #claim(key: string): number {
    return this.ports.claims?.claim(key) ?? UNSHARED;
  }

  #begin(x: Exchange, newest: AnyFill | undefined, isRefresh: boolean, claim = UNSHARED): void {
    const fill = new Fill(x, this, isRefresh, claim);
    fill.next = newest;
    x.fill = fill;
    this.#fills.set(x.key, fill);
  }

  /** The fill whose answer `x` can expect to get as its own. */
  #suitable(newest: AnyFill, x: Exchange): AnyFill | undefined {
    const { fields } = x.request;
    const vary = this.#vary(newest, x);
    for (let fill: AnyFill | undefined = newest; fill !== undefined; fill = fill.next) {
      const { head } = fill;
      const alike =
        head === undefined
          ? looksAlike(vary, fill.x.request.fields, fields)
          : varyValues(head.vary, fields) === head.variant;
      if (alike && fill.mayServe(x) && !fill.isOutdated) return fill;
    }
    return undefined;
  }

  /** What answers to the key of `x` vary by, as far as is known. */
  #vary(newest: AnyFill, x: Exchange): readonly string[] {
    for (let fill: AnyFill | undefined = newest; fill !== undefined; fill = fill.next) {
      if (fill.vary !== undefined) return fill.vary;
    }
    return (x.stale ?? x.variants.at(-1) ?? x.found?.at(-1))?.head.vary ?? NO_NAMES;
  }
}

function count(newest: AnyFill): number {
  let fills = 0;
  for (let fill: AnyFill | undefined = newest; fill !== undefined; fill = fill.next) fills += 1;
  return fills;
}
