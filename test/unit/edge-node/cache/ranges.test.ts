// Parts of a stored response (RFC 9110 section 14): which ones are asked for, and when the whole is the answer.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  contentRange,
  decideRange,
  type Part,
  parseRange,
  partHeads,
} from '../../../../edge-node/decide/cache/ranges.ts';
import { type Random, seededRandom } from '../../../../infra/runtime/random.ts';
import { below, headOf, NOW, pick } from './support.ts';

/** "from-to, from-to", the last byte of each included, or why it is none. */
function decide(range: string, length = 1000): string {
  const decision = parseRange(range, length);
  if (decision.kind === 'whole') return decision.reason;
  if (decision.kind === 'unsatisfiable') return decision.kind;
  return decision.parts.map(({ from, to }) => `${from}-${to - 1}`).join(', ');
}

describe('14.1.2: byte ranges', () => {
  test('one part: from here to there, from here on, the last so many', () => {
    assert.equal(decide('bytes=0-499'), '0-499');
    assert.equal(decide('bytes=500-999'), '500-999');
    assert.equal(decide('bytes=9-9'), '9-9');
    assert.equal(decide('bytes=950-'), '950-999');
    assert.equal(decide('bytes=-1'), '999-999');
    assert.equal(decide('BYTES=0-0'), '0-0');
  });

  test('what reaches beyond the end ends there', () => {
    assert.equal(decide('bytes=900-2000'), '900-999');
    assert.equal(decide('bytes=-5000'), '0-999');
    assert.equal(decide(`bytes=900-${'9'.repeat(400)}`), '900-999');
    assert.equal(decide(`bytes=-${'9'.repeat(400)}`), '0-999');
  });

  test('what begins beyond the end, and the last none, cannot be satisfied', () => {
    for (const range of ['bytes=1000-', 'bytes=1000-2000', 'bytes=-0', `bytes=${'9'.repeat(400)}-`, 'bytes=1000-,-0']) {
      assert.equal(decide(range), 'unsatisfiable', range);
    }
    assert.equal(decide('bytes=1000-, 0-0'), '0-0');
  });

  test('of nothing there is no first byte, and the last of it is all of it', () => {
    assert.equal(decide('bytes=0-', 0), 'unsatisfiable');
    assert.equal(decide('bytes=-5', 0), 'empty');
    assert.equal(decide('bytes=-0', 0), 'unsatisfiable');
  });

  test('what cannot be read counts as not there', () => {
    const malformed = [
      '',
      'bytes',
      'bytes=',
      'bytes=,',
      'bytes=-',
      'bytes=a-b',
      'bytes=5-4',
      'bytes=1-2-3',
      'bytes=1',
      'bytes=+1-2',
    ];
    malformed.push(
      'bytes =0-1',
      'bytes= 0 - 1',
      'bytes=0-1;',
      'seconds=0-1',
      'xbytes=0-1',
      'bytes=0-1, x',
      'bytes=0-1, bytes=2-3',
    );
    malformed.push('bytes=0x1-2', 'bytes=1.0-2', 'bytes=٣-٤', ' bytes=0-1');
    for (const range of malformed) assert.equal(decide(range), 'malformed', range);
  });
});

