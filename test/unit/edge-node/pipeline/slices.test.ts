// Large answers in slices, through the steps: what is asked of an origin for a range, what of it is kept, and how it is kept fresh.
import assert from 'node:assert/strict';
import { explain } from '../../../../edge-node/pipeline/explain.ts';
import { LONDON, pipelineTest, UNSLICED } from '../../../support/pipeline.ts';
import { type RangeObject, rangeAnswer, serve } from '../../../support/range-origin.ts';
import { ask, assertPart, BODY, CHANGED, get, OBJECT, sliceTest } from '../../../support/slices.ts';

sliceTest('a range that misses is asked for in whole slices, and the next time comes from the cache', (world) => {
  const first = get(world, 'bytes=12-34');
  assert.deepEqual(first.asked, ['bytes=10-39']);
  assertPart(first.client, 12, 35);
  assert.equal(first.client.field('content-range'), 'bytes 12-34/100');
  assert.equal(first.client.cache, 'fwd=uri-miss; fwd-status=206; stored; ttl=60');
  assert.deepEqual([world.last.bytes, world.last.exchange.outcome, world.last.end], [23, 'miss', 'complete']);
  const second = get(world, 'bytes=15-31');
  assert.deepEqual(second.asked, []);
  assertPart(second.client, 15, 32);
  assert.equal(second.client.cache, 'hit; ttl=60');
  assert.deepEqual([world.last.bytes, world.last.exchange.outcome], [17, 'hit']);
  // The index and three slices.
  assert.equal(world.cache.stats().objects, 4);
});

sliceTest('only what is missing is asked for, and the answer says that a part was there', (world) => {
  get(world, 'bytes=10-19');
  const { client, asked } = get(world, 'bytes=15-25');
  assert.deepEqual(asked, ['bytes=20-29']);
  assertPart(client, 15, 26);
  const other = get(world, 'bytes=32-33');
  assert.deepEqual(other.asked, ['bytes=30-39']);
  assertPart(other.client, 32, 34);
  assert.equal(other.client.cache, 'fwd=partial; fwd-status=206; stored; ttl=60');
  assert.equal(world.last.exchange.outcome, 'miss');
});

sliceTest('the more is missing in a row, the more is asked for at once, and never beyond what is wanted', (world) => {
  get(world, 'bytes=0-0');
  const { client, asked } = get(world, 'bytes=0-78');
  assert.deepEqual(asked, ['bytes=10-19', 'bytes=20-39', 'bytes=40-79']);
  assertPart(client, 0, 79);
});

sliceTest('a suffix is asked for with as much before it as makes its first slice whole', (world) => {
  const first = get(world, 'bytes=-13');
  assert.deepEqual(first.asked, ['bytes=-22']);
  assertPart(first.client, 87, 100);
  for (const range of ['bytes=-13', 'bytes=80-', 'bytes=99-200']) assert.deepEqual(get(world, range).asked, [], range);
});

sliceTest('a range without end is one request, and what is behind the client is kept', (world) => {
  const { client, asked } = get(world, 'bytes=5-');
  assert.deepEqual(asked, ['bytes=0-']);
  assertPart(client, 5, 100);
  const whole = get(world, undefined);
  assert.deepEqual(whole.asked, []);
  assert.deepEqual([whole.client.status, whole.client.text, whole.client.cache], [200, BODY, 'hit; ttl=60']);
});

sliceTest('what is no more than a slice is kept whole', (world) => {
  const small = { ...OBJECT, body: '0123456' };
  const { client } = get(world, 'bytes=0-', small);
  assertPart(client, 0, 7, small.body);
  assert.equal(world.cache.stats().objects, 1);
  assert.deepEqual(get(world, undefined).client.text, small.body);
  assert.equal(get(world, 'bytes=3-4').client.text, '34');
});

