// Clients that take their time, over HTTP/2: with their window, their socket, their body or their head. Each has a deadline, and
// whom it kept waiting is let go.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startOrigin } from '../../support/edge.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { block, CODE, FLAG, FrameClient, frame, get, SETTING, TYPE, uint32 } from '../../support/http2-frames.ts';
import { Http2User, startTlsEdge } from '../../support/tls-edge.ts';
import { until } from '../../support/until.ts';

/** Requests under /hold that wait for their answer, and answers that were broken off. */
let held = 0;
let gone = 0;

const origin = await startOrigin((req, res) => {
  const path = req.url ?? '';
  req.on('error', () => undefined);
  res.on('close', () => {
    if (!res.writableFinished) gone += 1;
  });
  if (path.startsWith('/hold')) {
    held += 1;
    req.resume();
  } else if (path.startsWith('/cached')) {
    res.setHeader('cache-control', 'max-age=60').end('x'.repeat(Number(path.split('/')[2] ?? 5)));
  } else {
    const more = (): void => {
      while (res.write('x'.repeat(16_384)));
    };
    res.on('drain', more);
    more();
  }
});
const origins = { london: origin.address };

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
    held = 0;
    const client = await FrameClient.connect(timed.port);
    const stream = client.request(get('/hold', [], { ':method': 'POST' }), FLAG.endHeaders);
    client.data(stream, 'x');
    await until('the request', () => held === 1);
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
