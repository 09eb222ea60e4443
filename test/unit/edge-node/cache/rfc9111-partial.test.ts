// RFC 9111 sections 3.3 and 3.4, with RFC 9110 13.1.5, 14.4 and 15.3.7: parts that are read, and put together.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { formatHttpDate } from '../../../../edge-node/decide/cache/http-date.ts';
import {
  isSameVersion,
  parseContentRange,
  readPart,
  strongValidator,
  wholeFields,
} from '../../../../edge-node/decide/cache/partial.ts';
import { ifRangeHolds } from '../../../../edge-node/decide/cache/ranges.ts';
import { DATE, HOUR, headOf, NOW, SECOND } from './support.ts';

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

describe('RFC 9110 15.3.7: what a 206 brings', () => {
  const read = (...fields: string[]) => {
    const reading = readPart(fields);
    return reading.kind === 'part' ? reading.range : reading.reason;
  };
  test('15.3.7: one part, with the place and the length that it states', () => {
    const range = { first: 0, last: 4, completeLength: 10 };
    assert.deepEqual(read('content-range', 'bytes 0-4/10', 'content-length', '5'), range);
    assert.deepEqual(read('content-range', 'bytes 0-4/10'), range);
  });
  test('3.3: only where the range can be understood', () => {
    assert.equal(read(), 'content-range');
    assert.equal(read('content-range', 'lines 0-4/10'), 'content-range');
    assert.equal(read('content-range', 'bytes 0-4/10', 'content-range', 'bytes 5-9/10'), 'content-range');
    assert.equal(read('content-type', 'multipart/byteranges; boundary=x'), 'multipart');
    assert.equal(read('content-range', 'bytes 0-4/10', 'content-length', '4'), 'length');
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

describe('3.4: combining', () => {
  test('3.4: under the same strong tag, and never under another, a weak one, or none', () => {
    assert.ok(isSameVersion(TAGGED, ['etag', '"a"']));
    for (const fields of [['etag', '"b"'], ['etag', 'W/"a"'], [], ['last-modified', MODIFIED]]) {
      assert.ok(!isSameVersion(TAGGED, fields), fields.join());
    }
    assert.ok(!isSameVersion(headOf([...FRESH, 'etag', 'W/"a"']), ['etag', 'W/"a"']));
    assert.ok(!isSameVersion(headOf(FRESH), []));
  });
  test('3.4: or under the same date, where that is strong and there is no tag', () => {
    const dated = headOf([...FRESH, 'last-modified', MODIFIED]);
    assert.ok(isSameVersion(dated, ['last-modified', MODIFIED]));
    assert.ok(!isSameVersion(dated, ['last-modified', MODIFIED, 'etag', '"a"']));
    assert.ok(!isSameVersion(dated, ['last-modified', DATE]));
    assert.ok(!isSameVersion(headOf([...FRESH, 'last-modified', DATE]), ['last-modified', DATE]));
  });
  test('3.2: what describes the part alone is not kept with the whole', () => {
    assert.deepEqual(wholeFields(['a', '1', 'content-range', 'bytes 0-1/2', 'content-length', '2']), ['a', '1']);
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
