// What a thread keeps of what it has read.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LocalTier } from '../../../../edge-node/io/shared/local-tier.ts';
import { entryOf, headOf } from '../cache/support.ts';

const ENTRY = entryOf(headOf(['cache-control', 'max-age=60']), 'x'.repeat(1000));
const MIB = 1024 * 1024;

test('gives back what it was told, the newest under each key', () => {
  const tier = new LocalTier(MIB);
  assert.equal(tier.get('a'), undefined);
  tier.remember('a', [ENTRY], 4, 1);
  tier.remember('a', [ENTRY], 4, 2);
  const { entries, counter, changes } = tier.get('a') ?? {};
  assert.deepEqual([entries?.[0], counter, changes], [ENTRY, 4, 2]);
});

test('forgets the oldest first, a sixteenth at a time, and never holds more than it may', () => {
  const tier = new LocalTier(MIB);
  for (let i = 0; i < 2000; i += 1) {
    tier.remember(`${i}`, [ENTRY], 0, 0);
    assert.ok(tier.bytes <= MIB && tier.get(`${i}`) !== undefined);
  }
  const kept = Array.from({ length: 2000 }, (_, i) => tier.get(`${i}`) !== undefined);
  assert.ok(kept.lastIndexOf(false) < kept.indexOf(true), 'those that are left are the newest');
  assert.equal(tier.size, kept.filter(Boolean).length);
  assert.ok(tier.size > (MIB / 3100) * 0.9);
});

test('what was read again is as new as its last reading', () => {
  const tier = new LocalTier(MIB);
  for (let i = 0; i < 2000; i += 1) {
    tier.remember(`${i}`, [ENTRY], 0, 0);
    if (i % 100 === 0) tier.remember('again', [ENTRY], 0, i);
  }
  assert.equal(tier.get('again')?.changes, 1900);
});

test('does not take what is larger than a sixteenth of it', () => {
  const tier = new LocalTier(MIB);
  tier.remember('large', new Array(40).fill(ENTRY), 0, 0);
  assert.equal(tier.get('large'), undefined);
  assert.equal(tier.bytes, 0);
});

test("cuts small bodies from chunks, none from two places or in anybody else's", () => {
  const tier = new LocalTier(MIB);
  const bodies = Array.from({ length: 5000 }, (_, i) => tier.allocate(1 + ((i * 37) % 900), true).fill(i % 251));
  for (const [i, body] of bodies.entries()) assert.ok(body.every((byte) => byte === i % 251));
  assert.ok(new Set(bodies.map((body) => body.buffer)).size < 60);
  assert.ok(bodies.every((body) => body.buffer.byteLength <= 64 * 1024));
});

test('gives a large body a buffer of its own', () => {
  const tier = new LocalTier(MIB);
  for (const length of [16 * 1024 + 1, 10 * MIB]) assert.equal(tier.allocate(length, true).buffer.byteLength, length);
});

test('has read recently what it was asked for before', () => {
  const tier = new LocalTier(MIB);
  assert.deepEqual([tier.isRecent(1, 5), tier.isRecent(1, 5), tier.isRecent(1, 6)], [false, true, false]);
  for (let i = 0; i < 100; i += 1) tier.isRecent(100 + i, 5);
  assert.equal(tier.isRecent(1, 5), false, 'others have come in its place');
});

test('of many that share one place and are read in turn, each is soon recent', () => {
  const tier = new LocalTier(MIB);
  let left = Array.from({ length: 8 }, (_, i) => i + 1);
  let turns = 0;
  // What is kept is not asked for again.
  for (; left.length > 0; turns += 1) left = left.filter((high) => !tier.isRecent(high, 5));
  assert.ok(turns < 200, `${turns} turns`);
});
