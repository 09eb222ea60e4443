// Who is let in over TLS, as what, and what those hear who are not.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { connect } from 'node:tls';
import { status } from '@grpc/grpc-js';
import { createAuthority, type Issued } from '../../../cli/certs/authority.ts';
import type { TlsMaterial } from '../../../infra/runtime/tls-files.ts';
import { Role } from '../../../proto/gen/meridian/v1/access.ts';
import { LIMITS } from '../../../proto/limits.ts';
import {
  aroundNow,
  client,
  filesIn,
  future,
  materialOf,
  past,
  selfSigned,
  server,
  theAuthority,
} from '../../support/certs.ts';
import { connectEdge, dialEdge } from '../../support/edge-client.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { Admin, configuration, type Plane, startPlane } from '../../support/plane.ts';
import { tempFolder } from '../../support/temp.ts';
import { until } from '../../support/until.ts';

const URIS = {
  london: 'meridian://edge/london',
  reader: 'meridian://read/reader',
  purger: 'meridian://purge/purger',
  operator: 'meridian://operate/operator',
  root: 'meridian://administer/root',
} as const;

interface Logged {
  readonly reason?: string;
}

interface TlsPlane extends Plane {
  /** Reasons of the warnings that it logged. */
  readonly reasons: string[];
  as(who: keyof typeof URIS | TlsMaterial | undefined, token?: string): Promise<Admin>;
}

async function startTlsPlane(t: TestContext): Promise<TlsPlane> {
  const reasons: string[] = [];
  const warn = (fields: Logged): void => void reasons.push(fields.reason ?? '');
  const log = { debug() {}, info() {}, error() {}, warn };
  const tls = await filesIn(tempFolder(t), server());
  const clock = new FakeClock(Date.now());
  const plane = await startPlane(t, { tls, clock, log, bootstrap: configuration('london', 'tokyo') });
  const as: TlsPlane['as'] = async (who, token) => {
    const material = typeof who === 'object' ? who : await materialOf(who && client(URIS[who]));
    return new Admin(t, plane.adminPort, material, token);
  };
  return { ...plane, reasons, as };
}

const ALL = { targets: [{ target: { $case: 'all', value: {} } as const }] };

test('with certificates it listens beyond loopback, and an edge and a person get in', async (t) => {
  const tls = await filesIn(tempFolder(t), server());
  const plane = await startPlane(t, { tls, edgeListen: '0.0.0.0:0', adminListen: '0.0.0.0:0' });
  const root = new Admin(t, plane.adminPort, await materialOf(client(URIS.root)));
  await root.applied(configuration('london'));
  const edge = connectEdge(t, plane.edgePort, 'london', {}, await materialOf(client(URIS.london)));
  await edge.take('snapshot');
  assert.equal((await root.status()).edges[0]?.connected, true);
});

test('nothing older than TLS 1.3 is spoken, and plain text is not either', async (t) => {
  const plane = await startTlsPlane(t);
  const { ca } = await materialOf(undefined);
  for (const port of [plane.edgePort, plane.adminPort]) {
    const failed = await new Promise<Error>((resolve) => {
      const options = { host: '127.0.0.1', port, ca, maxVersion: 'TLSv1.2', servername: 'x' } as const;
      connect(options).on('error', resolve);
    });
    assert.match(failed.message, /protocol version/i);
  }
  await assert.rejects(new Admin(t, plane.adminPort).status(), { code: status.UNAVAILABLE });
});

test('an edge whose certificate is missing, expired, early, self-made or for a server is cut off in the handshake', async (t) => {
  const plane = await startTlsPlane(t);
  const subject = client(URIS.london);
  const stranger = await createAuthority('test authority', aroundNow());
  const cases: [RegExp, TlsMaterial][] = [
    [/showed no certificate/, await materialOf(undefined)],
    [/has expired/, await materialOf(subject, { validity: past() })],
    [/not valid yet/, await materialOf(subject, { validity: future() })],
    [/does not trust|signed by itself|does not hold/, await materialOf(subject, { by: stranger })],
    [/not made for clients/, await materialOf({ ...subject, use: 'server' })],
    [/signed by itself/, await selfSigned(URIS.london)],
  ];
  for (const [reason, material] of cases) {
    plane.clock.advance(1000);
    const edge = connectEdge(t, plane.edgePort, 'london', {}, material);
    assert.equal((await edge.ended).code, status.UNAVAILABLE, String(reason));
    await until('the log to say why', () => plane.reasons.length > 0);
    assert.match(plane.reasons.splice(0).join(), reason);
  }
  // The same edge, with what it should have.
  await connectEdge(t, plane.edgePort, 'london', {}, await materialOf(subject)).take('snapshot');
});

