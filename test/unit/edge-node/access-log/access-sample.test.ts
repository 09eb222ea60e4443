// What the access log gets where it is not to get all.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sampled } from '../../../../edge-node/io/access-sample.ts';
import type { Settled } from '../../../../edge-node/ports.ts';
import { seededRandom } from '../../../../infra/runtime/random.ts';
import { World } from '../../../support/pipeline.ts';

interface Taken {
  readonly exchange: Settled;
  readonly bytes: number;
  readonly durationMs: number;
  readonly share: number | undefined;
}

function setUp(share: number, seed = 1) {
  const taken: Taken[] = [];
  const sink = (exchange: Settled, bytes: number, durationMs: number, of?: number): void => {
    taken.push({ exchange, bytes, durationMs, share: of });
  };
  return { taken, sink, log: sampled(sink, share, seededRandom(seed)) };
}

const world = new World();
world.store('hello');
const stored = world.last.exchange;

test('of a share about that many are logged, and each line says of which share it was drawn', () => {
  const { taken, log } = setUp(0.25);
  for (let i = 0; i < 4_000; i += 1) log(stored, i, 2);
  assert.ok(taken.length > 900 && taken.length < 1_100, `${taken.length} of 4000`);
  assert.ok(
    taken.every(({ exchange, durationMs, share }) => exchange === stored && durationMs === 2 && share === 0.25),
  );
});

test('the same chance draws the same', () => {
  const drawn = [1, 1, 2].map((seed) => {
    const { taken, log } = setUp(0.5, seed);
    for (let i = 0; i < 100; i += 1) log(stored, i, 0);
    return taken.map(({ bytes }) => bytes);
  });
  assert.deepEqual(drawn[0], drawn[1]);
  assert.notDeepEqual(drawn[0], drawn[2]);
});

test('with all of them nothing stands in between, and with none nothing is logged', () => {
  const all = setUp(1);
  assert.equal(all.log, all.sink);
  const none = setUp(0);
  for (let i = 0; i < 100; i += 1) none.log(stored, 0, 0);
  assert.equal(none.taken.length, 0);
});

test('what the edge or an origin failed is always logged, what a client did wrong is not', () => {
  const { taken, log } = setUp(0);
  const failing = new World();
  failing.request({ method: 'POST' });
  failing.call().answer(503, 'no');
  log(failing.last.exchange, 0, 0);
  failing.request({ method: 'POST' });
  failing.call().fail('body', 'origin-cut-off');
  log(failing.last.exchange, 0, 0);
  assert.deepEqual(
    taken.map(({ exchange, share }) => [exchange.status, exchange.failure?.code, share]),
    [
      [503, undefined, undefined],
      [502, 'origin-cut-off', undefined],
    ],
  );
  failing.request({ host: 'other.example' });
  log(failing.last.exchange, 0, 0);
  failing.request({ fields: ['cache-control', 'only-if-cached'] });
  assert.equal(failing.last.exchange.status, 504);
  log(failing.last.exchange, 0, 0);
  assert.equal(taken.length, 2);
});
