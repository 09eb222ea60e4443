// The supervisor of worker threads with workers that a test speaks for, in the order that it wants.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FromWorker, Generation, ToWorker } from '../../../../edge-node/io/threads/messages.ts';
import {
  ANSWER_MS,
  MISSED_MAX,
  PULSE_MS,
  Supervisor,
  type WorkerEvents,
} from '../../../../edge-node/io/threads/supervisor.ts';
import type { Log } from '../../../../infra/runtime/log.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

class FakeWorker {
  readonly thread: number;
  readonly events: WorkerEvents;
  /** What it was told: kinds, with the number of a generation. */
  readonly told: string[] = [];
  terminated = false;

  constructor(thread: number, events: WorkerEvents) {
    this.thread = thread;
    this.events = events;
  }

  post(message: ToWorker): void {
    const id = message.kind === 'prepare' ? message.generation.id : message.kind === 'commit' ? message.id : undefined;
    this.told.push(id === undefined ? message.kind : `${message.kind} ${id}`);
  }

  terminate(): void {
    this.terminated = true;
    this.events.onExit('terminated');
  }

  say(message: FromWorker): void {
    this.events.onMessage(message);
  }
}

interface Outcome {
  state: 'pending' | 'done' | 'failed';
  reason: string;
}

/** What has become of a promise so far. */
function watch(promise: Promise<unknown>): Outcome {
  const outcome: Outcome = { state: 'pending', reason: '' };
  promise.then(
    () => {
      outcome.state = 'done';
    },
    (error: Error) => {
      outcome.state = 'failed';
      outcome.reason = error.message;
    },
  );
  return outcome;
}

const settled = () => new Promise<void>((resolve) => setImmediate(resolve));
const generation = (id: number): Generation => {
  return { id, snapshot: new Uint8Array(), sites: new Map(), health: { memory: new SharedArrayBuffer(0) } };
};
const listen = () => ({
  kind: 'listen' as const,
  http: { host: '127.0.0.1', port: 1, reusePort: true, handedOver: [] },
  https: undefined,
});

class Story {
  readonly clock = new FakeClock();
  readonly spawned: FakeWorker[] = [];
  readonly died: number[] = [];
  readonly lines: string[] = [];
  /** Threads whose event loop stands still. */
  readonly hanging = new Set<number>();
  readonly supervisor: Supervisor;
  #beats = 0;

  constructor() {
    const line = (_fields: object, message: string): void => void this.lines.push(message);
    const log: Log = { debug: line, info: line, warn: line, error: line };
    this.supervisor = new Supervisor({
      clock: this.clock,
      random: { next: () => 1 },
      log,
      spawn: (thread, events) => {
        const worker = new FakeWorker(thread, events);
        this.spawned.push(worker);
        return worker;
      },
      pulse: (thread) => {
        this.#beats += 1;
        return this.hanging.has(thread) ? 0 : this.#beats;
      },
      onDied: (thread) => this.died.push(thread),
      onMessage: () => undefined,
    });
  }

  /** The newest worker of that number. */
  at(thread: number): FakeWorker {
    const worker = this.spawned.findLast((spawned) => spawned.thread === thread);
    assert.ok(worker);
    return worker;
  }

  say(message: FromWorker, ...threads: number[]): void {
    for (const thread of threads) this.at(thread).say(message);
  }
}

/** Two workers that serve generation 1 and listen. */
async function running(): Promise<Story> {
  const story = new Story();
  const start = watch(story.supervisor.start(2));
  story.say({ kind: 'started' }, 1, 2);
  const prepared = story.supervisor.prepare(generation(1));
  story.say({ kind: 'prepared', id: 1 }, 1, 2);
  const committed = (await prepared)();
  story.say({ kind: 'committed', id: 1 }, 1, 2);
  await committed;
  const listening = story.supervisor.listen(listen);
  story.say({ kind: 'listening', http: { port: 1, descriptors: [] }, https: undefined }, 1, 2);
  await listening;
  assert.equal(start.state, 'done');
  for (const worker of story.spawned) worker.told.length = 0;
  return story;
}

