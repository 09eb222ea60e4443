// Requests and answers over HTTP/2, as well-behaved clients have them: from the simple to those that stream both ways.
import assert from 'node:assert/strict';
import type http from 'node:http';
import type http2 from 'node:http2';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { combinedField, countField, field } from '../../../edge-node/decide/fields.ts';
import { startOrigin } from '../../support/edge.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { CODE, FLAG, FrameClient, get } from '../../support/http2-frames.ts';
import { answerOf, Http2User, startTlsEdge } from '../../support/tls-edge.ts';
import { until } from '../../support/until.ts';

const BIG = 20 * 1024 * 1024;
const CHUNK = Buffer.alloc(64 * 1024, 'x');
/** What buffers on both connections and flow-control windows hold at most. */
const BUFFERED = 8 * 1024 * 1024;

/** Requests under /hold and their answers, which the test gives, by path. */
const held = new Map<string, { req: http.IncomingMessage; res: http.ServerResponse }>();
let written = 0;

const origin = await startOrigin((req, res) => {
  const path = req.url ?? '';
  req.on('error', () => undefined);
  if (path.startsWith('/hold')) held.set(path, { req, res });
  else if (path.startsWith('/cached')) {
    const size = Number(path.split('/')[2] ?? 5);
    res.writeHead(200, { 'cache-control': 'max-age=60', etag: '"1"', 'content-length': size });
    res.end('x'.repeat(size));
  } else if (path === '/none') res.writeHead(204).end();
  else if (path === '/hints') {
    res.writeEarlyHints({ link: ['</a.css>; rel=preload', '</b.css>; rel=preload'] });
    res.end('hinted');
  } else if (path === '/twice') {
    res.writeHead(200, [
      'Content-Type',
      'text/plain',
      'X-A',
      '1',
      'X-A',
      '2',
      'Age',
      '1',
      'Age',
      '1',
      'Set-Cookie',
      'a',
    ]);
    res.end();
  } else if (path === '/odd') res.writeHead(200, { 'http2-settings': 'x', 'keep-alive': 'x', te: 'x' }).end('odd');
  else if (path === '/wide') res.writeHead(200, { 'x-wide': 'w'.repeat(14_000), 'x-wider': 'w'.repeat(1_000) }).end();
  else if (path === '/early') res.end('early');
  else if (path === '/told') req.resume().on('end', () => res.end(JSON.stringify(req.trailers)));
  else if (path.startsWith('/trailers')) {
    const size = Number(path.split('/')[2] ?? 0);
    res.writeHead(200, { trailer: 'x-sum' }).write('t'.repeat(size || 1));
    res.addTrailers({ 'x-sum': '7', vary: '*' });
    res.end();
  } else if (path === '/big') {
    res.writeHead(200, { 'content-length': BIG });
    const more = (): void => {
      while (written < BIG) {
        written += CHUNK.length;
        if (!res.write(CHUNK)) {
          res.once('drain', more);
          return;
        }
      }
      res.end();
    };
    more();
  } else req.pipe(res);
});
const edge = await startTlsEdge({ london: origin.address });
const user = new Http2User(edge.port);

async function heldAt(path: string): Promise<{ req: http.IncomingMessage; res: http.ServerResponse }> {
  await until(`the request of ${path}`, () => held.has(path));
  return held.get(path) ?? assert.fail();
}

test('a GET is answered by the origin, then from the cache', async () => {
  const miss = await user.ask('/cached');
  assert.deepEqual([miss.status, miss.body, miss.headers['content-length']], [200, 'xxxxx', '5']);
  assert.match(String(miss.headers['cache-status']), /fwd=uri-miss/);
  const hit = await user.ask('/cached');
  assert.deepEqual([hit.status, hit.body, hit.headers['content-length']], [200, 'xxxxx', '5']);
  assert.match(String(hit.headers['cache-status']), /hit/);
});

