// RFC 9111 sections 4.2, 5.1, 5.2.1 and 5.3, rule by rule: how long, how old, and for whom that is good enough. RFC 5861 and
// RFC 8246 extend it.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { NO_DIRECTIVES, parseCacheControl } from '../../../../edge-node/decide/cache/cache-control.ts';
import {
  ageMs,
  answerAfterError,
  correctedInitialAgeMs,
  type Judgement,
  judge,
} from '../../../../edge-node/decide/cache/freshness.ts';
import { formatHttpDate } from '../../../../edge-node/decide/cache/http-date.ts';
import { requestDirectives } from '../../../../edge-node/decide/cache/request.ts';
import { seededRandom } from '../../../../infra/runtime/random.ts';
import { below, DATE, decide, HOUR, headOf, NOW, SECOND } from './support.ts';

const MAX = 2 ** 31 * SECOND;
const DAY = 24 * HOUR;
const ETAG = ['etag', '"a"'];

/** Seconds for which an answer with these fields is fresh. */
function lifetime(fields: string[], status = 200): number {
  const decision = decide([...fields, ...ETAG], { status });
  assert.equal(decision.kind, 'store');
  return decision.kind === 'store' ? decision.lifetimeMs / SECOND : Number.NaN;
}
const control = (value: string) => lifetime(['cache-control', value]);

describe('4.2.1: the freshness lifetime', () => {
  const in90 = formatHttpDate(NOW + 90 * SECOND);
  test('4.2.1: s-maxage comes before max-age, max-age before Expires', () => {
    assert.equal(control('max-age=1, s-maxage=5'), 5);
    assert.equal(lifetime(['expires', in90, 'cache-control', 'max-age=5']), 5);
    assert.equal(lifetime(['expires', in90]), 90);
  });
  test('5.2.2.10: s-maxage comes first also where it says 0 or cannot be read', () => {
    assert.equal(control('max-age=60, s-maxage=0'), 0);
    assert.equal(control('max-age=60, s-maxage=x'), 0);
  });
  test('5.2: the argument may be a token or a quoted string', () => {
    assert.equal(control('max-age="60"'), 60);
    assert.equal(control('max-age=0060'), 60);
  });
  test('4.2.1: a lifetime that is no whole number of seconds is none', () => {
    for (const bad of ['', '-1', '+1', '1.5', '60.0', 'a60', '60a', "'60'", '0x10', '1e3', '٣', ' 60', '60 60', '"60'])
      assert.equal(control(`max-age=${bad}`), 0, bad);
    assert.equal(control('max-age'), 0);
    assert.equal(control('max-age =60'), 0);
  });
  test('1.2.2: a number too large to hold is 2^31', () => {
    for (const big of ['2147483648', '4294967296', '9223372036854775808', '9'.repeat(400)]) {
      assert.equal(control(`max-age=${big}`), 2 ** 31, big.slice(0, 20));
    }
    assert.equal(control('max-age=2147483647'), 2 ** 31 - 1);
  });
  test('4.2.1: of two different values none counts', () => {
    assert.equal(control('max-age=1800, max-age=1'), 0);
    assert.equal(lifetime(['cache-control', 'max-age=1', 'cache-control', 'max-age=1800']), 0);
    assert.equal(control('max-age=60, max-age="60"'), 60);
  });
  test('4.2.1: what stands inside the quotes of another directive does not count', () => {
    assert.equal(control('ext="max-age=3600", max-age=1'), 1);
    assert.equal(control('max-age=1, ext="max-age=3600"'), 1);
  });
  test('5.2.3: directives that are not known are ignored', () => {
    assert.equal(control('max-age=60, frob, frob=1, frob="a, b", s-max-age=1, maxage=2'), 60);
  });
});

