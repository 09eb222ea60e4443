// Which certificate covers which name, and what is said of a folder that cannot be used.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { openCertificates, readCertificates } from '../../../../edge-node/io/certificates.ts';
import { tempFolder } from '../../../support/temp.ts';
import { CERTIFICATES } from '../../../support/tls-edge.ts';

const NOW = Date.parse('2030-01-01');
const file = (name: string): string => path.join(CERTIFICATES, name);

test('a name has the certificate that says it, or one with a wildcard for its first label', async () => {
  const { find, names } = openCertificates(await readCertificates(CERTIFICATES, NOW));
  assert.deepEqual(names, ['demo.example', 'other.example', '*.wild.example']);
  const demo = find('demo.example');
  const other = find('other.example');
  assert.ok(demo && other && demo !== other);
  assert.equal(find('Demo.Example'), demo);
  assert.equal(find('a.wild.example'), other);
  for (const name of [
    '',
    'x.example',
    'wild.example',
    'a.b.wild.example',
    '.wild.example.',
    'localhost',
    'demo.example.',
  ]) {
    assert.equal(find(name), undefined, name);
  }
});

test('who sends no name gets the first, or the one called default', async (t) => {
  const demo = await readFile(file('demo.crt'), 'latin1');
  assert.deepEqual((await readCertificates(CERTIFICATES, NOW)).fallback.cert, demo);
  const folder = tempFolder(t);
  for (const end of ['crt', 'key']) {
    await copyFile(file(`other.${end}`), path.join(folder, `a.${end}`));
    await copyFile(file(`demo.${end}`), path.join(folder, `default.${end}`));
  }
  assert.deepEqual((await readCertificates(folder, NOW)).fallback.cert, demo);
});

test('a certificate outside its time is served, with a warning', async () => {
  const late = await readCertificates(CERTIFICATES, Date.parse('2200-01-01'));
  assert.ok(openCertificates(late).find('demo.example'));
  assert.match(late.warnings[0] ?? '', /demo\.crt expired on 2124-01-01; renew it$/);
  const early = await readCertificates(CERTIFICATES, Date.parse('2000-01-01'));
  assert.match(early.warnings[1] ?? '', /other\.crt is not valid before 2024-01-01$/);
  assert.deepEqual((await readCertificates(CERTIFICATES, NOW)).warnings, []);
});

test('what is wrong with a folder is said by file, with what to do', async (t) => {
  const folder = tempFolder(t);
  const put = (name: string, content: string | Buffer) => writeFile(path.join(folder, name), content);
  const rejected = (message: RegExp) =>
    assert.rejects(readCertificates(folder, NOW), { name: 'CertificateError', message });
  await assert.rejects(
    readCertificates(path.join(folder, 'none'), NOW),
    /none: cannot be read \(ENOENT\); give a folder/,
  );
  await put('notes.txt', '');
  await rejected(/no NAME\.crt is in it/);
  await put('a.crt', 'x');
  await rejected(/a\.key: cannot be read \(ENOENT\); each NAME\.crt needs its NAME\.key beside it/);
  await put('a.key', 'x');
  await rejected(/a\.crt: not a PEM certificate/);
  await put('a.crt', await readFile(file('demo.crt')));
  await rejected(/a\.key: not an unencrypted PEM private key/);
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  await put('a.key', privateKey.export({ format: 'pem', type: 'pkcs8', cipher: 'aes-128-cbc', passphrase: 'secret' }));
  await rejected(/a\.key: not an unencrypted PEM private key/);
  await put('a.key', await readFile(file('other.key')));
  await rejected(/a\.key: not the key of .*a\.crt; put the pair that was issued together/);
  await put('a.key', await readFile(file('demo.key')));
  await readCertificates(folder, NOW);
});
