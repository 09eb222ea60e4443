// What slices are asked for, and whether what comes is that (RFC 9111 sections 3.3 and 3.4).
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Part } from '../../../../edge-node/decide/cache/ranges.ts';
import { parseRange } from '../../../../edge-node/decide/cache/ranges.ts';
import { classifyRequest } from '../../../../edge-node/decide/cache/request.ts';
import {
  type Asked,
  bodyLength,
  firstAsked,
  missingPart,
  offersParts,
  rangeValue,
  readAsked,
  sliceAt,
  sliceHead,
  sliceKey,
  wantedOf,
  wholeSlices,
} from '../../../../edge-node/decide/cache/slices.ts';
import { seededRandom } from '../../../../infra/runtime/random.ts';
import { canonicalTarget } from '../../../../proto/canonical-url.ts';
import { below, DATE, ENABLED, entryOf, headOf } from './support.ts';

const SLICED = { bytes: 10, length: 95, generation: 'g' };
const TAGGED = ['date', DATE, 'cache-control', 'max-age=60', 'etag', '"a"', 'surrogate-key', 'film'];
const first = (range: string): string | undefined => {
  const asked = firstAsked(range, 10);
  return asked && rangeValue(asked);
};

test('slices lie side by side, and the last is as long as is left', () => {
  assert.deepEqual(sliceAt(SLICED, 0), { from: 0, to: 10 });
  assert.deepEqual(sliceAt(SLICED, 9), { from: 90, to: 95 });
});

test('of a part those slices are whole that lie in it from end to end', () => {
  const slices = (from: number, to: number): number[] => {
    const { first, end } = wholeSlices(SLICED, { from, to });
    return Array.from({ length: Math.max(0, end - first) }, (_, i) => first + i);
  };
  assert.deepEqual(slices(0, 30), [0, 1, 2]);
  assert.deepEqual(slices(1, 29), [1]);
  assert.deepEqual(slices(11, 19), []);
  assert.deepEqual(slices(75, 95), [8, 9]);
  assert.deepEqual(slices(75, 94), [8]);
});

test('no request can have the key of a slice', () => {
  assert.equal(sliceKey('http://a/b?c', SLICED, 3), 'http://a/b?c#g/3');
  for (const target of ['/b#g/3', '/b?c#g/3', '/b%23g/3']) {
    const canonical = canonicalTarget(target);
    assert.ok(canonical.kind === 'malformed' || !canonical.target.includes('#'), target);
  }
});

describe('what is asked for when nothing is known', () => {
  test('the slices that have the range', () => {
    assert.equal(first('bytes=12-34'), 'bytes=10-39');
    assert.equal(first('bytes=0-9'), 'bytes=0-9');
    assert.equal(first('bytes=10-10'), 'bytes=10-19');
    assert.equal(first('Bytes=19-20'), 'bytes=10-29');
  });
  test('up to the end, where the range has none', () => {
    assert.equal(first('bytes=12-'), 'bytes=10-');
    assert.equal(first(`bytes=12-${'9'.repeat(400)}`), 'bytes=10-');
  });
  test('of a suffix so much more that its first slice is whole', () => {
    assert.equal(first('bytes=-1'), 'bytes=-10');
    assert.equal(first('bytes= -13'), 'bytes=-22');
  });
  test('of several the slice of the first, of what touches all', () => {
    assert.equal(first('bytes=12-13,500-501'), 'bytes=10-19');
    assert.equal(first('bytes=12-13,14-34'), 'bytes=10-39');
  });
  test('nothing for what makes no sense, or is out of reach', () => {
    const odd = [
      '',
      'bytes=',
      'bytes=x',
      'lines=0-1',
      'bytes=3-1',
      'bytes=-0',
      'bytes=-5,0-1',
      `bytes=${'9'.repeat(20)}-`,
    ];
    for (const range of [...odd, `bytes=${Array.from({ length: 17 }, () => '0-1').join(',')}`]) {
      assert.equal(first(range), undefined, range);
    }
  });
});

test('the more slices are missing in a row, the more are asked for, up to eight and to what is wanted', () => {
  const asked = (index: number, to: number, run: number) =>
    rangeValue(missingPart({ ...SLICED, length: 995 }, index, to, run));
  assert.deepEqual(
    [asked(2, 500, 0), asked(2, 500, 1), asked(2, 500, 9)],
    ['bytes=20-29', 'bytes=20-39', 'bytes=20-99'],
  );
  assert.deepEqual(
    [asked(2, 25, 3), asked(2, 31, 3), asked(98, 995, 3)],
    ['bytes=20-29', 'bytes=20-39', 'bytes=980-994'],
  );
});

