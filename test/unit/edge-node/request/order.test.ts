// Which origins are tried, in which order: the nearest that are up, and the nearest of all when none is.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CompiledOrigin, CompiledPool } from '../../../../edge-node/decide/compile.ts';
import { candidates, OriginOrder } from '../../../../edge-node/decide/order.ts';
import type { Location } from '../../../../geo/location.ts';

const PLACES: Readonly<Record<string, Location>> = {
  london: { latitude: 51.5, longitude: -0.1 },
  paris: { latitude: 48.9, longitude: 2.4 },
  sydney: { latitude: -33.9, longitude: 151.2 },
};
const LONDON = { latitude: 51.5, longitude: -0.1 };
const MELBOURNE = { latitude: -37.8, longitude: 145 };

function poolOf(...names: readonly string[]): CompiledPool {
  const origins = names.map((name): CompiledOrigin => {
    const location = PLACES[name.split('-')[0] ?? ''] ?? LONDON;
    return { pool: 'cities', name, address: 'http://127.0.0.1:9', location, weight: 100 };
  });
  return { name: 'cities', origins, timeouts: { connectMs: 1, headMs: 1, bodyMs: 1 } };
}

function ranking(order: OriginOrder, pool: CompiledPool, from: Location, draw = 0): string[] {
  return order.ranked(pool, from, draw).map(({ candidate }) => candidate.name);
}

test('origins are ranked by their distance from the client', () => {
  const pool = poolOf('paris', 'sydney', 'london');
  const order = new OriginOrder();
  assert.deepEqual(ranking(order, pool, LONDON), ['london', 'paris', 'sydney']);
  assert.deepEqual(ranking(order, pool, MELBOURNE), ['sydney', 'paris', 'london']);
  assert.deepEqual(ranking(order, poolOf(), LONDON), []);
});

test('a pair of place and pool is measured once, and drawn each time', () => {
  const pool = poolOf('london-a', 'london-b', 'sydney');
  const order = new OriginOrder();
  assert.deepEqual(ranking(order, pool, LONDON, 0), ['london-a', 'london-b', 'sydney']);
  assert.deepEqual(ranking(order, pool, LONDON, 0.9), ['london-b', 'london-a', 'sydney']);
  const single = poolOf('london', 'sydney');
  assert.equal(order.ranked(single, LONDON, 0), order.ranked(single, LONDON, 0.5));
});

test('pools of the same name in different snapshots are different pools', () => {
  const order = new OriginOrder();
  assert.deepEqual(ranking(order, poolOf('london'), LONDON), ['london']);
  assert.deepEqual(ranking(order, poolOf('sydney'), LONDON), ['sydney']);
});

test('no number of places fills the memory, and those forgotten are measured again', () => {
  const pool = poolOf('london', 'sydney');
  const order = new OriginOrder();
  const first = order.ranked(pool, LONDON, 0);
  for (let i = 0; i < 2_000; i += 1) order.ranked(pool, { latitude: 0, longitude: i / 100 }, 0);
  assert.notEqual(order.ranked(pool, LONDON, 0), first);
  assert.deepEqual(ranking(order, pool, LONDON), ['london', 'sydney']);
});

test('health walks the ranking and leaves its order alone', () => {
  const ranked = new OriginOrder().ranked(poolOf('london', 'paris', 'sydney'), LONDON, 0);
  const names = (up: readonly string[]) =>
    candidates(ranked, ({ name }) => up.includes(name), 5).up.map(({ name }) => name);
  assert.deepEqual(names(['sydney', 'london', 'paris']), ['london', 'paris', 'sydney']);
  assert.deepEqual(names(['sydney', 'paris']), ['paris', 'sydney']);
  assert.deepEqual(names([]), []);
  const all = candidates(ranked, () => true, 2).up.map(({ name }) => name);
  assert.deepEqual(all, ['london', 'paris'], 'no more than are asked for');
});

test('the last resort is the nearest, up or not; an empty pool has none', () => {
  const ranked = new OriginOrder().ranked(poolOf('paris', 'london'), LONDON, 0);
  assert.equal(candidates(ranked, () => false, 5).lastResort?.name, 'london');
  assert.equal(candidates(ranked, ({ name }) => name === 'paris', 5).lastResort?.name, 'london');
  assert.equal(candidates([], () => true, 5).lastResort, undefined);
});
