// A purge of a great many objects, in units of work: what raising the barrier writes, what the sweeper does between two moments at
// which anything else may run, and what a hit has to do again. In time: test/soak/purge.ts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CacheStore } from '../../../../edge-node/decide/cache/entry.ts';
import { isPurged } from '../../../../edge-node/decide/purged.ts';
import { allocateSharedStore } from '../../../../edge-node/io/shared/handles.ts';
import { allocateSharedBarrier, SharedBarrier } from '../../../../edge-node/io/shared/shared-barrier.ts';
import { SharedStore } from '../../../../edge-node/io/shared/shared-store.ts';
import { Sweeper } from '../../../../edge-node/io/sweeper.ts';
import type { Purge } from '../../../../proto/gen/meridian/v1/purge.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { headOf, named } from '../cache/support.ts';

const KEY = { k0: 1, k1: 2 };
const OBJECTS = 100_000;
const HOT = 200;
const PURGE: Purge = {
  sequence: 1,
  targets: [{ target: { $case: 'tag', value: { tag: 'all', hosts: [] } } }],
  soft: false,
};
/** The sweeper's, and what one batch may go beyond it. */
const STEP = 800;
const BATCH = 32;
const PAUSE_MS = 5;

const tagged = headOf(['cache-control', 'max-age=60', 'surrogate-key', 'all']);
const untagged = headOf(['cache-control', 'max-age=60']);
const body = Buffer.from('a body');

test('100,000 objects under one tag: the barrier in a few writes, the space in small steps, hits as before', () => {
  const handles = allocateSharedStore({ maxBytes: 64 * 1024 * 1024, maxObjects: OBJECTS + HOT }, 2, KEY);
  const [main, other] = [new SharedStore(handles, 0, { localBytes: 0 }), new SharedStore(handles, 1)];
  const barriers = allocateSharedBarrier(KEY);
  const [barrier, seen] = [new SharedBarrier(barriers), new SharedBarrier(structuredClone(barriers))];
  for (let i = 0; i < OBJECTS; i += 1) main.put({ ...named(`/${i}`), head: tagged, body });
  const hot = Array.from({ length: HOT }, (_, i) => named(`/hot/${i}`).key);
  for (let i = 0; i < HOT; i += 1) main.put({ ...named(`/hot/${i}`), head: untagged, body });
  assert.deepEqual([main.stats().objects, main.stats().evictions], [OBJECTS + HOT, 0]);

  let looked = 0;
  const counted: CacheStore = Object.assign(Object.create(main), {
    sweep: (purged: Parameters<CacheStore['sweep']>[0], budget: number) =>
      main.sweep((entry) => {
        looked += 1;
        return purged(entry);
      }, budget),
  });
  const clock = new FakeClock();
  const sweeper = new Sweeper(counted, barrier, clock);
  sweeper.apply(PURGE);
  assert.ok(barrier.stats().filled <= 4, 'raising it wrote more than its few cells');
  assert.equal(looked, 0, 'the purge waited for a look at what is stored');
  for (const target of ['/0', `/${OBJECTS - 1}`]) {
    const [entry] = other.find(named(target).key);
    assert.ok(entry && isPurged(seen, entry), 'what is covered counts as purged before it is gone');
  }

  const lists = hot.map((key) => other.find(key)).map((_, i) => other.find(hot[i] ?? ''));
  let steps = 0;
  let again = 0;
  while (main.stats().objects > HOT) {
    looked = 0;
    clock.advance(PAUSE_MS);
    steps += 1;
    assert.ok(looked <= STEP + BATCH, `${looked} entries in one step`);
    assert.ok(steps <= (OBJECTS + HOT) / STEP + 2, 'the sweep does not come to an end');
    for (const [i, key] of hot.entries()) {
      const found = other.find(key);
      const [entry] = found;
      assert.ok(entry && !isPurged(seen, entry), `${key} is not a hit any more`);
      if (found !== lists[i]) again += 1;
      lists[i] = found;
    }
  }
  const { objects, bytes, swept } = main.stats();
  const size = other.find(hot[0] ?? '')[0]?.size ?? 0;
  assert.deepEqual([objects, swept], [HOT, OBJECTS]);
  assert.ok(bytes <= HOT * (size + 8), `${bytes} bytes are left`);
  // In pauses alone: the work of a step is bounded above.
  assert.ok(steps * PAUSE_MS < 1_000);
  // A list is read again when something else of its bucket went, whose hash has the same bit: of 1.5 for each list here, half.
  assert.ok(again < HOT, `hits were read anew ${again} times in ${steps * HOT}`);
  sweeper.stop();
});
