// Origins that break off, lie or dawdle, through the whole edge: a client never takes a part for the whole, a connection that was
// lost while it stood idle costs no request that may be repeated, and nobody who is slow makes the edge hold a body.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import http from 'node:http';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { field } from '../../../edge-node/decide/fields.ts';
import { startEdge } from '../../support/edge.ts';
import { rawOrigin } from '../../support/origin-calls.ts';
import { RawClient, request } from '../../support/raw-client.ts';
import { until } from '../../support/until.ts';

type Answer = (socket: Socket, path: string) => void;

const answers = new Map<string, Answer>();
const origin = await rawOrigin((socket, text) => {
  const path = text.split(' ')[1] ?? '';
  answers.get(path.split('?')[0] ?? '')?.(socket, path);
});
const edge = await startEdge({ london: origin.address });

/** What a client gets of an origin that does `answer`, and how the exchange ended. */
async function outcome(path: string, answer: Answer, ...lines: string[]) {
  answers.set(path, answer);
  const client = await RawClient.connect(edge.port);
  current = client;
  const before = edge.ends.length;
  client.send(request('GET', path, ...lines));
  await until('the end of the exchange', () => edge.ends.length > before);
  return { client, end: edge.ends.at(-1) };
}

/** The client that asks at present. */
let current: RawClient | undefined;

const HEAD = 'HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n';

test('an answer that breaks off breaks off the client’s, and is not stored, however it was framed', async () => {
  const parts: [string, Answer][] = [
    ['length', (socket) => socket.end(`${HEAD}Content-Length: 10\r\n\r\nhello`)],
    ['chunks', (socket) => socket.end(`${HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`)],
    ['a chunk', (socket) => socket.end(`${HEAD}Transfer-Encoding: chunked\r\n\r\na\r\nhello`)],
    ['trailers', (socket) => socket.end(`${HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-T: 1\r\n`)],
    [
      'reset',
      (socket) => {
        socket.write(`${HEAD}\r\nhello`);
        void until('the head at the client', () => current?.unread.includes('hello') === true).then(() =>
          socket.resetAndDestroy(),
        );
      },
    ],
  ];
  for (const [name, answer] of parts) {
    const { client, end } = await outcome(`/cut/${name.replace(' ', '-')}`, answer);
    await until('the connection to be closed', () => client.isClosed);
    assert.equal(end, 'origin-failed', name);
    assert.doesNotMatch(client.unread, /\r\n0\r\n\r\n$/, name);
    client.destroy();
  }
  assert.equal(edge.cache.stats().objects, 0);
});

test('an answer without framing is whole when the origin closes, and goes on in chunks', async () => {
  const { client, end } = await outcome('/close', (socket) => socket.end('HTTP/1.1 200 OK\r\n\r\nhello'));
  const response = await client.response();
  assert.deepEqual([end, response.body, field(response.fields, 'transfer-encoding')], ['complete', 'hello', 'chunked']);
  client.destroy();
});

test('what could be read in two ways is answered with 502, and says nothing of the origin', async () => {
  const heads = {
    '/both': 'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n',
    '/lengths': 'Content-Length: 5\r\nContent-Length: 5\r\n',
    '/coding': 'Transfer-Encoding: gzip, chunked\r\n',
    '/folded': 'X: a\r\n b\r\nContent-Length: 5\r\n',
  };
  for (const [path, fields] of Object.entries(heads)) {
    const { client } = await outcome(path, (socket) => socket.write(`HTTP/1.1 200 OK\r\n${fields}\r\nhello`));
    const { status, body } = await client.response();
    assert.deepEqual([status, JSON.parse(body).code], [502, 'origin-malformed'], path);
    assert.doesNotMatch(body, /127\.0\.0\.1|london/);
    client.destroy();
  }
});

test('octets behind an answer are not the answer to the next request', async () => {
  const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n';
  const { client } = await outcome('/split', (socket) => socket.write(`${ok}mine${ok}evil`));
  assert.equal((await client.response()).body, 'mine');
  answers.set('/next', (socket) => socket.write(`${ok}next`));
  for (let i = 0; i < 3; i += 1) assert.equal((await client.ask(request('GET', '/next'))).body, 'next');
  client.destroy();
});

test('a connection that the origin closed just then costs no request that may be repeated', async () => {
  const client = await RawClient.connect(edge.port);
  let asked = 0;
  answers.set('/stale', (socket) => {
    asked += 1;
    // Each connection answers once, and ends without a word when it is asked again.
    if (seen.has(socket)) socket.destroy();
    else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    seen.add(socket);
  });
  const seen = new Set<Socket>();
  for (let i = 0; i < 5; i += 1) assert.equal((await client.ask(request('GET', '/stale'))).status, 200);
  assert.ok(asked >= 8, 'the origin was asked again');
  // What may not be repeated fails: the origin may have done it.
  const statuses: number[] = [];
  for (let i = 0; i < 2; i += 1) {
    const { status } = await client.ask(request('POST', '/stale', 'Content-Length: 0'));
    statuses.push(status);
  }
  assert.ok(statuses.includes(502), statuses.join());
  client.destroy();
});

