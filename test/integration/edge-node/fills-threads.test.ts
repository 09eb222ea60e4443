// Many clients of several threads that ask for one thing at the same moment: the threads ask the origin once.
import assert from 'node:assert/strict';
import type http from 'node:http';
import { test } from 'node:test';
import { startOrigin } from '../../support/edge.ts';
import { Herd } from '../../support/herd.ts';
import { request } from '../../support/raw-client.ts';
import { demo, Node } from '../../support/threads.ts';
import { until } from '../../support/until.ts';

const CLIENTS = 1_000;

/** Requests that the origin has got, by target. */
const held = new Map<string, http.ServerResponse[]>();
const origin = await startOrigin((req, res) => {
  const target = req.url ?? '';
  if (target === '/health') res.end();
  else held.set(target, [...(held.get(target) ?? []), res]);
});

async function asked(target: string): Promise<http.ServerResponse> {
  await until(`a request for ${target}`, () => held.has(target));
  const res = held.get(target)?.at(-1);
  assert.ok(res);
  return res;
}

test('a thousand at once over three threads are answered by one request to the origin', async (t) => {
  const node = await Node.start(t, demo(1, { london: origin.address }), { threads: 3 });
  const herd = await Herd.start(node.edge.port, CLIENTS);
  t.after(() => herd.stop());
  const result = herd.ask('/herd');
  const res = await asked('/herd');
  // Who comes only after it is answered too: from the cache.
  res.writeHead(200, { 'cache-control': 'max-age=60', 'content-length': 5 }).end('found');
  const { answers, broken } = await result;
  assert.deepEqual([answers, broken], [{ '200 found': CLIENTS }, 0]);
  assert.equal(held.get('/herd')?.length, 1);
});

test('what may not be stored is asked for by each, on whatever thread', async (t) => {
  const node = await Node.start(t, demo(1, { london: origin.address }));
  const clients = [await node.clientOf(1), await node.clientOf(2), await node.clientOf(2)];
  for (const client of clients) client.send(request('GET', '/private'));
  const first = await asked('/private');
  first.writeHead(200, { 'cache-control': 'private', 'content-length': 1 }).end('x');
  await until('the others', () => held.get('/private')?.length === clients.length);
  for (const res of held.get('/private')?.slice(1) ?? []) res.writeHead(200, { 'content-length': 1 }).end('x');
  for (const client of clients) assert.equal((await client.response()).body, 'x');
});

test('a thread that dies leaves nobody waiting', async (t) => {
  const node = await Node.start(t, demo(1, { london: origin.address }));
  const [first, second] = [await node.clientOf(1), await node.clientOf(2)];
  first.send(request('GET', '/dies'));
  await asked('/dies');
  second.send(request('GET', '/dies'));
  node.fail(1, 'throw');
  await until('the second to ask', () => held.get('/dies')?.length === 2);
  held.get('/dies')?.[1]?.writeHead(200, { 'cache-control': 'max-age=60', 'content-length': 5 }).end('found');
  assert.equal((await second.response()).body, 'found');
});

test('what one thread was told to forget while another fetched it is not stored', async (t) => {
  const node = await Node.start(t, demo(1, { london: origin.address }));
  const [reader, writer] = [await node.clientOf(1), await node.clientOf(2)];
  reader.send(request('GET', '/changed'));
  const old = await asked('/changed');
  writer.send(request('POST', '/changed', 'Content-Length: 0'));
  await until('the change', () => held.get('/changed')?.length === 2);
  held.get('/changed')?.[1]?.writeHead(204).end();
  assert.equal((await writer.response()).status, 204);
  old.writeHead(200, { 'cache-control': 'max-age=60', 'content-length': 3 }).end('old');
  assert.equal((await reader.response()).body, 'old');
  writer.send(request('GET', '/changed'));
  await until('the next', () => held.get('/changed')?.length === 3);
  held.get('/changed')?.[2]?.writeHead(200, { 'content-length': 3 }).end('new');
  assert.equal((await writer.response()).body, 'new');
});