describe('5.3: Expires', () => {
  const expires = (value: string) => lifetime(['expires', value]);
  test('5.3: what is not a date has expired', () => {
    for (const bad of ['0', '-1', '', 'never', '60', 'Thu, 18 Aug 2050 02:01:18 UTC', 'Thu, 18 Aug 50 02:01:18 GMT']) {
      assert.equal(expires(bad), 0, bad);
    }
  });
  test('4.2: dates are matched in any case of letters', () => {
    assert.equal(expires(formatHttpDate(NOW + 90 * SECOND).toUpperCase()), 90);
    assert.equal(expires(formatHttpDate(NOW + 90 * SECOND).toLowerCase()), 90);
  });
  test('4.2: a date in another zone than GMT has expired', () => {
    assert.equal(expires(formatHttpDate(NOW + 90 * SECOND).replace('GMT', 'EST')), 0);
    assert.equal(expires(formatHttpDate(NOW + 90 * SECOND).replace('GMT', '+0000')), 0);
  });
  test('4.2.1: of two Expires the first counts', () => {
    const [early, late] = [NOW + 10 * SECOND, NOW + 90 * SECOND].map(formatHttpDate);
    assert.equal(lifetime(['expires', early ?? '', 'expires', late ?? '']), 10);
    assert.equal(lifetime(['expires', '0', 'expires', late ?? '']), 0);
  });
  test('4.2.1: Expires in the past has expired; it never makes a lifetime negative', () => {
    assert.equal(expires(formatHttpDate(NOW - HOUR)), 0);
    assert.equal(expires('Thu, 01 Jan 1970 00:00:00 GMT'), 0);
  });
  test('4.2.1: it counts from Date, also where that lies in the future, and else from receipt', () => {
    const later = formatHttpDate(NOW + HOUR);
    assert.equal(lifetime(['date', later, 'expires', formatHttpDate(NOW + HOUR + 5 * SECOND)]), 5);
    assert.equal(lifetime(['date', 'x', 'expires', formatHttpDate(NOW + 5 * SECOND)]), 5);
  });
  test('4.2.1: any max-age, even a broken one, comes before it', () => {
    assert.equal(lifetime(['expires', formatHttpDate(NOW + HOUR), 'cache-control', 'max-age=x']), 0);
  });
});

describe('4.2.2: the heuristic', () => {
  const modified = (ago: number, ...more: string[]) => lifetime(['last-modified', formatHttpDate(NOW - ago), ...more]);
  test('4.2.2: a tenth of the time since Last-Modified, at most a day', () => {
    assert.equal(modified(10 * HOUR), HOUR / SECOND);
    assert.equal(modified(9 * DAY), (0.9 * DAY) / SECOND);
    assert.equal(modified(1000 * DAY), DAY / SECOND);
  });
  test('4.2.2: never where the origin states an expiry, whatever it is', () => {
    assert.equal(modified(10 * HOUR, 'expires', '0'), 0);
    assert.equal(modified(10 * HOUR, 'cache-control', 'max-age=0'), 0);
    assert.equal(modified(10 * HOUR, 'cache-control', 's-maxage=x'), 0);
  });
  test('4.2.2: nothing from a Last-Modified in the future or that is no date', () => {
    assert.equal(modified(-HOUR), 0);
    assert.equal(lifetime(['last-modified', 'yesterday']), 0);
  });
  test('5.2.2.9: public makes any status heuristically cacheable', () => {
    const fields = ['last-modified', formatHttpDate(NOW - 10 * HOUR)];
    assert.equal(lifetime([...fields, 'cache-control', 'public'], 599), HOUR / SECOND);
  });
});

