// Databases of either layout and every record size are opened, looked up in and refused; all of them are written here.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { type GeoOptions, openGeo } from '../../../geo/database.ts';
import { silentLog } from '../../../infra/runtime/log.ts';
import { seededRandom } from '../../../infra/runtime/random.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { flatRecord, nestedRecord, OWN } from '../../support/geo-records.ts';
import {
  float,
  type MmdbOptions,
  type MmdbValue,
  pointer,
  reversedDouble,
  uint16,
  uint32,
  writeMmdb,
} from '../../support/mmdb-writer.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'meridian-geo-'));
after(() => rmSync(folder, { recursive: true, force: true }));

let written = 0;

function fileOf(bytes: Buffer): string {
  written += 1;
  const file = path.join(folder, `${written}.mmdb`);
  writeFileSync(file, bytes);
  return file;
}

function open(files: readonly string[], options: Partial<GeoOptions> = {}) {
  return openGeo({ files, clock: new FakeClock(), log: silentLog, own: OWN, ...options });
}

const NESTED: MmdbOptions = {
  type: 'GeoLite2-City',
  ipVersion: 6,
  networks: [
    ['81.2.69.0/24', nestedRecord('London', 'GB', 51.5142, -0.0931)],
    ['2001:200::/32', nestedRecord('Tokyo', 'JP', 35.68536, 139.75309)],
    ['10.0.0.0/8', nestedRecord('Office', 'XX', 1, 1)],
    ['5.0.0.0/8', { country: { iso_code: 'FR' } }],
  ],
};
const FLAT_IPV4: MmdbOptions = {
  type: 'city ipv4',
  ipVersion: 4,
  networks: [
    ['1.1.1.0/24', flatRecord('Sydney', 'AU', -33.8688, 151.209)],
    ['32.1.0.0/16', flatRecord('Columbus', 'US', 40, -83)],
  ],
};
const FLAT_IPV6: MmdbOptions = {
  type: 'city ipv6',
  ipVersion: 6,
  networks: [['2c0f::/16', flatRecord('Lagos', 'NG', 6.5, 3.375)]],
};

test('a nested database places IPv4 and IPv6 addresses', async () => {
  const geo = await open([fileOf(writeMmdb(NESTED))]);
  assert.deepEqual(geo.locate('81.2.69.142'), {
    source: 'database',
    location: { latitude: 51.5142, longitude: -0.0931 },
    city: 'London',
    country: 'GB',
  });
  assert.equal(geo.locate('2001:200::1').city, 'Tokyo');
  assert.equal(geo.locate('::ffff:81.2.69.142').city, 'London');
});

test('flat databases of one family each place the addresses of theirs', async () => {
  const geo = await open([fileOf(writeMmdb(FLAT_IPV4)), fileOf(writeMmdb(FLAT_IPV6))]);
  assert.deepEqual(geo.locate('1.1.1.1'), {
    source: 'database',
    location: { latitude: Math.fround(-33.8688), longitude: Math.fround(151.209) },
    city: 'Sydney',
    country: 'AU',
  });
  assert.equal(geo.locate('2c0f:f5c0::1').city, 'Lagos');
});

test('an IPv6 address is not looked up by its first bits in an IPv4 database', async () => {
  const ipv4 = fileOf(writeMmdb(FLAT_IPV4));
  // 2001:: begins with the bits of 32.1.
  assert.equal((await open([ipv4])).locate('32.1.0.1').city, 'Columbus');
  assert.equal((await open([ipv4])).locate('2001:470::1').source, 'no-database');
  assert.equal((await open([ipv4, fileOf(writeMmdb(FLAT_IPV6))])).locate('2001:470::1').source, 'not-in-database');
});

test('of several databases the first that knows an address answers', async () => {
  const mine = writeMmdb({ ...FLAT_IPV4, networks: [['81.2.69.142/32', flatRecord('Greenwich', 'GB', 51.48, 0)]] });
  const geo = await open([fileOf(mine), fileOf(writeMmdb(NESTED))]);
  assert.equal(geo.locate('81.2.69.142').city, 'Greenwich');
  assert.equal(geo.locate('81.2.69.143').city, 'London');
});

test('every record size is read', async () => {
  for (const recordSize of [24, 28, 32] as const) {
    const geo = await open([fileOf(writeMmdb({ ...NESTED, recordSize }))]);
    assert.equal(geo.locate('81.2.69.142').city, 'London');
    assert.equal(geo.locate('2001:200::1').city, 'Tokyo');
  }
});

