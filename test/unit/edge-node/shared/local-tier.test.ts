// What a thread keeps of what it has read.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LocalTier } from '../../../../edge-node/io/shared/local-tier.ts';
import { entryOf, headOf } from '../cache/support.ts';

const ENTRY = entryOf(headOf(['cache-control', 'max-age=60']));
const MIB = 1024 * 1024;

test('gives back what it was told, the newest under each key', () => {
  const tier = new LocalTier(MIB);
  assert.equal(tier.get('a'), undefined);
  tier.remember('a', [ENTRY], 4, 1, 100);
  tier.remember('a', [ENTRY], 4, 2, 100);
  const { entries, bucket, changes } = tier.get('a') ?? {};
  assert.deepEqual([entries?.[0], bucket, changes], [ENTRY, 4, 2]);
});

test('forgets the oldest first, a sixteenth at a time, and never holds more than it may', () => {
  const tier = new LocalTier(MIB);
  for (let i = 0; i < 2000; i += 1) {
    tier.remember(`${i}`, [ENTRY], 0, 0, 1000);
    assert.ok(tier.bytes <= MIB && tier.get(`${i}`) !== undefined);
  }
  const kept = Array.from({ length: 2000 }, (_, i) => tier.get(`${i}`) !== undefined);
  assert.ok(kept.lastIndexOf(false) < kept.indexOf(true), 'those that are left are the newest');
  assert.equal(tier.size, kept.filter(Boolean).length);
  assert.ok(tier.size > (MIB / 2024) * 0.9);
});

test('what was read again is as new as its last reading', () => {
  const tier = new LocalTier(MIB);
  for (let i = 0; i < 2000; i += 1) {
    tier.remember(`${i}`, [ENTRY], 0, 0, 1000);
    if (i % 100 === 0) tier.remember('again', [ENTRY], 0, i, 1000);
  }
  assert.equal(tier.get('again')?.changes, 1900);
});

test('does not take what is larger than a sixteenth of it', () => {
  const tier = new LocalTier(MIB);
  tier.remember('large', [ENTRY], 0, 0, MIB / 16);
  assert.equal(tier.get('large'), undefined);
  assert.equal(tier.bytes, 0);
});

test("cuts small bodies from chunks, none from two places or in anybody else's", () => {
  const tier = new LocalTier(MIB);
  const bodies = Array.from({ length: 5000 }, (_, i) => tier.allocate(1 + ((i * 37) % 900)).fill(i % 251));
  for (const [i, body] of bodies.entries()) assert.ok(body.every((byte) => byte === i % 251));
  assert.ok(new Set(bodies.map((body) => body.buffer)).size < 60);
  assert.ok(bodies.every((body) => body.buffer.byteLength <= 64 * 1024));
});

test('gives a large body a buffer of its own', () => {
  const tier = new LocalTier(MIB);
  for (const length of [16 * 1024 + 1, 10 * MIB]) assert.equal(tier.allocate(length).buffer.byteLength, length);
});
