// docs/rfc9111.md says where each rule of HTTP caching is decided and which tests cover it: both must exist.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

const ROOT = new URL('../../', import.meta.url);
const read = (file: string): string => {
  const url = new URL(file, ROOT);
  return existsSync(url) ? readFileSync(url, 'utf8') : '';
};
const page = read('docs/rfc9111.md');
const rows = page
  .split('\n')
  .filter((line) => line.startsWith('| ') && !line.startsWith('| Section'))
  .map((line) => line.split(' | ').map((cell) => cell.replace(/^\| | \|$/g, '').trim()));
const quoted = (cell: string): string[] => [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? '');

test('docs/rfc9111.md names a function and a test for every rule', () => {
  assert.ok(rows.length > 80, `only ${rows.length} rules were found`);
  for (const [section = '', word, rule, where = '', tests = ''] of rows) {
    const context = `${section} ${word}: ${rule}`;
    assert.ok(quoted(where).length > 0, `${context} is decided nowhere`);
    assert.ok(quoted(tests).length > 0, `${context} has no test`);
  }
});

test('every function that docs/rfc9111.md names is there', () => {
  for (const row of rows) {
    for (const named of quoted(row[3] ?? '')) {
      const [file = '', name = ''] = named.split(' ');
      const declared = new RegExp(`\\b(?:function|class|const) ${name}\\b`).test(read(`edge-node/${file}`));
      assert.ok(declared, `${row[0]} ${row[2]}: edge-node/${file} has no ${name}`);
    }
  }
});

test('every test that docs/rfc9111.md names is there', () => {
  for (const row of rows) {
    for (const named of quoted(row[4] ?? '')) {
      const colon = named.indexOf(': ');
      const [file, title] = [named.slice(0, colon), named.slice(colon + 2)];
      const text = read(`test/unit/edge-node/${file}`).replaceAll("\\'", "'");
      const there = [`'${title}'`, `"${title}"`].some((form) => text.includes(form));
      assert.ok(there, `${row[0]} ${row[2]}: ${file} has no test "${title}"`);
    }
  }
});
