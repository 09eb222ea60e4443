// Validation: what the cache asks (RFC 9111 section 4.3.1), what it answers (RFC 9110 section 13.2.2), and what a 304 from an
// origin changes (RFC 9111 sections 3.2 and 4.3.4).
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { StoredHead } from '../../../../edge-node/decide/cache/entry.ts';
import { formatHttpDate } from '../../../../edge-node/decide/cache/http-date.ts';
import { merge304, type RefreshQuestion, refreshHead } from '../../../../edge-node/decide/cache/refresh.ts';
import {
  conditionalFields,
  notModified,
  notModifiedFields,
  speaksOf,
} from '../../../../edge-node/decide/cache/validation.ts';
import type { FieldList } from '../../../../edge-node/decide/fields.ts';
import { seededRandom } from '../../../../infra/runtime/random.ts';
import { below, DATE, ENABLED, HOUR, headOf, NOW, pick } from './support.ts';

const MODIFIED = formatHttpDate(NOW - HOUR);
const CACHEABLE = ['date', DATE, 'cache-control', 'max-age=60'];
const strong = headOf([...CACHEABLE, 'etag', '"a"', 'last-modified', MODIFIED]);
const weak = headOf([...CACHEABLE, 'etag', 'W/"a"']);
const dated = headOf([...CACHEABLE, 'last-modified', MODIFIED]);
const bare = headOf(CACHEABLE);

describe('4.3.1: asking', () => {
  test('sends the validators that there are, as they came', () => {
    assert.deepEqual(conditionalFields(strong), ['if-none-match', '"a"', 'if-modified-since', MODIFIED]);
    assert.deepEqual(conditionalFields(weak), ['if-none-match', 'W/"a"']);
    assert.deepEqual(conditionalFields(dated), ['if-modified-since', MODIFIED]);
    assert.deepEqual(conditionalFields(bare), []);
  });
  test('does not send a Last-Modified that is no date', () => {
    assert.deepEqual(conditionalFields(headOf([...CACHEABLE, 'last-modified', 'yesterday'])), []);
  });
});

describe('13.1.2: If-None-Match', () => {
  const matches = (value: string, head: StoredHead) => notModified('GET', ['if-none-match', value], head);
  test('compares weakly', () => {
    for (const head of [strong, weak]) {
      assert.ok(matches('"a"', head));
      assert.ok(matches('W/"a"', head));
      assert.ok(!matches('"b"', head));
    }
  });
  test('reads lists, with commas inside tags and over several lines', () => {
    const comma = headOf([...CACHEABLE, 'etag', '"x,y"']);
    assert.ok(matches('"b", W/"x,y" ,"c"', comma));
    assert.ok(!matches('"x", "y"', comma));
    assert.ok(notModified('GET', ['if-none-match', '"b"', 'if-none-match', '"a"'], strong));
  });
  test('* matches whatever is stored', () => {
    assert.ok(matches('*', bare));
    assert.ok(!matches('"*"', strong));
  });
  test('a broken list matches nothing more', () => {
    for (const value of ['a', '"a', 'w/"a"', 'x, "a"', 'W/a', '']) assert.ok(!matches(value, strong), value);
  });
  test('nothing but * matches what has no tag', () => assert.ok(!matches('"a"', dated)));
});

describe('13.1.3: If-Modified-Since', () => {
  const since = (value: string, head: StoredHead) => notModified('GET', ['if-modified-since', value], head);
  test('not modified when Last-Modified is no later', () => {
    assert.ok(since(MODIFIED, dated));
    assert.ok(since(formatHttpDate(NOW), dated));
    assert.ok(!since(formatHttpDate(NOW - HOUR - 1000), dated));
  });
  test('any form of date is understood, and what is none is ignored', () => {
    assert.ok(since('Sunday, 06-Nov-94 08:49:37 GMT', dated));
    assert.ok(!since('tomorrow', dated));
    assert.ok(!notModified('GET', ['if-modified-since', DATE, 'if-modified-since', DATE], dated));
  });
  test('RFC 9111 4.3.2: without Last-Modified, Date stands in', () => {
    assert.ok(since(DATE, bare));
    assert.ok(!since(MODIFIED, bare));
  });
});

describe('13.2: precedence', () => {
  test('If-None-Match decides alone', () => {
    assert.ok(!notModified('GET', ['if-modified-since', DATE, 'if-none-match', '"b"'], strong));
    assert.ok(notModified('GET', ['if-modified-since', formatHttpDate(0), 'if-none-match', '"a"'], strong));
  });
  test('HEAD is as GET, other methods are not', () => {
    assert.ok(notModified('HEAD', ['if-none-match', '"a"'], strong));
    assert.ok(!notModified('POST', ['if-none-match', '"a"'], strong));
  });
  test('without a condition nothing is', () => assert.ok(!notModified('GET', ['accept', '*/*'], strong)));
  test('13.2.1: conditions mean nothing where the answer is not a success', () => {
    const missing = headOf([...CACHEABLE, 'etag', '"a"'], { status: 404 });
    assert.ok(!notModified('GET', ['if-none-match', '"a"'], missing));
  });
  test('15.4.5: a 304 repeats what guides caches and nothing of the body', () => {
    const head = headOf([...CACHEABLE, 'content-type', 'text/css', 'content-length', '3', 'etag', '"a"', 'vary', 'x']);
    assert.deepEqual(notModifiedFields(head), [...CACHEABLE, 'etag', '"a"', 'vary', 'x']);
  });
});

