// Files that change under a running process: what is sound takes over, what is not changes nothing.
import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { type Geo, openGeo } from '../../../geo/database.ts';
import type { Log } from '../../../infra/runtime/log.ts';
import { silentLog } from '../../../infra/runtime/log.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { nestedRecord, OWN } from '../../support/geo-records.ts';
import { writeMmdb } from '../../support/mmdb-writer.ts';
import { until } from '../../support/until.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'meridian-geo-watch-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const IP = '81.2.69.142';
const OTHER_IP = '82.0.0.1';

function database(city: string, block = '81.0.0.0/8'): Buffer {
  return writeMmdb({ type: 'GeoLite2-City', ipVersion: 6, networks: [[block, nestedRecord(city, 'GB', 51.5, -0.1)]] });
}

interface Watched {
  readonly geo: Geo;
  readonly clock: FakeClock;
  /** Two databases: London for `IP`, and Paris for `OTHER_IP`. */
  readonly file: string;
  readonly other: string;
  readonly logged: { level: string; fields: object; message: string }[];
  /** Lets time pass until the files have been looked at often enough for `condition` to hold. */
  lookUntil(what: string, condition: () => boolean): Promise<void>;
}

let opened = 0;

async function watched(): Promise<Watched> {
  opened += 1;
  const file = path.join(folder, `${opened}.mmdb`);
  const other = path.join(folder, `${opened}-other.mmdb`);
  writeFileSync(file, database('London'));
  writeFileSync(other, database('Paris', '82.0.0.0/8'));
  const logged: Watched['logged'] = [];
  const log: Log = {
    ...silentLog,
    info: (fields, message) => logged.push({ level: 'info', fields, message }),
    warn: (fields, message) => logged.push({ level: 'warn', fields, message }),
  };
  const clock = new FakeClock();
  const geo = await openGeo({ files: [file, other], clock, log, own: OWN });
  assert.equal(geo.locate(IP).city, 'London');
  return {
    ...{ geo, clock, file, other, logged },
    lookUntil: (what, condition) =>
      until(what, () => {
        clock.advance(2000);
        return condition();
      }),
  };
}

/** As a careful updater does it: written elsewhere, then renamed. */
function replaceBy(bytes: Buffer, file: string): void {
  writeFileSync(`${file}.new`, bytes);
  renameSync(`${file}.new`, file);
}

test('a file that another is renamed over is read, and its answers replace those remembered', async () => {
  const { geo, file, lookUntil, logged } = await watched();
  replaceBy(database('Oxford'), file);
  assert.equal(geo.locate(IP).city, 'London');
  await lookUntil('the new database', () => geo.describe().replaced === 1);
  assert.equal(geo.locate(IP).city, 'Oxford');
  assert.equal(geo.locate(OTHER_IP).city, 'Paris');
  assert.deepEqual(
    logged.map(({ level, message }) => `${level}: ${message}`),
    ['info: geographic database replaced'],
  );
  await geo.close();
});

test('a file that is rewritten in place is read', async () => {
  const { geo, file, lookUntil } = await watched();
  writeFileSync(file, database('Cambridge'));
  await lookUntil('the new database', () => geo.describe().replaced === 1);
  assert.equal(geo.locate(IP).city, 'Cambridge');
  await geo.close();
});

test('a damaged file is refused once, with one line that says why, and the old one stays', async () => {
  const { geo, file, other, lookUntil, logged } = await watched();
  replaceBy(database('Oxford').subarray(0, 200), file);
  await lookUntil('the refusal', () => geo.describe().refused === 1);
  // By the time that the other file has been replaced, the damaged one was looked at again, twice.
  replaceBy(database('Lyon', '82.0.0.0/8'), other);
  await lookUntil('the other database', () => geo.describe().replaced === 1);
  assert.equal(geo.locate(IP).city, 'London');
  assert.equal(geo.locate(OTHER_IP).city, 'Lyon');
  assert.equal(geo.describe().refused, 1);
  const warnings = logged.filter(({ level }) => level === 'warn');
  assert.equal(warnings.length, 1);
  assert.match(JSON.stringify(warnings[0]), /was cut short.*the one in memory stays/);
  assert.ok(JSON.stringify(warnings[0]).includes(file));
  // And once it is mended, it is read.
  replaceBy(database('Oxford'), file);
  await lookUntil('the mended database', () => geo.describe().replaced === 2);
  assert.equal(geo.locate(IP).city, 'Oxford');
  await geo.close();
});

test('a file that disappears leaves the old one serving until it is back', async () => {
  const { geo, file, lookUntil, logged } = await watched();
  rmSync(file);
  await lookUntil('the refusal', () => geo.describe().refused === 1);
  assert.equal(geo.locate(IP).city, 'London');
  assert.match(JSON.stringify(logged[0]), /does not exist/);
  writeFileSync(file, database('Oxford'));
  await lookUntil('the new database', () => geo.describe().replaced === 1);
  assert.equal(geo.locate(IP).city, 'Oxford');
  await geo.close();
});

test('a file that is still being written is left alone until it rests', async () => {
  const { geo, file, other, lookUntil } = await watched();
  const bytes = database('Oxford');
  writeFileSync(file, bytes.subarray(0, 100));
  replaceBy(database('Lyon', '82.0.0.0/8'), other);
  await lookUntil('the other database', () => {
    appendFileSync(file, 'x');
    return geo.describe().replaced === 1;
  });
  assert.equal(geo.describe().refused, 0);
  writeFileSync(file, bytes);
  await lookUntil('the whole file', () => geo.describe().replaced === 2);
  assert.equal(geo.locate(IP).city, 'Oxford');
  assert.equal(geo.describe().refused, 0);
  await geo.close();
});

test('what is closed no longer looks', async () => {
  const { geo, file, clock } = await watched();
  replaceBy(database('Oxford'), file);
  clock.advance(2000);
  await geo.close();
  assert.equal(clock.pending, 0);
  assert.equal(geo.locate(IP).city, 'London');
});

test('a process that does not want to watch sets no timer', async () => {
  const { file, geo } = await watched();
  await geo.close();
  const clock = new FakeClock();
  const still = await openGeo({ files: [file], clock, log: silentLog, own: OWN, watchMs: 0 });
  assert.equal(clock.pending, 0);
  await still.close();
});
