// Handshakes: which certificate, which protocol, what is refused, and how a listener stops.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import net from 'node:net';
import { test } from 'node:test';
import tls from 'node:tls';
import { openCertificates, readCertificates } from '../../../edge-node/io/certificates.ts';
import { listenTls } from '../../../edge-node/io/tls-listener.ts';
import { systemClock } from '../../../infra/runtime/clock.ts';
import { startEdge, startOrigin } from '../../support/edge.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { answerOf, CERTIFICATES, connectTls, Http2User, startTlsEdge, type TlsEdge } from '../../support/tls-edge.ts';
import { until } from '../../support/until.ts';

/** Answers that wait under /wait. */
const waiting: http.ServerResponse[] = [];

const origin = await startOrigin((req, res) => {
  if (req.url?.startsWith('/wait')) waiting.push(res);
  else res.setHeader('cache-control', 'max-age=60').end(`${req.headers['x-forwarded-proto']}`);
});
const origins = { london: origin.address };
const edge = await startTlsEdge(origins);

/** GET over HTTP/1.1 on a connection of its own. */
function ask(port: number, path = '/', options: https.RequestOptions = {}): Promise<http.IncomingMessage> {
  return new Promise((resolve, reject) => {
    const connection = { host: '127.0.0.1', port, servername: 'demo.example', rejectUnauthorized: false, agent: false };
    const headers = { host: 'demo.example' };
    https.get({ ...connection, path, headers, ...options }, (res) => resolve(res.resume())).on('error', reject);
  });
}

/** The new refusals of `on` while `act` runs; waits for the first. */
async function refusals(on: TlsEdge, act: () => Promise<unknown>): Promise<string[]> {
  const before = on.refused.length;
  await act();
  await until('a refusal', () => on.refused.length > before);
  return on.refused.slice(before);
}

test('a client gets the protocol that it offers: h2 rather than http/1.1, and http/1.1 when it says nothing', async () => {
  const offers: [string[] | undefined, string | false][] = [
    [['h2'], 'h2'],
    [['http/1.1', 'h2'], 'h2'],
    [['http/1.1'], 'http/1.1'],
    [undefined, false],
  ];
  for (const [offered, chosen] of offers) {
    const socket = await connectTls(edge.port, offered && { ALPNProtocols: offered });
    assert.equal(socket.alpnProtocol, chosen, String(offered));
    socket.destroy();
  }
  assert.equal((await ask(edge.port)).statusCode, 200);
  assert.equal((await new Http2User(edge.port).ask('/')).status, 200);
});

test('a client that offers other protocols alone gets no connection', async () => {
  const failed = () => assert.rejects(connectTls(edge.port, { ALPNProtocols: ['spdy/3'] }), /no application protocol/);
  assert.match(String(await refusals(edge, failed)), /^tls-handshake: /);
});

test('a client gets the certificate of the name that it asks for, and the first when it asks for none', async () => {
  const names = { 'demo.example': 'demo', 'DEMO.example': 'demo', 'a.wild.example': 'other', '': 'demo' };
  for (const [servername, subject] of Object.entries(names)) {
    const socket = await connectTls(edge.port, { servername });
    assert.match(String(socket.getPeerCertificate().subject.CN), new RegExp(`^${subject}`), servername);
    socket.destroy();
  }
});

test('a name that no certificate covers gets no connection', async () => {
  const failed = () => assert.rejects(connectTls(edge.port, { servername: 'unknown.example' }));
  assert.deepEqual(await refusals(edge, failed), ['unknown-server-name: unknown.example']);
});

test('a host other than the one that the connection is for is misdirected, in either protocol', async () => {
  const other = { ':authority': 'other.example' };
  assert.equal((await ask(edge.port, '/', { headers: { host: 'other.example' } })).statusCode, 421);
  const user = new Http2User(edge.port);
  const { status, body } = await user.ask('/', other);
  assert.deepEqual([status, JSON.parse(body).code], [421, 'misdirected']);
  // The connection goes on.
  assert.equal((await user.ask('/')).status, 200);
  // Without a name any host may be asked for that has a site.
  assert.equal((await ask(edge.port, '/', { servername: '' })).statusCode, 200);
  assert.equal(JSON.parse((await new Http2User(edge.port, '').ask('/', other)).body).code, 'unknown-host');
});