describe('4.2.3 and 5.1: age', () => {
  const initial = (age: string | undefined, over: { date?: number; sent?: number; received?: number } = {}) =>
    correctedInitialAgeMs(age, over.date ?? NOW, over.sent ?? NOW, over.received ?? NOW) / SECOND;
  test('4.2.3: the larger of the time since Date and the Age received', () => {
    assert.equal(initial('10', { date: NOW - 5 * SECOND }), 10);
    assert.equal(initial('5', { date: NOW - 10 * SECOND }), 10);
    assert.equal(initial(undefined), 0);
  });
  test('4.2.3: Age counts from when the request was sent', () => {
    assert.equal(initial('10', { received: NOW + 3 * SECOND, date: NOW + 3 * SECOND }), 13);
  });
  test('4.2.3: a Date in the future makes an apparent age of 0', () => {
    assert.equal(initial(undefined, { date: NOW + DAY }), 0);
    assert.equal(initial('3', { date: NOW + DAY }), 3);
  });
  test('4.2.3: a clock set back between request and response adds nothing', () => {
    assert.equal(initial('3', { received: NOW - HOUR, date: NOW - HOUR }), 3);
  });
  test('5.1: an Age that is no number of seconds is ignored', () => {
    for (const bad of ['abc', '-7200', '7200.0', '7200.5', '7200s', '"7200"', "'7200'", '', '0x10', '7200;x=1']) {
      assert.equal(initial(bad), 0, bad);
    }
  });
  test('5.1: of several the first counts, on one line or on many, even where it is the smaller', () => {
    assert.equal(initial('7200,0'), 7200);
    assert.equal(initial('0, 7200'), 0);
    const head = headOf(['date', DATE, 'age', '30', 'age', '7200', 'cache-control', 'max-age=60']);
    assert.equal(head.initialAgeMs, 30 * SECOND);
  });
  test('5.1: and where the first is none, so is the field', () => assert.equal(initial('x, 7200'), 0));
  test('1.2.2: one too large to hold is 2^31', () => {
    assert.equal(initial('2147483649'), 2 ** 31);
    assert.equal(initial('9'.repeat(400)), 2 ** 31);
  });
  test('4.2.3: an age that exceeds the lifetime when the answer arrives makes it stale at once', () => {
    const head = headOf(['date', DATE, 'age', '60', 'cache-control', 'max-age=60', ...ETAG]);
    assert.equal(judge(head, NO_DIRECTIVES, NOW).kind, 'stale');
  });
  test('4.2.3: time in the cache is added, and a clock set back adds none', () => {
    const head = headOf(['date', DATE, 'age', '10', 'cache-control', 'max-age=60']);
    assert.equal(ageMs(head, NOW + 5 * SECOND), 15 * SECOND);
    assert.equal(ageMs(head, NOW - HOUR), 10 * SECOND);
  });
  test('4.2.3: after a large jump back nobody can tell the age, so it is asked for', () => {
    const head = headOf(['date', DATE, 'cache-control', 'max-age=60']);
    assert.equal(judge(head, NO_DIRECTIVES, NOW - 4 * SECOND).kind, 'fresh');
    const judgement = judge(head, NO_DIRECTIVES, NOW - HOUR);
    assert.deepEqual(judgement.kind === 'stale' && [judgement.reason, judgement.mayServeStale], [
      'clock-set-back',
      true,
    ]);
  });
  test('4.2.3: after a large jump forward it is stale', () => {
    assert.equal(judge(headOf(['date', DATE, 'cache-control', 'max-age=60']), NO_DIRECTIVES, NOW + DAY).kind, 'stale');
  });
});

test('seeded: age and lifetime agree with the arithmetic of 4.2.3, whatever the clocks say', () => {
  const random = seededRandom(423);
  for (let round = 0; round < 5000; round += 1) {
    const [sent, delay, skew, age] = [
      NOW + below(random, 10 * DAY),
      below(random, 30_000),
      below(random, 2 * DAY) - DAY,
      below(random, 90_000),
    ];
    const received = sent + delay;
    const date = Math.floor((received - skew) / SECOND) * SECOND;
    const fields = [
      'date',
      formatHttpDate(date),
      'age',
      String(age),
      'cache-control',
      `max-age=${below(random, 200_000)}`,
    ];
    const head = headOf([...fields, ...ETAG], { requestedAt: sent, receivedAt: received });
    const now = received + below(random, DAY);
    const apparent = Math.max(0, Math.floor(received / SECOND) * SECOND - date);
    const expected = Math.max(apparent, age * SECOND + delay) + now - received;
    assert.equal(ageMs(head, now), expected);
    assert.equal(judge(head, NO_DIRECTIVES, now).kind === 'fresh', head.lifetimeMs > expected);
  }
});

const minute = ['date', DATE, 'cache-control', 'max-age=60', ...ETAG];
const judged = (fields: string[], request: string, after: number): Judgement =>
  judge(headOf(fields), parseCacheControl(request), NOW + after * SECOND);
