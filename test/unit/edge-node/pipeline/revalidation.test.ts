// What is stored but no longer fresh: asked about, refreshed, replaced, or served stale when nobody answers.
import assert from 'node:assert/strict';
import { demoSnapshot, pipelineTest, type World } from '../../../support/pipeline.ts';

const ETAG = ['cache-control', 'max-age=60', 'etag', '"v1"'];
const ALL = ['london', 'paris', 'sydney'];

function storeAndExpire(world: World, fields: readonly string[] = ETAG): void {
  world.store('stored', fields);
  world.clock.advance(61_000);
}

pipelineTest('what has expired is asked about with its own validators', (world) => {
  storeAndExpire(world, [...ETAG, 'last-modified', 'Tue, 14 Nov 2023 00:00:00 GMT']);
  const client = world.request({ fields: ['if-none-match', '"other"'] });
  const call = world.call();
  assert.deepEqual(
    [call.field('if-none-match'), call.field('if-modified-since')],
    ['"v1"', 'Tue, 14 Nov 2023 00:00:00 GMT'],
  );
  call.head(304, ['cache-control', 'max-age=30', 'etag', '"v1"', 'x-new', '1']).end();
  assert.deepEqual([client.status, client.text, client.field('x-new')], [200, 'stored', '1']);
  assert.equal(client.cache, 'fwd=stale; fwd-status=304; stored; ttl=30');
  assert.equal(world.last.exchange.outcome, 'revalidated');
});

pipelineTest('a 304 makes it fresh again, for as long as the 304 says', (world) => {
  storeAndExpire(world);
  world.request();
  world.call().head(304, ['cache-control', 'max-age=30']).end();
  world.clock.advance(29_000);
  assert.equal(world.request().cache, 'hit; ttl=1');
  world.clock.advance(1_000);
  world.request();
  world.call().head(304).end();
});

pipelineTest('a client that has it gets 304 of a revalidated answer', (world) => {
  storeAndExpire(world);
  const client = world.request({ fields: ['if-none-match', '"v1"'] });
  world.call().head(304, ['etag', '"v1"']).end();
  assert.deepEqual([client.status, client.text, world.last.bytes], [304, '', 0]);
});

pipelineTest('a 200 takes the place of what was stored', (world) => {
  storeAndExpire(world);
  const client = world.request();
  world.call().answer(200, 'newer', ETAG);
  assert.deepEqual([client.text, client.cache], ['newer', 'fwd=stale; fwd-status=200; stored; ttl=60']);
  assert.equal(world.request().text, 'newer');
  assert.equal(world.cache.stats().objects, 1);
});

pipelineTest(
  'an answer that may not be stored ends what was stored, unless it failed or is of one request alone',
  (world) => {
    const secret = ['authorization', 'Basic eA=='];
    for (const [status, answer, request, left] of [
      [200, ['cache-control', 'private'], [], 0],
      [404, ['cache-control', 'no-store'], [], 0],
      [403, ['cache-control', 'no-store'], [], 1],
      [503, ['cache-control', 'no-store'], [], 1],
      [200, ['cache-control', 'max-age=60'], secret, 1],
      [206, ['content-range', 'bytes 0-1/2'], ['range', 'bytes=0-1', ...secret], 1],
    ] as const) {
      storeAndExpire(world);
      world.request({ fields: request });
      world.call().answer(status, 'x', answer);
      assert.equal(world.cache.stats().objects, left, `${status} ${request[0]}`);
      world.cache.remove('http://demo.example/');
    }
  },
);

pipelineTest('a 304 that speaks of something else leads to a second request, for the whole', (world) => {
  storeAndExpire(world);
  const client = world.request();
  const first = world.call();
  first.head(304, ['etag', '"v2"']);
  assert.equal(first.aborted, true);
  const second = world.call();
  assert.deepEqual([second.origin, second.field('if-none-match')], ['london', undefined]);
  second.answer(200, 'newer', ['cache-control', 'max-age=60', 'etag', '"v2"']);
  assert.equal(client.text, 'newer');
  assert.equal(world.request().cache, 'hit; ttl=60');
});