test('an origin hears that the client used https, and what is stored for http is not served for https', async () => {
  assert.equal((await new Http2User(edge.port).ask('/proto')).body, 'https');
  const { port } = edge.listener;
  const plain = await new Promise<http.IncomingMessage>((resolve) => {
    http.get({ host: '127.0.0.1', port, path: '/proto', headers: { host: 'demo.example' } }, resolve);
  });
  assert.equal(String(await plain.toArray()), 'http');
});

test('TLS before 1.2, and suites without forward secrecy, get no connection', async () => {
  const cases: tls.ConnectionOptions[] = [
    { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' },
    { maxVersion: 'TLSv1.2', ciphers: 'AES128-GCM-SHA256' },
    { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA' },
  ];
  for (const options of cases) {
    const failed = () => assert.rejects(connectTls(edge.port, options));
    assert.match(String(await refusals(edge, failed)), /^tls-handshake: /, String(options.ciphers));
  }
  const socket = await connectTls(edge.port, { maxVersion: 'TLSv1.2' });
  assert.equal(socket.getProtocol(), 'TLSv1.2');
  socket.destroy();
});

test('a client that does not speak TLS, or stops in its handshake, is cut off', async () => {
  const strict = await startTlsEdge(origins, { limits: { handshakeMs: 100 } });
  for (const [bytes, reason] of [
    ['GET / HTTP/1.1\r\n\r\n', /http request/],
    ['\x16\x03\x01', /timeout/i],
    ['', /timeout/i],
  ] as const) {
    const socket = net.connect(strict.port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(bytes);
    const refused = await refusals(strict, () => until('the end', () => socket.destroyed || socket.readableEnded));
    assert.match(String(refused), reason);
    socket.destroy();
  }
});

test('a client that leaves in its handshake is not counted', async () => {
  const before = edge.refused.length;
  const socket = net.connect(edge.port, '127.0.0.1');
  await until('the connection', () => !socket.connecting);
  socket.resetAndDestroy();
  assert.equal((await ask(edge.port)).statusCode, 200);
  assert.equal(edge.refused.length, before);
});

test('connections above the limit are dropped', async () => {
  const small = await startTlsEdge(origins, { limits: { connections: 2 } });
  const sockets = [await connectTls(small.port), await connectTls(small.port)];
  const refused = await refusals(small, () => assert.rejects(connectTls(small.port)));
  assert.deepEqual(refused, ['too-many-connections: more than 2 connections']);
  for (const socket of sockets) socket.destroy();
});

/** What a later handshake can resume. In TLS 1.3 it comes after the handshake. */
async function sessionOf(port: number, options: tls.ConnectionOptions): Promise<Buffer> {
  const socket = await connectTls(port, options);
  let session = socket.getProtocol() === 'TLSv1.2' ? socket.getSession() : undefined;
  socket.on('session', (later) => {
    session = later;
  });
  socket.resume();
  await until('a session', () => session !== undefined);
  socket.destroy();
  return session ?? assert.fail();
}

/** A handshake on `port` with the session of one on `from`: whether it was resumed. */
async function resumed(from: number, port: number, options: tls.ConnectionOptions): Promise<boolean> {
  const socket = await connectTls(port, { ...options, session: await sessionOf(from, options) });
  const reused = socket.isSessionReused();
  socket.destroy();
  return reused;
}

test('a session is resumed by every listener that has the same ticket keys', async () => {
  const ticketKeys = randomBytes(48);
  const one = await startTlsEdge(origins, { ticketKeys });
  const two = await startTlsEdge(origins, { ticketKeys });
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    for (const servername of ['demo.example', 'other.example']) {
      assert.equal(await resumed(one.port, two.port, { maxVersion, servername }), true, maxVersion);
      assert.equal(await resumed(one.port, edge.port, { maxVersion, servername }), false, maxVersion);
    }
  }
});

test('a resumed session is for the name of this handshake, not of the first', async () => {
  const session = await sessionOf(edge.port, { servername: 'other.example' });
  const asked = (host: string) => ask(edge.port, '/', { session, headers: { host } } as https.RequestOptions);
  assert.equal((await asked('demo.example')).statusCode, 200);
  assert.equal((await asked('other.example')).statusCode, 421);
});

test('a stop lets answers in flight complete, tells HTTP/2 clients to go away, and closes idle connections', async () => {
  const stopping = await startTlsEdge(origins);
  const [busy, idle] = [new Http2User(stopping.port), new Http2User(stopping.port)];
  await idle.ask('/');
  const before = waiting.length;
  const answers = [busy.ask('/wait/2'), ask(stopping.port, '/wait/1')] as const;
  await until('both requests', () => waiting.length === before + 2);
  const stopped = Promise.all([stopping.tls.stop(60_000), stopping.listener.stop(systemClock, 60_000)]);
  await until('GOAWAY', () => busy.goaways.length > 0 && idle.session.closed);
  await assert.rejects(connectTls(stopping.port));
  for (const res of waiting.splice(before)) res.end('late');
  assert.deepEqual([(await answers[0]).body, (await answers[1]).statusCode], ['late', 200]);
  await stopped;
  // One that leaves room for requests on their way, and one that names the last, if the client is still there.
  for (const { goaways } of [busy, idle])
    assert.ok([1, 2].includes(goaways.length) && goaways.every((code) => code === 0));
});

test('connections that HTTP/1.1 took over are looked after until the last is closed', async () => {
  const stopping = await startTlsEdge(origins, { http1Limits: { quietMs: 100 } });
  const kept = await connectTls(stopping.port, { ALPNProtocols: ['http/1.1'] });
  kept.write('GET / HTTP/1.1\r\nHost: demo.example\r\n\r\n');
  await new Promise((resolve) => kept.once('data', resolve));
  kept.resume();
  const [clock, ended] = [new FakeClock(), stopping.tls.stop(60_000)];
  // The time of its grace stands still: it must not need it.
  await stopping.listener.stop(clock, 1, ended);
  assert.equal(clock.pending, 0);
  await until('the end', () => kept.closed);
});

/** Whether nobody accepts there. */
function isRefused(port: number): Promise<boolean> {
  return connectTls(port).then(
    (socket) => {
      socket.destroy();
      return false;
    },
    () => true,
  );
}

test('a handshake that is under way at a stop has a second; one that ends in it is served, and told to go away', async () => {
  const clock = new FakeClock();
  const stopping = await startTlsEdge(origins, { clock });
  const vanished = net.connect(stopping.port, '127.0.0.1');
  const late = net.connect(stopping.port, '127.0.0.1');
  for (const socket of [vanished, late]) {
    socket.on('error', () => undefined);
    await until('the connection', () => !socket.connecting);
  }
  const stopped = stopping.tls.stop(60_000);
  await until('an end of accepting', () => isRefused(stopping.port));
  const socket = tls.connect({
    socket: late,
    servername: 'demo.example',
    rejectUnauthorized: false,
    ALPNProtocols: ['h2'],
  });
  const user = http2.connect('https://demo.example', { createConnection: () => socket });
  let goaways = 0;
  user.on('goaway', () => {
    goaways += 1;
  });
  const stream = user.request({ ':path': '/', ':authority': 'demo.example' });
  assert.equal((await answerOf(stream)).status, 200);
  await until('GOAWAY', () => goaways > 0);
  clock.advance(999);
  assert.equal(vanished.destroyed || vanished.readableEnded, false);
  clock.advance(1);
  await until('the end', () => vanished.destroyed || vanished.readableEnded);
  user.destroy();
  late.destroy();
  await stopped;
  assert.equal(clock.pending, 0);
});

test('what has not ended when the grace has passed is broken off', async () => {
  const clock = new FakeClock();
  const stopping = await startTlsEdge(origins, { clock });
  const user = new Http2User(stopping.port);
  const before = waiting.length;
  const answer = assert.rejects(user.ask('/wait/3'));
  await until('the request', () => waiting.length === before + 1);
  const handshaking = net.connect(stopping.port, '127.0.0.1');
  handshaking.on('error', () => undefined);
  await until('a connection without a handshake', () => !handshaking.connecting);
  const stopped = stopping.tls.stop(5_000);
  await until('GOAWAY', () => user.goaways.length > 0);
  clock.advance(5_000);
  await stopped;
  await answer;
  await until('the end', () => handshaking.destroyed || handshaking.readableEnded);
  assert.equal(clock.pending, 0);
});

test('a port that is in use is said', async () => {
  const certificates = openCertificates(await readCertificates(CERTIFICATES, 0));
  const { events, port } = await startEdge(origins);
  await assert.rejects(
    listenTls({
      address: { host: '127.0.0.1', port },
      certificates,
      events,
      onHttp1: () => undefined,
      clock: systemClock,
    }),
    /cannot listen on 127\.0\.0\.1:\d+: the port is in use; stop what uses it or choose another/,
  );
});