const verdict = (judgement: Judgement) => (judgement.kind === 'fresh' ? 'fresh' : judgement.reason);

describe('5.2.1: directives of the request', () => {
  const asked = (request: string, after: number) => verdict(judged(minute, request, after));
  test('5.2.1.1: max-age bounds the age', () => {
    assert.equal(asked('max-age=30', 30), 'fresh');
    assert.equal(asked('max-age=30', 31), 'request-max-age');
    assert.equal(asked('max-age=x', 0), 'request-max-age');
  });
  test('5.2.1.1: with max-age nothing stale, unless max-stale stands beside it', () => {
    assert.equal(asked('max-age=100', 61), 'expired');
    assert.equal(asked('max-age=100, max-stale=5', 61), 'fresh');
  });
  test('5.2.1.2: max-stale takes what has expired, so far', () => {
    assert.equal(asked('max-stale=5', 65), 'fresh');
    assert.equal(asked('max-stale=5', 66), 'expired');
    assert.equal(asked('max-stale', 1_000_000), 'fresh');
    assert.equal(asked('max-stale=x', 61), 'expired');
  });
  test('5.2.1.2: but never what the response forbids', () => {
    for (const word of ['must-revalidate', 'proxy-revalidate', 's-maxage=60', 'no-cache']) {
      const fields = ['date', DATE, 'cache-control', `max-age=60, ${word}`, ...ETAG];
      assert.notEqual(verdict(judged(fields, 'max-stale', 61)), 'fresh', word);
    }
  });
  test('5.2.1.3: min-fresh asks for what stays fresh', () => {
    assert.equal(asked('min-fresh=30', 30), 'fresh');
    assert.equal(asked('min-fresh=30', 31), 'request-min-fresh');
  });
  test('5.2.1.4 and 5.4: no-cache, or Pragma where there is no Cache-Control, asks for validation', () => {
    assert.equal(asked('no-cache', 0), 'request-no-cache');
    assert.ok(requestDirectives(['pragma', 'no-cache']).noCache);
    assert.ok(!requestDirectives(['pragma', 'no-cache', 'cache-control', 'max-stale']).noCache);
  });
  test('5.2.1.5: no-store does not forbid using what is stored', () => assert.equal(asked('no-store', 0), 'fresh'));
});

describe('5.2.2.4: no-cache in the response', () => {
  test('5.2.2.4: no use without validation, even in a cache told to serve stale', () => {
    const judgement = judged(
      ['date', DATE, 'cache-control', 'no-cache, max-age=60, stale-if-error=60', ...ETAG],
      '',
      0,
    );
    assert.deepEqual(
      judgement.kind === 'stale' && [judgement.reason, judgement.mayServeStale, judgement.mayServeOnError],
      ['no-cache', false, false],
    );
  });
});

