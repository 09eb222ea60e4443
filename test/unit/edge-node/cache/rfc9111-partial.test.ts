// RFC 9111 sections 3.3 and 3.4, with RFC 9110 13.1.5, 14.4 and 15.3.7: parts that are kept, put together and completed.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { formatHttpDate } from '../../../../edge-node/decide/cache/http-date.ts';
import {
  combineParts,
  completionFields,
  covers,
  decideStorePart,
  missing,
  type Part,
  parseContentRange,
  type StoredParts,
  strongValidator,
  wholeFields,
} from '../../../../edge-node/decide/cache/partial.ts';
import { ifRangeHolds } from '../../../../edge-node/decide/cache/ranges.ts';
import type { StoreQuestion } from '../../../../edge-node/decide/cache/storable.ts';
import { seededRandom } from '../../../../infra/runtime/random.ts';
import { below, DATE, ENABLED, HOUR, headOf, NOW, SECOND } from './support.ts';

const FRESH = ['date', DATE, 'cache-control', 'max-age=60'];
const MODIFIED = formatHttpDate(NOW - HOUR);

describe('RFC 9110 14.4: Content-Range', () => {
  test('14.4: first and last byte, and the length of the whole if it is known', () => {
    assert.deepEqual(parseContentRange('bytes 0-4/10'), { first: 0, last: 4, completeLength: 10 });
    assert.deepEqual(parseContentRange('Bytes 5-5/*'), { first: 5, last: 5, completeLength: undefined });
  });
  test('14.4: nothing else', () => {
    for (const bad of [
      '',
      'bytes */10',
      'bytes 4-0/10',
      'bytes 0-10/10',
      'bytes 0-4',
      'lines 0-4/10',
      'bytes=0-4/10',
    ]) {
      assert.equal(parseContentRange(bad), undefined, bad);
    }
    assert.equal(parseContentRange('bytes 0-9999999999999999/*'), undefined);
    assert.equal(parseContentRange('bytes -1-4/10'), undefined);
  });
});

describe('3.3: storing a part', () => {
  const decide = (fields: string[], over: Partial<StoreQuestion> = {}) =>
    decideStorePart({
      ...{ method: 'GET', requestFields: ['range', 'bytes=0-4'], status: 206, policy: ENABLED },
      ...{ responseFields: [...FRESH, ...fields], requestedAt: NOW, receivedAt: NOW, ...over },
    });
  test('3.3: as a 200 that is incomplete, with the range that it has', () => {
    const decision = decide(['content-range', 'bytes 0-4/10', 'content-length', '5']);
    assert.deepEqual(decision, {
      ...{ kind: 'store', lifetimeMs: 60 * SECOND, lifetimeSource: 'max-age', vary: [] },
      range: { first: 0, last: 4, completeLength: 10 },
    });
  });
  test('3.3: only where the range can be understood', () => {
    const refused = (fields: string[]) => {
      const decision = decide(fields);
      return decision.kind === 'skip' ? decision.reason : 'store';
    };
    assert.equal(refused([]), 'content-range');
    assert.equal(refused(['content-range', 'lines 0-4/10']), 'content-range');
    assert.equal(refused(['content-range', 'bytes 0-4/10', 'content-range', 'bytes 5-9/10']), 'content-range');
    assert.equal(refused(['content-type', 'multipart/byteranges; boundary=x']), 'multipart');
    assert.equal(refused(['content-range', 'bytes 0-4/10', 'content-length', '4']), 'length');
  });
  test('3: under the rules of any other response', () => {
    const range = ['content-range', 'bytes 0-4/10'];
    const reason = (fields: string[]) => decide([...range, ...fields]);
    assert.deepEqual(reason(['set-cookie', 'a=b']), { kind: 'skip', reason: 'set-cookie' });
    assert.deepEqual(reason(['cache-control', 'no-store']), { kind: 'skip', reason: 'no-store' });
    assert.deepEqual(decide(range, { status: 200 }), { kind: 'skip', reason: 'status' });
  });
});

