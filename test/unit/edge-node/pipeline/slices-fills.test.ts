// Large answers in slices, and those who wait for one fill, or are served stale while it is refreshed behind their backs.
import assert from 'node:assert/strict';
import { rangeAnswer, serve } from '../../../support/range-origin.ts';
import { ask, assertPart, BODY, CHANGED, get, KEY, OBJECT, sliceTest } from '../../../support/slices.ts';

const SMALL = { cacheLimits: { maxObjectBytes: 50 } };
const SWR = { ...OBJECT, fields: ['cache-control', 'max-age=60, stale-while-revalidate=30'] };
const NEW_SWR = { ...CHANGED, fields: SWR.fields };

sliceTest(
  'who waits for what turns out too large to be kept whole takes the slices as they are stored',
  (world) => {
    const first = world.request();
    const second = world.request();
    const call = world.call();
    assert.equal(world.calls.length, 1);
    call.head(200, rangeAnswer(OBJECT, []).fields);
    call.data(BODY.slice(0, 15));
    assert.equal(second.text, BODY.slice(0, 10));
    call.data(BODY.slice(15)).end();
    assert.deepEqual([first.text, second.status, second.text], [BODY, 200, BODY]);
    assert.equal(second.cache, 'fwd=partial; fwd-status=206; stored; collapsed; ttl=60');
    assert.equal(world.calls.length, 1);
    assert.deepEqual(world.fillEvents, []);
  },
  SMALL,
);

sliceTest(
  'nobody left: the rest of what is kept in slices is not fetched',
  (world) => {
    const client = world.request();
    const call = world.call().head(200, rangeAnswer(OBJECT, []).fields).data(BODY.slice(0, 85));
    client.leave();
    assert.equal(call.aborted, true);
    assert.deepEqual(get(world, 'bytes=70-79').asked, []);
  },
  SMALL,
);

sliceTest('many who ask for the whole of what has expired ask an origin once whether it has changed', (world) => {
  get(world, undefined);
  get(world, 'bytes=0-');
  world.clock.advance(61_000);
  const before = world.calls.length;
  const clients = Array.from({ length: 5 }, () => world.request());
  serve(world.call(), OBJECT);
  assert.equal(world.calls.length, before + 1);
  for (const client of clients) assert.deepEqual([client.status, client.text], [200, BODY]);
});

sliceTest('behind the client’s back a part is asked for, and what has changed is not fetched whole', (world) => {
  get(world, 'bytes=10-29', SWR);
  world.clock.advance(61_000);
  const client = ask(world, 'bytes=12-13');
  assertPart(client, 12, 14);
  assert.match(client.cache ?? '', /stale-while-revalidate/);
  const behind = world.call();
  assert.deepEqual([behind.field('if-none-match'), behind.field('range')], ['"v1"', 'bytes=0-9']);
  serve(behind, NEW_SWR);
  const { client: next, asked } = get(world, 'bytes=15-16', NEW_SWR);
  assertPart(next, 15, 17, CHANGED.body);
  assert.deepEqual(asked, ['bytes=10-19']);
});

sliceTest('a refresh that finds no change makes all slices fresh', (world) => {
  get(world, 'bytes=10-29', SWR);
  world.clock.advance(61_000);
  ask(world, 'bytes=12-13');
  serve(world.call(), SWR);
  const { client, asked } = get(world, 'bytes=20-29');
  assert.deepEqual([asked, client.cache], [[], 'hit; ttl=60']);
});

sliceTest('what may be served stale, but is not there, is validated first', (world) => {
  get(world, 'bytes=10-19', SWR);
  world.clock.advance(61_000);
  const client = ask(world, 'bytes=55-56');
  for (let i = 1; i < world.calls.length; i += 1) serve(world.calls[i] ?? assert.fail(), SWR);
  assertPart(client, 55, 57);
});

sliceTest('an unsafe request while the first part is on its way: no slice is kept of it', (world) => {
  const client = ask(world, 'bytes=12-13');
  const call = world.call();
  world.request({ method: 'POST' });
  world.call().answer(200, 'changed');
  serve(call, OBJECT);
  assertPart(client, 12, 14);
  assert.deepEqual(world.cache.find(KEY), []);
  assert.deepEqual(get(world, 'bytes=12-13').asked, ['bytes=10-19']);
});
