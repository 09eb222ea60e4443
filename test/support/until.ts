// Waiting for something to become true, without guessing how long it takes.
import { setTimeout } from 'node:timers/promises';

/** Long enough not to lose against processes that want the pause more, milliseconds. */
const PAUSE_MS = 3;

/** Asks again and again; fails, saying what it waited for, after `ms` milliseconds. */
export async function until(what: string, condition: () => boolean | Promise<boolean>, ms = 60_000): Promise<void> {
  const deadline = performance.now() + ms;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`waited ${ms} ms in vain for: ${what}`);
    await setTimeout(PAUSE_MS);
  }
}
