// Which snapshots an edge takes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gateSnapshot } from '../../../../edge-node/decide/snapshot-gate.ts';
import { snapshotOf } from '../../../support/snapshots.ts';

const NOTHING = { applied: undefined, parked: undefined };
const applied = (epoch: number, revision: number) => ({ applied: { epoch, revision }, parked: undefined });

test('an edge that has nothing takes a consistent snapshot that declares it', () => {
  assert.deepEqual(gateSnapshot(NOTHING, snapshotOf(5), 'edge-1'), {
    kind: 'apply',
    version: { epoch: 1, revision: 5 },
  });
});

test('only what is newer is applied, by epoch first and revision second', () => {
  const decide = (standing: Parameters<typeof gateSnapshot>[0], revision: number, epoch = 1) => {
    const decision = gateSnapshot(standing, snapshotOf(revision, { epoch }), 'edge-1');
    return decision.kind === 'ignore' ? decision.reason : decision.kind;
  };
  assert.equal(decide(applied(1, 5), 6), 'apply');
  assert.equal(decide(applied(1, 5), 5), 'same');
  assert.equal(decide(applied(1, 5), 4), 'older');
  assert.equal(decide(applied(2, 5), 900, 1), 'older');
  assert.equal(decide(applied(1, 900), 1, 2), 'apply');
});

test('a version that was refused is not looked at again, and a newer one is', () => {
  const standing = { applied: { epoch: 1, revision: 5 }, parked: { epoch: 1, revision: 7 } };
  const again = gateSnapshot(standing, snapshotOf(7), 'edge-1');
  assert.deepEqual(again, { kind: 'ignore', version: { epoch: 1, revision: 7 }, reason: 'parked' });
  assert.equal(gateSnapshot(standing, snapshotOf(8), 'edge-1').kind, 'apply');
});

test('a snapshot that does not declare this edge is refused', () => {
  const decision = gateSnapshot(NOTHING, snapshotOf(5), 'edge-2');
  assert.ok(decision.kind === 'refuse');
  assert.match(decision.reason, /version 1\.5 does not declare edge "edge-2"/);
});

test('an inconsistent snapshot is refused with its first problems named', () => {
  const snapshot = snapshotOf(5, { pool: 'towns' });
  const decision = gateSnapshot(NOTHING, snapshot, 'edge-1');
  assert.ok(decision.kind === 'refuse');
  assert.match(decision.reason, /inconsistent: site "demo", routes\[0\]\.pool: there is no pool "towns"$/);
  const hostnames = Array.from({ length: 8 }, (_, index) => `BAD ${index}`);
  const worse = { ...snapshot, sites: snapshot.sites.map((site) => ({ ...site, hostnames })) };
  const many = gateSnapshot(NOTHING, worse, 'edge-1');
  assert.ok(many.kind === 'refuse');
  assert.match(many.reason, /; and 4 more$/);
});

test('a snapshot without a version is refused', () => {
  assert.equal(gateSnapshot(NOTHING, { ...snapshotOf(5), version: undefined }, 'edge-1').kind, 'refuse');
});
