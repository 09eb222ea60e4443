// Snapshots as edges are sent them: what changed since the one that an edge has confirmed, where that is known and much less,
// else the whole. Made once for each pair, for all edges.
import { createHash } from 'node:crypto';
import { SnapshotDelta, type SnapshotUpdate } from '../../proto/gen/meridian/v1/edge.ts';
import { Snapshot, type Version } from '../../proto/gen/meridian/v1/resources.ts';
import { snapshotChanges } from '../../proto/snapshot-delta.ts';
import { compareVersions, formatVersion } from '../../proto/version.ts';

/** Former snapshots that edges may still have. */
const KEPT = 4;

export class SnapshotDeltas {
  readonly #kept: Snapshot[] = [];
  /** By versions; undefined: the whole is not much more. */
  #made = new Map<string, SnapshotUpdate | undefined>();

  /** Edges may come to have this one. */
  remember(update: SnapshotUpdate | undefined): void {
    const snapshot = update?.snapshot;
    if (!snapshot || this.#kept.some(({ version }) => compareVersions(version, snapshot.version) === 0)) return;
    this.#kept.push(snapshot);
    if (this.#kept.length > KEPT) this.#kept.shift();
    this.#made.clear();
  }

  /** What brings an edge that serves `base` to `update`. */
  from(base: Version | undefined, update: SnapshotUpdate): SnapshotUpdate {
    const { snapshot } = update;
    const former = base && this.#kept.find(({ version }) => compareVersions(version, base) === 0);
    if (!snapshot || !former) return update;
    const pair = `${formatVersion(base)} ${formatVersion(snapshot.version)}`;
    if (!this.#made.has(pair)) this.#made.set(pair, make(former, snapshot));
    return this.#made.get(pair) ?? update;
  }
}

function make(base: Snapshot, next: Snapshot): SnapshotUpdate | undefined {
  const whole = Snapshot.encode(next).finish();
  const sha256 = createHash('sha256').update(whole).digest();
  const delta = { ...snapshotChanges(base, next), sha256 };
  const bytes = SnapshotDelta.encode(delta).finish().length;
  return bytes < whole.length / 2 ? { snapshot: undefined, delta } : undefined;
}
