// The admin API but for purges: changes of the configuration, reading it, status, explanations.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Metadata, status } from '@grpc/grpc-js';
import { EdgeStatistics } from '../../../proto/gen/meridian/v1/edge.ts';
import { Explanation } from '../../../proto/gen/meridian/v1/explain.ts';
import { HealthStatus } from '../../../proto/gen/meridian/v1/health.ts';
import { PROBLEMS_METADATA, parseProblems } from '../../../proto/problems.ts';
import { connectEdge } from '../../support/edge-client.ts';
import { configuration, edgeOf, startPlane } from '../../support/plane.ts';
import { until } from '../../support/until.ts';

const refused = (code: status, details: RegExp) => (error: unknown) => {
  assert.ok(error instanceof Error && 'code' in error && 'details' in error);
  assert.equal(error.code, code);
  assert.match(String(error.details), details);
  return true;
};

test('a change is one version, and tells what it created, updated and deleted', async (t) => {
  const { admin } = await startPlane(t);
  const changes = async (request: Parameters<typeof admin.apply>[0]) => {
    const [first] = await admin.apply(request).all;
    assert.ok(first?.event?.$case === 'committed');
    const lines = first.event.value.changes.map(({ kind, name, action }) => `${kind} ${name} ${action}`);
    return [first.event.value.version?.revision, lines.map((line) => line.replace('CHANGE_ACTION_', ''))];
  };
  const [first, created] = await changes(configuration('london', 'tokyo'));
  assert.deepEqual(created, ['site demo CREATED', 'pool cities CREATED', 'edge london CREATED', 'edge tokyo CREATED']);
  assert.deepEqual(await changes(configuration('london')), [first, []]);
  const moved = { ...edgeOf('london'), location: { latitude: 1, longitude: 2 } };
  const [second, updated] = await changes({ edges: [moved] });
  assert.deepEqual(updated, ['edge london UPDATED']);
  const [third, deleted] = await changes({ ...configuration('london'), edges: [moved], prune: true });
  assert.deepEqual(deleted, ['edge tokyo DELETED']);
  assert.ok(Number(first) < Number(second) && Number(second) < Number(third));
});

test('a dry run tells what would change, and changes nothing', async (t) => {
  const { admin } = await startPlane(t);
  const version = await admin.applied(configuration('london'));
  const [first] = await admin.apply({ edges: [edgeOf('tokyo')], dryRun: true, waitMs: 1000 }).all;
  assert.ok(first?.event?.$case === 'committed');
  assert.deepEqual(first.event.value.version, version);
  assert.equal(first.event.value.changes.length, 1);
  assert.deepEqual(
    (await admin.get()).snapshot?.edges.map(({ name }) => name),
    ['london'],
  );
});

test('an inconsistent result is refused with every problem, and changes nothing', async (t) => {
  const { admin } = await startPlane(t);
  const version = await admin.applied(configuration('london'));
  const { sites, edges } = configuration('tokyo');
  const broken = sites.map((site) => ({ ...site, routes: site.routes.map((route) => ({ ...route, pool: 'none' })) }));
  const failure = await admin
    .apply({ sites: broken, edges: [...edges, edgeOf('-'), edgeOf('twice'), edgeOf('twice')] })
    .all.catch((error: unknown) => error);
  assert.ok(failure instanceof Error && 'metadata' in failure && failure.metadata instanceof Metadata);
  refused(status.INVALID_ARGUMENT, /^nothing was changed: .*the first of 3 problems/)(failure);
  const [bytes] = failure.metadata.get(PROBLEMS_METADATA);
  assert.ok(bytes instanceof Buffer);
  assert.deepEqual(parseProblems(bytes), [
    {
      kind: 'edge',
      name: '-',
      path: [],
      message: '"-" is not a name: expected 1 to 63 lower-case letters, digits and inner hyphens',
    },
    { kind: 'edge', name: 'twice', path: [], message: 'there are two edges of this name' },
    { kind: 'site', name: 'demo', path: ['routes', 0, 'pool'], message: 'there is no pool "none"' },
  ]);
  assert.deepEqual((await admin.get()).snapshot?.version, version);
});

test('a pool that a site still uses cannot be pruned away', async (t) => {
  const { admin } = await startPlane(t);
  await admin.applied(configuration('london'));
  const { sites, edges } = configuration('london');
  await assert.rejects(
    admin.apply({ sites, edges, prune: true }).all,
    refused(status.INVALID_ARGUMENT, /no pool "cities"/),
  );
});

