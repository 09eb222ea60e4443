// What a batch of purges means to an edge, by where the edge stands.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { followPurges } from '../../../../edge-node/decide/purge-log.ts';
import { seededRandom } from '../../../../infra/runtime/random.ts';
import type { PurgeBatch, PurgePosition } from '../../../../proto/gen/meridian/v1/purge.ts';

const at = (sequence: number, epoch = 1): PurgePosition => ({ epoch, sequence });

function batch(sequences: number[], resetTo?: PurgePosition, epoch = 1): PurgeBatch {
  return { epoch, purges: sequences.map((sequence) => ({ sequence, targets: [], soft: false })), resetTo };
}

/** The step with sequences for purges. */
function follow(position: PurgePosition | undefined, next: PurgeBatch): unknown {
  const step = followPurges(position, next);
  return step.kind === 'gap' ? step : { ...step, purges: step.purges.map(({ sequence }) => sequence) };
}

test('purges that follow are applied, and the edge stands at the last', () => {
  assert.deepEqual(follow(at(4), batch([5, 6])), { kind: 'apply', purges: [5, 6], position: at(6) });
});

test('an empty batch leaves the edge where it stands', () => {
  assert.deepEqual(follow(at(4), batch([])), { kind: 'apply', purges: [], position: at(4) });
});

test('purges that were applied before are left out', () => {
  assert.deepEqual(follow(at(4), batch([3, 4, 5])), { kind: 'apply', purges: [5], position: at(5) });
  assert.deepEqual(follow(at(4), batch([2, 3])), { kind: 'apply', purges: [], position: at(4) });
});

test('a gap before or inside the batch spoils all of it', () => {
  assert.deepEqual(follow(at(4), batch([6])), { kind: 'gap', reason: 'purge 6 came after 4' });
  assert.deepEqual(follow(at(4), batch([5, 7])), { kind: 'gap', reason: 'purge 7 came after 5' });
});

test('another epoch needs a reset', () => {
  assert.equal(followPurges(at(4), batch([5], undefined, 2)).kind, 'gap');
  assert.equal(followPurges(at(4), batch([], at(0, 3), 2)).kind, 'gap');
  const step = follow(at(4), batch([1], at(0, 2), 2));
  assert.deepEqual(step, { kind: 'reset', reason: 'asked', purges: [1], position: at(1, 2) });
});

test('a reset may go back and is followed by the purges after it', () => {
  assert.deepEqual(follow(at(90), batch([8], at(7))), {
    kind: 'reset',
    reason: 'asked',
    purges: [8],
    position: at(8),
  });
  assert.equal(followPurges(at(90), batch([9], at(7))).kind, 'gap');
});

test('an edge that stands nowhere drops all it holds: it may have missed anything', () => {
  assert.deepEqual(follow(undefined, batch([], at(41))), {
    kind: 'reset',
    reason: 'asked',
    purges: [],
    position: at(41),
  });
  assert.deepEqual(follow(undefined, batch([7, 8])), {
    kind: 'reset',
    reason: 'no-position',
    purges: [7, 8],
    position: at(8),
  });
  assert.deepEqual(follow(undefined, batch([])), {
    kind: 'reset',
    reason: 'no-position',
    purges: [],
    position: undefined,
  });
  assert.equal(followPurges(undefined, batch([7, 9])).kind, 'gap');
});

test('however a log is cut into batches and repeated, each purge is applied once and in order', () => {
  const random = seededRandom(3);
  for (let round = 0; round < 300; round += 1) {
    const applied: number[] = [];
    let position = at(0);
    for (let turn = 0; turn < 40; turn += 1) {
      // A batch that starts at, before or after what follows.
      const from = Math.max(1, position.sequence + 2 - Math.floor(random.next() * 4));
      const step = followPurges(position, batch([from, from + 1, from + 2].slice(0, Math.floor(random.next() * 4))));
      if (step.kind !== 'apply') continue;
      applied.push(...step.purges.map(({ sequence }) => sequence));
      position = step.position;
    }
    assert.deepEqual(
      applied,
      applied.map((_, index) => index + 1),
    );
    assert.equal(position.sequence, applied.length);
  }
});
