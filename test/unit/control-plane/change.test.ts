// Planning a change of configuration: from the world and a request to what is written.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ChangePlan, type ChangeRequest, planChange } from '../../../control-plane/decide/change.ts';
import { KEYS, type Operation } from '../../../control-plane/decide/keys.ts';
import { advanceWorld, readWorld, type World } from '../../../control-plane/decide/world.ts';
import type { Resources } from '../../../proto/consistency.ts';
import { snapshotOf } from '../../support/snapshots.ts';

const NOTE = { who: 'me', what: 'apply', nowMs: 1_700_000_000_000 };

function start(): World {
  const entries = [{ key: KEYS.epoch, value: '{"epoch":7,"identity":"x"}', modRevision: 1 }];
  const result = readWorld(1, entries);
  assert.ok(result.kind === 'world');
  return result.world;
}

function ask(resources: Partial<Resources>, more: Partial<ChangeRequest> = {}): ChangeRequest {
  return { sites: [], pools: [], edges: [], prune: false, dryRun: false, expected: undefined, ...resources, ...more };
}

const full = (edge = 'edge-1'): Resources => snapshotOf(0, { edge });

function commit(plan: ChangePlan) {
  assert.ok(plan.kind === 'commit', plan.kind);
  return plan;
}

/** The world after the change was committed at the next revision. */
function after(world: World, request: ChangeRequest): World {
  const { transaction } = commit(planChange(world, request, NOTE));
  const result = advanceWorld(world, { revision: world.revision + 1, events: transaction.operations });
  assert.ok(result.kind === 'world');
  return result.world;
}

const keys = (operations: readonly Operation[]) => operations.map(({ kind, key }) => `${kind} ${key}`);

test('new resources are put, and the head with them', () => {
  const { transaction, changes } = commit(planChange(start(), ask(full()), NOTE));
  assert.deepEqual(keys(transaction.operations), [
    'put /meridian/resources/site/demo',
    'put /meridian/resources/pool/cities',
    'put /meridian/resources/edge/edge-1',
    'put /meridian/head',
    'put /meridian/history/0000000000000001',
  ]);
  assert.deepEqual(transaction.compares, [{ key: KEYS.head, modRevision: 0 }]);
  assert.equal(changes.length, 3);
});

test('the version is the epoch and the revision of the head', () => {
  const world = after(start(), ask(full()));
  assert.deepEqual(world.snapshot?.version, { epoch: 7, revision: 2 });
  assert.deepEqual([...world.edges], ['edge-1']);
});

test('what is as it was is not written, and when nothing differs only the head is compared', () => {
  const world = after(start(), ask(full()));
  const { transaction, changes } = commit(planChange(world, ask(full()), NOTE));
  assert.deepEqual(transaction, { compares: [{ key: KEYS.head, modRevision: 2 }], operations: [] });
  assert.deepEqual(changes, []);
});

test('without prune what is not named stays; with it, it goes', () => {
  const world = after(start(), ask(full()));
  const { edges } = full('edge-2');
  assert.deepEqual(keys(commit(planChange(world, ask({ edges }), NOTE)).transaction.operations), [
    'put /meridian/resources/edge/edge-2',
    'put /meridian/head',
    'put /meridian/history/0000000000000002',
  ]);
  assert.deepEqual(keys(commit(planChange(world, ask(full('edge-2'), { prune: true }), NOTE)).transaction.operations), [
    'put /meridian/resources/edge/edge-2',
    'delete /meridian/resources/edge/edge-1',
    'put /meridian/head',
    'put /meridian/history/0000000000000002',
  ]);
});

test('a dry run has the changes of a real one, and no operation', () => {
  const real = commit(planChange(start(), ask(full()), NOTE));
  const dry = commit(planChange(start(), ask(full(), { dryRun: true }), NOTE));
  assert.deepEqual(dry.changes, real.changes);
  assert.deepEqual(dry.transaction, { compares: real.transaction.compares, operations: [] });
});

test('what is checked is the result, not the request: a route may name a pool that is stored', () => {
  const world = after(start(), ask(full()));
  assert.equal(planChange(world, ask({ sites: full().sites }), NOTE).kind, 'commit');
  assert.equal(planChange(start(), ask({ sites: full().sites }), NOTE).kind, 'inconsistent');
  assert.equal(planChange(world, ask({ sites: full().sites }, { prune: true }), NOTE).kind, 'inconsistent');
});

test('two of one name in a request are found', () => {
  const { edges } = full();
  const plan = planChange(start(), ask({ edges: [...edges, ...edges] }), NOTE);
  assert.ok(plan.kind === 'inconsistent');
  assert.match(plan.problems[0]?.message ?? '', /two edges of this name/);
});

test('a configuration that no message could carry to an edge is refused', () => {
  const [site] = full().sites;
  const [route] = site?.routes ?? [];
  assert.ok(site && route);
  const sites = Array.from({ length: 30 }, (_, s) => ({
    ...site,
    name: `site-${s}`,
    hostnames: [`host-${s}.example`],
    routes: Array.from({ length: 75 }, (_, r) => ({ ...route, pathPrefix: `/${r}-${'a'.repeat(7900)}` })),
  }));
  const plan = planChange(start(), ask({ ...full(), sites }), NOTE);
  assert.ok(plan.kind === 'too-big', plan.kind);
  assert.match(plan.reason, /would take 1\d{7} bytes/);
});

test('an expected version that is still the version lets the change pass', () => {
  assert.equal(planChange(start(), ask(full(), { expected: { epoch: 0, revision: 0 } }), NOTE).kind, 'commit');
  const world = after(start(), ask(full()));
  const expected = { epoch: 7, revision: 2 };
  assert.equal(planChange(world, ask({ edges: full('edge-2').edges }, { expected }), NOTE).kind, 'commit');
});

test('an expected version that is no more the version is refused with what changed since', () => {
  const first = after(start(), ask(full()));
  const world = after(first, ask({ edges: full('edge-2').edges }));
  const reason = (expected: { epoch: number; revision: number }, now = world) => {
    const plan = planChange(now, ask({ edges: full('edge-3').edges }, { expected }), NOTE);
    assert.ok(plan.kind === 'moved');
    return plan.reason;
  };
  assert.match(reason({ epoch: 7, revision: 2 }), /^expected version 7\.2, found 7\.3: edge "edge-2" changed since/);
  assert.match(reason({ epoch: 6, revision: 3 }), /another epoch/);
  assert.match(reason({ epoch: 7, revision: 5 }, start()), /found none/);
  const pruned = after(world, ask(full(), { prune: true }));
  assert.match(reason({ epoch: 7, revision: 3 }, pruned), /found 7\.4: resources were deleted since/);
});
