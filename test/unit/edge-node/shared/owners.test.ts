// What is stored, and was evicted, of each site: the totals of each, kept where the totals of all are kept.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CacheEntry } from '../../../../edge-node/decide/cache/entry.ts';
import { SITE_NUMBERS, SiteNumbers, siteLabel } from '../../../../edge-node/decide/site-numbers.ts';
import { addGauges } from '../../../../edge-node/io/gauges.ts';
import { allocateSharedStore, OWNERS } from '../../../../edge-node/io/shared/handles.ts';
import { SharedStore } from '../../../../edge-node/io/shared/shared-store.ts';
import { Metrics } from '../../../../infra/runtime/metrics.ts';
import { seededRandom } from '../../../../infra/runtime/random.ts';
import { storable } from '../cache/store-support.ts';
import { below } from '../cache/support.ts';

const HOSTS = ['a.example', 'b.example', 'c.example', 'nobody.example'];
const ownerOf = (host: string) => (HOSTS.indexOf(host) + 1) % HOSTS.length;
const of = (host: string, target: string, body: string, options = {}) => {
  return { ...storable(target, body, options), key: `http://${host}${target}`, host, purgeTarget: host + target };
};

test('a site keeps its number for good, and there are so many', () => {
  const numbers = new SiteNumbers();
  assert.deepEqual([...numbers.assign(['shop', 'blog'])], [...new Map(Object.entries({ shop: 1, blog: 2 }))]);
  assert.equal(numbers.assign(['wiki', 'blog']).get('wiki'), 3);
  const many = numbers.assign(Array.from({ length: 1_000 }, (_, i) => `site-${i}`));
  assert.equal(many.size, SITE_NUMBERS - 1);
  assert.equal(Math.max(...many.values()), SITE_NUMBERS - 1);
  assert.equal([...numbers.labels()].at(-1)?.[0], '(other)');
  assert.deepEqual([siteLabel('shop', 1), siteLabel('late', 0)], ['shop', '(other)']);
});

test('seeded: the totals of all sites are those of the store, whatever happens to what is stored', () => {
  const random = seededRandom(7);
  const handles = allocateSharedStore({ maxBytes: 20_000, maxObjects: 30, maxVariants: 2 }, 2, { k0: 1, k1: 2 });
  const stores = [0, 1].map((thread) => new SharedStore(handles, thread, { ownerOf }));
  const evicted = () => HOSTS.reduce((sum, _, owner) => sum + (stores[0]?.owned(owner).evictions ?? 0), 0);
  for (let step = 0; step < 4_000; step += 1) {
    const store = stores[below(random, 2)];
    const host = HOSTS[below(random, HOSTS.length)];
    assert.ok(store && host);
    const target = `/${below(random, 12)}`;
    const found = store.find(`http://${host}${target}`);
    switch (below(random, 6)) {
      case 0:
      case 1:
      case 2:
        store.put(of(host, target, 'x'.repeat(below(random, 900)), { accept: String(below(random, 3)) }));
        break;
      case 3:
        for (const entry of found.slice(0, 1)) {
          const { head } = of(host, target, '', { accept: '0', padding: below(random, 400) });
          store.refresh(entry, { ...head, variant: entry.head.variant });
        }
        break;
      case 4:
        store.remove(`http://${host}${target}`);
        break;
      case 5:
        store.sweep(() => below(random, 4) === 0, 10);
        break;
    }
    const { objects, bytes, evictions, variantEvictions } = store.stats();
    const sums = { objects: 0, bytes: 0 };
    for (let owner = 0; owner < OWNERS; owner += 1) {
      const one = store.owned(owner);
      sums.objects += one.objects;
      sums.bytes += one.bytes;
    }
    assert.deepEqual(sums, { objects, bytes }, `step ${step}`);
    assert.equal(evicted(), evictions + variantEvictions, `step ${step}`);
    if (step % 50 !== 0) continue;
    for (const [index, one] of HOSTS.entries()) {
      const stored: CacheEntry[] = [];
      for (let i = 0; i < 12; i += 1) stored.push(...store.find(`http://${one}/${i}`));
      const { objects: there, bytes: taken } = store.owned((index + 1) % HOSTS.length);
      assert.equal(there, stored.length, `step ${step}: ${one}`);
      assert.equal(
        taken,
        stored.reduce((sum, { size }) => sum + size, 0),
        `step ${step}: ${one}`,
      );
    }
  }
  assert.ok(evicted() > 100, 'hardly anything was evicted');
});

test('what is dropped when a thread dies in a change is taken from every site; evictions stay counted', () => {
  const handles = allocateSharedStore({ maxBytes: 20_000, maxObjects: 1 }, 2, { k0: 1, k1: 2 });
  const store = new SharedStore(handles, 0, { ownerOf });
  store.put(of('a.example', '/1', 'one'));
  store.put(of('b.example', '/2', 'two'));
  assert.deepEqual(store.owned(1), { objects: 0, bytes: 0, evictions: 1 });
  assert.equal(store.owned(2).objects, 1);
  assert.throws(() =>
    store.sweep(() => {
      throw new Error('a defect');
    }, 10),
  );
  assert.deepEqual(store.owned(2), { objects: 0, bytes: 0, evictions: 0 });
  assert.equal(store.owned(1).evictions, 1);
});

test('a scrape tells of every site that has a number, and of the others together', () => {
  const metrics = new Metrics();
  const cache = new SharedStore(allocateSharedStore({ maxBytes: 20_000 }, 1, { k0: 1, k1: 2 }), 0, { ownerOf });
  const sites = new SiteNumbers();
  const connections = { total: () => 0 };
  const doors = { threads: 1 };
  addGauges(metrics, { cache, connections, doors, sites, snapshot: () => undefined });
  sites.assign(['a', 'b']);
  cache.put(of('b.example', '/', 'two'));
  cache.put(of('nobody.example', '/', 'three'));
  const told = metrics.render();
  for (const [site, objects] of Object.entries({ a: 0, b: 1, '\\(other\\)': 1 })) {
    assert.match(told, new RegExp(`^meridian_cache_site_objects\\{site="${site}"\\} ${objects}$`, 'm'));
  }
  assert.match(told, /^# TYPE meridian_cache_site_bytes gauge$/m);
  assert.match(told, /^# TYPE meridian_cache_site_evictions_total counter$/m);
  assert.match(told, /^meridian_cache_site_evictions_total\{site="b"\} 0$/m);
});

test('what was not stored is counted by its reason', () => {
  const metrics = new Metrics();
  const limits = { maxBytes: 20_000, maxObjectBytes: 1_000 };
  const cache = new SharedStore(allocateSharedStore(limits, 1, { k0: 1, k1: 2 }), 0, { ownerOf });
  const told = { connections: { total: () => 0 }, doors: { threads: 1 }, sites: new SiteNumbers() };
  addGauges(metrics, { cache, ...told, snapshot: () => undefined });
  cache.put(of('b.example', '/', 'x'.repeat(2_000)));
  assert.match(metrics.render(), /^meridian_cache_refused_total\{reason="too-large"\} 1$/m);
  assert.match(metrics.render(), /^meridian_cache_refused_total\{reason="busy"\} 0$/m);
});
