// RFC 9111 section 3, rule by rule: what a shared cache stores, and which fields of it. With the statuses of RFC 9110 15.1.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { formatHttpDate } from '../../../../edge-node/decide/cache/http-date.ts';
import type { StoreDecision, StoreQuestion } from '../../../../edge-node/decide/cache/storable.ts';
import { storedFields } from '../../../../edge-node/decide/cache/stored-fields.ts';
import { DATE, decide, HOUR, headOf, NOW } from './support.ts';

const cc = (value: string, ...more: string[]) => ['cache-control', value, ...more];
const outcome = (fields: string[], over: Partial<StoreQuestion> = {}): string => named(decide(fields, over));
const named = (decision: StoreDecision): string => (decision.kind === 'store' ? 'store' : decision.reason);
const MODIFIED = ['last-modified', formatHttpDate(NOW - 10 * HOUR)];

describe('3: a response is stored only if all of these hold', () => {
  test('3: the request method is one that the cache understands', () => {
    assert.equal(outcome(cc('max-age=60')), 'store');
    for (const method of ['HEAD', 'POST', 'PUT', 'QUERY', 'get', 'FROB']) {
      assert.equal(outcome(cc('max-age=60, public'), { method }), 'method', method);
    }
  });

  test('3: the status is final', () => {
    for (const status of [100, 101, 103, 199]) assert.equal(outcome(cc('max-age=60'), { status }), 'status');
  });

  test('3: a 304 is never stored by itself, and a 206 never as a whole', () => {
    assert.equal(outcome(cc('max-age=60'), { status: 304 }), 'status');
    assert.equal(outcome(cc('max-age=60', 'content-range', 'bytes 0-1/2'), { status: 206 }), 'partial');
  });

  test('3: a status that says nothing on caching is stored where the origin states freshness', () => {
    for (const status of [201, 202, 299, 302, 303, 307, 400, 403, 418, 499, 500, 502, 503, 504, 599]) {
      assert.equal(outcome(cc('max-age=60'), { status }), 'store', `${status}`);
      assert.equal(outcome(['expires', formatHttpDate(NOW + HOUR)], { status }), 'store', `${status}`);
    }
  });

  test('3: an answer to a range, a condition, a proxy or a connection is not stored, whatever it says', () => {
    for (const status of [407, 412, 416, 417, 421, 425]) assert.equal(outcome(cc('max-age=60'), { status }), 'status');
  });

  test('5.2.2.5: no-store in the response forbids it', () => {
    assert.equal(outcome(cc('no-store')), 'no-store');
    assert.equal(outcome(cc('max-age=60, No-Store')), 'no-store');
    assert.equal(outcome(cc('max-age=60', 'cache-control', 'no-store')), 'no-store');
  });

  test('5.2.1.5: no-store in the request forbids it', () => {
    assert.equal(outcome(cc('max-age=60'), { requestFields: cc('no-store') }), 'request-no-store');
  });

  test('5.2.2.7: private forbids it', () => {
    assert.equal(outcome(cc('private, max-age=60')), 'private');
    assert.equal(outcome(cc('private, s-maxage=60, public')), 'private');
  });

  test('3.5: Authorization forbids it', () => {
    const requestFields = ['authorization', 'Bearer x'];
    for (const value of ['max-age=60', 'max-age=60, proxy-revalidate', 'max-age=60, immutable']) {
      assert.equal(outcome(cc(value), { requestFields }), 'authorization', value);
    }
  });

  test('3.5: public, must-revalidate and s-maxage allow it all the same', () => {
    const requestFields = ['authorization', 'Bearer x'];
    for (const value of ['max-age=60, public', 'max-age=60, must-revalidate', 's-maxage=60']) {
      assert.equal(outcome(cc(value), { requestFields }), 'store', value);
    }
    assert.equal(outcome(cc('private, must-revalidate, max-age=60'), { requestFields }), 'private');
  });

  test('3: without freshness, public or a status cacheable by default there is no ground to store', () => {
    assert.equal(outcome(MODIFIED, { status: 302 }), 'status');
    assert.equal(outcome(cc('public', ...MODIFIED), { status: 302 }), 'store');
    assert.equal(outcome(cc('must-revalidate', ...MODIFIED), { status: 503 }), 'status');
  });

  test('RFC 9110 15.1: these statuses are cacheable by default, and no others', () => {
    const byDefault = [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501];
    for (let status = 200; status < 600; status += 1) {
      if (status === 206) continue;
      assert.equal(outcome(MODIFIED, { status }) === 'store', byDefault.includes(status), `${status}`);
    }
  });
});