test('an origin is asked in HTTP/1.1, with Host from :authority, the version in Via, and one cookie', async () => {
  await user.ask('/', { cookie: ['a=1', 'b=2'], te: 'trailers', 'x-a': ['1', '2'], x_a: '3' });
  const { fields } = origin.received.at(-1) ?? assert.fail();
  assert.deepEqual([countField(fields, 'host'), field(fields, 'host')], [1, 'demo.example']);
  assert.equal(field(fields, 'via'), '2 edge-1');
  assert.deepEqual([countField(fields, 'cookie'), field(fields, 'cookie')], [1, 'a=1; b=2']);
  assert.deepEqual(
    [combinedField(fields, 'x-a'), field(fields, 'te'), field(fields, 'x_a')],
    ['1, 2', 'trailers', undefined],
  );
  assert.ok(fields.every((name, index) => index % 2 === 1 || !name.startsWith(':')));
});

test('many requests on one connection are answered each for itself, in any order', async () => {
  const paths = Array.from({ length: 40 }, (_, index) => `/hold/${index}`);
  const answers = paths.map((path) => user.ask(path));
  await until('all requests', () => paths.every((path) => held.has(path)));
  for (const path of paths.toReversed()) held.get(path)?.res.end(path);
  assert.deepEqual(
    (await Promise.all(answers)).map(({ body }) => body),
    paths,
  );
});

test('HEAD, 204 and 304 have no body, whatever the cache has', async () => {
  const head = await user.ask('/cached', { ':method': 'HEAD' });
  assert.deepEqual([head.status, head.body, head.headers['content-length']], [200, '', '5']);
  const none = await user.ask('/none');
  assert.deepEqual([none.status, none.body, none.headers['content-length']], [204, '', undefined]);
  const unchanged = await user.ask('/cached', { 'if-none-match': '"1"' });
  assert.deepEqual([unchanged.status, unchanged.body, unchanged.headers['content-length']], [304, '', undefined]);
});

test('early hints are passed on before the answer', async () => {
  const { informed, status, body } = await user.ask('/hints');
  assert.deepEqual([informed, status, body], [[103], 200, 'hinted']);
});

test('fields that an origin repeats stay repeated; those of its connection, and those that HTTP/2 has not, go', async () => {
  const { headers } = await user.ask('/twice');
  assert.deepEqual([headers['x-a'], headers['set-cookie'], headers.age], ['1, 2', ['a'], '1']);
  const odd = await user.ask('/odd');
  assert.deepEqual([odd.status, odd.body], [200, 'odd']);
  for (const name of ['http2-settings', 'keep-alive', 'te', 'connection'])
    assert.equal(odd.headers[name], undefined, name);
});

test('a wide header section of an origin goes through', async () => {
  assert.equal(String((await user.ask('/wide')).headers['x-wide']).length, 14_000);
});

test('a refusal is an answer like others, and leaves the connection open', async () => {
  const { status, headers, body } = await user.ask('/a%2fb');
  assert.deepEqual(
    [status, headers['content-type'], JSON.parse(body).code],
    [400, 'application/problem+json', 'malformed-target'],
  );
  assert.ok(headers.date);
  assert.equal((await user.ask('/', { expect: 'tea' })).status, 417);
  assert.equal((await user.ask('/', { ':method': 'TRACE' })).status, 405);
  assert.equal((await user.ask('/cached')).status, 200);
});

test('a body is streamed to the origin, with or without a length', async () => {
  const body = Buffer.alloc(300_000, 'b');
  const counted = await user.ask('/echo', { ':method': 'POST', 'content-length': body.length }, body);
  assert.equal(counted.body, body.toString());
  assert.equal(field(origin.received.at(-1)?.fields ?? [], 'content-length'), '300000');
  const chunked = await user.ask('/echo', { ':method': 'PUT' }, body);
  assert.equal(chunked.body, body.toString());
  assert.equal(field(origin.received.at(-1)?.fields ?? [], 'transfer-encoding'), 'chunked');
  assert.equal((await user.ask('/echo', { ':method': 'POST', 'content-length': 0 }, '')).body, '');
});

