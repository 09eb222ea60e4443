// What a shared cache may store, and how long it is fresh (RFC 9111 sections 3 and 4.2).
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { makeHead } from '../../../../edge-node/decide/cache/entry.ts';
import { formatHttpDate } from '../../../../edge-node/decide/cache/http-date.ts';
import type { StoreDecision, StoreQuestion } from '../../../../edge-node/decide/cache/storable.ts';
import { DATE, decide, ENABLED, HOUR, NOW, SECOND } from './support.ts';

const ETAG = ['etag', '"a"'];
const cc = (value: string, ...more: string[]) => ['cache-control', value, ...more];

function skips(reason: string, fields: string[], over: Partial<StoreQuestion> = {}): void {
  assert.deepEqual(decide(fields, over), { kind: 'skip', reason });
}

function stores(lifetimeMs: number, lifetimeSource: string, decision: StoreDecision): void {
  assert.deepEqual(decision, { kind: 'store', lifetimeMs, lifetimeSource, vary: [] });
}

describe('3: what may be stored', () => {
  test('an answer that states its freshness', () => stores(60_000, 'max-age', decide(cc('max-age=60'))));

  test('not where the route has no cache', () => {
    skips('policy', cc('max-age=60'), { policy: { enabled: false, defaultTtlMs: 0 } });
  });

  test('only answers to GET', () => {
    for (const method of ['HEAD', 'POST', 'OPTIONS']) skips('method', cc('max-age=60'), { method });
  });

  test('not the answer to a GET with a body or with another method in a field', () => {
    skips('has-request-body', cc('max-age=60'), { requestFields: ['content-length', '2'] });
    skips('method-override', cc('max-age=60'), { requestFields: ['x-http-method-override', 'PUT'] });
  });

  test('no part (206)', () => skips('partial', cc('max-age=60'), { status: 206 }));

  test('nothing that is not final, nor an answer to a condition, a range or a challenge of a proxy', () => {
    for (const status of [100, 103, 199, 304, 407, 412, 416, 600, 999]) skips('status', cc('max-age=60'), { status });
  });

  test('a status that is not cacheable by default, only where the origin says so', () => {
    for (const status of [201, 302, 403, 500, 503, 599]) {
      skips('status', ETAG, { status });
      stores(60_000, 'max-age', decide(cc('max-age=60'), { status }));
      stores(0, 'none', decide(cc('public', ...ETAG), { status }));
    }
  });

  test('not what the response (5.2.2.5) or the request (5.2.1.5) says must not be', () => {
    skips('no-store', cc('no-store, max-age=60'));
    skips('request-no-store', cc('max-age=60'), { requestFields: cc('no-store') });
  });

  test('nothing private (5.2.2.7)', () => {
    skips('private', cc('private, max-age=60'));
    skips('private', cc('private=x, public, max-age=60'));
  });

  test('nothing that sets a cookie, whatever else it says (7.3)', () => {
    skips('set-cookie', cc('public, s-maxage=60', 'set-cookie', 'id=1'));
  });

  test('no answer whose path alone looks cacheable: the origin decides', () => {
    skips('no-freshness-or-validator', ['content-type', 'text/css']);
  });
});

describe('3.5: answers to requests with Authorization', () => {
  const requestFields = ['authorization', 'Basic x'];
  test('are not shared', () => skips('authorization', cc('max-age=60'), { requestFields }));
  test('unless public, must-revalidate or s-maxage says that they may be', () => {
    for (const word of ['public', 'must-revalidate']) {
      stores(60_000, 'max-age', decide(cc(`${word}, max-age=60`), { requestFields }));
    }
    stores(60_000, 's-maxage', decide(cc('s-maxage=60'), { requestFields }));
  });
});

describe('5.2.2.3: must-understand', () => {
  test('overrides no-store where the status is understood', () => {
    stores(60_000, 'max-age', decide(cc('must-understand, no-store, max-age=60')));
  });
  test('forbids storing where it is not', () => {
    skips('must-understand', cc('must-understand, max-age=60'), { status: 299 });
  });
});

describe('4.1: Vary', () => {
  test('is kept as sorted names, each once', () => {
    const decision = decide(cc('max-age=1', 'vary', 'Accept-Language, accept', 'vary', 'ACCEPT'));
    assert.deepEqual(decision.kind === 'store' && decision.vary, ['accept', 'accept-language']);
  });
  test('* never matches, so nothing is stored', () => {
    skips('vary-star', cc('max-age=1', 'vary', '*'));
    skips('vary-star', cc('max-age=1', 'vary', 'accept', 'vary', 'x, *'));
  });
  test('what is not a list of names counts as *', () => {
    skips('vary-star', cc('max-age=1', 'vary', 'accept encoding'));
    skips('vary-star', cc('max-age=1', 'vary', '"accept"'));
  });
});

describe('4.2.1: the lifetime', () => {
  const in90 = formatHttpDate(NOW + 90 * SECOND);
  test('s-maxage before max-age before Expires', () => {
    stores(10_000, 's-maxage', decide(cc('max-age=60, s-maxage=10', 'expires', in90)));
    stores(60_000, 'max-age', decide(cc('max-age=60', 'expires', in90)));
    stores(90_000, 'expires', decide(['expires', in90]));
  });
  test('Expires counts from Date, whatever the clock here says', () => {
    stores(90_000, 'expires', decide(['expires', in90], { requestedAt: NOW + HOUR, receivedAt: NOW + HOUR }));
  });
  test('Expires counts from receipt where Date cannot be read', () => {
    stores(90_000, 'expires', decide(['date', 'today', 'expires', in90]));
  });
  test('an Expires that is past or cannot be read has expired (5.3)', () => {
    for (const value of ['0', '-1', 'Thu, 01 Jan 1970 00:00:00 GMT', '']) {
      stores(0, 'expires', decide(['expires', value, ...ETAG]));
      skips('no-freshness-or-validator', ['expires', value]);
    }
  });
  test("the operator's default comes after everything that the origin states", () => {
    const policy = { enabled: true, defaultTtlMs: 7_000 };
    stores(7_000, 'default-ttl', decide([], { policy }));
    stores(60_000, 'max-age', decide(cc('max-age=60'), { policy }));
    stores(0, 'max-age', decide(cc('max-age=0', ...ETAG), { policy }));
    stores(7_000, 'default-ttl', decide(['last-modified', formatHttpDate(NOW - HOUR)], { policy }));
  });
  test('and does not make cacheable what is not by default', () => {
    skips('status', [], { status: 500, policy: { enabled: true, defaultTtlMs: 7_000 } });
  });
});

