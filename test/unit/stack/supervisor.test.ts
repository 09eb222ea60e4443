// How the children of the local stack are kept running: driven by a fake clock and fake processes.
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import type { Child, ChildSpec, Exit } from '../../../cli/stack/child.ts';
import { StartFailure, Supervisor } from '../../../cli/stack/supervisor.ts';
import { FakeClock } from '../../support/fake-clock.ts';

class FakeChild implements Child {
  static #lastPid = 100;
  readonly pid: number;
  readonly spec: ChildSpec;
  readonly #ready = Promise.withResolvers<void>();
  readonly #exited = Promise.withResolvers<Exit>();
  readonly ready = this.#ready.promise;
  readonly exited = this.#exited.promise;
  readonly signals: string[] = [];
  stubborn = false;

  constructor(spec: ChildSpec) {
    FakeChild.#lastPid += 1;
    this.pid = FakeChild.#lastPid;
    this.spec = spec;
  }

  becomeReady(): void {
    this.#ready.resolve();
  }

  lastLines(): string[] {
    return [`${this.spec.name} said why`];
  }

  exit(code: number | null, signal: string | null = null): void {
    this.#exited.resolve({ code, signal });
  }

  signal(signal: 'SIGTERM' | 'SIGKILL'): void {
    this.signals.push(signal);
    if (signal === 'SIGKILL') this.exit(null, 'SIGKILL');
    else if (!this.stubborn) this.exit(0);
  }
}

let clock: FakeClock;
let spawned: FakeChild[];
let lines: string[];

beforeEach(() => {
  clock = new FakeClock();
  spawned = [];
  lines = [];
});

function supervise(restart: number | 'never' = 15_000): Supervisor {
  return new Supervisor({
    clock,
    spawn(spec) {
      const child = new FakeChild(spec);
      spawned.push(child);
      return child;
    },
    restartAfterMs: restart === 'never' ? undefined : restart,
    startMs: 30_000,
    stopMs: 5000,
    report: (line) => lines.push(line),
  });
}

const spec = (name: string): ChildSpec => ({ name, args: [], logFile: `/logs/${name}.log` });

/** Lets everything that is already decided happen. */
async function settle(): Promise<void> {
  for (let i = 0; i < 20; i += 1) await Promise.resolve();
}

function child(index: number): FakeChild {
  const found = spawned[index];
  assert.ok(found, `child ${index} was spawned`);
  return found;
}

async function started(supervisor: Supervisor, ...names: string[]): Promise<FakeChild[]> {
  const from = spawned.length;
  const start = supervisor.start(names.map(spec));
  const children = spawned.slice(from);
  for (const each of children) each.becomeReady();
  await start;
  return children;
}

test('a group is started when all of its children are ready', async () => {
  const supervisor = supervise();
  let done = false;
  const start = supervisor.start([spec('a'), spec('b')]).then(() => {
    done = true;
  });
  child(0).becomeReady();
  await settle();
  assert.equal(done, false);
  child(1).becomeReady();
  await start;
  assert.equal(supervisor.pid('a'), child(0).pid);
  assert.deepEqual(lines, []);
});

test('a child that ends while starting fails the start, and is not started again', async () => {
  const start = supervise().start([spec('a')]);
  child(0).exit(1);
  await assert.rejects(
    start,
    (error) =>
      error instanceof StartFailure &&
      error.lastLines[0] === 'a said why' &&
      /^a ended while starting: exit code 1$/.test(error.message),
  );
  clock.advance(60_000);
  await settle();
  assert.equal(spawned.length, 1);
});

test('a child that is never ready is killed when its time is up', async () => {
  const start = supervise().start([spec('a')]);
  clock.advance(30_000);
  await assert.rejects(start, /a was not ready within 30 s/);
  assert.deepEqual(child(0).signals, ['SIGKILL']);
});

test('a child that dies is reported in one line and started again after the wait', async () => {
  const supervisor = supervise();
  const [first] = await started(supervisor, 'london');
  first?.exit(null, 'SIGKILL');
  await settle();
  assert.deepEqual(lines, [`london (pid ${first?.pid}) ended: killed by SIGKILL; starting it again in 15 s`]);
  assert.equal(supervisor.pid('london'), undefined);
  clock.advance(14_999);
  assert.equal(spawned.length, 1);
  clock.advance(1);
  assert.equal(spawned.length, 2);
  child(1).becomeReady();
  await settle();
  assert.equal(lines[1], `london is back (pid ${child(1).pid})`);
});

test('a restart that fails is reported and tried again', async () => {
  const supervisor = supervise();
  const [first] = await started(supervisor, 'london');
  first?.exit(1);
  await settle();
  clock.advance(15_000);
  child(1).exit(1);
  await settle();
  assert.match(lines[1] ?? '', /^london ended while starting: exit code 1; starting it again in 15 s$/);
  clock.advance(15_000);
  assert.equal(spawned.length, 3);
});

test('with restarts off a dead child stays dead', async () => {
  const supervisor = supervise('never');
  const [first] = await started(supervisor, 'london');
  first?.exit(1);
  await settle();
  assert.match(lines[0] ?? '', /exit code 1; it is not started again$/);
  clock.advance(3_600_000);
  assert.equal(spawned.length, 1);
});

test('stopping ends the groups in reverse order, asked for first and forced after five seconds', async () => {
  const supervisor = supervise();
  const [store] = await started(supervisor, 'store');
  const [a, b] = await started(supervisor, 'a', 'b');
  if (b) b.stubborn = true;
  const stop = supervisor.stop();
  await settle();
  assert.deepEqual([a?.signals, b?.signals, store?.signals], [['SIGTERM'], ['SIGTERM'], []]);
  clock.advance(5000);
  await stop;
  assert.deepEqual([a?.signals, b?.signals, store?.signals], [['SIGTERM'], ['SIGTERM', 'SIGKILL'], ['SIGTERM']]);
  assert.deepEqual(lines, []);
  assert.equal(clock.pending, 0);
});

test('what waits for its restart is not started once stopping has begun', async () => {
  const supervisor = supervise();
  const [first] = await started(supervisor, 'a');
  first?.exit(1);
  await settle();
  await supervisor.stop();
  clock.advance(60_000);
  await settle();
  assert.equal(spawned.length, 1);
});

test('stopping while children start ends them too, and the start is not a failure', async () => {
  const supervisor = supervise();
  const start = supervisor.start([spec('a')]);
  await supervisor.stop();
  await start;
  assert.deepEqual(child(0).signals, ['SIGTERM']);
});