describe('4.3.4: of which response a 304 speaks', () => {
  test('a strong tag, of the one with exactly this tag', () => {
    assert.ok(speaksOf(['etag', '"a"'], strong));
    assert.ok(!speaksOf(['etag', '"b"'], strong));
    assert.ok(!speaksOf(['etag', '"a"'], weak));
  });
  test('a weak tag, of the one that it matches weakly', () => {
    assert.ok(speaksOf(['etag', 'W/"a"'], strong));
    assert.ok(speaksOf(['etag', 'W/"a"'], weak));
    assert.ok(!speaksOf(['etag', 'W/"b"'], weak));
  });
  test('a date, of the one with the same date; a tag, of none without', () => {
    assert.ok(speaksOf(['last-modified', MODIFIED], dated));
    assert.ok(!speaksOf(['last-modified', DATE], dated));
    assert.ok(!speaksOf(['etag', '"a"'], dated));
  });
  test('no validator at all, of the one that was asked about', () => assert.ok(speaksOf(['date', DATE], strong)));
});

describe('3.2: merging', () => {
  test('fields of the 304 replace all lines of the same name, others stay', () => {
    const head = headOf([...CACHEABLE, 'etag', '"a"', 'x', '1', 'x', '2', 'y', '3']);
    assert.deepEqual(merge304(head, ['date', DATE, 'x', '4', 'z', '5']), [
      ...['cache-control', 'max-age=60', 'etag', '"a"', 'y', '3'],
      ...['date', DATE, 'x', '4', 'z', '5'],
    ]);
  });
  test('fields that describe the body stay as they were', () => {
    const body = ['content-length', '3', 'content-encoding', 'gzip'];
    const head = headOf([...CACHEABLE, ...body]);
    const merged = merge304(head, ['content-length', '0', 'content-encoding', 'br', 'content-range', 'bytes 0-1/2']);
    assert.deepEqual(merged, ['cache-control', 'max-age=60', ...body]);
  });
  test('fields of the connection are not taken over', () => {
    const merged = merge304(bare, ['connection', 'x', 'x', '1', 'keep-alive', '5', 'transfer-encoding', 'chunked']);
    assert.deepEqual(merged, ['cache-control', 'max-age=60']);
  });
});

describe('4.3.4: freshening', () => {
  const LATER = NOW + HOUR;
  const refresh = (entry: StoredHead, fields304: FieldList, over: Partial<RefreshQuestion> = {}) =>
    refreshHead({
      entry,
      fields304,
      requestFields: [],
      policy: ENABLED,
      requestedAt: LATER,
      receivedAt: LATER,
      barrier: 9,
      ...over,
    });

  test('counts from the validation: time, age, lifetime and barrier', () => {
    const decision = refresh(strong, ['date', formatHttpDate(LATER), 'cache-control', 'max-age=5', 'age', '2']);
    assert.equal(decision.kind, 'refresh');
    if (decision.kind !== 'refresh') return;
    assert.equal(decision.head.receivedAt, LATER);
    assert.equal(decision.head.initialAgeMs, 2000);
    assert.equal(decision.head.lifetimeMs, 5000);
    assert.equal(decision.head.barrier, 9);
    assert.equal(decision.head.etag, '"a"');
    assert.equal(decision.head.status, 200);
    assert.ok(!decision.head.fields.includes('age'));
  });

  test('a 304 without a Date was made when it arrived', () => {
    const decision = refresh(strong, []);
    assert.equal(decision.kind === 'refresh' && decision.head.dateMs, LATER);
    assert.equal(decision.kind === 'refresh' && decision.head.initialAgeMs, 0);
  });

  test('a Vary that changed makes another variant', () => {
    const decision = refresh(strong, ['vary', 'accept'], { requestFields: ['accept', 'a'] });
    assert.equal(decision.kind === 'refresh' && decision.head.variant, 'accept:a\n');
  });

  test('a 304 for another response changes nothing', () => {
    assert.deepEqual(refresh(strong, ['etag', '"b"']), { kind: 'mismatch' });
  });

  test('what must not be stored any more answers this request and goes', () => {
    for (const [reason, fields] of [
      ['no-store', ['cache-control', 'no-store']],
      ['private', ['cache-control', 'private']],
      ['set-cookie', ['set-cookie', 'id=1']],
      ['vary-star', ['vary', '*']],
    ] as const) {
      const decision = refresh(strong, fields);
      assert.equal(decision.kind, 'answer-only');
      if (decision.kind !== 'answer-only') return;
      assert.equal(decision.reason, reason);
      assert.equal(decision.remove, true);
      assert.ok(decision.head.fields.includes(fields[0]), 'the answer has what the 304 said');
    }
  });

  test('a request that may not be shared does not throw out what others use', () => {
    const decision = refresh(strong, [], { requestFields: ['authorization', 'x'] });
    assert.equal(decision.kind === 'answer-only' && decision.reason, 'authorization');
    assert.equal(decision.kind === 'answer-only' && decision.remove, false);
  });
});

test('seeded fuzz: a list of tags matches when, and only when, a well-formed prefix of it holds the tag', () => {
  const random = seededRandom(7232);
  const pieces = ['"a"', 'W/"a"', '"b"', '"x,a"', ', ', ',', ' ', '"', 'W/', 'a', '""', '*'];
  const prefix = /^(?:[ \t,]*(?:W\/)?"[^"]*")*/;
  for (let round = 0; round < 20_000; round += 1) {
    let list = '';
    for (let i = below(random, 7); i > 0; i -= 1) list += pick(random, pieces);
    const tags = [...(prefix.exec(list)?.[0] ?? '').matchAll(/"[^"]*"/g)].map((match) => match[0]);
    const expected = list.trim() === '*' || tags.includes('"a"');
    assert.equal(notModified('GET', ['if-none-match', list], strong), expected, JSON.stringify(list));
  }
});
