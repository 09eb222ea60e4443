// From what edges measured to one view.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  foldHealth,
  foldReport,
  type Held,
  HOLD_DOWN_MS,
  type Measured,
  tallyOf,
} from '../../../control-plane/decide/health-view.ts';
import { decodeTally, encodeTally } from '../../../control-plane/decide/peers.ts';
import { HealthStatus, type HealthTransition, type OriginHealth } from '../../../proto/gen/meridian/v1/health.ts';
import { poolOf } from '../../support/snapshots.ts';

const { UP, DOWN, UNSPECIFIED } = HealthStatus;
const POOLS = [poolOf({ london: 'http://127.0.0.1:9', lagos: 'http://127.0.0.1:10' })];
const says = (origin: string, status: HealthStatus, pool = 'cities'): HealthTransition => ({
  origin: { pool, origin },
  status,
  detail: '',
});
const report = (...transitions: HealthTransition[]): Measured => foldReport(undefined, { full: true, transitions });
const words = (origins: readonly OriginHealth[]) =>
  origins.map(({ origin, status, edgesUp, edgesDown }) => [
    origin?.origin,
    status.replace('HEALTH_STATUS_', ''),
    edgesUp,
    edgesDown,
  ]);

/** All on one replica, nothing known before. */
const view = (...alive: Measured[]) => words(foldHealth(POOLS, [tallyOf(POOLS, alive)], new Map(), 0).origins);

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

test('one edge alone takes no origin away from many, but two do, and so does the only one there is', () => {
  const up = report(says('london', UP), says('lagos', UP));
  const lagosDown = report(says('lagos', DOWN));
  const silent = report();
  assert.deepEqual(view(lagosDown, silent, silent), [['lagos', 'UP', 0, 1]]);
  assert.deepEqual(view(lagosDown, lagosDown, silent, silent), [['lagos', 'DOWN', 0, 2]]);
  assert.deepEqual(view(up, lagosDown, lagosDown)[1], ['lagos', 'DOWN', 1, 2]);
  assert.deepEqual(view(lagosDown), [['lagos', 'DOWN', 0, 1]]);
});

test('what the edges of several replicas say counts together, whichever replica folds it', () => {
  const up = report(says('london', UP), says('lagos', UP));
  const down = report(says('london', DOWN), says('lagos', UP));
  const a = tallyOf(POOLS, [up, down]);
  const b = decodeTally(encodeTally(tallyOf(POOLS, [down, down])));
  assert.ok(b);
  const expected = [
    ['london', 'DOWN', 1, 3],
    ['lagos', 'UP', 4, 0],
  ];
  for (const tallies of [
    [a, b],
    [b, a],
  ]) {
    assert.deepEqual(words(foldHealth(POOLS, tallies, new Map(), 0).origins), expected);
  }
});

test('an origin that flaps changes once in a hold-down', () => {
  const tally = (status: HealthStatus) => [tallyOf(POOLS, [report(says('london', status))])];
  let held: Held = new Map();
  const changes: number[] = [];
  let last: unknown;
  for (let now = 0; now <= 60_000; now += 1000) {
    const folded = foldHealth(POOLS, tally((now / 1000) % 2 === 0 ? UP : DOWN), held, now);
    held = folded.held;
    const status = folded.origins[0]?.status;
    if (status !== last) changes.push(now);
    last = status;
  }
  assert.ok(changes.length >= 4, 'it does change');
  for (let i = 1; i < changes.length; i += 1) {
    assert.ok((changes[i] ?? 0) - (changes[i - 1] ?? 0) >= HOLD_DOWN_MS, `changed at ${changes}`);
  }
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
