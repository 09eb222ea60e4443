// The database that comes with the project: clients of four cities, by IPv4 and IPv6, are nearest to the origin in theirs.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { type Geo, openGeo } from '../../../geo/database.ts';
import { rankByDistance } from '../../../geo/rank.ts';
import { silentLog } from '../../../infra/runtime/log.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { OWN } from '../../support/geo-records.ts';

let geo: Promise<Geo> | undefined;
const theGeo = () => {
  geo ??= openGeo({ clock: new FakeClock(), log: silentLog, own: OWN });
  return geo;
};
after(async () => (await geo)?.close());

const ORIGINS = [
  { name: 'london', location: { latitude: 51.51, longitude: -0.13 }, weight: 100 },
  { name: 'sao-paulo', location: { latitude: -23.55, longitude: -46.63 }, weight: 100 },
  { name: 'lagos', location: { latitude: 6.52, longitude: 3.38 }, weight: 100 },
  { name: 'sydney', location: { latitude: -33.87, longitude: 151.21 }, weight: 100 },
];

const CLIENTS: [ip: string, country: string, nearest: string][] = [
  ['81.2.69.142', 'GB', 'london'],
  ['200.147.35.149', 'BR', 'sao-paulo'],
  ['41.203.64.1', 'NG', 'lagos'],
  ['1.1.1.1', 'AU', 'sydney'],
  ['2001:630::1', 'GB', 'london'],
  ['2804:14c::1', 'BR', 'sao-paulo'],
  ['2c0f:f5c0::1', 'NG', 'lagos'],
  ['2001:8000::1', 'AU', 'sydney'],
];

for (const [ip, country, nearest] of CLIENTS) {
  test(`a client at ${ip} is in ${country} and nearest to ${nearest}`, async () => {
    const place = (await theGeo()).locate(ip);
    assert.equal(place.source, 'database');
    assert.equal(place.country, country);
    assert.equal(rankByDistance(place.location, ORIGINS, 0)[0]?.candidate.name, nearest);
  });
}

test('the two files cover both families and say when they were built', async () => {
  const { databases } = (await theGeo()).describe();
  assert.deepEqual(
    databases.map(({ ipVersion }) => ipVersion),
    [4, 6],
  );
  for (const { built } of databases) assert.ok(built > '2025', built);
});