test('an address that cannot be placed has the own location, and the source says why', async () => {
  const geo = await open([fileOf(writeMmdb(NESTED))]);
  const fallback = (source: string) => ({ source, location: OWN, city: '', country: '' });
  for (const ip of ['10.1.2.3', '127.0.0.1', '::1', 'fd00::1', '::ffff:192.168.1.1']) {
    assert.deepEqual(geo.locate(ip), fallback('private-address'), ip);
  }
  // The last three: a record without coordinates, and what is not an address at all.
  for (const ip of ['8.8.8.8', '2001:4860::1', '5.1.1.1', '81.2.69.142:80', 'x'.repeat(100_000), '']) {
    assert.deepEqual(geo.locate(ip), fallback('not-in-database'), ip.slice(0, 40));
  }
});

test('without a database every address has the own location', async () => {
  const geo = await open([]);
  assert.deepEqual(geo.locate('81.2.69.142'), { source: 'no-database', location: OWN, city: '', country: '' });
  assert.equal(geo.locate('10.0.0.1').source, 'private-address');
});

test('the own location may move', async () => {
  const geo = await open([fileOf(writeMmdb(NESTED))]);
  assert.deepEqual(geo.locate('8.8.8.8').location, OWN);
  geo.setOwn({ latitude: 1, longitude: 2 });
  assert.deepEqual(geo.locate('8.8.8.8').location, { latitude: 1, longitude: 2 });
  assert.equal(geo.locate('81.2.69.142').city, 'London');
});

test('a description names each file, its type and when it was built', async () => {
  const bytes = writeMmdb({ ...NESTED, built: 1_750_000_000 });
  const file = fileOf(bytes);
  assert.deepEqual((await open([file])).describe(), {
    databases: [{ file, type: 'GeoLite2-City', ipVersion: 6, built: '2025-06-15T15:06:40.000Z', bytes: bytes.length }],
    replaced: 0,
    refused: 0,
    failedLookups: 0,
  });
});

test('more look-ups than are remembered change no answer', async () => {
  const geo = await open([fileOf(writeMmdb(NESTED))]);
  for (let round = 0; round < 2; round += 1) {
    for (let i = 0; i < 25_000; i += 1) {
      assert.equal(geo.locate(`81.2.${69 + (i >> 8)}.${i & 255}`).city, i < 256 ? 'London' : '');
    }
  }
});

const GOOD = writeMmdb(NESTED);
const country = { country: { iso_code: 'GB' } };
const refused: [title: string, file: () => string, problem: RegExp][] = [
  ['that does not exist', () => path.join(folder, 'none.mmdb'), /none\.mmdb: does not exist; check the path/],
  [
    'that is a folder',
    () => mkdirSync(path.join(folder, 'f'), { recursive: true }) ?? path.join(folder, 'f'),
    /not a reg/,
  ],
  ['that is too large', () => sparse(1024 ** 3 + 1), /is larger than 1073741824 bytes/],
  ['that is empty', () => fileOf(Buffer.alloc(0)), /is empty; download it again/],
  ['that is still packed', () => fileOf(gzipSync(GOOD)), /is a gzip archive; unpack it/],
  ['that is something else', () => fileOf(Buffer.from('{"city": "London"}'.repeat(100))), /is not a MaxMind DB file/],
  [
    'with a wrong magic',
    () => fileOf(Buffer.from(GOOD.toString('latin1').replace('MaxMind', 'MinMaxd'), 'latin1')),
    /not a Ma/,
  ],
  ['that was cut short', () => fileOf(GOOD.subarray(0, GOOD.length / 2)), /or was cut short: it has no metadata/],
  [
    'whose metadata was cut short',
    () => fileOf(GOOD.subarray(0, -30)),
    /has unreadable metadata|missing or impossible/,
  ],
  ['that lost its beginning', () => fileOf(GOOD.subarray(600)), /is damaged/],
  [
    'of another format',
    () => fileOf(writeMmdb({ ...NESTED, metadata: { binary_format_major_version: uint16(3) } })),
    /version 3/,
  ],
  [
    'with too many nodes',
    () => fileOf(writeMmdb({ ...NESTED, metadata: { node_count: uint32(100_000) } })),
    /100000 nodes does/,
  ],
  ['with too few nodes', () => fileOf(writeMmdb({ ...NESTED, metadata: { node_count: uint32(10) } })), /10 nodes does/],
  ['with no nodes', () => fileOf(writeMmdb({ ...NESTED, metadata: { node_count: uint32(0) } })), /impossible values/],
  ['of no family', () => fileOf(writeMmdb({ ...NESTED, metadata: { ip_version: uint16(5) } })), /impossible values/],
  ['of no date', () => fileOf(writeMmdb({ ...NESTED, metadata: { build_epoch: 'today' } })), /impossible values/],
  [
    'of no record size',
    () => fileOf(writeMmdb({ ...NESTED, metadata: { record_size: uint16(20) } })),
    /unreadable metadata/,
  ],
  [
    'of countries',
    () => fileWith('GeoLite2-Country', country),
    /"GeoLite2-Country", which has no coordinates; a City database is n/,
  ],
  [
    'of networks',
    () => fileWith('GeoLite2-ASN', { autonomous_system_number: uint32(1) }),
    /"GeoLite2-ASN", which has no coo/,
  ],
  ['without records', () => fileOf(writeMmdb({ ...NESTED, networks: [] })), /holds no records/],
  [
    'with doubles the wrong way round',
    () => fileWith('C', { location: reversed(51.5142, -0.0931) }),
    /impossible coordinates/,
  ],
  [
    'with places off the map',
    () => fileWith('C', { latitude: 91.5, longitude: 0 }),
    /records have impossible coordinates/,
  ],
  ['whose record refers to itself', () => fileWith('C', pointer(0)), /record of .* is unreadable/],
  [
    'whose record refers to nowhere',
    () => fileWith('C', { location: pointer(0xffffff) }),
    /record of .* is unreadable/,
  ],
];