describe('whether a 206 is what was asked for', () => {
  const read = (range: string, asked: Asked) => {
    const reading = readAsked(['content-range', range], asked);
    return reading.kind === 'part' ? [reading.part.from, reading.part.to, reading.length] : reading.reason;
  };
  test('all of it, or as far as there is any', () => {
    assert.deepEqual(read('bytes 10-19/95', { from: 10, to: 20 }), [10, 20, 95]);
    assert.deepEqual(read('bytes 90-94/95', { from: 90, to: 100 }), [90, 95, 95]);
    assert.deepEqual(read('bytes 90-94/95', { from: 90, to: Number.POSITIVE_INFINITY }), [90, 95, 95]);
    assert.deepEqual(read('bytes 85-94/95', { suffix: 10 }), [85, 95, 95]);
    assert.deepEqual(read('bytes 0-4/5', { suffix: 10 }), [0, 5, 5]);
  });
  test('not less, not more, not another', () => {
    for (const range of ['bytes 10-18/95', 'bytes 10-20/95', 'bytes 11-19/95', 'bytes 0-9/95']) {
      assert.equal(read(range, { from: 10, to: 20 }), 'other', range);
    }
    assert.equal(read('bytes 86-94/95', { suffix: 10 }), 'other');
  });
  test('nor where it does not say how long the whole is', () => {
    assert.equal(read('bytes 10-19/*', { from: 10, to: 20 }), 'open');
    assert.equal(read('bytes */95', { from: 10, to: 20 }), 'content-range');
  });
});

describe('what of the body an answer takes', () => {
  const wanted = (range: string | undefined, more: readonly string[] = [], method = 'GET') => {
    const fields = [...(range === undefined ? [] : ['range', range]), ...more];
    const asked = classifyRequest(method, fields, ENABLED);
    assert.equal(asked.kind, 'lookup');
    const decision = asked.kind === 'lookup' ? wantedOf({ method, fields }, asked, headOf(TAGGED), SLICED) : undefined;
    return decision?.kind === 'parts' ? decision.parts.map(({ from, to }) => `${from}..${to}`).join() : decision?.kind;
  };
  test('the range, or the whole where there is none or If-Range does not hold', () => {
    assert.equal(wanted('bytes=12-34'), '12..35');
    assert.equal(wanted(undefined), '0..95');
    assert.equal(wanted('bytes=12-34', ['if-range', '"b"']), '0..95');
    assert.equal(wanted('bytes=12-34', ['if-range', '"a"']), '12..35');
  });
  test('nothing for 304, 416 and HEAD', () => {
    assert.equal(wanted('bytes=12-34', ['if-none-match', '"a"']), 'nothing');
    assert.equal(wanted('bytes=95-'), 'nothing');
    assert.equal(wanted(undefined, [], 'HEAD'), 'nothing');
  });
  test('several parts, unless they lie in more slices than that is worth', () => {
    const far = (count: number) =>
      `bytes=${Array.from({ length: count }, (_, i) => `${i * 100}-${i * 100}`).join(',')}`;
    const count = (range: string) => {
      const asked = classifyRequest('GET', ['range', range], ENABLED);
      if (asked.kind !== 'lookup') return undefined;
      const sliced = { bytes: 10, length: 10_000 };
      return wantedOf({ method: 'GET', fields: ['range', range] }, asked, headOf(TAGGED), sliced).kind;
    };
    assert.deepEqual([count(far(8)), count(far(9)), count('bytes=0-80,500-501')], ['parts', 'scattered', 'scattered']);
    assert.equal(count('bytes=0-'), 'parts');
  });
});

test('a body is as long as its slices are together', () => {
  const head = headOf(TAGGED);
  assert.equal(bodyLength(entryOf(head, 'four')), 4);
  assert.equal(bodyLength(entryOf({ ...head, slices: SLICED })), 95);
});

test('a slice is purged by what its index is purged by, from its own request on', () => {
  const head = sliceHead({ ...headOf(TAGGED), slices: SLICED }, 7, 1, 2);
  assert.deepEqual([head.tags, head.barrier, head.slices, head.variant], [['film'], 7, undefined, '']);
});

test('only a 200 that says that it gives parts is taken to', () => {
  assert.ok(offersParts(['accept-ranges', 'Bytes']));
  assert.ok(!offersParts(['accept-ranges', 'none']) && !offersParts([]));
});

test('seeded fuzz: what is asked for has all that is wanted, begins and ends with a slice, and is less than two slices more', () => {
  const random = seededRandom(16);
  for (let round = 0; round < 5000; round += 1) {
    const bytes = 1 + below(random, 12);
    const length = 1 + below(random, 100);
    const [a, b] = [below(random, 110), below(random, 110)];
    const range = [`bytes=-${a}`, `bytes=${a}-`, `bytes=${Math.min(a, b)}-${Math.max(a, b)}`][below(random, 3)] ?? '';
    const asked = firstAsked(range, bytes);
    const decision = parseRange(range, length);
    if (asked === undefined) {
      assert.equal(range, 'bytes=-0');
      continue;
    }
    const value = parseRange(rangeValue(asked), length);
    if (decision.kind === 'unsatisfiable') continue;
    assert.ok(decision.kind === 'parts' && value.kind === 'parts', range);
    const [wanted] = decision.parts;
    const [got] = value.parts;
    assert.ok(got.from <= wanted.from && wanted.to <= got.to, range);
    assert.ok(got.to - got.from <= wanted.to - wanted.from + 2 * bytes - 2, range);
    // The slice in which what is wanted begins is whole in there.
    assert.ok(got.from <= Math.floor(wanted.from / bytes) * bytes);
    assert.ok(got.to === length || got.to % bytes === 0);
    const reading = readAsked(['content-range', `bytes ${got.from}-${got.to - 1}/${length}`], asked);
    assert.deepEqual(reading.kind === 'part' && reading.part, got satisfies Part);
  }
});
