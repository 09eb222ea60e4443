// A purge never lies: many histories of control planes, edges, origins and a bad network, over the code that decides in each.
// Each run of the tests takes other seeds; `npm run simulate:purge` runs a million.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runHistory } from '../../simulation/purge/history.ts';
import { RULES, type Rule, Violation } from '../../simulation/purge/rules.ts';

/** For the histories of one run of the tests, milliseconds; and of one rule, histories at most. */
const SLICE_MS = 3000;
const ATTEMPTS = 30_000;

test('whatever happens, and in whatever order, no purge lies', () => {
  const first = Math.floor(Math.random() * 2 ** 31);
  const deadline = performance.now() + SLICE_MS;
  let ran = 0;
  for (let seed = first; performance.now() < deadline; seed += 1) {
    try {
      runHistory(seed, undefined);
    } catch (error) {
      throw new Error(`seed ${seed}; npm run simulate:purge -- 1 ${seed} runs it again`, { cause: error });
    }
    ran += 1;
  }
  assert.ok(ran > 100, `${ran} histories`);
});

for (const [rule, words] of Object.entries(RULES) as [Rule, string][]) {
  test(`it is found when this is broken: ${words}`, () => {
    for (let seed = 1; seed <= ATTEMPTS; seed += 1) {
      try {
        runHistory(seed, rule);
      } catch (error) {
        assert.ok(error instanceof Violation, String(error));
        return;
      }
    }
    assert.fail(`${ATTEMPTS} histories did not show it`);
  });
}
