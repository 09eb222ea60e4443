// Origins that fail: who is asked next, who is not, and what a client is told.
import assert from 'node:assert/strict';
import type { OriginFailure } from '../../../../edge-node/decide/retry.ts';
import type { RequestBody } from '../../../../edge-node/ports.ts';
import { pipelineTest } from '../../../support/pipeline.ts';

const ALL = ['london', 'paris', 'sydney'];

class Body implements RequestBody {
  readonly length = 5;
  consumed = false;

  async *chunks(): AsyncIterable<Uint8Array> {
    this.consumed = true;
    yield Buffer.from('hello');
  }
}

pipelineTest('an origin that cannot be reached is passed over, and suspected', (world) => {
  const client = world.request();
  world.call().fail('connect');
  assert.deepEqual(world.suspected, ['london']);
  const second = world.call();
  assert.equal(second.origin, 'paris');
  second.answer(200, 'hello');
  assert.deepEqual([client.status, client.text], [200, 'hello']);
  assert.deepEqual([world.last.exchange.origin?.name, world.last.exchange.failure], ['paris', undefined]);
});

pipelineTest('what may be done twice is sent to the next origin when the first broke off before an answer', (world) => {
  for (const method of ['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS']) {
    const client = world.request({ method });
    world.call().fail('head', 'origin-cut-off');
    world.call().fail('head', 'origin-timeout');
    const third = world.call();
    assert.equal(third.origin, 'sydney');
    third.answer(200, '', []);
    assert.equal(client.status, 200, method);
  }
});

pipelineTest('what may not be done twice is not sent again once it was sent', (world) => {
  for (const method of ['POST', 'PATCH']) {
    const client = world.request({ method, body: new Body() });
    world.call().fail('head', 'origin-cut-off');
    assert.deepEqual([client.status, world.last.exchange.failure?.code], [502, 'origin-cut-off'], method);
  }
  assert.equal(world.calls.length, 2);
});

pipelineTest('what was never sent goes to the next origin, its body with it', (world) => {
  const client = world.request({ method: 'POST', body: new Body() });
  world.call().fail('connect');
  const second = world.call();
  assert.equal(second.request.body, client.body);
  second.answer(201, '', []);
  assert.equal(client.status, 201);
});

pipelineTest('a body that was read is gone: no second origin', (world) => {
  for (const method of ['PUT', 'POST', 'GET']) {
    const body = new Body();
    const client = world.request({ method, body, fields: ['content-length', '5'] });
    const call = world.call();
    body.consumed = true;
    call.fail('head', 'origin-cut-off');
    assert.equal(client.status, 502, method);
  }
  assert.equal(world.calls.length, 3);
});

pipelineTest('origins that measure as down are not asked while another is up', (world) => {
  world.takeDown('london', 'paris');
  const client = world.request();
  const call = world.call();
  assert.equal(call.origin, 'sydney');
  call.fail('connect');
  assert.equal(client.status, 502);
});

pipelineTest('never nothing: when all measure as down, the nearest is asked all the same', (world) => {
  world.takeDown(...ALL);
  const client = world.request();
  const call = world.call();
  assert.equal(call.origin, 'london');
  call.answer(200, 'hello');
  assert.equal(client.text, 'hello');
});

pipelineTest('when the last origin has failed, the client learns the kind of failure and nothing else', (world) => {
  const cases: readonly (readonly [OriginFailure['code'], number])[] = [
    ['origin-unreachable', 502],
    ['origin-timeout', 504],
    ['origin-busy', 503],
    ['origin-malformed', 502],
    ['origin-cut-off', 502],
  ];
  for (const [code, status] of cases) {
    const client = world.request();
    for (const phase of ['connect', 'head', 'head'] as const) world.call().fail(phase, code);
    assert.equal(client.status, status);
    assert.equal(JSON.parse(client.text).code, code);
    assert.doesNotMatch(client.text + client.fields.join(), /london|paris|sydney|10\.9\.8\.7|6543|secret|cities/);
    assert.equal(client.field('cache-control'), 'no-store');
    assert.match(world.last.exchange.failure?.detail ?? '', /10\.9\.8\.7/);
  }
});

