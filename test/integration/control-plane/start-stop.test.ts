// Starting and stopping a control plane, and all that can be wrong when it starts.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { copyFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { KEYS, resourceKey } from '../../../control-plane/decide/keys.ts';
import { openSqliteStore } from '../../../control-plane/io/sqlite-store.ts';
import { startControlPlane } from '../../../control-plane/main.ts';
import { connectEdge } from '../../support/edge-client.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { HealthClient } from '../../support/health-client.ts';
import { configuration, startPlane } from '../../support/plane.ts';
import { tempFolder } from '../../support/temp.ts';
import { until } from '../../support/until.ts';

async function occupy(t: TestContext): Promise<string> {
  const server = await new Promise<Server>((resolve) => {
    const listening = createServer().listen(0, '127.0.0.1', () => resolve(listening));
  });
  t.after(() => server.close());
  const address = server.address();
  return `127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`;
}

/** Puts values into a store that no control plane has open. */
async function write(file: string, values: Record<string, string>): Promise<void> {
  const store = openSqliteStore(file);
  await store.commit({
    compares: [],
    operations: Object.entries(values).map(([key, value]) => ({ kind: 'put', key, value })),
  });
  await store.close();
}

test('beyond loopback it listens only when told that this is meant', async (t) => {
  for (const address of ['0.0.0.0:0', '[::]:0', 'example.com:0']) {
    await assert.rejects(startPlane(t, { edgeListen: address }), /refusing to listen on .* for edges: .*"insecure"/);
    await assert.rejects(startPlane(t, { adminListen: address }), /refusing to listen on .* for the admin API/);
  }
  const plane = await startPlane(t, { edgeListen: '0.0.0.0:0', insecure: true });
  await plane.admin.applied(configuration('london'));
  await connectEdge(t, plane.edgePort, 'london').take('snapshot');
});

test('an address that is none is refused with an example', async (t) => {
  for (const listen of ['', '7001', '127.0.0.1', '127.0.0.1:70000', ':7001', '::1:7001', 'http://127.0.0.1:7001']) {
    await assert.rejects(startPlane(t, { adminListen: listen }), /the admin API: ".*" is not HOST:PORT, such as/);
  }
});

test('a port in use is named with what it is for, and nothing is left running', async (t) => {
  const taken = await occupy(t);
  const file = path.join(tempFolder(t), 'meridian.db');
  const store = { kind: 'embedded', file } as const;
  for (const [option, purpose] of [
    ['edgeListen', 'edges'],
    ['adminListen', 'the admin API'],
    ['httpListen', 'HTTP'],
  ] as const) {
    const expected = new RegExp(`cannot listen on ${taken} for ${purpose}: the address is in use.*choose another port`);
    await assert.rejects(startPlane(t, { store, [option]: taken }), expected);
  }
  await startPlane(t, { store });
});

test('a second control plane on the same file is refused', async (t) => {
  const { file } = await startPlane(t);
  await assert.rejects(startPlane(t, { store: { kind: 'embedded', file } }), /in use by another process/);
});

test('etcd that does not answer is waited for, then named', async () => {
  const clock = new FakeClock(Date.now());
  const messages: string[] = [];
  const log = { debug() {}, info() {}, warn: (_: object, message: string) => messages.push(message), error() {} };
  const starting = startControlPlane({
    store: { kind: 'etcd', endpoints: ['http://127.0.0.1:1'] },
    edgeListen: '127.0.0.1:0',
    adminListen: '127.0.0.1:0',
    clock,
    log,
  });
  let failure: unknown;
  starting.catch((error: unknown) => {
    failure = error;
  });
  await until('it to give up', () => {
    clock.advance(100);
    return failure !== undefined;
  });
  await assert.rejects(starting, /etcd at http:\/\/127\.0\.0\.1:1 .*ECONNREFUSED.* \(tried for 30 s\); start etcd/);
  assert.ok(messages.filter((message) => message === 'the store is out of reach; trying again').length > 3);
  assert.ok(clock.monotonic() >= 30_000);
});

test('the configuration to begin with is applied to an empty store, and to no other', async (t) => {
  const first = await startPlane(t, { bootstrap: configuration('london') });
  assert.equal((await first.admin.get()).snapshot?.edges[0]?.name, 'london');
  await first.stop();
  const second = await startPlane(t, {
    store: { kind: 'embedded', file: first.file },
    bootstrap: configuration('tokyo'),
  });
  assert.deepEqual(
    (await second.admin.get()).snapshot?.edges.map(({ name }) => name),
    ['london'],
  );
});

test('a configuration to begin with that is inconsistent keeps it from starting', async (t) => {
  const { sites, edges } = configuration('london');
  const bootstrap = { sites, pools: [], edges };
  await assert.rejects(startPlane(t, { bootstrap }), /to begin with is inconsistent: site "demo".* no pool "cities"/);
});

