// The listener on real sockets: what memory cannot show. Resets, half-closed sides, TLS, a client that never reads, the end.
import assert from 'node:assert/strict';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { text } from 'node:stream/consumers';
import { after, test } from 'node:test';
import tls from 'node:tls';
import type { Listener } from '../../../../edge-node/io/http1/listener.ts';
import { listenHttp1 } from '../../../../edge-node/io/http1/listener.ts';
import { DEFAULT_HTTP1_LIMITS } from '../../../../edge-node/io/http1/shared.ts';
import type { ClientPort } from '../../../../edge-node/ports.ts';
import { systemClock } from '../../../../infra/runtime/clock.ts';
import { until } from '../../../support/until.ts';
import { CERTIFICATE, KEY } from './certificate.ts';

const HOST = '127.0.0.1';
const GET = (target: string) => `GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`;
const listeners: Listener[] = [];
const waiting: ClientPort[] = [];
let gone = 0;

/** "/stream" is begun and left to the test, "/wait" is left alone, a number of octets is sent for "/N", others are echoed. */
function handler(client: ClientPort): void {
  const { target } = client.request;
  client.onGone = () => {
    gone += 1;
  };
  if (target === '/wait' || target === '/stream') {
    waiting.push(client);
    if (target === '/stream') client.begin(200, [], undefined);
    return;
  }
  const body = /^\/\d+$/.test(target) ? Buffer.alloc(Number(target.slice(1)), 'x') : Buffer.from(target);
  client.answer(200, ['content-type', 'text/plain'], body, body.length);
}

async function start(options: { tls?: boolean; limits?: Partial<typeof DEFAULT_HTTP1_LIMITS> } = {}): Promise<number> {
  const address = { host: HOST, port: 0 };
  const events = { onExchange: handler, onRefused: () => undefined };
  const listener = await listenHttp1(address, events, systemClock, { ...DEFAULT_HTTP1_LIMITS, ...options.limits });
  listeners.push(listener);
  if (!options.tls) return listener.port;
  const secure = tls.createServer({ key: KEY, cert: CERTIFICATE, allowHalfOpen: true }, (socket) =>
    listener.serve(socket),
  );
  await new Promise<void>((resolve) => secure.listen(0, HOST, resolve));
  after(() => secure.close());
  return (secure.address() as net.AddressInfo).port;
}

after(async () => {
  for (const listener of listeners) await listener.stop(systemClock, 0);
});

test("Node's own client gets its answers over one connection", async () => {
  const port = await start();
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  for (const target of ['/a', '/1000000', '/b', '/70000']) {
    const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
      http.get({ host: HOST, port, path: target, agent }, resolve).on('error', reject);
    });
    const body = await text(response);
    assert.equal(body.length, /^\/\d/.test(target) ? Number(target.slice(1)) : target.length);
    assert.equal(response.statusCode, 200);
  }
  assert.equal(Object.values(agent.freeSockets).flat().length, 1);
  agent.destroy();
});

test('over TLS', async () => {
  const port = await start({ tls: true });
  for (const target of ['/a', '/1000000']) {
    const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
      https.get({ host: HOST, port, path: target, rejectUnauthorized: false }, resolve).on('error', reject);
    });
    assert.equal((await text(response)).length, target === '/a' ? 2 : 1_000_000);
  }
});

test('a client that closes its side gets all its answers', async () => {
  const port = await start();
  const socket = net.connect({ host: HOST, port, allowHalfOpen: true });
  socket.end(GET('/1') + GET('/300000') + GET('/2'));
  const received = await text(socket);
  assert.equal(received.split('HTTP/1.1 200 OK').length, 4);
  assert.ok(received.endsWith('\r\n\r\nxx'));
});

test('a reset in the middle of an answer is told to the handler, and nothing breaks', async () => {
  const port = await start();
  gone = 0;
  waiting.length = 0;
  const socket = net.connect({ host: HOST, port });
  socket.write(GET('/stream'));
  await until('the request', () => waiting.length === 1);
  socket.resetAndDestroy();
  await until('the handler to be told', () => gone === 1);
  const client = waiting[0];
  client?.write(Buffer.from('x'));
  client?.end();
  const again = net.connect({ host: HOST, port });
  again.end(GET('/still'));
  assert.ok((await text(again)).endsWith('/still'));
});

test('a client that never reads costs no more memory than the socket takes', async () => {
  const port = await start({ limits: { writeMs: 200 } });
  const socket = net.connect({ host: HOST, port });
  socket.on('error', () => undefined);
  let closed = false;
  socket.on('close', () => {
    closed = true;
  });
  gone = 0;
  waiting.length = 0;
  socket.write(GET('/stream'));
  await until('the request', () => waiting.length === 1);
  const client = waiting[0];
  assert.ok(client);
  const chunk = Buffer.alloc(256 * 1024);
  let written = 0;
  while (client.write(chunk)) {
    written += 1;
    assert.ok(written < 1_000, 'never told to wait');
    await new Promise((resolve) => setImmediate(resolve));
  }
  await until('the connection to be given up', () => gone === 1);
  socket.resume();
  await until('the end of the connection', () => closed);
});

test('the answer to a refused request arrives although the client sends on', async () => {
  const port = await start();
  const socket = net.connect({ host: HOST, port });
  socket.on('error', () => undefined);
  const received = text(socket);
  socket.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n');
  for (let i = 0; i < 5; i += 1) {
    socket.write(Buffer.alloc(1000));
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.match(await received, /^HTTP\/1\.1 400 Bad Request\r\n/);
});

test('connections above the limit are dropped', async () => {
  const port = await start({ limits: { connections: 1 } });
  const first = net.connect({ host: HOST, port });
  first.write(GET('/a'));
  await new Promise((resolve) => first.once('data', resolve));
  const second = net.connect({ host: HOST, port });
  second.on('error', () => undefined);
  await new Promise((resolve) => second.once('close', resolve));
  first.destroy();
});

test('stopping closes what is quiet, what is busy after its answer, and what is stuck at the end', async () => {
  const port = await start({ limits: { quietMs: 0 } });
  const listener = listeners.at(-1);
  assert.ok(listener);
  waiting.length = 0;
  const open = (target: string) => {
    const socket = net.connect({ host: HOST, port });
    socket.on('error', () => undefined);
    if (target !== '') socket.write(GET(target));
    return { socket, received: text(socket).catch(() => 'broken') };
  };
  const idle = open('');
  const busy = open('/wait');
  const stuck = open('/wait');
  await until('the requests', () => waiting.length === 2);
  const stopped = listener.stop(systemClock, 2_000);
  assert.equal(await idle.received, '');
  const answered = waiting.find(({ request }) => request.peer !== '');
  assert.ok(answered);
  const body = Buffer.from('late');
  answered.answer(200, [], body, body.length);
  const results = [await busy.received, await stuck.received];
  assert.equal(results.filter((result) => /connection: close\r\n\r\nlate$/.test(result)).length, 1);
  await stopped;
  await assert.rejects(
    new Promise((_, reject) => net.connect({ host: HOST, port }).on('error', reject)),
    /ECONNREFUSED/,
  );
});

test('an address in use is an error', async () => {
  const port = await start();
  const events = { onExchange: handler, onRefused: () => undefined };
  await assert.rejects(listenHttp1({ host: HOST, port }, events, systemClock), /the port is in use/);
});