pipelineTest('a 304 to a request without a condition is an origin’s mistake, not an answer', (world) => {
  const client = world.request();
  const call = world.call().head(304, ['etag', '"v1"']);
  assert.deepEqual([client.status, world.last.exchange.failure?.code, call.aborted], [502, 'origin-malformed', true]);
});

pipelineTest(
  'nor is one about what has no validator, nor an answer without a length that can be read; both leave what is stored',
  (world) => {
    for (const [target, control, expected] of [
      ['/may', 'max-age=60', 200],
      ['/never', 'max-age=60, must-revalidate', 502],
    ] as const) {
      world.store('stored', ['cache-control', control], { target });
      world.clock.advance(61_000);
      for (const [status, fields] of [
        [304, ['cache-control', 'max-age=60']],
        [200, ['content-length', 'many']],
      ] as const) {
        const client = world.request({ target });
        const waiting = world.request({ target });
        world.call().head(status, fields);
        if (expected === 502) world.call().head(status, fields);
        assert.deepEqual([client.status, waiting.status], [expected, expected], `${target} ${status}`);
        if (expected === 200) assert.match(client.cache ?? '', /^hit; ttl=-\d+; detail=stale-served$/);
      }
    }
  },
);

pipelineTest('a 304 that forbids storing answers its client, and ends what was stored', (world) => {
  storeAndExpire(world);
  const client = world.request();
  world.call().head(304, ['cache-control', 'no-store']).end();
  assert.deepEqual(
    [client.status, client.text, client.cache],
    [200, 'stored', 'fwd=stale; fwd-status=304; detail=no-store'],
  );
  assert.equal(world.cache.stats().objects, 0);
});

pipelineTest('a 304 that varies by what the origin saw otherwise ends what was stored', (world) => {
  storeAndExpire(world);
  const client = world.request();
  world.call().head(304, ['vary', 'x-forwarded-for']).end();
  assert.deepEqual([client.text, client.cache], ['stored', 'fwd=stale; fwd-status=304']);
  assert.equal(world.cache.stats().objects, 0);
});

pipelineTest('a client may ask for what is fresh to be asked about', (world) => {
  world.store('stored', ETAG);
  for (const [control, reason] of [
    ['no-cache', 'request'],
    ['max-age=0', 'request'],
    ['min-fresh=100', 'request'],
  ]) {
    const client = world.request({ fields: ['cache-control', control ?? ''] });
    world.call().head(304).end();
    assert.equal(client.cache, `fwd=${reason}; fwd-status=304; stored; ttl=60`);
  }
});

pipelineTest('HEAD of what has expired is asked for as it is, and makes what is stored fresh again', (world) => {
  storeAndExpire(world);
  world.request({ method: 'HEAD' });
  const call = world.call();
  assert.equal(call.field('if-none-match'), undefined);
  call.head(200, ['etag', '"v1"', 'content-length', '6', 'x-new', '1']).end();
  const client = world.request();
  assert.deepEqual([client.text, client.field('x-new'), client.cache], ['stored', '1', 'hit; ttl=60']);
});

pipelineTest('HEAD that speaks of something else ends what is stored, and one that failed does not', (world) => {
  storeAndExpire(world);
  world.request({ method: 'HEAD' });
  world.call().head(404, ['etag', '"v2"']).end();
  assert.equal(world.cache.stats().objects, 1);
  world.request({ method: 'HEAD' });
  world.call().head(200, ['etag', '"v2"']).end();
  assert.equal(world.cache.stats().objects, 0);
});

