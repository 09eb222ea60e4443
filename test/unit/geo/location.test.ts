import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRecord } from '../../../geo/location.ts';
import { seededRandom } from '../../../infra/runtime/random.ts';

const NESTED = {
  city: { geoname_id: 2643743, names: { de: 'London', en: 'London', ja: 'ロンドン' } },
  country: { iso_code: 'GB', names: { en: 'United Kingdom' } },
  location: { accuracy_radius: 10, latitude: 51.5142, longitude: -0.0931, time_zone: 'Europe/London' },
};
const FLAT = {
  ...{ city: 'Lagos', country_code: 'NG', latitude: 6.5, longitude: 3.375 },
  ...{ postcode: '', state1: 'Lagos', state2: '', timezone: '' },
};

test('a nested record says where it is', () => {
  assert.deepEqual(parseRecord(NESTED), {
    location: { latitude: 51.5142, longitude: -0.0931 },
    city: 'London',
    country: 'GB',
  });
});

test('a flat record says where it is', () => {
  assert.deepEqual(parseRecord(FLAT), { location: { latitude: 6.5, longitude: 3.375 }, city: 'Lagos', country: 'NG' });
});

test('a place without names still has a location', () => {
  const nowhere = { location: { latitude: 0, longitude: 0 }, city: '', country: '' };
  assert.deepEqual(parseRecord({ location: { latitude: 0, longitude: 0 } }), nowhere);
  assert.deepEqual(parseRecord({ latitude: 0, longitude: 0, city: 7, country_code: null }), nowhere);
  assert.deepEqual(parseRecord({ ...nowhere.location, city: { names: { de: 'X' } }, country: [] }), nowhere);
});

test('without coordinates there is no place', () => {
  const without = [
    ...[null, undefined, 0, 'x', true, [], {}, { city: 'Lagos', country_code: 'NG' }, { country: NESTED.country }],
    ...[{ autonomous_system_number: 1221 }, { location: null }, { location: { time_zone: 'Europe/London' } }],
    ...[{ location: { latitude: 1 } }, { longitude: 1 }],
  ];
  for (const record of without) assert.equal(parseRecord(record), undefined, JSON.stringify(record));
});

test('coordinates that cannot be are none: out of range, no numbers, or so small that they were misread', () => {
  for (const bad of [90.1, -90.1, 1e300, Number.NaN, Number.POSITIVE_INFINITY, '51.5', 51n, null, 1.79e-52, -5e-324]) {
    assert.equal(parseRecord({ ...FLAT, latitude: bad }), undefined, String(bad));
  }
  for (const bad of [180.1, -180.1, 4.96e-91, {}]) assert.equal(parseRecord({ ...FLAT, longitude: bad }), undefined);
  assert.ok(parseRecord({ latitude: -90, longitude: 180 }));
});

test('whatever a record is made of, it gives a sound place or none', () => {
  const random = seededRandom(4180);
  const pick = <T>(items: readonly T[]): T | undefined => items[Math.floor(random.next() * items.length)];
  const keys = [
    'location',
    'latitude',
    'longitude',
    'city',
    'names',
    'en',
    'country',
    'iso_code',
    'country_code',
    '__proto__',
  ];
  const leaves = [
    0,
    1,
    -45.5,
    179,
    1e9,
    1e-40,
    Number.NaN,
    '',
    'x',
    '10',
    null,
    undefined,
    true,
    5n,
    [],
    Buffer.from('x'),
  ];
  const make = (depth: number): unknown => {
    if (depth === 0 || random.next() < 0.3) return pick(leaves);
    const some = Object.fromEntries(Array.from({ length: 5 }, () => [pick(keys), make(depth - 1)]));
    return random.next() < 0.5 ? some : { ...some, latitude: pick(leaves), longitude: pick(leaves) };
  };
  let places = 0;
  for (let round = 0; round < 10_000; round += 1) {
    const place = parseRecord(make(3));
    if (!place) continue;
    places += 1;
    const { location, city, country } = place;
    assert.ok(Math.abs(location.latitude) <= 90 && Math.abs(location.longitude) <= 180);
    assert.equal(typeof city, 'string');
    assert.equal(typeof country, 'string');
  }
  assert.ok(places > 100, `only ${places} of the records were places`);
});
