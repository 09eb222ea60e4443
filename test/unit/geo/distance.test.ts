import assert from 'node:assert/strict';
import { test } from 'node:test';
import { distanceKm, EARTH_RADIUS_KM } from '../../../geo/distance.ts';
import type { Location } from '../../../geo/location.ts';
import { seededRandom } from '../../../infra/runtime/random.ts';

const LONDON = { latitude: 51.5074, longitude: -0.1278 };
const PARIS = { latitude: 48.8566, longitude: 2.3522 };
const SYDNEY = { latitude: -33.8688, longitude: 151.2093 };
const HALF_ROUND = Math.PI * EARTH_RADIUS_KM;

function within(actual: number, expected: number, tolerance: number): void {
  assert.ok(Math.abs(actual - expected) <= tolerance, `${actual} is not within ${tolerance} of ${expected}`);
}

test('a place is at no distance from itself', () => {
  assert.equal(distanceKm(LONDON, LONDON), 0);
});

test('cities are as far apart as the atlas says', () => {
  within(distanceKm(LONDON, PARIS), 343.6, 0.5);
  within(distanceKm(LONDON, SYDNEY), 16_994, 2);
});

test('a degree along a meridian or the equator is the 360th part of the circle', () => {
  const degree = HALF_ROUND / 180;
  within(distanceKm({ latitude: 10, longitude: 7 }, { latitude: 11, longitude: 7 }), degree, 1e-9);
  within(distanceKm({ latitude: 0, longitude: 179.5 }, { latitude: 0, longitude: -179.5 }), degree, 1e-9);
});

test('antipodes are half way round, and the poles have one longitude', () => {
  within(distanceKm({ latitude: 90, longitude: 0 }, { latitude: -90, longitude: 33 }), HALF_ROUND, 1e-6);
  within(distanceKm({ latitude: 90, longitude: 0 }, { latitude: 90, longitude: 180 }), 0, 1e-6);
  const random = seededRandom(1);
  for (let i = 0; i < 10_000; i += 1) {
    const { latitude, longitude } = anywhere(random.next(), random.next());
    const antipode = { latitude: -latitude, longitude: longitude > 0 ? longitude - 180 : longitude + 180 };
    within(distanceKm({ latitude, longitude }, antipode), HALF_ROUND, 0.001);
  }
});

test('a metre is told apart', () => {
  within(distanceKm(LONDON, { latitude: LONDON.latitude + 0.000009, longitude: LONDON.longitude }), 0.001, 0.00001);
});

test('it agrees with the angle between vectors, either way round', () => {
  const random = seededRandom(2);
  for (let i = 0; i < 10_000; i += 1) {
    const a = anywhere(random.next(), random.next());
    const b = anywhere(random.next(), random.next());
    within(distanceKm(a, b), EARTH_RADIUS_KM * angleBetween(vector(a), vector(b)), 0.001);
    assert.equal(distanceKm(a, b), distanceKm(b, a));
  }
});

test('a coordinate that is no number is infinitely far, so that it ranks last', () => {
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    assert.equal(distanceKm(LONDON, { latitude: bad, longitude: 0 }), Number.POSITIVE_INFINITY);
    assert.equal(distanceKm({ latitude: 0, longitude: bad }, LONDON), Number.POSITIVE_INFINITY);
  }
});

function anywhere(u: number, v: number): Location {
  return { latitude: u * 180 - 90, longitude: v * 360 - 180 };
}

type Vector = readonly [number, number, number];

function vector({ latitude, longitude }: Location): Vector {
  const [phi, lambda] = [(latitude * Math.PI) / 180, (longitude * Math.PI) / 180];
  return [Math.cos(phi) * Math.cos(lambda), Math.cos(phi) * Math.sin(lambda), Math.sin(phi)];
}

function angleBetween([a, b, c]: Vector, [d, e, f]: Vector): number {
  return Math.atan2(Math.hypot(b * f - c * e, c * d - a * f, a * e - b * d), a * d + b * e + c * f);
}
