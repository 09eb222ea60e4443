// What an explanation says of what is stored: every variant, its sums, where it is, what purged it; and why nothing is stored.
import assert from 'node:assert/strict';
import type { CacheEntry } from '../../../../edge-node/decide/cache/entry.ts';
import type { NotStoredReason } from '../../../../edge-node/decide/cache/explain.ts';
import { explain, explainAll } from '../../../../edge-node/pipeline/explain.ts';
import type { CachePolicy } from '../../../../proto/gen/meridian/v1/resources.ts';
import { demoSnapshot, LONDON, pipelineTest, type World } from '../../../support/pipeline.ts';

const QUESTION = { url: 'http://demo.example/', ip: '192.0.2.1' };
const FRESH = ['cache-control', 'max-age=60, stale-while-revalidate=5', 'age', '2', 'surrogate-key', 'red green'];

function portsOf(world: World) {
  const place = { location: LONDON, city: '', country: '', source: 'database' } as const;
  const { cache, barrier, health, clock, skips } = world;
  const skipped = (key: string) => skips.get(key);
  return { edge: 'edge-1', clock, serving: () => world.serving, locate: () => place, cache, barrier, health, skipped };
}

/** Of the URL, or another. */
function cacheOf(world: World, onDisk?: readonly CacheEntry[], url = QUESTION.url) {
  const disk = onDisk && ({ state: 'searched', entries: onDisk } as const);
  return explain({ ...QUESTION, url }, portsOf(world), disk).cache ?? assert.fail('it was refused');
}

pipelineTest('the sum of the freshness: age when it came, time here, lifetime, what is left', (world) => {
  world.store('hello', FRESH);
  world.clock.advance(10_500);
  const { key, state, stored, disk, purges, notStored } = cacheOf(world);
  assert.deepEqual([key, state, disk, purges, notStored], ['http://demo.example/', 'fresh', 'none', 0, undefined]);
  const [only, ...rest] = stored;
  assert.equal(rest.length, 0);
  assert.deepEqual(only?.freshness, {
    initialAgeS: 2,
    residentS: 10.5,
    ageS: 12.5,
    lifetimeS: 60,
    lifetimeSource: 'max-age',
    ttlS: 47.5,
    staleWhileRevalidateS: 5,
    staleIfErrorS: 0,
    neverStale: false,
  });
  const { tiers, selected, selectedBy, status, bodyBytes, tags, requestedAfter, purge } = only ?? assert.fail();
  assert.deepEqual(
    { tiers, selected, selectedBy, status, bodyBytes, tags, requestedAfter, purge },
    {
      tiers: ['memory'],
      selected: true,
      selectedBy: [],
      status: 200,
      bodyBytes: 5,
      tags: ['green', 'red'],
      requestedAfter: 0,
      purge: undefined,
    },
  );
});

pipelineTest('every variant is there with what chose it, and the one that a plain GET gets comes first', (world) => {
  const fields = ['cache-control', 'max-age=60', 'vary', 'Accept-Language, X-A'];
  world.store('de', fields, { fields: ['accept-language', 'de', 'x-a', ''] });
  world.store('plain', fields);
  world.store('fr', fields, { fields: ['accept-language', 'fr'] });
  const { stored, variants, state } = cacheOf(world);
  assert.deepEqual([variants, state], [3, 'fresh']);
  assert.deepEqual(
    stored.map(({ selected, selectedBy }) => [selected, ...selectedBy.map(({ name, value }) => `${name}=${value}`)]),
    [
      [true, 'accept-language=undefined', 'x-a=undefined'],
      [false, 'accept-language=de', 'x-a='],
      [false, 'accept-language=fr', 'x-a=undefined'],
    ],
  );
});

pipelineTest('variants of which none is for a plain GET are shown all the same', (world) => {
  world.store('de', ['cache-control', 'max-age=60', 'vary', 'x-a'], { fields: ['x-a', '1'] });
  const { state, reason, stored } = cacheOf(world);
  assert.equal(state, 'absent');
  assert.match(reason, /^vary-miss: 1 stored/);
  assert.deepEqual([stored[0]?.selected, stored[0]?.state], [false, 'fresh']);
  world.store('fr', ['cache-control', 'max-age=60', 'vary', 'x-a', 'etag', '"fr"'], { fields: ['x-a', '2'] });
  assert.match(cacheOf(world).reason, /^vary-miss: 2 stored.* tags: 1$/);
  world.purge();
  assert.match(cacheOf(world).reason, /^vary-miss: 2 stored.* names$/);
});

