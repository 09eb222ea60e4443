// Health written down by one thread and read by others.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CompiledPool } from '../../../../edge-node/decide/compile.ts';
import type { EffectiveStatus } from '../../../../edge-node/decide/health.ts';
import { allocateSharedHealth, SharedHealth } from '../../../../edge-node/io/shared/shared-health.ts';

function pool(name: string, ...origins: string[]): CompiledPool {
  const location = { latitude: 0, longitude: 0 };
  const timeouts = { connectMs: 1, headMs: 1, bodyMs: 1 };
  return {
    name,
    timeouts,
    origins: origins.map((origin) => ({ pool: name, name: origin, address: 'http://x', location, weight: 1 })),
  };
}

const POOLS = [pool('a', '1', '2'), pool('b'), pool('c', '1')];

function table(statuses: Readonly<Record<string, EffectiveStatus>>) {
  return {
    status: (of: string, origin: string): EffectiveStatus =>
      statuses[`${of}/${origin}`] ?? { status: 'up', source: 'assumed', detail: 'not probed yet' },
  };
}

test('before anything is written every origin is taken to be up', () => {
  const health = new SharedHealth(allocateSharedHealth(POOLS), POOLS);
  assert.deepEqual(health.status('a', '1'), { status: 'up', source: 'assumed', detail: 'assumed' });
  assert.equal(health.status('b', 'unknown').status, 'up');
  assert.equal(health.status('unknown', '1').status, 'up');
});

test('what one writes all read, each origin its own', () => {
  const handles = allocateSharedHealth(POOLS);
  const writer = new SharedHealth(handles, POOLS);
  const reader = new SharedHealth(structuredClone(handles), POOLS);
  const seen = () =>
    [reader.status('a', '1'), reader.status('a', '2'), reader.status('c', '1')].map(
      ({ status, source }) => `${status} ${source}`,
    );
  for (const status of ['up', 'down'] as const) {
    for (const source of ['measured here', 'view', 'assumed', 'operator'] as const) {
      writer.publish(table({ 'a/2': { status, source, detail: 'x' } }), 0);
      assert.deepEqual(seen(), ['up assumed', `${status} ${source}`, 'up assumed']);
    }
  }
  writer.publish(table({ 'c/1': { status: 'down', source: 'view', detail: 'x' } }), 0);
  assert.deepEqual(seen(), ['up assumed', 'up assumed', 'down view']);
});

test('says whether anything changed', () => {
  const health = new SharedHealth(allocateSharedHealth(POOLS), POOLS);
  const down = table({ 'a/1': { status: 'down', source: 'measured here', detail: 'x' } });
  assert.deepEqual(
    [health.publish(table({}), 0), health.publish(down, 0), health.publish(down, 0), health.publish(table({}), 0)],
    [false, true, false, true],
  );
});

test('memory made for another snapshot is refused', () => {
  assert.throws(() => new SharedHealth(allocateSharedHealth(POOLS), POOLS.slice(1)), /3 origins does not fit .* 1/);
});

test('reading a status makes nothing new', () => {
  const health = new SharedHealth(allocateSharedHealth(POOLS), POOLS);
  assert.equal(health.status('a', '1'), health.status('c', '1'));
});
