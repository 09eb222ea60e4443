// From one probe of one origin to random sequences of them, checked against a rule written another way.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type OriginState, observe, type Status, UNKNOWN } from '../../../../edge-node/decide/health.ts';
import { seededRandom } from '../../../../infra/runtime/random.ts';

const THRESHOLDS = { unhealthyThreshold: 3, healthyThreshold: 2 };

/** Feeds "+" and "-" and gives the status after each. */
function run(results: string, thresholds = THRESHOLDS): (Status | 'unknown')[] {
  let state: OriginState = UNKNOWN;
  return [...results].map((sign, index) => {
    state = observe(state, { success: sign === '+', detail: sign }, thresholds, index).state;
    return state.status;
  });
}

test('the first success makes an unknown origin up at once', () => {
  const { state, changed } = observe(UNKNOWN, { success: true, detail: 'status 200' }, THRESHOLDS, 42);
  assert.equal(changed, 'up');
  assert.deepEqual(state, { status: 'up', against: 0, observedAt: 42, detail: 'status 200' });
});

test('an unknown origin is down only after as many failures as the threshold says', () => {
  assert.deepEqual(run('---'), ['unknown', 'unknown', 'down']);
});

test('an origin that is up stays up through fewer failures in a row than the threshold', () => {
  assert.deepEqual(run('+--+--').at(-1), 'up');
  assert.deepEqual(run('+---').at(-1), 'down');
});

test('an origin that is down needs successes in a row to be up again', () => {
  assert.deepEqual(run('---+').at(-1), 'down');
  assert.deepEqual(run('---+-+').at(-1), 'down');
  assert.deepEqual(run('---++').at(-1), 'up');
});

test('a change is announced once, with the result that made it', () => {
  let state: OriginState = UNKNOWN;
  const changes: string[] = [];
  for (const [index, sign] of [...'+----++++'].entries()) {
    const step = observe(state, { success: sign === '+', detail: `probe ${index}` }, THRESHOLDS, index);
    state = step.state;
    if (step.changed) changes.push(`${step.changed} by ${state.detail}`);
  }
  assert.deepEqual(changes, ['up by probe 0', 'down by probe 3', 'up by probe 6']);
});

test('whatever the sequence, the status is what the tail of the results says', () => {
  const random = seededRandom(7);
  for (let round = 0; round < 500; round += 1) {
    const thresholds = {
      unhealthyThreshold: 1 + Math.floor(random.next() * 5),
      healthyThreshold: 1 + Math.floor(random.next() * 5),
    };
    const bias = random.next();
    const results = Array.from({ length: 60 }, () => (random.next() < bias ? '+' : '-')).join('');
    const statuses = run(results, thresholds);
    for (const [index, status] of statuses.entries()) {
      assert.equal(status, byTails(results.slice(0, index + 1), thresholds), `${results} at ${index}`);
    }
  }
});

/** The same rule, slowly: the last moment at which a run was long enough decides. */
function byTails(results: string, thresholds: typeof THRESHOLDS): Status | 'unknown' {
  for (let end = results.length; end > 0; end -= 1) {
    const seen = results.slice(0, end);
    if (seen.endsWith('-'.repeat(thresholds.unhealthyThreshold))) return 'down';
    if (seen.endsWith('+'.repeat(thresholds.healthyThreshold))) return 'up';
    // The first success ever, unless the origin was down before it.
    if (seen.indexOf('+') === end - 1 && byTails(results.slice(0, end - 1), thresholds) === 'unknown') return 'up';
  }
  return 'unknown';
}
