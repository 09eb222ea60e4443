// The demonstration origin, asked over real sockets: it must itself be a correct HTTP/1.1 origin.
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { type DemoOrigin, startDemoOrigin } from '../../../cli/stack/origin.ts';
import { systemClock } from '../../../infra/runtime/clock.ts';

let origin: DemoOrigin;
let base: string;

before(async () => {
  origin = await startDemoOrigin({ name: 'london', city: 'London', host: '127.0.0.1', port: 0, clock: systemClock });
  base = `http://127.0.0.1:${origin.port}`;
});

after(() => origin.close());

test('it says who it is, for how long that is fresh, and by which validators to ask again', async () => {
  const response = await fetch(`${base}/hello?x=1`);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get('x-origin'), 'london');
  assert.equal(response.headers.get('cache-control'), 'public, max-age=60');
  assert.ok(response.headers.get('etag') && response.headers.get('last-modified'));
  const body = await response.json();
  assert.ok(typeof body === 'object' && body !== null && 'generated' in body);
  assert.deepEqual({ ...body, generated: '' }, { origin: 'london', city: 'London', path: '/hello?x=1', generated: '' });
});

test('a conditional request for what it has is answered 304, for anything else in full', async () => {
  const first = await fetch(`${base}/hello`);
  await first.arrayBuffer();
  const etag = first.headers.get('etag') ?? '';
  const modified = first.headers.get('last-modified') ?? '';
  const ask = async (headers: Record<string, string>) => {
    const response = await fetch(`${base}/hello`, { headers });
    await response.arrayBuffer();
    return response.status;
  };
  assert.equal(await ask({ 'if-none-match': etag }), 304);
  assert.equal(await ask({ 'if-none-match': `"other", W/${etag}` }), 304);
  assert.equal(await ask({ 'if-none-match': '"other"' }), 200);
  assert.equal(await ask({ 'if-modified-since': modified }), 304);
  assert.equal(await ask({ 'if-modified-since': 'Thu, 01 Jan 1970 00:00:00 GMT' }), 200);
  assert.equal(await ask({ 'if-none-match': '"other"', 'if-modified-since': modified }), 200, 'the tag decides');
});

test('HEAD gives the head alone', async () => {
  const response = await fetch(`${base}/bytes/1000`, { method: 'HEAD' });
  assert.equal(response.headers.get('content-length'), '1000');
  assert.equal((await response.arrayBuffer()).byteLength, 0);
});

test('/bytes/N streams exactly N bytes', async () => {
  for (const count of [0, 1, 65_536, 65_537, 1_000_000]) {
    const response = await fetch(`${base}/bytes/${count}`);
    assert.equal((await response.arrayBuffer()).byteLength, count);
  }
});

test('/private, /status/N and /healthz are what they say', async () => {
  assert.equal((await fetch(`${base}/private`)).headers.get('cache-control'), 'private, max-age=60');
  assert.equal((await fetch(`${base}/status/503`)).status, 503);
  assert.equal((await fetch(`${base}/status/204`)).status, 204);
  assert.equal(await (await fetch(`${base}/healthz`)).text(), 'ok\n');
});

test('/slow answers after the time asked for', async () => {
  const began = performance.now();
  const response = await fetch(`${base}/slow?ms=50`);
  assert.equal(response.status, 200);
  assert.ok(performance.now() - began >= 45);
});

test('/echo shows what reached it', async () => {
  const response = await fetch(`${base}/echo?q`, { method: 'POST', body: 'hello', headers: { 'x-asked': 'yes' } });
  const body = await response.json();
  assert.ok(typeof body === 'object' && body !== null && 'headers' in body && 'body' in body && 'bytes' in body);
  assert.equal(body.body, 'hello');
  assert.equal(body.bytes, 5);
  assert.ok(typeof body.headers === 'object' && body.headers !== null && 'x-asked' in body.headers);
});

test('a body longer than is echoed is counted and left out', async () => {
  const response = await fetch(`${base}/echo`, { method: 'POST', body: 'x'.repeat(100_000) });
  const body = await response.json();
  assert.ok(typeof body === 'object' && body !== null && 'bytes' in body);
  assert.equal(body.bytes, 100_000);
  assert.ok(!('body' in body));
});

test('numbers out of range and methods that it does not know are refused', async () => {
  const numbers = ['/bytes/1073741825', '/bytes/x', '/bytes/-1', '/bytes', '/status/99', '/status/600', '/slow?ms=x'];
  for (const path of numbers) assert.equal((await fetch(base + path)).status, 400, path);
  const response = await fetch(`${base}/hello`, { method: 'DELETE' });
  assert.equal(response.status, 405);
  assert.equal(response.headers.get('allow'), 'GET, HEAD');
});

test('a client that goes away in the middle of a body leaves the origin well', async () => {
  const socket = connect(origin.port, '127.0.0.1');
  socket.write('GET /bytes/1073741824 HTTP/1.1\r\nHost: x\r\n\r\n');
  await new Promise((resolve) => socket.once('data', resolve));
  socket.destroy();
  assert.equal((await fetch(`${base}/healthz`)).status, 200);
});

test('closing ends idle connections at once', async () => {
  const other = await startDemoOrigin({ name: 'a', city: 'A', host: '127.0.0.1', port: 0, clock: systemClock });
  await (await fetch(`http://127.0.0.1:${other.port}/hello`)).arrayBuffer();
  const began = performance.now();
  await other.close();
  assert.ok(performance.now() - began < 900);
});

test('a port in use rejects', async () => {
  const options = { name: 'a', city: 'A', host: '127.0.0.1', port: origin.port, clock: systemClock };
  await assert.rejects(startDemoOrigin(options), { code: 'EADDRINUSE' });
});
