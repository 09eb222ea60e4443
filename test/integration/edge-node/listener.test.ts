// Connections of clients: how answers follow requests on them, what ends them, and what time and space they are given.
import assert from 'node:assert/strict';
import type http from 'node:http';
import { test } from 'node:test';
import { combinedField, countField, field } from '../../../edge-node/decide/fields.ts';
import { listenHttp1 } from '../../../edge-node/io/http1/listener.ts';
import { systemClock } from '../../../infra/runtime/clock.ts';
import { startEdge, startOrigin } from '../../support/edge.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { RawClient, request } from '../../support/raw-client.ts';
import { until } from '../../support/until.ts';

/** Answers that wait under /wait until the test gives them, by path. */
const waiting = new Map<string, http.ServerResponse>();

const origin = await startOrigin((req, res) => {
  const path = req.url ?? '';
  if (path.startsWith('/wait')) waiting.set(path, res);
  else if (path.startsWith('/early')) res.end('early');
  else if (path.startsWith('/none')) res.writeHead(204).end();
  else if (path.startsWith('/hints')) {
    res.writeEarlyHints({ link: '</a.css>; rel=preload' });
    res.end('hinted');
  } else if (path.startsWith('/length')) res.setHeader('cache-control', 'max-age=60').end('hello');
  else if (path.startsWith('/echo')) req.pipe(res);
  else if (path.startsWith('/told')) req.resume().on('end', () => res.end(JSON.stringify(req.trailers)));
  else {
    res.write('chu');
    setImmediate(() => res.end('nked'));
  }
});
const edge = await startEdge({ london: origin.address });

/** The answer that waits for the test; its request has arrived. */
async function held(path: string): Promise<http.ServerResponse> {
  await until(`the request of ${path}`, () => waiting.has(path));
  return waiting.get(path) ?? assert.fail();
}

test('an answer has its length or comes in chunks, one Date, and leaves the connection open for the next', async () => {
  const client = await RawClient.connect(edge.port);
  const first = await client.ask(request('GET', '/length/a'));
  assert.deepEqual([first.status, first.version, first.body], [200, '1.1', 'hello']);
  assert.deepEqual([field(first.fields, 'content-length'), countField(first.fields, 'date')], ['5', 1]);
  const second = await client.ask(request('GET', '/chunked'));
  assert.deepEqual([second.body, field(second.fields, 'transfer-encoding')], ['chunked', 'chunked']);
  const third = await client.ask(request('GET', '/length/a'));
  assert.match(field(third.fields, 'cache-status') ?? '', /hit/);
  assert.equal(countField(third.fields, 'date'), 1);
  client.destroy();
});

test('a refusal has a Date, too', async () => {
  const client = await RawClient.connect(edge.port);
  const { fields } = await client.ask(request('GET', '/', 'Host: other.example'));
  assert.equal(countField(fields, 'date'), 1);
  client.destroy();
});

test('HEAD and answers without a body are followed by the next answer at once', async () => {
  const client = await RawClient.connect(edge.port);
  for (const path of ['/length/head', '/length/a', '/chunked']) {
    const head = await client.ask(request('HEAD', path), 'HEAD');
    assert.deepEqual([head.status, field(head.fields, 'transfer-encoding')], [200, undefined]);
  }
  const none = await client.ask(request('GET', '/none'));
  assert.deepEqual([none.status, field(none.fields, 'content-length')], [204, undefined]);
  const { fields } = await client.ask(request('GET', '/length/a', 'If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT'));
  assert.equal(field(fields, 'content-length'), undefined);
  assert.equal((await client.ask(request('GET', '/length/a'))).body, 'hello');
  client.destroy();
});

test('HTTP/1.0 gets no chunks, and its connection ends unless it asks otherwise', async () => {
  const chunked = await RawClient.connect(edge.port);
  const first = await chunked.ask('GET /chunked HTTP/1.0\r\nHost: demo.example\r\n\r\n');
  assert.deepEqual([first.body, field(first.fields, 'transfer-encoding')], ['chunked', undefined]);
  await chunked.closed();
  const kept = await RawClient.connect(edge.port);
  await kept.ask('GET /length/a HTTP/1.0\r\nHost: demo.example\r\nConnection: keep-alive\r\n\r\n');
  assert.equal((await kept.ask(request('GET', '/length/a'))).body, 'hello');
  kept.destroy();
});

