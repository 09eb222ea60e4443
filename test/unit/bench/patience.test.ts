import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Patience } from '../../../bench/patience.ts';

/** Others take `loads`, one after the other, then nothing; each look and each turn takes a second. */
function story(budgetMs: number, loads: readonly number[], turns: readonly number[]) {
  let now = 0;
  let looks = 0;
  let measured = 0;
  const patience = new Patience({
    budgetMs,
    monotonic: () => now,
    others: async () => {
      now += 1_000;
      looks += 1;
      return loads[looks - 1] ?? 0;
    },
  });
  const measure = async () => {
    now += 1_000;
    measured += 1;
    return { disturbed: turns[measured - 1] ?? 0, turn: measured };
  };
  return { quietest: () => patience.quietest(measure), looks: () => looks, measured: () => measured };
}

test('on a quiet machine one turn is enough', async () => {
  const { quietest, looks } = story(60_000, [], [0.01]);
  assert.equal((await quietest()).turn, 1);
  assert.equal(looks(), 1);
});

test('a turn begins when other programs rest', async () => {
  const { quietest, looks } = story(60_000, [1.5, 0.8, 0.05], [0]);
  await quietest();
  assert.equal(looks(), 3);
});

test('of disturbed turns the least disturbed counts, and after three it is enough', async () => {
  const { quietest, measured } = story(60_000, [], [0.9, 0.3, 0.5, 0]);
  assert.equal((await quietest()).turn, 2);
  assert.equal(measured(), 3);
});

test('patience ends: then everything is measured once, whatever others do', async () => {
  const { quietest, looks, measured } = story(2_000, [1, 1, 1, 1], [1, 1, 1, 1]);
  await quietest();
  await quietest();
  assert.equal(looks(), 2);
  assert.equal(measured(), 2);
});

test('without patience nobody looks', async () => {
  const { quietest, looks } = story(0, [1], [1]);
  assert.equal((await quietest()).turn, 1);
  assert.equal(looks(), 0);
});
