// An edge whose cache folder is on a file system that is full before the cache is: the tier goes off, and nobody who asks notices.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { field } from '../../../edge-node/decide/fields.ts';
import { type Edge, startEdge } from '../../../edge-node/main.ts';
import { systemClock } from '../../../infra/runtime/clock.ts';
import { silentLog } from '../../../infra/runtime/log.ts';
import { seededRandom } from '../../../infra/runtime/random.ts';
import { diskMetric } from '../../support/disk-edge.ts';
import { startOrigin } from '../../support/edge.ts';
import { RawClient, request } from '../../support/raw-client.ts';
import { poolOf, snapshotOf } from '../../support/snapshots.ts';
import { tempFolder } from '../../support/temp.ts';
import { until } from '../../support/until.ts';
import { bodyOf } from '../../unit/edge-node/disk/disk-support.ts';

const MIB = 1024 * 1024;
const BODY = 100_000;
/** Twice as much as the file system has, half as much as memory has. */
const OBJECTS = 80;

/** A file system of 4 MiB, which goes when `edges` are stopped. Undefined, and the test is skipped: this user, or this system, cannot have one. */
function smallDisk(t: TestContext, edges: readonly Edge[]): string | undefined {
  const folder = mkdtempSync(path.join(tmpdir(), 'meridian-full-'));
  let mounted = false;
  t.after(async () => {
    await Promise.all(edges.map((edge) => edge.stop()));
    if (mounted) execFileSync('umount', ['--lazy', folder]);
    rmSync(folder, { recursive: true, force: true });
  });
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', folder], { stdio: 'pipe' });
    mounted = true;
  } catch (error) {
    t.skip(`mounting a small file system takes Linux and root: ${error instanceof Error ? error.message : error}`);
    return undefined;
  }
  return folder;
}

async function get(client: RawClient, target: string): Promise<string> {
  const answer = await client.ask(request('GET', target));
  assert.equal(answer.status, 200);
  assert.equal(answer.body, textOf(target));
  return field(answer.fields, 'cache-status') ?? '';
}

function textOf(target: string): string {
  return bodyOf(target, BODY / 2).toString('hex');
}

test('a full disk turns the tier off, and every answer is right; the next start has the folder again', async (t) => {
  const edges: Edge[] = [];
  const folder = smallDisk(t, edges);
  if (folder === undefined) return;
  const origin = await startOrigin((req, res) => {
    const body = textOf(req.url ?? '');
    res.writeHead(200, { 'cache-control': 'max-age=600', 'content-length': body.length });
    res.end(body);
  });
  const dataDir = tempFolder(t);
  const start = async (): Promise<Edge> => {
    const edge = await startEdge({
      ...{ name: 'edge-1', control: [], listen: '127.0.0.1:0', adminListen: '127.0.0.1:0', dataDir, geoFiles: [] },
      ...{ cacheBytes: 16 * MIB, diskCache: { folder, maxBytes: 64 * MIB }, accessLog: 'off', threads: 2 },
      snapshot: { ...snapshotOf(1), pools: [poolOf({ one: origin.address })] },
      ...{ log: silentLog, clock: systemClock, random: seededRandom(1) },
    });
    edges.push(edge);
    return edge;
  };
  const edge = await start();
  assert.equal(await diskMetric(edge, 'up'), 1);
  const client = await RawClient.connect(edge.port);
  for (let i = 0; i < OBJECTS; i += 1) await get(client, `/${i}`);
  await until('the tier is off', async () => (await diskMetric(edge, 'up')) === 0);
  for (let i = 0; i < OBJECTS; i += 1) assert.match(await get(client, `/${i}`), /; hit/);
  assert.equal(await diskMetric(edge, 'objects'), 0);
  client.destroy();
  await edge.stop();

  assert.ok(!readdirSync(folder).includes('format'));
  const again = await start();
  assert.deepEqual([await diskMetric(again, 'up'), await diskMetric(again, 'objects')], [1, 0]);
  const next = await RawClient.connect(again.port);
  await get(next, '/anew');
  await until('there is room again', async () => (await diskMetric(again, 'objects')) === 1);
  next.destroy();
});
