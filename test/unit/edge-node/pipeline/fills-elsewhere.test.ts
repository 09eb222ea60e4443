// Fills of other threads: who comes here waits until they are over, and looks up what they have stored.
import assert from 'node:assert/strict';
import { DEFAULT_FILL_LIMITS } from '../../../../edge-node/decide/cache/fills.ts';
import { Elsewhere } from '../../../support/elsewhere.ts';
import type { FakeClient } from '../../../support/fake-ports.ts';
import { pipelineTest, World } from '../../../support/pipeline.ts';

const FRESH = ['cache-control', 'max-age=60'];

function elsewhereTest(name: string, run: (world: World, elsewhere: Elsewhere) => void): void {
  const elsewhere = new Elsewhere();
  pipelineTest(name, (world) => run(world, elsewhere), { claims: elsewhere });
}

const KEY = 'http://demo.example/';

function waiting(world: World, elsewhere: Elsewhere): FakeClient[] {
  elsewhere.taken.add(KEY);
  const clients = Array.from({ length: 3 }, () => world.request());
  assert.deepEqual([world.calls.length, world.fills.stats().waiting], [0, 3]);
  return clients;
}

elsewhereTest('what another thread has stored answers all who have waited for it', (world, elsewhere) => {
  const other = new World();
  const clients = waiting(world, elsewhere);
  other.store('hello');
  const [entry] = other.cache.find(KEY);
  assert.ok(entry);
  world.cache.put(entry);
  elsewhere.free();
  for (const client of clients) assert.deepEqual([client.text, client.cache], ['hello', 'hit; ttl=60']);
  assert.equal(world.calls.length, 0);
});

elsewhereTest(
  'what another thread stores between the look-up and the claim is not asked for again',
  (world, elsewhere) => {
    const other = new World();
    other.store('hello');
    const [entry] = other.cache.find(KEY);
    assert.ok(entry);
    elsewhere.before = () => world.cache.put(entry);
    const client = world.request();
    assert.deepEqual([client.text, client.cache, world.calls.length], ['hello', 'hit; ttl=60', 0]);
    assert.deepEqual(elsewhere.released, [false]);
  },
);

elsewhereTest('what another thread validates meanwhile is not asked about again', (world, elsewhere) => {
  world.store('hello', FRESH);
  const [entry] = world.cache.find(KEY);
  assert.ok(entry);
  world.clock.advance(61_000);
  const now = world.clock.now();
  elsewhere.before = () =>
    world.cache.put({ ...entry, head: { ...entry.head, requestedAt: now, receivedAt: now, dateMs: now } });
  assert.deepEqual([world.request().cache, world.calls.length], ['hit; ttl=60', 1]);
  // What is stored and has to be asked about is asked about, and not looked up for ever.
  world.clock.advance(61_000);
  elsewhere.before = () => undefined;
  world.request();
  assert.equal(world.calls.length, 2);
  world.calls[1]?.answer(200, 'new', FRESH);
});

elsewhereTest('what nobody may store is asked for by each', (world, elsewhere) => {
  const clients = waiting(world, elsewhere);
  elsewhere.free(true);
  assert.equal(world.calls.length, clients.length);
  for (const call of world.calls) call.answer(200, '', ['cache-control', 'private']);
});

elsewhereTest('when nothing came of it, or its thread has died, one of those who wait asks', (world, elsewhere) => {
  const clients = waiting(world, elsewhere);
  elsewhere.free();
  world.call().answer(200, 'hello', FRESH);
  assert.deepEqual(
    clients.map(({ text }) => text),
    ['hello', 'hello', 'hello'],
  );
});

elsewhereTest('nobody waits for ever', (world, elsewhere) => {
  const clients = waiting(world, elsewhere);
  clients[0]?.leave();
  world.clock.advance(DEFAULT_FILL_LIMITS.waitMs);
  assert.equal(world.calls.length, 2);
  for (const call of world.calls) call.answer(200, 'hello', FRESH);
  elsewhere.free();
});

elsewhereTest('who wants what is newer than what another asks for does not wait', (world, elsewhere) => {
  elsewhere.taken.add(KEY);
  world.request({ fields: ['cache-control', 'no-cache'] });
  world.call().answer(200, 'hello', FRESH);
});

elsewhereTest('a claim is given back once, however it ends, with what it was worth to others', (world, elsewhere) => {
  const ends: readonly (readonly [string, boolean, () => void])[] = [
    ['stored', false, () => world.call().answer(200, 'hello', FRESH)],
    ['private', true, () => world.call().answer(200, 'hello', ['cache-control', 'private'])],
    ['broken', false, () => world.call().head(200, FRESH).data('x').fail('body')],
    [
      'failed',
      false,
      () => {
        for (let i = 0; i < 3; i += 1) world.call().fail('connect');
      },
    ],
    [
      'left',
      false,
      () => {
        world.clients.at(-1)?.leave();
        world.call();
      },
    ],
  ];
  for (const [target, useless, end] of ends) {
    elsewhere.released.length = 0;
    world.request({ target: `/${target}` });
    assert.deepEqual(elsewhere.released, []);
    end();
    assert.deepEqual(elsewhere.released, [useless], target);
  }
});

elsewhereTest('what another thread refreshes is not refreshed here', (world, elsewhere) => {
  world.store('stored', ['cache-control', 'max-age=60, stale-while-revalidate=60']);
  world.clock.advance(61_000);
  elsewhere.taken.add(KEY);
  assert.equal(world.request().text, 'stored');
  assert.equal(world.calls.length, 1);
  elsewhere.taken.clear();
  world.request();
  world.call().answer(200, 'newer', FRESH);
});