function sparse(bytes: number): string {
  const file = fileOf(Buffer.alloc(0));
  truncateSync(file, bytes);
  return file;
}

function fileWith(type: string, record: MmdbValue): string {
  return fileOf(writeMmdb({ type, ipVersion: 4, networks: [['1.0.0.0/8', record]] }));
}

function reversed(latitude: number, longitude: number) {
  return { latitude: reversedDouble(latitude), longitude: reversedDouble(longitude) };
}

for (const [title, file, problem] of refused) {
  test(`a database ${title} is refused with its name and what to do`, async () => {
    const name = file();
    await assert.rejects(open([fileOf(GOOD), name]), (error: Error) => {
      assert.equal(error.name, 'GeoDatabaseError');
      assert.match(error.message, problem);
      assert.ok(error.message.startsWith(`geographic database ${name}: `), error.message);
      return true;
    });
  });
}

test('one bad record among many does not condemn a database', async () => {
  const networks = Array.from(
    { length: 250 },
    (_, i) => [`${i}.0.0.0/8`, flatRecord('X', 'XX', i === 100 ? 99 : 1, 1)] as const,
  );
  const geo = await open([fileOf(writeMmdb({ type: 'C', ipVersion: 4, networks }))]);
  assert.equal(geo.locate('99.1.1.1').source, 'database');
  assert.equal(geo.locate('100.1.1.1').source, 'not-in-database');
});

test('records that share values are read once, however often they are shared', async () => {
  // Each list holds the one before it ten times over: read one by one, there would be a hundred million items.
  const networks: [block: string, record: MmdbValue][] = [['1.0.0.0/8', float(1)]];
  let previous = 0;
  let offset = 6;
  for (let i = 2; i < 10; i += 1) {
    const shared = pointer(previous);
    networks.push([`${i}.0.0.0/8`, Array.from({ length: 10 }, () => shared)]);
    previous = offset;
    offset += 2 + 10 * shared.bytes.length;
  }
  networks.push(['81.0.0.0/8', { latitude: 1, longitude: 1, more: pointer(previous) }]);
  const geo = await open([fileOf(writeMmdb({ type: 'C', ipVersion: 4, networks }))]);
  assert.equal(geo.locate('81.1.1.1').source, 'database');
});

test('a database with random damage is refused in one sentence, or serves sound places', async () => {
  const random = seededRandom(2_000);
  const below = (n: number): number => Math.floor(random.next() * n);
  const outcomes = { refused: 0, served: 0 };
  const file = fileOf(GOOD);
  for (let round = 0; round < 400; round += 1) {
    const bytes = Buffer.from(writeMmdb({ ...NESTED, recordSize: ([24, 28, 32] as const)[round % 3] ?? 24 }));
    for (let hits = 1 + below(3); hits > 0; hits -= 1) bytes[below(bytes.length)] = below(256);
    const cut = random.next() < 0.2 ? below(bytes.length) : bytes.length;
    writeFileSync(file, bytes.subarray(0, cut));
    let geo: Awaited<ReturnType<typeof open>>;
    try {
      geo = await open([file]);
    } catch (error) {
      assert.match(String(error), /^GeoDatabaseError: geographic database .*: .*; .*$/s, `round ${round}`);
      outcomes.refused += 1;
      continue;
    }
    outcomes.served += 1;
    for (let i = 0; i < 50; i += 1) {
      const ip =
        i % 2 ? `${below(256)}.${below(256)}.69.1` : `${below(65_536).toString(16)}:${below(65_536).toString(16)}::1`;
      const { location } = geo.locate(ip);
      assert.ok(Math.abs(location.latitude) <= 90 && Math.abs(location.longitude) <= 180, `round ${round}: ${ip}`);
    }
  }
  assert.ok(outcomes.refused > 50 && outcomes.served > 50, JSON.stringify(outcomes));
});
