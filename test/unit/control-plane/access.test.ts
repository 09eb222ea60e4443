// Tokens and the audit log, as the store keeps them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { carryAccess, NO_ACCESS } from '../../../control-plane/decide/access.ts';
import { type Audited, listInWords, newestAudit, withAudit } from '../../../control-plane/decide/audit.ts';
import {
  type Entry,
  type Operation,
  parseKey,
  type Transaction,
  tokenKey,
} from '../../../control-plane/decide/keys.ts';
import { parseTokenText, planCreateToken, planRevokeToken, tokenText } from '../../../control-plane/decide/tokens.ts';
import { advanceWorld, readWorld, type World } from '../../../control-plane/decide/world.ts';
import { seededRandom } from '../../../infra/runtime/random.ts';
import { LIMITS } from '../../../proto/limits.ts';

const CALLER = { name: 'alice', role: 'operate', proof: 'certificate', peer: '127.0.0.1:5' } as const;
const asked = (id: string, name = 'ci') =>
  ({ id, hash: 'ab'.repeat(32), name, role: 'purge', lifetimeMs: 1000 }) as const;
const id = (n: number): string => n.toString(16).padStart(16, '0');

function worldOf(...entries: Entry[]): World {
  const result = readWorld(10, entries);
  assert.ok(result.kind === 'world', JSON.stringify(result));
  return result.world;
}

function carried(world: World, transaction: Transaction, revision = world.revision + 1): World {
  const result = advanceWorld(world, { revision, events: transaction.operations });
  assert.ok(result.kind === 'world', JSON.stringify(result));
  return result.world;
}

test('a token is made, is in the world with the hash alone, and is gone once revoked', () => {
  let world = worldOf();
  const made = planCreateToken(world.access.tokens, asked(id(1)), 500);
  assert.ok(made.kind === 'commit');
  assert.deepEqual(made.transaction.compares, [{ key: tokenKey(id(1)), modRevision: 0 }]);
  world = carried(world, made.transaction);
  const token = world.access.tokens.get(id(1));
  assert.deepEqual(token, {
    id: id(1),
    name: 'ci',
    role: 'purge',
    hash: 'ab'.repeat(32),
    createdAtMs: 500,
    expiresAtMs: 1500,
    modRevision: 11,
  });
  const revoked = planRevokeToken(world.access.tokens, id(1));
  assert.ok(revoked.kind === 'commit');
  assert.deepEqual(revoked.transaction.compares, [{ key: tokenKey(id(1)), modRevision: 11 }]);
  world = carried(world, revoked.transaction);
  assert.equal(world.access.tokens.size, 0);
  assert.equal(planRevokeToken(world.access.tokens, id(1)).kind, 'absent');
});

test('a token without a name or a role, or one too many, is refused', () => {
  const { tokens } = NO_ACCESS;
  for (const name of ['', '-a', 'a b', 'a'.repeat(64), 'a\n']) {
    const plan = planCreateToken(tokens, asked(id(1), name), 0);
    assert.ok(plan.kind === 'invalid' && /^name: expected/.test(plan.reason), name);
  }
  const none = planCreateToken(tokens, { ...asked(id(1)), role: undefined }, 0);
  assert.ok(none.kind === 'invalid' && /^role: expected read, purge/.test(none.reason));
  const changes = Array.from({ length: LIMITS.tokens }, (_, n) => {
    const value = { ...asked(id(n)), createdAtMs: 0, expiresAtMs: 0, modRevision: 1 };
    return { kind: 'token', id: id(n), value } as const;
  });
  const full = planCreateToken(carryAccess(NO_ACCESS, changes).tokens, asked('f'.repeat(16)), 0);
  assert.ok(full.kind === 'invalid' && /revoke some/.test(full.reason));
});

test('a token is read as it is written, and nothing else is', () => {
  const secret = 'A'.repeat(43);
  assert.deepEqual(parseTokenText(tokenText(id(7), secret)), { id: id(7), secret });
  const whole = tokenText(id(7), secret);
  for (let i = 0; i < whole.length; i += 1) assert.equal(parseTokenText(whole.slice(0, i)), undefined);
  const random = seededRandom(3);
  for (let i = 0; i < 5000; i += 1) {
    const at = Math.floor(random.next() * whole.length);
    const changed = whole.slice(0, at) + String.fromCharCode(Math.floor(random.next() * 256)) + whole.slice(at + 1);
    const parsed = parseTokenText(changed);
    if (parsed) assert.equal(tokenText(parsed.id, parsed.secret), changed);
  }
});

