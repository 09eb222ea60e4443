// Where an answer in slices begins: its first slice is looked for in memory and on disk; if another has asked for it, it is waited for;
// else the exchange asks, and others wait for that.
import type { CacheEntry, StoredHead } from '../../decide/cache/entry.ts';
import type { Part } from '../../decide/cache/ranges.ts';
import { missingPart, type Sliced, slicesOf, type Wanted, wantedOf } from '../../decide/cache/slices.ts';
import { failure } from '../../decide/errors.ts';
import { type Exchange, finish, forgetLookUp, NOT_SLICED, required, type Shared, type Slicing } from '../exchange.ts';
import type { Engine } from '../run.ts';
import type { Next } from '../table.ts';
import { Unattended } from '../unattended.ts';
import { type Flight, type Landing, OVER } from './flights.ts';
import { SliceReader } from './reader.ts';
import { SliceIndex } from './slice-index.ts';

type NextStep = Next<'slice'>;

/** Slices that are looked for in advance. */
const MAX_SOUGHT = 64;

/** What the answer to `x`, which `entry` is the index of, begins with. */
export function lookForFirst(x: Exchange, engine: Engine, entry: CacheEntry): NextStep | 'wait' {
  const index = new SliceIndex(x, engine.ports, entry, x.freshHead ?? entry.head, true);
  const reader = new SliceReader(x, engine.fills, index);
  x.openBody = reader;
  const wanted = wantedBy(x, index.head, index.sliced);
  if (wanted.kind === 'nothing') return 'respond';
  // Several ranges, each of which would cost a slice.
  if (wanted.kind === 'scattered') return leaveCache(x, { ...NOT_SLICED, asItIs: true });
  // Who wants no origin to be asked wants to know before the answer begins.
  const sought = isOnlyIfCached(x) ? slicesOf(wanted.parts, index.sliced.bytes, MAX_SOUGHT) : undefined;
  if (sought === undefined && isOnlyIfCached(x)) return leaveCache(x, NOT_SLICED);
  return new FirstSlice(x, engine, index, reader, wanted.parts[0]).look(sought);
}

class FirstSlice {
  readonly #x: Exchange;
  readonly #engine: Engine;
  readonly #index: SliceIndex;
  readonly #reader: SliceReader;
  readonly #number: number;
  readonly #missing: Part;
  #next: NextStep | 'wait' = 'wait';
  /** The step does. */
  #waits = false;
  /** Somebody else was to bring the slice. */
  #hasWaited = false;

  constructor(x: Exchange, engine: Engine, index: SliceIndex, reader: SliceReader, { from, to }: Part) {
    this.#x = x;
    this.#engine = engine;
    this.#index = index;
    this.#reader = reader;
    this.#number = Math.floor(from / index.sliced.bytes);
    this.#missing = missingPart(index.sliced, this.#number, to, 0);
  }

