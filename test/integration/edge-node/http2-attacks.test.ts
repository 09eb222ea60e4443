// Frames that no honest client sends, over real sockets: each is refused, dropped or ends its connection, and the edge goes on
// answering others.
import assert from 'node:assert/strict';
import type http from 'node:http';
import { test } from 'node:test';
import { countField, field } from '../../../edge-node/decide/fields.ts';
import type { Http2Limits } from '../../../edge-node/io/http2/shared.ts';
import { seededRandom } from '../../../infra/runtime/random.ts';
import { startOrigin } from '../../support/edge.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import {
  block,
  CODE,
  FLAG,
  FrameClient,
  frame,
  get,
  SETTING,
  settings,
  TYPE,
  uint32,
} from '../../support/http2-frames.ts';
import { Http2User, startTlsEdge, type TlsEdge } from '../../support/tls-edge.ts';
import { until } from '../../support/until.ts';

/** Requests under /hold that wait for their answer. */
const held: http.ServerResponse[] = [];
let gone = 0;

const origin = await startOrigin((req, res) => {
  const path = req.url ?? '';
  req.on('error', () => undefined);
  res.on('close', () => {
    if (!res.writableFinished) gone += 1;
  });
  if (path.startsWith('/hold')) {
    held.push(res);
    req.resume();
  } else if (path.startsWith('/cached')) {
    res.setHeader('cache-control', 'max-age=60').end('x'.repeat(Number(path.split('/')[2] ?? 5)));
  } else if (path.startsWith('/endless')) {
    const more = (): void => {
      while (res.write('x'.repeat(16_384)));
    };
    res.on('drain', more);
    more();
  } else {
    req.resume();
    req.on('end', () => res.end('answered'));
  }
});
const origins = { london: origin.address };
const edge = await startTlsEdge(origins);
const honest = new Http2User(edge.port);

/** Runs `act` on a connection of its own, and checks afterwards that others are served. */
async function attack(act: (client: FrameClient) => Promise<void>, on: TlsEdge = edge, values = {}): Promise<void> {
  const client = await FrameClient.connect(on.port, values);
  await act(client);
  client.destroy();
  assert.equal((await honest.ask('/cached')).status, 200);
}

/** What becomes of a request, and that no origin hears of it. */
async function assertOutcome(fields: readonly string[], expected: string, name = String(fields)): Promise<void> {
  const before = origin.received.length;
  const client = await FrameClient.connect(edge.port);
  assert.equal(await client.outcome(client.request(fields)), expected, name);
  // The connection goes on.
  assert.equal(await client.outcome(client.request(get('/cached'))), '200', name);
  client.destroy();
  assert.deepEqual(
    origin.received.slice(before).filter(({ target }) => target !== '/cached'),
    [],
    name,
  );
}

const RESET = `reset ${CODE.protocol}`;

test('fields of the connection are no fields of HTTP/2: the stream is reset', async () => {
  const fields = { connection: 'close', 'keep-alive': '1', 'proxy-connection': 'close', upgrade: 'x', te: 'gzip' };
  for (const pair of Object.entries(fields)) await assertOutcome(get('/', pair), RESET);
  await assertOutcome(get('/', ['transfer-encoding', 'chunked'], { ':method': 'POST' }), RESET);
});

test('pseudo-fields that are missing, doubled, late, unknown or malformed: the stream is reset', async () => {
  for (const name of [':method', ':scheme', ':path', ':authority'])
    await assertOutcome(get('/', [], { [name]: undefined }), RESET);
  for (const name of [':method', ':scheme', ':path', ':authority']) await assertOutcome(get('/', [name, '/b']), RESET);
  await assertOutcome(get('/', ['accept', '*/*', ':path', '/b'], { ':path': undefined }), RESET);
  await assertOutcome(get('/', [], { ':status': '200' }), RESET);
  await assertOutcome(get('/', [], { ':unknown': 'x' }), RESET);
  for (const path of ['', 'a', '*', 'https://demo.example/', '/a b', '/a\r\nx: y', '/\0'])
    await assertOutcome(get(path), RESET);
  for (const authority of ['user@demo.example', 'demo.example\r\nx: y', 'a b']) {
    await assertOutcome(get('/', [], { ':authority': authority }), RESET);
  }
  // Extended CONNECT (RFC 8441) was not offered.
  await assertOutcome(get('/', [], { ':method': 'CONNECT', ':protocol': 'websocket' }), RESET);
});

