import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ChunkedDecoder } from '../../../../edge-node/decide/http1/chunked.ts';
import { FieldLineReader } from '../../../../edge-node/decide/http1/field-lines.ts';

const TRAILER_BYTES = 64;

interface Decoded {
  readonly body: string;
  readonly end: string;
  /** Octets behind the body. */
  readonly rest: number;
  readonly trailers: readonly string[];
}

/** Decodes `octets` as they come in the pieces that `cuts` (ascending) make of them. */
function decodeCut(octets: Buffer, cuts: readonly number[]): Decoded {
  const decoder = new ChunkedDecoder(new FieldLineReader(4), TRAILER_BYTES);
  let body = '';
  let at = 0;
  for (const arrived of [...cuts, octets.length]) {
    for (;;) {
      const outcome = decoder.read(octets, at, arrived);
      if (outcome.kind === 'refused') return { body, end: outcome.reason, rest: 0, trailers: [] };
      if (outcome.kind === 'end')
        return { body, end: 'end', rest: octets.length - outcome.next, trailers: outcome.trailers };
      if (outcome.kind === 'incomplete') {
        at = outcome.next;
        break;
      }
      assert.ok(outcome.from >= at && outcome.to > outcome.from && outcome.to <= arrived);
      body += octets.toString('latin1', outcome.from, outcome.to);
      at = outcome.to;
    }
  }
  return { body, end: 'incomplete', rest: 0, trailers: [] };
}

/** The outcome for `text` whole; asserts that it is the same cut anywhere, and octet by octet. */
function decode(text: string): Decoded {
  const octets = Buffer.from(text, 'latin1');
  const whole = decodeCut(octets, []);
  for (let cut = 1; cut < octets.length; cut += 1) {
    const { rest, ...other } = decodeCut(octets, [cut]);
    assert.deepEqual({ ...other, rest }, whole, `cut at ${cut}`);
  }
  const everywhere = Array.from({ length: octets.length - 1 }, (_, i) => i + 1);
  assert.deepEqual(decodeCut(octets, everywhere), whole, 'octet by octet');
  return whole;
}

test('no data: the last chunk alone', () => {
  assert.deepEqual(decode('0\r\n\r\n'), { body: '', end: 'end', rest: 0, trailers: [] });
});

test('chunks of any size, with what follows left where it is', () => {
  assert.deepEqual(decode('5\r\nhello\r\n0a\r\n, world\r\n\x00\r\n00\r\n\r\nGET /'), {
    body: 'hello, world\r\n\x00',
    end: 'end',
    rest: 5,
    trailers: [],
  });
});

test('a window holds more than one body can, and the data is not copied', () => {
  const octets = Buffer.concat([Buffer.from('1000\r\n'), Buffer.alloc(4096, 'd'), Buffer.from('\r\n0\r\n\r\n')]);
  const decoder = new ChunkedDecoder(new FieldLineReader(4), TRAILER_BYTES);
  assert.deepEqual(decoder.read(octets, 0, octets.length), { kind: 'data', from: 6, to: 4102 });
  assert.deepEqual(decoder.read(octets, 4102, octets.length), { kind: 'end', next: octets.length, trailers: [] });
});

test('trailers come apart from the body, and may not frame or route', () => {
  assert.deepEqual(decode('0\r\nX-Sum: 1\r\nX-Two:2\r\n\r\nrest').trailers, ['x-sum', '1', 'x-two', '2']);
  for (const name of ['Content-Length', 'transfer-encoding', 'HOST'])
    assert.equal(decode(`0\r\n${name}: 5\r\n\r\n`).end, 'trailer-forbidden');
  assert.equal(decode('0\r\nX : 1\r\n\r\n').end, 'field-space-before-colon');
  assert.equal(decode('0\r\n folded\r\n\r\n').end, 'field-folded');
  assert.equal(decode(`0\r\nX: ${'v'.repeat(TRAILER_BYTES)}\r\n\r\n`).end, 'fields-too-large');
  assert.equal(decode(`0\r\nX: ${'v'.repeat(TRAILER_BYTES)}`).end, 'fields-too-large');
  assert.equal(decode(`0\r\n${'X: 1\r\n'.repeat(5)}\r\n`).end, 'fields-too-many');
});

test('what does not keep to the grammar is refused', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['\r\n', 'chunk-size-malformed'],
    ['g\r\n', 'chunk-size-malformed'],
    ['-1\r\n', 'chunk-size-malformed'],
    ['+1\r\n', 'chunk-size-malformed'],
    ['0x1\r\n', 'chunk-size-malformed'],
    ['1_0\r\n', 'chunk-size-malformed'],
    [' 1\r\na\r\n', 'chunk-size-malformed'],
    ['1 \r\na\r\n', 'chunk-extension'],
    ['1;\r\na\r\n', 'chunk-extension'],
    ['1;name=value\r\na\r\n', 'chunk-extension'],
    ['1\t;a\r\na\r\n', 'chunk-extension'],
    ['1;a\nb\r\n', 'chunk-extension'],
    ['0;\r\n\r\n', 'chunk-extension'],
    ['1\na\r\n', 'line-terminator'],
    ['1\r\ra\r\n', 'line-terminator'],
    ['1\ra\r\n', 'line-terminator'],
    ['1\r\na\n0\r\n\r\n', 'chunk-terminator'],
    ['1\r\nab\r\n', 'chunk-terminator'],
    ['1\r\na\r\r\n', 'chunk-terminator'],
    ['1\r\na0\r\n\r\n', 'chunk-terminator'],
    ['0\r\n\n', 'line-terminator'],
    ['0\r\nX: a\n\r\n', 'line-terminator'],
    ['000000001\r\na\r\n', 'chunk-size-too-large'],
    ['FFFFFFFFFFFFFFFFF\r\n', 'chunk-size-too-large'],
    ['100000000\r\n', 'chunk-size-too-large'],
  ];
  for (const [text, reason] of cases) assert.equal(decode(text).end, reason, JSON.stringify(text));
});

test('what is not there yet is incomplete, and little of it has to be kept', () => {
  for (const text of [
    '',
    '5',
    'ffffffff',
    '5\r',
    '5\r\n',
    '5\r\nhel',
    '5\r\nhello',
    '5\r\nhello\r',
    '0\r\n',
    '0\r\nX: y\r\n\r',
  ])
    assert.equal(decode(text).end, 'incomplete', JSON.stringify(text));
});