test('a snapshot is committed when all have prepared it, and is over when all have committed it', async () => {
  const story = await running();
  const prepared = watch(story.supervisor.prepare(generation(2)).then((commit) => void watch(commit())));
  story.say({ kind: 'prepared', id: 2 }, 1);
  await settled();
  assert.equal(prepared.state, 'pending');
  assert.deepEqual(story.at(1).told, ['prepare 2']);
  story.say({ kind: 'prepared', id: 2 }, 2);
  await settled();
  assert.deepEqual(story.at(2).told, ['prepare 2', 'commit 2']);
});

test('one that cannot prepare it is a reason to refuse it, and nobody is told to commit', async () => {
  const story = await running();
  const prepared = watch(story.supervisor.prepare(generation(2)));
  story.say({ kind: 'prepared', id: 2 }, 1);
  story.say({ kind: 'refused', id: 2, reason: 'no memory' }, 2);
  await settled();
  assert.deepEqual(prepared, { state: 'failed', reason: 'no memory' });
  assert.deepEqual([story.at(1).told, story.at(2).told], [['prepare 2'], ['prepare 2']]);
  // Who comes later has what serves, and not what was refused.
  story.at(1).events.onExit('a fault');
  story.clock.advance(0);
  story.say({ kind: 'started' }, 1);
  assert.deepEqual(story.at(1).told, ['prepare 1', 'commit 1', 'listen']);
});

test('one that dies while it prepares is waited for no longer; its successor prepares and commits as the others', async () => {
  const story = await running();
  const prepared = story.supervisor.prepare(generation(2));
  const outcome = watch(prepared);
  story.say({ kind: 'prepared', id: 2 }, 1);
  story.at(2).events.onExit('a fault');
  assert.deepEqual(story.died, [2]);
  story.clock.advance(0);
  await settled();
  assert.equal(outcome.state, 'done');
  story.say({ kind: 'started' }, 2);
  assert.deepEqual(story.at(2).told, ['prepare 1', 'commit 1', 'prepare 2', 'listen']);
  const committed = watch((await prepared)());
  story.say({ kind: 'committed', id: 2 }, 1);
  await settled();
  assert.equal(committed.state, 'pending', 'the newcomer has said nothing');
  assert.equal(story.at(2).told.at(-1), 'commit 2');
  story.say({ kind: 'committed', id: 2 }, 2);
  await settled();
  assert.equal(committed.state, 'done');
});

test('a newcomer that is there before the others have all prepared is waited for, too', async () => {
  const story = await running();
  story.at(2).events.onExit('a fault');
  story.clock.advance(0);
  const prepared = watch(story.supervisor.prepare(generation(2)));
  story.say({ kind: 'started' }, 2);
  story.say({ kind: 'prepared', id: 2 }, 1);
  story.say({ kind: 'prepared', id: 1 }, 2);
  await settled();
  assert.equal(prepared.state, 'pending');
  story.say({ kind: 'prepared', id: 2 }, 2);
  await settled();
  assert.equal(prepared.state, 'done');
});

test('one that dies between prepare and commit is replaced by one that begins with what was committed', async () => {
  const story = await running();
  const prepared = story.supervisor.prepare(generation(2));
  story.say({ kind: 'prepared', id: 2 }, 1, 2);
  const commit = await prepared;
  story.at(1).events.onExit('a fault');
  const committed = watch(commit());
  assert.deepEqual(story.at(2).told, ['prepare 2', 'commit 2']);
  story.say({ kind: 'committed', id: 2 }, 2);
  story.clock.advance(0);
  await settled();
  assert.equal(committed.state, 'done', 'nobody that serves anything older is left');
  story.say({ kind: 'started' }, 1);
  assert.deepEqual(story.at(1).told, ['prepare 2', 'commit 2', 'listen']);
});