describe('14.2, 15.3.7.2: several parts', () => {
  test('come in the order in which they were asked for', () => {
    assert.equal(decide('bytes=0-0, 500-599 ,\t-1'), '0-0, 500-599, 999-999');
    assert.equal(decide('bytes=-1,500-599,,0-0,'), '999-999, 500-599, 0-0');
  });

  test('those that overlap or almost touch become one, in the place of the first', () => {
    assert.equal(decide('bytes=0-99,50-149'), '0-149');
    assert.equal(decide('bytes=0-99,100-149'), '0-149');
    assert.equal(decide('bytes=0-99,179-199'), '0-199');
    assert.equal(decide('bytes=0-99,180-199'), '0-99, 180-199');
    assert.equal(decide('bytes=900-,0-99,300-399,90-310'), '900-999, 0-399');
    assert.equal(decide('bytes=0-,0-,0-,0-,0-,0-,0-,0-'), '0-999');
  });

  test('more than sixteen, or an endless list of nothing, count as not there', () => {
    const many = (count: number) => `bytes=${Array.from({ length: count }, (_, i) => `${i}-${i}`).join(',')}`;
    assert.equal(decide(many(16)), '0-15');
    assert.equal(decide(many(17)), 'too-many');
    assert.equal(decide(`bytes=${'0-,'.repeat(1300)}0-`), 'too-many');
    assert.equal(decide(`bytes=0-0${','.repeat(30)}`), '0-0');
    assert.equal(decide(`bytes=${','.repeat(40)}0-0`), 'too-many');
  });
});

test('any Range gives what looking at byte after byte gives', () => {
  const random = seededRandom(14);
  const decided = new Set<string>();
  for (let round = 0; round < 12_000; round += 1) {
    const length = pick(random, [0, 1, 2, 300, 700]);
    const range = randomRange(random, length);
    const expected = byteByByte(range, length);
    assert.equal(decide(range, length), expected, `${range} of ${length}`);
    decided.add(/\d/.test(expected) ? `${expected.split(',').length} parts` : expected);
  }
  for (const kind of ['malformed', 'too-many', 'unsatisfiable', 'empty', '1 parts', '2 parts', '3 parts', '4 parts']) {
    assert.ok(decided.has(kind), `the fuzz never came to "${kind}"`);
  }
});

function randomRange(random: Random, length: number): string {
  const number = () =>
    random.next() < 0.95 ? String(below(random, length + 20)) : pick(random, ['', '-', 'x', '9'.repeat(30), ' 1']);
  const spec = () => {
    const start = random.next();
    if (start < 0.1) return `-${number()}`;
    if (start < 0.2) return `${number()}-`;
    if (start < 0.3) return number();
    const from = below(random, length + 5);
    return start < 0.9 ? `${from}-${from + below(random, 120) - (start < 0.32 ? 3 : 0)}` : `${number()}-${number()}`;
  };
  const count = random.next() < 0.05 ? 12 + below(random, 30) : 1 + below(random, 6);
  const separator = () => pick(random, [',', ', ', ' ,', ',,', ',\t']);
  let list = spec();
  for (let i = 1; i < count; i += 1) list += separator() + spec();
  return `${pick(random, ['bytes=', 'bytes=', 'bytes=', 'bytes=', 'Bytes=', 'bytes'])}${list}`;
}

/** The same, the dumb way. */
function byteByByte(range: string, length: number): string {
  if (range.slice(0, 6).toLowerCase() !== 'bytes=') return 'malformed';
  const members = range.slice(6).split(',');
  const specs = members.map((member) => member.replaceAll(/^[ \t]*|[ \t]*$/g, '')).filter((member) => member !== '');
  if (members.length > 32 || specs.length > 16) return 'too-many';
  if (specs.length === 0) return 'malformed';
  const wanted = new Array<number>(length).fill(-1);
  for (const [order, spec] of specs.entries()) {
    const [first, last, ...rest] = spec.split('-');
    const digits = (text: string | undefined) =>
      text !== undefined && text !== '' && [...text].every((c) => '0123456789'.includes(c));
    if (rest.length > 0 || last === undefined || (first === '' && !digits(last))) return 'malformed';
    if (first !== '' && (!digits(first) || (last !== '' && !digits(last)))) return 'malformed';
    if (first === '' && length === 0 && Number(last) > 0) return 'empty';
    if (first !== '' && last !== '' && BigInt(first ?? '') > BigInt(last)) return 'malformed';
    for (let i = 0; i < length; i += 1) {
      const inside =
        first === '' ? i >= length - Number(last) : i >= Number(first) && (last === '' || i <= Number(last));
      if (inside && wanted[i] === -1) wanted[i] = order;
    }
  }
  const parts: { from: number; to: number; order: number }[] = [];
  for (const [i, order] of wanted.entries()) {
    if (order === -1) continue;
    const before = parts.at(-1);
    if (before && i - before.to - 1 < 80) {
      before.to = i;
      before.order = Math.min(before.order, order);
    } else parts.push({ from: i, to: i, order });
  }
  if (parts.length === 0) return 'unsatisfiable';
  return parts
    .toSorted((a, b) => a.order - b.order)
    .map(({ from, to }) => `${from}-${to}`)
    .join(', ');
}

