// What the purge barrier says of a stored answer: asked in one way by look-ups, failures, explanations and the sweeper.
import type { Barrier } from './barrier.ts';
import type { StoredHead } from './cache/entry.ts';
import { ageMs } from './cache/freshness.ts';

/** What a barrier needs to know of a stored answer. */
export interface Purgeable {
  /** Lower case, without a port. */
  readonly host: string;
  /** `purgeName` of what its key was made of. */
  readonly purgeTarget: string;
  readonly head: { readonly barrier: number; readonly tags: readonly string[] };
}

/**
 * Whether it may not be used any more, not even to ask an origin whether it is still good. `asked`: `purgeName` of the URL of
 * the request, of which the route's key may leave something out; a purge names a URL as it is asked for.
 */
export function isPurged(barrier: Barrier, entry: Purgeable, asked = entry.purgeTarget): boolean {
  const { head, host, purgeTarget } = entry;
  if (barrier.covers(head.barrier, host, purgeTarget, head.tags)) return true;
  return asked !== purgeTarget && barrier.covers(head.barrier, host, asked, head.tags);
}

/**
 * The head by which to judge its freshness now (Unix milliseconds): after a soft purge, one whose lifetime has just passed, so
 * that all that is said of stale responses holds for it. `asked`: as of `isPurged`.
 */
export function judgedHead(
  barrier: Barrier,
  entry: Purgeable & { readonly head: StoredHead },
  now: number,
  asked = entry.purgeTarget,
): StoredHead {
  const { head, host, purgeTarget } = entry;
  const stale =
    barrier.stales(head.barrier, host, purgeTarget, head.tags) ||
    (asked !== purgeTarget && barrier.stales(head.barrier, host, asked, head.tags));
  return stale ? { ...head, lifetimeMs: Math.min(head.lifetimeMs, ageMs(head, now)) } : head;
}
