// An edge with a cache on disk: stopped and started again it serves what it had, large bodies among it, and asks no origin.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { diskMetric, getOf, startDiskEdge } from '../../support/disk-edge.ts';
import { startOrigin } from '../../support/edge.ts';
import { tempFolder } from '../../support/temp.ts';
import { until } from '../../support/until.ts';
import { bodyOf } from '../../unit/edge-node/disk/disk-support.ts';

const MIB = 1024 * 1024;
const SMALL = 3000;
const LARGE = 3 * MIB;

test('what was cached before a restart is served after it, and the folder is its own', async (t) => {
  const folder = tempFolder(t);
  const origin = await startOrigin((req, res) => {
    const body = bodyOf(req.url ?? '', req.url === '/large' ? LARGE : SMALL);
    res.writeHead(200, { 'cache-control': 'max-age=600', 'content-length': body.length }).end(body);
  });
  const first = await startDiskEdge(folder, origin.address);
  t.after(() => first.stop());
  for (const target of ['/small', '/large']) await getOf(first, target);
  await until('both to be on disk', async () => (await diskMetric(first, 'objects')) === 2);
  await assert.rejects(startDiskEdge(folder, origin.address), /in use by another process/);
  await first.stop();
  const second = await startDiskEdge(folder, origin.address);
  t.after(() => second.stop());
  for (const target of ['/small', '/large', '/small', '/large']) {
    const { body, cache } = await getOf(second, target);
    assert.ok(body.equals(bodyOf(target, body.length)));
    assert.equal(body.length, target === '/large' ? LARGE : SMALL);
    assert.match(cache, /; hit/);
  }
  const parts = (await getOf(second, '/large', { range: 'bytes=2000000-2000003,0-3,1000000-1299999' })).body;
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
  assert.deepEqual([await diskMetric(second, 'up'), await diskMetric(second, 'damaged_total')], [1, 0]);
});
