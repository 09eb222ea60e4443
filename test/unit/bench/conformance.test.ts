import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEVIATIONS } from '../../../bench/conformance/deviations.ts';
import { type CacheTest, parseOutcomes, parseTests, score } from '../../../bench/conformance/outcome.ts';
import { page, scoreTable, surprises } from '../../../bench/conformance/page.ts';

const NONE: ReadonlySet<string> = new Set();

const TESTS: readonly CacheTest[] = [
  { id: 'fresh', kind: 'required', dependsOn: [] },
  { id: 'stale', kind: 'required', dependsOn: ['fresh'] },
  { id: 'clever', kind: 'optimal', dependsOn: [] },
  { id: 'habit', kind: 'check', dependsOn: [] },
];

test('the tests are read with what they depend on; one without a kind is required, those for browsers are left out', () => {
  const tests = [
    { id: 'fresh' },
    { id: 'clever', kind: 'optimal', depends_on: ['fresh'] },
    { id: 'shown', browser_only: true },
  ];
  assert.deepEqual(parseTests({ default: [{ tests }] }), [
    { id: 'fresh', kind: 'required', dependsOn: [] },
    { id: 'clever', kind: 'optimal', dependsOn: ['fresh'] },
  ]);
});

test('what is no list of tests, and what is no list of results, is said to be none', () => {
  assert.throws(() => parseTests({}), /expected a list of suites/);
  assert.throws(() => parseTests({ default: [{ tests: [{ kind: 'odd' }] }] }), /without id/);
  assert.throws(() => parseOutcomes('null'), /no results/);
  assert.throws(() => parseOutcomes('{"fresh": false}'), /expected a list of result/);
});

test('a test counts as passed when it is, and all that it depends on', () => {
  const outcomes = parseOutcomes(
    '{"fresh": ["Assertion", "not cached"], "stale": true, "clever": true, "habit": ["x", "y"]}',
  );
  const { missed, ...shares } = score(TESTS, outcomes, NONE);
  assert.deepEqual(shares, {
    required: { passed: 0, all: 2 },
    current: { passed: 0, all: 2 },
    optimal: { passed: 1, all: 1 },
  });
  assert.deepEqual(Object.fromEntries(missed), { fresh: 'Assertion: not cached', stale: 'depends on fresh' });
});

test('a test that was not run is missed', () => {
  assert.deepEqual([...score(TESTS, new Map([['fresh', true as const]]), NONE).missed.keys()], ['stale', 'clever']);
});

test('it surprises when a test fails without a reason on record, and when one passes that has one', () => {
  const outcomes = parseOutcomes('{"fresh": true, "stale": ["Assertion", "cached"], "clever": true, "habit": true}');
  const deviations = [{ tests: ['clever'], reason: 'too clever' }];
  assert.deepEqual(surprises(score(TESTS, outcomes, NONE), deviations), [
    'stale fails: Assertion: cached',
    'clever passes, but is listed as failing',
  ]);
});

test('the page says how many of how many, and every reason', () => {
  const outcomes = parseOutcomes('{"fresh": true, "stale": true, "clever": ["Setup", "no"], "habit": true}');
  const servers = [{ title: 'Meridian', version: '1.2.3', score: score(TESTS, outcomes, new Set(['stale'])) }];
  assert.match(
    scoreTable(servers),
    /\| Meridian 1\.2\.3 \| +2 of 2 \(100 %\) \| +1 of 1 \(100 %\) \| 0 of 1 \(0 %\) \|/,
  );
  assert.match(
    page(servers, [{ tests: ['clever'], reason: 'It is.' }], 'suite 1', '2026-01-01'),
    /- `clever`: It is\./,
  );
});

test('a test that asks for what a later specification says otherwise can be left out of account', () => {
  const outcomes = parseOutcomes('{"fresh": true, "stale": ["Assertion", "cached"], "clever": true, "habit": true}');
  assert.deepEqual(score(TESTS, outcomes, new Set(['stale'])).current, { passed: 1, all: 1 });
});

test('no test has two reasons', () => {
  const ids = DEVIATIONS.flatMap(({ tests }) => tests);
  assert.equal(new Set(ids).size, ids.length);
});
