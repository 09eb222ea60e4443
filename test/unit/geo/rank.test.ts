import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Candidate, drawOrder, measure, rankByDistance } from '../../../geo/rank.ts';
import { seededRandom } from '../../../infra/runtime/random.ts';

const LONDON = { latitude: 51.5074, longitude: -0.1278 };
const PARIS = { latitude: 48.8566, longitude: 2.3522 };
const SYDNEY = { latitude: -33.8688, longitude: 151.2093 };
/** Half a kilometre north of London. */
const NEAR_LONDON = { latitude: 51.5119, longitude: -0.1278 };

function at(name: string, location: Candidate['location'], weight = 1): Candidate {
  return { name, location, weight };
}

function names(ranked: readonly { candidate: Candidate }[]): string[] {
  return ranked.map(({ candidate }) => candidate.name);
}

test('no candidates, no ranking', () => {
  assert.deepEqual(rankByDistance(LONDON, [], 0.5), []);
});

test('the nearest comes first, each with its distance', () => {
  const ranked = rankByDistance(LONDON, [at('sydney', SYDNEY), at('london', LONDON), at('paris', PARIS)], 0.5);
  assert.deepEqual(names(ranked), ['london', 'paris', 'sydney']);
  assert.deepEqual(
    ranked.map(({ distanceKm }) => Math.round(distanceKm)),
    [0, 344, 16_994],
  );
});

test('weight does not bring the distant nearer', () => {
  const ranked = rankByDistance(LONDON, [at('paris', PARIS, 1000), at('london', LONDON, 0)], 0.5);
  assert.deepEqual(names(ranked), ['london', 'paris']);
});

test('the draw decides between candidates at the same distance, and between no others', () => {
  const candidates = [at('paris', PARIS), at('a', LONDON), at('b', NEAR_LONDON)];
  assert.deepEqual(names(rankByDistance(LONDON, candidates, 0.2)), ['a', 'b', 'paris']);
  assert.deepEqual(names(rankByDistance(LONDON, candidates, 0.7)), ['b', 'a', 'paris']);
});

test('a group reaches one kilometre from its first member, not from its last', () => {
  const north = (km: number) => ({ latitude: LONDON.latitude + km / 111.195, longitude: LONDON.longitude });
  const candidates = [at('c', north(1.6)), at('b', north(0.8)), at('a', LONDON)];
  for (let draw = 0; draw < 1; draw += 0.1) assert.equal(names(rankByDistance(LONDON, candidates, draw))[2], 'c');
});

test('without weight a candidate comes last in its group, whatever the draw', () => {
  const candidates = [
    at('a', LONDON, 0),
    at('b', LONDON, 1),
    at('c', LONDON, 0),
    at('d', LONDON, 3),
    at('paris', PARIS),
  ];
  for (let draw = 0; draw < 1; draw += 0.05) {
    assert.deepEqual(names(rankByDistance(LONDON, candidates, draw)).slice(2), ['a', 'c', 'paris']);
  }
});

test('equals are told apart by name, then by their place in the list', () => {
  const twins = [at('b', LONDON, 0), { ...at('a', LONDON, 0), twin: 1 }, { ...at('a', LONDON, 0), twin: 2 }];
  const ranked = rankByDistance(LONDON, twins, 0.9);
  assert.deepEqual(
    ranked.map(({ candidate }) => candidate),
    [twins[1], twins[2], twins[0]],
  );
});

test('the order of the list makes no difference', () => {
  const candidates = ['a', 'b', 'c', 'd'].map((name, index) => at(name, LONDON, index + 1));
  for (let draw = 0; draw < 1; draw += 0.01) {
    const ranked = names(rankByDistance(LONDON, candidates, draw));
    assert.deepEqual(names(rankByDistance(LONDON, candidates.toReversed(), draw)), ranked);
  }
});

test('evenly spaced draws give each candidate exactly its share of the first places', () => {
  const measured = measure(LONDON, [at('a', LONDON, 1), at('b', LONDON, 2), at('c', NEAR_LONDON, 7)]);
  const firsts: Record<string, number> = {};
  for (let i = 0; i < 1000; i += 1) {
    const first = names(drawOrder(measured, (i + 0.5) / 1000))[0] ?? '';
    firsts[first] = (firsts[first] ?? 0) + 1;
  }
  assert.deepEqual(firsts, { a: 100, b: 200, c: 700 });
});

test('every order comes up as often as drawing one after another by weight would have it', () => {
  const weights: Record<string, number> = { a: 1, b: 2, c: 3, d: 4 };
  const measured = measure(
    LONDON,
    Object.entries(weights).map(([name, weight]) => at(name, LONDON, weight)),
  );
  const random = seededRandom(7);
  const draws = 100_000;
  const seen = new Map<string, number>();
  for (let i = 0; i < draws; i += 1) {
    const order = names(drawOrder(measured, random.next())).join('');
    seen.set(order, (seen.get(order) ?? 0) + 1);
  }
  assert.equal(seen.size, 24);
  let chiSquare = 0;
  for (const [order, count] of seen) {
    let total = 10;
    let probability = 1;
    for (const name of order) {
      probability *= (weights[name] ?? 0) / total;
      total -= weights[name] ?? 0;
    }
    chiSquare += (count - draws * probability) ** 2 / (draws * probability);
  }
  // 23 degrees of freedom: 1 in 1000 exceeds 49.7.
  assert.ok(chiSquare < 49.7, `chi-square ${chiSquare}`);
});

test('two groups are drawn from one number without one leaning on the other', () => {
  const pair = (city: string, location: Candidate['location']) => [at(`${city}1`, location), at(`${city}2`, location)];
  const measured = measure(LONDON, [...pair('l', LONDON), ...pair('p', PARIS)]);
  const random = seededRandom(8);
  const seen = new Map<string, number>();
  for (let i = 0; i < 40_000; i += 1) {
    const [first, , third] = names(drawOrder(measured, random.next()));
    seen.set(`${first} ${third}`, (seen.get(`${first} ${third}`) ?? 0) + 1);
  }
  assert.equal(seen.size, 4);
  for (const [order, count] of seen) assert.ok(Math.abs(count - 10_000) < 400, `${order}: ${count} of 40000`);
});

test('the ends of the draw and a hundred equals are taken without losing anyone', () => {
  const many = Array.from({ length: 100 }, (_, index) => at(`origin-${index}`, LONDON, 1 + (index % 3)));
  const measured = measure(LONDON, many);
  for (const draw of [0, 0.5, 1 - Number.EPSILON / 2]) {
    assert.equal(new Set(names(drawOrder(measured, draw))).size, 100);
  }
  assert.deepEqual(drawOrder(measured, 0.123), drawOrder(measured, 0.123));
});

test('where nothing is to be drawn, nothing is copied', () => {
  const measured = measure(LONDON, [at('london', LONDON), at('spare', LONDON, 0), at('paris', PARIS)]);
  assert.equal(drawOrder(measured, 0.1), measured.ranked);
});
