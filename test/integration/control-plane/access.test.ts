// Who may make which call of the admin API, by certificate or token, and what the audit log says of it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { createAuthority } from '../../../cli/certs/authority.ts';
import type { TlsMaterial } from '../../../infra/runtime/tls-files.ts';
import { Role } from '../../../proto/gen/meridian/v1/access.ts';
import type { Version } from '../../../proto/gen/meridian/v1/resources.ts';
import { LIMITS } from '../../../proto/limits.ts';
import { formatVersion } from '../../../proto/version.ts';
import { aroundNow, client, future, materialOf, past, selfSigned } from '../../support/certs.ts';
import { dialEdge } from '../../support/edge-client.ts';
import { type Admin, configuration, startPlane } from '../../support/plane.ts';
import { ALL, startTlsPlane, URIS } from '../../support/tls-plane.ts';

const LAGOS = { pool: 'cities', origin: 'lagos' };

/** What a rollback by one version asks for; the first has none before it. */
async function formerVersion(admin: Admin): Promise<{ version: Version }> {
  const newest = (await admin.history()).entries[0];
  const version = newest?.former ?? newest?.version;
  assert.ok(version);
  return { version };
}

test('each role may do its part and no more, and is told which role it lacks', async (t) => {
  const plane = await startTlsPlane(t);
  const calls: [string, Exclude<keyof typeof URIS, 'london'>, (admin: Admin) => Promise<unknown>][] = [
    ['status', 'reader', (admin) => admin.status()],
    ['get', 'reader', (admin) => admin.get()],
    ['listAudit', 'reader', (admin) => admin.audit()],
    ['history', 'reader', (admin) => admin.history()],
    ['purge', 'purger', (admin) => admin.purge(ALL).all],
    ['apply', 'operator', (admin) => admin.apply(configuration('london', 'tokyo')).all],
    ['drain', 'operator', (admin) => admin.drain({ origin: LAGOS, drained: true }).all],
    ['rollback', 'operator', async (admin) => admin.rollback(await formerVersion(admin)).all],
    ['listTokens', 'root', (admin) => admin.listTokens()],
    ['createToken', 'root', (admin) => admin.createToken({ name: 'x', role: Role.READ, lifetimeMs: 0 })],
  ];
  const order = ['reader', 'purger', 'operator', 'root'] as const;
  for (const [at, who] of order.entries()) {
    const admin = await plane.as(who);
    for (const [rpc, least, call] of calls) {
      if (at >= order.indexOf(least)) {
        await call(admin);
        continue;
      }
      const role = { reader: 'read', purger: 'purge', operator: 'operate', root: 'administer' };
      const details = `${rpc} needs the role ${role[least]}, but "${who}" (certificate) has the role ${role[who]}`;
      await assert.rejects(call(admin), { code: status.PERMISSION_DENIED, details });
    }
  }
  const edge = await plane.as('london');
  await assert.rejects(edge.status(), {
    code: status.PERMISSION_DENIED,
    details: /of the edge "london", which has no role/,
  });
});

test('whoever shows no certificate that holds hears that they are not known, and why', async (t) => {
  const plane = await startTlsPlane(t);
  const subject = client(URIS.root);
  const stranger = await createAuthority('another', aroundNow());
  const cases: [RegExp, TlsMaterial][] = [
    [/not known: show a client certificate \(--cert, --key\) or a token/, await materialOf(undefined)],
    [/has expired; renew it/, await materialOf(subject, { validity: past() })],
    [/not valid yet/, await materialOf(subject, { validity: future() })],
    [/authority that this control plane does not trust/, await materialOf(subject, { by: stranger })],
    [/signed by itself/, await selfSigned(URIS.root)],
    [/does not say who it is for: it names no edge and no role/, await materialOf(client('https://root'))],
  ];
  for (const [details, material] of cases) {
    const admin = await plane.as(material);
    await assert.rejects(admin.status(), { code: status.UNAUTHENTICATED, details }, String(details));
    await assert.rejects(admin.purge(ALL).all, { code: status.UNAUTHENTICATED, details });
  }
});

