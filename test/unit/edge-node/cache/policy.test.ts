// What a route's cache policy makes of requests and of freshness.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { formatHttpDate } from '../../../../edge-node/decide/cache/http-date.ts';
import {
  type CacheRules,
  compileCachePolicy,
  cookieValue,
  isBypassed,
  keyTarget,
} from '../../../../edge-node/decide/cache/policy.ts';
import { classifyRequest } from '../../../../edge-node/decide/cache/request.ts';
import type { CacheKey } from '../../../../proto/gen/meridian/v1/resources.ts';
import { decide, ENABLED, HOUR, NOW, SECOND } from './support.ts';

const KEY: CacheKey = { ignoreQuery: false, queryAllow: [], sortQuery: false, cookies: [], headers: [] };
const rules = (key: Partial<CacheKey>): CacheRules => compileCachePolicy({ ...ENABLED, key: { ...KEY, ...key } });
const target = (key: Partial<CacheKey>, of: string) => {
  const { key: compiled } = rules(key);
  assert.ok(compiled);
  return keyTarget(compiled, of);
};

describe('the key', () => {
  test('the whole query counts, unless the route says otherwise', () => {
    assert.equal(target({}, '/a?b=2&a=1'), '/a?b=2&a=1');
    assert.equal(compileCachePolicy(ENABLED).key, undefined);
  });
  test('a query that is ignored is gone, with its mark', () => {
    assert.equal(target({ ignoreQuery: true }, '/a?b=2&a=1'), '/a');
    assert.equal(target({ ignoreQuery: true }, '/a?'), '/a');
    assert.equal(target({ ignoreQuery: true }, '/a'), '/a');
  });
  test('only parameters that are allowed stay, as they are and in their order', () => {
    assert.equal(target({ queryAllow: ['a', 'b'] }, '/a?c=1&b=2&b=&utm=x&a'), '/a?b=2&b=&a');
    assert.equal(target({ queryAllow: ['a'] }, '/a?utm=1&aa=2'), '/a');
  });
  test('sorting is by name, and keeps the order of what has one name', () => {
    assert.equal(target({ sortQuery: true }, '/a?b=2&a=9&b=1&a=3&&'), '/a?a=9&a=3&b=2&b=1');
    assert.equal(target({ sortQuery: true, queryAllow: ['b', 'a'] }, '/?b=1&c=2&a=3'), '/?a=3&b=1');
  });
  test('cookies and header fields are names that every answer varies by', () => {
    const { key } = rules({ cookies: ['theme'], headers: ['x-b', 'x-a'] });
    assert.deepEqual(key?.vary, ['cookie;theme', 'x-a', 'x-b']);
    const decision = decide(['cache-control', 'max-age=1', 'vary', 'accept'], {
      policy: rules({ cookies: ['theme'] }),
    });
    assert.deepEqual(decision.kind === 'store' && decision.vary, ['accept', 'cookie;theme']);
  });
  test('a cookie is found by its whole name', () => {
    assert.equal(cookieValue('a=1; theme=dark ; atheme=x', 'theme'), 'dark');
    assert.equal(cookieValue('theme', 'theme'), undefined);
    assert.equal(cookieValue('theme=a=b', 'theme'), 'a=b');
  });
});

describe('bypass', () => {
  const policy = compileCachePolicy({
    ...ENABLED,
    bypass: { cookies: ['session'], headers: ['x-preview'], query: ['nocache'] },
  });
  const asked = (fields: string[], of = '/') => classifyRequest('GET', fields, policy, of).kind;
  test('a request with the cookie, the field or the parameter goes to an origin', () => {
    assert.equal(asked(['cookie', 'a=1; session=']), 'bypass');
    assert.equal(asked(['x-preview', '']), 'bypass');
    assert.equal(asked([], '/?a&nocache'), 'bypass');
    assert.deepEqual(classifyRequest('GET', ['x-preview', ''], policy, '/'), { kind: 'bypass', reason: 'bypass-rule' });
  });
  test('another does not', () => {
    assert.equal(asked(['cookie', 'xsession=1', 'x-previews', '1'], '/nocache?x=nocache'), 'lookup');
  });
  test('and what comes back is not kept', () => {
    const over = { requestFields: ['cookie', 'session=1'], policy };
    assert.deepEqual(decide(['cache-control', 'max-age=60'], over), { kind: 'skip', reason: 'bypass-rule' });
    assert.equal(decide(['cache-control', 'max-age=60'], { policy, target: '/?nocache=1' }).kind, 'skip');
  });
  test('no rule is no rule', () => {
    const empty = compileCachePolicy({ ...ENABLED, bypass: { cookies: [], headers: [], query: [] } });
    assert.equal(empty.bypass, undefined);
    assert.equal(isBypassed({ cookies: [], headers: [], query: [] }, ['cookie', 'a=1'], '/?a'), false);
  });
});

