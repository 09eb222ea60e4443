// Variants whose bodies are the same, with a real origin, a real disk and a restart: the second costs a 304, and each is whole
// wherever it is read from.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Edge } from '../../../edge-node/main.ts';
import { type Got, getOf, startDiskEdge } from '../../support/disk-edge.ts';
import { startOrigin } from '../../support/edge.ts';
import { tempFolder } from '../../support/temp.ts';
import { until } from '../../support/until.ts';
import { bodyOf } from '../../unit/edge-node/disk/disk-support.ts';

const MIB = 1024 * 1024;
const BYTES: Readonly<Record<string, number>> = { '/small': 3000, '/large': 3 * MIB };

const get = (edge: Edge, target: string, colour: string): Promise<Got> => getOf(edge, target, { 'x-colour': colour });

test('a variant with the body of another costs a 304, and each is whole, from memory, from disk, after a restart', async (t) => {
  const folder = tempFolder(t);
  const origin = await startOrigin((req, res) => {
    const head = { 'cache-control': 'max-age=600', vary: 'x-colour', etag: '"same"' };
    if (req.headers['if-none-match'] === '"same"') {
      res.writeHead(304, head).end();
      return;
    }
    const body = bodyOf(req.url ?? '', BYTES[req.url ?? ''] ?? 0);
    res.writeHead(200, { ...head, 'content-length': body.length }).end(body);
  });
  const check = async (edge: Edge, target: string, colour: string, expected: RegExp): Promise<void> => {
    const { body, cache } = await get(edge, target, colour);
    assert.ok(body.equals(bodyOf(target, BYTES[target] ?? 0)), `${target} ${colour}: ${body.length} bytes`);
    assert.match(cache, expected, `${target} ${colour}`);
  };
  const objects = (edge: Edge) => async (): Promise<number> => {
    const text = await (await fetch(`http://127.0.0.1:${edge.adminPort}/metrics`)).text();
    return Number(/^meridian_disk_cache_objects (\d+)$/m.exec(text)?.[1]);
  };
  const first = await startDiskEdge(folder, origin.address);
  t.after(() => first.stop());
  for (const target of Object.keys(BYTES)) await check(first, target, 'red', /fwd=uri-miss; fwd-status=200; stored/);
  await until('both to be on disk', async () => (await objects(first)()) === 2);
  for (const target of Object.keys(BYTES)) await check(first, target, 'blue', /fwd=vary-miss; fwd-status=304; stored/);
  await until('all four to be on disk', async () => (await objects(first)()) === 4);
  for (const target of Object.keys(BYTES)) {
    for (const colour of ['red', 'blue']) await check(first, target, colour, /; hit/);
  }
  await first.stop();
  const second = await startDiskEdge(folder, origin.address);
  t.after(() => second.stop());
  for (const target of Object.keys(BYTES)) {
    for (const colour of ['red', 'blue', 'blue']) await check(second, target, colour, /; hit/);
  }
  const asked = origin.received.filter(({ target }) => target !== '/health');
  assert.equal(asked.length, 4);
});