test('Connection: close ends the connection after the answer', async () => {
  const client = await RawClient.connect(edge.port);
  const { fields } = await client.ask(request('GET', '/length/a', 'Connection: close'));
  assert.equal(field(fields, 'connection'), 'close');
  await client.closed();
});

test('pipelined requests are answered in their order, one after another', async () => {
  const client = await RawClient.connect(edge.port);
  client.send(request('GET', '/wait/first') + request('GET', '/length/a') + request('GET', '/wait/third'));
  const first = await held('/wait/first');
  assert.equal(client.unread, '');
  first.end('first');
  (await held('/wait/third')).end('third');
  const bodies = [await client.response(), await client.response(), await client.response()].map(({ body }) => body);
  assert.deepEqual(bodies, ['first', 'hello', 'third']);
  client.destroy();
});

test('a malformed request behind others is refused after their answers', async () => {
  const client = await RawClient.connect(edge.port);
  client.send(`${request('GET', '/wait/before')}${request('GET', '/length/a')}GET / HTTP/1.1\r\nX : a\r\n\r\n`);
  (await held('/wait/before')).end('before');
  assert.equal((await client.response()).body, 'before');
  assert.equal((await client.response()).body, 'hello');
  const refused = await client.response();
  assert.deepEqual([refused.status, field(refused.fields, 'connection')], [400, 'close']);
  await client.closed();
});

test('a body goes to the origin, framed afresh, and the connection serves the next request', async () => {
  const client = await RawClient.connect(edge.port);
  assert.equal((await client.ask(`${request('POST', '/echo', 'Content-Length: 5')}hello`)).body, 'hello');
  const chunked = request('PUT', '/echo', 'Transfer-Encoding: chunked');
  assert.equal((await client.ask(`${chunked}3\r\nhel\r\n2\r\nlo\r\n0\r\nX-Trailer: a\r\n\r\n`)).body, 'hello');
  assert.equal(combinedField(origin.received.at(-1)?.fields ?? [], 'transfer-encoding'), 'chunked');
  assert.equal((await client.ask(request('POST', '/echo', 'Content-Length: 0'))).body, '');
  assert.equal((await client.ask(request('GET', '/length/a'))).body, 'hello');
  client.destroy();
});

test('trailers go to the origin, but none that it could act on; those that frame or route are refused', async () => {
  const client = await RawClient.connect(edge.port);
  const sent = (trailers: string) =>
    client.ask(
      `${request('POST', '/told', 'Transfer-Encoding: chunked', 'Connection: X-Hop')}2\r\nhi\r\n0\r\n${trailers}\r\n`,
    );
  assert.equal((await sent('')).body, '{}');
  const forged =
    'X-Hop: 1\r\nCookie: a=1\r\nX-Forwarded-For: ::1\r\nX-Original-URL: /admin\r\nX_Sum: 2\r\nTE: gzip\r\n';
  assert.equal((await sent(`X-Sum: 1\r\n${forged}Content-Digest: a\r\n`)).body, '{"x-sum":"1","content-digest":"a"}');
  assert.equal((await client.ask(request('GET', '/length/a'))).body, 'hello');
  assert.equal((await sent('Host: evil.example\r\n')).status, 400);
  await client.closed();
});

test('100 Continue is said when the origin has been reached, and not before', async () => {
  const client = await RawClient.connect(edge.port);
  const first = await client.ask(request('POST', '/echo', 'Content-Length: 5', 'Expect: 100-continue'));
  assert.equal(first.status, 100);
  assert.equal((await client.ask('hello')).body, 'hello');
  assert.equal(field(origin.received.at(-1)?.fields ?? [], 'expect'), '100-continue');
  const refused = await client.ask(
    request('POST', '/echo', 'Host: other.example', 'Content-Length: 5', 'Expect: 100-continue'),
  );
  // Whether the body still comes cannot be known.
  assert.deepEqual([refused.status, field(refused.fields, 'connection')], [421, 'close']);
  await client.closed();
});

