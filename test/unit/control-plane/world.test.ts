// The world read at once, and the world carried on transaction by transaction, are the same world.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withAudit } from '../../../control-plane/decide/audit.ts';
import {
  type Entry,
  KEYS,
  type Operation,
  parseKey,
  purgeKey,
  resourceKey,
} from '../../../control-plane/decide/keys.ts';
import { encodePurge } from '../../../control-plane/decide/purge-log.ts';
import { encodeResource, listResources } from '../../../control-plane/decide/resources.ts';
import { planCreateToken } from '../../../control-plane/decide/tokens.ts';
import {
  advanceWorld,
  fingerprint,
  readWorld,
  type World,
  type WorldResult,
} from '../../../control-plane/decide/world.ts';
import { type Random, seededRandom } from '../../../infra/runtime/random.ts';
import { snapshotOf } from '../../support/snapshots.ts';

const epoch = (value: number): Operation => put(KEYS.epoch, JSON.stringify({ epoch: value, identity: 'x' }));
const put = (key: string, value: string): Operation => ({ kind: 'put', key, value });
const remove = (key: string): Operation => ({ kind: 'delete', key });
const edge = (name: string, latitude = 0): Operation =>
  put(
    resourceKey('edge', name),
    encodeResource({ kind: 'edge', value: { name, location: { latitude, longitude: 0 }, trustedProxies: [] } }),
  );
const purge = (sequence: number): Operation =>
  put(
    purgeKey(sequence),
    encodePurge({ purge: { sequence, targets: [], soft: false }, idempotencyKey: '', acceptedAtMs: 0 }),
  );
const purgeHead = (sequence: number): Operation => put(KEYS.purgeHead, JSON.stringify({ sequence }));

function world(result: WorldResult): World {
  assert.ok(result.kind === 'world', result.kind === 'unreadable' ? result.reason : '');
  return result.world;
}

function reason(result: WorldResult): string {
  assert.ok(result.kind === 'unreadable');
  return result.reason;
}

/** Transactions from revision 1 on. */
function run(...transactions: Operation[][]): World {
  let now = world(readWorld(0, []));
  for (const [index, events] of transactions.entries()) now = world(advanceWorld(now, { revision: index + 1, events }));
  return now;
}

const sequences = ({ purges }: World) => purges.records.map((record) => record.purge.sequence);

test('keys are read as they are written, and what is not ours is left alone', () => {
  assert.deepEqual(parseKey(resourceKey('pool', 'cities')), { kind: 'resource', of: 'pool', name: 'cities' });
  assert.deepEqual(parseKey(purgeKey(42)), { kind: 'purge', sequence: 42 });
  assert.deepEqual(parseKey(purgeKey(Number.MAX_SAFE_INTEGER)), { kind: 'purge', sequence: Number.MAX_SAFE_INTEGER });
  for (const key of ['resources/lamp/x', 'resources/edge/', 'resources/edge/a/b', 'purges/log/7', 'heads', '']) {
    assert.deepEqual(parseKey(`/meridian/${key}`), { kind: 'other' });
  }
});

test('resources become a snapshot when the head is written, at its revision and in the order of names', () => {
  const before = run([epoch(7)], [edge('b')]);
  assert.equal(before.snapshot, undefined);
  const now = world(advanceWorld(before, { revision: 3, events: [edge('a'), put(KEYS.head, '{}')] }));
  assert.deepEqual(now.snapshot?.version, { epoch: 7, revision: 3 });
  assert.deepEqual([...now.edges], ['a', 'b']);
  assert.equal(now.update?.snapshot, now.snapshot);
});

test('what does not touch the configuration leaves the very same snapshot', () => {
  const before = run([epoch(7)], [edge('a'), put(KEYS.head, '{}')]);
  const now = world(advanceWorld(before, { revision: 9, events: [purge(1), purgeHead(1)] }));
  assert.equal(now.snapshot, before.snapshot);
  assert.equal(now.revision, 9);
});

test('another epoch makes another version of the same resources, and another epoch of the log', () => {
  const now = run([epoch(7)], [edge('a'), put(KEYS.head, '{}')], [purge(1), purgeHead(1)], [epoch(8)]);
  assert.deepEqual(now.snapshot?.version, { epoch: 8, revision: 2 });
  assert.deepEqual([now.purges.epoch, now.purges.last], [8, 1]);
});

test('the log is what reaches up to the last purge without a gap', () => {
  const now = run([epoch(7)], [purge(1), purgeHead(1)], [purge(2), purgeHead(2)], [purge(3), purgeHead(3)]);
  assert.deepEqual(sequences(now), [1, 2, 3]);
  assert.deepEqual(now.purges.headRevision, 4);
  const step = (events: Operation[]) => world(advanceWorld(now, { revision: 5, events }));
  assert.deepEqual(sequences(step([purge(4), purgeHead(4), remove(purgeKey(1)), remove(purgeKey(2))])), [3, 4]);
  assert.deepEqual(sequences(step([remove(purgeKey(2))])), [3]);
  assert.deepEqual(sequences(step([purgeHead(5)])), []);
  assert.deepEqual(sequences(step([remove(KEYS.purgeHead)])), []);
});

