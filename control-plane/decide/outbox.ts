// What an edge is to be sent next. Nothing is ever queued: what it was sent is compared with what is now, so that an edge
// that reads slowly gets the newest snapshot and the newest view once it has read what is on its way, and the purge log
// itself is the queue of purges.
//
//   purges, always first and at once, even if there are none   (an edge may not serve from its cache before)
//   then the snapshot, if it is newer than all that the edge has, refused or was sent
//   then the health view, if it is another
import type { SnapshotUpdate } from '../../proto/gen/meridian/v1/edge.ts';
import type { PurgeBatch, PurgePosition } from '../../proto/gen/meridian/v1/purge.ts';
import type { Version } from '../../proto/gen/meridian/v1/resources.ts';
import { LIMITS } from '../../proto/limits.ts';
import { compareVersions } from '../../proto/version.ts';
import { decideReplay, type PurgeLog } from './purge-log.ts';

export interface Sent {
  /** Whether it had its first batch of purges. */
  readonly greeted: boolean;
  /** Where it stands in the log once it has applied all that it was sent. */
  readonly position: PurgePosition | undefined;
  /** The newest of what it applied, refused and was sent. */
  readonly version: Version | undefined;
  /** Which health view. 0: none yet. */
  readonly health: number;
}

export interface Present {
  readonly update: SnapshotUpdate | undefined;
  readonly purges: PurgeLog;
  /** Counts the health views. */
  readonly health: number;
}

/** `sent`: what holds once the message is written. */
export type NextMessage =
  | { readonly kind: 'purges'; readonly reason: string; readonly batch: PurgeBatch; readonly sent: Sent }
  | { readonly kind: 'snapshot'; readonly reason: 'newer'; readonly update: SnapshotUpdate; readonly sent: Sent }
  | { readonly kind: 'health'; readonly reason: 'changed'; readonly sent: Sent }
  | { readonly kind: 'nothing'; readonly reason: 'up-to-date' };

/** Characters of JSON in one batch of purges; a message holds the largest single purge and this. */
const BATCH_CHARACTERS = LIMITS.messageBytes / 4;

export function nextMessage(sent: Sent, present: Present): NextMessage {
  const replay = decideReplay(present.purges, sent.position, BATCH_CHARACTERS, !sent.greeted);
  if (replay.kind !== 'none') {
    const { reason, batch, to } = replay;
    return { kind: 'purges', reason, batch, sent: { ...sent, greeted: true, position: to } };
  }
  if (!sent.greeted) {
    const batch = { epoch: present.purges.epoch, purges: [], resetTo: undefined };
    return { kind: 'purges', reason: replay.reason, batch, sent: { ...sent, greeted: true } };
  }
  const { update } = present;
  const version = update?.snapshot?.version;
  if (update && compareVersions(version, sent.version) > 0) {
    return { kind: 'snapshot', reason: 'newer', update, sent: { ...sent, version } };
  }
  if (present.health !== sent.health) {
    return { kind: 'health', reason: 'changed', sent: { ...sent, health: present.health } };
  }
  return { kind: 'nothing', reason: 'up-to-date' };
}
