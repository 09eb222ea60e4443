// Requests to origins that do all that an origin must not: what the failure is called, in which phase it came, and that
// waiting is bounded.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { type CompiledOrigin, compileSnapshot } from '../../../edge-node/decide/compile.ts';
import { field } from '../../../edge-node/decide/fields.ts';
import { guardedLookup } from '../../../edge-node/io/guarded-lookup.ts';
import { OriginClient } from '../../../edge-node/io/origin/client.ts';
import { connector } from '../../../edge-node/io/origin/connector.ts';
import type { OriginCall, OriginRequest } from '../../../edge-node/ports.ts';
import { systemClock } from '../../../infra/runtime/clock.ts';
import { Body, Recorder, rawOrigin } from '../../support/origin-calls.ts';
import { poolOf, snapshotOf } from '../../support/snapshots.ts';
import { until } from '../../support/until.ts';

const GET: OriginRequest = { method: 'GET', target: '/', fields: ['host', 'demo.example'], body: undefined };
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello';

interface Setup {
  readonly client: OriginClient;
  readonly origin: CompiledOrigin;
  send(request?: OriginRequest): { recorder: Recorder; call: OriginCall };
}

function setUp(address: string, { connections = 4, waiting = 4, headMs = 1_000, bodyMs = 1_000 } = {}): Setup {
  const lookup = guardedLookup();
  const client = new OriginClient({
    clock: systemClock,
    connector: (address) => connector(address, { lookup }),
    suspect: () => undefined,
    limits: { connections, waiting },
  });
  const pool = { ...poolOf({ london: address }), timeouts: { connectMs: 1_000, headMs, bodyMs } };
  const snapshot = compileSnapshot({ ...snapshotOf(1), pools: [pool] }, 'edge-1');
  client.use(snapshot);
  after(() => client.close());
  const origin = snapshot.pools[0]?.origins[0];
  assert.ok(origin);
  const send = (request = GET) => {
    const recorder = new Recorder();
    return { recorder, call: client.send(origin, request, recorder) };
  };
  return { client, origin, send };
}

/** What a call says of an origin that answers every request with `bytes` and then, if asked, closes. */
async function outcome(bytes: string, then: 'close' | 'keep' = 'keep'): Promise<string[]> {
  const raw = await rawOrigin((socket) => {
    socket.write(bytes, 'latin1');
    if (then === 'close') socket.end();
  });
  return await setUp(raw.address).send().recorder.over();
}

test('an answer comes as it was sent, and the connection serves the next request', async () => {
  const raw = await rawOrigin((socket) =>
    socket.write('HTTP/1.1 200 OK\r\nX-A: \xe9\r\nContent-Length: 5\r\n\r\nhello', 'latin1'),
  );
  const { send } = setUp(raw.address, { connections: 1 });
  for (let i = 0; i < 2; i += 1) {
    const { recorder } = send({ ...GET, target: '/a?b', fields: ['host', 'demo.example', 'x-b', '\xe9', 'x-b', '2'] });
    assert.deepEqual(await recorder.over(), ['200', 'end']);
    assert.deepEqual([recorder.body, field(recorder.fields, 'x-a')], ['hello', '\xe9']);
  }
  assert.match(raw.text, /^GET \/a\?b HTTP\/1\.1\r\nhost: demo\.example\r\nx-b: \xe9\r\nx-b: 2\r\n\r\nGET/);
  assert.equal(raw.sockets.length, 1);
});

test('informational answers come before the final one', async () => {
  assert.deepEqual(await outcome(`HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${OK}`), ['103', '200', 'end']);
});

test('an origin that is not there fails the connection, and leaves the body alone', async () => {
  const raw = await rawOrigin(() => undefined);
  const { send } = setUp(raw.address.replace(/\d+$/, '1'));
  const body = Body.of('hello');
  const { recorder } = send({ ...GET, method: 'POST', body });
  assert.deepEqual(await recorder.over(), ['connect origin-unreachable']);
  assert.match(recorder.failure?.detail ?? '', /ECONNREFUSED.*cities\/london/);
  assert.equal(body.consumed, false);
});

test('an address that no origin may have is never connected to', async () => {
  const { recorder } = setUp('http://169.254.169.254').send();
  assert.deepEqual(await recorder.over(), ['connect origin-unreachable']);
  assert.match(recorder.failure?.detail ?? '', /ERR_ADDRESS_DENIED/);
});

test('a failure is told after `send` has returned, never inside', async () => {
  const { send } = setUp('http://127.0.0.1:1');
  const { recorder } = send({ ...GET, target: 'not a path' });
  assert.deepEqual(recorder.events, []);
  assert.deepEqual(await recorder.over(), ['connect origin-malformed']);
});

test('an origin that closes before an answer fails the head', async () => {
  assert.deepEqual(await outcome('', 'close'), ['head origin-cut-off']);
  assert.deepEqual(await outcome('HTTP/1.1 200 OK\r\nContent-Le', 'close'), ['head origin-cut-off']);
});

