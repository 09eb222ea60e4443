// Age and freshness (RFC 9111 section 4.2), and what a request's directives make of them (5.2.1).
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { NO_DIRECTIVES, parseCacheControl } from '../../../../edge-node/decide/cache/cache-control.ts';
import { ageMs, correctedInitialAgeMs, judge } from '../../../../edge-node/decide/cache/freshness.ts';
import { DATE, HOUR, headOf, NOW } from './support.ts';

const minute = headOf(['date', DATE, 'cache-control', 'max-age=60', 'etag', '"a"']);
const at = (ms: number, request = '') => judge(minute, parseCacheControl(request), NOW + ms);

describe('4.2.3: age', () => {
  test('of what has just arrived is 0', () => assert.equal(ageMs(minute, NOW), 0));

  test('grows with the time in the cache', () => assert.equal(ageMs(minute, NOW + 1234), 1234));

  test('includes the Age that came with it, and the time that the answer took', () => {
    assert.equal(correctedInitialAgeMs('10', NOW, NOW, NOW + 500), 10_500);
  });

  test('is at least the time since Date', () => {
    assert.equal(correctedInitialAgeMs('10', NOW - 20_000, NOW, NOW), 20_000);
    assert.equal(correctedInitialAgeMs(undefined, NOW - 20_000, NOW, NOW), 20_000);
  });

  test('counts Date as the whole second that it names', () => {
    assert.equal(correctedInitialAgeMs(undefined, NOW, NOW + 999, NOW + 999), 0);
    assert.equal(correctedInitialAgeMs(undefined, NOW, NOW + 1000, NOW + 1000), 1000);
  });

  test('a Date in the future makes nothing younger', () => {
    assert.equal(correctedInitialAgeMs('3', NOW + HOUR, NOW, NOW), 3000);
  });

  test('5.1: of several Ages the first counts, and one that is no number is ignored', () => {
    assert.equal(correctedInitialAgeMs('7, 9', NOW, NOW, NOW), 7000);
    for (const bad of ['-1', 'x', '1.5', '', ', 9']) assert.equal(correctedInitialAgeMs(bad, NOW, NOW, NOW), 0, bad);
    assert.equal(correctedInitialAgeMs('99999999999999', NOW, NOW, NOW), 2 ** 31 * 1000);
  });

  test('a clock that was set back adds none', () => {
    assert.equal(ageMs(minute, NOW - HOUR), 0);
    assert.equal(correctedInitialAgeMs('1', NOW, NOW, NOW - HOUR), 1000);
  });
});

describe('4.2: freshness', () => {
  test('fresh while the lifetime exceeds the age', () => {
    assert.deepEqual(at(0), { kind: 'fresh', ageMs: 0, ttlMs: 60_000 });
    assert.deepEqual(at(59_999), { kind: 'fresh', ageMs: 59_999, ttlMs: 1 });
  });

  test('stale from then on, and of use where no origin answers', () => {
    const uses = { mayServeStale: true, mayServeOnError: false, mayServeWhileRevalidating: false };
    assert.deepEqual(at(60_000), { kind: 'stale', reason: 'expired', ageMs: 60_000, ttlMs: 0, ...uses });
  });

  test('what came with no freshness is stale at once', () => {
    const head = headOf(['date', DATE, 'etag', '"a"']);
    assert.equal(judge(head, NO_DIRECTIVES, NOW).kind, 'stale');
  });
});

describe('5.2.2.4: no-cache in the response', () => {
  test('asks for validation before every use, without exception', () => {
    const head = headOf(['date', DATE, 'cache-control', 'no-cache, max-age=60', 'etag', '"a"']);
    const uses = { mayServeStale: false, mayServeOnError: false, mayServeWhileRevalidating: false };
    const expected = { kind: 'stale', reason: 'no-cache', ageMs: 0, ttlMs: 60_000, ...uses };
    assert.deepEqual(judge(head, NO_DIRECTIVES, NOW), expected);
    assert.deepEqual(judge(head, parseCacheControl('max-stale'), NOW), expected);
  });
});

describe('5.2.1: what the request asks', () => {
  const reason = (ms: number, request: string) => {
    const judgement = at(ms, request);
    return judgement.kind === 'stale' ? judgement.reason : 'fresh';
  };

  test('no-cache asks for validation', () => assert.equal(reason(0, 'no-cache'), 'request-no-cache'));

  test('max-age bounds the age', () => {
    assert.equal(reason(10_000, 'max-age=10'), 'fresh');
    assert.equal(reason(10_001, 'max-age=10'), 'request-max-age');
  });

  test('max-age=0 asks for validation even at age 0', () => assert.equal(reason(0, 'max-age=0'), 'request-max-age'));

  test('min-fresh bounds what remains', () => {
    assert.equal(reason(50_000, 'min-fresh=10'), 'fresh');
    assert.equal(reason(50_001, 'min-fresh=10'), 'request-min-fresh');
  });

  test('max-stale accepts what is stale, up to its argument', () => {
    assert.deepEqual(at(70_000, 'max-stale=10'), { kind: 'fresh', ageMs: 70_000, ttlMs: -10_000 });
    assert.equal(reason(70_001, 'max-stale=10'), 'expired');
    assert.equal(reason(100 * HOUR, 'max-stale'), 'fresh');
  });

  test('max-age together with max-stale still bounds the age', () => {
    assert.equal(reason(70_000, 'max-age=65, max-stale'), 'request-max-age');
    assert.equal(reason(64_000, 'max-age=65, max-stale'), 'fresh');
  });

  test('directives of storing say nothing on reuse', () => {
    assert.equal(reason(0, 'no-store, only-if-cached, private, s-maxage=0'), 'fresh');
  });
});

describe('4.2.4: stale, and no origin answers', () => {
  const mayServe = (control: string, ms: number, request = '') => {
    const judgement = judge(headOf(['date', DATE, 'cache-control', control]), parseCacheControl(request), NOW + ms);
    return judgement.kind === 'fresh' || judgement.mayServeStale;
  };

  test('must-revalidate, proxy-revalidate and s-maxage forbid it, even against max-stale', () => {
    for (const control of ['max-age=60, must-revalidate', 'max-age=60, proxy-revalidate', 's-maxage=60']) {
      assert.equal(mayServe(control, 60_000), false, control);
      assert.equal(mayServe(control, 60_000, 'max-stale'), false, control);
    }
  });

  test('but not what is only too old for the request', () => {
    assert.equal(mayServe('max-age=60, must-revalidate', 10_000, 'max-age=5'), true);
    assert.equal(mayServe('max-age=60', 10_000, 'no-cache'), true);
  });
});
