// Requests for a tunnel, answers with trailers, and requests that met a closed connection, through the steps.
import assert from 'node:assert/strict';
import { pipelineTest } from '../../../support/pipeline.ts';

const UPGRADE = ['connection', 'Upgrade', 'upgrade', 'websocket', 'sec-websocket-key', 'a'];

pipelineTest('the origin’s 101 is the client’s, and what follows goes on as it is', (world) => {
  const client = world.request({ fields: UPGRADE });
  const call = world.call();
  assert.deepEqual(
    [call.request.upgrade, call.field('upgrade'), call.field('sec-websocket-key')],
    ['websocket', undefined, 'a'],
  );
  call.switch(['upgrade', 'websocket', 'connection', 'upgrade', 'server', 'secret', 'sec-websocket-accept', 'b']);
  assert.deepEqual([client.status, client.protocol, client.field('sec-websocket-accept')], [101, 'websocket', 'b']);
  assert.deepEqual([client.field('server'), client.field('upgrade')], [undefined, undefined]);
  client.slow = true;
  call.data('hello');
  assert.equal(call.paused, true);
  client.drain();
  call.end();
  assert.deepEqual([client.text, client.state], ['hello', 'ended']);
  assert.deepEqual([world.last.end, world.last.bytes, world.last.exchange.status], ['complete', 5, 101]);
  assert.equal(world.last.exchange.outcome, 'bypass');
});

pipelineTest('a tunnel ends with either side', (world) => {
  const leaving = world.request({ fields: UPGRADE });
  const left = world.call();
  left.switch();
  leaving.leave();
  assert.deepEqual([left.aborted, world.last.end], [true, 'client-gone']);
  const broken = world.request({ fields: UPGRADE });
  const call = world.call();
  call.switch();
  call.fail('body', 'origin-cut-off');
  assert.deepEqual([broken.state, world.last.end], ['aborted', 'origin-failed']);
});

pipelineTest(
  'the answer in place of a 101 is passed on and not stored, nor is one that is stored given out',
  (world) => {
    world.store();
    for (let i = 0; i < 2; i += 1) {
      const client = world.request({ fields: UPGRADE });
      world.call().answer(200, 'plain');
      assert.equal(client.cache, 'fwd=bypass; fwd-status=200; detail=upgrade');
    }
  },
);

pipelineTest('a client whose protocol has no tunnels gets none, and the origin does not hear of it', (world) => {
  const client = world.request({ fields: ['connection', 'upgrade', 'upgrade', 'h2c'] });
  const call = world.call();
  assert.equal(call.request.upgrade, undefined);
  call.answer(200, 'plain');
  assert.equal(client.text, 'plain');
});

pipelineTest('trailers that may be passed on are', (world) => {
  const client = world.request({ fields: ['te', 'trailers'] });
  const call = world.call().head(200, []).data('a');
  assert.equal(call.request.trailers, true);
  call.end(['x-checksum', '1', 'set-cookie', 'a']);
  assert.deepEqual(client.trailers, ['x-checksum', '1']);
});

pipelineTest('a request that met a closed connection is sent to the same origin again, once, on a new one', (world) => {
  const client = world.request();
  const first = world.call();
  assert.equal(first.request.fresh, false);
  first.fail('head', 'origin-cut-off', true);
  const second = world.call();
  assert.deepEqual([second.origin === first.origin, second.request.fresh, world.suspected], [true, true, []]);
  second.fail('head', 'origin-cut-off');
  const third = world.call();
  assert.notEqual(third.origin, first.origin);
  third.answer(200, 'hello');
  assert.deepEqual([client.text, world.suspected], ['hello', [first.origin]]);
});

pipelineTest('one that may not be sent twice fails instead', (world) => {
  const client = world.request({ method: 'POST' });
  world.call().fail('head', 'origin-cut-off', true);
  assert.equal(client.status, 502);
});
