// Keys that one thread asks for, as the others see them; and what unsafe requests made invalid for all of them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TAKEN, UNSHARED } from '../../../../edge-node/decide/cache/fills.ts';
import { allocateSharedFills, SharedFills } from '../../../../edge-node/io/shared/shared-fills.ts';
import {
  allocateSharedInvalidations,
  SharedInvalidations,
} from '../../../../edge-node/io/shared/shared-invalidations.ts';

const KEY = { k0: 1, k1: 2 };
const LONG_MS = 60_000;

function threads(): [SharedFills, SharedFills, SharedFills] {
  const handles = allocateSharedFills(3, KEY);
  return [new SharedFills(handles, 0), new SharedFills(handles, 1), new SharedFills(handles, 2)];
}

const freed = (fills: SharedFills, key: string, ms = LONG_MS): Promise<boolean> =>
  new Promise((resolve) => fills.whenFree(key, ms, resolve));

test('one thread asks for a key, the others wait until it is over', async () => {
  const [, a, b] = threads();
  const claim = a.claim('/a');
  assert.ok(claim >= 0);
  assert.deepEqual([b.claim('/a'), a.claim('/a')], [TAKEN, UNSHARED]);
  assert.ok(b.claim('/b') >= 0);
  assert.equal(a.isAwaited(claim), false);
  const waits = [freed(b, '/a'), freed(b, '/a')];
  assert.equal(a.isAwaited(claim), true);
  a.release(claim, false);
  assert.deepEqual(await Promise.all(waits), [false, false]);
  assert.ok(b.claim('/a') >= 0);
});

test('of two that ask for a key at the same moment one waits', (t) => {
  const [, a, b] = threads();
  const { compareExchange } = Atomics;
  const mocked = t.mock.method(Atomics, 'compareExchange', (...given: Parameters<typeof compareExchange>) => {
    mocked.mock.restore();
    assert.ok(a.claim('/a') >= 0);
    return compareExchange(...given);
  });
  assert.equal(b.claim('/a'), TAKEN);
});

test('they learn when it was of no use to them, and the next may ask all the same', async () => {
  const [, a, b] = threads();
  const wait = freed(b, '/a');
  assert.equal(await wait, false, 'nobody asks');
  const claim = a.claim('/a');
  const useless = freed(b, '/a');
  a.release(claim, true);
  assert.equal(await useless, true);
  assert.ok(b.claim('/a') >= 0);
});

test('a wait ends when its time is over', async () => {
  const [, a, b] = threads();
  a.claim('/a');
  assert.equal(await freed(b, '/a', 1), false);
});

test('what a dead thread asked for is free', async () => {
  const [main, a, b] = threads();
  a.claim('/a');
  const claim = b.claim('/b');
  const wait = freed(b, '/a');
  main.recover(1);
  assert.equal(await wait, false);
  assert.ok(b.claim('/a') >= 0);
  assert.equal(a.claim('/b'), TAKEN);
  b.release(claim, false);
});

test('keys that meet in one cell are asked for without it', () => {
  const [, a, b] = threads();
  const taken = new Map<number, string>();
  for (let i = 0; i < 2_000; i += 1) {
    const claim = a.claim(`/${i}`);
    if (claim === UNSHARED) {
      assert.notEqual(b.claim(`/${i}`), TAKEN);
      return;
    }
    taken.set(claim, `/${i}`);
  }
  assert.fail('two of 2,000 keys meet in one of 16,384 cells');
});

test('numbers of threads that make no sense are refused', () => {
  assert.throws(() => allocateSharedFills(0, KEY), RangeError);
  assert.throws(() => allocateSharedFills(511, KEY), RangeError);
  assert.throws(() => new SharedFills(allocateSharedFills(2, KEY), 2), RangeError);
});

test('what one thread was told to forget, no thread stores that asked for it before', () => {
  const handles = allocateSharedInvalidations(KEY);
  const [a, b] = [new SharedInvalidations(handles), new SharedInvalidations(handles)];
  const before = a.moment;
  assert.equal(a.bars('/a', before), false);
  b.note('/a');
  assert.deepEqual([a.bars('/a', before), a.bars('/b', before), a.bars('/a', a.moment)], [true, false, false]);
  const between = a.moment;
  a.note('/b');
  assert.deepEqual([b.bars('/a', between), b.bars('/b', between)], [false, true]);
});
