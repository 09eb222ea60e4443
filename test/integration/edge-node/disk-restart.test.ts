// An edge with a cache on disk: stopped and started again it serves what it had, large bodies among it, and asks no origin.
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
const SMALL = 3000;
const LARGE = 3 * MIB;

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

async function metric(edge: Edge, name: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${edge.adminPort}/metrics`)).text();
  return Number(new RegExp(`^meridian_disk_cache_${name} (\\d+)$`, 'm').exec(text)?.[1]);
}

function get(edge: Edge, target: string, range?: string): Promise<{ body: Buffer; cache: string }> {
  return new Promise((resolve, reject) => {
    const options = {
      host: '127.0.0.1',
      port: edge.port,
      path: target,
      agent: false,
      headers: { host: 'demo.example', ...(range !== undefined && { range }) },
    };
    const request = http.get(options, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('end', () => resolve({ body: Buffer.concat(chunks), cache: String(answer.headers['cache-status']) }));
      answer.on('error', reject);
    });
    request.on('error', reject);
  });
}

test('what was cached before a restart is served after it, and the folder is its own', async (t) => {
  const folder = tempFolder(t);
  const origin = await startOrigin((req, res) => {
    const body = bodyOf(req.url ?? '', req.url === '/large' ? LARGE : SMALL);
    res.writeHead(200, { 'cache-control': 'max-age=600', 'content-length': body.length }).end(body);
  });
  const first = await start(folder, origin.address);
  t.after(() => first.stop());
  for (const target of ['/small', '/large']) await get(first, target);
  await until('both to be on disk', async () => (await metric(first, 'objects')) === 2);
  await assert.rejects(start(folder, origin.address), /in use by another process/);
  await first.stop();
  const second = await start(folder, origin.address);
  t.after(() => second.stop());
  for (const target of ['/small', '/large', '/small', '/large']) {
    const { body, cache } = await get(second, target);
    assert.ok(body.equals(bodyOf(target, body.length)));
    assert.equal(body.length, target === '/large' ? LARGE : SMALL);
    assert.match(cache, /; hit/);
  }
  const parts = (await get(second, '/large', 'bytes=2000000-2000003,0-3,1000000-1299999')).body;
  const large = bodyOf('/large', LARGE);
  for (const [from, to] of [
    [2_000_000, 2_000_003],
    [0, 3],
    [1_000_000, 1_299_999],
  ] as const) {
    const stated = `content-range: bytes ${from}-${to}/${LARGE}\r\n\r\n`;
    const at = parts.indexOf(stated) + stated.length;
    assert.ok(parts.subarray(at, at + to + 1 - from).equals(large.subarray(from, to + 1)), `${from}-${to}`);
  }
  // Probes aside.
  const asked = origin.received.map(({ target }) => target).filter((target) => target !== '/health');
  assert.deepEqual(asked.toSorted(), ['/large', '/small']);
  assert.deepEqual([await metric(second, 'up'), await metric(second, 'damaged_total')], [1, 0]);
});
