// HPACK: the examples of RFC 7541 appendix C, the Huffman code, what is refused, and agreement with Node's own encoder and decoder.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConnectionError } from '../../../../edge-node/decide/http2/codes.ts';
import { HpackDecoder } from '../../../../edge-node/decide/http2/hpack-decoder.ts';
import { decodeHuffman, encodeHuffman, huffmanSize } from '../../../../edge-node/decide/http2/huffman.ts';
import { seededRandom } from '../../../../infra/runtime/random.ts';

const LIMITS = { fieldCount: 1_000, fieldBytes: 1_000_000 };

function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(/\s/g, ''), 'hex');
}

function decode(decoder: HpackDecoder, octets: Buffer | string): string[] {
  const block = typeof octets === 'string' ? hex(octets) : octets;
  // Somewhere in the middle, as in a chunk.
  const window = Buffer.concat([Buffer.from('xx'), block, Buffer.from('yy')]);
  return decoder.decode(window, 2, 2 + block.length, LIMITS);
}

/** Blocks that one decoder reads in turn: octets, what they say, and how large the table is then. */
type Example = readonly (readonly [string, readonly string[], number])[];

const GET = [':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'www.example.com'];
const CUSTOM = [':method', 'GET', ':scheme', 'https', ':path', '/index.html', ':authority', 'www.example.com'];
const DATE_1 = ['date', 'Mon, 21 Oct 2013 20:13:21 GMT'];
const DATE_2 = ['date', 'Mon, 21 Oct 2013 20:13:22 GMT'];
const PRIVATE = ['cache-control', 'private'];
const LOCATION = ['location', 'https://www.example.com'];
const COOKIE = ['set-cookie', 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1'];
/** A table of 256 octets, as in C.5 and C.6. */
const SMALL = ['3fe101', [], 0] as const;

const EXAMPLES: Readonly<Record<string, Example>> = {
  'C.2.1': [['400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572', ['custom-key', 'custom-header'], 55]],
  'C.2.2': [['040c 2f73 616d 706c 652f 7061 7468', [':path', '/sample/path'], 0]],
  'C.2.3': [['1008 7061 7373 776f 7264 0673 6563 7265 74', ['password', 'secret'], 0]],
  'C.2.4': [['82', [':method', 'GET'], 0]],
  'C.3': [
    ['8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d', GET, 57],
    ['8286 84be 5808 6e6f 2d63 6163 6865', [...GET, 'cache-control', 'no-cache'], 110],
    [
      '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65',
      [...CUSTOM, 'custom-key', 'custom-value'],
      164,
    ],
  ],
  'C.4': [
    ['8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff', GET, 57],
    ['8286 84be 5886 a8eb 1064 9cbf', [...GET, 'cache-control', 'no-cache'], 110],
    ['8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf', [...CUSTOM, 'custom-key', 'custom-value'], 164],
  ],
  'C.5': [
    SMALL,
    [
      `4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e 1768
      7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d`,
      [':status', '302', ...PRIVATE, ...DATE_1, ...LOCATION],
      222,
    ],
    ['4803 3330 37c1 c0bf', [':status', '307', ...PRIVATE, ...DATE_1, ...LOCATION], 222],
    [
      `88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d 4153
      444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e
      3d31`,
      [':status', '200', ...PRIVATE, ...DATE_2, ...LOCATION, 'content-encoding', 'gzip', ...COOKIE],
      215,
    ],
  ],
  'C.6': [
    SMALL,
    [
      `4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8
      e9ae 82ae 43d3`,
      [':status', '302', ...PRIVATE, ...DATE_1, ...LOCATION],
      222,
    ],
    ['4883 640e ffc1 c0bf', [':status', '307', ...PRIVATE, ...DATE_1, ...LOCATION], 222],
    [
      `88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b
      3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07`,
      [':status', '200', ...PRIVATE, ...DATE_2, ...LOCATION, 'content-encoding', 'gzip', ...COOKIE],
      215,
    ],
  ],
};

for (const [name, example] of Object.entries(EXAMPLES)) {
  test(`RFC 7541 appendix ${name}`, () => {
    const decoder = new HpackDecoder();
    for (const [octets, fields, size] of example) {
      assert.deepEqual(decode(decoder, octets), fields);
      assert.equal(decoder.tableSize, size);
    }
  });
}

test('every octet has a Huffman code, and any text comes back from its own', () => {
  const all = Buffer.from(Array.from({ length: 256 }, (_, octet) => octet)).toString('latin1');
  const random = seededRandom(3);
  const texts = [all, '', 'a', 'x'.repeat(10_000)];
  for (let i = 0; i < 500; i += 1)
    texts.push(Array.from({ length: random.next() * 40 }, () => all[Math.floor(random.next() ** 2 * 256)]).join(''));
  for (const text of texts) {
    const encoded = Buffer.from(encodeHuffman(text), 'latin1');
    assert.equal(encoded.length, huffmanSize(text));
    assert.equal(decodeHuffman(encoded, 0, encoded.length), text);
  }
});

/** Of a `ConnectionError` with COMPRESSION_ERROR. */
function assertBroken(octets: string, decoder = new HpackDecoder()): void {
  assert.throws(
    () => decode(decoder, octets),
    (error) => error instanceof ConnectionError && error.code === 9,
    octets,
  );
}

test('a Huffman string may end in up to seven ones, and in nothing else', () => {
  assert.deepEqual(decode(new HpackDecoder(), '0081 1f 00'), ['a', '']);
  // Ones of a whole octet, zeros, and the code for the end of a string.
  for (const octets of ['0082 1fff 00', '0081 18 00', '0084 ffff ffff 00', '0085 1fff ffff ff 00'])
    assertBroken(octets);
});

test('what HPACK does not allow ends the connection', () => {
  const cases = {
    'index 0': '80',
    'an index beyond both tables': 'be',
    'a name beyond both tables': '7f 10 01 61',
    'an integer without an end': 'ff ff ff ff ff ff ff ff ff 01',
    'an integer that is cut off': 'ff 80',
    'a string that is cut off': '00 05 61 62',
    'a field without a value': '00 01 61',
    'a table larger than was allowed': '3f e2 1f',
    'a change of the table after a field': '82 20',
    'three changes of the table': '20 20 20 82',
  };
  for (const octets of Object.values(cases)) assertBroken(octets);
  // The largest table that is allowed, after a smaller one.
  assert.deepEqual(decode(new HpackDecoder(), '20 3f e1 1f 82'), [':method', 'GET']);
});

test('an entry larger than the table empties it', () => {
  const decoder = new HpackDecoder();
  decode(decoder, '4001 6101 62');
  assert.deepEqual(decode(decoder, 'be'), ['a', 'b']);
  const long = Buffer.concat([hex('4001 61'), hex('7f e1 1f'), Buffer.alloc(4_096 + 127 - 31, 'x')]);
  decode(decoder, long);
  assert.equal(decoder.tableSize, 0);
  assertBroken('be', decoder);
});

test('the version of the table changes exactly when the table may have', () => {
  const decoder = new HpackDecoder();
  const changed = (octets: string): boolean => {
    const before = decoder.version;
    decode(decoder, octets);
    return decoder.version !== before;
  };
  assert.deepEqual(['4001 6101 62', 'be', '0001 6101 62', '1001 6101 62', '82', '20'].map(changed), [
    true,
    ...[false, false, false, false],
    true,
  ]);
});

test('more fields than the limits allow are read for the table, but not kept', () => {
  const decoder = new HpackDecoder();
  // One entry of 3 KiB, and references to it: a bomb.
  const entry = Buffer.concat([hex('4001 61 7f 81 17'), Buffer.alloc(3_072, 'x')]);
  const block = Buffer.concat([entry, Buffer.alloc(10_000, 0xbe), hex('4001 6201 63')]);
  const fields = decoder.decode(block, 0, block.length, { fieldCount: 100, fieldBytes: 64 * 1024 });
  assert.ok(decoder.overflowed && fields.join('').length <= 64 * 1024);
  assert.deepEqual([decode(decoder, 'be'), decoder.overflowed], [['b', 'c'], false]);
  decoder.decode(Buffer.alloc(101, 0x82), 0, 101, { fieldCount: 100, fieldBytes: 64 * 1024 });
  assert.ok(decoder.overflowed);
});

test('whatever the octets, the decoder gives fields or a ConnectionError, and its table stays within bounds', () => {
  const random = seededRandom(5);
  const valid = hex(
    '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf 5886 a8eb 1064 9cbf',
  );
  let read = 0;
  for (let round = 0; round < 3_000; round += 1) {
    const decoder = new HpackDecoder();
    for (let i = 0; i < 5; i += 1) {
      const block = Buffer.from(
        round % 2 === 0 ? valid : Array.from({ length: random.next() * 60 }, () => random.next() * 256),
      );
      for (let j = 0; j < i && round % 2 === 0; j += 1)
        block[Math.floor(random.next() * block.length)] = random.next() * 256;
      try {
        const fields = decode(decoder, block);
        assert.equal(fields.length % 2, 0);
        read += 1;
      } catch (error) {
        assert.ok(error instanceof ConnectionError, String(error));
        break;
      }
      assert.ok(decoder.tableSize >= 0 && decoder.tableSize <= 4_096);
    }
  }
  assert.ok(read > 2_000, String(read));
});
