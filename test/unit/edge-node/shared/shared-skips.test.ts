// Why answers were not stored: noted by one thread, found by another.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NOT_STORED, type NotStoredReason } from '../../../../edge-node/decide/cache/explain.ts';
import { allocateSharedSkips, SharedSkips } from '../../../../edge-node/io/shared/shared-skips.ts';
import { NOW } from '../cache/support.ts';

const KEY = { k0: 1, k1: 2 };
const REASONS = Object.keys(NOT_STORED) as NotStoredReason[];

test('what one thread notes another finds, with the second in which it was', () => {
  const handles = allocateSharedSkips(KEY, NOW);
  const [writer, reader] = [new SharedSkips(handles), new SharedSkips(structuredClone(handles))];
  assert.equal(reader.find('http://a/'), undefined);
  for (const [index, reason] of REASONS.entries()) {
    const now = NOW + index * 1_000_000 + 999;
    writer.note('http://a/', reason, now);
    assert.deepEqual(reader.find('http://a/'), { reason, at: now - 999 });
  }
  assert.equal(reader.find('http://b/'), undefined);
});

test('a key takes the place of another, and is never taken for it', () => {
  const skips = new SharedSkips(allocateSharedSkips(KEY, NOW, 4));
  for (let i = 0; i < 200; i += 1) skips.note(`http://a/${i}`, 'private', NOW);
  const found = Array.from({ length: 400 }, (_, i) => skips.find(`http://a/${i}`)).filter((skip) => skip !== undefined);
  assert.equal(found.length, 4);
});

test('a clock that is set back, and one that runs for years, spoil nothing', () => {
  const skips = new SharedSkips(allocateSharedSkips(KEY, NOW));
  skips.note('a', 'no-store', NOW - 60_000);
  assert.deepEqual(skips.find('a'), { reason: 'no-store', at: NOW });
  skips.note('a', 'too-large', NOW + 100 * 365 * 86_400_000);
  assert.equal(skips.find('a')?.reason, 'too-large');
});

test('there is room for every reason in an entry', () => {
  assert.ok(REASONS.length < 32);
});

test('a table of a size that makes no sense is refused', () => {
  for (const slots of [0, 3, -4, 1.5]) assert.throws(() => allocateSharedSkips(KEY, NOW, slots), RangeError);
});