describe('4.2.4: stale answers', () => {
  const uses = (value: string, after: number, request = '') => {
    const judgement = judged(['date', DATE, 'cache-control', value, ...ETAG], request, after);
    assert.equal(judgement.kind, 'stale');
    if (judgement.kind !== 'stale') return [];
    const { mayServeStale, mayServeOnError, mayServeWhileRevalidating } = judgement;
    return [mayServeStale && 'unreachable', mayServeOnError && 'error', mayServeWhileRevalidating && 'at once'].filter(
      (use) => use !== false,
    );
  };
  test('4.2.4: only where no origin can be reached', () => assert.deepEqual(uses('max-age=60', 61), ['unreachable']));
  test('5.2.2.2, 5.2.2.8 and 5.2.2.10: not even then, where the response forbids it', () => {
    for (const word of ['must-revalidate', 'proxy-revalidate', 's-maxage=60']) {
      assert.deepEqual(uses(`max-age=60, ${word}`, 61), [], word);
    }
  });
  test('RFC 5861 4: stale-if-error lets it stand in for an error, for so long', () => {
    assert.deepEqual(uses('max-age=60, stale-if-error=10', 70), ['unreachable', 'error']);
    assert.deepEqual(uses('max-age=60, stale-if-error=10', 71), ['unreachable']);
  });
  test('RFC 5861 4: a request may ask for the same', () => {
    assert.deepEqual(uses('max-age=60', 70, 'stale-if-error=10'), ['unreachable', 'error']);
    assert.deepEqual(uses('max-age=60', 71, 'stale-if-error=10'), ['unreachable']);
    assert.deepEqual(uses('max-age=60, must-revalidate', 61, 'stale-if-error=10'), []);
  });
  test('RFC 5861 3: stale-while-revalidate lets it answer at once, for so long', () => {
    assert.deepEqual(uses('max-age=60, stale-while-revalidate=10', 70), ['unreachable', 'at once']);
    assert.deepEqual(uses('max-age=60, stale-while-revalidate=10', 71), ['unreachable']);
  });
  test('RFC 5861 3: but not to a client that asks for an age, for validation or for what stays fresh', () => {
    for (const request of ['max-age=100', 'no-cache', 'min-fresh=1']) {
      assert.ok(!uses('max-age=60, stale-while-revalidate=10', 61, request).includes('at once'), request);
    }
  });
  test('RFC 5861: must-revalidate, proxy-revalidate and no-cache forbid both', () => {
    for (const word of ['must-revalidate', 'proxy-revalidate', 'no-cache']) {
      assert.deepEqual(uses(`max-age=60, stale-while-revalidate=10, stale-if-error=10, ${word}`, 61), [], word);
    }
  });
  test('RFC 5861: an origin that states s-maxage and a window means the window', () => {
    assert.deepEqual(uses('s-maxage=60, stale-while-revalidate=10', 61), ['at once']);
    assert.deepEqual(uses('s-maxage=60, stale-if-error=10', 61), ['error']);
  });
});

describe('4.3.3: an error instead of an answer', () => {
  const asked = (value: string, status: number | undefined) => {
    const judgement = judged(['date', DATE, 'cache-control', value, ...ETAG], '', 61);
    return answerAfterError(judgement.kind === 'stale' ? judgement : undefined, status);
  };
  test('4.3.3: 500, 502, 503 and 504 give way to what stale-if-error allows; other statuses are answers', () => {
    for (const status of [500, 502, 503, 504]) {
      assert.deepEqual(asked('max-age=60, stale-if-error=10', status), {
        kind: 'serve-stale',
        reason: 'stale-if-error',
      });
      assert.deepEqual(asked('max-age=60', status), { kind: 'pass', reason: 'forbidden' });
    }
    for (const status of [200, 404, 429, 501, 505]) {
      assert.deepEqual(asked('max-age=60, stale-if-error=10', status), { kind: 'pass', reason: 'not-an-error' });
    }
  });
  test('4.2.4: an origin that cannot be reached, to whatever is not forbidden', () => {
    assert.deepEqual(asked('max-age=60', undefined), { kind: 'serve-stale', reason: 'unreachable' });
    assert.deepEqual(asked('max-age=60, must-revalidate', undefined), { kind: 'pass', reason: 'forbidden' });
    assert.deepEqual(answerAfterError(undefined, undefined), { kind: 'pass', reason: 'nothing-stored' });
  });
});

describe('RFC 8246: immutable', () => {
  const fields = ['date', DATE, 'cache-control', 'max-age=60, immutable', ...ETAG];
  test('RFC 8246 2: a reload is no reason to ask while it is fresh', () => {
    assert.equal(verdict(judged(fields, 'max-age=0', 30)), 'fresh');
    assert.equal(verdict(judged(fields, 'max-age=0', 60)), 'request-max-age');
  });
  test('RFC 8246 2: no-cache is', () => assert.equal(verdict(judged(fields, 'no-cache', 30)), 'request-no-cache'));
});

test('1.2.2: the largest lifetime does not overflow', () => {
  const head = headOf(['date', DATE, 'cache-control', 'max-age=99999999999999']);
  assert.equal(head.lifetimeMs, MAX);
  assert.equal(judge(head, NO_DIRECTIVES, NOW + MAX - 1).kind, 'fresh');
  assert.equal(judge(head, NO_DIRECTIVES, NOW + MAX).kind, 'stale');
});
