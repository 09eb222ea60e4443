// WebSocket through the edge, over real sockets: a tunnel comes with the origin's 101, carries whatever the two ends say to each
// other, and ends with them; nothing else makes one.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { field } from '../../../edge-node/decide/fields.ts';
import { startEdge } from '../../support/edge.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { rawOrigin } from '../../support/origin-calls.ts';
import { RawClient, type RawResponse, request } from '../../support/raw-client.ts';
import { until } from '../../support/until.ts';

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const UPGRADE = ['Connection: Upgrade', 'Upgrade: websocket', `Sec-WebSocket-Key: ${KEY}`, 'Sec-WebSocket-Version: 13'];
const ACCEPT = createHash('sha1').update(`${KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
const SWITCH = `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${ACCEPT}\r\nServer: secret\r\n\r\n`;
const REFUSAL = 'HTTP/1.1 403 Forbidden\r\nCache-Control: max-age=60\r\nContent-Length: 2\r\n\r\nno';

/** Heads of requests that arrived, by path. */
const heads = new Map<string, string>();
/** Connections that are tunnels, by path. */
const tunnels = new Map<string, Socket>();

const open = new Set<Socket>();
const origin = await rawOrigin(
  (socket, text) => {
    if (open.has(socket)) {
      socket.write(text, 'latin1');
      return;
    }
    const path = text.split(' ')[1] ?? '';
    heads.set(path, text);
    if (path.startsWith('/refuse')) socket.write(REFUSAL);
    else if (/\r\nupgrade: websocket\r\n/.test(text)) {
      open.add(socket);
      tunnels.set(path, socket);
      socket.write(path === '/greets' ? `${SWITCH}welcome` : SWITCH);
    } else socket.write('HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 5\r\n\r\nplain');
    socket.on('end', () => socket.end('bye'));
  },
  { halfOpen: true },
);
const edge = await startEdge({ london: origin.address });

async function connect(path: string, port = edge.port): Promise<{ client: RawClient; response: RawResponse }> {
  const client = await RawClient.connect(port);
  return { client, response: await client.ask(request('GET', path, ...UPGRADE)) };
}

function tunnelOf(path: string): Socket {
  return tunnels.get(path) ?? assert.fail(`no tunnel for ${path}`);
}

test('after the origin’s 101 both ends hear each other', async () => {
  const { client, response } = await connect('/echo');
  assert.equal(response.status, 101);
  assert.deepEqual(
    ['connection', 'upgrade', 'sec-websocket-accept', 'server'].map((name) => field(response.fields, name)),
    ['upgrade', 'websocket', ACCEPT, undefined],
  );
  for (const message of ['\x81\x05hello', '\x00\xff'.repeat(1_000)]) {
    const before = client.unread.length;
    client.send(message);
    await until('the echo', () => client.unread.length === before + message.length);
    assert.ok(client.unread.endsWith(message));
  }
  const head = heads.get('/echo') ?? '';
  assert.match(head, /\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n$/);
  assert.match(head, new RegExp(`\\r\\nsec-websocket-key: ${KEY}\\r\\n`));
  client.socket.resetAndDestroy();
  await until('the origin’s side to be closed', () => tunnelOf('/echo').destroyed);
  assert.deepEqual([edge.ends.at(-1), edge.cache.stats().objects], ['client-gone', 0]);
});

test('what the origin says in one breath with its 101 is not lost', async () => {
  const { client } = await connect('/greets');
  await until('the greeting', () => client.unread === 'welcome');
  client.destroy();
});

test('what a client sends before the 101 waits for it', async () => {
  const client = await RawClient.connect(edge.port);
  client.send(`${request('GET', '/eager', ...UPGRADE)}GET /smuggled HTTP/1.1\r\n`);
  assert.equal((await client.response()).status, 101);
  await until('the echo', () => client.unread === 'GET /smuggled HTTP/1.1\r\n');
  assert.ok(heads.get('/eager')?.endsWith('\r\n\r\n'));
  client.destroy();
});

test('when the client has said all, the origin may still answer', async () => {
  const { client } = await connect('/half');
  client.socket.end('last words');
  await client.closed('last wordsbye');
  assert.equal(edge.ends.at(-1), 'complete');
});

test('when the origin ends it, the client gets all and is closed', async () => {
  const { client } = await connect('/ended');
  tunnelOf('/ended').end('farewell');
  await client.closed('farewell');
  assert.equal(edge.ends.at(-1), 'complete');
});

test('an origin that resets it breaks the client off', async () => {
  const { client } = await connect('/reset');
  tunnelOf('/reset').resetAndDestroy();
  await client.closed();
  assert.equal(edge.ends.at(-1), 'origin-failed');
});

test('a client that does not read holds the origin back, and gets every byte when it does', async () => {
  const { client } = await connect('/flood');
  client.socket.pause();
  const tunnel = tunnelOf('/flood');
  const total = 32 * 1024 * 1024;
  const piece = Buffer.alloc(64 * 1024, 'x');
  let sent = 0;
  const more = (): void => {
    while (sent < total) {
      sent += piece.length;
      if (!tunnel.write(piece)) {
        tunnel.once('drain', more);
        return;
      }
    }
  };
  more();
  for (let last = -1; last !== sent; ) {
    last = sent;
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.ok(sent < total, 'the origin could send everything to a client that reads nothing');
  let received = 0;
  client.socket.removeAllListeners('data');
  client.socket.on('data', (chunk: Buffer) => {
    received += chunk.length;
  });
  client.socket.resume();
  await until('all of it', () => received === total);
  client.destroy();
});

test('a refusal is an answer like others, is not stored, and the connection serves the next request', async () => {
  for (let i = 0; i < 2; i += 1) {
    const { client, response } = await connect('/refuse');
    assert.deepEqual([response.status, response.body], [403, 'no']);
    assert.match(field(response.fields, 'cache-status') ?? '', /fwd=bypass; fwd-status=403; detail=upgrade/);
    assert.equal((await client.ask(request('GET', '/after'))).status, 200);
    client.destroy();
  }
  assert.ok(heads.has('/refuse'));
});

test('what is stored does not answer a request for a tunnel', async () => {
  const plain = await RawClient.connect(edge.port);
  await plain.ask(request('GET', '/stored'));
  assert.match(field((await plain.ask(request('GET', '/stored'))).fields, 'cache-status') ?? '', /hit/);
  plain.destroy();
  const { client, response } = await connect('/stored');
  assert.equal(response.status, 101);
  client.destroy();
});

test('no other request makes a tunnel, nor tells the origin of one', async () => {
  const requests = {
    '/h2c': request('GET', '/h2c', 'Connection: Upgrade', 'Upgrade: h2c'),
    '/both': request('GET', '/both', 'Connection: Upgrade', 'Upgrade: websocket, h2c'),
    '/twice': request('GET', '/twice', 'Connection: Upgrade', 'Upgrade: websocket', 'Upgrade: h2c'),
    '/unnamed': request('GET', '/unnamed', 'Upgrade: websocket'),
    '/post': `${request('POST', '/post', ...UPGRADE, 'Content-Length: 5')}hello`,
    '/body': `${request('GET', '/body', ...UPGRADE, 'Content-Length: 5')}hello`,
    '/old': `GET /old HTTP/1.0\r\nHost: demo.example\r\n${UPGRADE.join('\r\n')}\r\n\r\n`,
  };
  for (const [path, text] of Object.entries(requests)) {
    const client = await RawClient.connect(edge.port);
    const { status } = await client.ask(text);
    client.destroy();
    assert.equal(status, 200, path);
    assert.doesNotMatch(heads.get(path) ?? assert.fail(path), /\r\nupgrade:/i, path);
  }
});

test('a stop ends tunnels: the origin is told that no more comes, and has its last word', async () => {
  const stopped = await startEdge({ london: origin.address });
  const { client } = await connect('/stopped', stopped.port);
  const stop = stopped.listener.stop(new FakeClock(), 1);
  await client.closed('bye');
  client.destroy();
  await stop;
  assert.deepEqual(stopped.ends, ['complete']);
});
