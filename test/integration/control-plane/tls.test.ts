// Who is let in over TLS, as what, and what those hear who are not.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import net from 'node:net';
import { test } from 'node:test';
import { connect } from 'node:tls';
import { status } from '@grpc/grpc-js';
import { createAuthority, type Issued } from '../../../cli/certs/authority.ts';
import { peerServer } from '../../../control-plane/io/tls-server.ts';
import { silentLog } from '../../../infra/runtime/log.ts';
import { type TlsMaterial, TlsSource } from '../../../infra/runtime/tls-files.ts';
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
import { connectEdge } from '../../support/edge-client.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { Admin, configuration, startPlane } from '../../support/plane.ts';
import { tempFolder } from '../../support/temp.ts';
import { type Logged, startTlsPlane, URIS } from '../../support/tls-plane.ts';
import { until } from '../../support/until.ts';

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

test('a peer that says nothing in the handshake is cut off', async (t) => {
  const clock = new FakeClock(Date.now());
  const source = await TlsSource.open(await filesIn(tempFolder(t), server()), clock, silentLog);
  const tls = { source, clientCertificate: 'optional', log: silentLog, handshakeMs: 50 } as const;
  const peers = peerServer(tls, clock, () => assert.fail('it has said nothing'));
  await new Promise<void>((resolve) => peers.server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    peers.stop();
    source.stop();
    peers.server.close();
  });
  const silent = net.connect((peers.server.address() as net.AddressInfo).port, '127.0.0.1');
  t.after(() => silent.destroy());
  let closed = false;
  silent.resume().on('close', () => {
    closed = true;
  });
  await until('it to be cut off', () => closed, 10_000);
  await until('its place to be free', () => peers.sockets.size === 0);
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
  const reader = await plane.as('reader');
  await until('the control plane to know', async () => {
    const { edges } = await reader.status();
    return edges.map(({ name, connected }) => `${name} ${connected}`).join() === 'london false,tokyo true';
  });
});
