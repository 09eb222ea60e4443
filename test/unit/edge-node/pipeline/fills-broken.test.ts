// Fills that do not end as they began: the origin breaks off, or the client that caused it, or all who waited for it, have left.
import assert from 'node:assert/strict';
import type { FakeClient } from '../../../support/fake-ports.ts';
import { pipelineTest, type World } from '../../../support/pipeline.ts';

const FRESH = ['cache-control', 'max-age=60'];
const LONG = 66 * 1024;
const LONG_HEAD = [...FRESH, 'content-length', String(LONG)];

function many(world: World, count: number, options = {}): FakeClient[] {
  return Array.from({ length: count }, () => world.request(options));
}

pipelineTest('an answer that breaks off is nobody’s whole answer, and is not stored', (world) => {
  const short = many(world, 2);
  const call = world.call().head(200, FRESH).data('hel');
  call.fail('body', 'origin-cut-off');
  assert.deepEqual([short[0]?.state, short[1]?.status], ['aborted', 0]);
  world.call().answer(200, 'hello');
  assert.equal(short[1]?.text, 'hello');
  world.cache.remove('http://demo.example/');
  const long = many(world, 3);
  const broken = world.call().head(200, LONG_HEAD).data('x'.repeat(1000));
  long[1]?.leave();
  broken.fail('body', 'origin-cut-off');
  assert.deepEqual(
    long.map(({ state }) => state),
    ['aborted', 'open', 'aborted'],
  );
  assert.deepEqual([world.last.end, world.last.exchange.failure?.code], ['origin-failed', 'origin-cut-off']);
  assert.equal(world.cache.stats().objects, 0);
});

pipelineTest('a body that is shorter or longer than announced ends nobody’s answer', (world) => {
  for (const [length, ending] of [
    [LONG - 1, 'end'],
    [LONG + 1, 'data'],
  ] as const) {
    const clients = many(world, 2);
    const call = world.call().head(200, LONG_HEAD).data('x'.repeat(length));
    if (ending === 'end') call.end();
    assert.deepEqual(
      clients.map(({ state }) => state),
      ['aborted', 'aborted'],
    );
  }
  assert.equal(world.cache.stats().objects, 0);
});

pipelineTest('a client that leaves does not end what others wait for', (world) => {
  for (const when of ['before the head', 'in the body']) {
    const first = world.request({ target: `/${when.length}` });
    const call = world.call();
    const other = world.request({ target: `/${when.length}` });
    if (when === 'before the head') first.leave();
    call.head(200, FRESH).data('hel');
    if (when === 'in the body') first.leave();
    call.data('lo').end();
    assert.deepEqual([call.aborted, other.text, first.state], [false, 'hello', 'open'], when);
    assert.equal(first.text, when === 'in the body' ? 'hel' : '');
  }
  const left = world.settled.filter(({ end }) => end === 'client-gone');
  assert.deepEqual(
    left.map(({ bytes }) => bytes),
    [0, 3],
  );
});

pipelineTest('nor when an origin has yet to be found, or what comes is not to be stored', (world) => {
  const first = world.request();
  const call = world.call();
  const other = world.request();
  first.leave();
  call.fail('connect');
  const second = world.call().head(200, ['cache-control', 'private']);
  assert.equal(second.aborted, true);
  world.call().answer(200, 'hello', ['cache-control', 'private']);
  assert.equal(other.text, 'hello');
});

pipelineTest('when all have left, the origin’s call ends', (world) => {
  const clients = many(world, 3);
  const call = world.call();
  for (const client of clients) {
    assert.equal(call.aborted, false);
    client.leave();
  }
  assert.equal(call.aborted, true);
  const next = world.request();
  world.call().answer(200, 'hello');
  assert.equal(next.text, 'hello');
});

pipelineTest('when all have left in the middle of a body, what is worth it is fetched to its end', (world) => {
  const length = 1024 * 1024;
  for (const [come, worth] of [
    [length / 4, false],
    [length / 2, true],
    [(length / 8) * 7, true],
  ] as const) {
    for (const followed of [false, true]) {
      const target = `/${come}-${followed}`;
      const clients = many(world, followed ? 2 : 1, { target });
      const call = world.call().head(200, [...FRESH, 'content-length', String(length)]);
      if (clients[0]) clients[0].slow = true;
      call.data('x'.repeat(come));
      for (const client of clients) client.leave();
      assert.deepEqual([call.aborted, call.paused && worth], [!worth, false], target);
      call.data('x'.repeat(length - come)).end();
      assert.equal(world.cache.find(`http://demo.example${target}`).length, worth ? 1 : 0);
    }
  }
});

pipelineTest('an error that one takes something stale for is no reason to give it to all who wait', (world) => {
  world.store('stored', ['cache-control', 'max-age=60', 'etag', '"v1"']);
  world.clock.advance(61_000);
  const takes = ['cache-control', 'stale-if-error=60'];
  const first = world.request({ fields: takes });
  const call = world.call();
  const alike = world.request({ fields: takes });
  const other = world.request();
  call.answer(503, 'sorry', []);
  assert.deepEqual([first.text, alike.text], ['stored', 'stored']);
  world.call().answer(503, 'sorry', []);
  assert.deepEqual([other.status, other.text], [503, 'sorry']);
});
