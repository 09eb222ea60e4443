// A snapshot from what changed since the one that serves. The hash of the whole says whether both sides mean the same.
import { createHash } from 'node:crypto';
import type { SnapshotDelta } from '../../proto/gen/meridian/v1/edge.ts';
import { Snapshot } from '../../proto/gen/meridian/v1/resources.ts';
import { changedSnapshot } from '../../proto/snapshot-delta.ts';
import { compareVersions } from '../../proto/version.ts';

/** Undefined when it does not fit. */
export function wholeSnapshot(serving: Snapshot | undefined, delta: SnapshotDelta): Snapshot | undefined {
  if (!serving || compareVersions(serving.version, delta.base) !== 0) return undefined;
  const snapshot = changedSnapshot(serving, delta);
  if (!snapshot) return undefined;
  const digest = createHash('sha256').update(Snapshot.encode(snapshot).finish()).digest();
  return digest.equals(delta.sha256) ? snapshot : undefined;
}
