// Which slices are on their way, who waits for them, and what other threads know of it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CacheEntry } from '../../../../edge-node/decide/cache/entry.ts';
import { DEFAULT_FILL_LIMITS } from '../../../../edge-node/decide/cache/fills.ts';
import { sliceKey } from '../../../../edge-node/decide/cache/slices.ts';
import { ALONE, Flights, type Landing, OVER } from '../../../../edge-node/pipeline/slices/flights.ts';
import type { Ports } from '../../../../edge-node/ports.ts';
import { Elsewhere } from '../../../support/elsewhere.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { demoSnapshot, type World } from '../../../support/pipeline.ts';
import { rangeAnswer, serve } from '../../../support/range-origin.ts';
import { ask, assertPart, BODY, get, KEY, keyOf, OBJECT, sliceTest } from '../../../support/slices.ts';

const SLICED = { bytes: 10, length: 205, generation: 'g' };
/** Nobody looks into it here. */
const ENTRY = {} as CacheEntry;
const key = (index: number): string => sliceKey('k', SLICED, index);

function flights(limits = DEFAULT_FILL_LIMITS): {
  readonly all: Flights;
  readonly clock: FakeClock;
  readonly count: { waiting: number };
  /** Waits for slice `index`. */
  wait(index: number): { readonly landings: Landing[]; cancel(): void } | undefined;
} {
  const clock = new FakeClock();
  const count = { waiting: 0 };
  const all = new Flights({ clock } as unknown as Ports, count, limits);
  return {
    all,
    clock,
    count,
    wait: (index) => {
      const landings: Landing[] = [];
      const wait = all.wait(key(index), (landing) => landings.push(landing));
      return wait && { landings, cancel: () => wait.cancel() };
    },
  };
}

test('a part brings the slices that lie in it from end to end, and of many those that come next', () => {
  const { all } = flights();
  assert.equal(all.begin('k', SLICED, { from: 95, to: 115 })?.reach, 110);
  assert.equal(all.begin('k', SLICED, { from: 120, to: 205 })?.reach, 200);
  assert.equal(all.begin('k', SLICED, { from: 200, to: 205 })?.reach, 205);
  assert.equal(all.begin('k', { ...SLICED, generation: 'h' }, { from: 0, to: 5 }), undefined);
});

test('one slice is brought by one: a part ends where that of another begins', () => {
  const { all } = flights();
  const later = all.begin('k', SLICED, { from: 30, to: 50 });
  const sooner = all.begin('k', SLICED, { from: 10, to: 60 });
  assert.deepEqual([later?.reach, sooner?.reach], [50, 30]);
  assert.equal(all.begin('k', SLICED, { from: 20, to: 30 }), undefined);
  assert.ok(all.begin('other', SLICED, { from: 20, to: 30 }));
});

test('whoever waits is told when his slice has landed, and the next is announced', () => {
  const { all, wait, count } = flights();
  const flight = all.begin('k', SLICED, { from: 0, to: 205 });
  const [one, two] = [wait(0), wait(1)];
  assert.deepEqual([flight?.reach, flight?.awaited, count.waiting], [80, true, 2]);
  flight?.land(0, ENTRY);
  flight?.land(1, undefined);
  assert.deepEqual([one?.landings, two?.landings], [[{ kind: 'stored', entry: ENTRY }], [ALONE]]);
  assert.deepEqual([flight?.reach, flight?.awaited, count.waiting], [100, false, 0]);
});

test('what has passed is not announced any more, whoever was to bring it', () => {
  const { all } = flights();
  const other = all.begin('k', SLICED, { from: 10, to: 20 });
  const whole = all.begin('k', SLICED, { from: 0, to: 50 });
  assert.equal(whole?.reach, 10);
  for (const index of [0, 1]) whole?.land(index, ENTRY);
  other?.end(OVER);
  whole?.land(2, ENTRY);
  assert.ok(all.begin('k', SLICED, { from: 10, to: 20 }));
});

test('the end is told to all who are left, after what is to be done first', () => {
  const { all, wait } = flights();
  const flight = all.begin('k', SLICED, { from: 0, to: 20 });
  const waits = [wait(0), wait(1)];
  const failed: Landing = { kind: 'failed', failure: { code: 'origin-cut-off', detail: '' } };
  flight?.end(failed, () => {
    assert.deepEqual(
      waits.map((one) => one?.landings),
      [[], []],
    );
    assert.ok(all.begin('k', SLICED, { from: 0, to: 20 }));
  });
  flight?.end(OVER);
  assert.deepEqual(
    waits.map((one) => one?.landings),
    [[failed], [failed]],
  );
});

