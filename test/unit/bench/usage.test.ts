import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseList } from '../../../bench/machine.ts';
import { parseCore, parseSizes, parseStat, withDescendants } from '../../../bench/usage.ts';

test('the stat of a process counts its CPU time and that of children that have ended, whatever its name', () => {
  const line = '4242 (a) b (c) S 7 4242 4242 0 -1 4194560 900 0 0 0 150 50 25 5 20 0 1 0 12345 1000000 200';
  assert.deepEqual(parseStat(line), { parent: 7, cpu: 2.3 });
});

test('sizes come in bytes', () => {
  const sizes = parseSizes('Rss:                1316 kB\nPss:                  71 kB\nName:\tnode\n');
  assert.equal(sizes.get('Pss'), 71 * 1024);
  assert.equal(sizes.get('Rss'), 1316 * 1024);
  assert.equal(sizes.get('Name'), undefined);
});

test('of a core, the time in processes and the time stolen', () => {
  const text = 'cpu  1 1 1 1 1 1 1 1 0 0\ncpu0 100 20 30 900 5 6 7 40 0 0\ncpu10 9 9 9 9 9 9 9 9 0 0\n';
  assert.deepEqual(parseCore(text, 0), { processes: 1.5, stolen: 0.4 });
  assert.deepEqual(parseCore(text, 3), { processes: 0, stolen: 0 });
});

test('the tree of a process holds its descendants and nobody else', () => {
  const parents = { 1: 0, 10: 1, 11: 10, 12: 11, 20: 1, 21: 20 };
  const stats = new Map(Object.entries(parents).map(([pid, parent]) => [Number(pid), { parent }]));
  assert.deepEqual([...withDescendants([10], stats)].toSorted(), [10, 11, 12]);
  assert.deepEqual([...withDescendants([12, 20], stats)].toSorted(), [12, 20, 21]);
  assert.deepEqual([...withDescendants([99], stats)], []);
});

test('lists of cores are read as the kernel writes them', () => {
  assert.deepEqual(parseList('0-2,5'), [0, 1, 2, 5]);
  assert.deepEqual(parseList('7'), [7]);
  assert.deepEqual(parseList(''), []);
});
