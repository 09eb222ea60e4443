// What is decided about fills: who may wait, what becomes of an abandoned body, and when a hit refreshes what it found.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NO_DIRECTIVES, parseCacheControl } from '../../../../edge-node/decide/cache/cache-control.ts';
import {
  afterFailure,
  isStreamed,
  looksAlike,
  mayWait,
  nearsExpiry,
  refreshesEarly,
  supersedes,
  whenAbandoned,
} from '../../../../edge-node/decide/cache/fills.ts';
import { RecentKeys } from '../../../../edge-node/decide/cache/recent-keys.ts';
import { seededRandom } from '../../../../infra/runtime/random.ts';
import { World } from '../../../support/pipeline.ts';

const KB = 1024;

test('who wants what is newer than now waits for nothing that was asked for before', () => {
  for (const [control, may] of [
    ['no-cache', false],
    ['max-age=0', false],
    ['max-age=1', true],
    ['no-store', true],
    ['max-stale', true],
  ] as const) {
    assert.equal(mayWait(parseCacheControl(control)), may, control);
  }
  assert.equal(mayWait(NO_DIRECTIVES), true);
});

test('requests look alike in what the answer varies by, understood as Vary is', () => {
  const vary = ['accept-encoding'];
  assert.equal(looksAlike([], ['a', '1'], ['a', '2']), true);
  assert.equal(looksAlike(vary, ['accept-encoding', 'gzip, br'], ['accept-encoding', 'br,gzip']), true);
  assert.equal(looksAlike(vary, ['accept-encoding', 'gzip'], []), false);
});

test('a body that nobody takes is fetched to its end when little is left of it, or half', () => {
  for (const [length, left, kind, reason] of [
    [undefined, 0, 'abort', 'length-unknown'],
    [10 * KB, 10 * KB, 'finish', 'little-left'],
    [10_000 * KB, 256 * KB, 'finish', 'little-left'],
    [10_000 * KB, 5_000 * KB, 'finish', 'half-done'],
    [10_000 * KB, 5_000 * KB + 1, 'abort', 'much-left'],
  ] as const) {
    assert.deepEqual(whenAbandoned(length, left), { kind, reason });
  }
});

test('long bodies of known length are streamed; one failure is forgiven; what is gone ends what is stored', () => {
  assert.deepEqual([isStreamed(undefined), isStreamed(64 * KB), isStreamed(64 * KB + 1)], [false, false, true]);
  assert.deepEqual([afterFailure(1), afterFailure(2)], ['again', 'refuse']);
  const ends = (reason: string) => [200, 206, 302, 404, 410, 403, 429, 503].filter((s) => supersedes(s, reason));
  assert.deepEqual(ends('no-store'), [200, 302, 404, 410]);
  for (const ofTheRequest of ['authorization', 'request-no-store']) assert.deepEqual(ends(ofTheRequest), []);
});

test('keys are remembered for a while, and no more than so many', () => {
  const keys = new RecentKeys(2, 100);
  keys.note('a', 0);
  keys.note('b', 10);
  assert.deepEqual([keys.has('a', 99), keys.has('a', 100), keys.size], [true, false, 1]);
  keys.note('c', 10);
  keys.note('b', 20);
  keys.note('d', 20);
  assert.deepEqual([keys.has('c', 20), keys.has('b', 119), keys.has('d', 20), keys.size], [false, true, true, 2]);
  keys.forget('d');
  assert.equal(keys.has('d', 20), false);
});

test('a hit refreshes the more likely the nearer the end is, and the longer a refresh takes', () => {
  const world = new World();
  world.store('x');
  const [entry] = world.cache.find('http://demo.example/');
  assert.ok(entry);
  const { head } = entry;
  assert.deepEqual(
    [60_000, 6_001, 501, 500, 1, 0, -1].map((ttl) => nearsExpiry(head, ttl)),
    [false, false, false, true, true, false, false],
  );
  const slow = { ...head, receivedAt: head.requestedAt + 1_000 };
  assert.deepEqual([nearsExpiry(slow, 6_001), nearsExpiry(slow, 6_000)], [false, true]);
  const random = seededRandom(1);
  const share = (of: typeof head, ttl: number): number => {
    let refreshed = 0;
    for (let i = 0; i < 10_000; i += 1) if (refreshesEarly(of, ttl, random.next())) refreshed += 1;
    return refreshed / 10_000;
  };
  // e^(-ttl / duration)
  for (const [of, ttl, expected] of [
    [head, 50, 0.368],
    [head, 150, 0.0498],
    [head, 500, 0],
    [slow, 1_000, 0.368],
    [slow, 100, 0.905],
  ] as const) {
    assert.ok(Math.abs(share(of, ttl) - expected) < 0.02, `${ttl} ms: ${share(of, ttl)}`);
  }
});