test('an expectation that nobody knows: 417', async () => {
  const client = await RawClient.connect(edge.port);
  assert.equal((await client.ask(request('GET', '/', 'Expect: the-unexpected'))).status, 417);
  await client.closed();
});

test('a small body that nobody read is drained, and never taken for a request', async () => {
  const client = await RawClient.connect(edge.port);
  const smuggled = request('GET', '/smuggled');
  const unread = request('POST', '/', 'Host: other.example', `Content-Length: ${smuggled.length}`);
  assert.equal((await client.ask(unread + smuggled)).status, 421);
  assert.equal((await client.ask(request('GET', '/length/a'))).body, 'hello');
  assert.ok(origin.received.every(({ target }) => target !== '/smuggled'));
  client.destroy();
});

test('a large body, or one of unknown length, that nobody read ends the connection', async () => {
  for (const framing of ['Content-Length: 65537', 'Transfer-Encoding: chunked']) {
    const client = await RawClient.connect(edge.port);
    const { status, fields } = await client.ask(request('POST', '/', 'Host: other.example', framing));
    assert.deepEqual([status, field(fields, 'connection')], [421, 'close']);
    await client.closed();
  }
});

test('an answer that comes before the end of the request’s body ends the connection', async () => {
  const client = await RawClient.connect(edge.port);
  const response = await client.ask(`${request('POST', '/early', 'Content-Length: 5')}he`);
  assert.deepEqual([response.body, field(response.fields, 'connection')], ['early', 'close']);
  await client.closed();
});

test('early hints are passed on; those that are malformed are dropped', async () => {
  const client = await RawClient.connect(edge.port);
  const hint = await client.ask(request('GET', '/hints'));
  assert.deepEqual([hint.status, field(hint.fields, 'link')], [103, '</a.css>; rel=preload']);
  assert.equal((await client.response()).body, 'hinted');
  client.send(request('GET', '/wait/hints'));
  const res = await held('/wait/hints');
  res.socket?.write('HTTP/1.1 103 Early Hints\r\nlink: not a link\r\n\r\n');
  res.end('unhinted');
  assert.deepEqual([(await client.response()).body], ['unhinted']);
  client.destroy();
});

test('where an origin is not there, the next one gets the request, its body with it', async () => {
  const half = await startEdge({ gone: 'http://127.0.0.1:1', london: origin.address });
  const client = await RawClient.connect(half.port);
  // Which of two at the same distance is asked first is drawn: sixteen draws do not all fall on one.
  for (let i = 0; i < 16; i += 1) {
    const expected = await client.ask(request('POST', '/echo', 'Content-Length: 5', 'Expect: 100-continue'));
    assert.equal(expected.status, 100);
    assert.equal((await client.ask('hello')).body, 'hello');
  }
  const nobody = await startEdge({ gone: 'http://127.0.0.1:1' });
  const refused = await RawClient.connect(nobody.port);
  assert.equal((await refused.ask(`${request('POST', '/echo', 'Content-Length: 5')}hello`)).status, 502);
  assert.equal((await refused.ask(request('GET', '/echo'))).status, 502);
  for (const end of [client, refused]) end.destroy();
});

test('a client that leaves takes its request to the origin with it', async () => {
  const client = await RawClient.connect(edge.port);
  const { length } = edge.ends;
  client.send(request('GET', '/wait/gone'));
  const res = await held('/wait/gone');
  client.destroy();
  await until('the origin’s connection to be closed', () => res.destroyed);
  assert.deepEqual(edge.ends.slice(length), ['client-gone']);
});

test('an origin that breaks off breaks off the client’s answer', async () => {
  const client = await RawClient.connect(edge.port);
  client.send(request('GET', '/wait/broken'));
  const res = await held('/wait/broken');
  res.writeHead(200, { 'content-length': 10 }).write('hello');
  await until('the beginning', () => client.unread.endsWith('hello'));
  res.destroy();
  await until('the end', () => client.isClosed);
  assert.equal(edge.ends.at(-1), 'origin-failed');
});

