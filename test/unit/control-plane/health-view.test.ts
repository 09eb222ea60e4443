// From what edges measured to one view.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { foldHealth, foldReport, type Measured } from '../../../control-plane/decide/health-view.ts';
import { HealthStatus, type HealthTransition } from '../../../proto/gen/meridian/v1/health.ts';
import { poolOf } from '../../support/snapshots.ts';

const { UP, DOWN, UNSPECIFIED } = HealthStatus;
const POOLS = [poolOf({ london: 'http://127.0.0.1:9', lagos: 'http://127.0.0.1:10' })];
const says = (origin: string, status: HealthStatus, pool = 'cities'): HealthTransition => ({
  origin: { pool, origin },
  status,
  detail: '',
});
const report = (...transitions: HealthTransition[]): Measured => foldReport(undefined, { full: true, transitions });
const view = (...alive: Measured[]) =>
  foldHealth(POOLS, alive).map(({ origin, status, edgesUp, edgesDown }) => [
    origin?.origin,
    status.replace('HEALTH_STATUS_', ''),
    edgesUp,
    edgesDown,
  ]);

test('an origin that nobody measured is not in the view', () => {
  assert.deepEqual(view(), []);
  assert.deepEqual(view(report(says('lagos', UP))), [['lagos', 'UP', 1, 0]]);
});

test('it is down when more say down than up; a tie is up', () => {
  const up = report(says('london', UP));
  const down = report(says('london', DOWN));
  assert.deepEqual(view(up), [['london', 'UP', 1, 0]]);
  assert.deepEqual(view(down), [['london', 'DOWN', 0, 1]]);
  assert.deepEqual(view(up, down), [['london', 'UP', 1, 1]]);
  assert.deepEqual(view(up, down, down), [['london', 'DOWN', 1, 2]]);
});

test('transitions change what an edge said before; a full report replaces it', () => {
  const first = report(says('london', UP), says('lagos', UP));
  const second = foldReport(first, { full: false, transitions: [says('lagos', DOWN)] });
  assert.deepEqual(view(second), [
    ['london', 'UP', 1, 0],
    ['lagos', 'DOWN', 0, 1],
  ]);
  assert.deepEqual(view(foldReport(second, { full: true, transitions: [says('lagos', UP)] })), [['lagos', 'UP', 1, 0]]);
});

test('what is said of unknown origins, or says nothing, changes nothing', () => {
  const odd = report(
    says('paris', DOWN),
    says('london', DOWN, 'others'),
    says('london', UNSPECIFIED),
    { origin: undefined, status: DOWN, detail: '' },
    says('', DOWN, 'cities/london'),
  );
  assert.deepEqual(view(odd), []);
});
