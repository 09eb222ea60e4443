// The slices that are on their way from an origin to the store: who brings which, and who waits until it is stored instead of asking as
// well. Known by their keys in this thread, and to other threads by the claims (decide/cache/fills.ts).
import type { CacheEntry } from '../../decide/cache/entry.ts';
import { type FillLimits, TAKEN, UNSHARED } from '../../decide/cache/fills.ts';
import type { Part } from '../../decide/cache/ranges.ts';
import { MAX_RUN, type Sliced, sliceAt, sliceKey, wholeSlices } from '../../decide/cache/slices.ts';
import type { Failure } from '../../decide/errors.ts';
import type { Ports } from '../../ports.ts';
import type { WaitingCount } from '../waiters.ts';

/** What those who wait for a slice are told. */
export type Landing =
  /** As it is stored. */
  | { readonly kind: 'stored'; readonly entry: CacheEntry }
  /** It is to be looked for again: it may be stored, or somebody else may be asking for it. */
  | { readonly kind: 'over' }
  /** To wait for it is of no use. */
  | { readonly kind: 'alone' }
  | { readonly kind: 'failed'; readonly failure: Failure }
  /** The origin has another version, or none any more. */
  | { readonly kind: 'changed'; readonly detail: string };

export const OVER: Landing = Object.freeze({ kind: 'over' });
export const ALONE: Landing = Object.freeze({ kind: 'alone' });

interface Waiter {
  readonly done: (landing: Landing) => void;
  readonly timer: ReturnType<Ports['clock']['after']>;
}

/** One slice. */
interface Announced {
  readonly key: string;
  /** What other threads know it by; {@link UNSHARED} where they do not. */
  claim: number;
  /** Undefined: another thread brings it. */
  readonly flight: Flight | undefined;
  readonly waiters: Set<Waiter>;
}

/** Whoever has the body that is to bring it. */
export interface Carrier {
  /** Somebody waits. */
  onAwaited(): void;
}

export class Flights {
  readonly #ports: Ports;
  readonly #count: WaitingCount;
  readonly #limits: Pick<FillLimits, 'waiters' | 'waitMs'>;
  readonly #announced = new Map<string, Announced>();

  constructor(ports: Ports, count: WaitingCount, limits: Pick<FillLimits, 'waiters' | 'waitMs'>) {
    this.#ports = ports;
    this.#count = count;
    this.#limits = limits;
  }

  /** That `part` is asked for, of what is stored under `key`. Undefined: another is to bring its first slice. */
  begin(key: string, sliced: Sliced, part: Part): Flight | undefined {
    const flight = new Flight(this, key, sliced, part);
    return flight.reach > part.from ? flight : undefined;
  }

