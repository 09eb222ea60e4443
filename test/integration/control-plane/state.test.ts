// The world in memory, over a store whose watch a test can hold back and break.
import assert from 'node:assert/strict';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { KEYS, resourceKey } from '../../../control-plane/decide/keys.ts';
import { planPurge } from '../../../control-plane/decide/purge.ts';
import { openSqliteStore } from '../../../control-plane/io/sqlite-store.ts';
import { State } from '../../../control-plane/io/state.ts';
import { Writer } from '../../../control-plane/io/writer.ts';
import { type Reading, type Store, StoreError, type WatchHandlers } from '../../../control-plane/ports.ts';
import { silentLog } from '../../../infra/runtime/log.ts';
import { seededRandom } from '../../../infra/runtime/random.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { tempFolder } from '../../support/temp.ts';
import { until } from '../../support/until.ts';
import { commit, put } from './store-contract.ts';

/** A real store, but for what a network would do to it. */
class Wire {
  readonly store: Store;
  readonly #held: (() => void)[] = [];
  #holding = false;
  #down: string | undefined;
  readonly #watchers = new Set<WatchHandlers>();
  reads = 0;

  constructor(store: Store) {
    const guard = <T>(call: () => Promise<T>): Promise<T> => {
      if (this.#down !== undefined) return Promise.reject(new StoreError('unavailable', this.#down));
      return call();
    };
    this.store = {
      kind: 'etcd',
      place: 'test',
      session: undefined,
      identity: () => guard(() => store.identity()),
      read: (prefix): Promise<Reading> => {
        this.reads += 1;
        return guard(() => store.read(prefix));
      },
      commit: (transaction) => guard(() => store.commit(transaction)),
      watch: (prefix, fromRevision, handlers) => {
        const watch = store.watch(prefix, fromRevision, {
          onBatch: (batch) => {
            const deliver = (): void => {
              if (this.#watchers.has(handlers)) handlers.onBatch(batch);
            };
            if (this.#holding) this.#held.push(deliver);
            else deliver();
          },
          onLost: handlers.onLost,
        });
        this.#watchers.add(handlers);
        return {
          stop: () => {
            this.#watchers.delete(handlers);
            watch.stop();
          },
        };
      },
      close: () => store.close(),
    };
  }

  hold(): void {
    this.#holding = true;
  }

  /** What was held never comes. */
  drop(): void {
    this.#holding = false;
    this.#held.length = 0;
  }

  release(): void {
    this.#holding = false;
    for (const deliver of this.#held.splice(0)) deliver();
  }

  break(reason: string): void {
    this.#down = reason;
    const watchers = [...this.#watchers];
    this.#watchers.clear();
    for (const handlers of watchers) handlers.onLost(reason);
  }

  mend(): void {
    this.#down = undefined;
  }
}

async function open(t: TestContext) {
  const clock = new FakeClock();
  const wire = new Wire(openSqliteStore(path.join(tempFolder(t), 'meridian.db')));
  const ports = { store: wire.store, clock, random: seededRandom(1), log: silentLog };
  const state = await State.open(ports, 1000);
  t.after(async () => {
    state.stop();
    await wire.store.close();
  });
  return { clock, wire, ports, state, writer: new Writer(wire.store, state, clock) };
}

const AUTHOR = {
  caller: { name: 'test', role: 'purge', proof: 'certificate', peer: '' },
  note: () => ({ action: 'purge', detail: 'all' }),
} as const;

const appendPurge = (writer: Writer, idempotencyKey: string) =>
  writer.write(
    (world) =>
      planPurge(world.purges, { targets: [{ target: { $case: 'all', value: {} } }], soft: false, idempotencyKey }, 0),
    AUTHOR,
  );

test('an empty store is given its first epoch, which stays', async (t) => {
  const { state, ports, clock } = await open(t);
  assert.equal(state.world.epoch, clock.now());
  clock.advance(1000);
  const other = await State.open(ports, 1000);
  t.after(() => other.stop());
  assert.equal(other.world.epoch, state.world.epoch);
});

test('catching up waits for all that was durable before, and for no more', async (t) => {
  const { state, wire, ports } = await open(t);
  const other = await State.open(ports, 1000);
  t.after(() => other.stop());
  const writer = new Writer(wire.store, other, new FakeClock());
  assert.equal(await state.catchUp(1000), true);
  wire.hold();
  await appendPurge(writer, 'a');
  let caught = false;
  const catching = state.catchUp(1000).then((current) => {
    caught = true;
    return current;
  });
  for (let i = 0; i < 20; i += 1) await new Promise(setImmediate);
  assert.equal(caught, false);
  assert.equal(state.world.purges.last, 0);
  wire.release();
  assert.equal(await catching, true);
  assert.equal(state.world.purges.last, 1);
});

test('many who catch up at the same moment ask the store once or twice', async (t) => {
  const { state, wire } = await open(t);
  const before = wire.reads;
  const all = await Promise.all(Array.from({ length: 100 }, () => state.catchUp(1000)));
  assert.ok(all.every(Boolean));
  assert.ok(wire.reads - before <= 6, `${wire.reads - before} reads`);
});

test('catching up gives up in time when the store is out of reach, or the watch lags', async (t) => {
  const { state, wire, writer, clock } = await open(t);
  wire.hold();
  await appendPurge(writer, 'a');
  const late = state.catchUp(1000);
  await new Promise(setImmediate);
  clock.advance(1000);
  assert.equal(await late, false);
  wire.release();
  wire.break('cable pulled');
  assert.equal(await state.catchUp(1000), false);
});

test('a watch that breaks is followed by reading again, with pauses, until the store is back', async (t) => {
  const { state, wire, writer, clock } = await open(t);
  await appendPurge(writer, 'a');
  wire.break('cable pulled');
  await until('the loss to be known', () => state.lost === 'cable pulled');
  await assert.rejects(appendPurge(writer, 'b'), /cable pulled/);
  assert.equal(state.world.purges.last, 1);
  const before = wire.reads;
  for (let i = 0; i < 100; i += 1) {
    clock.advance(100);
    await new Promise(setImmediate);
  }
  assert.ok(wire.reads - before >= 4 && wire.reads - before <= 12, `${wire.reads - before} reads in 10 s`);
  wire.mend();
  await until('it to be back', () => {
    clock.advance(1000);
    return state.lost === undefined;
  });
  await appendPurge(writer, 'b');
  await state.reached(state.world.revision, 0);
  await until('the second purge', () => state.world.purges.last === 2);
});

test('after an outage of a minute the store is in sight again within two seconds', async (t) => {
  const { state, wire, clock } = await open(t);
  wire.break('all members are down');
  await until('the loss to be known', () => state.lost !== undefined);
  const pass = async (ms: number, over: () => boolean): Promise<number> => {
    let passed = 0;
    for (; passed < ms && !over(); passed += 100) {
      clock.advance(100);
      for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate);
    }
    return passed;
  };
  await pass(60_000, () => false);
  assert.notEqual(state.lost, undefined);
  wire.mend();
  assert.ok((await pass(10_000, () => state.lost === undefined)) <= 2000);
});

test('what was missed while the watch was broken is there afterwards, and listeners hear of it', async (t) => {
  const { state, wire, clock } = await open(t);
  const heard: number[] = [];
  state.onChange((world) => heard.push(world.purges.last));
  wire.break('cable pulled');
  wire.mend();
  for (const sequence of [1, 2, 3]) await commit(wire.store, ...purgeOperations(sequence));
  await until('the state to be read again', () => {
    clock.advance(1000);
    return state.world.purges.last === 3;
  });
  assert.deepEqual(heard, [3]);
});

/** What another control plane would write. */
function purgeOperations(sequence: number) {
  const log = { epoch: 1, last: sequence - 1, headRevision: 0, records: [] };
  const plan = planPurge(
    log,
    { targets: [{ target: { $case: 'all', value: {} } }], soft: false, idempotencyKey: String(sequence) },
    0,
  );
  if (plan.kind !== 'commit') throw new Error(plan.kind);
  return plan.transaction.operations;
}

test('a value that cannot be read leaves the last world standing and is named, until it is mended', async (t) => {
  const { state, wire, clock } = await open(t);
  const key = resourceKey('edge', 'london');
  await commit(wire.store, put(key, '{"name":"london","location":{}}'), put(KEYS.head, '{}'));
  await until('the edge', () => state.world.edges.has('london'));
  await commit(wire.store, put(key, 'not JSON'), put(KEYS.head, '{}'));
  await until('the trouble to be known', () => state.lost !== undefined);
  assert.match(state.lost ?? '', new RegExp(`the value of ${key} cannot be read`));
  assert.ok(state.world.edges.has('london'));
  await commit(wire.store, put(key, '{"name":"london","location":{"latitude":1}}'), put(KEYS.head, '{}'));
  await until('it to be mended', () => {
    clock.advance(1000);
    return state.lost === undefined;
  });
  assert.equal(state.world.snapshot?.edges[0]?.location?.latitude, 1);
});

test('a writer that another is faster than plans again from the new world', async (t) => {
  const { wire, ports, writer, state } = await open(t);
  const other = await State.open(ports, 1000);
  t.after(() => other.stop());
  const rival = new Writer(wire.store, other, new FakeClock());
  wire.hold();
  await appendPurge(rival, 'rival');
  let plans = 0;
  const writing = writer.write((world) => {
    plans += 1;
    return planPurge(
      world.purges,
      { targets: [{ target: { $case: 'all', value: {} } }], soft: false, idempotencyKey: 'own' },
      0,
    );
  }, AUTHOR);
  for (let i = 0; i < 20; i += 1) await new Promise(setImmediate);
  assert.equal(plans, 1);
  wire.release();
  const { plan } = await writing;
  assert.equal(plans, 2);
  assert.ok(plan.kind === 'commit' && plan.position.sequence === 2);
  await until('both purges', () => state.world.purges.last === 2);
});

/** Moves time on until something is so. */
const meanwhile = (clock: FakeClock, what: string, condition: () => boolean) =>
  until(what, () => {
    clock.advance(500);
    return condition();
  });

test('what a watch swallowed is found by the audit and read again, whether or not more came after it', async (t) => {
  for (const more of [true, false]) {
    const { clock, wire, state, writer } = await open(t);
    wire.hold();
    await appendPurge(writer, 'swallowed');
    wire.drop();
    // A writer that does not see its own write come back waits for it a while.
    if (more) {
      clock.advance(5000);
      await wire.store.commit({ compares: [], operations: [{ kind: 'put', key: '/meridian/other', value: '1' }] });
      await until('what came after it', () => state.world.revision === 3);
    }
    assert.equal(state.world.purges.last, 0);
    await meanwhile(clock, 'the audit', () => state.world.purges.last === 1);
    await meanwhile(clock, 'the store to be in sight', () => state.lost === undefined);
    assert.equal(state.world.purges.records.length, 1);
  }
});
