import assert from 'node:assert/strict';
import { test } from 'node:test';
import { median, percentile, ratio } from '../../../bench/report/statistics.ts';

test('the median is the middle value, of an even number of values the mean of the two middle ones', () => {
  assert.equal(median([3]), 3);
  assert.equal(median([9, 1, 5]), 5);
  assert.equal(median([10, 2, 4, 1]), 3);
  assert.ok(Number.isNaN(median([])));
});

test('a percentile is a value that occurred', () => {
  const values = Array.from({ length: 100 }, (_, index) => 100 - index);
  assert.equal(percentile(values, 0.5), 50);
  assert.equal(percentile(values, 0.99), 99);
  assert.equal(percentile(values, 1), 100);
  assert.equal(percentile([7], 0.01), 7);
  assert.ok(Number.isNaN(percentile([], 0.5)));
});

test('a ratio is taken within each round, so that a slow round of both changes nothing', () => {
  assert.deepEqual(ratio([110, 55, 121], [100, 50, 110]), { median: 1.1, min: 1.1, max: 1.1 });
  assert.deepEqual(ratio([50, 100, 300], [100, 100, 100]), { median: 1, min: 0.5, max: 3 });
});

test('there is no ratio without a base, or to nothing', () => {
  assert.equal(ratio([1], []), undefined);
  assert.equal(ratio([], [1]), undefined);
  assert.equal(ratio([1, 2], [1, 0]), undefined);
  assert.deepEqual(ratio([1, 2], [2]), { median: 0.5, min: 0.5, max: 0.5 }, 'rounds that the base lacks do not count');
});