test('one that dies in the commit does not hold it up, and one that starts meanwhile serves the same before it listens', async () => {
  const story = await running();
  const prepared = story.supervisor.prepare(generation(2));
  story.say({ kind: 'prepared', id: 2 }, 1, 2);
  const committed = watch((await prepared)());
  story.at(1).events.onExit('a fault');
  story.clock.advance(0);
  story.say({ kind: 'started' }, 1);
  story.say({ kind: 'committed', id: 2 }, 2);
  await settled();
  assert.equal(committed.state, 'pending');
  assert.deepEqual(story.at(1).told, ['prepare 2', 'commit 2', 'listen']);
  story.say({ kind: 'committed', id: 2 }, 1);
  await settled();
  assert.equal(committed.state, 'done');
});

test('a disk tier is told to all, and to a newcomer before it listens', async () => {
  const story = await running();
  const control = new SharedArrayBuffer(0);
  const identity = { hashKey: { k0: 0, k1: 0 }, boot: 1, barrierBase: 0, barrierKnown: 0 };
  const limits = { maxBytes: 1, segmentBytes: 1, maxObjects: 1, maxQueueBytes: 1, maxVariants: 1 };
  const sizes = { threads: 3, segments: 1, buckets: 1, ghosts: 1, files: [] };
  const memory = { control, counts: control, index: control };
  story.supervisor.useDisk({ kind: 'disk-awaited', handles: { hashKey: { k0: 0, k1: 0 }, bits: control } });
  story.supervisor.useDisk({ kind: 'disk', handles: { folder: '/', limits, identity, ...sizes, ...memory } });
  assert.deepEqual(
    [story.at(1).told, story.at(2).told],
    [
      ['disk-awaited', 'disk'],
      ['disk-awaited', 'disk'],
    ],
  );
  story.at(1).events.onExit('died');
  story.clock.advance(0);
  story.say({ kind: 'started' }, 1);
  assert.deepEqual(story.at(1).told, ['disk', 'prepare 1', 'commit 1', 'listen']);
});

test('one that does not answer is ended, and the rest goes on', async () => {
  const story = await running();
  const prepared = watch(story.supervisor.prepare(generation(2)));
  const hanging = story.at(2);
  story.say({ kind: 'prepared', id: 2 }, 1);
  story.clock.advance(ANSWER_MS);
  await settled();
  assert.ok(hanging.terminated);
  assert.equal(prepared.state, 'done');
  assert.match(story.lines.join(), /does not answer; ending it.*another takes its place/);
});

test('one that hangs is ended and replaced, one that turns now and then is not', async () => {
  const story = await running();
  const [steady, hung] = [story.at(1), story.at(2)];
  for (let i = 0; i < 3; i += 1) {
    story.hanging.add(2);
    story.clock.advance(MISSED_MAX * PULSE_MS);
    story.hanging.delete(2);
    story.clock.advance(PULSE_MS);
  }
  assert.deepEqual([steady.terminated, hung.terminated], [false, false]);
  story.hanging.add(2);
  // Seen as it is, and then so often as it was.
  story.clock.advance((MISSED_MAX + 1) * PULSE_MS);
  assert.deepEqual([steady.terminated, hung.terminated], [false, true]);
  assert.match(story.lines.join(), /a thread hangs; ending it.*another takes its place/);
  // Its successor is not judged before it serves.
  story.clock.advance(0);
  assert.notEqual(story.at(2), hung);
  story.clock.advance(5 * MISSED_MAX * PULSE_MS);
  assert.equal(story.at(2).terminated, false);
  story.say({ kind: 'started' }, 2);
  story.clock.advance((MISSED_MAX - 1) * PULSE_MS);
  story.hanging.delete(2);
  story.clock.advance(MISSED_MAX * PULSE_MS);
  assert.equal(story.at(2).terminated, false);
});

