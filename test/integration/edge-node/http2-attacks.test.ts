// Frames that no honest client sends, over real sockets: each is refused, dropped or ends its connection, and the edge goes on
// answering others.
import assert from 'node:assert/strict';
import type http from 'node:http';
import { test } from 'node:test';
import type { Http2Limits } from '../../../edge-node/io/http2/shared.ts';
import { seededRandom } from '../../../infra/runtime/random.ts';
import { startOrigin } from '../../support/edge.ts';
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
  idleFrames: 100,
  idleFramesPerSecond: 1,
  streams: 50,
};
const small = await startTlsEdge(origins, { http2Limits: limited });

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
      await assertEnds(client, CODE.calm);
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
  assert.ok(small.refused.some((reason) => reason.startsWith('http2-flood: too many frames that say nothing')));
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