  /**
   * Waits for the slice with this key, which another is to bring, until `until` (monotonic milliseconds; by default as long as one may
   * wait). `done` is called once and later, unless it is cancelled. Undefined: too many wait.
   */
  wait(key: string, done: Waiter['done'], until?: number): { cancel(): void } | undefined {
    const { clock } = this.#ports;
    if (this.#count.waiting >= this.#limits.waiters) return undefined;
    const slice = this.#announced.get(key) ?? this.#elsewhere(key);
    const ms = until === undefined ? this.#limits.waitMs : Math.max(0, until - clock.monotonic());
    const leave = (): boolean => {
      if (!slice.waiters.delete(waiter)) return false;
      this.#count.waiting -= 1;
      return true;
    };
    const timer = clock.after(ms, () => {
      if (leave()) done(ALONE);
    });
    const waiter: Waiter = { done, timer };
    slice.waiters.add(waiter);
    this.#count.waiting += 1;
    slice.flight?.carrier?.onAwaited();
    return {
      cancel: () => {
        timer.cancel();
        leave();
      },
    };
  }

  /** Undefined: another is to bring it. */
  announce(key: string, flight: Flight): Announced | undefined {
    if (this.#announced.has(key)) return undefined;
    const claim = this.#ports.claims?.claim(key) ?? UNSHARED;
    return claim === TAKEN ? undefined : this.#add({ key, claim, flight, waiters: new Set() });
  }

  /** `useless`: whoever waits in another thread is to ask for itself. */
  withdraw(slice: Announced, useless: boolean): void {
    this.#announced.delete(slice.key);
    this.unshare(slice, useless);
  }

  unshare(slice: Announced, useless = false): void {
    if (slice.claim === UNSHARED) return;
    this.#ports.claims?.release(slice.claim, useless);
    slice.claim = UNSHARED;
  }

  isAwaited({ waiters, claim }: Announced): boolean {
    return waiters.size > 0 || (claim !== UNSHARED && this.#ports.claims?.isAwaited(claim) === true);
  }

  /** To be called when it is withdrawn: what they do may announce it again. */
  tell({ waiters }: Announced, landing: Landing): void {
    for (const waiter of [...waiters]) {
      if (!waiters.delete(waiter)) continue;
      this.#count.waiting -= 1;
      waiter.timer.cancel();
      waiter.done(landing);
    }
  }

  #elsewhere(key: string): Announced {
    const slice = this.#add({ key, claim: UNSHARED, flight: undefined, waiters: new Set() });
    this.#ports.claims?.whenFree(key, this.#limits.waitMs, (useless) => {
      this.withdraw(slice, false);
      this.tell(slice, useless ? ALONE : OVER);
    });
    return slice;
  }

  #add(slice: Announced): Announced {
    this.#announced.set(slice.key, slice);
    return slice;
  }
}

/** One request to an origin for slices, from when it is sent. Of many slices those that come next are announced. */
export class Flight {
  readonly #flights: Flights;
  readonly #key: string;
  readonly #sliced: Sliced;
  /** In order. */
  readonly #announced: Announced[] = [];
  /** Of the next to announce, and behind the last. */
  #next: number;
  readonly #end: number;
  carrier: Carrier | undefined = undefined;

  constructor(flights: Flights, key: string, sliced: Sliced, part: Part) {
    this.#flights = flights;
    this.#key = key;
    this.#sliced = sliced;
    const { first, end } = wholeSlices(sliced, part);
    this.#next = first;
    this.#end = end;
    this.#announce();
  }

  /** Behind the last byte of what is announced. */
  get reach(): number {
    return this.#announced.length === 0 ? 0 : sliceAt(this.#sliced, this.#next - 1).to;
  }

  /** Whether somebody else waits for any of it. */
  get awaited(): boolean {
    return this.#announced.some((slice) => this.#flights.isAwaited(slice));
  }

  /** Slice `index` is complete; or, without `entry`, will not be stored. */
  land(index: number, entry: CacheEntry | undefined): void {
    const key = sliceKey(this.#key, this.#sliced, index);
    const at = this.#announced.findIndex((slice) => slice.key === key);
    const [slice] = at === -1 ? [] : this.#announced.splice(at, 1);
    // It may be one that another was to bring as well.
    this.#next = Math.max(this.#next, index + 1);
    this.#announce();
    if (slice === undefined) return;
    this.#flights.withdraw(slice, entry === undefined);
    this.#flights.tell(slice, entry === undefined ? ALONE : { kind: 'stored', entry });
  }

  /** Other threads are not to wait for it any longer, since it is held up. */
  unshare(): void {
    for (const slice of this.#announced) this.#flights.unshare(slice);
  }

  /** There is no more to come. `first`: what is to be done before those who wait are told. May be called more than once. */
  end(landing: Landing, first?: () => void): void {
    const left = this.#announced.splice(0);
    this.#next = this.#end;
    for (const slice of left) this.#flights.withdraw(slice, landing.kind === 'alone');
    first?.();
    for (const slice of left) this.#flights.tell(slice, landing);
  }

  #announce(): void {
    while (this.#next < this.#end && this.#announced.length < MAX_RUN) {
      const slice = this.#flights.announce(sliceKey(this.#key, this.#sliced, this.#next), this);
      if (slice === undefined) return;
      this.#announced.push(slice);
      this.#next += 1;
    }
  }
}
