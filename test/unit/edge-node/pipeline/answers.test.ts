// A request and its answer, from an origin and from the cache, when nothing goes wrong.
import assert from 'node:assert/strict';
import type { FieldList } from '../../../../edge-node/decide/fields.ts';
import { demoSnapshot, pipelineTest, SYDNEY } from '../../../support/pipeline.ts';

const ETAG = ['cache-control', 'max-age=60', 'etag', '"v1"'];

pipelineTest('a miss goes to the nearest origin, and its answer to the client', (world) => {
  const client = world.request({ target: '/a?b' });
  const call = world.call();
  assert.equal(call.origin, 'london');
  assert.deepEqual([call.request.method, call.request.target, call.field('host')], ['GET', '/a?b', 'demo.example']);
  call.head(200, ['content-type', 'text/plain', 'content-length', '5', 'cache-control', 'max-age=60']);
  assert.equal(client.status, 200);
  assert.equal(client.length, 5);
  call.data('he');
  assert.equal(client.text, 'he');
  call.data('llo').end();
  assert.equal(client.text, 'hello');
  assert.equal(client.state, 'ended');
  assert.equal(client.field('content-type'), 'text/plain');
  assert.equal(client.cache, 'fwd=uri-miss; fwd-status=200; stored; ttl=60');
  const { exchange, end, bytes } = world.last;
  assert.deepEqual(
    [exchange.outcome, exchange.status, exchange.origin?.name, end, bytes],
    ['miss', 200, 'london', 'complete', 5],
  );
});

pipelineTest('the nearest origin is the one nearest to the client, not to the edge', (world) => {
  world.places.set('198.51.100.7', SYDNEY);
  world.request({ peer: '198.51.100.7' });
  const call = world.call();
  assert.equal(call.origin, 'sydney');
  assert.equal(call.field('x-forwarded-for'), '198.51.100.7');
  call.answer(200, '');
});

pipelineTest('a client is where a trusted proxy says, and no other', (world) => {
  const fields = ['x-forwarded-for', '198.51.100.7'];
  world.places.set('198.51.100.7', SYDNEY);
  world.request({ fields, target: '/a' });
  const first = world.call();
  assert.deepEqual([first.origin, first.field('x-forwarded-for')], ['london', '192.0.2.1']);
  first.answer(200, '');
  const { serving } = world;
  assert.ok(serving);
  world.serving = { ...serving, isTrusted: (address) => address === '192.0.2.1' };
  world.request({ fields, target: '/b' });
  const second = world.call();
  assert.deepEqual([second.origin, second.field('x-forwarded-for')], ['sydney', '198.51.100.7, 192.0.2.1']);
  second.answer(200, '');
});

pipelineTest('what is stored answers the next request, with its age', (world) => {
  world.store('hello', ['cache-control', 'max-age=60', 'x-a', 'b']);
  world.clock.advance(10_500);
  const client = world.request();
  assert.equal(world.calls.length, 1);
  assert.deepEqual([client.status, client.text, client.length], [200, 'hello', 5]);
  assert.equal(client.field('age'), '10');
  assert.equal(client.field('x-a'), 'b');
  assert.equal(client.cache, 'hit; ttl=49');
  const { exchange, bytes } = world.last;
  assert.deepEqual([exchange.outcome, exchange.origin, bytes], ['hit', undefined, 5]);
});

pipelineTest('another path, query, host or port is another thing', (world) => {
  world.store('a', undefined, { target: '/a' });
  for (const options of [{ target: '/b' }, { target: '/a?x' }, { target: '/a', host: 'demo.example:8080' }]) {
    const client = world.request(options);
    world.call().answer(200, 'b');
    assert.equal(client.text, 'b');
  }
  assert.equal(world.request({ target: '/x/../%61', host: 'DEMO.example.' }).text, 'a');
});

pipelineTest('HEAD is answered from a stored GET, without the body', (world) => {
  world.store('hello');
  const client = world.request({ method: 'HEAD' });
  assert.deepEqual([client.status, client.text, client.length, world.calls.length], [200, '', 5, 1]);
  assert.equal(world.last.bytes, 0);
});

pipelineTest('HEAD of what is not stored goes to an origin, and stores nothing', (world) => {
  const client = world.request({ method: 'HEAD' });
  const call = world.call();
  assert.equal(call.request.method, 'HEAD');
  call.head(200, ['content-length', '5', 'cache-control', 'max-age=60']).end();
  assert.deepEqual([client.status, client.length, client.state], [200, 5, 'ended']);
  assert.equal(client.cache, 'fwd=uri-miss; fwd-status=200; detail=method');
  assert.equal(world.cache.stats().objects, 0);
});

pipelineTest('a client that has what is stored gets 304', (world) => {
  world.store('hello', ETAG);
  const client = world.request({ fields: ['if-none-match', '"v0", W/"v1"'] });
  assert.deepEqual([client.status, client.text, client.field('etag')], [304, '', '"v1"']);
  assert.equal(client.cache, 'hit; ttl=60');
  assert.equal(world.request({ fields: ['if-none-match', '"v0"'] }).status, 200);
  assert.equal(world.last.bytes, 5);
});

