// How long to wait before trying again: exponential with full jitter, so that many edges that lost the same control plane
// do not come back in step.
import type { Random } from './random.ts';

export interface BackoffOptions {
  /** Upper bound of the first wait, milliseconds. */
  readonly firstMs: number;
  /** Upper bound of any wait, milliseconds. */
  readonly maxMs: number;
}

/** Wait before attempt `attempt` (0, 1, 2 ...), milliseconds: uniform between half the bound and the bound. */
export function backoff(attempt: number, options: BackoffOptions, random: Random): number {
  const bound = Math.min(options.maxMs, options.firstMs * 2 ** Math.min(attempt, 30));
  return bound / 2 + (random.next() * bound) / 2;
}
