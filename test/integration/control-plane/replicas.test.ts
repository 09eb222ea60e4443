// Two control planes over one etcd: equal, and each enough for an edge. One server for all of these tests, emptied between.
import assert from 'node:assert/strict';
import { after, type TestContext, test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { KEYS, resourceKey } from '../../../control-plane/decide/keys.ts';
import { openEtcdStore } from '../../../control-plane/io/etcd-store.ts';
import { systemClock } from '../../../infra/runtime/clock.ts';
import { Role } from '../../../proto/gen/meridian/v1/access.ts';
import { Explanation } from '../../../proto/gen/meridian/v1/explain.ts';
import { HealthStatus } from '../../../proto/gen/meridian/v1/health.ts';
import type { PurgeTarget } from '../../../proto/gen/meridian/v1/purge.ts';
import { client, filesIn, materialOf, server } from '../../support/certs.ts';
import { connectEdge } from '../../support/edge-client.ts';
import { type Etcd, startEtcd } from '../../support/etcd.ts';
import { HealthClient } from '../../support/health-client.ts';
import { Admin, configuration, edgeOf, outcomes, type Plane, startPlane } from '../../support/plane.ts';
import { tempFolder } from '../../support/temp.ts';
import { until } from '../../support/until.ts';

let shared: Promise<Etcd | undefined> | undefined;
let stopShared = async (): Promise<void> => undefined;
after(() => stopShared());

async function emptyEtcd(t: TestContext): Promise<Etcd | undefined> {
  shared ??= startEtcd(t, (stop) => {
    stopShared = stop;
  });
  const etcd = await shared;
  if (!etcd) t.skip('no etcd binary in PATH');
  await etcd?.clear();
  return etcd;
}

const replica = (t: TestContext, etcd: Etcd): Promise<Plane> =>
  startPlane(t, {
    store: { kind: 'etcd', endpoints: [etcd.endpoint] },
    httpListen: '127.0.0.1:0',
    // etcd's answers take real time.
    clock: systemClock,
  });

const everything: PurgeTarget = { target: { $case: 'all', value: {} } };
const unavailable = (details: RegExp) => (error: unknown) => {
  assert.ok(error instanceof Error && 'code' in error && 'details' in error);
  assert.equal(error.code, status.UNAVAILABLE);
  assert.match(String(error.details), details);
  return true;
};

test('what one replica is told, the edges of the other get', async (t) => {
  const etcd = await emptyEtcd(t);
  if (!etcd) return;
  const [a, b] = await Promise.all([replica(t, etcd), replica(t, etcd)]);
  const version = await a.admin.applied(configuration('at-a', 'at-b'));
  const atA = connectEdge(t, a.edgePort, 'at-a');
  const atB = connectEdge(t, b.edgePort, 'at-b');
  for (const edge of [atA, atB]) assert.deepEqual((await edge.take('snapshot')).snapshot?.version, version);
  for (const edge of [atA, atB]) await edge.take('purges');

  const answer = a.admin.purge({ targets: [everything], timeoutMs: 10_000 });
  for (const edge of [atA, atB]) {
    const { epoch, purges } = await edge.take('purges');
    assert.deepEqual(
      purges.map(({ sequence }) => sequence),
      [1],
    );
    edge.send({ $case: 'purgeAck', value: { position: { epoch, sequence: 1 } } });
  }
  assert.deepEqual(outcomes(await answer.all), ['at-a ACKED', 'at-b ACKED']);
  for (const [plane, other] of [
    [a, 'at-b'],
    [b, 'at-a'],
  ] as const) {
    await until('each replica to know of the edge of the other', async () => {
      const edge = (await plane.admin.status()).edges.find(({ name }) => name === other);
      return edge?.elsewhere === true && edge.purgePosition?.sequence === 1;
    });
    assert.deepEqual(outcomes(await plane.admin.purge({ targets: [everything] }).all), ['at-a LATE', 'at-b LATE']);
  }
});

test('what an edge refused on one replica, an apply on the other hears', async (t) => {
  const etcd = await emptyEtcd(t);
  if (!etcd) return;
  const [a, b] = await Promise.all([replica(t, etcd), replica(t, etcd)]);
  await a.admin.applied(configuration('far'));
  const far = connectEdge(t, b.edgePort, 'far');
  await far.take('snapshot');
  await until('it to be known', async () => (await a.admin.status()).edges[0]?.connected === true);
  const answer = a.admin.apply({ edges: [edgeOf('other')], waitMs: 10_000 });
  const version = (await far.take('snapshot')).snapshot?.version;
  far.send({ $case: 'snapshotNack', value: { version, reason: 'not to my taste' } });
  const events = await answer.all;
  assert.deepEqual(outcomes(events), ['far REFUSED', 'other GONE']);
  const line = events.find(({ event }) => event?.$case === 'edge' && event.value.edge === 'far')?.event;
  assert.equal(line?.$case === 'edge' && line.value.detail, 'not to my taste');
});

test('an edge that dials another replica hangs on that one alone, and its former stream ends', async (t) => {
  const etcd = await emptyEtcd(t);
  if (!etcd) return;
  const [a, b] = await Promise.all([replica(t, etcd), replica(t, etcd)]);
  await a.admin.applied(configuration('london'));
  const former = connectEdge(t, a.edgePort, 'london');
  await former.take('healthView');
  await until('the other to hear', async () => (await b.admin.status()).edges[0]?.elsewhere === true);
  const next = connectEdge(t, b.edgePort, 'london');
  await next.take('healthView');
  assert.deepEqual(await former.ended, {
    code: status.ALREADY_EXISTS,
    details: 'a newer stream of edge "london" took over: it connected to another replica',
  });
  await until('both to agree', async () => {
    const [atA, atB] = await Promise.all([a.admin.status(), b.admin.status()]);
    return atA.edges[0]?.elsewhere === true && atB.edges[0]?.elsewhere === false;
  });
  assert.equal((await b.admin.status()).edges[0]?.connected, true);
});

test('an origin that the edges of two replicas find down is down in the view of both', async (t) => {
  const etcd = await emptyEtcd(t);
  if (!etcd) return;
  const [a, b] = await Promise.all([replica(t, etcd), replica(t, etcd)]);
  await a.admin.applied(configuration('at-a', 'at-b', 'silent'));
  const down = { origin: { pool: 'cities', origin: 'london' }, status: HealthStatus.DOWN, detail: '' };
  const seen = async () =>
    (await Promise.all([a, b].map(({ admin }) => admin.status()))).map(({ origins }) => {
      const found = origins.find(({ origin }) => origin?.origin === 'london');
      return `${found?.status} ${found?.edgesDown}`;
    });
  for (const [plane, name] of [
    [a, 'at-a'],
    [b, 'at-b'],
    [b, 'silent'],
  ] as const) {
    const edge = connectEdge(t, plane.edgePort, name);
    await edge.take('healthView');
    const transitions = name === 'silent' ? [] : [down];
    edge.send({ $case: 'healthReport', value: { full: true, transitions } });
  }
  await until('both to say so', async () => {
    return (await seen()).every((line) => line === 'HEALTH_STATUS_DOWN 2');
  });
});

test('edges explain and count wherever they hang, whichever replica is asked', async (t) => {
  const etcd = await emptyEtcd(t);
  if (!etcd) return;
  const [a, b] = await Promise.all([replica(t, etcd), replica(t, etcd)]);
  await a.admin.applied(configuration('at-a', 'at-b', 'away'));
  const [atA, atB] = [connectEdge(t, a.edgePort, 'at-a'), connectEdge(t, b.edgePort, 'at-b')];
  await Promise.all([atA.take('healthView'), atB.take('healthView')]);
  await until('each to know of the edge of the other', async () => {
    const statuses = await Promise.all([a.admin.status(), b.admin.status()]);
    return statuses.every(({ edges }) => edges.filter(({ connected }) => connected).length === 2);
  });

  const question = { url: 'http://demo.example/a', ip: '192.0.2.1' };
  for (const edge of ['', 'at-b']) {
    const explained = a.admin.explain({ ...question, edge });
    for (const [name, connection] of edge === ''
      ? ([
          ['at-a', atA],
          ['at-b', atB],
        ] as const)
      : ([['at-b', atB]] as const)) {
      const { id, ...asked } = await connection.take('explain');
      assert.deepEqual(asked, question);
      const client = { distanceToEdgeKm: name === 'at-b' ? 1 : 2 };
      const explanation = Explanation.fromPartial({ edge: name, site: 'demo', client });
      connection.send({ $case: 'explainAnswer', value: { id, explanation } });
    }
    const names = (await explained).explanations.map((explanation) => `${explanation.edge} ${explanation.site}`);
    assert.deepEqual(names, edge === '' ? ['at-b demo', 'at-a demo'] : ['at-b demo']);
  }
  assert.equal(atA.received.filter(({ $case }) => $case === 'explain').length, 1, 'who is not meant is not asked');

  const counted = b.admin.purge({ targets: [everything], dryRun: true });
  for (const [connection, objects] of [
    [atA, 3],
    [atB, 4],
  ] as const) {
    const { id, targets } = await connection.take('count');
    assert.deepEqual(targets, [everything]);
    connection.send({ $case: 'countAnswer', value: { id, objects, bytes: objects * 100 } });
  }
  const lines = (await counted.all).map(({ event }) => {
    return event?.$case === 'count'
      ? `${event.value.edge} ${event.value.counted} ${event.value.objects} ${event.value.detail}`
      : '';
  });
  assert.deepEqual(lines.toSorted(), ['at-a true 3 ', 'at-b true 4 ', 'away false 0 it is not connected']);

  const store = openEtcdStore([etcd.endpoint], systemClock);
  t.after(() => store.close());
  await until('questions and answers to be taken away', async () => {
    const { entries } = await store.read('/meridian-live/');
    return !entries.some(({ key }) => key.includes('/ask/') || key.includes('/answer/'));
  });
});

test('when a replica stops, its edges are gone for the others at once', async (t) => {
  const etcd = await emptyEtcd(t);
  if (!etcd) return;
  const [a, b] = await Promise.all([replica(t, etcd), replica(t, etcd)]);
  await a.admin.applied(configuration('london'));
  const edge = connectEdge(t, b.edgePort, 'london');
  await edge.take('healthView');
  await until('it to be known', async () => (await a.admin.status()).edges[0]?.connected === true);
  await b.stop();
  await until('it to be gone', async () => (await a.admin.status()).edges[0]?.connected === false);
  assert.deepEqual(outcomes(await a.admin.purge({ targets: [everything], timeoutMs: 5000 }).all), ['london GONE']);
});

test('two replicas that write at the same moment lose nothing', async (t) => {
  const etcd = await emptyEtcd(t);
  if (!etcd) return;
  const planes = await Promise.all([replica(t, etcd), replica(t, etcd)]);
  await planes[0]?.admin.applied(configuration('london'));
  const writes = planes.flatMap((plane, which) =>
    Array.from({ length: 8 }, async (_, i) => {
      await plane.admin.applied({ edges: [edgeOf(`edge-${which}-${i}`)] });
      await plane.admin.purge({ targets: [everything], idempotencyKey: `key-${i}` }).all;
    }),
  );
  await Promise.all(writes);
  for (const { admin } of planes) {
    await until('both to have all', async () => {
      const { purgePosition, edges } = await admin.status();
      return purgePosition?.sequence === 8 && edges.length === 17;
    });
  }
});

test('an edge that moves to another replica is sent what it missed, and nothing twice', async (t) => {
  const etcd = await emptyEtcd(t);
  if (!etcd) return;
  const [a, b] = await Promise.all([replica(t, etcd), replica(t, etcd)]);
  const applied = await a.admin.applied(configuration('london'));
  for (let i = 0; i < 3; i += 1) await a.admin.purge({ targets: [everything] }).all;
  const edge = connectEdge(t, b.edgePort, 'london', { applied, purgePosition: { epoch: applied.epoch, sequence: 2 } });
  const { purges, resetTo } = await edge.take('purges');
  assert.deepEqual([purges.map(({ sequence }) => sequence), resetTo], [[3], undefined]);
  await edge.take('healthView');
  assert.deepEqual(
    edge.received.map(({ $case }) => $case),
    ['purges', 'healthView'],
  );
});

test('what is stored can be read with any client of etcd', async (t) => {
  const etcd = await emptyEtcd(t);
  if (!etcd) return;
  const { admin } = await replica(t, etcd);
  const { epoch } = await admin.applied(configuration('london'));
  await admin.purge({ targets: [everything], idempotencyKey: 'deploy-7' }).all;
  const store = openEtcdStore([etcd.endpoint], systemClock);
  t.after(() => store.close());
  const values = new Map((await store.read('/meridian/')).entries.map(({ key, value }) => [key, JSON.parse(value)]));
  assert.deepEqual(
    [...values.keys()].map((key) => key.replace(/^(\/meridian\/audit)\/\d{16}-[0-9a-f]{12}$/, '$1/TIME-RANDOM')),
    [
      '/meridian/audit/TIME-RANDOM',
      '/meridian/audit/TIME-RANDOM',
      '/meridian/epoch',
      '/meridian/head',
      '/meridian/history/0000000000000001',
      '/meridian/purges/head',
      '/meridian/purges/log/0000000000000001',
      '/meridian/resources/edge/london',
      '/meridian/resources/pool/cities',
      '/meridian/resources/site/demo',
    ],
  );
  assert.deepEqual(values.get('/meridian/epoch'), { epoch, identity: await store.identity() });
  assert.equal(values.get('/meridian/purges/log/0000000000000001').idempotencyKey, 'deploy-7');
  assert.deepEqual(values.get('/meridian/resources/site/demo').hostnames, ['demo.example']);
});

test('a token and the audit log are the same at every replica', async (t) => {
  const etcd = await emptyEtcd(t);
  if (!etcd) return;
  const tls = await filesIn(tempFolder(t), server());
  const options = { store: { kind: 'etcd', endpoints: [etcd.endpoint] }, clock: systemClock, tls } as const;
  const [a, b] = await Promise.all([startPlane(t, options), startPlane(t, options)]);
  const root = await materialOf(client('meridian://administer/root'));
  const [rootAtA, rootAtB] = [new Admin(t, a.adminPort, root), new Admin(t, b.adminPort, root)];
  const { token, text } = await rootAtA.createToken({ name: 'ci', role: Role.READ, lifetimeMs: 0 });
  const ciAtB = new Admin(t, b.adminPort, await materialOf(undefined), `Bearer ${text}`);
  const opens = () =>
    ciAtB.status().then(
      () => true,
      () => false,
    );
  await until('the other replica to know the token', opens);
  await Promise.all([rootAtA.applied(configuration('london')), rootAtB.purge({ targets: [everything] }).all]);
  await rootAtA.revokeToken(token?.id ?? '');
  await until('the other replica to shut it out', async () => !(await opens()));
  const actions = async (admin: Admin) =>
    (await admin.audit()).records.map(({ revision, action }) => `${revision} ${action}`);
  const atA = await actions(rootAtA);
  assert.deepEqual(await actions(rootAtB), atA);
  assert.deepEqual(atA.map((line) => line.split(' ')[1]).toSorted(), [
    'apply',
    'create-token',
    'purge',
    'revoke-token',
  ]);
});

test('while etcd is down edges keep their streams and changes are refused; then it goes on by itself', async (t) => {
  const etcd = await startEtcd(t);
  if (!etcd) return;
  const plane = await replica(t, etcd);
  const ready = async () => (await fetch(`http://127.0.0.1:${plane.httpPort}/readyz`)).status;
  const version = await plane.admin.applied(configuration('london'));
  const edge = connectEdge(t, plane.edgePort, 'london');
  await edge.take('healthView');
  assert.equal(await ready(), 200);
  const seen: string[] = [];
  const watch = new HealthClient(t, plane.adminPort).watch('').on('data', (name) => seen.push(name));
  t.after(() => watch.on('error', () => undefined).cancel());
  await until('watchers to hear how it is', () => seen.at(-1) === 'SERVING');
  await etcd.kill();
  await until('the loss to be known', async () => (await ready()) === 503);
  await until('watchers to hear', () => seen.at(-1) === 'NOT_SERVING');
  await assert.rejects(
    plane.admin.apply({ edges: [edgeOf('tokyo')] }).all,
    unavailable(/the store is out of sight: .*; try again later/),
  );
  await assert.rejects(
    plane.admin.purge({ targets: [everything] }).all,
    unavailable(/the store is out of sight: .*; try again later/),
  );
  assert.deepEqual((await plane.admin.get()).snapshot?.version, version);
  const late = connectEdge(t, plane.edgePort, 'london', { applied: version });
  await late.take('purges');
  await etcd.restart();
  await until('it to be back', async () => (await ready()) === 200);
  await until('watchers to hear of that too', () => seen.join() === 'SERVING,NOT_SERVING,SERVING');
  const next = await plane.admin.applied({ edges: [edgeOf('tokyo')] });
  assert.deepEqual((await late.take('snapshot')).snapshot?.version, next);
  assert.equal(next.epoch, version.epoch);
});

test('a value that someone else broke stops changes, not edges, and says which', async (t) => {
  const etcd = await emptyEtcd(t);
  if (!etcd) return;
  const plane = await replica(t, etcd);
  const ready = async () => (await fetch(`http://127.0.0.1:${plane.httpPort}/readyz`)).text();
  const version = await plane.admin.applied(configuration('london'));
  const store = openEtcdStore([etcd.endpoint], systemClock);
  t.after(() => store.close());
  const site = resourceKey('site', 'demo');
  const [good] = (await store.read(site)).entries;
  const write = (value: string) =>
    store.commit({
      compares: [],
      operations: [
        { kind: 'put', key: site, value },
        { kind: 'put', key: KEYS.head, value: '{}' },
      ],
    });
  await write('oops');
  await until('the trouble to be named', async () => (await ready()).includes(`the value of ${site} cannot be read`));
  const edge = connectEdge(t, plane.edgePort, 'london');
  assert.deepEqual((await edge.take('snapshot')).snapshot?.version, version);
  await assert.rejects(plane.admin.apply({ edges: [edgeOf('tokyo')] }).all, unavailable(/cannot be read/));
  await write(good?.value ?? '');
  await until('it to be mended', async () => (await ready()) === 'ready\n');
  await plane.admin.applied({ edges: [edgeOf('tokyo')] });
});
