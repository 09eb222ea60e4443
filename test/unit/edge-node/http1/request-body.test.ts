// Bodies of requests on a connection: handed on at the handler's pace, thrown away when nobody wants them, refused when they
// make no sense; and what a client that waits for 100 (Continue) is told.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClientPort, RequestBody } from '../../../../edge-node/ports.ts';
import { converse, echo, Harness, ok, okText, settled } from './harness.ts';

const GET = 'GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';
const NEXT = okText('/next', 'connection: close\r\n');
const post = (body: string, fields = '', length = body.length) =>
  `POST / HTTP/1.1\r\nHost: a\r\n${fields}Content-Length: ${length}\r\n\r\n${body}`;
const chunked = (body: string, fields = '') =>
  `POST / HTTP/1.1\r\nHost: a\r\n${fields}Transfer-Encoding: chunked\r\n\r\n${body}`;

/** Answers requests with a body with "LENGTH:BODY", others with their target. */
const collect = (client: ClientPort): void => {
  const { body } = client;
  if (body === undefined) echo(client);
  else void read(body).then((text) => ok(client, `${body.length}:${text}`));
};

async function read(body: RequestBody): Promise<string> {
  let text = '';
  for await (const chunk of body.chunks()) text += Buffer.from(chunk).toString('latin1');
  return text;
}

test('a body by length and one in chunks reach the handler, and the next request is behind them', async () => {
  assert.equal(await converse(post('hello') + GET, collect), okText('5:hello') + NEXT);
  const chunks = '3\r\nhel\r\n2\r\nlo\r\n0\r\nX-Trailer: 1\r\n\r\n';
  assert.equal(await converse(chunked(chunks) + GET, collect), okText('undefined:hello') + NEXT);
  assert.equal(await converse(chunked('0\r\n\r\n') + GET, collect), okText('undefined:') + NEXT);
});

test('a request with Content-Length: 0 has no body', async () => {
  assert.equal(await converse(post('') + GET, collect), okText('/') + NEXT);
});

test('a handler that reads slowly slows the client down', async () => {
  let body: AsyncIterator<Uint8Array> | undefined;
  const harness = new Harness((client) => {
    body = client.body?.chunks()[Symbol.asyncIterator]();
  });
  const part = 'x'.repeat(64 * 1024);
  harness.send(post(part, '', 64 * part.length));
  for (let i = 1; i < 64; i += 1) harness.send(part);
  await settled();
  let received = (await body?.next())?.value?.length ?? 0;
  await settled();
  assert.ok(received > 0);
  assert.ok(harness.client.writableLength > 40 * part.length, `${harness.client.writableLength} are left to send`);
  for (;;) {
    const piece = await body?.next();
    if (piece?.done !== false) break;
    received += piece.value.length;
  }
  assert.equal(received, 64 * part.length);
});

test('a body that the handler does not read is not taken before the answer, then thrown away', async () => {
  const clients: ClientPort[] = [];
  const harness = new Harness((client) => clients.push(client)).listen();
  harness.send(post('x'.repeat(60_000)) + GET);
  await settled();
  assert.equal(clients.length, 1);
  const first = clients[0];
  if (first) ok(first, 'unread');
  await settled();
  assert.equal(clients.length, 2);
  assert.equal(clients[1]?.request.target, '/next');
  assert.equal(harness.received, okText('unread'));
});

test('a body that is too long to throw away ends the connection after the answer', async () => {
  const unread = (client: ClientPort) => ok(client, 'unread');
  const answer = okText('unread', 'connection: close\r\n');
  assert.equal(await converse(post('x'.repeat(70_000)) + GET, unread, { lingerBytes: 1e6 }), answer);
  // How long one in chunks will be is not known.
  assert.equal(await converse(chunked('1\r\nx\r\n') + GET, unread), answer);
  assert.equal(await converse(chunked('0\r\n\r\n') + GET, unread), answer);
});

test('an answer that comes before the end of a body that was being read ends the connection', async () => {
  const harness = new Harness((client) => void stop(client)).listen();
  harness.send(post('x'.repeat(10), '', 20));
  await settled();
  assert.equal(harness.received, okText('enough', 'connection: close\r\n'));
  assert.ok(harness.client.readableEnded);
});

