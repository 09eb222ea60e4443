// Waiting for edges: who has applied it, who is slow, who is away.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  beginWait,
  endAway,
  endWait,
  type Goal,
  type Outcome,
  progress,
  type Standing,
} from '../../../control-plane/decide/acks.ts';
import { seededRandom } from '../../../infra/runtime/random.ts';

const PURGE: Goal = { kind: 'purge', position: { epoch: 1, sequence: 5 } };
const VERSION: Goal = { kind: 'version', version: { epoch: 1, revision: 9 } };
const at = (sequence: number, epoch = 1): Partial<Standing> => ({ position: { epoch, sequence } });
const serves = (revision: number): Partial<Standing> => ({ applied: { epoch: 1, revision } });
const refused = (revision: number): Partial<Standing> => ({
  refused: { version: { epoch: 1, revision }, reason: 'no' },
});
const edge = (...parts: Partial<Standing>[]): Standing =>
  Object.assign({ connected: true, applied: undefined, refused: undefined, position: undefined }, ...parts);
const away = { connected: false };
const kinds = (outcomes: Outcome[]) => outcomes.map((outcome) => `${outcome.edge} ${outcome.kind}`);

test('at the beginning those who have it are acked, those who are away are gone, the others are waited for', () => {
  const [wait, outcomes] = beginWait(PURGE, [
    ['has-it', edge(at(5))],
    ['has-more', edge(at(6))],
    ['newer-epoch', edge(at(1, 2))],
    ['had-it-and-left', edge(at(5), away)],
    ['left', edge(at(4), away)],
    ['never', undefined],
    ['behind', edge(at(4))],
    ['new', edge()],
  ]);
  assert.deepEqual(kinds(outcomes), [
    'has-it acked',
    'has-more acked',
    'newer-epoch acked',
    'had-it-and-left acked',
    'left gone',
    'never gone',
  ]);
  assert.deepEqual([...wait.pending.keys()], ['behind', 'new']);
});

test('an edge is acked once, when it says so', () => {
  const [wait] = beginWait(PURGE, [['a', edge()]]);
  assert.equal(progress(wait, 'a', edge(at(4))), undefined);
  assert.equal(progress(wait, 'b', edge(at(5))), undefined);
  assert.deepEqual(progress(wait, 'a', edge(at(5)))?.kind, 'acked');
  assert.equal(progress(wait, 'a', edge(at(6))), undefined);
  assert.deepEqual(endWait(wait), []);
});

test('when time is up the connected are late, the lost are gone, and the returned are late again', () => {
  const [wait] = beginWait(
    PURGE,
    ['stays', 'leaves', 'returns'].map((name) => [name, edge()] as const),
  );
  for (const name of ['leaves', 'returns']) assert.equal(progress(wait, name, edge(away)), undefined);
  assert.equal(progress(wait, 'returns', edge()), undefined);
  assert.deepEqual(kinds(endWait(wait)), ['stays late', 'leaves gone', 'returns late']);
  assert.deepEqual(endWait(wait), []);
});

test('those who were away at the beginning have a moment, those who are lost later have all the time', () => {
  const names = ['never-came', 'came', 'came-and-left', 'left'];
  const [wait, outcomes] = beginWait(
    PURGE,
    names.map((name) => [name, name === 'left' ? edge() : edge(away)] as const),
    true,
  );
  assert.deepEqual(outcomes, []);
  for (const name of ['came', 'came-and-left']) progress(wait, name, edge());
  for (const name of ['never-came', 'came-and-left', 'left']) progress(wait, name, edge(away));
  assert.deepEqual(kinds(endAway(wait)), ['never-came gone']);
  assert.equal(progress(wait, 'left', edge(at(5)))?.kind, 'acked');
  assert.deepEqual(kinds(endWait(wait)), ['came late', 'came-and-left gone']);
});

test('an edge that is no longer declared is gone at once', () => {
  const [wait] = beginWait(PURGE, [['a', edge()]]);
  assert.equal(progress(wait, 'a', undefined)?.kind, 'gone');
});

test('a version is acked by it or a newer one, and refused by a refusal of it or a newer one', () => {
  const [wait, outcomes] = beginWait(VERSION, [
    ['serves-it', edge(serves(9))],
    ['serves-newer', edge(serves(10), refused(9))],
    ['refused-it', edge(serves(8), refused(9))],
    ['refused-older', edge(serves(7), refused(8))],
  ]);
  assert.deepEqual(kinds(outcomes), ['serves-it acked', 'serves-newer acked', 'refused-it refused']);
  assert.equal(progress(wait, 'refused-older', edge(refused(10)))?.reason, 'no');
});

test('whatever happens, every edge gets one outcome', () => {
  for (let seed = 1; seed <= 200; seed += 1) {
    const random = seededRandom(seed);
    const pick = (count: number) => Math.floor(random.next() * count);
    const any = () => (pick(6) === 0 ? undefined : edge(at(pick(7)), { connected: pick(2) === 0 }));
    const names = Array.from({ length: 5 }, (_, i) => `edge-${i}`);
    const [wait, outcomes] = beginWait(
      PURGE,
      names.map((name) => [name, any()] as const),
    );
    for (let i = 0; i < 30; i += 1) {
      const outcome = progress(wait, names[pick(5)] ?? '', any());
      if (outcome) outcomes.push(outcome);
    }
    outcomes.push(...endWait(wait));
    assert.deepEqual(outcomes.map((outcome) => outcome.edge).toSorted(), names, `seed ${seed}`);
  }
});