pipelineTest('the conditions of a client stay here on a miss, and are judged against the whole answer', (world) => {
  const client = world.request({ fields: ['if-none-match', '"v1"', 'if-modified-since', 'x'] });
  const call = world.call();
  assert.equal(call.field('if-none-match'), undefined);
  assert.equal(call.field('if-modified-since'), undefined);
  call.head(200, ETAG);
  assert.deepEqual([client.status, client.state, world.last.end], [304, 'ended', 'complete']);
  // The client is served; the store still gathers.
  call.data('hello').end();
  assert.equal(world.request().text, 'hello');
});

pipelineTest('a 304 for a client, of an answer that may not be stored, ends the origin’s call', (world) => {
  const client = world.request({ fields: ['if-none-match', '"v1"'] });
  const call = world.call().head(200, ['cache-control', 'private', 'etag', '"v1"']);
  assert.deepEqual([client.status, call.aborted, world.cache.stats().objects], [304, true, 0]);
});

pipelineTest('without slices a part is asked for as the client asked, and passed on, not stored', (world) => {
  world.apply(demoSnapshot(2, { sliceBytes: 0 }));
  const client = world.request({ fields: ['range', 'bytes=0-1', 'if-range', '"v1"'] });
  const call = world.call();
  assert.deepEqual([call.field('range'), call.field('if-range')], ['bytes=0-1', '"v1"']);
  call.answer(206, 'he', ['content-range', 'bytes 0-1/5', 'cache-control', 'max-age=60']);
  assert.deepEqual([client.status, client.text, world.cache.stats().objects], [206, 'he', 0]);
});

pipelineTest('what Vary names chooses among what is stored', (world) => {
  const vary = ['cache-control', 'max-age=60', 'vary', 'accept-language'];
  world.store('hello', vary, { fields: ['accept-language', 'en'] });
  world.store('bonjour', vary, { fields: ['accept-language', 'fr'] });
  assert.equal(world.request({ fields: ['accept-language', 'en'] }).text, 'hello');
  assert.equal(world.request({ fields: ['accept-language', 'fr'] }).text, 'bonjour');
  const client = world.request({ fields: ['accept-language', 'pt'] });
  world.call().answer(200, 'olá', vary);
  assert.equal(client.cache, 'fwd=vary-miss; fwd-status=200; stored; ttl=60');
});

pipelineTest('nothing is stored that varies by what the origin saw otherwise than the client sent it', (world) => {
  const answer = (vary: string) => world.call().answer(200, 'poison', ['cache-control', 'max-age=60', 'vary', vary]);
  const client = world.request({ fields: ['x-lang', 'fr', 'connection', 'x-lang'] });
  answer('x-lang');
  assert.equal(client.cache, 'fwd=uri-miss; fwd-status=200; detail=vary-star');
  world.request();
  answer('accept, x-forwarded-for');
  assert.equal(world.cache.stats().objects, 0);
});

pipelineTest('without a validator and a lifetime, and where the origin forbids it, nothing is stored', (world) => {
  const forbidden: readonly (readonly [string, readonly string[]])[] = [
    ['no-store', ['cache-control', 'no-store']],
    ['private', ['cache-control', 'private, max-age=60']],
    ['set-cookie', ['cache-control', 'max-age=60', 'set-cookie', 'a=b']],
    ['vary-star', ['cache-control', 'max-age=60', 'vary', '*']],
    ['no-freshness-or-validator', []],
  ];
  for (const [detail, fields] of forbidden) {
    const client = world.request({ target: '/account/x.css' });
    world.call().answer(200, 'secret', fields);
    assert.equal(client.cache, `fwd=uri-miss; fwd-status=200; detail=${detail}`);
  }
  assert.equal(world.cache.stats().objects, 0);
});

pipelineTest(
  'an answer longer than the cache takes is passed on, and not stored',
  (world) => {
    const announced = world.request();
    world.call().answer(200, 'x'.repeat(101), ['cache-control', 'max-age=60', 'content-length', '101']);
    assert.equal(announced.cache, 'fwd=uri-miss; fwd-status=200; detail=too-large');
    const chunked = world.request();
    world.call().head(200, ['cache-control', 'max-age=60']).data('x'.repeat(100)).data('x').end();
    assert.equal(chunked.text.length, 101);
    assert.equal(world.cache.stats().objects, 0);
  },
  { cacheLimits: { maxObjectBytes: 100 } },
);

pipelineTest('a route without a cache, a method with effects and a body bypass it', (world) => {
  world.store('hello');
  const cases: readonly (readonly [Parameters<typeof world.request>[0], string])[] = [
    [{ target: '/raw/a' }, 'fwd=bypass; fwd-status=200; detail=policy'],
    [{ method: 'OPTIONS' }, 'fwd=method; fwd-status=200'],
    [{ fields: ['content-length', '3'] }, 'fwd=bypass; fwd-status=200; detail=has-request-body'],
    [{ fields: ['x-http-method-override', 'PUT'] }, 'fwd=bypass; fwd-status=200; detail=method-override'],
    [{ fields: ['if-match', '"v1"'] }, 'fwd=bypass; fwd-status=200; stored; ttl=60; detail=precondition'],
  ];
  for (const [options, expected] of cases) {
    const client = world.request(options);
    world.call().answer(200, 'other');
    assert.deepEqual([client.cache, client.text, world.last.exchange.outcome], [expected, 'other', 'bypass']);
  }
});

