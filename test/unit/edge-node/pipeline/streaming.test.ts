// Bodies on their way: at the client's pace, and only as long as somebody wants them.
import assert from 'node:assert/strict';
import { pipelineTest } from '../../../support/pipeline.ts';

const FRESH = ['cache-control', 'max-age=60'];

pipelineTest('a slow client holds the origin back until it can take more', (world) => {
  const client = world.request();
  const call = world.call().head(200, FRESH);
  client.slow = true;
  call.data('a');
  assert.equal(call.paused, true);
  client.drain();
  assert.equal(call.paused, false);
  client.slow = true;
  call.data('b');
  assert.equal(call.paused, true);
  client.drain();
  call.data('c').end();
  assert.deepEqual([client.text, call.paused], ['abc', false]);
  assert.equal(world.request().text, 'abc');
});

pipelineTest('each client has its own pace', (world) => {
  const slow = world.request({ target: '/raw/a' });
  const slowCall = world.call().head(200);
  const fast = world.request({ target: '/raw/b' });
  const fastCall = world.call().head(200);
  slow.slow = true;
  slowCall.data('a');
  fastCall.data('b').end();
  assert.deepEqual([slowCall.paused, fastCall.paused, fast.text], [true, false, 'b']);
  slow.drain();
  slowCall.end();
});

pipelineTest('a client that leaves before an answer ends the origin’s call', (world) => {
  const client = world.request();
  const call = world.call();
  client.leave();
  assert.deepEqual([call.aborted, world.last.end, world.last.exchange.status], [true, 'client-gone', 0]);
  client.leave();
});

pipelineTest('a client that leaves in the middle ends the origin’s call, and nothing is stored', (world) => {
  const client = world.request();
  const call = world.call().head(200, FRESH).data('hel');
  client.leave();
  assert.deepEqual([call.aborted, world.last.end, world.last.bytes], [true, 'client-gone', 3]);
  call.data('lo').end();
  assert.equal(world.cache.stats().objects, 0);
  assert.equal(client.text, 'hel');
});

pipelineTest('a client that leaves while the second origin is asked ends that call', (world) => {
  const client = world.request();
  world.call().fail('connect');
  const second = world.call();
  client.leave();
  assert.deepEqual([second.aborted, world.calls.length, world.last.end], [true, 2, 'client-gone']);
});

pipelineTest('a client that leaves during a revalidation leaves what is stored as it was', (world) => {
  world.store('hello', [...FRESH, 'etag', '"v1"']);
  world.clock.advance(61_000);
  const client = world.request();
  const call = world.call();
  client.leave();
  call.head(304).end();
  assert.equal(call.aborted, true);
  world.request();
  world.call().head(304).end();
  assert.equal(world.last.exchange.outcome, 'revalidated');
});

pipelineTest('leaving after the end, or after a failure, changes nothing', (world) => {
  const whole = world.request();
  world.call().answer(200, 'hello');
  whole.leave();
  const broken = world.request({ target: '/b' });
  world.call().head(200).fail('body');
  broken.leave();
  assert.deepEqual(
    world.settled.map(({ end }) => end),
    ['complete', 'origin-failed'],
  );
});

pipelineTest(
  'when the client has its answer and the store has had enough, the rest of the body is not fetched',
  (world) => {
    world.request({ fields: ['if-none-match', '"v1"'] });
    const call = world.call().head(200, [...FRESH, 'etag', '"v1"']);
    call.data('x'.repeat(100));
    assert.equal(call.aborted, false);
    call.data('x').data('x');
    assert.equal(call.aborted, true);
  },
  { cacheLimits: { maxObjectBytes: 100 } },
);

pipelineTest('a body that nobody asked for, behind HEAD or 304, ends its call', (world) => {
  const client = world.request({ method: 'HEAD' });
  const call = world.call().head(200).data('x');
  assert.deepEqual([client.state, call.aborted, world.last.end], ['ended', true, 'complete']);
});

pipelineTest(
  'what cannot be gathered because too much is, is passed on all the same',
  (world) => {
    const length = [...FRESH, 'content-length', '60'];
    const first = world.request({ target: '/a' });
    const firstCall = world.call().head(200, length);
    const second = world.request({ target: '/b' });
    world.call().head(200, length).data('x'.repeat(60)).end();
    firstCall.data('x'.repeat(60)).end();
    assert.deepEqual([first.text.length, second.text.length, world.cache.stats().objects], [60, 60, 1]);
    assert.match(second.cache ?? '', /detail=too-large/);
  },
  { cacheLimits: { maxPendingBytes: 100 } },
);