test('an edge that reports for another, or whose certificate is no one edge’s, is refused with the reason', async (t) => {
  const plane = await startTlsPlane(t);
  const as = async (...uris: string[]) => {
    const edge = connectEdge(t, plane.edgePort, 'tokyo', {}, await materialOf(client(...uris)));
    const { code, details } = await edge.ended;
    return `${status[code]} ${details}`;
  };
  assert.equal(
    await as(URIS.london),
    'PERMISSION_DENIED the certificate is of the edge "london", but it says that it is "tokyo"; an edge speaks for itself alone',
  );
  assert.match(await as(URIS.root), /^PERMISSION_DENIED the certificate is not of an edge: it is of "root"/);
  assert.match(await as('https://tokyo'), /^PERMISSION_DENIED .* names no edge and no role/);
  assert.match(
    await as(URIS.london, 'meridian://edge/tokyo'),
    /^PERMISSION_DENIED .* more than one meridian:\/\/ name/,
  );
  const status_ = await (await plane.as('reader')).status();
  assert.ok(status_.edges.every(({ connected }) => !connected));
});

test('what an edge says about another in its answers is put down to itself', async (t) => {
  const plane = await startTlsPlane(t);
  const edge = connectEdge(t, plane.edgePort, 'london', {}, await materialOf(client(URIS.london)));
  await edge.take('healthView');
  const reader = await plane.as('reader');
  const answer = reader.explain({ url: 'http://demo.example/', ip: '192.0.2.1' });
  const { id } = await edge.take('explain');
  const explanation = { edge: 'tokyo', version: undefined, client: undefined, cache: undefined, ranking: [] };
  const words = { refusalCode: '', refusalDetail: '', site: '', route: '', pool: '' };
  edge.send({ $case: 'explainAnswer', value: { id, explanation: { ...explanation, ...words } } });
  assert.deepEqual(
    (await answer).explanations.map((each) => each.edge),
    ['london'],
  );
});