sliceTest('several ranges come from slices where these are few, and else from the origin as they are', (world) => {
  const { client, asked } = get(world, 'bytes=5-6,-2');
  assert.deepEqual(asked, ['bytes=0-9', 'bytes=90-99']);
  assert.deepEqual([client.status, client.state, client.text.length], [206, 'ended', client.length]);
  assert.match(client.text, /bytes 5-6\/100\r\n\r\n56\r\n--.*bytes 98-99\/100\r\n\r\n89\r\n--/s);
  assert.deepEqual(get(world, 'bytes=98-99,1-2').asked, []);
  const wide: RangeObject = { etag: '"w"', body: BODY.repeat(40) };
  world.request({ target: '/wide', fields: ['range', 'bytes=0-1'] });
  serve(world.call(), wide);
  const many = Array.from({ length: 9 }, (_, i) => `${i * 400}-${i * 400}`).join(',');
  const dear = world.request({ target: '/wide', fields: ['range', `bytes=${many}`] });
  const call = world.call();
  assert.equal(call.field('range'), `bytes=${many}`);
  call.answer(206, 'multipart', ['content-type', 'multipart/byteranges; boundary=x']);
  assert.deepEqual([dear.text, dear.cache], ['multipart', 'fwd=partial; fwd-status=206; detail=partial']);
});

sliceTest('conditions, If-Range and HEAD are judged by the index', (world) => {
  get(world, 'bytes=10-29');
  assert.equal(ask(world, 'bytes=10-19', 'if-none-match', '"v1"').status, 304);
  assert.equal(ask(world, 'bytes=10-19', 'if-range', '"v1"').text, BODY.slice(10, 20));
  const head = world.request({ method: 'HEAD' });
  assert.deepEqual([head.status, head.length, head.text, head.cache], [200, 100, '', 'hit; ttl=60']);
  const beyond = ask(world, 'bytes=100-');
  assert.deepEqual([beyond.status, beyond.field('content-range')], [416, 'bytes */100']);
  assert.equal(world.calls.length, 1);
  const before = world.calls.length;
  const other = ask(world, 'bytes=10-19', 'if-range', '"v0"');
  for (let i = before; i < world.calls.length; i += 1) serve(world.call(), OBJECT);
  assert.deepEqual([other.status, other.text], [200, BODY]);
});

pipelineTest(
  'a route that has no slices asks for ranges as they are',
  (world) => {
    const { client, asked } = get(world, 'bytes=12-34');
    assert.deepEqual(asked, ['bytes=12-34']);
    assertPart(client, 12, 35);
    assert.equal(world.cache.stats().objects, 0);
  },
  UNSLICED,
);

sliceTest(
  'what is asked for whole and is too large to be kept so is kept in slices on its way',
  (world) => {
    const client = world.request();
    const call = world.call();
    const { fields } = rangeAnswer(OBJECT, []);
    call.head(200, fields).data(BODY.slice(0, 37));
    assert.deepEqual(get(world, 'bytes=25-29').asked, []);
    call.data(BODY.slice(37)).end();
    assert.deepEqual([client.status, client.text], [200, BODY]);
    const again = world.request();
    assert.deepEqual([again.text, again.cache], [BODY, 'hit; ttl=60']);
    assertPart(ask(world, 'bytes=45-67'), 45, 68);
    assert.equal(world.calls.length, 1);
  },
  { cacheLimits: { maxObjectBytes: 50 } },
);

sliceTest(
  'what breaks off on its way is asked for from the slice on that is not complete',
  (world) => {
    const client = world.request();
    const call = world.call();
    call.head(200, rangeAnswer(OBJECT, []).fields).data(BODY.slice(0, 37)).fail('body', 'origin-cut-off');
    const asked = ['bytes=30-49', 'bytes=50-89', 'bytes=90-99'];
    for (const range of asked) {
      const more = world.call();
      assert.equal(more.field('range'), range);
      serve(more, OBJECT);
    }
    assert.deepEqual([client.status, client.text, client.state], [200, BODY, 'ended']);
    assert.deepEqual(get(world, undefined).asked, []);
  },
  { cacheLimits: { maxObjectBytes: 50 } },
);

sliceTest('a 304 makes all slices fresh again at once', (world) => {
  get(world, 'bytes=10-29');
  world.clock.advance(61_000);
  const client = ask(world, 'bytes=12-13');
  const call = world.call();
  assert.deepEqual([call.field('if-none-match'), call.field('range')], ['"v1"', 'bytes=10-19']);
  serve(call, OBJECT);
  assertPart(client, 12, 14);
  assert.equal(client.cache, 'fwd=stale; fwd-status=304; stored; ttl=60');
  assert.equal(get(world, 'bytes=20-29').client.cache, 'hit; ttl=60');
});