pipelineTest('after how many purges it was requested, and which one reaches it', (world) => {
  world.purge({ $case: 'host', value: 'other.example' });
  world.store('hello', FRESH);
  world.purge({ $case: 'tag', value: { tag: 'blue', hosts: [] } });
  const before = cacheOf(world);
  assert.deepEqual([before.purges, before.stored[0]?.requestedAfter, before.stored[0]?.purge], [2, 1, undefined]);
  world.purge({ $case: 'tag', value: { tag: 'red', hosts: [] } }, true);
  const soft = cacheOf(world);
  assert.deepEqual(soft.stored[0]?.purge, { number: 3, soft: true, reach: 'tag', name: 'red' });
  // Its lifetime is shown as it is; what the purge made of it is in the state.
  assert.deepEqual([soft.state, soft.stored[0]?.state, soft.stored[0]?.freshness?.lifetimeS], ['stale', 'stale', 60]);
  world.purge({ $case: 'url', value: { host: 'demo.example', path: '/' } });
  const hard = cacheOf(world);
  assert.deepEqual([hard.state, hard.stored[0]?.state], ['purged', 'purged']);
  assert.deepEqual(hard.stored[0]?.purge, { number: 4, soft: false, reach: 'url', name: 'demo.example/' });
});

pipelineTest('what is on disk only, in memory only, and in both', (world) => {
  world.store('both', FRESH);
  const onDisk = [...world.cache.find('http://demo.example/')];
  assert.deepEqual(
    cacheOf(world, onDisk).stored.map(({ tiers }) => tiers),
    [['memory', 'disk']],
  );
  world.cache.remove('http://demo.example/');
  const gone = cacheOf(world, []);
  assert.deepEqual([gone.state, gone.disk, gone.stored], ['absent', 'searched', []]);
  const { state, stored } = cacheOf(world, onDisk);
  assert.deepEqual([state, stored[0]?.tiers, stored[0]?.selected], ['fresh', ['disk'], true]);
});

pipelineTest('the disk is asked for the very key, and only where the request would be taken', async (world) => {
  const asked: string[] = [];
  const peek = (key: string) => {
    asked.push(key);
    return Promise.resolve({ state: 'not searched', entries: [] } as const);
  };
  const ask = (url: string) => explainAll({ ...QUESTION, url }, portsOf(world), peek);
  const answers = await Promise.all(['https://demo.example/a?b', 'http://other.example/', 'nothing'].map(ask));
  assert.deepEqual(asked, ['https://demo.example/a?b']);
  assert.deepEqual(
    answers.map(({ cache, refusalCode }) => cache?.disk ?? refusalCode),
    ['not searched', 'unknown-host', 'malformed-target'],
  );
});

pipelineTest('why the last answer was not stored is remembered, until one is', (world) => {
  assert.equal(cacheOf(world).notStored, undefined);
  const reasons: [NotStoredReason, string[]][] = [
    ['set-cookie', ['cache-control', 'max-age=60', 'set-cookie', 'a=b']],
    ['no-store', ['cache-control', 'no-store']],
    ['no-freshness-or-validator', []],
  ];
  for (const [reason, fields] of reasons) {
    world.request();
    world.call().answer(200, 'x', fields);
    world.clock.advance(3_000);
    const { notStored } = cacheOf(world);
    assert.deepEqual([notStored?.reason, notStored?.agoS], [reason, 3]);
    assert.ok((notStored?.detail.length ?? 0) > 10);
  }
  world.store('x', FRESH);
  assert.equal(cacheOf(world).notStored, undefined);
});

pipelineTest('a request that passes the cache by leaves no reason behind', (world) => {
  world.request({ method: 'POST' });
  world.call().answer(200, 'x');
  assert.equal(world.skips.size, 0);
});

const POLICY: CachePolicy = {
  enabled: true,
  defaultTtlMs: 1_500,
  maxTtlMs: 60_000,
  staleIfErrorMs: 5_000,
  key: { ignoreQuery: false, queryAllow: ['a', 'b'], sortQuery: true, cookies: ['theme'], headers: ['x-country'] },
  bypass: { cookies: ['id'], headers: ['x-debug'], query: [] },
};

pipelineTest(
  'the policy of the route is told up front',
  (world) => {
    assert.deepEqual(cacheOf(world).policy, [
      'defaultTtl 1.5 s',
      'maxTtl 60 s',
      'staleIfError 5 s',
      'of the query only a, b',
      'the query sorted',
      'also keyed by cookie theme, x-country',
      'requests with id, x-debug pass the cache',
    ]);
  },
  {
    snapshot: {
      ...demoSnapshot(),
      sites: demoSnapshot().sites.map((site) => ({
        ...site,
        routes: site.routes.map((route) => ({ ...route, cache: POLICY })),
      })),
    },
  },
);

pipelineTest('where the cache is not enabled that is all there is to say', (world) => {
  const { state, policy } = cacheOf(world, undefined, 'http://demo.example/raw');
  assert.deepEqual([state, policy], ['bypass', ['not enabled']]);
});