pipelineTest('an origin’s error is not passed on where stale-if-error lets what is stored stand in', (world) => {
  storeAndExpire(world, ['cache-control', 'max-age=60, stale-if-error=60']);
  const client = world.request();
  const call = world.call().head(503);
  assert.deepEqual([client.status, client.text, call.aborted], [200, 'stored', true]);
  assert.equal(client.cache, 'hit; ttl=-1; detail=stale-served');
  world.clock.advance(60_000);
  const later = world.request();
  world.call().answer(503, 'busy', []);
  assert.deepEqual([later.status, later.text], [503, 'busy']);
});

pipelineTest('parts of what has expired validate it, and come from it', (world) => {
  storeAndExpire(world);
  const client = world.request({ fields: ['range', 'bytes=0-1'] });
  const call = world.call();
  assert.deepEqual([call.field('if-none-match'), call.field('range')], ['"v1"', 'bytes=0-1048575']);
  call.head(304).end();
  assert.deepEqual([client.status, client.text, world.last.exchange.outcome], [206, 'st', 'revalidated']);
});

pipelineTest('without slices they are asked for as they are, and leave it alone', (world) => {
  world.apply(demoSnapshot(2, { sliceBytes: 0 }));
  storeAndExpire(world);
  world.request({ fields: ['range', 'bytes=0-1'] });
  const part = world.call();
  assert.equal(part.field('if-none-match'), undefined);
  part.answer(206, 'st');
  world.request();
  world.call().head(304).end();
  assert.equal(world.last.exchange.outcome, 'revalidated');
});

pipelineTest('when every origin measures as down, what has expired is served without asking', (world) => {
  storeAndExpire(world);
  world.takeDown(...ALL);
  const client = world.request();
  assert.equal(world.calls.length, 1);
  assert.deepEqual([client.status, client.text, client.field('age')], [200, 'stored', '61']);
  assert.equal(client.cache, 'hit; ttl=-1; detail=stale-served');
  assert.equal(world.last.exchange.outcome, 'stale');
});

pipelineTest('when every origin fails the request, what has expired is served', (world) => {
  storeAndExpire(world);
  const client = world.request();
  for (const phase of ['connect', 'head', 'connect'] as const) world.call().fail(phase);
  assert.deepEqual([client.status, client.text], [200, 'stored']);
  assert.deepEqual([world.last.exchange.outcome, world.last.exchange.failure], ['stale', undefined]);
});

pipelineTest('what must be revalidated is never served stale', (world) => {
  for (const control of ['max-age=60, must-revalidate', 'max-age=60, proxy-revalidate', 's-maxage=60', 'no-cache']) {
    world.store('stored', ['cache-control', control, 'etag', '"v1"']);
    world.clock.advance(61_000);
    const client = world.request();
    for (let i = 0; i < 3; i += 1) world.call().fail('connect');
    assert.deepEqual([client.status, world.last.exchange.failure?.code], [502, 'origin-unreachable'], control);
    world.cache.remove('http://demo.example/');
  }
});

pipelineTest('an answer of failure to a revalidation is passed on, and does not end what is stored', (world) => {
  storeAndExpire(world);
  const client = world.request();
  world.call().answer(503, 'overloaded', []);
  assert.deepEqual([client.status, client.text], [503, 'overloaded']);
  world.request();
  world.call().head(304).end();
  assert.equal(world.last.exchange.outcome, 'revalidated');
});

pipelineTest('what was evicted while it was asked about still answers', (world) => {
  storeAndExpire(world);
  const client = world.request();
  const call = world.call();
  world.cache.remove('http://demo.example/');
  call.head(304).end();
  assert.equal(client.text, 'stored');
  assert.equal(world.cache.stats().objects, 0);
});

pipelineTest('a snapshot that is applied meanwhile does not change how the answer is stored', (world) => {
  storeAndExpire(world);
  world.request();
  const snapshot = demoSnapshot(2);
  world.apply({ ...snapshot, sites: snapshot.sites.map((site) => ({ ...site, hostnames: ['elsewhere.example'] })) });
  world.call().head(304).end();
  assert.equal(world.last.exchange.serving?.snapshot.version.revision, 1);
  assert.equal(world.request().status, 421);
});