test('who does not wait any more is not told: because of another, of the time, or of his own', () => {
  const { all, wait, clock, count } = flights();
  const flight = all.begin('k', SLICED, { from: 0, to: 10 });
  const late = wait(0);
  clock.advance(DEFAULT_FILL_LIMITS.waitMs);
  assert.deepEqual(late?.landings, [ALONE]);
  const left = wait(0);
  left?.cancel();
  const landings: string[] = [];
  let second: { cancel(): void } | undefined;
  all.wait(key(0), () => {
    landings.push('first');
    second?.cancel();
  });
  second = all.wait(key(0), () => landings.push('second'));
  flight?.land(0, ENTRY);
  assert.deepEqual([left?.landings, landings, count.waiting], [[], ['first'], 0]);
});

test('no more than may', () => {
  const { all, wait } = flights({ ...DEFAULT_FILL_LIMITS, waiters: 1 });
  all.begin('k', SLICED, { from: 0, to: 10 });
  assert.ok(wait(0));
  assert.equal(wait(0), undefined);
});

function elsewhereTest(name: string, run: (world: World, elsewhere: Elsewhere) => void): void {
  const elsewhere = new Elsewhere();
  sliceTest(name, (world) => run(world, elsewhere), {
    claims: elsewhere,
    snapshot: demoSnapshot(1, { sliceBytes: 10 }),
  });
}

elsewhereTest('what another thread has asked for is waited for, and found when it is stored', (world, elsewhere) => {
  get(world, 'bytes=0-19');
  const [slice] = world.cache.find(keyOf(world, 1));
  assert.ok(slice);
  world.cache.remove(keyOf(world, 1));
  elsewhere.taken.add(keyOf(world, 1));
  const clients = [ask(world, 'bytes=12-15'), ask(world, 'bytes=5-15')];
  assert.deepEqual([world.calls.length, world.fills.stats().waiting], [1, 2]);
  world.cache.put(slice);
  elsewhere.free();
  assertPart(clients[0] ?? assert.fail(), 12, 16);
  assertPart(clients[1] ?? assert.fail(), 5, 16);
});

elsewhereTest('if nothing came of it, one of those who wait asks; if it was of no use, each', (world, elsewhere) => {
  get(world, 'bytes=0-9');
  for (const useless of [false, true]) {
    const index = useless ? 3 : 1;
    elsewhere.taken.add(keyOf(world, index));
    const before = world.calls.length;
    const clients = Array.from({ length: 3 }, () => ask(world, `bytes=${index}2-${index}5`));
    elsewhere.free(useless);
    assert.equal(world.calls.length - before, useless ? 3 : 1);
    for (const call of world.calls.slice(before)) serve(call, OBJECT);
    for (const client of clients) assertPart(client, index * 10 + 2, index * 10 + 6);
  }
});

elsewhereTest('a part ends in front of what another thread brings', (world, elsewhere) => {
  get(world, 'bytes=0-9');
  elsewhere.taken.add(keyOf(world, 2));
  const client = ask(world, 'bytes=5-29');
  serve(world.calls[1] ?? assert.fail(), OBJECT);
  assert.equal(world.calls.length, 2);
  elsewhere.free();
  serve(world.calls[2] ?? assert.fail(), OBJECT);
  assert.equal(world.calls[2]?.field('range'), 'bytes=20-29');
  assertPart(client, 5, 30);
});

elsewhereTest(
  'a slow client that another thread waits for is let go; else no other thread is kept waiting',
  (world, elsewhere) => {
    for (const awaited of [true, false]) {
      world.cache.remove(KEY);
      elsewhere.released.length = 0;
      const client = ask(world, 'bytes=0-29');
      client.slow = true;
      const call = world.calls.at(-1) ?? assert.fail();
      call.head(206, rangeAnswer(OBJECT, call.request.fields).fields);
      if (awaited) elsewhere.awaited.add(keyOf(world, 1));
      call.data(BODY.slice(0, 3));
      // That of the first request, and of the slices that would be held.
      assert.deepEqual([call.paused, elsewhere.released.length], awaited ? [false, 1] : [true, 4]);
      client.drain();
      call.data(BODY.slice(3, 30)).end();
      assertPart(client, 0, 30);
      assert.equal(elsewhere.released.length, 4);
    }
  },
);

elsewhereTest('what another thread has stored just before it is asked for here is used', (world, elsewhere) => {
  get(world, 'bytes=0-29');
  for (const range of ['bytes=12-15', 'bytes=5-15']) {
    const [slice] = world.cache.find(keyOf(world, 1));
    assert.ok(slice);
    world.cache.remove(keyOf(world, 1));
    const { claim } = elsewhere;
    elsewhere.claim = (key) => {
      world.cache.put(slice);
      return claim.call(elsewhere, key);
    };
    const client = ask(world, range);
    elsewhere.claim = claim;
    assert.deepEqual([client.state, world.calls.length], ['ended', 1]);
  }
});
