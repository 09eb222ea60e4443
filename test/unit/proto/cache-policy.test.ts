// A route's cache policy: for each rule one way to break it, and exactly where and how that is said.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkCachePolicy } from '../../../proto/cache-policy.ts';
import type { CacheBypass, CacheKey, CachePolicy } from '../../../proto/gen/meridian/v1/resources.ts';
import { LIMITS } from '../../../proto/limits.ts';

const KEY: CacheKey = { ignoreQuery: false, queryAllow: [], sortQuery: false, cookies: [], headers: [] };
const BYPASS: CacheBypass = { cookies: [], headers: [], query: [] };

function problems(policy: Partial<CachePolicy>): string[] {
  const found: string[] = [];
  checkCachePolicy({ enabled: true, defaultTtlMs: 0, ...policy }, (path, message) => {
    found.push(`${path.join('.')}: ${message}`);
  });
  return found;
}

test('a policy that says no more than it must is sound, and so is one that says everything', () => {
  assert.deepEqual(problems({}), []);
  const durations = { minTtlMs: 1, maxTtlMs: 9, overrideTtlMs: 5, negativeTtlMs: 0, staleWhileRevalidateMs: 0 };
  const key = {
    ...KEY,
    queryAllow: ['a', 'b%20c', 'd[]'],
    sortQuery: true,
    cookies: ['theme'],
    headers: ['x-country'],
  };
  const bypass = { cookies: ['session'], headers: ['authorization'], query: ['nocache'] };
  // Brackets stand as they are in a canonical URL.
  assert.deepEqual(problems({ ...durations, staleIfErrorMs: 1, key, bypass }), []);
});

test('durations lie within 0 and 30 days', () => {
  const over = LIMITS.ttlMs.max + 1;
  const names = ['default', 'min', 'max', 'override', 'negative'].map((name) => `${name}TtlMs`);
  for (const name of [...names, 'staleWhileRevalidateMs', 'staleIfErrorMs']) {
    const path = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    assert.deepEqual(problems({ [name]: over }), [`${path}: expected 0..2592000000, found ${over}`]);
  }
});

test('slices are neither too small nor too large, or there are none', () => {
  const { min, max } = LIMITS.sliceBytes;
  for (const sliceBytes of [0, min, max]) assert.deepEqual(problems({ sliceBytes }), []);
  for (const sliceBytes of [1, min - 1, max + 1]) {
    assert.deepEqual(problems({ sliceBytes }), [`slice_bytes: expected 0 or ${min}..${max}, found ${sliceBytes}`]);
  }
});

test('floor, ceiling and override do not contradict each other', () => {
  assert.deepEqual(problems({ minTtlMs: 9, maxTtlMs: 8 }), [
    'min_ttl_ms: the floor of 9 ms is above the ceiling of 8 ms',
  ]);
  assert.deepEqual(problems({ minTtlMs: 9, overrideTtlMs: 8 }), [
    'override_ttl_ms: the override of 8 ms is below the floor of 9 ms',
  ]);
  assert.deepEqual(problems({ maxTtlMs: 7, overrideTtlMs: 8 }), [
    'override_ttl_ms: the override of 8 ms is above the ceiling of 7 ms',
  ]);
});

test('a query is ignored, or something is done with it', () => {
  assert.deepEqual(problems({ key: { ...KEY, ignoreQuery: true, queryAllow: ['a'], sortQuery: true } }), [
    'key.query_allow: a query that is ignored has no parameters to allow: give one of the two',
    'key.sort_query: a query that is ignored has nothing to sort: give one of the two',
  ]);
});

test('names are such as requests can have, in the form in which they are compared', () => {
  const key = (change: Partial<CacheKey>) => problems({ key: { ...KEY, ...change } });
  const bypass = (change: Partial<CacheBypass>) => problems({ bypass: { ...BYPASS, ...change } });
  assert.deepEqual(key({ headers: ['X-Country'] }), ['key.headers.0: expected the lower-case form "x-country"']);
  assert.deepEqual(key({ headers: ['x y'] }), ['key.headers.0: "x y" is not the name of a header field']);
  assert.deepEqual(key({ headers: ['cookie'] }), ['key.headers.0: expected single cookies, by name, under "cookies"']);
  for (const name of ['host', 'authorization', 'range', 'if-none-match', 'x-forwarded-for', 'proxy-x', 'te']) {
    assert.deepEqual(key({ headers: [name] }), [`key.headers.0: "${name}" cannot be part of a cache key`]);
    assert.deepEqual(bypass({ headers: [name] }), []);
  }
  assert.deepEqual(key({ cookies: ['a', 'b=c'] }), ['key.cookies.1: "b=c" is not the name of a cookie']);
  assert.deepEqual(bypass({ cookies: [''] }), ['bypass.cookies.0: "" is not the name of a cookie']);
  assert.deepEqual(bypass({ query: ['a&b'] }), ['bypass.query.0: "a&b" is not the name of a query parameter']);
  assert.deepEqual(key({ queryAllow: ['%61'] }), [
    'key.query_allow.0: expected the form in which it stands in a URL, "a"',
  ]);
  assert.equal(key({ queryAllow: ['a b'] }).length, 1);
  assert.equal(key({ queryAllow: ['%zz'] }).length, 1);
});

test('each name once, and no more and no longer than can be looked through for each request', () => {
  const many = Array.from({ length: LIMITS.cacheNames + 1 }, (_, i) => `n${i}`);
  assert.deepEqual(problems({ key: { ...KEY, cookies: many } }), ['key.cookies: more than 20 names']);
  assert.deepEqual(problems({ bypass: { ...BYPASS, query: ['a', 'a'] } }), ['bypass.query.1: "a" is named twice']);
  const long = 'x'.repeat(LIMITS.cacheNameLength + 1);
  assert.deepEqual(problems({ key: { ...KEY, headers: [long] } }), ['key.headers.0: longer than 128 characters']);
});