test('trailers reach the client that takes them, but none that it would act on as a field', async () => {
  const body = '5\r\nhello\r\n0\r\nX-Checksum: abc\r\nSet-Cookie: a=b\r\nETag: "v1"\r\nCache-Control: public\r\n\r\n';
  const answer: Answer = (socket) => socket.write(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${body}`);
  const taken = await outcome('/trailers', answer, 'TE: trailers', 'Connection: TE');
  await until('the end', () => taken.client.unread.endsWith('\r\n\r\n'));
  assert.match(taken.client.unread, /\r\n5\r\nhello\r\n0\r\nx-checksum: abc\r\netag: "v1"\r\n\r\n$/);
  assert.match(origin.text, /GET \/trailers HTTP\/1\.1\r\n(?:[^\r]+\r\n)*te: trailers\r\nconnection: te\r\n/);
  const plain = await outcome('/trailers', answer);
  assert.equal((await plain.client.response()).body, 'hello');
  assert.equal((await plain.client.ask(request('GET', '/trailers'))).body, 'hello');
  for (const { client } of [taken, plain]) client.destroy();
});

test('long bodies reach many clients whole, at whatever pace each reads', async () => {
  const piece = Buffer.alloc(1_000_000);
  for (let i = 0; i < piece.length; i += 1) piece[i] = (i * 31 + (i >> 8) * 17) & 0xff;
  const count = 6;
  const expected = createHash('sha256');
  for (let i = 0; i < count; i += 1) expected.update(piece);
  const digest = expected.digest('hex');
  answers.set('/long', (socket, path) => {
    const chunked = path.endsWith('chunked');
    socket.write(
      chunked
        ? 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'
        : `HTTP/1.1 200 OK\r\nContent-Length: ${piece.length * count}\r\n\r\n`,
    );
    for (let i = 0; i < count; i += 1) {
      // Chunks of a size that reads do not fall together with.
      for (let at = 0; chunked && at < piece.length; at += 7_777) {
        const part = piece.subarray(at, at + 7_777);
        socket.write(`${part.length.toString(16)}\r\n`);
        socket.write(part);
        socket.write('\r\n');
      }
      if (!chunked) socket.write(piece);
    }
    if (chunked) socket.write('0\r\n\r\n');
  });
  const read = async (pace: number, kind: string): Promise<void> => {
    const response = await new Promise<http.IncomingMessage>((resolve) => {
      const where = { port: edge.port, host: '127.0.0.1', path: `/long?${kind}` };
      http.get({ ...where, headers: { host: 'demo.example' } }, resolve);
    });
    const hash = createHash('sha256');
    let reads = 0;
    for await (const chunk of response) {
      hash.update(chunk as Buffer);
      reads += 1;
      for (let i = 0; pace > 0 && reads % pace === 0 && i < 30; i += 1) await setImmediate();
    }
    assert.deepEqual([response.statusCode, response.complete], [200, true]);
    assert.equal(hash.digest('hex'), digest, `${pace} ${kind}`);
  };
  await Promise.all([0, 1, 7].flatMap((pace) => [read(pace, 'length'), read(pace, 'chunked')]));
});

test('many clients that stop reading cost little memory, and others are served meanwhile', async () => {
  const total = 64 * 1024 * 1024;
  const piece = Buffer.alloc(256 * 1024, 'x');
  answers.set('/endless', (socket) => {
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${total}\r\n\r\n`);
    let left = total;
    const more = (): void => {
      while (left > 0) {
        left -= piece.length;
        if (!socket.write(piece)) {
          socket.once('drain', more);
          return;
        }
      }
    };
    more();
  });
  const before = process.memoryUsage();
  const clients = await Promise.all(Array.from({ length: 40 }, () => RawClient.connect(edge.port)));
  for (const client of clients) {
    client.socket.pause();
    client.send(request('GET', '/endless'));
  }
  answers.set('/quick', (socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'));
  const other = await RawClient.connect(edge.port);
  for (let i = 0; i < 200; i += 1) assert.equal((await other.ask(request('GET', '/quick'))).body, 'ok');
  const { arrayBuffers } = process.memoryUsage();
  // Each has what one read and one slice hold: the large buffers are few, and the rest is bounded by the read.
  const held = (arrayBuffers - before.arrayBuffers) / clients.length;
  assert.ok(held < 1024 * 1024, `${held} bytes for each client`);
  for (const client of [...clients, other]) client.destroy();
});
