// Where an edge stands in the purge log, and what a batch means to it there. The log has no gaps: what is missing would be
// served as fresh, so a batch that does not follow ends the stream, and the next one replays from where the edge stands.
import type { Purge, PurgeBatch, PurgePosition } from '../../proto/gen/meridian/v1/purge.ts';

export type PurgeStep =
  /** Apply these, in order (what was applied before is left out), then stand at `position`. */
  | { readonly kind: 'apply'; readonly purges: readonly Purge[]; readonly position: PurgePosition }
  /** Treat all that is held as purged, then apply. `position` undefined: the edge still stands nowhere. */
  | {
      readonly kind: 'reset';
      /** The control plane said so, or the edge held things while it stood nowhere and may have missed anything. */
      readonly reason: 'asked' | 'no-position';
      readonly purges: readonly Purge[];
      readonly position: PurgePosition | undefined;
    }
  /** The batch does not follow: apply none of it and connect anew. */
  | { readonly kind: 'gap'; readonly reason: string };

/** `position`: all purges up to it are applied; undefined when none ever was in this process. */
export function followPurges(position: PurgePosition | undefined, batch: PurgeBatch): PurgeStep {
  const { epoch, resetTo } = batch;
  if (resetTo && resetTo.epoch !== epoch) {
    return { kind: 'gap', reason: `a batch of epoch ${epoch} resets to epoch ${resetTo.epoch}` };
  }
  if (!resetTo && position && position.epoch !== epoch) {
    return { kind: 'gap', reason: `a batch of epoch ${epoch} came to an edge at epoch ${position.epoch}` };
  }
  const first = batch.purges[0];
  const base = resetTo?.sequence ?? position?.sequence ?? (first ? first.sequence - 1 : undefined);
  let last = base;
  const purges: Purge[] = [];
  for (const purge of batch.purges) {
    if (last === undefined || purge.sequence > last + 1) {
      return { kind: 'gap', reason: `purge ${purge.sequence} came after ${last}` };
    }
    if (purge.sequence <= last) continue;
    purges.push(purge);
    last = purge.sequence;
  }
  const stand = last === undefined ? undefined : { epoch, sequence: last };
  if (resetTo) return { kind: 'reset', reason: 'asked', purges, position: stand };
  if (!position || !stand) return { kind: 'reset', reason: 'no-position', purges, position: stand };
  return { kind: 'apply', purges, position: stand };
}
