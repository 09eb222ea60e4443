// Certificate files of the control channel: what is accepted, what is warned of, and what is taken up later.
import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { loadTls, TlsSource } from '../../../infra/runtime/tls-files.ts';
import { client, filesIn, server } from '../../support/certs.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { tempFolder } from '../../support/temp.ts';
import { until } from '../../support/until.ts';

const DAY_MS = 24 * 3_600_000;

test('a pair and its authority are read, with the names of the certificate', async (t) => {
  const files = await filesIn(tempFolder(t), client('meridian://edge/london'));
  const material = await loadTls(files, Date.now());
  assert.deepEqual([material.subjectAltName, material.warnings], ['URI:meridian://edge/london', []]);
  assert.equal((await loadTls({ ca: files.ca }, Date.now())).pair, undefined);
});

test('what the other side will refuse, and what others can read, is warned of', async (t) => {
  const files = await filesIn(tempFolder(t), server());
  const warnings = async (days: number, ca = files.ca) =>
    (await loadTls({ ...files, ca }, Date.now() + days * DAY_MS)).warnings.join('; ');
  assert.match(await warnings(31), /tls\.crt expired on 20.*: the other side refuses it; renew it$/);
  assert.match(await warnings(-2), /tls\.crt is not valid before 20.*check the clock/);
  assert.match(await warnings(25), /tls\.crt expires on 20\d\d-\d\d-\d\d; renew it$/);
  assert.match(await warnings(0, files.pair.cert), /tls\.crt is no certificate of an authority/);
  chmodSync(files.pair.key, 0o640);
  assert.match(await warnings(0), /tls\.key can be read by others than its owner: chmod 600 /);
});

test('a file that is missing, something else, or of another pair is named with what to do', async (t) => {
  const folder = tempFolder(t);
  const files = await filesIn(folder, server());
  const other = await filesIn(tempFolder(t), server());
  const absent = path.join(folder, 'absent');
  const garbage = path.join(folder, 'garbage');
  writeFileSync(garbage, 'garbage');
  const { cert, key } = files.pair;
  const load = (ca: string, pair: { cert: string; key: string }) => loadTls({ ca, pair }, Date.now());
  await assert.rejects(
    load(absent, files.pair),
    /absent: cannot be read \(ENOENT\); "meridian certs" makes certificates/,
  );
  await assert.rejects(load(folder, files.pair), /cannot be read \(EISDIR\)/);
  await assert.rejects(load(garbage, files.pair), /garbage: not a certificate in PEM form/);
  await assert.rejects(load(files.ca, { cert: garbage, key }), /garbage: not a certificate in PEM form/);
  await assert.rejects(load(files.ca, { cert, key: garbage }), /garbage: not an unencrypted private key in PEM form/);
  await assert.rejects(load(files.ca, { cert, key: other.pair.key }), /tls\.key is not the key of .*made together/);
  writeFileSync(garbage, Buffer.alloc(2 * 1024 * 1024));
  await assert.rejects(load(garbage, files.pair), /too large for a PEM file/);
});

test('a renewed pair is taken up, a torn one is not, and one that grows old is warned of once', async (t) => {
  const folder = tempFolder(t);
  const files = await filesIn(folder, server());
  const later = await filesIn(tempFolder(t), server(), {
    validity: { from: Date.now() - 1000, to: Date.now() + 7.1 * DAY_MS },
  });
  const clock = new FakeClock(Date.now());
  const said: string[] = [];
  const say = (fields: { readonly reason?: string }, message: string): void => {
    said.push(`${message} ${fields.reason ?? ''}`);
  };
  const source = await TlsSource.open(files, clock, { debug() {}, info: say, warn: say, error: say });
  t.after(() => source.stop());
  let changes = 0;
  source.onChange(() => {
    changes += 1;
  });
  const first = source.current;
  await source.look();
  assert.deepEqual([changes, said], [0, []]);

  copyFileSync(later.pair.key, files.pair.key);
  await source.look();
  await source.look();
  assert.equal(source.current, first);
  assert.equal(said.length, 1, 'half a renewal is complained of once');
  assert.match(said.pop() ?? '', /cannot be used .*tls\.key is not the key of/);

  copyFileSync(later.pair.cert, files.pair.cert);
  await source.look();
  assert.notEqual(source.current, first);
  assert.equal(changes, 1);
  assert.match(said.pop() ?? '', /renewed certificates are in use/);

  await until('the certificate to be within its last week', () => {
    clock.advance(DAY_MS / 10);
    return said.length > 0;
  });
  await source.look();
  await source.look();
  assert.deepEqual(
    said.map((line) => /tls\.crt expires on/.test(line)),
    [true],
  );
});