test('a value under a key of tokens or records that Meridian did not write is named with its key', () => {
  for (const key of [`/meridian/tokens/${id(1)}`, '/meridian/audit/1-a']) {
    for (const value of ['', '[]', '3', '{}', '{"role":"root"}', '{"caller":{"role":"root"}}', 'null']) {
      const result = readWorld(1, [{ key, value, modRevision: 1 }]);
      assert.ok(result.kind === 'unreadable' && result.reason.startsWith(`the value of ${key} cannot be read`), value);
    }
  }
});

test('a change and the record of it are one transaction, and the record knows the version before and after', () => {
  const before: Audited = { audit: [], epoch: 5, headRevision: 9 };
  const change: Transaction = { compares: [], operations: [{ kind: 'put', key: '/meridian/x', value: '1' }] };
  const note = { action: 'apply', detail: 'site demo created', changesVersion: true };
  const signed = withAudit(change, before, CALLER, note, 1234, 'aa');
  assert.deepEqual(signed.operations[0], change.operations[0]);
  const [record] = carried(worldOf(), signed).access.audit;
  assert.deepEqual(record, {
    ...note,
    id: '0000000000001234-aa',
    revision: 11,
    caller: CALLER,
    atMs: 1234,
    epoch: 5,
    fromRevision: 9,
  });
  const purge = { epoch: 5, sequence: 3 };
  const purged = withAudit(change, before, CALLER, { action: 'purge', detail: 'all', purge }, 1, 'aa');
  assert.deepEqual(carried(worldOf(), purged).access.audit[0]?.purge, purge);
});

test('records are kept to a bound, the oldest going first, and come newest first', () => {
  let world = worldOf();
  const none: Transaction = { compares: [], operations: [] };
  const write = (revision: number): void => {
    const { epoch, headRevision, access } = world;
    const before = { epoch, headRevision, audit: access.audit };
    const signed = withAudit(none, before, CALLER, { action: 'purge', detail: `${revision}` }, revision, 'a');
    assert.ok(signed.operations.length <= 2);
    world = carried(world, signed, revision);
  };
  for (let i = 0; i < 20; i += 1) write(100 + i);
  const details = (limit: number, before: number): string =>
    newestAudit(world.access.audit, limit, before)
      .map(({ detail }) => detail)
      .join(' ');
  assert.equal(details(3, 0), '119 118 117');
  assert.equal(details(3, 117), '116 115 114');
  assert.equal(details(3, 101), '100');
  assert.equal(details(3, 100), '');
  assert.equal(details(2, 9999), '119 118');

  const template = world.access.audit[0];
  assert.ok(template);
  const audit = Array.from({ length: LIMITS.auditLog + 5 }, (_, n) => ({ ...template, id: `${n}`, revision: n }));
  const over = withAudit(none, { audit, epoch: 1, headRevision: 1 }, CALLER, { action: 'x', detail: '' }, 1, 'a');
  const gone = over.operations.filter(({ kind }) => kind === 'delete').map(({ key }) => parseKey(key));
  // One more than comes, so that a log that became too long shrinks.
  assert.deepEqual(gone, [
    { kind: 'audit', id: '0' },
    { kind: 'audit', id: '1' },
  ]);
});

test('a detail is cut to what people read, however much was changed', () => {
  assert.equal(listInWords(['a', 'b']), 'a, b');
  const many = listInWords(Array.from({ length: 1000 }, (_, n) => `site number-${n} created`));
  assert.ok(many.length < 500 && /and \d+ more$/.test(many), many);
  const before: Audited = { audit: [], epoch: 1, headRevision: 1 };
  const long = withAudit(
    { compares: [], operations: [] },
    before,
    CALLER,
    { action: 'x', detail: '😀'.repeat(400) },
    1,
    'a',
  );
  const [put] = long.operations as [Operation & { kind: 'put' }];
  assert.ok(put.value.length < 1000 && put.value.isWellFormed());
});
