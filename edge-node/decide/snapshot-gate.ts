// Whether a snapshot that arrived (from a control plane, or from the disk at a start) may be applied. It is never gone back:
// not within an epoch, and not to an older epoch. What the control plane checked before it wrote is checked again here.
import { checkConsistency } from '../../proto/consistency.ts';
import type { Snapshot, Version } from '../../proto/gen/meridian/v1/resources.ts';
import { formatProblem } from '../../proto/problems.ts';
import { compareVersions, formatVersion } from '../../proto/version.ts';

export interface Standing {
  /** What serves. */
  readonly applied: Version | undefined;
  /** The newest one refused. */
  readonly parked: Version | undefined;
}

export type SnapshotDecision =
  | { readonly kind: 'apply'; readonly version: Version }
  | { readonly kind: 'ignore'; readonly version: Version; readonly reason: 'older' | 'same' | 'parked' }
  /** `version` undefined: it has none, so that it cannot even be refused by name. */
  | { readonly kind: 'refuse'; readonly version: Version | undefined; readonly reason: string };

/** Problems named in a reason; the rest are counted. */
const NAMED = 5;

export function gateSnapshot(standing: Standing, snapshot: Snapshot, edge: string): SnapshotDecision {
  const { version } = snapshot;
  if (!version) return { kind: 'refuse', version, reason: 'the snapshot has no version' };
  const order = compareVersions(version, standing.applied);
  if (order <= 0) return { kind: 'ignore', version, reason: order === 0 ? 'same' : 'older' };
  if (standing.parked && compareVersions(version, standing.parked) === 0) {
    return { kind: 'ignore', version, reason: 'parked' };
  }
  if (!snapshot.edges.some(({ name }) => name === edge)) {
    return { kind: 'refuse', version, reason: `version ${formatVersion(version)} does not declare edge "${edge}"` };
  }
  const problems = checkConsistency(snapshot);
  if (problems.length === 0) return { kind: 'apply', version };
  const named = problems.slice(0, NAMED).map(formatProblem).join('; ');
  const more = problems.length > NAMED ? `; and ${problems.length - NAMED} more` : '';
  return { kind: 'refuse', version, reason: `version ${formatVersion(version)} is inconsistent: ${named}${more}` };
}
