// Which requests may be answered from the cache (RFC 9111 section 4), and which make what is stored invalid (4.4).
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { NO_DIRECTIVES, parseCacheControl } from '../../../../edge-node/decide/cache/cache-control.ts';
import { classifyRequest, invalidates, requestDirectives } from '../../../../edge-node/decide/cache/request.ts';
import type { Conditions } from '../../../../edge-node/decide/cache/validation.ts';
import type { FieldList } from '../../../../edge-node/decide/fields.ts';
import { ENABLED } from './support.ts';

const bypass = (reason: string) => ({ kind: 'bypass', reason });
const lookup = (directives = NO_DIRECTIVES, range = false, conditions?: Conditions) => ({
  kind: 'lookup',
  directives,
  range,
  conditions,
});
const get = (...fields: string[]) => classifyRequest('GET', fields, ENABLED);

describe('4: what is looked up', () => {
  test('GET and HEAD are', () => {
    assert.deepEqual(get('accept', '*/*'), lookup());
    assert.deepEqual(classifyRequest('HEAD', [], ENABLED), lookup());
  });

  test('other methods are not, and method names are case-sensitive', () => {
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'QUERY', 'get']) {
      assert.deepEqual(classifyRequest(method, [], ENABLED), bypass('method'), method);
    }
  });

  test('nothing is where the route has no cache', () => {
    assert.deepEqual(classifyRequest('GET', [], { enabled: false }), bypass('policy'));
  });

  test('a request with a body is not', () => {
    assert.deepEqual(get('content-length', '4'), bypass('has-request-body'));
    assert.deepEqual(get('transfer-encoding', 'chunked'), bypass('has-request-body'));
    assert.deepEqual(get('content-length', '0'), lookup());
  });

  test('a request that claims another method in a field is not', () => {
    for (const name of ['x-http-method-override', 'x-http-method', 'x-method-override']) {
      assert.deepEqual(get(name, 'DELETE'), bypass('method-override'), name);
    }
  });

  test('a request for a tunnel is not, but one for another protocol, which this edge ignores, is', () => {
    for (const value of ['websocket', 'WebSocket']) assert.deepEqual(get('upgrade', value), bypass('upgrade'));
    assert.deepEqual(get('upgrade', 'h2c'), lookup());
  });

  test('the same request costs no new object', () => {
    assert.equal(get('accept', '*/*'), get('accept', 'text/html'));
  });
});

describe('RFC 9110 14.2: ranges', () => {
  test('a request for a range is looked up, and marked', () => {
    assert.deepEqual(get('range', 'bytes=0-9'), lookup(NO_DIRECTIVES, true));
    assert.deepEqual(
      get('range', 'bytes=0-9', 'cache-control', 'no-cache'),
      lookup(parseCacheControl('no-cache'), true),
    );
  });
  test('only GET asks for one', () => {
    assert.deepEqual(classifyRequest('HEAD', ['range', 'bytes=0-9'], ENABLED), lookup());
  });
});

describe('4.3.2: conditions', () => {
  test('those that a cache can judge are looked up, and read', () => {
    const lines = ['if-none-match', '"a"', 'if-modified-since', 'x', 'if-none-match', '"b"'];
    const both = { ifNoneMatch: '"a", "b"', ifModifiedSince: 'x' };
    assert.deepEqual(get(...lines), lookup(NO_DIRECTIVES, false, both));
    const since = { ifNoneMatch: undefined, ifModifiedSince: 'x' };
    assert.deepEqual(get('if-modified-since', 'x', 'range', 'bytes=0-9'), lookup(NO_DIRECTIVES, true, since));
  });
  test('those that only an origin can judge go there', () => {
    assert.deepEqual(get('if-match', '"a"'), bypass('precondition'));
    assert.deepEqual(get('if-unmodified-since', 'x'), bypass('precondition'));
  });
});

describe('5.2.1 and 5.4: directives of the request', () => {
  test('Cache-Control lines are read together', () => {
    const fields: FieldList = ['cache-control', 'max-age=5', 'accept', '*/*', 'cache-control', 'no-store'];
    assert.deepEqual(requestDirectives(fields), parseCacheControl('max-age=5, no-store'));
  });
  test('Pragma: no-cache counts where there is no Cache-Control', () => {
    assert.equal(requestDirectives(['pragma', 'no-cache']).noCache, true);
    assert.equal(requestDirectives(['pragma', 'x=1, No-Cache']).noCache, true);
    assert.equal(requestDirectives(['pragma', 'no-cache', 'cache-control', 'max-age=5']).noCache, false);
  });
  test('Pragma can say nothing else', () => {
    assert.equal(requestDirectives(['pragma', 'max-age=0, no-store']), NO_DIRECTIVES);
  });
});

describe('4.4: invalidation', () => {
  test('by a successful or redirecting answer to an unsafe or unknown method', () => {
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'FROB']) {
      assert.ok(invalidates(method, 200), method);
      assert.ok(invalidates(method, 303), method);
    }
  });
  test('not by an error, nor by a safe method', () => {
    assert.ok(!invalidates('POST', 400));
    assert.ok(!invalidates('POST', 500));
    assert.ok(!invalidates('POST', 100));
    for (const method of ['GET', 'HEAD', 'OPTIONS', 'TRACE']) assert.ok(!invalidates(method, 200), method);
  });
});