async function stop(client: ClientPort): Promise<void> {
  for await (const _ of client.body?.chunks() ?? []) break;
  ok(client, 'enough');
}

test('100 (Continue) goes out when the handler begins to read, and not before', async () => {
  const clients: ClientPort[] = [];
  const harness = new Harness((client) => clients.push(client)).listen();
  harness.send(post('', 'Expect: 100-continue\r\n', 5));
  await settled();
  assert.equal(harness.received, '');
  const first = clients[0];
  if (first) collect(first);
  await settled();
  assert.equal(harness.received, 'HTTP/1.1 100 Continue\r\n\r\n');
  harness.send(`hello${GET}`);
  await settled();
  assert.equal(harness.received, `HTTP/1.1 100 Continue\r\n\r\n${okText('5:hello')}`);
});

test('100 (Continue) is left out when the body came without it', async () => {
  assert.equal(await converse(post('hello', 'Expect: 100-continue\r\n') + GET, collect), okText('5:hello') + NEXT);
});

test('an answer in place of 100 (Continue) ends the connection: nobody knows whether the body will come', async () => {
  const harness = new Harness((client) => ok(client, 'no')).listen();
  harness.send(post('', 'Expect: 100-continue\r\n', 5));
  await settled();
  assert.equal(harness.received, okText('no', 'connection: close\r\n'));
  assert.ok(harness.client.readableEnded);
});

test('a body that makes no sense is refused, its reader told, and nothing behind it read', async () => {
  const errors: string[] = [];
  let gone = 0;
  const reading = (client: ClientPort) => {
    client.onGone = () => {
      gone += 1;
    };
    if (client.body) read(client.body).catch((error: Error) => errors.push(error.message));
  };
  for (const body of [
    '5\r\nhello!\r\n',
    '5;a=b\r\nhello\r\n',
    '5\nhello\r\n',
    'x\r\n',
    '0\r\nContent-Length: 1\r\n\r\n',
  ]) {
    const harness = new Harness(reading).listen();
    harness.send(chunked(body) + GET);
    await settled();
    assert.match(harness.received, /^HTTP\/1\.1 400 Bad Request\r\n[\s\S]*connection: close\r\n/, JSON.stringify(body));
    assert.deepEqual(harness.refused, ['malformed-request']);
  }
  assert.equal(errors.length, 5);
  assert.equal(gone, 5);
});

test('a body that makes no sense behind an answer that was begun breaks the connection', async () => {
  const harness = new Harness((client) => {
    client.begin(200, [], undefined);
    if (client.body) read(client.body).catch(() => undefined);
  }).listen();
  harness.send(chunked('zz\r\n'));
  await settled();
  assert.ok(harness.server.destroyed);
});

test('a client that leaves in the middle of its body ends the exchange', async () => {
  const errors: string[] = [];
  let gone = 0;
  const harness = new Harness((client) => {
    client.onGone = () => {
      gone += 1;
    };
    if (client.body) read(client.body).catch((error: Error) => errors.push(error.message));
  });
  harness.client.end(post('hel', '', 5));
  await settled();
  assert.deepEqual(errors, ['the client went away']);
  assert.equal(gone, 1);
  assert.ok(harness.server.destroyed);
});

test('until its first piece was asked for, a body can be handed out again; after the exchange it is an error', async () => {
  const clients: ClientPort[] = [];
  const harness = new Harness((client) => clients.push(client)).listen();
  harness.send(post('hello', '', 10));
  await settled();
  const [client] = clients;
  assert.ok(client?.body);
  client.body.chunks();
  assert.equal(client.body.consumed, false);
  const body = client.body.chunks()[Symbol.asyncIterator]();
  assert.equal(Buffer.from((await body.next()).value ?? []).toString(), 'hello');
  assert.equal(client.body.consumed, true);
  const waiting = body.next();
  await assert.rejects(body.next(), /already/);
  ok(client, 'enough');
  await assert.rejects(waiting, /the exchange ended/);
  await assert.rejects(body.next(), /the exchange ended/);
});