test('names in upper case: the stream is reset', async () => {
  await assertOutcome(get('/', ['X-A', '1']), RESET);
});

test('fields whose name or value cannot be one never reach an origin', async () => {
  const client = await FrameClient.connect(edge.port);
  const bad = ['x a', '1', 'x-a', 'a\r\nx-b: c', 'x-c', 'a\0b', 'x-d', ' a', 'x-e', 'a\n', 'x:f', '1', '', '1'];
  await client.outcome(client.request(get('/bad', ['x-good', '1', ...bad])));
  client.destroy();
  const { fields } = origin.received.findLast(({ target }) => target === '/bad') ?? assert.fail();
  assert.equal(field(fields, 'x-good'), '1');
  assert.deepEqual(
    fields.filter((name, i) => i % 2 === 0 && (name.startsWith('x-') || name.startsWith('x '))),
    ['x-good', 'x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host'],
  );
});

test('Host doubled: reset; contradicting :authority: 400; host or scheme of another connection: 421', async () => {
  await assertOutcome(get('/', ['host', 'demo.example', 'host', 'demo.example']), RESET);
  await assertOutcome(get('/', ['host', 'a', 'host', 'b'], { ':authority': undefined }), RESET);
  await assertOutcome(get('/', ['host', 'other.example']), '400');
  await assertOutcome(get('/', [], { ':authority': 'other.example' }), '421');
  await assertOutcome(get('/', ['host', 'other.example'], { ':authority': undefined }), '421');
  await assertOutcome(get('/', [], { ':scheme': 'http' }), '421');
});

test('methods and targets that HTTP/1 refuses are refused', async () => {
  await assertOutcome([':method', 'CONNECT', ':authority', 'demo.example:443'], '405');
  await assertOutcome(get('/', [], { ':method': 'TRACE' }), '405');
  await assertOutcome(get('*', [], { ':method': 'OPTIONS' }), '400');
  for (const path of ['/a%2fb', '/%00', '/a\\b', '/..;/a', '/a#b', '/%']) await assertOutcome(get(path), '400');
  await assertOutcome(get(`/${'a'.repeat(9_000)}`), '414');
});

test('a Content-Length that is doubled, malformed or not that of the body never looks whole to an origin', async () => {
  for (const value of ['+5', '-1', '0x5', '5 5', '', '5,5']) {
    await assertOutcome(get('/', ['content-length', value], { ':method': 'POST' }), RESET);
  }
  await assertOutcome(get('/', ['content-length', '5', 'content-length', '5'], { ':method': 'POST' }), RESET);
  await assertOutcome(get('/', ['content-length', '5'], { ':method': 'POST' }), RESET);
  for (const [declared, body, expected] of [
    ['5', 'abc', [RESET]],
    // nghttp2 takes more data than was declared for an attack on the connection.
    ['2', 'abc', ['closed 1', 'closed 2', 'closed ']],
  ] as const) {
    const answered = edge.ends.filter((end) => end === 'complete').length;
    const client = await FrameClient.connect(edge.port);
    const stream = client.request(get('/', ['content-length', declared], { ':method': 'POST' }), FLAG.endHeaders);
    client.data(stream, body, true);
    const outcome = await client.outcome(stream);
    assert.ok((expected as readonly string[]).includes(outcome), outcome);
    assert.equal(edge.ends.filter((end) => end === 'complete').length, answered);
    client.destroy();
  }
});

test('trailers with pseudo-fields, or without an end: the stream is reset', async () => {
  for (const [flags, trailers] of [
    [FLAG.endHeaders | FLAG.endStream, [':path', '/b']],
    [FLAG.endHeaders, ['x-a', '1']],
  ] as const) {
    const client = await FrameClient.connect(edge.port);
    const stream = client.request(get('/', [], { ':method': 'POST' }), FLAG.endHeaders);
    client.data(stream, 'body');
    client.send(frame(TYPE.headers, flags, stream, block(trailers)));
    assert.equal(await client.outcome(stream), RESET);
    client.destroy();
  }
});

