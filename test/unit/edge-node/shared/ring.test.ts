// Bytes in a ring, at every place and across its end.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ring } from '../../../../edge-node/io/shared/ring.ts';

const CAPACITY = 37;

function read(ring: Ring, position: number, length: number): string {
  const target = Buffer.alloc(length);
  ring.read(position, target);
  assert.equal(ring.readText(position, length), target.toString('latin1'));
  return target.toString('latin1');
}

const TEXT = Array.from({ length: CAPACITY }, (_, i) => String.fromCharCode(0x41 + i)).join('');

test('what is written is read, wherever it begins and however long it is', () => {
  const ring = new Ring(new SharedArrayBuffer(CAPACITY));
  for (let position = 0; position < CAPACITY; position += 1) {
    for (let length = 0; length <= CAPACITY; length += 1) {
      const text = TEXT.slice(0, length);
      ring.write(position, Buffer.from(text));
      assert.equal(read(ring, position, length), text);
      ring.writeText(position, text.toLowerCase());
      assert.equal(read(ring, position, length), text.toLowerCase());
    }
  }
});

test('characters above 0x7f are bytes too', () => {
  const ring = new Ring(new SharedArrayBuffer(8));
  for (const position of [0, 6]) {
    ring.writeText(position, '\xff\x80é');
    assert.equal(read(ring, position, 3), '\xff\x80é');
  }
});

test('positions and distances go round', () => {
  const ring = new Ring(new SharedArrayBuffer(10));
  assert.deepEqual([ring.after(3, 4), ring.after(9, 1), ring.after(9, 9), ring.after(4, 10)], [7, 0, 8, 4]);
  assert.deepEqual([ring.distance(3, 7), ring.distance(7, 3), ring.distance(5, 5)], [4, 6, 0]);
});

test('moving back keeps what is moved, also where both places overlap and go round', () => {
  const ring = new Ring(new SharedArrayBuffer(CAPACITY));
  for (let length = 1; length < CAPACITY; length += 1) {
    for (let from = 0; from < CAPACITY; from += 1) {
      for (let back = 0; back <= CAPACITY - length; back += 1) {
        const to = (from - back + CAPACITY) % CAPACITY;
        ring.write(from, Buffer.from(TEXT.slice(0, length)));
        ring.move(from, to, length);
        assert.equal(read(ring, to, length), TEXT.slice(0, length), `${length} bytes from ${from} to ${to}`);
      }
    }
  }
});
