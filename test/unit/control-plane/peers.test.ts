// What replicas tell each other, written and read back.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Standing } from '../../../control-plane/decide/acks.ts';
import {
  decideMoves,
  decodeMarks,
  decodeRoster,
  decodeTally,
  encodeMarks,
  encodeRoster,
  encodeTally,
  liveKey,
  parseLiveKey,
} from '../../../control-plane/decide/peers.ts';
import { seededRandom } from '../../../infra/runtime/random.ts';

const at = (revision: number, sequence: number): Standing => ({
  connected: true,
  applied: { epoch: 1, revision },
  refused: undefined,
  position: { epoch: 1, sequence },
});
const UNKNOWN: Standing = { connected: true, applied: undefined, refused: undefined, position: undefined };

test('keys are read as they are written, and others are left alone', () => {
  for (const part of ['roster', 'marks', 'health'] as const) {
    assert.deepEqual(parseLiveKey(liveKey('a1', part)), { replica: 'a1', part });
  }
  for (const key of [
    '/meridian/head',
    '/meridian-live/a1/else',
    '/meridian-live/a1/roster/x',
    '/meridian-live//roster',
  ]) {
    assert.equal(parseLiveKey(key), undefined);
  }
});

test('marks come back for each edge, whatever most of them have', () => {
  const random = seededRandom(1);
  const pick = (count: number) => Math.floor(random.next() * count);
  for (let i = 0; i < 300; i += 1) {
    const edges = Array.from({ length: pick(8) }, (_, index) => `edge-${index}`);
    const standings = edges.map((): Standing => {
      const refused = pick(5) === 0 ? { version: { epoch: 1, revision: 9 }, reason: 'no "such" thing' } : undefined;
      return pick(6) === 0 ? UNKNOWN : { ...at(pick(3), pick(3)), refused };
    });
    const roster = decodeRoster(encodeRoster({ roster: i, edges }));
    assert.ok(roster);
    const marks = decodeMarks(roster, encodeMarks(i, standings));
    assert.deepEqual(
      [...(marks ?? [])],
      edges.map((edge, index) => [edge, standings[index]]),
    );
  }
});

test('the marks of a thousand edges that stand alike are a line; half of them on the way are a few kilobytes', () => {
  const alike = Array.from({ length: 1000 }, () => at(7, 41));
  assert.ok(encodeMarks(1, alike).length < 100);
  const half = alike.map((standing, index) => (index % 2 === 0 ? standing : at(7, 42)));
  assert.ok(encodeMarks(1, half).length < 30_000);
});

test('marks of another roster say nothing, nor does what no replica wrote', () => {
  const roster = { roster: 2, edges: ['a'] };
  assert.equal(decodeMarks(roster, encodeMarks(1, [at(1, 1)])), undefined);
  for (const text of [
    '',
    '{',
    'null',
    '[]',
    '7',
    '{}',
    '{"roster":2}',
    '{"roster":2,"others":[3]}',
    '{"roster":2,"edges":[1]}',
  ]) {
    assert.equal(decodeMarks(roster, text), undefined, text);
    assert.equal(decodeRoster(text), undefined, text);
    assert.equal(decodeTally(text), undefined, text);
  }
});

test('a tally of more origins than fit leaves some out, as if all were up', () => {
  const origins = new Map(Array.from({ length: 10_001 }, (_, i) => [`pool/${i}`, [1, 2] as const]));
  const tally = decodeTally(encodeTally({ edges: 3, origins }));
  assert.deepEqual([tally?.edges, tally?.origins.size, tally?.origins.get('pool/1')], [3, 10_000, [1, 2]]);
});

test('a replica with a fifth more than its share sends edges away, a hundredth at a time, until it is even', () => {
  assert.equal(decideMoves(500, []), 0);
  assert.equal(decideMoves(500, [500, 500]), 0);
  assert.equal(decideMoves(590, [500]), 0);
  assert.equal(decideMoves(1, [0]), 0);
  let [mine, other] = [1000, 0];
  let rounds = 0;
  for (let moves = decideMoves(mine, [other]); moves > 0; moves = decideMoves(mine, [other])) {
    assert.ok(moves <= 10);
    mine -= moves;
    other += moves;
    rounds += 1;
  }
  assert.ok(mine <= 602 && rounds > 40, `${mine} after ${rounds}`);
});
