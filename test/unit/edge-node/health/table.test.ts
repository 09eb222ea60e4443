// Which of three sources a status comes from, and what an origin's history survives.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freshForMs, HealthTable } from '../../../../edge-node/decide/health.ts';
import { HealthStatus, type OriginHealth } from '../../../../proto/gen/meridian/v1/health.ts';
import type { Pool } from '../../../../proto/gen/meridian/v1/resources.ts';

const CHECK = { path: '/health', intervalMs: 1_000, timeoutMs: 500, unhealthyThreshold: 2, healthyThreshold: 2 };
const UP = { success: true, detail: 'status 200' };
const DOWN = { success: false, detail: 'connection refused' };

function pool(addresses: Record<string, string>, check: Partial<typeof CHECK> = {}): Pool {
  const origins = Object.entries(addresses).map(([name, address]) => ({
    name,
    address,
    location: { latitude: 0, longitude: 0 },
    weight: 1,
  }));
  return { name: 'cities', origins, healthCheck: { ...CHECK, ...check }, timeouts: undefined };
}

function says(origin: string, status: HealthStatus): OriginHealth {
  return { origin: { pool: 'cities', origin }, status, edgesUp: 1, edgesDown: 2 };
}

function tableOf(...pools: Pool[]): HealthTable {
  const table = new HealthTable();
  table.setPools(pools);
  return table;
}

test('an origin that nobody has measured is assumed up', () => {
  const table = tableOf(pool({ london: 'http://127.0.0.1:1' }));
  assert.deepEqual(table.status('cities', 'london', 0), { status: 'up', source: 'assumed', detail: 'not probed yet' });
  assert.equal(table.status('cities', 'nowhere', 0).source, 'assumed');
});

test('what was measured here wins over the view while it is fresh, then the view counts until it expires', () => {
  const table = tableOf(pool({ london: 'http://127.0.0.1:1' }));
  table.setView({ origins: [says('london', HealthStatus.DOWN)], expiresInMs: 10_000 }, 0);
  assert.deepEqual(table.status('cities', 'london', 0), {
    status: 'down',
    source: 'view',
    detail: 'up on 1 and down on 2 edges',
  });
  assert.equal(table.observe('cities', 'london', UP, 100)?.status, HealthStatus.UP);
  const fresh = 100 + freshForMs(CHECK);
  assert.equal(fresh, 3_600);
  assert.deepEqual(table.status('cities', 'london', fresh), {
    status: 'up',
    source: 'measured here',
    detail: 'status 200',
  });
  assert.equal(table.status('cities', 'london', fresh + 1).source, 'view');
  assert.equal(table.status('cities', 'london', 9_999).status, 'down');
  assert.equal(table.status('cities', 'london', 10_000).source, 'assumed');
});

test('a single failure of an origin that is not known yet leaves the word to the view', () => {
  const table = tableOf(pool({ london: 'http://127.0.0.1:1' }));
  table.setView({ origins: [says('london', HealthStatus.UP)], expiresInMs: 10_000 }, 0);
  assert.equal(table.observe('cities', 'london', DOWN, 0), undefined);
  assert.equal(table.status('cities', 'london', 1).source, 'view');
  assert.equal(table.observe('cities', 'london', DOWN, 2)?.status, HealthStatus.DOWN);
  assert.equal(table.status('cities', 'london', 3).source, 'measured here');
});

test('a view replaces the one before, and what is malformed in it is left out', () => {
  const table = tableOf(pool({ london: 'http://127.0.0.1:1', lagos: 'http://127.0.0.1:2' }));
  table.setView({ origins: [says('london', HealthStatus.DOWN)], expiresInMs: 1_000 }, 0);
  const nameless: OriginHealth = { ...says('london', HealthStatus.DOWN), origin: undefined };
  table.setView({ origins: [nameless, says('lagos', HealthStatus.UNSPECIFIED)], expiresInMs: 1_000 }, 0);
  assert.equal(table.status('cities', 'london', 1).source, 'assumed');
  assert.equal(table.status('cities', 'lagos', 1).source, 'assumed');
});

test('an origin keeps its state through a snapshot that leaves it as it is, and loses it with its address or check', () => {
  const table = tableOf(pool({ london: 'http://127.0.0.1:1', lagos: 'http://127.0.0.1:2' }));
  for (const origin of ['london', 'lagos']) {
    table.observe('cities', origin, DOWN, 0);
    table.observe('cities', origin, DOWN, 0);
  }
  table.setPools([pool({ london: 'http://127.0.0.1:1', lagos: 'http://127.0.0.1:3' })]);
  assert.equal(table.status('cities', 'london', 1).status, 'down');
  assert.equal(table.status('cities', 'lagos', 1).source, 'assumed');
  table.setPools([pool({ london: 'http://127.0.0.1:1' }, { path: '/other' })]);
  assert.equal(table.status('cities', 'london', 1).source, 'assumed');
});

test('a result for an origin that is gone changes nothing', () => {
  const table = tableOf(pool({ london: 'http://127.0.0.1:1' }));
  assert.equal(table.observe('cities', 'lagos', UP, 0), undefined);
  assert.equal(table.observe('towns', 'london', UP, 0), undefined);
});

test('a report has every origin that was measured, and no other', () => {
  const table = tableOf(pool({ london: 'http://127.0.0.1:1', lagos: 'http://127.0.0.1:2', rio: 'http://127.0.0.1:3' }));
  table.observe('cities', 'london', UP, 0);
  table.observe('cities', 'lagos', DOWN, 0);
  table.observe('cities', 'lagos', DOWN, 0);
  table.observe('cities', 'rio', DOWN, 0);
  assert.deepEqual(table.report(), {
    full: true,
    transitions: [
      { origin: { pool: 'cities', origin: 'london' }, status: HealthStatus.UP, detail: 'status 200' },
      { origin: { pool: 'cities', origin: 'lagos' }, status: HealthStatus.DOWN, detail: 'connection refused' },
    ],
  });
});