describe('RFC 9110 8.8.1: strong validators', () => {
  const head = (...fields: string[]) => headOf([...FRESH, ...fields]);
  test('8.8.3: a strong entity tag is one, a weak one is none, whatever stands beside it', () => {
    assert.equal(strongValidator(head('etag', '"a"')), '"a"');
    assert.equal(strongValidator(head('etag', 'W/"a"', 'last-modified', MODIFIED)), undefined);
  });
  test('8.8.2.2: a date is one where it lies well before Date', () => {
    assert.equal(strongValidator(head('last-modified', MODIFIED)), MODIFIED);
    assert.equal(strongValidator(head('last-modified', formatHttpDate(NOW - 59 * SECOND))), undefined);
    assert.equal(strongValidator(head('last-modified', 'x')), undefined);
    assert.equal(strongValidator(head()), undefined);
  });
});

const TAGGED = headOf([...FRESH, 'etag', '"a"']);
const stored = (...parts: Part[]): StoredParts => ({ head: TAGGED, parts, completeLength: 100 });
const range = (first: number, last: number, completeLength: number | undefined = 100) => ({
  first,
  last,
  completeLength,
});

describe('3.4: combining', () => {
  test('3.4: parts that overlap or touch become one, others stay apart', () => {
    const combine = (first: number, last: number) => {
      const decision = combineParts(
        stored({ first: 10, last: 19 }, { first: 40, last: 49 }),
        TAGGED,
        range(first, last),
      );
      return decision.kind === 'combine' ? decision.parts.map((part) => [part.first, part.last]) : decision.reason;
    };
    assert.deepEqual(combine(20, 29), [
      [10, 29],
      [40, 49],
    ]);
    assert.deepEqual(combine(15, 45), [[10, 49]]);
    assert.deepEqual(combine(0, 8), [
      [0, 8],
      [10, 19],
      [40, 49],
    ]);
    assert.deepEqual(combine(60, 99), [
      [10, 19],
      [40, 49],
      [60, 99],
    ]);
  });
  test('3.4: when all is there it is complete', () => {
    const decision = combineParts(stored({ first: 0, last: 49 }), TAGGED, range(50, 99));
    assert.deepEqual(decision, {
      kind: 'combine',
      parts: [{ first: 0, last: 99 }],
      completeLength: 100,
      complete: true,
    });
    const unknown = { ...stored({ first: 0, last: 49 }), completeLength: undefined };
    const open = combineParts(unknown, TAGGED, { first: 50, last: 99, completeLength: undefined });
    assert.equal(open.kind === 'combine' && open.complete, false);
  });
  test('3.4: never under another validator, a weak one, or none', () => {
    for (const etag of ['"b"', 'W/"a"']) {
      const newer = headOf([...FRESH, 'etag', etag]);
      assert.deepEqual(combineParts(stored(), newer, range(0, 9)), { kind: 'replace', reason: 'validator' });
    }
    const bare = headOf(FRESH);
    assert.deepEqual(combineParts({ ...stored(), head: bare }, bare, range(0, 9)), {
      kind: 'replace',
      reason: 'validator',
    });
  });
  test('15.3.7.3: never where the lengths of the whole differ', () => {
    assert.deepEqual(combineParts(stored({ first: 0, last: 9 }), TAGGED, range(10, 19, 101)), {
      kind: 'replace',
      reason: 'length',
    });
    const long = { head: TAGGED, parts: [{ first: 0, last: 200 }], completeLength: undefined };
    assert.deepEqual(combineParts(long, TAGGED, range(0, 9)), { kind: 'replace', reason: 'length' });
  });
  test('3.4: a response of very many pieces is given up', () => {
    const parts = Array.from({ length: 64 }, (_, i) => ({ first: i * 10, last: i * 10 + 1 }));
    const many = { head: TAGGED, parts, completeLength: undefined };
    assert.deepEqual(combineParts(many, TAGGED, { first: 5000, last: 5001, completeLength: undefined }), {
      kind: 'replace',
      reason: 'too-many-parts',
    });
  });
  test('3.2: what describes the part alone is not kept with the whole', () => {
    assert.deepEqual(wholeFields(['a', '1', 'content-range', 'bytes 0-1/2', 'content-length', '2']), ['a', '1']);
  });
});