test('what is not an answer is called malformed', async () => {
  const broken = {
    'no status line': 'SSH-2.0-OpenSSH_9.6\r\n',
    'a status that is none': 'HTTP/1.1 2000 OK\r\n\r\n',
    'a field without a colon': 'HTTP/1.1 200 OK\r\nX\r\n\r\n',
    'a control in a value': 'HTTP/1.1 200 OK\r\nX: a\x01\r\n\r\n',
    'a folded line': 'HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n',
    'no CR': 'HTTP/1.1 200 OK\nX: a\n\nhello',
    'two lengths': 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello',
    'a list of lengths': 'HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello',
    'length and coding': 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  };
  for (const [name, bytes] of Object.entries(broken)) {
    assert.deepEqual(await outcome(bytes), ['head origin-malformed'], name);
  }
});

test('an answer that switches protocols unasked is none', async () => {
  assert.deepEqual(await outcome('HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n'), [
    'head origin-malformed',
  ]);
});

test('fields larger than the limit are called malformed', async () => {
  const large = `HTTP/1.1 200 OK\r\nX: ${'a'.repeat(70_000)}\r\nContent-Length: 0\r\n\r\n`;
  assert.deepEqual(await outcome(large), ['head origin-malformed']);
});

test('a body that is cut off, by its length or in its chunks, fails the body', async () => {
  assert.deepEqual(await outcome('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello', 'close'), [
    '200',
    'body origin-cut-off',
  ]);
  const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';
  assert.deepEqual(await outcome(`${chunked}5\r\nhello\r\n`, 'close'), ['200', 'body origin-cut-off']);
  assert.deepEqual(await outcome(`${chunked}5\r\nhello\r\nx\r\n`), ['200', 'body origin-malformed']);
});

test('an origin that goes silent runs out of time, before the head and within the body', async () => {
  const silent = await rawOrigin(() => undefined);
  const { recorder: head } = setUp(silent.address, { headMs: 10 }).send();
  const halfway = await rawOrigin((socket) => socket.write(OK.slice(0, -1)));
  const { recorder: body } = setUp(halfway.address, { bodyMs: 10 }).send();
  assert.deepEqual(await head.over(), ['head origin-timeout']);
  assert.deepEqual(await body.over(), ['200', 'body origin-timeout']);
});

test('after an abort nothing more is heard', async () => {
  const raw = await rawOrigin((socket) => socket.write(OK.slice(0, -1)));
  const { send } = setUp(raw.address);
  const { recorder, call } = send();
  await until('the head', () => recorder.events.length > 0);
  call.abort();
  call.abort();
  await until('the connection to be closed', () => raw.sockets[0]?.destroyed === true);
  assert.deepEqual(recorder.events, ['200']);
});

test('more requests than may wait are refused at once, and those that are aborted make room', async () => {
  const raw = await rawOrigin(() => undefined);
  const { send } = setUp(raw.address, { connections: 1, waiting: 2 });
  const [first, second, third] = [send(), send(), send()];
  assert.deepEqual(await send().recorder.over(), ['connect origin-busy']);
  assert.ok(second && third);
  second.call.abort();
  third.call.abort();
  const { recorder } = send();
  await until('the first request', () => raw.text !== '');
  raw.sockets[0]?.write(OK);
  assert.deepEqual(await first?.recorder.over(), ['200', 'end']);
  // Those that nobody wants any more are passed over, and the connection is still good.
  await until('the next request', () => raw.text.split('GET').length === 3);
  raw.sockets[0]?.write(OK);
  assert.deepEqual(await recorder.over(), ['200', 'end']);
  assert.deepEqual([raw.sockets.length, second.recorder.events, third.recorder.events], [1, [], []]);
});

test('a slow receiver holds the body back', async () => {
  const raw = await rawOrigin((socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello'));
  const { send } = setUp(raw.address);
  const { recorder, call } = send();
  await until('the first half', () => recorder.body === 'hello');
  call.pause();
  raw.sockets[0]?.write('world');
  call.resume();
  assert.deepEqual(await recorder.over(), ['200', 'end']);
  assert.equal(recorder.body, 'helloworld');
});

test('a snapshot without an origin ends its connections when they are done', async () => {
  const raw = await rawOrigin((socket) => socket.write(OK.slice(0, -1)));
  const { client, send } = setUp(raw.address);
  const { recorder } = send();
  await until('the head', () => recorder.events.length > 0);
  client.use(compileSnapshot({ ...snapshotOf(2), pools: [poolOf({})] }, 'edge-1'));
  raw.sockets[0]?.write('o');
  assert.deepEqual(await recorder.over(), ['200', 'end']);
  // Sooner than an idle connection would be.
  await until('the connection to be closed', () => raw.sockets[0]?.destroyed === true, 3_000);
});

test('closing fails what is in flight', async () => {
  const raw = await rawOrigin(() => undefined);
  const { client, send } = setUp(raw.address);
  const { recorder } = send();
  await until('the request', () => raw.text !== '');
  await client.close();
  assert.deepEqual(await recorder.over(), ['head origin-cut-off']);
});
