// A route's cache policy, and what an origin says to this cache alone, as requests meet them.
import assert from 'node:assert/strict';
import { explain } from '../../../../edge-node/pipeline/explain.ts';
import type { CachePolicy, Snapshot } from '../../../../proto/gen/meridian/v1/resources.ts';
import { demoSnapshot, LONDON, pipelineTest } from '../../../support/pipeline.ts';

/** `only`: on the route with this prefix; else on all. */
function withPolicy(policy: Partial<CachePolicy>, only?: string): Snapshot {
  const snapshot = demoSnapshot();
  const cache = { enabled: true, defaultTtlMs: 0, ...policy };
  const sites = snapshot.sites.map((site) => ({
    ...site,
    routes: site.routes.map((route) => (only === undefined || only === route.pathPrefix ? { ...route, cache } : route)),
  }));
  return { ...snapshot, sites };
}
const KEY = { ignoreQuery: false, queryAllow: [], sortQuery: false, cookies: [], headers: [] };
const FRESH = ['cache-control', 'max-age=60'];

pipelineTest(
  'parameters that do not count are neither keyed nor shown to an origin',
  (world) => {
    world.request({ target: '/a?utm=x&page=2' });
    const call = world.call();
    assert.equal(call.request.target, '/a?page=2');
    call.answer(200, 'two', FRESH);
    assert.equal(world.request({ target: '/a?page=2&utm=y' }).text, 'two');
    const other = world.request({ target: '/a?page=3&utm=y' });
    world.call().answer(200, 'three', FRESH);
    assert.equal(other.text, 'three');
  },
  { snapshot: withPolicy({ key: { ...KEY, queryAllow: ['page'] } }) },
);

pipelineTest(
  'a purge of a URL reaches what is stored for it, whatever of it counts',
  (world) => {
    const purge = (path: string) => world.purge({ $case: 'url', value: { host: 'demo.example', path } });
    world.store('one', FRESH, { target: '/a?x' });
    purge('/a?x');
    assert.equal(world.request({ target: '/a?x' }).state, 'open');
    world.call().answer(200, 'two', FRESH);
    purge('/a');
    assert.equal(world.request({ target: '/a?y' }).state, 'open');
    world.call().answer(200, 'three', FRESH);
    assert.equal(world.request({ target: '/a?z' }).text, 'three');
  },
  { snapshot: withPolicy({ key: { ...KEY, ignoreQuery: true } }) },
);

pipelineTest(
  'an explanation of a URL speaks of the key that the route makes of it',
  (world) => {
    world.store('one', FRESH, { target: '/a?x' });
    const place = { location: LONDON, city: '', country: '', source: 'database' } as const;
    const { cache, barrier, health, clock } = world;
    const ports = { edge: 'edge-1', clock, serving: () => world.serving, locate: () => place, cache, barrier, health };
    const explained = () => explain({ url: 'http://demo.example/a?y', ip: '192.0.2.1' }, ports).cache;
    assert.deepEqual([explained()?.key, explained()?.state], ['http://demo.example/a', 'fresh']);
    world.purge({ $case: 'url', value: { host: 'demo.example', path: '/a?y' } });
    assert.equal(explained()?.state, 'purged');
  },
  { snapshot: withPolicy({ key: { ...KEY, ignoreQuery: true } }) },
);

pipelineTest(
  'an unsafe request ends what is stored under any of its forms',
  (world) => {
    world.store('one', FRESH, { target: '/a?x' });
    world.store('new', FRESH, { target: '/b?x' });
    world.request({ target: '/a?y', method: 'POST' });
    const call = world.call();
    assert.equal(call.request.target, '/a?y');
    call.answer(201, '', ['location', '/b?z']);
    assert.equal(world.cache.stats().objects, 0);
  },
  { snapshot: withPolicy({ key: { ...KEY, ignoreQuery: true } }) },
);

pipelineTest(
  'cookies and fields of the key choose among variants, and an unsafe request ends all of them',
  (world) => {
    const dark = { fields: ['cookie', 'id=1; theme=dark', 'x-country', 'de'] };
    world.store('dark', FRESH, dark);
    world.store('light', FRESH, { fields: ['cookie', 'theme=light', 'x-country', 'de'] });
    assert.equal(world.request({ fields: ['x-country', 'de', 'cookie', 'theme=dark; id=2'] }).text, 'dark');
    assert.equal(world.request({ fields: ['x-country', 'fr', 'cookie', 'theme=dark'] }).state, 'open');
    world.call().answer(200, 'sombre', FRESH);
    assert.equal(world.cache.stats().objects, 3);
    world.request({ method: 'DELETE' });
    world.call().answer(204, '');
    assert.equal(world.cache.stats().objects, 0);
  },
  { snapshot: withPolicy({ key: { ...KEY, cookies: ['theme'], headers: ['x-country'] } }) },
);

