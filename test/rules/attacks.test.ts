// docs/attacks.md says what is done about each attack, and which tests show it: the tests must exist. Two of its rows rest on
// what is not there at all: code that unpacks, and patterns made of what somebody wrote.
import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

const ROOT = new URL('../../', import.meta.url);
const read = (file: string): string => {
  const url = new URL(file, ROOT);
  return existsSync(url) ? readFileSync(url, 'utf8') : '';
};
const rows = read('docs/attacks.md')
  .split('\n')
  .filter((line) => line.startsWith('| ') && !line.startsWith('| What is tried'))
  .map((line) => line.split(' | ').map((cell) => cell.replace(/^\| | \|$/g, '').trim()));
const sources = ['edge-node', 'control-plane', 'geo', 'proto', 'cli', 'infra'].flatMap((folder) =>
  globSync(`${folder}/**/*.ts`, { cwd: ROOT }).filter((file) => !file.startsWith('proto/gen/')),
);

test('docs/attacks.md has an answer and a test for every row', () => {
  assert.ok(rows.length > 35, `only ${rows.length} rows were found`);
  for (const [attack = '', answer = '', tests = ''] of rows) {
    assert.ok(answer !== '', `${attack}: nothing is done`);
    assert.match(tests, /`[^`]+`/, `${attack}: no test`);
  }
});

test('every test that docs/attacks.md names is there', () => {
  for (const [attack, , tests = ''] of rows) {
    for (const [, named = ''] of tests.matchAll(/`([^`]+)`/g)) {
      const colon = named.indexOf(': ');
      const [file, title] = [named.slice(0, colon), named.slice(colon + 2)];
      const text = read(`test/${file}`).replaceAll("\\'", "'");
      const there = [`'${title}'`, `"${title}"`, `\`${title}\``].some((form) => text.includes(form));
      assert.ok(there, `${attack}: ${file} has no test "${title}"`);
    }
  }
});

test('nothing of an edge unpacks what was packed', () => {
  for (const file of sources) {
    for (const [, names = ''] of read(file).matchAll(/import ([^;]*?) from 'node:zlib'/g)) {
      assert.equal(names, '{ crc32 }', `${file} takes more from node:zlib than a checksum`);
    }
  }
});

test('no regular expression is made of anything but constants', () => {
  for (const file of sources) {
    for (const [, made = ''] of read(file).matchAll(/\bRegExp\((.*)\)/g)) {
      const names = [...made.matchAll(/\$\{(.*?)\}/g)].map(([, name = '']) => name);
      assert.match(made, /^`/, `${file}: ${made} is not written out`);
      for (const name of names) assert.match(name, /^[A-Z_]+$/, `${file}: ${name} is not a constant`);
    }
  }
});
