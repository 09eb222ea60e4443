// Former configurations put back, and one that is tried by some edges first.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Canary, judgeCanary, type Trial } from '../../../control-plane/decide/canary.ts';
import {
  type ChangePlan,
  planChange,
  planDrain,
  planPromotion,
  planRollback,
} from '../../../control-plane/decide/change.ts';
import { KEYS } from '../../../control-plane/decide/keys.ts';
import {
  advanceWorld,
  readWorld,
  snapshotAt,
  updateFor,
  versionOf,
  type World,
} from '../../../control-plane/decide/world.ts';
import { seededRandom } from '../../../infra/runtime/random.ts';
import type { Resources } from '../../../proto/consistency.ts';
import type { EdgeStatistics } from '../../../proto/gen/meridian/v1/edge.ts';
import { LIMITS } from '../../../proto/limits.ts';
import { applyPatch, makePatch } from '../../../proto/text-patch.ts';
import { formatVersion } from '../../../proto/version.ts';
import { snapshotOf } from '../../support/snapshots.ts';

const note = (what = 'apply') => ({ who: '', what, nowMs: 0 });

function start(): World {
  const result = readWorld(1, [{ key: KEYS.epoch, value: '{"epoch":7,"identity":"x"}', modRevision: 1 }]);
  assert.ok(result.kind === 'world');
  return result.world;
}

function committed(
  world: World,
  plan: ChangePlan | { kind: 'commit'; transaction: ReturnType<typeof planPromotion> },
): World {
  assert.ok(plan.kind === 'commit', JSON.stringify(plan));
  if (plan.transaction.operations.length === 0) return world;
  const result = advanceWorld(world, { revision: world.revision + 1, events: plan.transaction.operations });
  assert.ok(result.kind === 'world', JSON.stringify(result));
  return result.world;
}

const ask = (resources: Partial<Resources>, more: object = {}) => ({
  ...{ sites: [], pools: [], edges: [], prune: false, dryRun: false, expected: undefined },
  ...resources,
  ...more,
});
const apply = (world: World, resources: Partial<Resources>, more: object = {}): World =>
  committed(world, planChange(world, ask(resources, more), note()));
const edgesOf = (...names: string[]) => names.flatMap((edge) => snapshotOf(0, { edge }).edges);
const names = (world: World) => [...world.edges].join();

test('a patch makes one text of another, whatever the two are', () => {
  const random = seededRandom(3);
  const text = () =>
    Array.from({ length: Math.floor(random.next() * 8) }, () => (random.next() < 0.5 ? 'a' : 'b')).join('');
  for (let i = 0; i < 3000; i += 1) {
    const [base, wanted] = [text(), text()];
    assert.equal(applyPatch(base, makePatch(base, wanted)), wanted, `${base} -> ${wanted}`);
  }
  assert.equal(applyPatch('abc', { head: 2, tail: 2, middle: '' }), undefined);
  assert.equal(applyPatch('abc', { head: Number.NaN, tail: 0, middle: '' }), undefined);
});

test('what was at a former version is put back as a newer one', () => {
  const first = apply(start(), snapshotOf(0));
  const second = apply(first, { edges: edgesOf('edge-2') });
  const third = apply(second, { ...snapshotOf(0, { edge: 'edge-3' }) }, { prune: true });
  assert.equal(names(third), 'edge-3');
  const version = versionOf(second);
  assert.ok(version);
  const back = committed(third, planRollback(third, version, false, note(`rollback to ${formatVersion(version)}`)));
  assert.equal(names(back), 'edge-1,edge-2');
  assert.deepEqual(versionOf(back), { epoch: 7, revision: 5 });
  assert.equal(back.history.at(-1)?.what, 'rollback to 7.3');
  const again = committed(back, planRollback(back, { epoch: 7, revision: 4 }, false, note()));
  assert.equal(names(again), 'edge-3');
});