test('whoever hangs while it stops is left its grace', async () => {
  const story = await running();
  story.hanging.add(1);
  const stop = watch(story.supervisor.stop(60_000));
  story.clock.advance(60_000);
  assert.equal(story.at(1).terminated, false);
  story.clock.advance(1_000);
  await settled();
  assert.deepEqual([stop.state, story.at(1).terminated], ['done', true]);
});

test('deaths in a row are answered more and more slowly, and a long life begins anew', async () => {
  const story = await running();
  const waits: number[] = [];
  const die = (): void => {
    const before = story.spawned.length;
    story.at(1).events.onExit('a fault');
    let waited = 0;
    story.clock.advance(0);
    for (; story.spawned.length === before; waited += 100) story.clock.advance(100);
    waits.push(waited);
  };
  for (let i = 0; i < 4; i += 1) die();
  assert.deepEqual(waits, [0, 200, 400, 800]);
  for (let i = 0; i < 10; i += 1) die();
  assert.equal(waits.at(-1), 10_000);
  story.clock.advance(30_000);
  die();
  assert.equal(waits.at(-1), 0);
  assert.equal(story.died.length, 15);
});

test('what is not of the protocol ends the worker', async () => {
  const story = await running();
  const worker = story.at(1);
  worker.events.onMessage(undefined);
  assert.ok(worker.terminated);
  assert.deepEqual(story.died, [1]);
});

test('a start fails with what the worker says, or with why it ended, and nothing is started again', async () => {
  for (const say of [true, false]) {
    const story = new Story();
    const start = watch(story.supervisor.start(2));
    story.say({ kind: 'started' }, 1);
    if (say) story.say({ kind: 'failed', reason: 'the access log cannot be opened' }, 2);
    story.at(2).events.onExit('it ended with exit code 1');
    await settled();
    const reason = say ? 'the access log cannot be opened' : 'it ended with exit code 1';
    assert.deepEqual(start, { state: 'failed', reason });
    const stop = watch(story.supervisor.stop(0));
    story.at(1).events.onExit('');
    await settled();
    assert.equal(stop.state, 'done');
    story.clock.advance(60_000);
    assert.equal(story.spawned.length, 2);
  }
});

test('a stop lets those that serve end by themselves, ends those that load, and waits no longer than its grace', async () => {
  const story = await running();
  story.at(2).events.onExit('a fault');
  story.clock.advance(0);
  const [serving, loading] = [story.at(1), story.at(2)];
  const stop = watch(story.supervisor.stop(4_000));
  assert.deepEqual([serving.told, serving.terminated, loading.terminated], [['stop'], false, true]);
  story.clock.advance(4_999);
  await settled();
  assert.equal(stop.state, 'pending');
  story.clock.advance(1);
  await settled();
  assert.deepEqual([stop.state, serving.terminated], ['done', true]);
  story.clock.advance(60_000);
  assert.equal(story.spawned.length, 3, 'nobody takes the place of one that was stopped');
});

test('one that dies while the others stop, or that waits to be replaced, is not replaced', async () => {
  const story = await running();
  for (let i = 0; i < 2; i += 1) {
    story.at(1).events.onExit('a fault');
    story.clock.advance(0);
  }
  const stop = watch(story.supervisor.stop(4_000));
  story.at(2).events.onExit('a fault');
  await settled();
  assert.equal(stop.state, 'done');
  story.clock.advance(60_000);
  assert.equal(story.spawned.length, 3);
});

test('when ports are given away nobody listens any more, not even who comes later; who hangs is not waited for long', async () => {
  const story = await running();
  const closed = watch(story.supervisor.close());
  story.say({ kind: 'closed' }, 1);
  story.clock.advance(999);
  await settled();
  assert.equal(closed.state, 'pending');
  story.clock.advance(1);
  await settled();
  assert.equal(closed.state, 'done');
  story.at(1).events.onExit('a fault');
  story.clock.advance(0);
  story.say({ kind: 'started' }, 1);
  assert.deepEqual(story.at(1).told, ['prepare 1', 'commit 1']);
  assert.ok(!story.at(2).terminated);
});
