// Waiting for something to become true, without guessing how long it takes.
import { setImmediate } from 'node:timers/promises';

/** Asks again after each turn of the event loop; fails, saying what it waited for, after `ms` milliseconds. */
export async function until(what: string, condition: () => boolean | Promise<boolean>, ms = 10_000): Promise<void> {
  const deadline = performance.now() + ms;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`waited ${ms} ms in vain for: ${what}`);
    await setImmediate();
  }
}