test('a token opens what its role opens until it expires or is revoked, on every connection', async (t) => {
  const plane = await startTlsPlane(t);
  const root = await plane.as('root');
  const { token, text } = await root.createToken({ name: 'ci', role: Role.PURGE, lifetimeMs: 60_000 });
  assert.match(text, /^mrd_[0-9a-f]{16}_[A-Za-z0-9_-]{43}$/);
  const ci = await plane.as(undefined, `Bearer ${text}`);
  await ci.purge(ALL).all;
  const lacks = {
    code: status.PERMISSION_DENIED,
    details: /needs the role operate, but "ci" \(token .*\) has the role purge/,
  };
  await assert.rejects(ci.apply(configuration('london')).all, lacks);

  const { tokens } = await root.listTokens();
  assert.deepEqual(tokens, [token]);
  assert.ok(!JSON.stringify(tokens).includes(text.slice(-43)), 'the secret is listed');

  const short = await root.createToken({ name: 'short', role: Role.READ, lifetimeMs: 5000 });
  const brief = await plane.as(undefined, `Bearer ${short.text}`);
  await brief.status();
  plane.clock.advance(5000);
  await assert.rejects(brief.status(), { code: status.UNAUTHENTICATED, details: /token of "short" expired at / });

  await root.revokeToken(token?.id ?? '');
  await assert.rejects(ci.purge(ALL).all, { code: status.UNAUTHENTICATED, details: /not known here, or was revoked/ });
  await assert.rejects(root.revokeToken(token?.id ?? ''), { code: status.NOT_FOUND, details: /there is no token/ });
});

test('what is not a token, or not the right one, opens nothing', async (t) => {
  const plane = await startTlsPlane(t);
  const root = await plane.as('root');
  const { text } = await root.createToken({ name: 'ci', role: Role.ADMINISTER, lifetimeMs: 0 });
  const other = `${text.slice(0, -1)}${text.endsWith('A') ? 'B' : 'A'}`;
  const wrong = [text, 'Bearer', `Basic ${text}`, `Bearer ${text} x`, `Bearer ${text.slice(0, -1)}`, 'Bearer x'];
  for (const header of wrong) {
    const admin = await plane.as(undefined, header);
    await assert.rejects(admin.status(), { code: status.UNAUTHENTICATED, details: /is not a token: expected/ }, header);
  }
  const guessed = await plane.as(undefined, `Bearer ${other}`);
  await assert.rejects(guessed.status(), { code: status.UNAUTHENTICATED, details: /not known here/ });
  // A certificate that does not hold is not made good by a token.
  const expired = await materialOf(client(URIS.root), { validity: past() });
  const both = await plane.as(expired, `Bearer ${text}`);
  await assert.rejects(both.status(), { code: status.UNAUTHENTICATED, details: /has expired/ });
});

test('a stranger’s message is refused before it is read, and anyone’s that is too large is refused', async (t) => {
  const plane = await startTlsPlane(t);
  const large = { url: 'x'.repeat(LIMITS.messageBytes + 1), ip: '' };
  const stranger = await plane.as(undefined);
  await assert.rejects(stranger.explain(large), { code: status.UNAUTHENTICATED });
  const reader = await plane.as('reader');
  const tooLarge = { code: status.RESOURCE_EXHAUSTED, details: /larger than|max/ };
  await assert.rejects(reader.explain(large), tooLarge);
  await reader.status();

  const edge = dialEdge(t, plane.edgePort, await materialOf(client(URIS.london)));
  const hello = { protocolVersion: 1, edge: 'london', instance: large.url, softwareVersion: '' };
  const rest = { applied: undefined, parked: undefined, purgePosition: undefined, whole: false };
  edge.send({ $case: 'hello', value: { ...hello, ...rest } });
  assert.equal((await edge.ended).code, status.RESOURCE_EXHAUSTED);
});

