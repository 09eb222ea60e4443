// Slices, where the origin does not do what they need: nothing is kept, and the client gets what it asked for as far as that is there.
import assert from 'node:assert/strict';
import { type RangeObject, rangeAnswer, serve } from '../../../support/range-origin.ts';
import { ask, assertPart, BODY, CHANGED, get, KEY, OBJECT, sliceTest } from '../../../support/slices.ts';

const NOTHING_KEPT: readonly (readonly [string, RangeObject, string])[] = [
  ['no-store', { ...OBJECT, fields: ['cache-control', 'no-store'] }, 'no-store'],
  ['a cookie', { ...OBJECT, fields: ['cache-control', 'max-age=60', 'set-cookie', 'a=b'] }, 'set-cookie'],
  ['a weak validator', { ...OBJECT, etag: 'W/"v1"' }, 'no-validator'],
  ['no validator', { ...OBJECT, etag: undefined }, 'no-validator'],
];

for (const [what, object, detail] of NOTHING_KEPT) {
  sliceTest(`with ${what} nothing is kept, and the client gets what it asked for of what came`, (world) => {
    const client = ask(world, 'bytes=12-34');
    const call = world.call();
    const { status, fields, body } = rangeAnswer(object, call.request.fields);
    call.head(status, fields).data(body.slice(0, 20)).data(body.slice(20, 27));
    assertPart(client, 12, 35);
    assert.equal(client.cache, `fwd=uri-miss; fwd-status=206; detail=${detail}`);
    assert.equal(client.field('set-cookie'), object.fields?.includes('set-cookie') ? 'a=b' : undefined);
    // The rest of the last slice is of no use to anyone.
    assert.deepEqual([world.cache.stats().objects, call.aborted], [0, true]);
    // For a while no more is asked for than the client wants.
    assert.deepEqual(get(world, 'bytes=12-34', object).asked, ['bytes=12-34']);
    world.clock.advance(60_000);
    assert.deepEqual(get(world, 'bytes=12-34', object).asked, ['bytes=10-39']);
  });
}

sliceTest('who sends Authorization, or wants nothing kept, is not asked for more than it asks for', (world) => {
  for (const fields of [
    ['authorization', 'x'],
    ['cache-control', 'no-store'],
  ]) {
    const client = ask(world, 'bytes=12-13', ...fields);
    const call = world.call();
    assert.equal(call.field('range'), 'bytes=12-13');
    serve(call, OBJECT);
    assertPart(client, 12, 14);
  }
});

for (const [what, range] of [
  ['of another place', 'bytes 0-9/100'],
  ['of unknown length', 'bytes 10-19/*'],
  ['of several parts', undefined],
] as const) {
  sliceTest(`a 206 ${what} is not used: the request goes once more, as it is`, (world) => {
    const client = ask(world, 'bytes=12-13');
    const call = world.call();
    const odd = range === undefined ? ['content-type', 'multipart/byteranges; boundary=x'] : ['content-range', range];
    call.head(206, ['etag', '"v1"', 'cache-control', 'max-age=60', ...odd]);
    assert.ok(call.aborted);
    const second = world.call();
    assert.equal(second.field('range'), 'bytes=12-13');
    second.answer(206, '23', ['content-range', 'bytes 12-13/*', 'etag', '"v1"', 'cache-control', 'max-age=60']);
    assert.deepEqual([client.status, client.text, client.field('content-range')], [206, '23', 'bytes 12-13/*']);
    assert.equal(world.cache.stats().objects, 0);
  });
}

sliceTest('an origin that gives no parts: the client gets its part of the whole, which is kept', (world) => {
  const client = ask(world, 'bytes=12-34');
  const call = world.call();
  call.head(200, ['cache-control', 'max-age=60', 'etag', '"v1"', 'content-length', '100']);
  call.data(BODY.slice(0, 50));
  assertPart(client, 12, 35);
  assert.equal(client.cache, 'fwd=uri-miss; fwd-status=200; stored; ttl=60');
  assert.equal(world.last.bytes, 23);
  call.data(BODY.slice(50)).end();
  assert.equal(world.request().text, BODY);
});

sliceTest(
  'what comes whole and is too large to be kept is not fetched beyond what is wanted',
  (world) => {
    const client = ask(world, 'bytes=12-34');
    const call = world.call().head(200, ['cache-control', 'max-age=60', 'etag', '"v1"', 'content-length', '100']);
    call.data(BODY.slice(0, 50));
    assertPart(client, 12, 35);
    assert.deepEqual([call.aborted, client.cache], [true, 'fwd=uri-miss; fwd-status=200; detail=too-large']);
  },
  { cacheLimits: { maxObjectBytes: 50 } },
);

sliceTest('416 is passed on', (world) => {
  const { client, asked } = get(world, 'bytes=200-300');
  assert.deepEqual(asked, ['bytes=200-309']);
  assert.deepEqual([client.status, client.field('content-range')], [416, 'bytes */100']);
  assert.equal(world.cache.stats().objects, 0);
});

sliceTest('a range that begins behind the end, in a slice that does not, is 416 as well', (world) => {
  const { client } = get(world, 'bytes=95-', { ...OBJECT, body: BODY.slice(0, 94) });
  assert.deepEqual([client.status, client.field('content-range')], [416, 'bytes */94']);
});

sliceTest('what is not there any more when a missing slice is asked for is passed on, and the index goes', (world) => {
  get(world, 'bytes=10-19');
  const client = ask(world, 'bytes=20-25');
  world.call().answer(404, 'gone', ['cache-control', 'no-store']);
  assert.deepEqual([client.status, client.text], [404, 'gone']);
  assert.equal(world.cache.find(KEY).length, 0);
  get(world, 'bytes=10-19');
  const shorter = { ...CHANGED, body: CHANGED.body.slice(0, 5) };
  const beyond = get(world, 'bytes=20-25', shorter);
  assert.deepEqual([beyond.client.status, beyond.client.field('content-range')], [416, 'bytes */5']);
  assert.equal(world.cache.find(KEY).length, 0);
});

sliceTest('a part that is shorter or longer than it says is not kept', (world) => {
  for (const body of [BODY.slice(10, 19), BODY.slice(10, 21)]) {
    const client = ask(world, 'bytes=12-19');
    const call = world.call();
    call.head(206, rangeAnswer(OBJECT, call.request.fields).fields);
    call.data(body);
    call.end();
    if (body.length < 10) serve(world.call(), OBJECT);
    assert.equal(client.text, BODY.slice(12, body.length < 10 ? 20 : 12));
    if (body.length > 10) world.calls.slice(-1).forEach((last) => void serve(last, OBJECT));
    world.purge();
  }
});
