// Ten thousand clients that ask for one thing at the same moment, and clients that are slow, leave or are left alone by the origin,
// over real sockets.
import assert from 'node:assert/strict';
import type http from 'node:http';
import { after, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { startEdge, startOrigin } from '../../support/edge.ts';
import { Herd } from '../../support/herd.ts';
import { RawClient, request } from '../../support/raw-client.ts';
import { until } from '../../support/until.ts';

const CLIENTS = 10_000;
const LONG = 4 * 1024 * 1024;

setFlagsFromString('--expose-gc');
const collect: () => void = runInNewContext('gc');

/** Bytes of buffers, after a collection. */
function bytesHeld(): number {
  collect();
  return process.memoryUsage().arrayBuffers;
}

/** Requests that the origin has got and not answered, by target. */
const held = new Map<string, http.ServerResponse[]>();
const origin = await startOrigin((req, res) => {
  const target = req.url ?? '';
  held.set(target, [...(held.get(target) ?? []), res]);
});
const edge = await startEdge(
  { london: origin.address },
  { connections: CLIENTS + 100, headMs: 120_000, idleMs: 120_000 },
  {},
  { waitMs: 120_000 },
);

async function asked(target: string, times = 1): Promise<http.ServerResponse> {
  await until(`request ${times} for ${target}`, () => held.get(target)?.length === times);
  const res = held.get(target)?.at(-1);
  assert.ok(res);
  return res;
}

async function waiting(count: number): Promise<void> {
  await until(`${count} to wait`, () => edge.fills.stats().waiting === count);
}

const herd = await Herd.start(edge.port, CLIENTS);
after(() => herd.stop());

test('ten thousand at once for what is not stored: the origin is asked once, and all are answered', async () => {
  const result = herd.ask('/missing');
  const res = await asked('/missing');
  await waiting(CLIENTS - 1);
  res.setHeader('cache-control', 'max-age=60').end('found');
  const { answers, cache, broken } = await result;
  assert.deepEqual([answers, broken], [{ '200 found': CLIENTS }, 0]);
  const collapsed = Object.entries(cache).filter(([status]) => status.includes('; stored; collapsed; '));
  assert.equal(
    collapsed.reduce((sum, [, times]) => sum + times, 0),
    CLIENTS - 1,
  );
  assert.equal(held.get('/missing')?.length, 1);
});

test('ten thousand at once for what may be served stale: all are served at once, and the origin is asked once', async () => {
  const swr = { 'cache-control': 'max-age=60, stale-while-revalidate=600', etag: '"v1"' };
  const first = await RawClient.connect(edge.port);
  first.send(request('GET', '/stale'));
  (await asked('/stale')).writeHead(200, { ...swr, age: '100', 'content-length': 3 }).end('old');
  await first.response();
  const { answers, cache } = await herd.ask('/stale');
  assert.deepEqual(answers, { '200 old': CLIENTS });
  assert.ok(Object.keys(cache).every((status) => status.endsWith('detail=stale-while-revalidate')));
  const res = await asked('/stale', 2);
  assert.equal(res.req.headers['if-none-match'], '"v1"');
  res.writeHead(304, swr).end();
  await until('the refresh', () => edge.fills.stats().fills === 0);
  assert.match((await first.ask(request('GET', '/stale'))).fields.join(), /; hit; ttl=/);
  assert.equal(held.get('/stale')?.length, 2);
  first.destroy();
});

test('slow clients hold up neither the others nor the origin, and one copy of the body is kept for all of them', async () => {
  const slow = await Promise.all(Array.from({ length: 8 }, () => RawClient.connect(edge.port)));
  for (const client of slow) {
    client.socket.pause();
    client.send(request('GET', '/long'));
  }
  const res = await asked('/long');
  const quick = await RawClient.connect(edge.port);
  quick.send(request('GET', '/long'));
  await waiting(8);
  res.writeHead(200, { 'cache-control': 'max-age=60', 'content-length': LONG });
  const before = bytesHeld();
  res.write(Buffer.alloc(LONG / 2, 'x'));
  res.end(Buffer.alloc(LONG / 2, 'y'));
  assert.equal((await quick.response()).body.length, LONG);
  quick.destroy();
  await until('the end of the fill', () => edge.fills.stats().fills === 0);
  // The collector gives back what it has found in its own time.
  await until('little to be held for 8 clients that read nothing', () => bytesHeld() - before < LONG * 4, 20_000);
  for (const client of slow) {
    client.socket.resume();
    const { body } = await client.response();
    assert.ok(body.length === LONG && body.startsWith('xx') && body.endsWith('yy'));
    client.destroy();
  }
  assert.equal(held.get('/long')?.length, 1);
});

test('the client that caused it leaves, and the others get all of it', async () => {
  const [first, second] = [await RawClient.connect(edge.port), await RawClient.connect(edge.port)];
  first.send(request('GET', '/left'));
  const res = await asked('/left');
  second.send(request('GET', '/left'));
  await waiting(1);
  const ends = edge.ends.length;
  first.destroy();
  await until('the client to be missed', () => edge.ends.length === ends + 1);
  res.writeHead(200, { 'cache-control': 'max-age=60', 'content-length': LONG }).end(Buffer.alloc(LONG, 'x'));
  assert.equal((await second.response()).body.length, LONG);
  assert.equal((await second.ask(request('GET', '/left'))).body.length, LONG);
  second.destroy();
});

test('an origin that dies in mid-body leaves nobody with a whole answer, and nothing in the cache', async () => {
  const clients = await Promise.all(Array.from({ length: 5 }, () => RawClient.connect(edge.port)));
  for (const client of clients) client.send(request('GET', '/dies'));
  const res = await asked('/dies');
  await waiting(4);
  res.writeHead(200, { 'cache-control': 'max-age=60', 'content-length': LONG });
  res.write(Buffer.alloc(LONG / 2, 'x'));
  await until('the half', () => clients.every(({ unread }) => unread.length > LONG / 2));
  res.destroy();
  for (const client of clients) {
    await until('the connection to be closed', () => client.isClosed);
    assert.ok(client.unread.length < LONG);
  }
  assert.equal(edge.cache.find('http://demo.example/dies').length, 0);
});

test('a purge in the middle of a fill: who comes after it is not answered by it', async () => {
  const [before, later] = [await RawClient.connect(edge.port), await RawClient.connect(edge.port)];
  before.send(request('GET', '/purged'));
  const old = await asked('/purged');
  edge.barrier.apply({ sequence: 1, targets: [{ target: { $case: 'all', value: {} } }], soft: false });
  later.send(request('GET', '/purged'));
  const fresh = await asked('/purged', 2);
  old.setHeader('cache-control', 'max-age=60').end('old');
  fresh.setHeader('cache-control', 'max-age=60').end('new');
  assert.deepEqual([(await before.response()).body, (await later.response()).body], ['old', 'new']);
  assert.equal((await before.ask(request('GET', '/purged'))).body, 'new');
  for (const client of [before, later]) client.destroy();
});

test('what is not to be stored is asked for by each', async () => {
  const clients = await Promise.all(Array.from({ length: 20 }, () => RawClient.connect(edge.port)));
  for (const client of clients) client.send(request('GET', '/private'));
  const first = await asked('/private');
  await waiting(19);
  first.setHeader('cache-control', 'private').end('mine');
  await asked('/private', 20);
  for (const res of held.get('/private')?.slice(1) ?? []) res.setHeader('cache-control', 'private').end('mine');
  for (const client of clients) {
    assert.equal((await client.response()).body, 'mine');
    client.destroy();
  }
});