test('a dry run of a rollback says what would change; a version that is not kept is refused', () => {
  const first = apply(start(), snapshotOf(0));
  const second = apply(first, { edges: edgesOf('edge-2') });
  const dry = planRollback(second, { epoch: 7, revision: 2 }, true, note());
  assert.ok(dry.kind === 'commit');
  assert.deepEqual([dry.transaction.operations, dry.changes.map(({ name }) => name)], [[], ['edge-2']]);
  for (const wanted of [
    { epoch: 6, revision: 2 },
    { epoch: 7, revision: 1 },
    { epoch: 7, revision: 9 },
  ]) {
    const plan = planRollback(second, wanted, false, note());
    assert.ok(plan.kind === 'invalid');
    assert.match(plan.reason, /is not in the history/);
  }
});

test('every version of the last hundred and more can be read as it was, and no more than the limit are kept', () => {
  const random = seededRandom(5);
  let world = apply(start(), snapshotOf(0));
  const then = new Map([[world.revision, world.snapshot]]);
  for (let i = 0; i < LIMITS.history + 20; i += 1) {
    const some = `edge-${Math.floor(random.next() * 5)}`;
    const location = { latitude: Math.floor(random.next() * 90), longitude: i / 10 };
    world = apply(world, { edges: edgesOf(some).map((edge) => ({ ...edge, location })) });
    then.set(world.revision, world.snapshot);
  }
  assert.equal(world.history.length, LIMITS.history);
  let read = 0;
  for (const [revision, snapshot] of then) {
    const found = snapshotAt(world, { epoch: 7, revision });
    if (found.kind === 'unknown') continue;
    read += 1;
    assert.deepEqual(found.snapshot, snapshot);
  }
  assert.ok(read > 100, `${read}`);
});

test('a drain is a version that only says so, and stays when a configuration is put back', () => {
  const first = apply(start(), snapshotOf(0));
  const origin = { pool: 'cities', origin: 'london' };
  const drained = committed(first, planDrain(first, origin, true, note('drain cities/london')));
  assert.deepEqual(drained.snapshot?.drained, [origin]);
  assert.deepEqual(drained.snapshot?.pools, first.snapshot?.pools);
  const second = apply(drained, { edges: edgesOf('edge-2') });
  const back = committed(second, planRollback(second, { epoch: 7, revision: 2 }, false, note()));
  assert.deepEqual([names(back), back.snapshot?.drained], ['edge-1', [origin]]);
  const given = committed(back, planDrain(back, origin, false, note('undrain cities/london')));
  assert.deepEqual(given.snapshot?.drained, []);
  const again = planDrain(given, origin, false, note());
  assert.ok(again.kind === 'commit' && again.transaction.operations.length === 0);
  assert.equal(planDrain(given, { pool: 'cities', origin: 'none' }, true, note()).kind, 'invalid');
});

const trying = (world: World, ...edges: string[]): World =>
  apply(world, { edges: edgesOf('edge-9') }, { canary: { edges, holdMs: 10_000 } });

test('on trial, some edges get the newest and the others the one before; promoted, all get it', () => {
  const first = apply(start(), snapshotOf(0));
  const second = apply(first, { edges: edgesOf('edge-2') });
  const world = trying(second, 'edge-2');
  const revisions = (of: World) => ['edge-1', 'edge-2'].map((edge) => updateFor(of, edge)?.snapshot?.version?.revision);
  assert.deepEqual(revisions(world), [3, 4]);
  assert.deepEqual(updateFor(world, 'edge-1')?.snapshot, second.snapshot);
  assert.ok(world.trial);
  const promoted = committed(world, { kind: 'commit', transaction: planPromotion(world.trial.canary) });
  assert.deepEqual(revisions(promoted), [4, 4]);
  assert.equal(promoted.trial, undefined);
});