pipelineTest(
  'a request that is to bypass the cache does, and leaves nothing there',
  (world) => {
    world.store('stored');
    for (const options of [{ fields: ['cookie', 'session=1'] }, { target: '/?nocache' }]) {
      const client = world.request(options);
      world.call().answer(200, 'own', FRESH);
      assert.deepEqual([client.text, client.cache], ['own', 'fwd=bypass; fwd-status=200; detail=bypass-rule']);
    }
    assert.equal(world.request().text, 'stored');
  },
  { snapshot: withPolicy({ bypass: { cookies: ['session'], headers: [], query: ['nocache'] } }) },
);

pipelineTest(
  'bounds of the route hold for what is stored',
  (world) => {
    const client = world.request();
    world.call().answer(200, 'x', ['cache-control', 'max-age=1']);
    assert.equal(client.cache, 'fwd=uri-miss; fwd-status=200; stored; ttl=10');
  },
  { snapshot: withPolicy({ minTtlMs: 10_000 }) },
);

pipelineTest('surrogate keys and our own control reach no client, on a miss or on a hit', (world) => {
  const own = ['surrogate-key', 'a b', 'cache-tag', 'c', 'meridian-cdn-cache-control', 'max-age=60'];
  const missed = world.request();
  world.call().answer(200, 'x', ['cache-control', 'no-store', 'cdn-cache-control', 'max-age=5', ...own]);
  const hit = world.request();
  assert.equal(hit.cache, 'hit; ttl=60');
  for (const client of [missed, hit]) {
    for (const name of ['surrogate-key', 'cache-tag', 'meridian-cdn-cache-control']) {
      assert.equal(client.field(name), undefined, name);
    }
    assert.deepEqual([client.field('cache-control'), client.field('cdn-cache-control')], ['no-store', 'max-age=5']);
  }
});

pipelineTest('fields that a qualified private or no-cache names reach the first client only', (world) => {
  const fields = ['cache-control', 'max-age=60, private="set-cookie"', 'set-cookie', 'id=1'];
  const missed = world.request();
  world.call().answer(200, 'x', fields);
  assert.equal(missed.field('set-cookie'), 'id=1');
  const hit = world.request();
  assert.deepEqual([hit.cache, hit.field('set-cookie')], ['hit; ttl=60', undefined]);
});

pipelineTest('Location on the same origin ends what is stored there, elsewhere it does not', (world) => {
  for (const [location, left] of [
    ['http://demo.example/new', 0],
    ['http://other.example/new', 1],
  ] as const) {
    world.store('new', FRESH, { target: '/new' });
    world.request({ method: 'POST', target: '/form' });
    world.call().answer(303, '', ['location', location]);
    assert.equal(world.cache.stats().objects, left);
  }
});

pipelineTest(
  'Location on another route ends what is stored there, under the key that that route makes',
  (world) => {
    world.store('new', FRESH, { target: '/raw/new?x=1' });
    world.request({ method: 'POST', target: '/form' });
    world.call().answer(303, '', ['location', '/raw/new?y=2']);
    assert.equal(world.cache.stats().objects, 0);
  },
  { snapshot: withPolicy({ key: { ...KEY, ignoreQuery: true } }, '/raw') },
);

pipelineTest('a purge of a surrogate key reaches what was stored with it', (world) => {
  world.store('tagged', [...FRESH, 'surrogate-key', 'shoes sale'], { target: '/a' });
  world.store('plain', FRESH, { target: '/b' });
  world.purge({ $case: 'tag', value: { tag: 'sale', hosts: [] } });
  assert.equal(world.request({ target: '/b' }).text, 'plain');
  assert.equal(world.request({ target: '/a' }).state, 'open');
  world.call().answer(200, 'anew', FRESH);
});

pipelineTest(
  'a soft purge of a URL as it is asked for makes stale what is stored for it under a shorter key',
  (world) => {
    world.store('stored', [...FRESH, 'etag', '"1"'], { target: '/a?x' });
    world.purge({ $case: 'url', value: { host: 'demo.example', path: '/a?y' } }, true);
    assert.equal(world.request({ target: '/a?x' }).text, 'stored');
    const client = world.request({ target: '/a?y' });
    const call = world.call();
    assert.match(call.request.fields.join(' '), /if-none-match "1"/);
    call.answer(304, '');
    assert.equal(client.text, 'stored');
    assert.equal(world.request({ target: '/a?y' }).text, 'stored');
  },
  { snapshot: withPolicy({ key: { ...KEY, ignoreQuery: true } }) },
);
