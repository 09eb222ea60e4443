// What the purge barrier says of a stored answer: asked in one way by look-ups, failures, explanations and the sweeper.
import type { Barrier } from './barrier.ts';
import type { StoredHead } from './cache/entry.ts';
import { ageMs } from './cache/freshness.ts';

/** What a barrier needs to know of a stored answer. */
export interface Purgeable {
  /** Lower case, without a port. */
  readonly host: string;
  /** `purgeName` of its URL. */
  readonly purgeTarget: string;
  readonly head: { readonly barrier: number; readonly tags?: readonly string[] };
}

/** Whether it may not be used any more, not even to ask an origin whether it is still good. */
export function isPurged(barrier: Barrier, { head, host, purgeTarget }: Purgeable): boolean {
  return barrier.covers(head.barrier, host, purgeTarget, head.tags);
}

/**
 * The head by which to judge its freshness now (Unix milliseconds): after a soft purge, one whose lifetime has just passed, so
 * that all that is said of stale responses holds for it.
 */
export function judgedHead(
  barrier: Barrier,
  entry: Purgeable & { readonly head: StoredHead },
  now: number,
): StoredHead {
  const { head, host, purgeTarget } = entry;
  const { tags }: Purgeable['head'] = head;
  if (!barrier.stales(head.barrier, host, purgeTarget, tags)) return head;
  return { ...head, lifetimeMs: Math.min(head.lifetimeMs, ageMs(head, now)) };
}