describe('13.1.5: If-Range', () => {
  const fields = ['etag', '"v1"', 'last-modified', 'Sat, 05 Nov 1994 08:49:37 GMT', 'cache-control', 'max-age=60'];
  const dated = ['date', new Date(NOW).toUTCString()];
  const decided = (ifRange: string, stored = [...fields, ...dated]) => {
    const decision = decideRange(['range', 'bytes=0-1', 'if-range', ifRange], headOf(stored), 10);
    return decision.kind === 'whole' ? decision.reason : decision.kind;
  };

  test('the strong tag that is stored, or its very Last-Modified, lets the part be sent', () => {
    assert.equal(decided('"v1"'), 'parts');
    assert.equal(decided('Sat, 05 Nov 1994 08:49:37 GMT'), 'parts');
    assert.equal(decided('Saturday, 05-Nov-94 08:49:37 GMT'), 'parts');
  });

  test('anything else gives the whole: another tag, a weak one, another date, what is none of these', () => {
    for (const other of [
      '"v2"',
      'W/"v1"',
      '"v1", "v2"',
      'Sat, 05 Nov 1994 08:49:38 GMT',
      'Sat, 05 Nov 1994 08:49:36 GMT',
      'v1',
      '',
    ]) {
      assert.equal(decided(other), 'if-range', other);
    }
    assert.equal(decided('W/"v1"', ['etag', 'W/"v1"', 'cache-control', 'max-age=60', ...dated]), 'if-range');
    assert.equal(decided('"v1"', ['cache-control', 'max-age=60', ...dated]), 'if-range');
  });

  test('a response modified within the second of its Date may be one of two (8.8.2.2)', () => {
    const modified = new Date(NOW).toUTCString();
    assert.equal(decided(modified, ['last-modified', modified, 'cache-control', 'max-age=60', ...dated]), 'if-range');
  });
});

test('an origin that says that it gives no parts of something is heeded', () => {
  const head = headOf(['accept-ranges', 'none', 'cache-control', 'max-age=60']);
  assert.deepEqual(decideRange(['range', 'bytes=0-1'], head, 10), { kind: 'whole', reason: 'not-offered' });
});

test('two lines of Range are no list of parts', () => {
  const head = headOf(['cache-control', 'max-age=60']);
  assert.equal(decideRange(['range', 'bytes=0-1', 'range', 'bytes=2-3'], head, 10).kind, 'whole');
});

test('what stands around the parts of a multipart body', () => {
  const parts: Part[] = [
    { from: 0, to: 2 },
    { from: 900, to: 1000 },
  ];
  assert.equal(contentRange(parts[1], 1000), 'bytes 900-999/1000');
  assert.equal(contentRange(undefined, 1000), 'bytes */1000');
  assert.deepEqual(partHeads(parts, 'text/plain', 1000, 'B'), [
    '--B\r\ncontent-type: text/plain\r\ncontent-range: bytes 0-1/1000\r\n\r\n',
    '\r\n--B\r\ncontent-type: text/plain\r\ncontent-range: bytes 900-999/1000\r\n\r\n',
    '\r\n--B--\r\n',
  ]);
  assert.ok(!partHeads(parts, undefined, 1000, 'B').join('').includes('content-type'));
});
