// Limits that an operator sets hold in the threads of an edge, and going over them is counted.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { edgeLimits } from '../../../edge-node/io/limits.ts';
import { startOrigin } from '../../support/edge.ts';
import { request } from '../../support/raw-client.ts';
import { demo, Node } from '../../support/threads.ts';

const KIB = 1024;
const origin = await startOrigin((req, res) => {
  const large = req.url === '/large-head' ? { 'x-large': 'x'.repeat(100 * KIB) } : {};
  const size = req.url === '/large-body' ? 3000 : 10;
  res.writeHead(200, { 'cache-control': 'max-age=600', 'content-length': size, ...large }).end('x'.repeat(size));
});

test('heads may be larger than by default, of requests and of answers', async (t) => {
  const limits = edgeLimits(
    new Map([
      ['client.head-bytes', 200 * KIB],
      ['origin.head-bytes', 200 * KIB],
    ]),
  );
  const node = await Node.start(t, demo(1, { london: origin.address }), { limits, threads: 1 });
  const client = await node.clientOf(1);
  assert.equal((await client.ask(request('GET', '/a'))).status, 200);
  // From the cache: the origin of this test takes no such head.
  const lines = ['x-a', 'x-b'].map((name) => `${name}: ${'y'.repeat(60 * KIB)}`);
  assert.equal((await client.ask(request('GET', '/a', ...lines))).status, 200);
  assert.equal((await client.ask(request('GET', '/large-head'))).status, 200);
});

test('what goes over a limit is refused as the limit says, and counted', async (t) => {
  const limits = edgeLimits(
    new Map([
      ['client.head-bytes', 16 * KIB],
      ['cache.object-bytes', 2000],
    ]),
  );
  const node = await Node.start(t, demo(1, { london: origin.address }), { limits, threads: 1 });
  const client = await node.clientOf(1);
  assert.equal((await client.ask(request('GET', '/large-body'))).status, 200);
  assert.equal(await node.metric('meridian_cache_refused_total{reason="too-large"}'), 1);
  assert.equal((await client.ask(request('GET', '/a', `x-a: ${'y'.repeat(20 * KIB)}`))).status, 431);
  assert.equal(await node.metric('meridian_listener_refused_total{reason="fields-too-large"}'), 1);
});
