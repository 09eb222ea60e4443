// Refreshing behind the clients' backs: what stale-while-revalidate allows to be served stale, and what is asked for often and about
// to expire.
import assert from 'node:assert/strict';
import { DEFAULT_FILL_LIMITS } from '../../../../edge-node/decide/cache/fills.ts';
import { FakeBody, FakeDisk } from '../../../support/fake-disk.ts';
import type { FakeClient } from '../../../support/fake-ports.ts';
import { pipelineTest, type World } from '../../../support/pipeline.ts';

const SWR = ['cache-control', 'max-age=60, stale-while-revalidate=30', 'etag', '"v1"'];
const STALE = 'hit; ttl=-1; detail=stale-while-revalidate';

function many(world: World, count: number, options = {}): FakeClient[] {
  return Array.from({ length: count }, () => world.request(options));
}

function storeAndExpire(world: World, fields = SWR): void {
  world.store('stored', fields);
  world.clock.advance(61_000);
}

pipelineTest('what may be served while it is validated is served at once, and asked about once', (world) => {
  storeAndExpire(world);
  for (const client of many(world, 100)) {
    assert.deepEqual([client.text, client.cache, client.field('age')], ['stored', STALE, '61']);
  }
  const call = world.call();
  assert.deepEqual([call.request.method, call.field('if-none-match')], ['GET', '"v1"']);
  assert.deepEqual([world.settled.length, world.last.exchange.outcome], [101, 'stale']);
  call.head(304, SWR).end();
  assert.equal(world.request().cache, 'hit; ttl=60');
  assert.deepEqual([world.settled.length, world.fillEvents], [102, ['refresh']]);
});

pipelineTest('a newer version takes the place of the stale one', (world) => {
  storeAndExpire(world);
  world.request();
  const call = world.call().head(200, SWR).data('new');
  assert.equal(world.request().text, 'stored');
  call.data('er').end();
  assert.deepEqual([world.request().text, world.calls.length], ['newer', 2]);
});

pipelineTest('HEAD, a part and a condition are answered from what is stale, which is asked for as a whole', (world) => {
  for (const options of [
    { method: 'HEAD' },
    { fields: ['range', 'bytes=0-1'] },
    { fields: ['if-none-match', '"v1"'] },
    { fields: ['if-none-match', '"v0"'] },
  ]) {
    storeAndExpire(world);
    const client = world.request(options);
    assert.ok([200, 206, 304].includes(client.status));
    const call = world.call();
    assert.deepEqual(
      [call.request.method, call.field('range'), call.field('if-none-match')],
      ['GET', undefined, '"v1"'],
    );
    call.answer(200, 'newer', SWR);
    assert.equal(world.request().text, 'newer');
    world.cache.remove('http://demo.example/');
  }
});

pipelineTest('when the window is over, or the client asks for what is fresh, the origin is waited for', (world) => {
  storeAndExpire(world);
  for (const control of ['no-cache', 'max-age=10', 'min-fresh=1']) {
    const client = world.request({ fields: ['cache-control', control] });
    world.call().fail('connect');
    for (let i = 0; i < 2; i += 1) world.call().fail('connect');
    assert.equal(client.cache, 'hit; ttl=-1; detail=stale-served');
  }
  world.clock.advance(30_000);
  const client = world.request();
  world.call().head(304, SWR).end();
  assert.equal(client.cache, 'fwd=stale; fwd-status=304; stored; ttl=60');
});

pipelineTest('those who may not get what is stale wait for the refresh that is under way', (world) => {
  storeAndExpire(world, ['cache-control', 'max-age=60, stale-while-revalidate=1', 'etag', '"v1"']);
  world.request();
  const call = world.call();
  world.clock.advance(1_000);
  const [a, b] = many(world, 2);
  assert.equal(a?.status, 0);
  call.head(304, SWR).end();
  assert.deepEqual([a?.text, b?.cache], ['stored', 'fwd=stale; fwd-status=304; stored; collapsed; ttl=59']);
});

