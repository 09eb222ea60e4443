// MaxMind's own test databases, where a copy of them stands beside the project.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { openGeo } from '../../../geo/database.ts';
import { silentLog } from '../../../infra/runtime/log.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { OWN } from '../../support/geo-records.ts';

const folder = path.join(import.meta.dirname, '../../../../shared/data/mmdb');
const options = { skip: existsSync(folder) ? false : 'no MaxMind test databases beside the project' };

function open(name: string) {
  return openGeo({ files: [path.join(folder, name)], clock: new FakeClock(), log: silentLog, own: OWN, watchMs: 0 });
}

for (const name of ['GeoIP2-City-Test.mmdb', 'GeoLite2-City-Test.mmdb']) {
  test(`${name} places IPv4 and IPv6 addresses`, options, async () => {
    const geo = await open(name);
    assert.deepEqual(geo.locate('81.2.69.142'), {
      source: 'database',
      location: { latitude: 51.5142, longitude: -0.0931 },
      city: 'London',
      country: 'GB',
    });
    assert.equal(geo.locate('2001:218::1').country, 'JP');
    assert.equal(geo.locate('1.128.0.1').source, 'not-in-database');
  });
}

const REFUSED: [name: string, problem: RegExp][] = [
  ['GeoIP2-City-Test-Broken-Double-Format.mmdb', /is damaged: \d+ of \d+ records have impossible coordinates/],
  ['GeoIP2-City-Test-Invalid-Node-Count.mmdb', /is damaged: its tree of 100000 nodes does not end where it should/],
  ['GeoIP2-Country-Test.mmdb', /is of type "GeoIP2-Country", which has no coordinates; a City database is needed/],
  ['GeoLite2-ASN-Test.mmdb', /is of type "GeoLite2-ASN", which has no coordinates; a City database is needed/],
];

for (const [name, problem] of REFUSED) {
  test(`${name} is refused`, options, async () => {
    await assert.rejects(open(name), (error: Error) => {
      assert.match(error.message, problem);
      assert.ok(error.message.includes(name));
      return true;
    });
  });
}