test('a store that holds what Meridian did not write keeps it from starting, with the key', async (t) => {
  const file = path.join(tempFolder(t), 'meridian.db');
  const starting = () => startPlane(t, { store: { kind: 'embedded', file } });
  const site = resourceKey('site', 'demo');
  await write(file, { [KEYS.epoch]: '"soon"' });
  await assert.rejects(starting(), /the value of \/meridian\/epoch cannot be read: it is not an epoch/);
  await write(file, { [KEYS.epoch]: '{"epoch":5,"identity":"other"}', [KEYS.head]: '{}', [site]: '{' });
  await assert.rejects(starting(), new RegExp(`holds what Meridian cannot use: the value of ${site} cannot be read`));
  await write(file, { [site]: '{"name":"other"}' });
  await assert.rejects(starting(), /it is a site named "other"/);
  await write(file, { [site]: '{"name":"demo"}' });
  await assert.rejects(starting(), /do not fit together: site "demo", hostnames: a site needs at least one hostname/);
});

test('probes and scrapers are answered over HTTP', async (t) => {
  const plane = await startPlane(t, { httpListen: '127.0.0.1:0', bootstrap: configuration('london', 'tokyo') });
  const edge = connectEdge(t, plane.edgePort, 'london');
  await edge.take('healthView');
  const get = async (target: string, method = 'GET') => {
    const response = await fetch(`http://127.0.0.1:${plane.httpPort}${target}`, { method });
    return [response.status, await response.text()] as const;
  };
  assert.deepEqual(await get('/healthz'), [200, 'ok\n']);
  assert.deepEqual(await get('/readyz'), [200, 'ready\n']);
  await plane.admin.purge({ targets: [{ target: { $case: 'all', value: {} } }] }).all;
  const [, metrics] = await get('/metrics');
  assert.match(metrics, /^meridian_control_store_up 1$/m);
  assert.match(metrics, /^meridian_control_edges_connected 1$/m);
  assert.match(metrics, /^meridian_control_edges_declared 2$/m);
  assert.match(metrics, /^meridian_control_purges_total\{result="commit"\} 1$/m);
  assert.equal((await get('/nothing'))[0], 404);
  assert.equal((await get('/__proto__'))[0], 404);
  assert.equal((await get('/metrics', 'POST'))[0], 405);
});

test('both gRPC ports say by the health service of gRPC whether they serve', async (t) => {
  const plane = await startPlane(t);
  for (const [port, service, other] of [
    [plane.edgePort, 'meridian.v1.EdgeControlService', 'meridian.v1.AdminService'],
    [plane.adminPort, 'meridian.v1.AdminService', 'meridian.v1.EdgeControlService'],
  ] as const) {
    const health = new HealthClient(t, port);
    assert.equal(await health.check(''), 'SERVING');
    assert.equal(await health.check(service), 'SERVING');
    await assert.rejects(health.check(other), { code: status.NOT_FOUND });
    const unknown = health.watch(other);
    assert.deepEqual(await once(unknown, 'data'), ['SERVICE_UNKNOWN']);
    unknown.on('error', () => undefined).cancel();
  }
  const seen: string[] = [];
  const watch = new HealthClient(t, plane.edgePort).watch('').on('data', (name) => seen.push(name));
  await until('the present status', () => seen.length === 1);
  const ended = once(watch, 'end');
  await plane.stop();
  await ended;
  assert.deepEqual(seen, ['SERVING', 'NOT_SERVING']);
});

test('stopping ends what is being answered, and says so', async (t) => {
  const plane = await startPlane(t, { bootstrap: configuration('london') });
  const edge = connectEdge(t, plane.edgePort, 'london');
  await edge.take('healthView');
  const answer = plane.admin.purge({ targets: [{ target: { $case: 'all', value: {} } }], timeoutMs: 60_000 });
  await answer.count(1);
  await plane.stop();
  await assert.rejects(answer.all, { code: status.UNAVAILABLE, details: 'this control plane is stopping' });
  await plane.stop();
});

test('a store that was put back to an earlier state begins a new epoch, so that edges take what it holds', async (t) => {
  const first = await startPlane(t, { bootstrap: configuration('london') });
  await first.stop();
  const backup = `${first.file}.backup`;
  copyFileSync(first.file, backup);
  const second = await startPlane(t, { store: { kind: 'embedded', file: first.file } });
  const ahead = await second.admin.applied(configuration('london', 'tokyo'));
  const { purgePosition } = await second.admin.status();
  await second.stop();

  copyFileSync(backup, first.file);
  const third = await startPlane(t, { store: { kind: 'embedded', file: first.file } });
  const edge = connectEdge(t, third.edgePort, 'london', { applied: ahead, purgePosition });
  const { epoch, resetTo } = await edge.take('purges');
  assert.ok(epoch > ahead.epoch);
  assert.deepEqual(resetTo, { epoch, sequence: 0 });
  const { snapshot } = await edge.take('snapshot');
  assert.equal(snapshot?.version?.epoch, epoch);
  assert.deepEqual(
    snapshot?.edges.map(({ name }) => name),
    ['london'],
  );
  // Others that hold the same do not begin yet another.
  const again = connectEdge(t, third.edgePort, 'london', { applied: ahead, purgePosition });
  assert.equal((await again.take('purges')).epoch, epoch);
});

test('an edge with a state from the future is refused rather than believed', async (t) => {
  const plane = await startPlane(t, { bootstrap: configuration('london') });
  const applied = { epoch: plane.clock.now() + 30 * 24 * 3_600_000, revision: 1 };
  const { code, details } = await connectEdge(t, plane.edgePort, 'london', { applied }).ended;
  assert.equal(code, status.FAILED_PRECONDITION);
  assert.match(details, /in the future; check the clocks, or empty the edge's state folder/);
});
