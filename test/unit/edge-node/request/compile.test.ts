// A snapshot made ready for requests: which site a hostname has, and which route a path.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CompiledSnapshot, compileSnapshot, findRoute, findSite } from '../../../../edge-node/decide/compile.ts';
import type { Snapshot } from '../../../../proto/gen/meridian/v1/resources.ts';
import { snapshotOf } from '../../../support/snapshots.ts';

const CACHE = { enabled: true, defaultTtlMs: 0 };

/** Sites by name, each with its hostnames, on one pool. */
function compiled(sites: Readonly<Record<string, readonly string[]>>): CompiledSnapshot {
  const routes = [{ pathPrefix: '/', pool: 'cities', cache: CACHE }];
  return compileSnapshot(
    {
      ...snapshotOf(1),
      sites: Object.entries(sites).map(([name, hostnames]) => ({ name, hostnames: [...hostnames], routes })),
    },
    'edge-1',
  );
}

/** The prefix of the route that `path` takes among `prefixes`. */
function routeOf(prefixes: readonly string[], path: string): string | undefined {
  const base = snapshotOf(1);
  const routes = prefixes.map((pathPrefix) => ({ pathPrefix, pool: 'cities', cache: CACHE }));
  const sites = [{ name: 'demo', hostnames: ['demo.example'], routes }];
  const site = findSite(compileSnapshot({ ...base, sites }, 'edge-1'), 'demo.example');
  assert.ok(site);
  return findRoute(site, path)?.pathPrefix;
}

test('a snapshot keeps its version, its pools and the place of the edge', () => {
  const { version, location, pools, edge } = compileSnapshot(snapshotOf(7), 'edge-1');
  assert.deepEqual(version, { epoch: 1, revision: 7 });
  assert.deepEqual(location, { latitude: 51.5, longitude: -0.1 });
  assert.equal(edge.name, 'edge-1');
  assert.deepEqual(
    pools.map(({ name, origins }) => [name, origins.map((origin) => `${origin.pool}/${origin.name}`)]),
    [['cities', ['cities/london']]],
  );
});

test('an exact hostname finds its site, and no other does', () => {
  const snapshot = compiled({ demo: ['demo.example', 'www.demo.example'], shop: ['shop.example'] });
  assert.equal(findSite(snapshot, 'www.demo.example')?.name, 'demo');
  assert.equal(findSite(snapshot, 'shop.example')?.name, 'shop');
  for (const host of ['example', 'x.demo.example', 'demo.example.org', '']) {
    assert.equal(findSite(snapshot, host), undefined, host);
  }
});

test('a wildcard covers exactly one label, and an exact name goes before it', () => {
  const snapshot = compiled({ any: ['*.demo.example'], www: ['www.demo.example'] });
  assert.equal(findSite(snapshot, 'a.demo.example')?.name, 'any');
  assert.equal(findSite(snapshot, 'www.demo.example')?.name, 'www');
  for (const host of ['demo.example', 'a.b.demo.example', '.demo.example.x', 'localhost']) {
    assert.equal(findSite(snapshot, host), undefined, host);
  }
});

test('the longest prefix of whole segments decides', () => {
  const prefixes = ['/', '/a', '/a/b', '/c/'];
  const cases = { '/': '/', '/x': '/', '/a': '/a', '/a/': '/a', '/a/x': '/a', '/a/b': '/a/b', '/a/b/c': '/a/b' };
  for (const [path, expected] of Object.entries(cases)) assert.equal(routeOf(prefixes, path), expected, path);
  for (const [path, expected] of Object.entries({
    '/ab': '/',
    '/a/bc': '/a',
    '/c': '/',
    '/c/': '/c/',
    '/c/d': '/c/',
  })) {
    assert.equal(routeOf(prefixes, path), expected, path);
  }
  assert.equal(routeOf(prefixes.toReversed(), '/a/b'), '/a/b');
});

test('where no route covers a path there is none', () => {
  assert.equal(routeOf(['/a'], '/'), undefined);
  assert.equal(routeOf(['/a'], '/ab'), undefined);
});

test('no spelling of a path slips past its route', () => {
  const prefixes = ['/', '/admin', '/admin/keys'];
  for (const path of ['//admin', '/admin//', '///admin/x', '/admin;x', '/admin;a=1;b/x', '/;x/admin', '/;/;/admin']) {
    assert.equal(routeOf(prefixes, path), '/admin', path);
  }
  for (const path of ['/admin//keys', '/admin/keys;v=2/a', '//admin;x//keys']) {
    assert.equal(routeOf(prefixes, path), '/admin/keys', path);
  }
});

test('what the consistency check promises is not taken on trust', () => {
  const base = snapshotOf(1);
  const [site] = base.sites;
  const [pool] = base.pools;
  assert.ok(site && pool);
  const [origin] = pool.origins;
  assert.ok(origin);
  const route = { pathPrefix: '/', pool: 'cities', cache: CACHE };
  const broken: readonly (readonly [Partial<Snapshot>, RegExp])[] = [
    [{ version: undefined }, /does not declare edge "edge-1"/],
    [{ edges: [] }, /does not declare edge "edge-1"/],
    [{ edges: [{ name: 'edge-1', location: undefined, trustedProxies: [] }] }, /does not declare edge "edge-1"/],
    [{ pools: [{ ...pool, timeouts: undefined }] }, /pool "cities" has no timeouts/],
    [{ pools: [{ ...pool, origins: [{ ...origin, location: undefined }] }] }, /origin "london" of pool "cities"/],
    [{ pools: [] }, /site "demo" has a route without a pool/],
    [{ sites: [{ ...site, routes: [{ ...route, cache: undefined }] }] }, /site "demo" has a route without/],
  ];
  for (const [change, expected] of broken) {
    assert.throws(() => compileSnapshot({ ...base, ...change }, 'edge-1'), expected);
  }
  assert.throws(() => compileSnapshot(base, 'edge-2'), /does not declare edge "edge-2"/);
});

test('the cache policy of a route is made ready with it', () => {
  const base = snapshotOf(1);
  const key = { ignoreQuery: true, queryAllow: [], sortQuery: false, cookies: ['theme'], headers: [] };
  const cache = { ...CACHE, minTtlMs: 5, key, bypass: { cookies: [], headers: ['x-preview'], query: [] } };
  const sites = [{ name: 'demo', hostnames: ['demo.example'], routes: [{ pathPrefix: '/', pool: 'cities', cache }] }];
  const site = findSite(compileSnapshot({ ...base, sites }, 'edge-1'), 'demo.example');
  assert.deepEqual(site?.routes[0]?.cache, {
    ...{ enabled: true, defaultTtlMs: 0, minTtlMs: 5, sliceBytes: 1024 * 1024 },
    key: { query: 'none', sortQuery: false, vary: ['cookie;theme'] },
    bypass: { cookies: [], headers: ['x-preview'], query: [] },
  });
});
