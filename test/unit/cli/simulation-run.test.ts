// A simulation on a clock that the test moves, against edges that answer as it says.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { Answer } from '../../../cli/simulation/answer.ts';
import { DEMO } from '../../../cli/simulation/demo.ts';
import { type Happened, type Ran, type RunPorts, run } from '../../../cli/simulation/run.ts';
import type { Scenario } from '../../../cli/simulation/scenario.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const SCENARIO: Scenario = {
  ...DEMO,
  durationMs: 2000,
  connections: 2,
  clients: [{ name: 'Lagos', addresses: ['41.203.64.1'], rate: 10 }],
};
const HIT: Answer = { status: 200, fields: { 'cache-status': 'meridian-fra; hit' }, elapsedMs: 3 };
const never = new Promise<never>(() => undefined);

/** Moves time on in small steps until the run has ended. */
async function finish(clock: FakeClock, running: Promise<Ran>): Promise<Ran> {
  let ran: Ran | undefined;
  void running.then((result) => {
    ran = result;
  });
  for (let steps = 0; !ran && steps < 10_000; steps += 1) {
    clock.advance(5);
    await turn();
  }
  return ran ?? assert.fail('it did not end');
}

function ports(clock: FakeClock, more: Partial<RunPorts> = {}): RunPorts {
  return {
    clock,
    send: () => Promise.resolve(HIT),
    act: () => Promise.resolve('1 of 1 edge'),
    happened: () => undefined,
    interrupted: never,
    ...more,
  };
}

test('every request is sent when it falls due, from its client, and counted', async () => {
  const clock = new FakeClock();
  const sent: { at: number; path: string; address: string }[] = [];
  const send: RunPorts['send'] = (_client, path, address) => {
    sent.push({ at: clock.monotonic(), path, address });
    return Promise.resolve(HIT);
  };
  const ran = await finish(clock, run(SCENARIO, ports(clock, { send })));
  assert.equal(sent.length, 20);
  assert.ok(sent.every(({ address, path }) => address === '41.203.64.1' && path.startsWith('/simulation/')));
  for (const [index, { at }] of sent.entries()) {
    assert.ok(Math.abs(at - (sent[0]?.at ?? 0) - index * 100) <= 10, `request ${index} at ${at}`);
  }
  const { total, seconds } = ran.statistics;
  assert.deepEqual([total.requests, total.answered, total.hitRatio, ran.interrupted], [20, 20, 1, false]);
  assert.deepEqual(
    seconds.map((second) => second.total.requests),
    [10, 10],
  );
  assert.equal(clock.pending, 0, 'no timer is left');
});

test('what fails is counted with its reason', async () => {
  const clock = new FakeClock();
  let asked = 0;
  const send: RunPorts['send'] = () => {
    asked += 1;
    if (asked % 2 === 0) return Promise.reject(new Error('ECONNREFUSED'));
    return Promise.resolve({ ...HIT, status: 502 });
  };
  const { statistics } = await finish(clock, run(SCENARIO, ports(clock, { send })));
  assert.deepEqual([...statistics.total.reasons].toSorted(), [
    ['ECONNREFUSED', 10],
    ['status 502', 10],
  ]);
  assert.equal(statistics.firstFailure?.reason, 'status 502');
});

test('a client with all connections in use sends nothing; what it waits for at the end is waited for', async () => {
  const clock = new FakeClock();
  const send: RunPorts['send'] = () =>
    new Promise((resolve) => {
      clock.after(2500, () => resolve(HIT));
    });
  const { statistics, elapsedMs } = await finish(clock, run(SCENARIO, ports(clock, { send })));
  const { answered, unsent, requests, unanswered } = statistics.total;
  assert.deepEqual([requests, answered, unsent, unanswered], [20, 2, 18, 0]);
  assert.equal(elapsedMs, 2000);
});

test('interrupted, it ends at once and counts what has no answer', async () => {
  const clock = new FakeClock();
  const interrupt = Promise.withResolvers<void>();
  clock.after(500, interrupt.resolve);
  const send = (): Promise<Answer> => never;
  const ran = await finish(clock, run(SCENARIO, ports(clock, { send, interrupted: interrupt.promise })));
  assert.equal(ran.interrupted, true);
  assert.ok(ran.elapsedMs >= 500 && ran.elapsedMs < 600, String(ran.elapsedMs));
  assert.deepEqual([ran.statistics.total.unanswered, ran.statistics.total.unsent], [2, 3]);
});

test('events happen at their time, in that order, and one that fails is told and stops nothing', async () => {
  const clock = new FakeClock();
  const at: number[] = [];
  const told: Happened[] = [];
  const events = [
    { atMs: 1500, undrain: 'cities/london' },
    { atMs: 2000, purge: 'all' },
    { atMs: 500, drain: 'cities/london' },
    // As when a shorter duration was asked for.
    { atMs: 2001, undrain: 'cities/london' },
  ];
  const act: RunPorts['act'] = ({ undrain }) => {
    at.push(clock.monotonic());
    return undrain === undefined ? Promise.resolve('1 of 1 edge') : Promise.reject(new Error('not allowed'));
  };
  const happened = (event: Happened): unknown => told.push(event);
  const ran = await finish(
    clock,
    run({ ...SCENARIO, events }, ports(clock, { act, happened: (event) => void happened(event) })),
  );
  assert.deepEqual(ran.events, told);
  assert.deepEqual(told, [
    { atMs: 500, what: 'drain cities/london', result: '1 of 1 edge', done: true },
    { atMs: 1500, what: 'undrain cities/london', result: 'not allowed', done: false },
    { atMs: 2000, what: 'purge all', result: '1 of 1 edge', done: true },
  ]);
  for (const [index, due] of [500, 1500, 2000].entries()) assert.ok(Math.abs((at[index] ?? 0) - due) <= 10, String(at));
  assert.equal(ran.statistics.total.answered, 20);
});