sliceTest('where the slice is missing as well, it is asked for behind the 304', (world) => {
  get(world, 'bytes=10-19');
  world.clock.advance(61_000);
  const { client, asked } = get(world, 'bytes=55-56');
  assert.deepEqual(asked, ['bytes=50-59', 'bytes=50-59']);
  assert.deepEqual([world.calls.at(-1)?.field('if-none-match'), world.calls.at(-1)?.origin], [undefined, 'london']);
  assertPart(client, 55, 57);
});

sliceTest(
  'what has expired and changed gives the part of the new version, and no slice of the old one is used',
  (world) => {
    get(world, 'bytes=10-29');
    world.clock.advance(61_000);
    assertPart(get(world, 'bytes=15-16', CHANGED).client, 15, 17, CHANGED.body);
    const { client, asked } = get(world, 'bytes=25-26', CHANGED);
    assert.deepEqual(asked, ['bytes=20-29']);
    assertPart(client, 25, 27, CHANGED.body);
  },
);

sliceTest('an origin that overlooks the condition has validated by its 206', (world) => {
  get(world, 'bytes=10-19');
  world.clock.advance(61_000);
  const client = ask(world, 'bytes=12-13');
  const call = world.call();
  const { status, fields } = rangeAnswer(OBJECT, ['range', 'bytes=10-19']);
  call.head(status, fields);
  assertPart(client, 12, 14);
  assert.deepEqual([call.aborted, client.cache], [true, 'fwd=stale; fwd-status=304; stored; ttl=60']);
});

sliceTest('the fields of the newest part count for all', (world) => {
  get(world, 'bytes=10-19');
  world.clock.advance(50_000);
  get(world, 'bytes=20-29', { ...OBJECT, fields: ['cache-control', 'max-age=90', 'x-build', '7'] });
  world.clock.advance(80_000);
  const { client, asked } = get(world, 'bytes=10-19');
  assert.deepEqual([asked, client.cache, client.field('x-build')], [[], 'hit; ttl=10', '7']);
});

sliceTest('what is stale is served where no origin answers, if its slices are there', (world) => {
  get(world, 'bytes=10-19');
  world.clock.advance(61_000);
  world.takeDown('london', 'paris', 'sydney');
  const there = ask(world, 'bytes=12-13');
  assertPart(there, 12, 14);
  assert.equal(there.cache, 'hit; ttl=-1; detail=stale-served');
  const missing = ask(world, 'bytes=52-53');
  assert.deepEqual([missing.status, JSON.parse(missing.text).code], [502, 'origin-unreachable']);
});

sliceTest('only-if-cached asks no origin for what is missing', (world) => {
  get(world, 'bytes=10-19');
  assertPart(ask(world, 'bytes=12-13', 'cache-control', 'only-if-cached'), 12, 14);
  for (const range of ['bytes=22-23', 'bytes=12-23', 'bytes=12-13,52-53', 'bytes=0-']) {
    assert.equal(ask(world, range, 'cache-control', 'only-if-cached').status, 504, range);
  }
  assert.equal(world.calls.length, 1);
});

sliceTest('two that ask at once make one index', (world) => {
  const clients = [ask(world, 'bytes=12-13'), ask(world, 'bytes=25-26')];
  for (const call of world.calls) serve(call, OBJECT);
  assert.deepEqual(
    clients.map(({ text }) => text),
    ['23', '56'],
  );
  const before = world.calls.length;
  for (const range of ['bytes=10-19', 'bytes=20-29']) assert.equal(ask(world, range).cache, 'hit; ttl=60');
  assert.equal(world.calls.length, before);
});

sliceTest('an operator is told that it is kept in slices', (world) => {
  get(world, 'bytes=10-19');
  const { cache, barrier, health, clock } = world;
  const place = { location: LONDON, city: '', country: '', source: 'database' } as const;
  const ports = { edge: 'edge-1', clock, serving: () => world.serving, locate: () => place, cache, barrier, health };
  const explained = explain({ url: 'http://demo.example/', ip: '192.0.2.1' }, ports).cache;
  assert.deepEqual([explained?.state, explained?.variants], ['fresh', 1]);
  assert.match(explained?.reason ?? '', /^fresh for 60 s more.*; kept in slices: 100 bytes in 10 of 10/);
});