test('a value that is not what Meridian writes is named with its key', () => {
  const now = run([epoch(7)], [edge('a'), put(KEYS.head, '{}')]);
  const broken: [Operation, RegExp][] = [
    [
      put(KEYS.epoch, '{"epoch":"7","identity":"x"}'),
      /the value of \/meridian\/epoch cannot be read: it is not an epoch/,
    ],
    [put(resourceKey('edge', 'a'), '{'), /\/meridian\/resources\/edge\/a cannot be read/],
    [put(resourceKey('edge', 'b'), '{"name":"a"}'), /edge\/b cannot be read: it is a edge named "a"/],
    [put(purgeKey(1), '{"purge":{"sequence":2}}'), /0001 cannot be read: it is purge 2/],
    [put(KEYS.purgeHead, '{}'), /purges\/head cannot be read: it has no sequence/],
  ];
  for (const [operation, expected] of broken) {
    assert.match(reason(advanceWorld(now, { revision: 9, events: [operation] })), expected);
  }
});

test('resources that do not fit together are refused as a whole', () => {
  const now = run([epoch(7)], [edge('a'), put(KEYS.head, '{}')]);
  const events = [put(resourceKey('site', 's'), '{"name":"s"}'), put(KEYS.head, '{}')];
  assert.match(reason(advanceWorld(now, { revision: 9, events })), /do not fit together: site "s"/);
});

test('two worlds of other tokens, or another record of who did what, do not look the same to the audit', () => {
  const asked = { id: '0123456789abcdef', hash: '0'.repeat(64), name: 'ci', role: 'purge', lifetimeMs: 0 } as const;
  const plan = planCreateToken(new Map(), asked, 0);
  assert.ok(plan.kind === 'commit');
  const caller = { name: 'root', role: 'administer', proof: 'certificate', peer: '' } as const;
  const audited = { audit: [], epoch: 7, headRevision: 0 };
  const note = { action: 'create-token', detail: '' };
  const { operations } = withAudit(plan.transaction, audited, caller, note, 0, 'x');
  const isAudit = ({ key }: Operation) => parseKey(key).kind === 'audit';
  const without = run([epoch(7)], [...operations]);
  const revoked = run([epoch(7)], operations.filter(isAudit));
  const unsaid = run(
    [epoch(7)],
    operations.filter((one) => !isAudit(one)),
  );
  const prints = [without, revoked, unsaid].map(fingerprint);
  assert.equal(new Set(prints).size, 3);
});

test('after any transactions the world is the one that is read from what they left', () => {
  for (let seed = 1; seed <= 30; seed += 1) {
    const random = seededRandom(seed);
    const entries = new Map<string, Entry>();
    let now = world(readWorld(0, []));
    for (let revision = 1; revision <= 60; revision += 1) {
      const events = revision === 1 ? [epoch(7)] : randomTransaction(random, entries, now.purges.last);
      for (const event of events) {
        if (event.kind === 'delete') entries.delete(event.key);
        else entries.set(event.key, { key: event.key, value: event.value, modRevision: revision });
      }
      now = world(advanceWorld(now, { revision, events }));
      const read = world(readWorld(revision, [...entries.values()]));
      // A snapshot is of the moment at which the head was written.
      const { snapshot: _, update: __, edges: ___, ...rest } = now;
      const { snapshot: ____, update: _____, edges: ______, ...expected } = read;
      assert.deepEqual(rest, expected, `seed ${seed}, revision ${revision}`);
      if (read.headRevision === revision) assert.deepEqual(now.snapshot, read.snapshot);
    }
  }
});

test('whatever stands in the store, it is read or refused with its key, and never more than that', () => {
  const random = seededRandom(5);
  const pick = (count: number) => Math.floor(random.next() * count);
  const good = [
    epoch(7),
    put(KEYS.head, '{}'),
    edge('a'),
    purge(1),
    purgeHead(1),
    ...listResources(snapshotOf(0)).map((resource) =>
      put(resourceKey(resource.kind, resource.value.name), encodeResource(resource)),
    ),
  ];
  const pieces = [
    'null',
    '[]',
    '{}',
    '"x"',
    '-1',
    '1e99',
    'true',
    '{',
    '}',
    ',',
    ':',
    '"',
    '\\',
    '\u0000',
    '',
    '__proto__',
  ];
  const counts = { world: 0, unreadable: 0 };
  for (let round = 0; round < 3000; round += 1) {
    const events = good.map((event) => {
      if (event.kind === 'delete' || pick(4) > 0) return event;
      const from = pick(event.value.length);
      const piece = pieces[pick(pieces.length)] ?? '';
      return put(event.key, event.value.slice(0, from) + piece + event.value.slice(from + pick(8)));
    });
    const result = advanceWorld(world(readWorld(0, [])), { revision: 1, events });
    counts[result.kind] += 1;
    if (result.kind === 'unreadable')
      assert.match(result.reason, /^the value of \/meridian\/|^the resources do not fit/);
  }
  assert.ok(counts.unreadable > 300 && counts.world > 300, JSON.stringify(counts));
});

function randomTransaction(random: Random, entries: ReadonlyMap<string, Entry>, last: number): Operation[] {
  const pick = (count: number) => Math.floor(random.next() * count);
  switch (pick(6)) {
    case 0:
      return [edge(`edge-${pick(4)}`, pick(90)), put(KEYS.head, '{}')];
    case 1: {
      const gone = [...entries.keys()].find((key) => key.startsWith('/meridian/resources/'));
      return gone === undefined ? [put('/meridian/later', 'x')] : [remove(gone), put(KEYS.head, '{}')];
    }
    case 2:
      return [epoch(7 + pick(3))];
    case 3: {
      const oldest = [...entries.keys()].filter((key) => key.startsWith('/meridian/purges/log/')).toSorted()[0];
      return oldest === undefined ? [purge(last + 1), purgeHead(last + 1)] : [remove(oldest)];
    }
    default:
      return [purge(last + 1), purgeHead(last + 1)];
  }
}