  /** `all`: the slices that are to be there; else the first alone is to be, and may be waited for or asked for. */
  look(all?: readonly number[]): NextStep | 'wait' {
    this.#seek(all ?? [this.#number]);
    if (this.#next !== 'wait') return this.#next;
    this.#waits = true;
    this.#x.client.onGone = () => {
      this.#reader.close();
      finish(this.#x, this.#engine.ports, 'client-gone', 0);
    };
    return 'wait';
  }

  #seek(slices: readonly number[]): void {
    this.#reader.seek(slices, (there) => {
      if (there) this.#onFound();
      else this.#miss();
    });
  }

  #onFound(): void {
    const x = this.#x;
    if (this.#hasWaited && x.outcome === 'hit') {
      x.outcome = 'collapsed';
      x.forward = 'partial';
    }
    this.#go('respond');
  }

  #miss(): void {
    const x = this.#x;
    const { fills } = this.#engine;
    const { entry, sliced, kept } = this.#index;
    if (isOnlyIfCached(x) || x.outcome === 'stale') this.#go(leaveCache(x, NOT_SLICED));
    else if (!kept) this.#again();
    else {
      const flight = fills.flights.begin(entry.key, sliced, this.#missing);
      if (flight === undefined && fills.mayJoin(x) && this.#wait(required(x.share, 'share').until)) return;
      if (flight !== undefined && this.#index.isThereNow(this.#number)) {
        flight.end(OVER);
        this.#seek([this.#number]);
        return;
      }
      if (flight !== undefined) x.fill = new SliceFill(x, this.#index, flight);
      this.#ask(flight);
    }
  }

  #wait(until: number): boolean {
    this.#hasWaited = this.#reader.waitFor(this.#number, (landing) => this.#onLanding(landing), until);
    return this.#hasWaited;
  }

  #onLanding(landing: Landing): void {
    const x = this.#x;
    if (landing.kind === 'stored') this.#onFound();
    else if (landing.kind === 'over') this.#seek([this.#number]);
    else if (landing.kind === 'alone') this.#ask(undefined);
    else if (landing.kind === 'changed') this.#again();
    else {
      forget(x);
      x.outcome = 'miss';
      x.failure = landing.failure;
      this.#go('refuse');
    }
  }

  /** `flight`: of those who wait for it. */
  #ask(flight: Flight | undefined): void {
    this.#go(leaveCache(this.#x, { ...NOT_SLICED, index: this.#index, missing: this.#missing, flight }));
  }

  /** What is known of it is not so any more: as if the request had just come. */
  #again(): void {
    const x = this.#x;
    if (!this.#engine.fills.mayJoin(x)) {
      this.#ask(undefined);
      return;
    }
    required(x.share, 'share').rounds += 1;
    forget(x);
    forgetLookUp(x);
    x.candidates = undefined;
    x.attempt = 0;
    this.#go('lookUp');
  }

  #go(next: NextStep): void {
    this.#next = next;
    if (!this.#waits) return;
    this.#x.client.onGone = undefined;
    this.#engine.resume(this.#x, 'slice', next);
  }
}

/** What others wait for while an exchange asks for a slice, until that begins to come. */
class SliceFill implements Shared {
  readonly #x: Exchange;
  readonly #index: SliceIndex;
  readonly #flight: Flight;

  constructor(x: Exchange, index: SliceIndex, flight: Flight) {
    this.#x = x;
    this.#index = index;
    this.#flight = flight;
  }

  get awaited(): boolean {
    return this.#flight.awaited;
  }

  settle(): void {
    // It is for who brings the slice to say what becomes of it.
    if (this.#flight.carrier !== undefined) return;
    const { failure } = this.#x;
    if (failure !== undefined) this.#flight.end({ kind: 'failed', failure });
    else this.#flight.end(this.#index.kept ? OVER : { kind: 'changed', detail: 'another request has found that' });
  }

  onClientGone(): void {
    this.#x.client = new Unattended(this.#x.request);
    if (!this.awaited) this.#flight.end(OVER);
  }
}

export function wantedBy(x: Exchange, head: StoredHead, sliced: Pick<Sliced, 'bytes' | 'length'>): Wanted {
  const asked = required(x.requestClass, 'class');
  if (asked.kind !== 'lookup') throw new Error('a request that bypasses the cache has no slices');
  return wantedOf(x.request, asked, head, sliced);
}

/** What is there does not make the answer: an origin is asked, unless none may be, or none is to be had. */
function leaveCache(x: Exchange, slicing: Slicing): NextStep {
  const onlyIfCached = isOnlyIfCached(x);
  const stale = x.outcome === 'stale';
  const unreachable = stale && x.stale !== undefined;
  const { entry } = x;
  forget(x);
  if (onlyIfCached || unreachable) {
    x.failure = failure(onlyIfCached ? 'not-cached' : 'origin-unreachable', 'slices of what is asked for are missing');
    return 'refuse';
  }
  x.outcome = 'miss';
  if (stale) {
    // It would be served while it is validated; but since an origin has to be asked, that comes first.
    x.stale = entry;
    x.forward = 'expired';
    return 'collapse';
  }
  x.slicing = slicing;
  x.forward = 'partial';
  return x.origin === undefined ? 'choose' : 'fetch';
}

function isOnlyIfCached({ requestClass }: Exchange): boolean {
  return requestClass?.kind === 'lookup' && requestClass.directives.onlyIfCached;
}

/** What was found counts for nothing. */
export function forget(x: Exchange): void {
  x.openBody?.close();
  x.openBody = undefined;
  x.entry = undefined;
  x.stale = undefined;
  x.freshHead = undefined;
  if (x.share) x.share.fill = undefined;
}
