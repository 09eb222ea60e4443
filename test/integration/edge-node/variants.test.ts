// Variants whose bodies are the same, with a real origin, a real disk and a restart: the second costs a 304, and each is whole
// wherever it is read from.
import assert from 'node:assert/strict';
import http from 'node:http';
import path from 'node:path';
import { test } from 'node:test';
import { type Edge, startEdge } from '../../../edge-node/main.ts';
import { systemClock } from '../../../infra/runtime/clock.ts';
import { silentLog } from '../../../infra/runtime/log.ts';
import { seededRandom } from '../../../infra/runtime/random.ts';
import { startOrigin } from '../../support/edge.ts';
import { poolOf, snapshotOf } from '../../support/snapshots.ts';
import { tempFolder } from '../../support/temp.ts';
import { until } from '../../support/until.ts';
import { bodyOf } from '../../unit/edge-node/disk/disk-support.ts';

const MIB = 1024 * 1024;
const BYTES: Readonly<Record<string, number>> = { '/small': 3000, '/large': 3 * MIB };

function start(folder: string, address: string): Promise<Edge> {
  return startEdge({
    name: 'edge-1',
    control: [],
    listen: '127.0.0.1:0',
    adminListen: '127.0.0.1:0',
    dataDir: path.join(folder, 'data'),
    geoFiles: [],
    // Bodies of more than 1 MiB are on disk alone.
    cacheBytes: 8 * MIB,
    diskCache: { folder: path.join(folder, 'cache'), maxBytes: 512 * MIB },
    accessLog: 'off',
    snapshot: { ...snapshotOf(1), pools: [poolOf({ one: address })] },
    log: silentLog,
    clock: systemClock,
    random: seededRandom(1),
  });
}

function get(edge: Edge, target: string, colour: string): Promise<{ body: Buffer; cache: string }> {
  const headers = { host: 'demo.example', 'x-colour': colour };
  return new Promise((resolve, reject) => {
    const request = http.get({ host: '127.0.0.1', port: edge.port, path: target, agent: false, headers }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('end', () => resolve({ body: Buffer.concat(chunks), cache: String(answer.headers['cache-status']) }));
      answer.on('error', reject);
    });
    request.on('error', reject);
  });
}

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
  const first = await start(folder, origin.address);
  t.after(() => first.stop());
  for (const target of Object.keys(BYTES)) await check(first, target, 'red', /fwd=uri-miss; fwd-status=200; stored/);
  await until('both to be on disk', async () => (await objects(first)()) === 2);
  for (const target of Object.keys(BYTES)) await check(first, target, 'blue', /fwd=vary-miss; fwd-status=304; stored/);
  await until('all four to be on disk', async () => (await objects(first)()) === 4);
  for (const target of Object.keys(BYTES)) {
    for (const colour of ['red', 'blue']) await check(first, target, colour, /; hit/);
  }
  await first.stop();
  const second = await start(folder, origin.address);
  t.after(() => second.stop());
  for (const target of Object.keys(BYTES)) {
    for (const colour of ['red', 'blue', 'blue']) await check(second, target, colour, /; hit/);
  }
  const asked = origin.received.filter(({ target }) => target !== '/health');
  assert.equal(asked.length, 4);
});