test('trailers of a request go to the origin behind a body of unknown length, but none that it could act on', async () => {
  for (const [length, expected] of [
    [{}, { 'x-sum': '1' }],
    [{ 'content-length': 4 }, {}],
  ] as const) {
    const stream = user.session.request(
      { ':method': 'POST', ':path': '/told', ':authority': 'demo.example', ...length },
      { waitForTrailers: true },
    );
    stream.on('wantTrailers', () =>
      stream.sendTrailers({ 'x-sum': '1', host: 'evil.example', authorization: 'Basic YQ==', x_real_ip: '::1' }),
    );
    stream.end('body');
    assert.deepEqual(JSON.parse((await answerOf(stream)).body), expected);
  }
});

test('trailers of an answer are passed on to a client that takes them, behind a short body and a long one', async () => {
  for (const [size, te, expected] of [
    [0, 'trailers', '7'],
    [300_000, 'trailers', '7'],
    [0, undefined, undefined],
  ] as const) {
    const stream = user.open(`/trailers/${size}`, te === undefined ? {} : { te });
    let trailers: http2.IncomingHttpHeaders = {};
    stream.on('trailers', (received) => {
      trailers = received;
    });
    const { body } = await answerOf(stream);
    assert.deepEqual([body.length, trailers['x-sum'], trailers.vary], [size || 1, expected, undefined]);
  }
});

test('100 (Continue) is sent when the origin’s connection takes the body, and not when nobody wants it', async () => {
  const stream = user.open('/echo', { ':method': 'POST', expect: '100-continue' }, true);
  await new Promise((resolve) => stream.once('continue', resolve));
  stream.end('body');
  const { informed, body } = await answerOf(stream);
  assert.deepEqual([informed, body], [[], 'body']);
  const refused = user.open('/a%2fb', { ':method': 'POST', expect: '100-continue' }, true);
  refused.once('continue', () => assert.fail('asked for a body that nobody wants'));
  assert.equal((await answerOf(refused)).status, 400);
});

test('an answer may come before the body is complete, and then the rest is not asked for', async () => {
  const stream = user.open('/early', { ':method': 'POST' }, true);
  stream.write('beginning');
  const { status, body } = await answerOf(stream);
  assert.deepEqual([status, body], [200, 'early']);
  assert.equal((await user.ask('/cached')).status, 200);
});

test('a stored answer of many flow-control windows arrives whole', async () => {
  const first = await user.ask('/cached/3000000');
  const second = await user.ask('/cached/3000000');
  assert.match(String(second.headers['cache-status']), /hit/);
  assert.ok(first.body.length === 3_000_000 && first.body === second.body);
});

/** Waits until `count` has stopped growing. */
async function settled(count: () => number): Promise<number> {
  for (let last = -1, same = 0; same < 20; ) {
    await setImmediate();
    same = count() === last ? same + 1 : 0;
    last = count();
  }
  return count();
}

test('a client that does not open its window holds the origin back, while others on the connection go on', async () => {
  const stream = user.open('/big');
  let length = 0;
  stream.pause();
  await until('the beginning', () => written > 0);
  assert.ok(
    (await settled(() => written)) < BUFFERED,
    `the origin wrote ${written} bytes to a client that reads nothing`,
  );
  assert.equal((await user.ask('/cached')).body, 'xxxxx');
  stream.on('data', (chunk: Buffer) => {
    length += chunk.length;
  });
  stream.resume();
  await new Promise((resolve) => stream.on('close', resolve));
  assert.equal(length, BIG);
});

test('an origin that does not read holds the client back, and gets every byte when it does', async () => {
  const stream = user.open('/hold/upload', { ':method': 'POST' }, true);
  let sent = 0;
  const more = (): void => {
    while (sent < BIG) {
      sent += CHUNK.length;
      if (!stream.write(CHUNK)) {
        stream.once('drain', more);
        return;
      }
    }
    stream.end();
  };
  more();
  const { req, res } = await heldAt('/hold/upload');
  assert.ok((await settled(() => sent)) < BUFFERED, `the client wrote ${sent} bytes to an origin that reads nothing`);
  let read = 0;
  req.on('data', (chunk: Buffer) => {
    read += chunk.length;
  });
  req.on('end', () => res.end(String(read)));
  assert.equal((await answerOf(stream)).body, String(BIG));
});

