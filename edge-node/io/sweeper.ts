// Gives back the memory of what was purged. The barrier alone already keeps it from being served; this walks the store in
// small steps after each purge, so that a purge of everything does not hold up a single request. On the same walks it counts
// what a purge would reach. The disk is swept by disk/disk-sweeper.ts.
import type { Clock, Timer } from '../../infra/runtime/clock.ts';
import type { Purge, PurgeTarget } from '../../proto/gen/meridian/v1/purge.ts';
import { PurgeBarrier, type RaisableBarrier } from '../decide/barrier.ts';
import type { CacheStore, Described } from '../decide/cache/entry.ts';
import { isPurged } from '../decide/purged.ts';

/** Entries looked at in one step, about a millisecond, and the pause between steps, milliseconds: a million in ten seconds. */
const STEP = 800;
const PAUSE_MS = 5;
/** Counts at the same time. */
const COUNTS = 8;

export interface Reach {
  readonly objects: number;
  readonly bytes: number;
}

interface Count {
  /** Raised by what is asked about alone. */
  readonly barrier: PurgeBarrier;
  objects: number;
  bytes: number;
  readonly done: (reach: Reach) => void;
}

export class Sweeper {
  readonly #cache: CacheStore;
  readonly #barrier: RaisableBarrier;
  readonly #clock: Clock;
  #timer: Timer | undefined;
  /** A purge came while a round was under way: what it has passed already must be looked at again. */
  #again = false;
  /** Counted in this round, and in the next. */
  #counting: Count[] = [];
  #waiting: Count[] = [];

  constructor(cache: CacheStore, barrier: RaisableBarrier, clock: Clock) {
    this.#cache = cache;
    this.#barrier = barrier;
    this.#clock = clock;
  }

  /** Raises the barrier, at once, and sweeps later. */
  apply(purge: Purge): void {
    this.#barrier.apply(purge);
    if (!purge.soft) this.#begin();
  }

  reset(): void {
    this.#barrier.reset();
    this.#begin();
  }

  /** How much a purge of `targets` would reach now. Undefined when too much is being counted already. */
  count(targets: readonly PurgeTarget[]): Promise<Reach> | undefined {
    if (this.#counting.length + this.#waiting.length >= COUNTS) return undefined;
    const barrier = new PurgeBarrier();
    barrier.apply({ sequence: 1, targets: [...targets], soft: false });
    const { promise, resolve } = Promise.withResolvers<Reach>();
    this.#waiting.push({ barrier, objects: 0, bytes: 0, done: resolve });
    this.#begin();
    return promise;
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #begin(): void {
    if (this.#timer) {
      this.#again = true;
      return;
    }
    this.#counting = this.#waiting;
    this.#waiting = [];
    this.#schedule();
  }

  #schedule(): void {
    this.#timer = this.#clock.after(PAUSE_MS, () => this.#step());
  }

  #step(): void {
    const { done } = this.#cache.sweep((entry) => this.#look(entry), STEP);
    if (!done) {
      this.#schedule();
      return;
    }
    for (const { done: tell, objects, bytes } of this.#counting) tell({ objects, bytes });
    this.#counting = [];
    this.#timer = undefined;
    if (!this.#again) return;
    this.#again = false;
    this.#begin();
  }

  #look(entry: Described): boolean {
    if (isPurged(this.#barrier, entry)) return true;
    for (const count of this.#counting) {
      if (!isPurged(count.barrier, { ...entry, head: { ...entry.head, barrier: 0 } })) continue;
      count.objects += 1;
      count.bytes += entry.size;
    }
    return false;
  }
}
