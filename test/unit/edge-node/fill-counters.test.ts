import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FillCounters } from '../../../edge-node/io/fill-counters.ts';
import { Metrics } from '../../../infra/runtime/metrics.ts';

test('each event of a fill is a counter of its own, there from the start', () => {
  const metrics = new Metrics();
  const counters = new FillCounters(metrics);
  assert.match(metrics.render(), /^meridian_fill_refreshes_total 0$/m);
  for (const event of ['refused', 'useless', 'refused'] as const) counters.note(event);
  assert.match(metrics.render(), /^meridian_fill_waiters_refused_total 2$/m);
  assert.match(metrics.render(), /^meridian_fills_useless_total 1$/m);
});
