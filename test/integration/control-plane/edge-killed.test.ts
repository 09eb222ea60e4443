// An edge that is killed once a configuration is on its disk, before anybody heard that it is: it comes back with it, says so, and
// the answer that was waiting counts that. A real process; the wire to the control plane swallows what the edge would have said.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { SnapshotFile } from '../../../edge-node/io/snapshot-file.ts';
import { systemClock } from '../../../infra/runtime/clock.ts';
import { silentLog } from '../../../infra/runtime/log.ts';
import { formatVersion } from '../../../proto/version.ts';
import { configuration, outcomes, startPlane } from '../../support/plane.ts';
import { startRelay } from '../../support/relay.ts';
import { tempFolder } from '../../support/temp.ts';
import { until } from '../../support/until.ts';
import { ROOT, readyPorts, start } from '../cli/process.ts';

test('an edge killed between disk and acknowledgement comes back with what is on disk, and is not sent it again', async (t) => {
  const plane = await startPlane(t, { clock: systemClock, bootstrap: configuration('london') });
  const wire = await startRelay(plane.edgePort);
  t.after(() => wire.stop());
  const data = tempFolder(t);
  const startEdge = async () => {
    const listen = ['--listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0', '--access-log', 'off'];
    const args = ['edge', '--name', 'london', '--control', `127.0.0.1:${wire.port}`, '--data', data, ...listen];
    const edge = await start(t, [path.join(ROOT, 'cli/main.ts'), ...args], true);
    return { ...edge, ...(await readyPorts(edge)) };
  };
  const edge = await startEdge();
  const standing = async () => (await plane.admin.status()).edges[0];
  await until('it to serve', async () => (await standing())?.applied !== undefined);
  const first = (await standing())?.applied;

  wire.mute();
  const { edges } = configuration('london');
  const moved = edges.map((one) => ({ ...one, location: { latitude: 1, longitude: 1 } }));
  const answer = plane.admin.apply({ edges: moved, waitMs: 60_000 });
  const stored = async () => (await new SnapshotFile(path.join(data, 'snapshot'), silentLog).read())?.version;
  await until('it to be on disk', async () => formatVersion(await stored()) !== formatVersion(first));
  edge.child.kill('SIGKILL');
  await edge.ended;
  assert.deepEqual((await standing())?.applied, first, 'nobody heard of it');

  wire.heal();
  const again = await startEdge();
  assert.deepEqual(outcomes(await answer.all), ['london ACKED']);
  assert.deepEqual((await standing())?.applied, await stored());
  await until('it to be in touch', () => again.output.stderr.includes('connected to a control plane'));
  assert.match(again.output.stderr, /serving the snapshot on disk/);
  assert.doesNotMatch(again.output.stderr, /snapshot applied/);
});