describe('5.2.2.3: must-understand', () => {
  test('5.2.2.3: no-store beside it is ignored where the status is understood', () => {
    for (const status of [200, 204, 404, 503]) {
      assert.equal(outcome(cc('must-understand, no-store, max-age=60'), { status }), 'store', `${status}`);
    }
  });
  test('5.2.2.3: a status that is not understood is not stored', () => {
    assert.equal(outcome(cc('must-understand, max-age=60'), { status: 299 }), 'must-understand');
    assert.equal(outcome(cc('must-understand, no-store, max-age=60'), { status: 599 }), 'must-understand');
  });
});

describe('3.1: which fields are stored', () => {
  test('3.1: all, also those that nobody knows, in their order', () => {
    const fields = ['date', DATE, 'x-unknown', '1', 'link', '<a>', 'x-unknown', '2', 'clear-site-data', '"cache"'];
    assert.deepEqual(storedFields(fields), fields);
  });
  test('3.1: but not Connection, nor what it names', () => {
    const fields = [
      'connection',
      'a, B',
      'a',
      '1',
      'b',
      '2',
      'c',
      '3',
      'keep-alive',
      '5',
      'transfer-encoding',
      'chunked',
    ];
    assert.deepEqual(storedFields(fields), ['c', '3']);
  });
  test('3.1: nor what is for one proxy alone', () => {
    const fields = ['proxy-authenticate', 'x', 'proxy-authentication-info', 'x', 'proxy-authorization', 'x', 'a', '1'];
    assert.deepEqual(storedFields(fields), ['a', '1']);
  });
  test('5.2.2.7: nor what private names; the rest is stored', () => {
    const head = headOf([
      'date',
      DATE,
      ...cc('max-age=60, private="X-User, x-b"', 'x-user', 'me', 'x-b', '2', 'x-c', '3'),
    ]);
    assert.deepEqual(head.fields.includes('x-user') || head.fields.includes('x-b'), false);
    assert.ok(head.fields.includes('x-c'));
  });
  test('5.2.2.4: nor what no-cache names; the rest is reused without validation', () => {
    const head = headOf(['date', DATE, ...cc('max-age=60, no-cache="x-user"', 'x-user', 'me', 'x-c', '3')]);
    assert.ok(!head.fields.includes('x-user') && head.fields.includes('x-c'));
    assert.ok(!head.control.noCache);
  });
  test('3.1: Trailer is not stored, since trailers are discarded', () => {
    assert.deepEqual(storedFields(['trailer', 'x-checksum', 'a', '1']), ['a', '1']);
  });
});

describe('7.3: cookies', () => {
  test('7.3: an answer that sets a cookie is not stored, unless the cookie is left out by name', () => {
    assert.equal(outcome(cc('public, s-maxage=60', 'set-cookie', 'id=1')), 'set-cookie');
    for (const form of ['private', 'no-cache']) {
      assert.equal(outcome(cc(`max-age=60, ${form}="Set-Cookie"`, 'set-cookie', 'id=1')), 'store', form);
    }
  });
});

describe('of use', () => {
  test('3: what can be neither used nor validated is not stored', () => {
    assert.equal(outcome(cc('max-age=0')), 'no-freshness-or-validator');
    assert.equal(outcome(cc('no-cache, max-age=60')), 'no-freshness-or-validator');
    assert.equal(outcome(cc('no-cache, max-age=60', 'etag', '"a"')), 'store');
  });
  test('RFC 5861: a window in which stale answers may be used makes it of use', () => {
    assert.equal(outcome(cc('max-age=0, stale-if-error=60')), 'store');
    assert.equal(outcome(cc('max-age=0, stale-while-revalidate=60')), 'store');
    assert.equal(outcome(cc('max-age=0, stale-if-error=60, must-revalidate')), 'no-freshness-or-validator');
  });
});
