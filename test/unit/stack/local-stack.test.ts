// When the local stack counts as well.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ailment } from '../../../cli/stack/local-stack.ts';
import { EdgeStatus, StatusResponse } from '../../../proto/gen/meridian/v1/admin.ts';
import { HealthStatus, OriginHealth } from '../../../proto/gen/meridian/v1/health.ts';

const edge = (name: string, parts: Parameters<typeof EdgeStatus.fromPartial>[0] = {}) =>
  EdgeStatus.fromPartial({ name, connected: true, applied: { epoch: 1, revision: 1 }, ...parts });
const origin = (name: string, edgesUp: number, status: HealthStatus = HealthStatus.UP) =>
  OriginHealth.fromPartial({ origin: { pool: 'cities', origin: name }, status, edgesUp });
const ails = (edges: EdgeStatus[], origins: OriginHealth[]) => ailment(StatusResponse.fromPartial({ edges, origins }));

test('all edges serve and each of them measured each origin up: it is well', () => {
  assert.equal(ails([edge('a'), edge('b')], [origin('x', 2), origin('y', 2)]), undefined);
});

test('an edge that is not connected, or has no configuration, is named', () => {
  assert.equal(ails([edge('a', { connected: false }), edge('b')], [origin('x', 2)]), 'not yet serving: a');
  assert.equal(ails([edge('a'), edge('b', { applied: undefined })], [origin('x', 2)]), 'not yet serving: b');
});

test('an origin that is down, or that some edge has not measured, is named', () => {
  assert.equal(ails([edge('a')], [origin('x', 0, HealthStatus.DOWN), origin('y', 1)]), 'not yet healthy: x');
  assert.equal(ails([edge('a'), edge('b')], [origin('x', 1), origin('y', 2)]), 'not yet healthy: x');
});

test('before anything was measured it is not well', () => {
  assert.equal(ails([edge('a')], []), 'not yet healthy: any origin');
});
