// Cache-Status (RFC 9211), and the words in which the cache explains itself.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseCacheControl } from '../../../../edge-node/decide/cache/cache-control.ts';
import { cacheName, cacheStatus, forwardReason } from '../../../../edge-node/decide/cache/cache-status.ts';
import { explainCache } from '../../../../edge-node/decide/cache/explain.ts';
import { judge } from '../../../../edge-node/decide/cache/freshness.ts';
import { parseList } from '../../../../edge-node/decide/structured-fields.ts';
import { DATE, headOf, NOW } from './support.ts';

const NAME = cacheName('london');

describe('2: the value', () => {
  test('a hit, with what remains in whole seconds', () => {
    assert.equal(cacheStatus(NAME, { kind: 'hit', ttlMs: 42_999 }), 'meridian-london; hit; ttl=42');
  });
  test('a hit on something stale has a negative one', () => {
    assert.equal(
      cacheStatus(NAME, { kind: 'hit', ttlMs: -1500, detail: 'stale-served' }),
      'meridian-london; hit; ttl=-2; detail=stale-served',
    );
  });
  test('a miss that is stored', () => {
    const miss = { kind: 'forward', reason: 'uri-miss', status: 200, stored: true, ttlMs: 60_000 } as const;
    assert.equal(
      cacheStatus(NAME, { ...miss, collapsed: false }),
      'meridian-london; fwd=uri-miss; fwd-status=200; stored; ttl=60',
    );
    assert.equal(
      cacheStatus(NAME, { ...miss, collapsed: true }),
      'meridian-london; fwd=uri-miss; fwd-status=200; stored; collapsed; ttl=60',
    );
  });
  test('a bypass with its reason, and no answer from any origin', () => {
    assert.equal(
      cacheStatus(NAME, {
        kind: 'forward',
        reason: 'bypass',
        status: undefined,
        stored: false,
        collapsed: false,
        detail: 'policy',
      }),
      'meridian-london; fwd=bypass; detail=policy',
    );
  });
  test('2.7: the key is a string, for those who are to see it', () => {
    const key = 'http://a.example/x?q="1"\\\n\u20ac';
    const text = cacheStatus(NAME, { kind: 'hit', ttlMs: 1000, detail: 'stale-served', key });
    assert.equal(text, 'meridian-london; hit; ttl=1; key="http://a.example/x?q=\\"1\\"\\\\??"; detail=stale-served');
    const forwarded = {
      kind: 'forward',
      reason: 'partial',
      status: undefined,
      stored: false,
      collapsed: true,
      key,
    } as const;
    const [member] = parseList(cacheStatus(NAME, forwarded)) ?? [];
    assert.deepEqual([...(member?.parameters.keys() ?? [])], ['fwd', 'collapsed', 'key']);
    assert.equal(member?.parameters.get('key')?.value, 'http://a.example/x?q="1"\\??');
    assert.ok(cacheStatus(NAME, { kind: 'hit', ttlMs: 0, key: 'x'.repeat(10_000) }).length < 1100);
  });
  test('2: every value is a structured-field list with one member', () => {
    for (const reason of [
      'bypass',
      'method',
      'uri-miss',
      'vary-miss',
      'miss',
      'request',
      'stale',
      'partial',
    ] as const) {
      const value = cacheStatus(NAME, {
        kind: 'forward',
        reason,
        status: 304,
        stored: true,
        ttlMs: -1,
        collapsed: true,
      });
      const [member, ...others] = parseList(value) ?? [];
      assert.equal(others.length, 0);
      assert.deepEqual(member?.parameters.get('fwd'), { kind: 'token', value: reason });
    }
  });
  test('2.2: why a request went forward follows from the decision', () => {
    assert.equal(forwardReason('expired'), 'stale');
    assert.equal(forwardReason('no-cache'), 'stale');
    assert.equal(forwardReason('request-no-cache'), 'request');
    assert.equal(forwardReason('method'), 'method');
    assert.equal(forwardReason('has-request-body'), 'bypass');
    assert.equal(forwardReason('purged'), 'uri-miss');
  });
  test('a name that is not a token is refused', () => {
    assert.throws(() => cacheName('a b'), RangeError);
    assert.throws(() => cacheName('a;hit'), RangeError);
  });
});

describe('in words', () => {
  const head = headOf(['date', DATE, 'cache-control', 'max-age=60']);
  const words = (request: string, after: number, of = head) =>
    explainCache({ kind: 'stored', head: of, judgement: judge(of, parseCacheControl(request), NOW + after) });

  test('fresh: the sum', () => {
    assert.deepEqual(words('', 18_000), {
      state: 'fresh',
      reason: 'fresh for 42 s more: lifetime 60 s (max-age) - age 18 s',
      ageS: 18,
      freshnessLifetimeS: 60,
    });
  });
  test('stale: the rule, the sum, and whether it would still be served', () => {
    assert.equal(words('', 61_500).state, 'stale');
    assert.equal(
      words('', 61_500).reason,
      'expired: its lifetime has passed: lifetime 60 s (max-age) - age 61.5 s; would be served all the same if no origin answered',
    );
    assert.match(
      words('', 61_000, headOf(['date', DATE, 'cache-control', 's-maxage=60'])).reason,
      /not served even if/,
    );
    assert.match(words('no-cache', 0).reason, /^request-no-cache: /);
  });
  test('stale but allowed by the request', () => {
    assert.equal(words('max-stale', 61_000).state, 'stale');
    assert.equal(words('max-stale', 60_000).state, 'stale');
    assert.match(words('max-stale', 61_000).reason, /^stale for 1 s, which max-stale of the request allows/);
  });
  test('in slices: how many, and of what size', () => {
    const slices = { bytes: 1000, length: 2500, generation: 'g' };
    assert.match(words('', 0, { ...head, slices }).reason, /; kept in slices: 2500 bytes in 3 of 1000, of which some/);
    assert.match(words('', 61_000, { ...head, slices }).reason, /kept in slices/);
  });
  test('bypass, absent, purged', () => {
    assert.match(explainCache({ kind: 'bypass', reason: 'policy' }).reason, /^policy: /);
    assert.match(explainCache({ kind: 'absent', variants: 0, asked: 0 }).reason, /^uri-miss: /);
    assert.match(explainCache({ kind: 'absent', variants: 2, asked: 0 }).reason, /^vary-miss: 2 stored.*names$/);
    assert.match(
      explainCache({ kind: 'absent', variants: 2, asked: 1 }).reason,
      /; an origin would be asked .* tags: 1$/,
    );
    assert.match(
      explainCache({ kind: 'purged', head: headOf(['cache-control', 'max-age=60'], { barrier: 2 }), current: 5 })
        .reason,
      /one of the 3 purges/,
    );
  });
});