test('too many fields, or too many bytes of them: 431; far too many: the stream is reset', async () => {
  const fields = (count: number, length: number) =>
    Array.from({ length: 2 * count }, (_, i) => (i % 2 === 0 ? `x-${i}` : 'v'.repeat(length)));
  await assertOutcome(get('/', fields(125, 1)), '431', '129 fields');
  await assertOutcome(get('/', fields(10, 3_500)), '431', '35 kB');
  await assertOutcome(get('/', fields(300, 1)), `reset ${CODE.calm}`, '304 fields');
  await assertOutcome(get('/', fields(20, 3_500)), `reset ${CODE.calm}`, '70 kB');
  // The limit itself is not too many.
  const client = await FrameClient.connect(edge.port);
  assert.equal(await client.outcome(client.request(get('/limit', fields(124, 1)))), '200');
  assert.equal(countField(origin.received.at(-1)?.fields ?? [], 'x-2'), 1);
  client.destroy();
});

/** Asserts that the connection ends, with GOAWAY if the client can still see it. */
async function assertEnds(client: FrameClient, code?: number): Promise<void> {
  await client.ended();
  if (code !== undefined && client.goaway !== undefined) assert.equal(client.goaway, code);
}

test('frames out of place, too long or undecodable end the connection', async () => {
  const cases: Record<string, Buffer> = {
    'HPACK that is none': frame(TYPE.headers, FLAG.endHeaders | FLAG.endStream, 1, Buffer.alloc(5, 0xff)),
    'a frame of 20,000 bytes': frame(TYPE.headers, FLAG.endHeaders | FLAG.endStream, 1, Buffer.alloc(20_000)),
    'a stream of the server': frame(TYPE.headers, FLAG.endHeaders | FLAG.endStream, 2, block(get())),
    'data on no stream': frame(TYPE.data, FLAG.endStream, 9, Buffer.from('x')),
    'a push': frame(TYPE.pushPromise, FLAG.endHeaders, 1, Buffer.concat([uint32(2), block(get())])),
    'a window of more than there are numbers': frame(TYPE.windowUpdate, 0, 0, uint32(0x7fff_ffff)),
    'a window that does not grow': frame(TYPE.windowUpdate, 0, 0, uint32(0)),
    'settings of a wrong length': frame(TYPE.settings, 0, 0, Buffer.alloc(5)),
    'a ping of a wrong length': frame(TYPE.ping, 0, 0, Buffer.alloc(7)),
    'a continuation of nothing': frame(TYPE.continuation, FLAG.endHeaders, 1, block(get())),
    'a reset of no stream': frame(TYPE.rstStream, 0, 1, uint32(8)),
  };
  for (const [name, bytes] of Object.entries(cases)) {
    await attack(async (client) => {
      client.send(bytes);
      await until(`the end after ${name}`, () => client.closed);
    });
  }
});

/** An edge with small budgets. */
const limited: Partial<Http2Limits> = {
  resets: 20,
  resetsPerSecond: 1,
  controls: 50,
  controlsPerSecond: 1,
  invalidFrames: 100,
  streams: 50,
};
const small = await startTlsEdge(origins, { http2Limits: limited });

/** A new request to the origin after the last `held` one. */
async function holds(count: number): Promise<void> {
  await until(`${count} held requests`, () => held.length >= count);
}

