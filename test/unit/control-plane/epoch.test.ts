// When a new epoch begins.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { aheadOf, decideEpoch, decodeEpoch, nextEpoch } from '../../../control-plane/decide/epoch.ts';

test('a store that has no epoch begins one now', () => {
  assert.deepEqual(decideEpoch(undefined, 'a', 1000.9), {
    kind: 'begin',
    reason: 'new-store',
    record: { epoch: 1000, identity: 'a' },
  });
});

test('the same store keeps its epoch, whatever the clock says', () => {
  assert.deepEqual(decideEpoch({ epoch: 5000, identity: 'a' }, 'a', 1000), { kind: 'keep', epoch: 5000 });
});

test('another store begins a later one, even if the clock went back', () => {
  const epochAt = (now: number) => {
    const decision = decideEpoch({ epoch: 5000, identity: 'a' }, 'b', now);
    assert.ok(decision.kind === 'begin' && decision.reason === 'other-store');
    return decision.record.epoch;
  };
  assert.equal(epochAt(9000), 9000);
  assert.equal(epochAt(1000), 5001);
  assert.equal(nextEpoch(1000, 5000, 7000), 7001);
});

test('only an epoch is read as an epoch', () => {
  assert.deepEqual(decodeEpoch('{"epoch":5,"identity":"a"}'), { epoch: 5, identity: 'a' });
  for (const text of ['', '5', 'null', '{"epoch":"5","identity":"a"}', '{"epoch":5.5,"identity":"a"}', '{"epoch":5}']) {
    assert.throws(() => decodeEpoch(text));
  }
});

test('an edge is ahead when it holds, refused or applied what the store does not know', () => {
  const version = { epoch: 5, revision: 10 };
  const end = { epoch: 5, sequence: 3 };
  const ahead = (held: Partial<Parameters<typeof aheadOf>[0]>) =>
    aheadOf({ applied: undefined, parked: undefined, position: undefined, ...held }, version, end);
  assert.equal(ahead({}), undefined);
  assert.equal(ahead({ applied: version, parked: { epoch: 4, revision: 99 }, position: end }), undefined);
  assert.equal(ahead({ applied: { epoch: 5, revision: 11 } }), 5);
  assert.equal(ahead({ parked: { epoch: 5, revision: 11 } }), 5);
  assert.equal(ahead({ position: { epoch: 5, sequence: 4 } }), 5);
  assert.equal(ahead({ applied: { epoch: 6, revision: 1 }, position: { epoch: 5, sequence: 1 } }), 6);
});
