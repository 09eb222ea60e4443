// What an edge is sent next, and that an edge that follows it misses nothing.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nextMessage, type Present, type Sent } from '../../../control-plane/decide/outbox.ts';
import type { PurgeLog } from '../../../control-plane/decide/purge-log.ts';
import { seededRandom } from '../../../infra/runtime/random.ts';
import type { PurgePosition } from '../../../proto/gen/meridian/v1/purge.ts';
import type { Version } from '../../../proto/gen/meridian/v1/resources.ts';
import { comparePositions, compareVersions } from '../../../proto/version.ts';
import { snapshotOf } from '../../support/snapshots.ts';

const FRESH: Sent = { greeted: false, position: undefined, version: undefined, health: 0 };

function logOf(epoch: number, first: number, last: number): PurgeLog {
  const records = Array.from({ length: last - first + 1 }, (_, i) => ({
    purge: { sequence: first + i, targets: [], soft: false },
    idempotencyKey: '',
    acceptedAtMs: 0,
    bytes: 10,
  }));
  return { epoch, last, headRevision: 1, records };
}

function present(revision: number, { epoch = 1, purges = logOf(epoch, 1, 0), health = 1 } = {}): Present {
  return { update: { snapshot: snapshotOf(revision, { epoch }), delta: undefined }, purges, health };
}

/** Kinds of messages until there is nothing more. */
function all(sent: Sent, now: Present): [string[], Sent] {
  const kinds: string[] = [];
  let state = sent;
  for (;;) {
    const next = nextMessage(state, now);
    if (next.kind === 'nothing') return [kinds, state];
    assert.ok(kinds.length < 100);
    kinds.push(next.kind);
    state = next.sent;
  }
}

test('a new edge gets purges, the snapshot, the health view, and then nothing', () => {
  assert.deepEqual(all(FRESH, present(5))[0], ['purges', 'snapshot', 'health']);
});

test('an edge that is up to date still gets one batch of purges, an empty one', () => {
  const next = nextMessage({ ...FRESH, position: { epoch: 1, sequence: 3 } }, present(5, { purges: logOf(1, 1, 3) }));
  assert.ok(next.kind === 'purges');
  assert.deepEqual(next.batch, { epoch: 1, purges: [], resetTo: undefined });
});

test('only a snapshot newer than all that the edge has, refused or was sent is sent', () => {
  const [, sent] = all(FRESH, present(5));
  assert.deepEqual(all(sent, present(5))[0], []);
  assert.deepEqual(all(sent, present(4))[0], []);
  assert.deepEqual(all(sent, present(6))[0], ['snapshot']);
  assert.deepEqual(all(sent, present(1, { epoch: 2 }))[0], ['purges', 'snapshot']);
});

test('without a configuration there is no snapshot to send', () => {
  assert.deepEqual(all(FRESH, { ...present(5), update: undefined })[0], ['purges', 'health']);
});

test('purges go before all else, and the newest health view goes once', () => {
  const [, sent] = all(FRESH, present(5));
  const now = present(6, { purges: logOf(1, 1, 2), health: 9 });
  assert.deepEqual(all(sent, now)[0], ['purges', 'snapshot', 'health']);
});

test('whatever happens between two messages, an edge that follows them ends with everything, in order', () => {
  for (let seed = 1; seed <= 300; seed += 1) {
    const random = seededRandom(seed);
    const pick = (count: number) => Math.floor(random.next() * count);
    let epoch = 1;
    let last = 0;
    let first = 1;
    let revision = 1;
    const edge: { position: PurgePosition | undefined; applied: Version | undefined; covered: number } = {
      position: undefined,
      applied: undefined,
      covered: 0,
    };
    let sent: Sent = FRESH;
    for (let step = 0; step < 60; step += 1) {
      const event = pick(10);
      if (event === 0) epoch += 1;
      else if (event === 1) revision += 1;
      else if (event === 2) first = Math.min(last + 1, first + pick(5));
      else if (event === 3) sent = { ...FRESH, position: edge.position, version: edge.applied };
      else if (event < 7) last += 1;
      const next = nextMessage(sent, present(revision, { epoch, purges: logOf(epoch, first, last) }));
      if (next.kind === 'purges') {
        const { batch } = next;
        if (batch.resetTo) {
          edge.position = batch.resetTo;
          edge.covered = batch.resetTo.sequence;
        }
        for (const { sequence } of batch.purges) {
          assert.equal(sequence, edge.covered + 1, `seed ${seed}: a gap`);
          edge.covered = sequence;
          edge.position = { epoch: batch.epoch, sequence };
        }
      }
      if (next.kind === 'snapshot') {
        assert.ok(compareVersions(next.update.snapshot?.version, edge.applied) > 0, `seed ${seed}: not newer`);
        edge.applied = next.update.snapshot?.version;
      }
      if (next.kind !== 'nothing') sent = next.sent;
      assert.ok(comparePositions(sent.position, edge.position) === 0 || !sent.greeted, `seed ${seed}`);
    }
    for (let step = 0; step < 10; step += 1) {
      const next = nextMessage(sent, present(revision, { epoch, purges: logOf(epoch, first, last) }));
      if (next.kind === 'purges') edge.position = next.sent.position;
      if (next.kind === 'snapshot') edge.applied = next.update.snapshot?.version;
      if (next.kind !== 'nothing') sent = next.sent;
    }
    assert.deepEqual(
      [edge.position, edge.applied],
      [
        { epoch, sequence: last },
        { epoch, revision },
      ],
      `seed ${seed}`,
    );
  }
});
