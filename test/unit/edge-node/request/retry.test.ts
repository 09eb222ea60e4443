// When a request that an origin failed may be sent to another one.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decideRetry, type OriginFailure } from '../../../../edge-node/decide/retry.ts';

const METHODS = ['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'POST', 'PATCH'];

/** "retry", or why not. */
function decision(phase: OriginFailure['phase'], method: string, bodyConsumed = false, originsLeft = 1): string {
  const decided = decideRetry({ phase, code: 'origin-unreachable', detail: '' }, method, bodyConsumed, originsLeft);
  return decided.kind === 'retry' ? 'retry' : decided.reason;
}

test('what never reached the origin goes to the next one, whatever the method', () => {
  for (const method of METHODS) assert.equal(decision('connect', method), 'retry', method);
});

test('what was sent goes to the next one only when doing it twice is doing it once', () => {
  const decisions = METHODS.map((method) => decision('head', method));
  assert.deepEqual(decisions, [...Array(5).fill('retry'), 'not-idempotent', 'not-idempotent']);
});

test('what met a connection that the origin had closed goes to the same origin again, if it may be sent twice', () => {
  const stale: OriginFailure = { phase: 'head', code: 'origin-cut-off', detail: '', stale: true };
  const decisions = METHODS.map((method) => decideRetry(stale, method, false, 0));
  assert.deepEqual(decisions.slice(0, 5), Array(5).fill({ kind: 'retry', origin: 'same' }));
  for (const decided of decisions.slice(5)) assert.deepEqual(decided, { kind: 'give-up', reason: 'not-idempotent' });
  assert.deepEqual(decideRetry(stale, 'PUT', true, 1), { kind: 'give-up', reason: 'body-consumed' });
});

test('an answer that has begun cannot be begun again', () => {
  for (const method of METHODS) assert.equal(decision('body', method), 'answer-begun', method);
});

test('a body that was read cannot be read again', () => {
  for (const phase of ['connect', 'head'] as const) {
    for (const method of METHODS) assert.equal(decision(phase, method, true), 'body-consumed', `${phase} ${method}`);
  }
});

test('when no origin is left the request has failed', () => {
  assert.equal(decision('connect', 'GET', false, 0), 'no-origin-left');
  assert.equal(decision('head', 'GET', false, 0), 'no-origin-left');
});
