// Time that stands still until a test moves it.
import type { Clock, Timer } from '../../infra/runtime/clock.ts';

interface Pending {
  readonly fn: () => void;
  /** Milliseconds between runs; undefined for a timer that runs once. */
  readonly everyMs: number | undefined;
  at: number;
}

export class FakeClock implements Clock {
  readonly #start: number;
  readonly #pending = new Set<Pending>();
  #elapsed = 0;
  #jumped = 0;

  /** `start`: the wall clock at first, Unix milliseconds. The monotonic clock begins at 0. */
  constructor(start = 1_700_000_000_000) {
    this.#start = start;
  }

  now(): number {
    return this.#start + this.#jumped + this.#elapsed;
  }

  monotonic(): number {
    return this.#elapsed;
  }

  after(ms: number, fn: () => void): Timer {
    return this.#add({ fn, everyMs: undefined, at: this.#elapsed + ms });
  }

  every(ms: number, fn: () => void): Timer {
    if (!(ms > 0)) throw new Error(`every ${ms} ms would never end`);
    return this.#add({ fn, everyMs: ms, at: this.#elapsed + ms });
  }

  /** Timers that have yet to fire. */
  get pending(): number {
    return this.#pending.size;
  }

  /** Somebody sets the wall clock, forward or back. No timer falls due by that. */
  jump(ms: number): void {
    this.#jumped += ms;
  }

  /** Moves time on by `ms` milliseconds and runs what falls due, in order, each at its own moment. */
  advance(ms: number): void {
    const end = this.#elapsed + ms;
    for (let next = this.#next(end); next; next = this.#next(end)) {
      this.#elapsed = Math.max(this.#elapsed, next.at);
      if (next.everyMs === undefined) this.#pending.delete(next);
      else next.at += next.everyMs;
      next.fn();
    }
    this.#elapsed = end;
  }

  #add(pending: Pending): Timer {
    this.#pending.add(pending);
    return { cancel: () => this.#pending.delete(pending) };
  }

  /** The earliest one due by `end`; of equals, the one set first. */
  #next(end: number): Pending | undefined {
    let next: Pending | undefined;
    for (const pending of this.#pending) if (pending.at <= end && (!next || pending.at < next.at)) next = pending;
    return next;
  }
}