test('seeded fuzz: combining, covering and what is missing agree with a map of single bytes', () => {
  const random = seededRandom(34);
  for (let round = 0; round < 2000; round += 1) {
    const have = new Set<number>();
    let parts: readonly Part[] = [];
    for (let i = 0; i < 6; i += 1) {
      const first = below(random, 40);
      const part = { first, last: first + below(random, 6) };
      const decision = combineParts({ head: TAGGED, parts, completeLength: 100 }, TAGGED, {
        ...part,
        completeLength: 100,
      });
      assert.equal(decision.kind, 'combine');
      if (decision.kind === 'combine') parts = decision.parts;
      for (let at = part.first; at <= part.last; at += 1) have.add(at);
    }
    assert.deepEqual(
      new Set(parts.flatMap(({ first, last }) => Array.from({ length: last - first + 1 }, (_, i) => first + i))),
      have,
    );
    const first = below(random, 45);
    const wanted = { first, last: first + below(random, 10) };
    const absent = Array.from({ length: wanted.last - first + 1 }, (_, i) => first + i).filter((at) => !have.has(at));
    assert.equal(covers(parts, wanted), absent.length === 0);
    const gap = absent.length === 0 ? undefined : { first: absent[0], last: absent.at(-1) };
    assert.deepEqual(missing(parts, wanted), gap);
  }
});

describe('3.3: completing', () => {
  test('3.3: an incomplete response answers only what lies wholly within it', () => {
    const parts = [
      { first: 0, last: 9 },
      { first: 20, last: 29 },
    ];
    assert.ok(covers(parts, { first: 2, last: 9 }) && covers(parts, { first: 20, last: 20 }));
    assert.ok(!covers(parts, { first: 5, last: 10 }) && !covers(parts, { first: 0, last: 29 }));
  });
  test('4.3.1: what is missing is asked for under If-Range with the strong validator', () => {
    assert.deepEqual(completionFields(TAGGED, { first: 5, last: 9 }), ['range', 'bytes=5-9', 'if-range', '"a"']);
    const dated = headOf([...FRESH, 'last-modified', MODIFIED]);
    assert.deepEqual(completionFields(dated, { first: 5, last: 9 }), ['range', 'bytes=5-9', 'if-range', MODIFIED]);
    assert.equal(completionFields(headOf(FRESH), { first: 5, last: 9 }), undefined);
  });
});

describe('RFC 9110 13.1.5: If-Range', () => {
  const dated = headOf([...FRESH, 'last-modified', MODIFIED]);
  test('13.1.5: without it a Range counts', () => assert.ok(ifRangeHolds(undefined, TAGGED)));
  test('13.1.5: a tag is compared strongly', () => {
    assert.ok(ifRangeHolds('"a"', TAGGED));
    for (const value of ['"b"', 'W/"a"', 'a', '"a", "b"', '*', '']) assert.ok(!ifRangeHolds(value, TAGGED), value);
    assert.ok(!ifRangeHolds('W/"a"', headOf([...FRESH, 'etag', 'W/"a"'])));
  });
  test('13.1.5: a date must be exactly that of a strong Last-Modified', () => {
    assert.ok(ifRangeHolds(MODIFIED, dated));
    assert.ok(!ifRangeHolds(DATE, dated));
    assert.ok(!ifRangeHolds(DATE, headOf([...FRESH, 'last-modified', DATE])));
    assert.ok(!ifRangeHolds(MODIFIED, headOf(FRESH)));
  });
});