pipelineTest('a method with effects ends what is stored for the URL, unless it failed', (world) => {
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
    world.store('before');
    world.request({ method });
    world.call().answer(500, 'no');
    assert.equal(world.request().cache, 'hit; ttl=60', method);
    world.request({ method });
    const call = world.call().head(201);
    // From the head on: the effect is there before the answer is complete.
    assert.equal(world.cache.stats().objects, 0, method);
    call.end();
  }
});

pipelineTest('only-if-cached never goes to an origin', (world) => {
  const options = { fields: ['cache-control', 'only-if-cached'] };
  const missing = world.request(options);
  assert.deepEqual([missing.status, world.last.exchange.failure?.code], [504, 'not-cached']);
  world.store('hello');
  assert.equal(world.request(options).text, 'hello');
  assert.equal(world.request({ fields: ['cache-control', 'only-if-cached, no-cache'] }).status, 504);
  world.clock.advance(61_000);
  assert.equal(world.request(options).status, 504);
  world.purge();
  assert.equal(world.request(options).status, 504);
  assert.equal(world.calls.length, 1);
});

pipelineTest('only-if-cached holds also where the cache is not asked, but not for methods with effects', (world) => {
  const only: FieldList = ['cache-control', 'only-if-cached'];
  for (const options of [
    { target: '/raw/a', fields: only },
    { method: 'HEAD', target: '/raw/a', fields: only },
    { fields: [...only, 'if-match', '"a"'] },
  ]) {
    assert.deepEqual([world.request(options).status, world.last.exchange.failure?.code], [504, 'not-cached']);
    assert.equal(world.last.exchange.outcome, 'bypass');
  }
  assert.equal(world.calls.length, 0);
  const written = world.request({ method: 'POST', fields: only });
  world.call().answer(201, 'done');
  assert.equal(written.status, 201);
});

pipelineTest('answers without a body end at once, whatever length they state', (world) => {
  for (const [target, status] of [
    ['/a', 204],
    ['/b', 205],
    ['/c', 301],
  ] as const) {
    const client = world.request({ target });
    world.call().head(status, ['content-length', '0']).end();
    assert.deepEqual([client.status, client.state], [status, 'ended']);
  }
  const client = world.request({ target: '/raw', fields: ['if-none-match', '"v1"'] });
  const call = world.call();
  assert.equal(call.field('if-none-match'), '"v1"');
  call.head(304, ['content-length', '5', 'etag', '"v1"']).end();
  assert.deepEqual([client.status, client.state, client.field('etag')], [304, 'ended', '"v1"']);
});

pipelineTest('informational answers are passed on before the final one', (world) => {
  const client = world.request();
  const call = world.call();
  call.inform(103);
  call.answer(200, 'hello');
  assert.deepEqual([client.informed, client.text], [[103], 'hello']);
});

pipelineTest('a request that this edge cannot take is answered by itself', (world) => {
  const cases: readonly (readonly [Parameters<typeof world.request>[0], number, string])[] = [
    [{ host: 'other.example' }, 421, 'unknown-host'],
    [{ host: 'a b' }, 400, 'malformed-host'],
    [{ target: '/%2f' }, 400, 'malformed-target'],
    [{ target: `/${'a'.repeat(8_000)}` }, 414, 'target-too-long'],
    [{ method: 'TRACE' }, 405, 'method-not-allowed'],
    [{ fields: ['cdn-loop', 'meridian-edge-1'] }, 508, 'loop'],
  ];
  for (const [options, status, code] of cases) {
    const client = world.request(options);
    assert.deepEqual([client.status, JSON.parse(client.text).code], [status, code]);
    assert.equal(client.length, client.text.length);
  }
  const { snapshot, ...serving } = world.serving ?? assert.fail();
  world.serving = {
    ...serving,
    snapshot: {
      ...snapshot,
      hosts: new Map([['demo.example', { name: 'demo', number: 0, tally: undefined, routes: [] }]]),
    },
  };
  assert.equal(world.request().status, 404);
  world.serving = undefined;
  assert.equal(world.request().status, 503);
  assert.equal(world.calls.length, 0);
});

pipelineTest('a request keeps the snapshot under which it was admitted', (world) => {
  world.request({ target: '/a' });
  const { serving } = world;
  const site = { name: 'other', number: 0, tally: undefined, routes: [] };
  world.serving = serving && {
    ...serving,
    snapshot: { ...serving.snapshot, hosts: new Map([['demo.example', site]]) },
  };
  world.call().fail('connect');
  const retried = world.call();
  assert.equal(retried.origin, 'paris');
  retried.answer(200, 'hello');
  assert.deepEqual([world.last.exchange.site?.name, world.last.exchange.serving], ['demo', serving]);
  assert.equal(world.request({ target: '/a' }).status, 404);
});
