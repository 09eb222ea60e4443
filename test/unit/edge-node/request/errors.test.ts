// The one place that turns a failure into an answer.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FAILURES, type FailureCode, failureResponse } from '../../../../edge-node/decide/errors.ts';
import { field } from '../../../../edge-node/decide/fields.ts';

const CODES = Object.keys(FAILURES) as FailureCode[];

test('every failure is answered with its status as problem details that nobody stores', () => {
  for (const code of CODES) {
    const { status, fields, body } = failureResponse(code);
    assert.equal(status, FAILURES[code].status, code);
    assert.equal(field(fields, 'content-type'), 'application/problem+json', code);
    assert.equal(field(fields, 'cache-control'), 'no-store', code);
    assert.deepEqual(JSON.parse(body), { status, code, title: FAILURES[code].title }, code);
  }
});

/** 508, the cache's 504 for only-if-cached, 501 and 505: the client's doing all the same. */
const ABOVE: ReadonlySet<string> = new Set(['loop', 'not-cached', 'method-unknown', 'version-unsupported']);

test('a status says who is at fault: the client below 500, but for what RFCs have above it', () => {
  for (const code of CODES) {
    const { status, source } = FAILURES[code];
    if (ABOVE.has(code)) assert.equal(source, 'client');
    else assert.equal(status < 500, source === 'client', code);
  }
});

test('a method that is not supported is answered with those that are', () => {
  assert.match(field(failureResponse('method-not-allowed').fields, 'allow') ?? '', /GET, HEAD, POST/);
});