describe('freshness', () => {
  const fresh = (policy: Partial<CacheRules>, fields: string[], status = 200) => {
    const decision = decide([...fields, 'etag', '"a"'], { policy: { ...ENABLED, ...policy }, status });
    return decision.kind === 'store' ? [decision.lifetimeMs / SECOND, decision.lifetimeSource] : decision.reason;
  };
  const age = (seconds: number, more = '') => ['cache-control', `max-age=${seconds}${more}`];
  test('a floor lifts what is below it, and what states nothing', () => {
    assert.deepEqual(fresh({ minTtlMs: 10_000 }, age(1)), [10, 'min-ttl']);
    assert.deepEqual(fresh({ minTtlMs: 10_000 }, age(60)), [60, 'max-age']);
    assert.deepEqual(fresh({ minTtlMs: 10_000 }, []), [10, 'min-ttl']);
  });
  test('a ceiling lowers what is above it', () => {
    assert.deepEqual(fresh({ maxTtlMs: 10_000 }, age(60)), [10, 'max-ttl']);
    assert.deepEqual(fresh({ maxTtlMs: 0 }, age(60)), [0, 'max-ttl']);
    assert.deepEqual(fresh({ maxTtlMs: 10_000 }, ['last-modified', formatHttpDate(NOW - 100 * HOUR)]), [10, 'max-ttl']);
  });
  test('an override takes the place of what is stated', () => {
    assert.deepEqual(fresh({ overrideTtlMs: 5000 }, age(60)), [5, 'override-ttl']);
    assert.deepEqual(fresh({ overrideTtlMs: 5000 }, ['expires', '0']), [5, 'override-ttl']);
  });
  test('neither floor nor override makes errors live longer', () => {
    assert.deepEqual(fresh({ minTtlMs: 10_000, overrideTtlMs: 10_000 }, age(1), 404), [1, 'max-age']);
    assert.deepEqual(fresh({ maxTtlMs: 1000 }, age(60), 404), [1, 'max-ttl']);
  });
  test('negative caching: an error that states nothing, where its status is cacheable by default or it is public', () => {
    for (const status of [404, 405, 410, 414, 501])
      assert.deepEqual(fresh({ negativeTtlMs: 5000 }, [], status), [5, 'negative-ttl']);
    assert.deepEqual(fresh({ negativeTtlMs: 5000 }, ['cache-control', 'public'], 503), [5, 'negative-ttl']);
    assert.equal(fresh({ negativeTtlMs: 5000 }, [], 503), 'status');
    assert.deepEqual(fresh({ negativeTtlMs: 5000, defaultTtlMs: 9000 }, []), [9, 'default-ttl']);
    assert.deepEqual(fresh({ negativeTtlMs: 5000 }, age(60), 404), [60, 'max-age']);
  });
  test('no rule makes storable or usable what the answer says is not', () => {
    const all = { minTtlMs: 9000, overrideTtlMs: 9000, negativeTtlMs: 9000, defaultTtlMs: 9000 };
    for (const word of ['no-store', 'private']) assert.equal(fresh(all, ['cache-control', word]), word);
    assert.equal(fresh(all, ['set-cookie', 'a=b']), 'set-cookie');
    assert.equal(fresh(all, [], 302), 'status');
  });
  test('windows for stale answers are those of the answer, else those of the route', () => {
    const windows = { staleWhileRevalidateMs: 1000, staleIfErrorMs: 2000 };
    const decision = decide(['cache-control', 'max-age=1'], { policy: { ...ENABLED, ...windows } });
    assert.deepEqual(decision, { kind: 'store', lifetimeMs: 1000, lifetimeSource: 'max-age', vary: [], ...windows });
  });
});
