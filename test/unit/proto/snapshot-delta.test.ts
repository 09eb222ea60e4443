// What changed between two snapshots, and the one made of the other again.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SnapshotDeltas } from '../../../control-plane/io/snapshot-deltas.ts';
import { wholeSnapshot } from '../../../edge-node/io/whole-snapshot.ts';
import { seededRandom } from '../../../infra/runtime/random.ts';
import { SnapshotUpdate } from '../../../proto/gen/meridian/v1/edge.ts';
import { Snapshot } from '../../../proto/gen/meridian/v1/resources.ts';
import { changedSnapshot, snapshotChanges } from '../../../proto/snapshot-delta.ts';
import { poolOf, snapshotOf } from '../../support/snapshots.ts';

const cache = { enabled: true, defaultTtlMs: 0 };

/** A site of so many routes. */
function large(revision: number, routes: number, changed = -1): Snapshot {
  const base = snapshotOf(revision);
  const paths = Array.from({ length: routes }, (_, i) => (i === changed ? `/changed/${i}` : `/path/${i}`));
  const sites = base.sites.map((site) => ({
    ...site,
    routes: paths.map((pathPrefix) => ({ pathPrefix, pool: 'cities', cache })),
  }));
  return { ...base, sites };
}

/** By octets: a field that is not set is the same as one that is undefined. */
function same(found: Snapshot | undefined, expected: Snapshot): void {
  assert.ok(found);
  assert.ok(Buffer.from(Snapshot.encode(found).finish()).equals(Snapshot.encode(expected).finish()));
}

const whole = (snapshot: Snapshot): SnapshotUpdate => ({ snapshot, delta: undefined });
const delta = (base: Snapshot, next: Snapshot): SnapshotUpdate => {
  const deltas = new SnapshotDeltas();
  deltas.remember(whole(base));
  return deltas.from(base.version, whole(next));
};

test('any snapshot is made of any other and what changed', () => {
  const random = seededRandom(4);
  const pick = (count: number) => Math.floor(random.next() * count);
  const any = (revision: number): Snapshot => {
    const named = (prefix: string) => Array.from({ length: 5 }, (_, i) => `${prefix}-${i}`).filter(() => pick(2) === 0);
    const [first] = snapshotOf(0).sites;
    return {
      version: { epoch: 1, revision },
      sites: named('site').map((name) => ({
        name,
        hostnames: [`${name}.${pick(3)}.example`],
        routes: first?.routes ?? [],
      })),
      pools: named('pool').map((name) => ({ ...poolOf({ o: `http://127.0.0.1:${1 + pick(3)}` }), name })),
      edges: named('edge').map((name) => ({
        name,
        location: { latitude: pick(90) / 7, longitude: 0 },
        trustedProxies: [],
      })),
      drained: pick(2) === 0 ? [] : [{ pool: 'pool-0', origin: 'o' }],
    };
  };
  for (let i = 0; i < 500; i += 1) {
    const [base, next] = [any(1), any(2)];
    same(changedSnapshot(base, snapshotChanges(base, next)), next);
  }
});

test('one route among 10,000 costs less than a kilobyte', () => {
  const [base, next] = [large(1, 10_000), large(2, 10_000, 7_000)];
  const update = delta(base, next);
  assert.ok(update.delta && SnapshotUpdate.encode(update).finish().length < 1000);
  same(wholeSnapshot(base, update.delta), next);
});

test('where the change is most of it, or the base is not known any more, the whole is sent', () => {
  assert.ok(delta(snapshotOf(1), large(2, 100)).snapshot);
  const deltas = new SnapshotDeltas();
  const all = [1, 2, 3, 4, 5].map((revision) => large(revision, 100, revision));
  for (const snapshot of all) deltas.remember(whole(snapshot));
  const newest = whole(large(6, 100, 6));
  assert.deepEqual(
    all.map(({ version }) => deltas.from(version, newest).delta !== undefined),
    [false, true, true, true, true],
  );
  assert.equal(deltas.from(undefined, newest), newest);
  assert.equal(deltas.from(all[4]?.version, newest), deltas.from(all[4]?.version, newest), 'made once for all edges');
});

test('what does not fit the snapshot that serves is found by its version, its place or its hash', () => {
  const [base, next] = [large(1, 100), large(2, 100, 50)];
  const made = delta(base, next).delta;
  assert.ok(made);
  assert.equal(wholeSnapshot(undefined, made), undefined);
  assert.equal(wholeSnapshot(next, made), undefined);
  assert.equal(wholeSnapshot(large(1, 100, 3), made), undefined);
  assert.equal(wholeSnapshot(large(1, 2), made), undefined);
  assert.equal(wholeSnapshot(base, { ...made, sha256: Buffer.alloc(32) }), undefined);
  same(wholeSnapshot(base, made), next);
});
