// Time as a port. Nothing else in Meridian reads a clock or sets a timer, so that tests can drive both.

// The global of the same name is looked up anew, through an accessor, at each use.
import { performance } from 'node:perf_hooks';

export interface Timer {
  /** Safe to call after the timer fired, and twice. */
  cancel(): void;
}

export interface Clock {
  /** Wall-clock time, Unix milliseconds. May jump. */
  now(): number;
  /** Milliseconds since some fixed moment. Never goes back; for durations and deadlines. */
  monotonic(): number;
  /** Runs `fn` once after `ms` milliseconds. A pending timer does not keep the process alive. */
  after(ms: number, fn: () => void): Timer;
  /** Runs `fn` every `ms` milliseconds until cancelled. */
  every(ms: number, fn: () => void): Timer;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, fn) {
    const timer = setTimeout(fn, ms);
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
  every(ms, fn) {
    const timer = setInterval(fn, ms);
    timer.unref();
    return { cancel: () => clearInterval(timer) };
  },
};

/** Resolves after `ms` milliseconds of `clock`. */
export function sleep(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(ms, resolve);
  });
}

/** `act`, but no more than once in `ms` milliseconds; what comes in between is passed over. */
export function atMostEvery<A extends unknown[]>(
  clock: Clock,
  ms: number,
  act: (...args: A) => void,
): (...args: A) => void {
  let next = Number.NEGATIVE_INFINITY;
  return (...args) => {
    if (clock.monotonic() < next) return;
    next = clock.monotonic() + ms;
    act(...args);
  };
}