test('rapid reset: a budget of streams that are broken off, then the end; origins are let go', async () => {
  held.length = 0;
  gone = 0;
  await attack(async (client) => {
    for (let i = 0; i < 1_000 && !client.closed; i += 1) {
      client.reset(client.request(get(`/hold/${i}`)));
      if (i % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await assertEnds(client);
  }, small);
  assert.ok(held.length <= 30, `${held.length} requests reached the origin`);
  await until('the end of all at the origin', () => gone === held.length);
});

test('rapid reset of what is answered from the cache is no cheaper', async () => {
  await honest.ask('/cached');
  await attack(async (client) => {
    for (let i = 0; i < 1_000 && !client.closed; i += 1) {
      client.reset(client.request(get('/cached')));
      if (i % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await assertEnds(client);
  }, small);
});

test('resets that the client makes the server send count as well', async () => {
  held.length = 0;
  gone = 0;
  await attack(async (client) => {
    for (let i = 0; i < 1_000 && !client.closed; i += 1) {
      const stream = client.request(get(`/hold/${i}`, [], { ':method': 'POST' }), FLAG.endHeaders);
      // Trailers that do not end the stream: a stream error.
      client.send(frame(TYPE.headers, FLAG.endHeaders, stream, block(['x-a', '1'])));
      if (i % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await assertEnds(client);
  }, small);
  assert.ok(held.length <= 60, `${held.length} requests reached the origin`);
  await until('the end of all at the origin', () => gone === held.length);
});

test('a client within its budget of resets goes on', async () => {
  await attack(async (client) => {
    for (let i = 0; i < 15; i += 1) {
      client.reset(client.request(get(`/hold/${i}`)));
      assert.equal(await client.outcome(client.request(get('/cached'))), '200');
    }
  }, small);
});

test('more streams than allowed end the connection, and no more than allowed reach the origin', async () => {
  held.length = 0;
  await attack(async (client) => {
    for (let i = 0; i < 200; i += 1) client.request(get(`/hold/${i}`));
    await assertEnds(client);
  }, small);
  assert.ok(held.length <= 50, `${held.length} requests reached the origin`);
});

test('CONTINUATION without end, with or without fields, ends the connection', async () => {
  for (const fields of [['x-a', 'b'], []]) {
    await attack(async (client) => {
      client.send(frame(TYPE.headers, FLAG.endStream, client.stream(), block(get())));
      for (let i = 0; i < 20; i += 1) client.send(frame(TYPE.continuation, 0, 1, block(fields)));
      await assertEnds(client, CODE.internal);
    });
  }
});

test('floods of PING, SETTINGS and empty DATA end the connection', async () => {
  const floods: Record<string, (stream: number) => Buffer> = {
    ping: () => frame(TYPE.ping, 0, 0, Buffer.alloc(8)),
    settings: () => settings(),
    'settings with values': () => settings({ [SETTING.initialWindowSize]: 1 }),
    'empty data': (stream) => frame(TYPE.data, 0, stream),
  };
  for (const [name, make] of Object.entries(floods)) {
    await attack(async (client) => {
      const stream = client.request(get('/hold', [], { ':method': 'POST' }), FLAG.endHeaders);
      for (let i = 0; i < 200; i += 1) client.send(make(stream));
      await until(`the end after a flood: ${name}`, () => client.closed);
    }, small);
  }
  assert.ok(small.refused.some((reason) => reason.startsWith('http2-flood: too many PING')));
  assert.ok(small.refused.some((reason) => reason.startsWith('http2-session: ')));
});

test('floods of frames that mean nothing end the connection, too', async () => {
  const frames = {
    priority: frame(TYPE.priority, 0, 3, Buffer.from([0, 0, 0, 5, 1])),
    'an unknown type': frame(0x77, 0xff, 0, Buffer.alloc(20)),
  };
  for (const [name, one] of Object.entries(frames)) {
    const many = Buffer.concat(Array.from({ length: 1_000 }, () => one));
    await attack(async (client) => {
      for (let i = 0; i < 15; i += 1) client.send(many);
      await until(`the end after a flood: ${name}`, () => client.closed);
    });
  }
});

test('a window that opens byte by byte costs nothing', async () => {
  await attack(async (client) => {
    client.send(Buffer.concat(Array.from({ length: 30_000 }, () => frame(TYPE.windowUpdate, 0, 0, uint32(1)))));
    assert.equal(await client.outcome(client.request(get('/cached'))), '200');
  });
});

test('a client that never opens its window is cut off when time is up, and so is the request to the origin', async () => {
  const clock = new FakeClock();
  const timed = await startTlsEdge(origins, { clock, http2Limits: { writeMs: 10_000 } });
  for (const path of ['/cached', '/cached/400000', '/endless']) {
    gone = 0;
    const ends = timed.ends.length;
    const client = await FrameClient.connect(timed.port, { [SETTING.initialWindowSize]: 0 });
    const stream = client.request(get(path));
    assert.equal(await client.outcome(stream), '200');
    clock.advance(9_000);
    // Progress is time.
    client.send(frame(TYPE.windowUpdate, 0, stream, uint32(path === '/endless' ? 40_000 : 3)));
    await until('a part', () => client.body(stream).length >= 3);
    if (path === '/endless') {
      clock.advance(9_000);
      assert.equal(client.endOf(stream), undefined, path);
    }
    clock.advance(11_000);
    await until('the end', () => client.endOf(stream) !== undefined);
    assert.match(client.endOf(stream) ?? '', /^reset /, path);
    if (path === '/endless') await until('the end at the origin', () => gone === 1);
    assert.equal(timed.ends.length, ends + 1);
    assert.equal(timed.refused.at(-1), 'slow-client: took nothing of its answer in time');
    client.destroy();
  }
});

test('a client that never reads from its socket is cut off when time is up', async () => {
  const clock = new FakeClock();
  const timed = await startTlsEdge(origins, {
    clock,
    http2Limits: { writeMs: 10_000, idleMs: 10_000, lingerMs: 1_000 },
  });
  await new Http2User(timed.port).ask('/cached/1000000');
  gone = 0;
  const client = await FrameClient.connect(timed.port, { [SETTING.initialWindowSize]: 0x7fff_ffff });
  client.send(frame(TYPE.windowUpdate, 0, 0, uint32(0x7fff_0000)));
  client.socket.pause();
  for (let i = 0; i < 20; i += 1) client.request(get('/cached/1000000'));
  client.request(get('/endless'));
  await until('answers that wait', () => timed.ends.length === 21 && origin.received.at(-1)?.target === '/endless');
  // One sweep to see what stands still, the time it is given, and then that of a connection without streams.
  for (let i = 0; i < 60 && gone === 0; i += 1) {
    clock.advance(1_000);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await until('the end at the origin', () => gone === 1);
  for (let i = 0; i < 20; i += 1) {
    clock.advance(1_000);
    await new Promise((resolve) => setImmediate(resolve));
  }
  client.socket.resume();
  await client.ended();
});

test('a body that does not come, or drips, is cut off when time is up', async () => {
  const clock = new FakeClock();
  const timed = await startTlsEdge(origins, { clock, http2Limits: { bodyMs: 10_000, bodyBytesPerSecond: 100 } });
  for (const drip of [false, true]) {
    gone = 0;
    held.length = 0;
    const client = await FrameClient.connect(timed.port);
    const stream = client.request(get('/hold', [], { ':method': 'POST' }), FLAG.endHeaders);
    client.data(stream, 'x');
    await holds(1);
    for (let i = 0; i < 12; i += 1) {
      // A tenth of what is asked for.
      if (drip) client.data(stream, 'x'.repeat(10));
      await new Promise((resolve) => setImmediate(resolve));
      clock.advance(1_000);
    }
    await until('the end', () => client.endOf(stream) !== undefined);
    assert.match(client.endOf(stream) ?? '', /^reset /);
    await until('the end at the origin', () => gone === 1);
    assert.equal(timed.refused.at(-1), 'slow-client: sent no more of its request in time');
    client.destroy();
  }
});

test('a head that never ends, and a connection that says nothing, are closed as idle', async () => {
  const clock = new FakeClock();
  const timed = await startTlsEdge(origins, { clock, http2Limits: { idleMs: 10_000, lingerMs: 1_000 } });
  const client = await FrameClient.connect(timed.port);
  client.send(frame(TYPE.headers, FLAG.endStream, client.stream(), block(get())));
  await new Promise((resolve) => setImmediate(resolve));
  clock.advance(11_000);
  await until('GOAWAY', () => client.goaway !== undefined);
  assert.equal(client.goaway, CODE.none);
  clock.advance(2_000);
  clock.advance(2_000);
  await client.ended();
});

test('random bytes and mutated frames end connections, never the edge', async () => {
  const random = seededRandom(11);
  const byte = () => Math.floor(random.next() * 256);
  const valid = Buffer.concat([
    frame(TYPE.headers, FLAG.endHeaders | FLAG.endStream, 1, block(get('/cached', ['accept', '*/*']))),
    frame(TYPE.windowUpdate, 0, 0, uint32(1_000)),
    frame(TYPE.headers, FLAG.endHeaders, 3, block(get('/', ['content-length', '4'], { ':method': 'POST' }))),
    frame(TYPE.data, FLAG.endStream, 3, Buffer.from('body')),
    frame(TYPE.ping, 0, 0, Buffer.alloc(8)),
    settings({ [SETTING.initialWindowSize]: 100_000 }),
  ]);
  for (let round = 0; round < 150; round += 1) {
    const client = await FrameClient.connect(edge.port);
    const bytes = round % 3 === 0 ? Buffer.from(Array.from({ length: 2_000 }, byte)) : Buffer.from(valid);
    if (round % 3 !== 0) {
      for (let i = 0; i <= round % 4; i += 1) bytes.writeUInt8(byte(), Math.floor(random.next() * bytes.length));
    }
    client.send(bytes);
    client.socket.end();
    await client.ended();
  }
  assert.equal((await honest.ask('/cached')).status, 200);
});

test('after all of this no connection is left over', async () => {
  honest.session.destroy();
  await edge.tls.stop(60_000);
  await small.tls.stop(60_000);
});