test('a configuration of 100,000 routes is refused by the limit, one as large as the limit is served', async (t) => {
  const plane = await startPlane(t);
  const { pools, edges } = configuration('london');
  const cache = { enabled: true, defaultTtlMs: 0 };
  const sites = (count: number) =>
    Array.from({ length: count }, (_, site) => ({
      name: `site-${site}`,
      hostnames: [`site-${site}.example`],
      routes: Array.from({ length: 100 }, (_, i) => ({ pathPrefix: `/${i}`, pool: 'cities', cache })),
    }));
  await assert.rejects(
    plane.admin.apply({ sites: sites(1000), pools, edges }).all,
    refused(status.INVALID_ARGUMENT, /^nothing was changed: site "site-\d+", routes: more than 20000 routes in all$/),
  );
  assert.equal((await plane.admin.get()).snapshot?.version, undefined);
  const version = await plane.admin.applied({ sites: sites(200), pools, edges });
  const edge = connectEdge(t, plane.edgePort, 'london');
  const { snapshot } = await edge.take('snapshot');
  assert.deepEqual([snapshot?.version, snapshot?.sites.length], [version, 200]);
});

test('problems with enormous names and texts still reach the caller, cut to a length that people read', async (t) => {
  const { admin } = await startPlane(t);
  const edges = Array.from({ length: 60 }, (_, i) => edgeOf('🐎'.repeat(5000) + String(i)));
  await assert.rejects(
    admin.apply({ edges }).all,
    refused(status.INVALID_ARGUMENT, /^nothing was changed: edge "🐎+.?…": "🐎+.?… \(the first/u),
  );
});

test('of two operators at once the second is told what the first changed', async (t) => {
  const { admin } = await startPlane(t);
  const expected = await admin.applied(configuration('london'));
  await admin.applied({ edges: [edgeOf('tokyo')] });
  await assert.rejects(
    admin.apply({ edges: [edgeOf('lagos')], expected }).all,
    refused(
      status.ABORTED,
      new RegExp(`expected version ${expected.epoch}\\.${expected.revision}, found .*edge "tokyo" changed`),
    ),
  );
  await assert.rejects(
    admin.apply({ edges: [edgeOf('lagos')], expected: { epoch: 1, revision: 1 } }).all,
    refused(status.ABORTED, /another epoch/),
  );
  const present = (await admin.get()).snapshot?.version;
  assert.ok(present);
  await admin.applied({ edges: [edgeOf('lagos')], expected: present });
});

test('changes made at the same moment all arrive', async (t) => {
  const { admin } = await startPlane(t);
  await admin.applied(configuration('london'));
  await Promise.all(Array.from({ length: 20 }, (_, i) => admin.applied({ edges: [edgeOf(`edge-${i}`)] })));
  assert.equal((await admin.get()).snapshot?.edges.length, 21);
});

test('resources are read all, by kind, and by name', async (t) => {
  const { admin } = await startPlane(t);
  assert.deepEqual((await admin.get()).snapshot, { version: undefined, sites: [], pools: [], edges: [], drained: [] });
  await admin.applied(configuration('london', 'tokyo'));
  const counts = async (request: Parameters<typeof admin.get>[0]) => {
    const { snapshot } = await admin.get(request);
    return [snapshot?.sites.length, snapshot?.pools.length, snapshot?.edges.length];
  };
  assert.deepEqual(await counts({}), [1, 1, 2]);
  assert.deepEqual(await counts({ kind: 'edge' }), [0, 0, 2]);
  assert.deepEqual(await counts({ kind: 'edge', name: 'tokyo' }), [0, 0, 1]);
  await assert.rejects(admin.get({ kind: 'edge', name: 'none' }), refused(status.NOT_FOUND, /no edge "none"/));
  await assert.rejects(admin.get({ kind: 'lamp' }), refused(status.INVALID_ARGUMENT, /site, pool or edge/));
  await assert.rejects(admin.get({ name: 'tokyo' }), refused(status.INVALID_ARGUMENT, /of which kind/));
});

test('status tells of edges that are connected, were, and never have been', async (t) => {
  const plane = await startPlane(t);
  const version = await plane.admin.applied(configuration('here', 'left', 'never'));
  const here = connectEdge(t, plane.edgePort, 'here', { applied: version });
  const left = connectEdge(t, plane.edgePort, 'left');
  await Promise.all([here.take('healthView'), left.take('healthView')]);
  const statistics = {
    requests: 9,
    hits: 5,
    misses: 3,
    errors: 1,
    cacheObjects: 2,
    cacheBytes: 77,
    uptimeS: 60,
    answerMs: 0,
  };
  here.send({ $case: 'heartbeat', value: { statistics } });
  left.close();
  await until('both to be shown', async () => {
    const { edges } = await plane.admin.status();
    return edges[0]?.statistics !== undefined && edges[1]?.connected === false;
  });
  plane.clock.advance(1500);
  const shown = await plane.admin.status();
  assert.deepEqual(shown.version, version);
  assert.equal(shown.store, 'embedded');
  const [first, second, third] = shown.edges;
  assert.deepEqual(
    [first?.name, first?.connected, first?.applied, first?.statistics],
    ['here', true, version, statistics],
  );
  assert.deepEqual([second?.name, second?.connected, second?.lastSeenMsAgo], ['left', false, 1500]);
  assert.deepEqual(
    [third?.name, third?.connected, third?.applied, third?.lastSeenMsAgo],
    ['never', false, undefined, 0],
  );
});

test('what edges measure becomes one view, soon sent to all; it is renewed, and what is not repeated expires', async (t) => {
  const plane = await startPlane(t);
  await plane.admin.applied(configuration('a', 'b', 'c'));
  const edges = ['a', 'b', 'c'].map((name) => connectEdge(t, plane.edgePort, name));
  for (const edge of edges) assert.deepEqual((await edge.take('healthView')).origins, []);
  const origin = { pool: 'cities', origin: 'london' };
  const report = (status: HealthStatus) => ({
    $case: 'healthReport' as const,
    value: { full: true, transitions: [{ origin, status, detail: '' }] },
  });
  const [a, b, c] = edges;
  assert.ok(a && b && c);
  a.send(report(HealthStatus.DOWN));
  b.send(report(HealthStatus.DOWN));
  c.send(report(HealthStatus.UP));
  const shown = async (up: number, down: number) => {
    await until(`${up} up, ${down} down`, async () => {
      plane.clock.advance(50);
      const [london] = (await plane.admin.status()).origins;
      return london?.edgesUp === up && london.edgesDown === down;
    });
  };
  await shown(1, 2);
  // A view goes out at once when an origin is up or down that was not; the newest counts come with the next.
  plane.clock.advance(5000);
  const down = { origin, status: HealthStatus.DOWN, edgesUp: 1, edgesDown: 2 };
  for (const edge of edges) {
    let view = await edge.take('healthView');
    while (view.origins[0]?.edgesDown !== 2 || view.origins[0]?.edgesUp !== 1) view = await edge.take('healthView');
    assert.deepEqual(view, { origins: [down], expiresInMs: 15_000 });
  }
  plane.clock.advance(5000);
  assert.deepEqual((await a.take('healthView')).origins, [down]);

  const { origins } = await plane.admin.status();
  assert.deepEqual(
    origins.map((health) => [health.origin?.origin, health.status]),
    [
      ['london', HealthStatus.DOWN],
      ['lagos', HealthStatus.UNSPECIFIED],
    ],
  );
  // Two fall silent; the third goes on.
  a.close();
  b.close();
  await until(
    'both to be away',
    async () => (await plane.admin.status()).edges.filter((e) => e.connected).length === 1,
  );
  plane.clock.advance(25_000);
  c.send({ $case: 'heartbeat', value: { statistics: undefined } });
  await until('the heartbeat', async () => (await plane.admin.status()).edges[2]?.lastSeenMsAgo === 0);
  plane.clock.advance(10_000);
  await shown(1, 0);
  assert.equal((await plane.admin.status()).origins[0]?.status, HealthStatus.UP);
});

test('edges explain, nearest to the client first; one that does not answer in time is left out', async (t) => {
  const plane = await startPlane(t);
  await plane.admin.applied(configuration('far', 'near', 'mute', 'away'));
  const [far, near, mute] = ['far', 'near', 'mute'].map((name) => connectEdge(t, plane.edgePort, name));
  assert.ok(far && near && mute);
  await Promise.all([far, near, mute].map((edge) => edge.take('healthView')));
  const question = { url: 'http://demo.example/a', ip: '192.0.2.1' };
  const answer = plane.admin.explain(question);
  for (const [edge, name, distanceToEdgeKm] of [
    [far, 'far', 9000],
    [near, 'near', 10],
  ] as const) {
    const { id, ...asked } = await edge.take('explain');
    assert.deepEqual(asked, question);
    const explanation = Explanation.create({ edge: name, client: { distanceToEdgeKm } });
    edge.send({ $case: 'explainAnswer', value: { id: id + 1000, explanation: undefined } });
    edge.send({ $case: 'explainAnswer', value: { id, explanation } });
    edge.send({ $case: 'heartbeat', value: { statistics: EdgeStatistics.create() } });
  }
  await until('both answers to have come', async () => {
    return (await plane.admin.status()).edges.filter(({ statistics }) => statistics).length === 2;
  });
  await mute.take('explain');
  plane.clock.advance(3000);
  assert.deepEqual(
    (await answer).explanations.map(({ edge }) => edge),
    ['near', 'far'],
  );
});

test('what cannot be explained is refused with the reason', async (t) => {
  const plane = await startPlane(t);
  await plane.admin.applied(configuration('london', 'away'));
  const ask = (change: object) => plane.admin.explain({ url: 'http://demo.example/', ip: '192.0.2.1', ...change });
  await assert.rejects(ask({ url: 'demo' }), refused(status.INVALID_ARGUMENT, /^url: expected http/));
  await assert.rejects(ask({ ip: 'home' }), refused(status.INVALID_ARGUMENT, /^ip: "home" is not/));
  await assert.rejects(ask({ edge: 'none' }), refused(status.NOT_FOUND, /no edge "none"/));
  await assert.rejects(ask({ edge: 'away' }), refused(status.UNAVAILABLE, /"away" is not connected/));
  await assert.rejects(ask({}), refused(status.UNAVAILABLE, /no edge is connected/));
});