describe('4.2.2: the heuristic', () => {
  const modified = (ago: number) => ['last-modified', formatHttpDate(NOW - ago)];
  test('is a tenth of the age of Last-Modified', () => stores(HOUR, 'heuristic', decide(modified(10 * HOUR))));
  test('is at most a day', () => stores(24 * HOUR, 'heuristic', decide(modified(10_000 * HOUR))));
  test('applies to what is cacheable by default, and to what is public', () => {
    for (const status of [203, 204, 300, 301, 308, 404, 405, 410, 414, 501]) {
      stores(HOUR, 'heuristic', decide(modified(10 * HOUR), { status }));
    }
    skips('status', modified(10 * HOUR), { status: 302 });
    stores(HOUR, 'heuristic', decide(cc('public', ...modified(10 * HOUR)), { status: 302 }));
  });
  test('a Last-Modified in the future gives no freshness', () => stores(0, 'none', decide(modified(-HOUR))));
});

describe('4.3: what can only be validated', () => {
  test('an answer with only a validator is stored with no freshness', () => stores(0, 'none', decide(ETAG)));
  test('no-cache is stored where there is something to validate it with', () => {
    stores(60_000, 'max-age', decide(cc('no-cache, max-age=60', ...ETAG)));
    skips('no-freshness-or-validator', cc('no-cache, max-age=60'));
  });
  test('neither fresh nor to be validated: of no use', () => {
    skips('no-freshness-or-validator', cc('max-age=0'));
    skips('no-freshness-or-validator', []);
  });
});

describe('3.1 and RFC 9110 6.6.1: the head that is stored', () => {
  const make = (fields: string[]) =>
    makeHead({
      status: 200,
      fields,
      requestFields: ['accept', 'text/html'],
      requestedAt: NOW,
      receivedAt: NOW + 1500,
      lifetimeMs: 60_000,
      lifetimeSource: 'max-age',
      vary: ['accept'],
      barrier: 3,
    });

  test('has a Date in any case: its own, or the time of receipt', () => {
    assert.deepEqual(make(['date', DATE]).fields, ['date', DATE]);
    const received = formatHttpDate(NOW + 1500);
    assert.deepEqual(make(['x', '1']).fields, ['x', '1', 'date', received]);
    assert.deepEqual(make(['date', 'now', 'x', '1', 'date', DATE]).fields, ['x', '1', 'date', received]);
    assert.equal(make([]).dateMs, NOW + 1000);
  });

  test('knows its validators, its variant and its directives', () => {
    const head = make(cc('no-cache', 'etag', 'W/"a"', 'last-modified', DATE));
    assert.equal(head.etag, 'W/"a"');
    assert.equal(head.lastModifiedMs, NOW);
    assert.equal(head.variant, 'accept:text/html\n');
    assert.equal(head.control.noCache, true);
    assert.equal(head.barrier, 3);
  });

  test('leaves Age out of the fields, having counted it', () => {
    const head = make(['date', DATE, 'age', '30']);
    assert.deepEqual(head.fields, ['date', DATE]);
    assert.equal(head.initialAgeMs, 31_500);
  });
});

test('what is remembered of an answer changes no decision, whatever else differs', () => {
  const frozen = (...lists: string[][]) => lists.map((list) => Object.freeze(list));
  const answers = frozen(
    ['date', DATE, ...cc('no-store')],
    ['date', DATE, ...cc('private, max-age=60')],
    ['date', DATE, ...cc('max-age=60')],
    ['date', DATE, 'vary', '*', ...cc('max-age=60')],
    ['date', DATE, 'set-cookie', 'a=1', ...cc('max-age=60')],
    ['date', DATE],
    ['date', DATE, 'expires', DATE],
  );
  const requests = frozen([], ['authorization', 'a'], cc('no-store'), ['range', 'bytes=0-1']);
  const bypass = { cookies: [], headers: [], query: ['fresh'] };
  const policies = [ENABLED, { enabled: false, defaultTtlMs: 0 }, { enabled: true, defaultTtlMs: HOUR }];
  let compared = 0;
  for (let round = 0; round < 2; round += 1) {
    for (const responseFields of answers) {
      for (const requestFields of requests) {
        for (const policy of [...policies, { ...ENABLED, bypass }]) {
          for (const target of ['/', '/?fresh=1']) {
            for (const [method, status] of [
              ['GET', 200],
              ['GET', 404],
              ['GET', 206],
              ['HEAD', 200],
            ] as const) {
              const over = { requestFields, policy, target, method, status, receivedAt: NOW + round * HOUR };
              const remembered = decide(responseFields, over);
              assert.deepEqual(remembered, decide(responseFields, over));
              // A list that is not frozen is never remembered.
              assert.deepEqual(remembered, decide([...responseFields], over));
              compared += 1;
            }
          }
        }
      }
    }
  }
  assert.equal(compared, 2 * 7 * 4 * 4 * 2 * 4);
});
