import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Budget } from '../../../../edge-node/decide/budget.ts';

test('so many at once, and then as many as time brings', () => {
  const budget = new Budget(3, 2, 1_000);
  assert.deepEqual(
    [1, 2, 3, 4].map(() => budget.take(1_000)),
    [true, true, true, false],
  );
  assert.equal(budget.take(1_499), false);
  assert.equal(budget.take(1_500), true);
  assert.equal(budget.take(1_999), false);
  assert.equal(budget.take(2_000), true);
});

test('time never saves up more than the burst', () => {
  const budget = new Budget(2, 100, 0);
  assert.deepEqual(
    [1, 2, 3].map(() => budget.take(60_000)),
    [true, true, false],
  );
});