pipelineTest('a refresh that fails leaves what is stale, and is not tried again at once', (world) => {
  storeAndExpire(world);
  world.request();
  for (let i = 0; i < 3; i += 1) world.call().fail('connect');
  assert.equal(many(world, 10)[9]?.text, 'stored');
  assert.equal(world.calls.length, 4);
  world.clock.advance(DEFAULT_FILL_LIMITS.refreshHoldMs);
  world.request();
  world.call().answer(503, 'busy', []);
  world.clock.advance(DEFAULT_FILL_LIMITS.refreshHoldMs);
  world.request();
  world
    .call()
    .head(200, [...SWR, 'content-length', '9'])
    .data('new')
    .fail('body', 'origin-cut-off');
  assert.equal(world.request().text, 'stored');
});

pipelineTest('an answer that may not be stored ends what is stale, and its body is not fetched', (world) => {
  for (const status of [200, 404]) {
    storeAndExpire(world);
    world.request();
    const call = world.call().head(status, ['cache-control', 'no-store']);
    assert.deepEqual([call.aborted, world.cache.stats().objects], [true, 0]);
  }
  storeAndExpire(world);
  world.request();
  world.call().answer(429, 'slower', ['cache-control', 'no-store']);
  assert.equal(world.cache.stats().objects, 1);
});

pipelineTest('what is purged softly is served stale at once; what is purged is not', (world) => {
  world.store('stored', SWR);
  world.purge(undefined, true);
  const client = world.request();
  assert.deepEqual([client.text, client.cache], ['stored', 'hit; ttl=0; detail=stale-while-revalidate']);
  world.call().head(304, SWR).end();
  assert.equal(world.request().cache, 'hit; ttl=60');
  world.purge(undefined, true);
  world.request();
  const outdated = world.call();
  world.purge(undefined, true);
  outdated.head(304, SWR).end();
  assert.equal(world.request().cache, 'hit; ttl=0; detail=stale-while-revalidate');
  world.call().head(304, SWR).end();
  world.purge();
  world.request();
  world.call().answer(200, 'newer', SWR);
  assert.equal(world.last.exchange.outcome, 'miss');
});

pipelineTest('one that was purged while it was asked about is not stored again', (world) => {
  storeAndExpire(world);
  world.request();
  const call = world.call();
  world.purge();
  call.head(304, SWR).end();
  const client = world.request();
  const next = world.call();
  assert.equal(next.field('if-none-match'), undefined);
  next.answer(200, 'newer', SWR);
  assert.equal(client.text, 'newer');
});

pipelineTest('a body on disk is not read for a refresh', (world) => {
  const disk = new FakeDisk(world.cache);
  world.store('stored', SWR);
  const body = new FakeBody('stored');
  disk.take(world.cache, 'http://demo.example/', body);
  world.clock.advance(61_000);
  const client = world.request();
  disk.answer();
  body.step();
  body.step();
  assert.deepEqual([client.text, client.cache, body.state], ['stored', STALE, 'closed']);
  world.call().head(304, SWR).end();
  assert.equal(body.state, 'closed');
});

pipelineTest('what is asked for often is refreshed before it expires, most likely once, and nobody waits', (world) => {
  world.store('stored', ['cache-control', 'max-age=60', 'etag', '"v1"']);
  let hits = 0;
  for (let second = 0; second < 59; second += 1) {
    world.clock.advance(1_000);
    world.request();
    hits += 1;
  }
  assert.equal(world.calls.length, 1);
  for (let i = 0; i < 995 && world.calls.length === 1; i += 1) {
    world.clock.advance(1);
    for (let each = 0; each < 10; each += 1) assert.match(world.request().cache ?? '', /^hit/);
    hits += 10;
  }
  assert.equal(world.calls.length, 2);
  const call = world.call();
  assert.equal(call.field('if-none-match'), '"v1"');
  for (let i = 0; i < 10; i += 1) assert.match(world.request().cache ?? '', /^hit/);
  call.head(304, ['cache-control', 'max-age=60']).end();
  assert.equal(world.request().cache, 'hit; ttl=60');
  assert.ok(hits > 60);
});

pipelineTest('what is asked for now and then expires', (world) => {
  world.store('stored', ['cache-control', 'max-age=60', 'etag', '"v1"']);
  world.clock.advance(59_000);
  for (let i = 0; i < 9; i += 1) {
    world.clock.advance(70);
    assert.match(world.request().cache ?? '', /^hit/);
  }
  assert.equal(world.calls.length, 1);
});
