// The cache on disk behind worker threads: what one of them stored, another finds there; purges hold; and a thread may die.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { field } from '../../../edge-node/decide/fields.ts';
import { startOrigin } from '../../support/edge.ts';
import { type RawClient, request } from '../../support/raw-client.ts';
import { tempFolder } from '../../support/temp.ts';
import { demo, Node } from '../../support/threads.ts';
import { until } from '../../support/until.ts';

const MIB = 1024 * 1024;
const SIZE = 2000;
/** More than fit into memory. */
const COUNT = 200;

const asked: string[] = [];
const origin = await startOrigin((req, res) => {
  if (req.url !== '/health') asked.push(req.url ?? '');
  res.writeHead(200, { 'cache-control': 'max-age=600', 'content-length': SIZE });
  res.end((req.url ?? '').padEnd(SIZE, '.'));
});

async function ask(client: RawClient, target: string): Promise<boolean> {
  const answer = await client.ask(request('GET', target));
  assert.deepEqual([answer.status, answer.body], [200, target.padEnd(SIZE, '.')]);
  return (field(answer.fields, 'cache-status') ?? '').includes('; hit');
}

test('what a thread stored on disk another finds there, also when the one is dead, until it is purged', async (t) => {
  const diskCache = { folder: path.join(tempFolder(t), 'cache'), maxBytes: 64 * MIB };
  const node = await Node.start(t, demo(1, { london: origin.address }), { cacheBytes: MIB / 8, diskCache });
  const targets = Array.from({ length: COUNT }, (_, i) => `/${i}`);
  const first = await node.clientOf(1);
  for (const target of targets) assert.equal(await ask(first, target), false);
  await until('all to be on disk', async () => (await node.metric('meridian_disk_cache_objects')) === COUNT);
  assert.ok((await node.metric('meridian_cache_objects')) < COUNT / 2);

  const second = await node.clientOf(2);
  for (const target of targets) assert.equal(await ask(second, target), true);
  assert.equal(asked.length, COUNT);

  node.fail(1, 'exit');
  await first.closed();
  for (const target of targets) assert.equal(await ask(second, target), true);
  await until('another in its place', async () => (await node.metric('meridian_threads')) === 2);
  const newcomer = await node.clientOf(1);
  for (const target of targets) assert.equal(await ask(newcomer, target), true);
  assert.equal(asked.length, COUNT);
  assert.equal(await node.metric('meridian_disk_cache_up'), 1);

  await node.purge({ $case: 'all', value: {} });
  assert.equal(await ask(second, '/0'), false);
  assert.equal(await ask(newcomer, '/1'), false);
  await until('all to be swept', async () => (await node.metric('meridian_disk_cache_swept_total')) >= COUNT - 2);
  await until('nothing else to be on disk', async () => (await node.metric('meridian_disk_cache_objects')) === 2);
});
