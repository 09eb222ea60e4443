// A short fuzzing run; `npm run fuzz` makes a long one.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fuzz } from '../../fuzz/run.ts';

test('an edge survives noise, mutated requests, resets and clients that never read', async () => {
  const report = await fuzz({ bytes: 24_000_000, seed: 20_261_124, connections: 8, onProgress: () => undefined });
  assert.ok(report.connections > 100);
});
