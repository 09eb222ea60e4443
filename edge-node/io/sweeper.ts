// Gives back the space of what was purged. The barrier alone already keeps it from being served; this walks the store in
// small steps after each purge, so that a purge of everything does not hold up a single request.
import type { Clock, Timer } from '../../infra/runtime/clock.ts';
import type { Purge } from '../../proto/gen/meridian/v1/purge.ts';
import type { RaisableBarrier } from '../decide/barrier.ts';
import type { CacheStore } from '../decide/cache/entry.ts';

/** Entries looked at in one step, and the pause between steps, milliseconds. */
const STEP = 2_000;
const PAUSE_MS = 5;

export class Sweeper {
  readonly #cache: CacheStore;
  readonly #barrier: RaisableBarrier;
  readonly #clock: Clock;
  #timer: Timer | undefined;
  /** A purge came while a round was under way: what it has passed already must be looked at again. */
  #again = false;

  constructor(cache: CacheStore, barrier: RaisableBarrier, clock: Clock) {
    this.#cache = cache;
    this.#barrier = barrier;
    this.#clock = clock;
  }

  /** Raises the barrier, at once, and sweeps later. */
  apply(purge: Purge): void {
    this.#barrier.apply(purge);
    this.#begin();
  }

  reset(): void {
    this.#barrier.reset();
    this.#begin();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #begin(): void {
    if (this.#timer) this.#again = true;
    else this.#schedule();
  }

  #schedule(): void {
    this.#timer = this.#clock.after(PAUSE_MS, () => this.#step());
  }

  #step(): void {
    const barrier = this.#barrier;
    const { done } = this.#cache.sweep(
      (entry) => barrier.covers(entry.head.barrier, entry.host, entry.purgeTarget),
      STEP,
    );
    if (!done || this.#again) {
      if (done) this.#again = false;
      this.#schedule();
    } else {
      this.#timer = undefined;
    }
  }
}
