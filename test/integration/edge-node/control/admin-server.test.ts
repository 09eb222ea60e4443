// The operator's port, over real HTTP.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type AdminServer, type Readiness, startAdminServer } from '../../../../edge-node/io/admin-server.ts';
import { silentLog } from '../../../../infra/runtime/log.ts';
import { Metrics } from '../../../../infra/runtime/metrics.ts';

async function start(t: TestContext, readiness: () => Readiness, port = 0): Promise<AdminServer> {
  const metrics = new Metrics();
  metrics.counter('meridian_things_total', 'Things.').add(3);
  const server = await startAdminServer({ log: silentLog, metrics, readiness }, '127.0.0.1', port);
  t.after(() => server.close());
  return server;
}

const READY: Readiness = { ready: true, details: { version: '1.5', synced: true } };

test('it says that the process lives', async (t) => {
  const { port } = await start(t, () => READY);
  const response = await fetch(`http://127.0.0.1:${port}/healthz`);
  assert.deepEqual([response.status, await response.text()], [200, 'ok\n']);
});

test('it says whether a snapshot serves, and if not, why', async (t) => {
  let readiness: Readiness = { ready: false, reason: 'no snapshot yet', details: { connected: false } };
  const { port } = await start(t, () => readiness);
  const url = `http://127.0.0.1:${port}/readyz?verbose`;
  const before = await fetch(url);
  assert.equal(before.status, 503);
  assert.deepEqual(await before.json(), { ready: false, reason: 'no snapshot yet', connected: false });
  readiness = READY;
  const after = await fetch(url);
  assert.equal(after.status, 200);
  assert.deepEqual(await after.json(), { ready: true, version: '1.5', synced: true });
});

test('it gives metrics as Prometheus reads them', async (t) => {
  const { port } = await start(t, () => READY);
  const response = await fetch(`http://127.0.0.1:${port}/metrics`);
  assert.equal(response.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
  assert.match(await response.text(), /^# TYPE meridian_things_total counter\nmeridian_things_total 3$/m);
});

test('HEAD has the same head and no body; other methods and paths are refused', async (t) => {
  const { port } = await start(t, () => READY);
  const head = await fetch(`http://127.0.0.1:${port}/healthz`, { method: 'HEAD' });
  assert.deepEqual([head.status, head.headers.get('content-length'), await head.text()], [200, '3', '']);
  const post = await fetch(`http://127.0.0.1:${port}/healthz`, { method: 'POST', body: 'x' });
  assert.deepEqual([post.status, post.headers.get('allow')], [405, 'GET, HEAD']);
  for (const target of ['/', '/healthz/', '/../healthz/x', '/metricsx']) {
    assert.equal((await fetch(`http://127.0.0.1:${port}${target}`)).status, 404, target);
  }
});

test('a failure inside is a 500 without its details, and the port goes on', async (t) => {
  const { port } = await start(t, () => {
    throw new Error('secret');
  });
  const response = await fetch(`http://127.0.0.1:${port}/readyz`);
  assert.equal(response.status, 500);
  assert.ok(!(await response.text()).includes('secret'));
  assert.equal((await fetch(`http://127.0.0.1:${port}/healthz`)).status, 200);
});

test('a port in use is an error that says what to do', async (t) => {
  const { port } = await start(t, () => READY);
  await assert.rejects(
    start(t, () => READY, port),
    {
      message: `the admin port 127.0.0.1:${port} is in use: stop what listens there, or choose another port`,
    },
  );
});

test('after it is closed the port is free', async (t) => {
  const server = await start(t, () => READY);
  await fetch(`http://127.0.0.1:${server.port}/healthz`);
  await server.close();
  await start(t, () => READY, server.port);
});