test('a client that cancels ends the request to the origin, and nothing else', async () => {
  const before = edge.ends.length;
  for (const code of [CODE.cancel, CODE.none, CODE.internal]) {
    const stream = user.open(`/hold/cancel/${code}`);
    stream.on('error', () => undefined);
    const { res } = await heldAt(`/hold/cancel/${code}`);
    let gone = false;
    res.on('close', () => {
      gone = true;
    });
    stream.close(code);
    await until('the end at the origin', () => gone);
  }
  assert.deepEqual(edge.ends.slice(before), ['client-gone', 'client-gone', 'client-gone']);
  assert.equal((await user.ask('/cached')).status, 200);
});

test('a body that a client breaks off, with whatever code, never looks whole to the origin', async () => {
  for (const code of [CODE.cancel, CODE.none, CODE.internal]) {
    const client = await FrameClient.connect(edge.port);
    const path = `/hold/middle/${code}`;
    const stream = client.request(get(path, [], { ':method': 'POST' }), FLAG.endHeaders);
    client.data(stream, 'half of the body');
    const { req } = await heldAt(path);
    let end = '';
    req.on('end', () => {
      end = 'whole';
    });
    req.on('close', () => {
      end ||= 'broken off';
    });
    const chunks: string[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk.toString()));
    await until('the half', () => chunks.join('') === 'half of the body');
    client.reset(stream, code);
    await until('the end at the origin', () => end !== '');
    assert.equal(end, 'broken off', `code ${code}`);
    client.destroy();
  }
});

test('a client that cancels in the middle of an answer ends the request to the origin', async () => {
  for (const code of [CODE.cancel, CODE.none]) {
    const stream = user.open(`/hold/answer/${code}`);
    stream.on('error', () => undefined);
    const { res } = await heldAt(`/hold/answer/${code}`);
    let gone = false;
    res.on('close', () => {
      gone = true;
    });
    res.write('half');
    await new Promise((resolve) => stream.once('data', resolve));
    stream.close(code);
    await until('the end at the origin', () => gone);
  }
});

test('an origin that breaks off has the stream reset, so that nobody takes the half for the whole', async () => {
  const client = await FrameClient.connect(edge.port);
  const stream = client.request(get('/hold/broken'));
  const { res } = await heldAt('/hold/broken');
  res.write('half');
  await until('the half', () => client.body(stream) === 'half');
  res.destroy();
  await until('the end', () => client.endOf(stream) !== undefined);
  assert.equal(client.endOf(stream), `reset ${CODE.internal}`);
  assert.equal(await client.outcome(client.request(get('/cached'))), '200');
  client.destroy();
});

test('a client that closes its connection ends all of its requests', async () => {
  for (const how of ['end', 'destroy'] as const) {
    const leaving = new Http2User(edge.port);
    const gone = new Set<string>();
    for (const path of [`/hold/a/${how}`, `/hold/b/${how}`]) {
      leaving.open(path).on('error', () => undefined);
      const { res } = await heldAt(path);
      res.on('close', () => gone.add(path));
    }
    // Its side of TLS and TCP, without a word of HTTP/2.
    if (how === 'end') leaving.socket.end();
    else leaving.socket.destroy();
    await until('the end of both at the origin', () => gone.size === 2);
  }
});

test('a connection that is idle is told to go away; one with a stream is not', async () => {
  const clock = new FakeClock();
  const idle = await startTlsEdge({ london: origin.address }, { clock, http2Limits: { idleMs: 10_000 } });
  const client = new Http2User(idle.port);
  await client.ask('/cached');
  clock.advance(9_000);
  const answer = client.ask('/hold/idle');
  const { res } = await heldAt('/hold/idle');
  clock.advance(30_000);
  res.end('after half a minute');
  assert.equal((await answer).body, 'after half a minute');
  clock.advance(9_000);
  await client.ask('/cached');
  assert.deepEqual(client.goaways, []);
  clock.advance(11_000);
  await until('GOAWAY', () => client.goaways.length > 0);
  assert.deepEqual([client.goaways[0], idle.refused], [0, []]);
});