test('heads and bodies that are slow to come: 408 and closed', async () => {
  const quick = await startEdge({ london: origin.address }, { headMs: 100, bodyMs: 300 });
  const [head, body] = await Promise.all([1, 2].map(() => RawClient.connect(quick.port)));
  head?.send('GET / HTTP/1.1\r\nHost: demo.example\r\n');
  body?.send(`${request('POST', '/wait/body', 'Content-Length: 10')}hello`);
  for (const client of [head, body]) {
    const response = await client?.response();
    assert.deepEqual([response?.status, field(response?.fields ?? [], 'connection')], [408, 'close']);
    await client?.closed();
  }
});

test('connections that are idle for too long are closed', async () => {
  const quick = await startEdge({ london: origin.address }, { idleMs: 20 });
  const client = await RawClient.connect(quick.port);
  assert.equal((await client.ask(request('GET', '/length/a'))).status, 200);
  await client.closed();
});

test('connections beyond the limit are closed and counted', async () => {
  const small = await startEdge({ london: origin.address }, { connections: 1 });
  const first = await RawClient.connect(small.port);
  await first.ask(request('GET', '/length/a'));
  const second = await RawClient.connect(small.port);
  await second.closed();
  assert.deepEqual(small.refused, ['too-many-connections: more than 1 connections']);
  first.destroy();
});

test('a port that is in use, or an address that is not ours, is refused with what to do', async () => {
  const events = { onExchange: () => undefined, onRefused: () => undefined };
  await assert.rejects(
    listenHttp1({ host: '127.0.0.1', port: edge.port }, events, systemClock),
    /the port is in use; stop what uses it/,
  );
  await assert.rejects(
    listenHttp1({ host: '192.0.2.1', port: 0 }, events, systemClock),
    /cannot listen on 192\.0\.2\.1:0: /,
  );
});

test('a stop finishes what is in flight, closes what is idle and takes nothing new', async () => {
  const stopped = await startEdge({ london: origin.address }, { quietMs: 100 });
  const [idle, silent, begun, unbegun] = await Promise.all([1, 2, 3, 4].map(() => RawClient.connect(stopped.port)));
  assert.ok(idle && silent && begun && unbegun);
  await idle.ask(request('GET', '/length/a'));
  begun.send(request('GET', '/wait/begun'));
  unbegun.send(request('GET', '/wait/unbegun'));
  const res = await held('/wait/begun');
  res.write('be');
  await until('the beginning', () => begun.unread.includes('be'));
  await held('/wait/unbegun');
  // Its time stands still: the stop must not need the grace.
  let isStopped = false;
  void stopped.listener.stop(new FakeClock(), 1).then(() => {
    isStopped = true;
  });
  await idle.closed();
  await assert.rejects(async () => {
    const late = await RawClient.connect(stopped.port);
    await late.ask(request('GET', '/length/a'));
  });
  res.end('gun');
  (await held('/wait/unbegun')).end('unbegun');
  assert.equal((await begun.response()).body, 'begun');
  const last = await unbegun.response();
  assert.deepEqual([last.body, field(last.fields, 'connection')], ['unbegun', 'close']);
  silent.destroy();
  await Promise.all([begun.closed(), unbegun.closed()]);
  await until('the stop', () => isStopped);
});

test('a stop waits no longer than its grace', async () => {
  const stopped = await startEdge({ london: origin.address });
  const client = await RawClient.connect(stopped.port);
  client.send(request('GET', '/wait/for-ever'));
  await held('/wait/for-ever');
  const clock = new FakeClock();
  const stop = stopped.listener.stop(clock, 1_000);
  clock.advance(1_000);
  await stop;
  await client.closed();
  assert.deepEqual(stopped.ends, ['client-gone']);
  await stopped.listener.stop(systemClock, 0).catch(() => undefined);
});
