// Prober, probe and table together: an origin on the loopback interface that dies and comes back.
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { HealthTable } from '../../../../edge-node/decide/health.ts';
import { guardedLookup } from '../../../../edge-node/io/guarded-lookup.ts';
import { httpProbe } from '../../../../edge-node/io/probe.ts';
import { Prober } from '../../../../edge-node/io/prober.ts';
import { silentLog } from '../../../../infra/runtime/log.ts';
import { seededRandom } from '../../../../infra/runtime/random.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { poolOf } from '../../../support/snapshots.ts';
import { until } from '../../../support/until.ts';

test('an origin goes down when it fails, refuses or hangs, and comes up again each time it answers', async (t) => {
  let mode: 'answer' | 'fail' | 'hang' = 'answer';
  const listen = async (port: number): Promise<Server> => {
    const started = createServer((_request, response) => {
      if (mode !== 'hang') response.writeHead(mode === 'answer' ? 200 : 500).end();
    }).listen(port, '127.0.0.1');
    await new Promise((resolve) => started.once('listening', resolve));
    return started;
  };
  let server = await listen(0);
  const { port } = server.address() as AddressInfo;
  const clock = new FakeClock();
  const table = new HealthTable();
  const seen: string[] = [];
  const prober = new Prober({
    clock,
    random: seededRandom(1),
    log: silentLog,
    table,
    probe: httpProbe(clock, guardedLookup()),
    onTransition: ({ status, detail }) => seen.push(`${status.slice('HEALTH_STATUS_'.length)} ${detail}`),
  });
  const close = (): void => {
    server.close();
    server.closeAllConnections();
  };
  t.after(() => {
    prober.stop();
    close();
  });
  const becomes = (what: string) =>
    until(what, () => {
      // In steps far below the timeout, so that a probe that is answered is never late by this clock.
      clock.advance(10);
      return seen.at(-1) === what;
    });

  prober.setPools([poolOf({ london: `http://127.0.0.1:${port}` }, { intervalMs: 1_000, timeoutMs: 6_000 })]);
  await becomes('UP status 200');
  mode = 'fail';
  await becomes('DOWN status 500');
  mode = 'answer';
  await becomes('UP status 200');
  close();
  await becomes('DOWN connection refused');
  server = await listen(port);
  await becomes('UP status 200');
  mode = 'hang';
  await becomes('DOWN timed out after 6000 ms');
  assert.equal(table.status('cities', 'london', clock.monotonic()).status, 'down');
  assert.equal(seen.length, 6);
});
