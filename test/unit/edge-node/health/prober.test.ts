// When origins are probed: on a clock that the test moves, with probes that end when the test says.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HealthTable } from '../../../../edge-node/decide/health.ts';
import { Prober } from '../../../../edge-node/io/prober.ts';
import { silentLog } from '../../../../infra/runtime/log.ts';
import { seededRandom } from '../../../../infra/runtime/random.ts';
import type { HealthTransition } from '../../../../proto/gen/meridian/v1/health.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { poolOf } from '../../../support/snapshots.ts';

const ADDRESS = 'http://127.0.0.1:9';

interface Started {
  readonly address: string;
  readonly at: number;
  readonly signal: AbortSignal;
  finish(success: boolean): Promise<void>;
}

function setUp(seed = 1) {
  const clock = new FakeClock();
  const table = new HealthTable();
  const started: Started[] = [];
  const transitions: HealthTransition[] = [];
  const prober = new Prober({
    clock,
    random: seededRandom(seed),
    log: silentLog,
    table,
    probe: (address, _check, signal) => {
      const { promise, resolve } = Promise.withResolvers<{ success: boolean; detail: string }>();
      const finish = async (success: boolean) => {
        resolve({ success, detail: success ? 'status 200' : 'connection refused' });
        await promise;
        await Promise.resolve();
      };
      started.push({ address, at: clock.monotonic(), signal, finish });
      return promise;
    },
    onTransition: (transition) => transitions.push(transition),
  });
  return { clock, table, started, transitions, prober };
}

test('every origin gets its first probe within two seconds, and not all at the same moment', () => {
  const { clock, prober, started } = setUp();
  const names = Array.from({ length: 20 }, (_, index) => [`o${index}`, `http://127.0.0.1:${index + 1}`]);
  prober.setPools([poolOf(Object.fromEntries(names), { intervalMs: 60_000 })]);
  clock.advance(1_000);
  assert.ok(started.length > 0 && started.length < 20, `${started.length} of 20 within a second`);
  clock.advance(1_000);
  assert.equal(new Set(started.map(({ address }) => address)).size, 20);
});

test('a probe follows the former one after the interval, give or take a tenth', async () => {
  const { clock, prober, started } = setUp();
  prober.setPools([poolOf({ london: ADDRESS }, { intervalMs: 1_000 })]);
  clock.advance(1_000);
  const [first] = started;
  assert.ok(first);
  await first.finish(true);
  clock.advance(first.at + 900 - clock.monotonic() - 1);
  assert.equal(started.length, 1);
  clock.advance(201);
  assert.equal(started.length, 2);
});

test('no second probe of an origin starts while one is in flight', () => {
  const { clock, prober, started } = setUp();
  prober.setPools([poolOf({ london: ADDRESS })]);
  clock.advance(60_000);
  prober.suspect('cities', 'london');
  clock.advance(60_000);
  assert.equal(started.length, 1);
});

test('the table learns each result, and a change of state is announced', async () => {
  const { clock, prober, table, started, transitions } = setUp();
  prober.setPools([poolOf({ london: ADDRESS }, { unhealthyThreshold: 2, intervalMs: 1_000 })]);
  for (const success of [true, false, false]) {
    clock.advance(1_200);
    await started.at(-1)?.finish(success);
  }
  assert.equal(table.status('cities', 'london', clock.monotonic()).status, 'down');
  assert.deepEqual(
    transitions.map(({ status, detail }) => `${status}: ${detail}`),
    ['HEALTH_STATUS_UP: status 200', 'HEALTH_STATUS_DOWN: connection refused'],
  );
});

test('a suspicion brings the next probe forward, but no burst of suspicions makes a burst of probes', async () => {
  const { clock, prober, started } = setUp();
  prober.setPools([poolOf({ london: ADDRESS }, { intervalMs: 3_600_000 })]);
  clock.advance(2_000);
  await started.at(-1)?.finish(true);
  clock.advance(10_000);
  assert.equal(started.length, 1);
  for (let ms = 0; ms < 999; ms += 1) {
    prober.suspect('cities', 'london');
    clock.advance(1);
    await started.at(-1)?.finish(false);
  }
  assert.equal(started.length, 1 + 4);
  prober.suspect('cities', 'nowhere');
});

test('a snapshot starts the probes of new origins, ends those of origins that are gone and leaves the others', async () => {
  const { clock, prober, table, started } = setUp();
  prober.setPools([poolOf({ london: ADDRESS, lagos: 'http://127.0.0.1:10' })]);
  clock.advance(2_000);
  const london = started.find(({ address }) => address === ADDRESS);
  const lagos = started.find(({ address }) => address !== ADDRESS);
  prober.setPools([poolOf({ london: ADDRESS, lagos: 'http://127.0.0.1:11', rio: 'http://127.0.0.1:12' })]);
  assert.equal(london?.signal.aborted, false);
  assert.equal(lagos?.signal.aborted, true);
  await lagos?.finish(true);
  assert.equal(table.status('cities', 'lagos', clock.monotonic()).source, 'assumed');
  await london?.finish(true);
  assert.equal(table.status('cities', 'london', clock.monotonic()).source, 'measured here');
  started.length = 0;
  clock.advance(2_000);
  const ports = started.map(({ address }) => address.slice(-2)).toSorted();
  assert.deepEqual(new Set(ports), new Set([':9', '11', '12']));
});

test('after a stop nothing is probed', () => {
  const { clock, prober, started } = setUp();
  prober.setPools([poolOf({ london: ADDRESS, lagos: 'http://127.0.0.1:10' })]);
  clock.advance(2_000);
  prober.stop();
  assert.ok(started.every(({ signal }) => signal.aborted));
  started.length = 0;
  clock.advance(60_000);
  assert.equal(started.length, 0);
  assert.equal(clock.pending, 0);
});

test('at most 500 probes are in flight, and the others get their turn', async () => {
  const { clock, prober, started } = setUp();
  const pools = Array.from({ length: 6 }, (_, pool) => {
    const names = Array.from({ length: 100 }, (_, index) => [`o${index}`, `http://127.0.${pool}.1:${index + 1}`]);
    return { ...poolOf(Object.fromEntries(names), { intervalMs: 60_000 }), name: `pool-${pool}` };
  });
  prober.setPools(pools);
  clock.advance(5_000);
  assert.equal(started.length, 500);
  for (const probe of started.slice()) await probe.finish(true);
  clock.advance(500);
  assert.equal(started.length, 600);
});
