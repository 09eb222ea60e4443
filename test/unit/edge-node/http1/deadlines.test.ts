import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClientPort } from '../../../../edge-node/ports.ts';
import { echo, Harness, ok, okText, settled } from './harness.ts';

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const LIMITS = {
  idleMs: 5_000,
  headMs: 3_000,
  bodyMs: 4_000,
  bodyBytesPerSecond: 100,
  writeMs: 6_000,
  lingerMs: 2_000,
};

test('an idle connection is closed without a word', async () => {
  const harness = new Harness(echo, LIMITS).listen();
  harness.clock.advance(4_900);
  harness.send(GET);
  await settled();
  harness.clock.advance(4_500);
  await settled();
  assert.ok(!harness.client.readableEnded);
  harness.clock.advance(1_000);
  await settled();
  assert.ok(harness.client.readableEnded);
  assert.equal(harness.received, okText('/'));
  assert.deepEqual(harness.refused, []);
});

test('a head that comes octet by octet has to be complete in time', async () => {
  const harness = new Harness(echo, LIMITS).listen();
  for (const octet of GET.slice(0, 8)) {
    harness.send(octet);
    await settled();
    harness.clock.advance(500);
  }
  await settled();
  assert.match(harness.received, /^HTTP\/1\.1 408 Request Timeout\r\n[\s\S]*connection: close\r\n/);
  assert.deepEqual(harness.refused, ['request-timeout']);
  assert.ok(harness.client.readableEnded);
});

test('the time of a head begins with its first octet, not with the connection', async () => {
  const harness = new Harness(echo, LIMITS).listen();
  harness.clock.advance(4_500);
  harness.send(GET.slice(0, 8));
  await settled();
  harness.clock.advance(2_500);
  harness.send(GET.slice(8));
  await settled();
  assert.equal(harness.received, okText('/'));
});

/** Answers "all" when the body is complete. */
async function readAll(client: ClientPort): Promise<void> {
  try {
    for await (const _ of client.body?.chunks() ?? []);
    ok(client, 'all');
  } catch {
    // The client is gone.
  }
}

const post = (length: number) => `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\n`;

test('a body has to keep coming, at a rate', async () => {
  const drip = new Harness(readAll, LIMITS).listen();
  drip.send(post(10_000));
  await settled();
  let seconds = 0;
  for (; drip.refused.length === 0 && seconds < 100; seconds += 1) {
    drip.send('x');
    await settled();
    drip.clock.advance(1_000);
  }
  await settled();
  assert.ok(seconds <= 5, `${seconds} s`);
  assert.match(drip.received, /^HTTP\/1\.1 408 /);

  const steady = new Harness(readAll, LIMITS).listen();
  steady.send(post(10_000));
  for (let i = 0; i < 50; i += 1) {
    steady.send('x'.repeat(200));
    await settled();
    steady.clock.advance(1_000);
  }
  await settled();
  assert.equal(steady.received, okText('all'));
});

test('while the handler does not read the body, its client is not to blame', async () => {
  const clients: ClientPort[] = [];
  const harness = new Harness((client) => clients.push(client), LIMITS).listen();
  harness.send(post(5));
  await settled();
  harness.clock.advance(60_000);
  if (clients[0]) void readAll(clients[0]);
  harness.send('hello');
  await settled();
  assert.equal(harness.received, okText('all'));
});

test('a client that takes nothing of its answer is cut off, one that takes it slowly is not', async () => {
  const body = Buffer.alloc(3_000_000);
  let gone = 0;
  const answering = (client: ClientPort) => {
    client.onGone = () => {
      gone += 1;
    };
    client.begin(200, [], body.length);
    client.write(body);
  };
  const stuck = new Harness(answering, LIMITS);
  stuck.send(GET);
  await settled();
  stuck.clock.advance(5_500);
  assert.ok(!stuck.server.destroyed);
  stuck.clock.advance(1_500);
  assert.ok(stuck.server.destroyed);
  assert.equal(gone, 1);

  const slow = new Harness(answering, LIMITS);
  slow.send(GET);
  for (let taken = 0; taken < 2_000_000; ) {
    await settled();
    slow.clock.advance(3_000);
    taken += (slow.client.read() as Buffer | null)?.length ?? 0;
  }
  assert.ok(!slow.server.destroyed);
});

test('after the last answer a client has a while to close', async () => {
  const harness = new Harness(echo, LIMITS).listen();
  harness.send(GET.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'));
  await settled();
  assert.ok(harness.client.readableEnded);
  harness.send('x'.repeat(1000));
  harness.clock.advance(1_500);
  assert.ok(!harness.server.destroyed);
  harness.clock.advance(1_000);
  assert.ok(harness.server.destroyed);
});

test('after the last answer not everything is listened to', async () => {
  const harness = new Harness(echo, { ...LIMITS, lingerBytes: 1000 }).listen();
  harness.send(GET.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'));
  await settled();
  harness.send('x'.repeat(1001));
  await settled();
  assert.ok(harness.server.destroyed);
});

test('an answer has all the time that its handler takes', async () => {
  const clients: ClientPort[] = [];
  const harness = new Harness((client) => clients.push(client), LIMITS).listen();
  harness.send(GET);
  await settled();
  harness.clock.advance(3_600_000);
  const client = clients[0];
  if (client) echo(client);
  await settled();
  assert.equal(harness.received, okText('/'));
});

test('a client that closed its side waits a while for its answer to begin, and as long as it takes for the rest', async () => {
  let gone = 0;
  const clients: ClientPort[] = [];
  const waiting = (client: ClientPort) => {
    client.onGone = () => {
      gone += 1;
    };
    clients.push(client);
  };
  const [left, begun] = [new Harness(waiting, LIMITS).listen(), new Harness(waiting, LIMITS).listen()];
  for (const harness of [left, begun]) harness.client.end(GET);
  await settled();
  clients[1]?.begin(200, [], 4);
  left.clock.advance(500);
  assert.equal(gone, 0);
  for (const harness of [left, begun]) harness.clock.advance(5_000);
  assert.equal(gone, 1);
  assert.ok(left.server.destroyed);
  clients[1]?.write(Buffer.from('late'));
  clients[1]?.end();
  await settled();
  assert.ok(begun.received.endsWith('\r\n\r\nlate'));
});

test('on retirement connections close once they are quiet, busy ones with their answer', async () => {
  const clients: ClientPort[] = [];
  const idle = new Harness(echo).listen();
  const sending = new Harness(echo).listen();
  const busy = new Harness((client) => clients.push(client)).listen();
  busy.send(GET + GET);
  await settled();
  idle.clock.advance(1_000);
  sending.clock.advance(500);
  for (const { shared } of [idle, sending, busy]) for (const connection of shared.connections) connection.retire();
  await settled();
  assert.ok(idle.client.readableEnded);
  assert.ok(!busy.client.readableEnded);
  // A request that was on its way when the end was decided is answered.
  assert.ok(!sending.client.readableEnded);
  sending.send(GET);
  await settled();
  assert.equal(sending.received, okText('/', 'connection: close\r\n'));
  assert.ok(sending.client.readableEnded);
  const client = clients[0];
  if (client) echo(client);
  await settled();
  assert.equal(busy.received, okText('/', 'connection: close\r\n'));
  assert.ok(busy.client.readableEnded);
});
