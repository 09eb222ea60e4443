// The keyed hash of strings, against a plain version that goes by the words of the message.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StringHash } from '../../../edge-node/decide/hash.ts';
import { seededRandom } from '../../../infra/runtime/random.ts';

const rotate = (value: number, by: number) => ((value << by) | (value >>> (32 - by))) >>> 0;

/** HalfSipHash-1-3, 64 bits, by the book. */
function plain(k0: number, k1: number, bytes: Buffer): [number, number] {
  const v = [k0, k1 ^ 0xee, k0 ^ 0x6c796765, k1 ^ 0x74656462].map((value) => value >>> 0);
  const at = (i: number) => v[i] ?? 0;
  const set = (i: number, value: number) => {
    v[i] = value >>> 0;
  };
  const round = () => {
    set(0, at(0) + at(1));
    set(1, rotate(at(1), 5) ^ at(0));
    set(0, rotate(at(0), 16));
    set(2, at(2) + at(3));
    set(3, rotate(at(3), 8) ^ at(2));
    set(0, at(0) + at(3));
    set(3, rotate(at(3), 7) ^ at(0));
    set(2, at(2) + at(1));
    set(1, rotate(at(1), 13) ^ at(2));
    set(2, rotate(at(2), 16));
  };
  const tail = bytes.length % 4;
  const padded = Buffer.concat([bytes, Buffer.alloc(4 - tail)]);
  padded[padded.length - 1] = bytes.length & 0xff;
  for (let i = 0; i < padded.length; i += 4) {
    const word = padded.readUInt32LE(i);
    set(3, at(3) ^ word);
    round();
    set(0, at(0) ^ word);
  }
  set(2, at(2) ^ 0xee);
  for (let i = 0; i < 3; i += 1) round();
  const high = at(1) ^ at(3);
  set(1, at(1) ^ 0xdd);
  for (let i = 0; i < 3; i += 1) round();
  return [high | 0, (at(1) ^ at(3)) | 0];
}

test('it is what the plain version computes, for every length and key', () => {
  const random = seededRandom(1);
  const word = () => Math.floor(random.next() * 2 ** 32);
  for (let length = 0; length < 300; length += 1) {
    const [k0, k1] = [word(), word()];
    const bytes = Buffer.from(Array.from({ length }, () => word() & 0xff));
    const hash = new StringHash({ k0, k1 });
    hash.of(bytes.toString('latin1'));
    assert.deepEqual([hash.high, hash.low], plain(k0, k1, bytes), `length ${length}`);
  }
});

test('another key makes other hashes, and characters above 0xff count', () => {
  const results = new Set<string>();
  for (const k0 of [1, 2]) {
    const hash = new StringHash({ k0, k1: 0 });
    for (const text of ['', 'a', 'b', 'ab', 'ba', 'http://example.com/', '\u0100', '\u0200']) {
      hash.of(text);
      results.add(`${hash.high} ${hash.low}`);
    }
  }
  assert.equal(results.size, 16);
});

test('keys that differ little spread evenly over the buckets of a table', () => {
  const hash = new StringHash({ k0: 7, k1: 11 });
  const buckets = new Uint32Array(1024);
  for (let i = 0; i < 65_536; i += 1) {
    hash.of(`http://example.com/${i}`);
    buckets[hash.low & 1023] = (buckets[hash.low & 1023] ?? 0) + 1;
  }
  // 64 are expected in each, and 8 is the standard deviation.
  assert.ok(Math.max(...buckets) < 64 + 6 * 8 && Math.min(...buckets) > 64 - 6 * 8);
});