pipelineTest('HEAD is told of a failure without a body', (world) => {
  world.takeDown('london', 'paris');
  const client = world.request({ method: 'HEAD' });
  world.call().fail('connect');
  assert.deepEqual([client.status, client.text, world.last.bytes], [502, '', 0]);
  assert.ok((client.length ?? 0) > 0);
});

pipelineTest('at most five origins are asked for one request', (world) => {
  const { serving } = world;
  const pool = serving?.snapshot.pools[0];
  assert.ok(serving && pool);
  const [london] = pool.origins;
  assert.ok(london);
  const many = { ...pool, origins: Array.from({ length: 9 }, (_, i) => ({ ...london, name: `o${i}` })) };
  const route = { pathPrefix: '/', pool: many, cache: { enabled: true, defaultTtlMs: 0 } };
  const hosts = new Map([['demo.example', { name: 'demo', number: 0, tally: undefined, routes: [route] }]]);
  world.serving = { ...serving, snapshot: { ...serving.snapshot, hosts } };
  const client = world.request();
  for (let i = 0; i < 5; i += 1) world.call().fail('connect');
  assert.equal(client.status, 502);
  assert.equal(new Set(world.calls.map(({ origin }) => origin)).size, 5);
});

pipelineTest(
  'an origin that breaks off in the middle breaks off the client’s answer, and nothing is stored',
  (world) => {
    const client = world.request();
    world.call().head(200, ['cache-control', 'max-age=60']).data('hel').fail('body', 'origin-cut-off');
    assert.deepEqual([client.state, client.text], ['aborted', 'hel']);
    const { end, bytes, exchange } = world.last;
    assert.deepEqual(
      [end, bytes, exchange.failure?.code, exchange.status],
      ['origin-failed', 3, 'origin-cut-off', 200],
    );
    assert.deepEqual([world.cache.stats().objects, world.calls.length], [0, 1]);
    assert.deepEqual(world.suspected, ['london']);
  },
);

pipelineTest('a body shorter than its Content-Length is broken off, not ended, and not stored', (world) => {
  const client = world.request();
  const call = world.call();
  call.answer(200, 'hell', ['cache-control', 'max-age=60', 'content-length', '5']);
  assert.deepEqual([client.state, world.last.end, call.aborted], ['aborted', 'origin-failed', true]);
  assert.equal(world.last.exchange.failure?.code, 'origin-malformed');
  assert.equal(world.cache.stats().objects, 0);
});

pipelineTest('a body longer than its Content-Length reaches nobody beyond it', (world) => {
  const client = world.request();
  const call = world.call();
  call.head(200, ['cache-control', 'max-age=60', 'content-length', '5']).data('hello').data('HTTP/1.1 200 OK').end();
  assert.deepEqual([client.text, client.state, call.aborted], ['hello', 'aborted', true]);
  assert.equal(world.cache.stats().objects, 0);
});

pipelineTest('a Content-Length that is none, or a coding that nobody undoes, is no answer', (world) => {
  for (const fields of [
    ['content-length', '-5'],
    ['content-length', '5', 'content-length', '6'],
    ['transfer-encoding', 'gzip, chunked'],
  ]) {
    const client = world.request();
    const call = world.call().head(200, ['cache-control', 'max-age=60', ...fields]);
    assert.deepEqual([client.status, world.last.exchange.failure?.code], [502, 'origin-malformed']);
    assert.equal(call.aborted, true);
  }
});

pipelineTest('a client that has its 304 does not hear of what breaks off behind it', (world) => {
  const client = world.request({ fields: ['if-none-match', '"v1"'] });
  world.call().head(200, ['cache-control', 'max-age=60', 'etag', '"v1"']).data('hel').fail('body', 'origin-cut-off');
  assert.deepEqual([client.status, client.state, world.last.end], [304, 'ended', 'complete']);
  assert.equal(world.cache.stats().objects, 0);
});