test('the audit log says who did what, from which version to which', async (t) => {
  const plane = await startTlsPlane(t);
  const root = await plane.as('root');
  const operator = await plane.as('operator');
  const before = (await root.status()).version;
  const after = await operator.applied(configuration('london', 'tokyo', 'lima'));
  // Neither of these changes anything.
  await operator.applied(configuration('london', 'tokyo', 'lima'));
  await operator.apply({ ...configuration('oslo'), dryRun: true }).all;
  const { token, text } = await root.createToken({ name: 'ci', role: Role.PURGE, lifetimeMs: 0 });
  const ci = await plane.as(undefined, `Bearer ${text}`);
  await ci.purge({ ...ALL, idempotencyKey: 'once' }).all;
  await ci.purge({ ...ALL, idempotencyKey: 'once' }).all;
  await assert.rejects(ci.apply(configuration('paris')).all);
  await root.revokeToken(token?.id ?? '');

  const { records } = await root.audit();
  const lines = records.map(({ actor, proof, action, detail }) => `${actor} ${proof} ${action} ${detail}`);
  assert.deepEqual(lines, [
    `root certificate revoke-token token ${token?.id} of "ci", role purge`,
    `ci token ${token?.id} purge all`,
    `root certificate create-token token ${token?.id} of "ci", role purge`,
    'operator certificate apply edge lima created',
    'control-plane bootstrap apply site demo created, pool cities created, edge london created, edge tokyo created',
  ]);
  const [, purge, , apply, first] = records;
  assert.deepEqual([apply?.from, apply?.to], [before, after]);
  assert.deepEqual([first?.from, first?.to], [undefined, before]);
  assert.equal(purge?.purge?.sequence, 1);
  assert.equal(apply?.role, Role.OPERATE);
  assert.match(apply?.peer ?? '', /^127\.0\.0\.1:\d+$/);
  assert.equal(apply?.atMs, plane.clock.now());
  assert.deepEqual(
    (await root.audit(1, purge?.revision)).records.map(({ action }) => action),
    ['create-token'],
  );
  assert.ok(!JSON.stringify(records).includes(text.slice(-43)));
});

test('a drain, a soft purge and a rollback are written down with who asked, in the history as well', async (t) => {
  const plane = await startTlsPlane(t);
  const operator = await plane.as('operator');
  await operator.drain({ origin: LAGOS, drained: true }).all;
  await operator.drain({ origin: LAGOS, drained: false }).all;
  const tag = { tag: 'shoes', hosts: ['www.example.com'] };
  await operator.purge({ targets: [{ target: { $case: 'tag', value: tag } }], soft: true }).all;
  const after = await operator.applied({ ...configuration('london', 'tokyo', 'lima'), pools: [] });
  const back = await formerVersion(operator);
  await operator.rollback(back).all;

  const { records } = await operator.audit();
  assert.deepEqual(
    records.slice(0, -1).map(({ actor, proof, action, detail }) => `${actor} ${proof} ${action} ${detail}`),
    [
      `operator certificate rollback to ${formatVersion(back.version)}: edge lima deleted`,
      'operator certificate apply edge lima created',
      'operator certificate purge softly: tag shoes on www.example.com',
      'operator certificate undrain cities/lagos',
      'operator certificate drain cities/lagos',
    ],
  );
  assert.deepEqual(records[0]?.from, after);
  const { entries } = await operator.history();
  assert.deepEqual(
    entries.map(({ who }) => who),
    ['operator', 'operator', 'operator', 'operator', 'control-plane'],
  );
  assert.deepEqual(entries[0]?.version, records[0]?.to);
});

test('without certificates nobody is asked who they are, which the audit log says', async (t) => {
  const plane = await startPlane(t);
  await plane.admin.applied(configuration('london'));
  const { records } = await plane.admin.audit();
  assert.deepEqual([records[0]?.actor, records[0]?.proof, records[0]?.role], ['', 'nobody asked', Role.ADMINISTER]);
});