test('on trial, a rollback to the one before gives all edges a newer version of it', () => {
  const first = apply(start(), snapshotOf(0));
  const world = trying(first, 'edge-1');
  const back = committed(world, planRollback(world, { epoch: 7, revision: 2 }, false, note('canary returned: x')));
  assert.equal(back.trial, undefined);
  assert.deepEqual(versionOf(back), { epoch: 7, revision: 4 });
  assert.equal(names(back), 'edge-1');
  assert.deepEqual(back.snapshot?.edges, first.snapshot?.edges);
});

test('while one is on trial no other change is taken, and a trial without edges, of unknown ones, or too long is refused', () => {
  const first = apply(start(), snapshotOf(0));
  const world = trying(first, 'edge-1');
  const moved = planChange(world, ask({ edges: edgesOf('edge-3') }), note());
  assert.ok(moved.kind === 'moved');
  assert.match(moved.reason, /edge-1 are trying version 7\.3/);
  assert.equal(planDrain(world, { pool: 'cities', origin: 'london' }, true, note()).kind, 'moved');
  const reasons = [
    { edges: [], holdMs: 10_000 },
    { edges: ['edge-7'], holdMs: 10_000 },
    { edges: ['edge-1'], holdMs: 1 },
  ].map((canary) => planChange(first, ask({ edges: edgesOf('edge-3') }, { canary }), note()));
  assert.deepEqual(
    reasons.map((plan) => (plan.kind === 'invalid' ? plan.reason : plan.kind)),
    [
      'canary: name at least one edge',
      'canary: there is no edge "edge-7"',
      'canary: hold_ms: expected 1000..86400000, found 1',
    ],
  );
});

const CANARY: Canary = { revision: 9, edges: ['a', 'b'], holdMs: 10_000 };
const VERSION = { epoch: 1, revision: 9 };
const counted = (requests: number, errors = 0, answerMs = 0): EdgeStatistics => ({
  ...{ requests, errors, answerMs, hits: 0, misses: 0, cacheObjects: 0, cacheBytes: 0 },
  uptimeS: requests,
});

function trial(revision: number, before?: EdgeStatistics, now?: EdgeStatistics, refused = false): Trial {
  const standing = {
    ...{ connected: true, position: undefined, applied: { epoch: 1, revision } },
    refused: refused ? { version: VERSION, reason: 'no' } : undefined,
  };
  return { standing, before, now };
}

const judged = (elapsedMs: number, a: Trial, b: Trial = trial(9)) => {
  const { kind, reason } = judgeCanary(
    CANARY,
    VERSION,
    elapsedMs,
    new Map([
      ['a', a],
      ['b', b],
    ]),
  );
  return `${kind}: ${reason}`;
};

test('a trial is promoted when all its edges serve it for the hold and no bound is crossed', () => {
  const fine = trial(9, counted(100, 2, 1000), counted(200, 6, 2100));
  assert.match(judged(9_999, fine), /^wait/);
  assert.match(judged(10_500, fine), /^wait/);
  assert.match(judged(11_000, fine), /^promote/);
});

test('a trial is returned when an edge refuses, does not confirm, fails more, or becomes slow', () => {
  assert.match(judged(10, trial(8, undefined, undefined, true)), /^return: edge "a" refused it: no/);
  assert.match(judged(9_999, trial(8)), /^wait/);
  assert.match(judged(10_000, trial(8)), /^return: edge "a" did not confirm it within 10000 ms/);
  assert.match(
    judged(10, trial(9, counted(100), counted(200, 6))),
    /^return: edge "a": 6\.0% of its requests failed, 0\.0% before/,
  );
  assert.match(
    judged(10, trial(9, counted(100, 0, 1000), counted(200, 0, 8500))),
    /an answer took 75\.0 ms on average, 10\.0 ms/,
  );
});

test('a few requests prove nothing, and a process that started anew counts from zero', () => {
  assert.match(judged(10, trial(9, counted(100), counted(119, 19))), /^wait/);
  assert.match(judged(10, trial(9, counted(1000, 0), counted(30, 30))), /^return/);
  assert.match(judged(10, trial(9, counted(1000, 900), counted(30, 3))), /^wait/);
});