test('each role may do its part and no more, and is told which role it lacks', async (t) => {
  const plane = await startTlsPlane(t);
  const calls: [string, Exclude<keyof typeof URIS, 'london'>, (admin: Admin) => Promise<unknown>][] = [
    ['status', 'reader', (admin) => admin.status()],
    ['get', 'reader', (admin) => admin.get()],
    ['listAudit', 'reader', (admin) => admin.audit()],
    ['purge', 'purger', (admin) => admin.purge(ALL).all],
    ['apply', 'operator', (admin) => admin.apply(configuration('london', 'tokyo')).all],
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

test('a client refuses a control plane of another name, another authority, or past its time', async (t) => {
  const cases: [RegExp, Parameters<typeof filesIn>[1], Parameters<typeof filesIn>[2]][] = [
    [/does not match|altnames/i, server({ type: 'dns', value: 'elsewhere.example' }), {}],
    [/expired/, server(), { validity: past() }],
    [/self-signed|issuer|verify/, server(), { by: await createAuthority('another', aroundNow()) }],
    // An edge's certificate, stolen, does not make a control plane.
    [/purpose|unsuitable|unsupported/i, { ...server(), use: 'client' }, {}],
  ];
  for (const [reason, subject, options] of cases) {
    const plane = await startPlane(t, { tls: await filesIn(tempFolder(t), subject, options) });
    const admin = new Admin(t, plane.adminPort, await materialOf(client(URIS.root)));
    await assert.rejects(admin.status(), { code: status.UNAVAILABLE, details: reason }, String(reason));
    const edge = connectEdge(t, plane.edgePort, 'london', {}, await materialOf(client(URIS.london)));
    assert.match((await edge.ended).details, reason);
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
  const rest = { applied: undefined, parked: undefined, purgePosition: undefined };
  edge.send({ $case: 'hello', value: { ...hello, ...rest } });
  assert.equal((await edge.ended).code, status.RESOURCE_EXHAUSTED);
});

test('an unknown protocol version is refused over TLS as well, and the name is looked at first', async (t) => {
  const plane = await startTlsPlane(t);
  const london = await materialOf(client(URIS.london));
  const { code, details } = await connectEdge(t, plane.edgePort, 'london', { protocolVersion: 99 }, london).ended;
  assert.equal(code, status.FAILED_PRECONDITION);
  assert.match(details, /version 99 of the protocol/);
  const other = await connectEdge(t, plane.edgePort, 'tokyo', { protocolVersion: 99 }, london).ended;
  assert.equal(other.code, status.PERMISSION_DENIED);
});

test('renewed files are used for new connections, and files that cannot be used are not', async (t) => {
  const folder = tempFolder(t);
  const tls = await filesIn(folder, server());
  const clock = new FakeClock(Date.now());
  const errors: string[] = [];
  const error = (fields: Logged): void => void errors.push(fields.reason ?? '');
  const plane = await startPlane(t, { tls, clock, log: { debug() {}, info() {}, warn() {}, error } });
  const root = await materialOf(client(URIS.root));
  const checkServerIdentity = () => undefined;
  const served = () =>
    new Promise<string>((resolve, reject) => {
      const options = { host: '127.0.0.1', port: plane.adminPort, ca: root.ca, servername: 'x', checkServerIdentity };
      const socket = connect(options, () => {
        resolve(socket.getPeerCertificate().serialNumber);
        socket.destroy();
      }).on('error', reject);
    });
  const lasting = new Admin(t, plane.adminPort, root);
  await lasting.status();
  const first = await served();

  await filesIn(folder, server(), { validity: { from: Date.now() - 1000, to: Date.now() + 3_600_000 } });
  await until('the new certificate', async () => {
    clock.advance(10_000);
    return (await served()) !== first;
  });
  const second = await served();
  await lasting.status();

  await filesIn(folder, server());
  writeFileSync(tls.pair.cert, 'torn');
  await until('the complaint', () => {
    clock.advance(10_000);
    return errors.length > 0;
  });
  assert.match(errors.join(), /tls\.crt: not a certificate in PEM form/);
  assert.equal(await served(), second);
});

test('while an authority is replaced, certificates of both get in; afterwards those of the new one alone', async (t) => {
  const folder = tempFolder(t);
  const [former, next] = [await theAuthority(), await createAuthority('test authority', aroundNow())];
  const clock = new FakeClock(Date.now());
  const tls = await filesIn(folder, server(), { trusts: [former, next] });
  const plane = await startPlane(t, { tls, clock });
  const as = async (by: Issued) =>
    new Admin(t, plane.adminPort, await materialOf(client(URIS.reader), { by, trusts: [former, next] }));
  await (await as(former)).status();
  await (await as(next)).status();
  await filesIn(folder, server(), { trusts: [next], by: next });
  await until('the former authority to be out', async () => {
    clock.advance(10_000);
    const answer = (await as(former)).status();
    return answer.then(
      () => false,
      (error: unknown) => /does not trust|does not hold/.test(String(error)),
    );
  });
  await (await as(next)).status();
});

test('a connection ends when the certificate that opened it does', async (t) => {
  const plane = await startTlsPlane(t);
  const short = { from: Date.now() - 1000, to: Date.now() + 20_000 };
  const brief = connectEdge(
    t,
    plane.edgePort,
    'london',
    {},
    await materialOf(client(URIS.london), { validity: short }),
  );
  const lasting = connectEdge(t, plane.edgePort, 'tokyo', {}, await materialOf(client('meridian://edge/tokyo')));
  await brief.take('healthView');
  await lasting.take('healthView');
  plane.clock.advance(10_000);
  assert.equal((await (await plane.as('reader')).status()).edges.filter(({ connected }) => connected).length, 2);
  plane.clock.advance(10_000);
  plane.clock.advance(10_000);
  await brief.ended;
  const reader = await plane.as('reader');
  await until('the control plane to know', async () => {
    const { edges } = await reader.status();
    return edges.map(({ name, connected }) => `${name} ${connected}`).join() === 'london false,tokyo true';
  });
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

test('without certificates nobody is asked who they are, which the audit log says', async (t) => {
  const plane = await startPlane(t);
  await plane.admin.applied(configuration('london'));
  const { records } = await plane.admin.audit();
  assert.deepEqual([records[0]?.actor, records[0]?.proof, records[0]?.role], ['', 'nobody asked', Role.ADMINISTER]);
});
