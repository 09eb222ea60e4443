// Slices, when something comes in between: the object changes, the origin fails, a purge, what the cache has lost, a client that is slow
// or leaves, and a disk that takes its time.
import assert from 'node:assert/strict';
import type { PurgeTarget } from '../../../../proto/gen/meridian/v1/purge.ts';
import { FakeBody, FakeDisk } from '../../../support/fake-disk.ts';
import type { FakeCall } from '../../../support/fake-ports.ts';
import { rangeAnswer, serve } from '../../../support/range-origin.ts';
import { ask, assertPart, BODY, CHANGED, get, KEY, keyOf, OBJECT, sliceTest } from '../../../support/slices.ts';

sliceTest('a change that shows before the answer begins gives the new version', (world) => {
  get(world, 'bytes=10-19');
  const { client, asked } = get(world, 'bytes=20-25', CHANGED);
  assert.deepEqual(asked, ['bytes=20-29']);
  assertPart(client, 20, 26, CHANGED.body);
  assertPart(get(world, 'bytes=15-16', CHANGED).client, 15, 17, CHANGED.body);
});

sliceTest('a change in the middle of an answer breaks it off, and no slice is used any more', (world) => {
  get(world, 'bytes=10-19');
  const { client, asked } = get(world, 'bytes=10-25', CHANGED);
  assert.deepEqual([client.status, client.text, client.state], [206, BODY.slice(10, 20), 'aborted']);
  assert.deepEqual([asked, world.last.end], [['bytes=20-29'], 'origin-failed']);
  const next = get(world, 'bytes=10-25', CHANGED);
  assert.deepEqual(next.asked, ['bytes=10-29']);
  assertPart(next.client, 10, 26, CHANGED.body);
});

for (const [what, answer] of [
  ['so does another length', (call: FakeCall) => serve(call, { ...OBJECT, body: `${BODY}!` })],
  ['so does the whole', (call: FakeCall) => call.head(200, ['etag', '"v2"', 'content-length', '100'])],
  ['so does nothing there', (call: FakeCall) => call.answer(404, 'gone')],
  ['so does no such part', (call: FakeCall) => call.answer(416, '', ['content-range', 'bytes */5'])],
] as const) {
  sliceTest(what, (world) => {
    get(world, 'bytes=10-19');
    const client = ask(world, 'bytes=10-25');
    answer(world.call());
    assert.deepEqual([client.text, client.state], [BODY.slice(10, 20), 'aborted']);
    assert.equal(world.cache.find(KEY).length, 0);
  });
}

sliceTest(
  'an origin that fails in the middle is asked again from the slice on, and the client does not see it',
  (world) => {
    const client = ask(world, 'bytes=12-34');
    const call = world.call();
    const { status, fields, body } = rangeAnswer(OBJECT, call.request.fields);
    call.head(status, fields).data(body.slice(0, 15)).fail('body', 'origin-cut-off');
    const again = world.call();
    assert.equal(again.field('range'), 'bytes=20-39');
    serve(again, OBJECT);
    assertPart(client, 12, 35);
    assert.deepEqual(get(world, 'bytes=12-34').asked, []);
  },
);

sliceTest('... but not for ever', (world) => {
  const client = ask(world, 'bytes=12-34');
  for (let i = 0; i < 3; i += 1) {
    const call = world.call();
    call.head(206, rangeAnswer(OBJECT, call.request.fields).fields).fail('body', 'origin-cut-off');
  }
  assert.deepEqual([client.status, client.state, world.last.end], [206, 'aborted', 'origin-failed']);
  assert.equal(world.logged('warn').length, 1);
});

sliceTest('an origin that cannot be reached in the middle is followed by the next', (world) => {
  get(world, 'bytes=10-19');
  const client = ask(world, 'bytes=10-25');
  const london = world.call();
  london.fail('connect');
  const paris = world.call();
  assert.deepEqual([london.origin, paris.origin], ['london', 'paris']);
  serve(paris, OBJECT);
  assertPart(client, 10, 26);
  const other = ask(world, 'bytes=20-35');
  for (const origin of ['london', 'paris', 'sydney']) {
    const call = world.call();
    assert.equal(call.origin, origin);
    call.fail('connect');
  }
  assert.deepEqual([other.state, world.last.end], ['aborted', 'origin-failed']);
});

sliceTest('a purge in the middle: the answer goes on, and nothing of it is kept', (world) => {
  const client = ask(world, 'bytes=12-34');
  const call = world.call();
  const { status, fields, body } = rangeAnswer(OBJECT, call.request.fields);
  call.head(status, fields).data(body.slice(0, 15));
  world.purge();
  call.data(body.slice(15)).end();
  assertPart(client, 12, 35);
  assert.deepEqual(get(world, 'bytes=12-13').asked, ['bytes=10-19']);
});

const PURGES: readonly (readonly [string, PurgeTarget['target']])[] = [
  ['of the URL', { $case: 'url', value: { host: 'demo.example', path: '/' } }],
  ['of the host', { $case: 'host', value: 'demo.example' }],
  ['of a tag', { $case: 'tag', value: { tag: 'film', hosts: [] } }],
  ['of a prefix', { $case: 'prefix', value: { host: 'demo.example', path: '/' } }],
];

for (const [what, target] of PURGES) {
  sliceTest(`a purge ${what} reaches the index and its slices`, (world) => {
    const tagged = { ...OBJECT, fields: ['cache-control', 'max-age=60', 'surrogate-key', 'film'] };
    get(world, 'bytes=12-34', tagged);
    world.purge(target);
    const swept = world.cache.sweep((entry) => {
      const { head, host, purgeTarget } = entry;
      return world.barrier.covers(head.barrier, host, purgeTarget, head.tags);
    }, 100);
    assert.equal(swept.removed, 4);
    get(world, 'bytes=12-34', tagged);
    world.purge(target);
    const { client, asked } = get(world, 'bytes=12-34', { ...tagged, body: CHANGED.body });
    assert.deepEqual(asked, ['bytes=10-39']);
    assertPart(client, 12, 35, CHANGED.body);
  });
}

sliceTest('a soft purge asks once, and the slices stay', (world) => {
  get(world, 'bytes=12-34');
  world.purge(undefined, true);
  const { client, asked } = get(world, 'bytes=12-34');
  assert.deepEqual(asked, ['bytes=10-39']);
  assert.equal(client.cache, 'fwd=stale; fwd-status=304; stored; ttl=60');
  assert.deepEqual(get(world, 'bytes=12-34').asked, []);
});

sliceTest('a method with effects ends the slices of its URL', (world) => {
  get(world, 'bytes=12-34');
  world.request({ method: 'POST' });
  world.call().answer(204, '');
  assert.deepEqual(get(world, 'bytes=12-13', { ...OBJECT, body: CHANGED.body }).asked, ['bytes=10-19']);
  assertPart(get(world, 'bytes=22-23', { ...OBJECT, body: CHANGED.body }).client, 22, 24, CHANGED.body);
});

sliceTest('a slice that was evicted is asked for again', (world) => {
  get(world, 'bytes=0-49');
  world.cache.remove(keyOf(world, 2));
  const { client, asked } = get(world, 'bytes=5-45');
  assert.deepEqual(asked, ['bytes=20-29']);
  assertPart(client, 5, 46);
});

sliceTest('a slow client holds the origin back, and what it has taken is followed by the next', (world) => {
  get(world, 'bytes=0-9');
  const client = ask(world, 'bytes=0-39');
  // The slice from memory has gone out, and the next is asked for.
  const call = world.call();
  client.slow = true;
  call.head(206, rangeAnswer(OBJECT, call.request.fields).fields).data('0123');
  // What is held is the slice that is being gathered.
  assert.deepEqual([call.paused, world.cache.stats().pendingBytes], [true, 10]);
  client.drain();
  assert.ok(!call.paused);
  client.slow = true;
  call.data('456789').end();
  // Not asked for before the client is ready for it.
  assert.equal(world.calls.length, 2);
  client.drain();
  serve(world.call(), OBJECT);
  assertPart(client, 0, 40);
});

sliceTest('a client that leaves stops it', (world) => {
  const client = ask(world, 'bytes=12-34');
  const call = world.call();
  call.head(206, rangeAnswer(OBJECT, call.request.fields).fields).data(BODY.slice(10, 25));
  client.leave();
  client.abort();
  assert.deepEqual([call.aborted, world.last.end, world.last.bytes], [true, 'client-gone', 13]);
  // What was complete is kept.
  assert.deepEqual(get(world, 'bytes=12-13').asked, []);
});

sliceTest('a client that has what it wants does not stop the rest of its slice', (world) => {
  const client = ask(world, 'bytes=12-13');
  const call = world.call();
  call.head(206, rangeAnswer(OBJECT, call.request.fields).fields).data(BODY.slice(10, 15));
  assertPart(client, 12, 14);
  client.leave();
  call.data(BODY.slice(15, 20)).end();
  assert.deepEqual(get(world, 'bytes=18-19').asked, []);
});

sliceTest('slices are found on disk, in memory or piece by piece', (world) => {
  get(world, 'bytes=0-29');
  const disk = new FakeDisk(world.cache);
  const body = new FakeBody(BODY.slice(10, 20));
  disk.take(world.cache, keyOf(world, 0));
  disk.take(world.cache, keyOf(world, 1), body);
  disk.take(world.cache, KEY);
  const client = ask(world, 'bytes=5-25');
  assert.deepEqual([disk.answer(), disk.answer(), client.status], [1, 1, 206]);
  assert.equal(client.text, BODY.slice(5, 10));
  assert.equal(disk.answer(), 1);
  while (body.state === 'reading') body.step();
  assertPart(client, 5, 26);
  assert.equal(world.calls.length, 1);
});

sliceTest('a slice that turns out to be damaged on disk is asked for again, from where it broke off', (world) => {
  get(world, 'bytes=0-19');
  const disk = new FakeDisk(world.cache);
  const body = new FakeBody(BODY.slice(0, 10));
  disk.take(world.cache, keyOf(world, 0), body);
  const client = ask(world, 'bytes=0-19');
  disk.answer();
  body.step();
  body.fail();
  serve(world.call(), OBJECT);
  assertPart(client, 0, 20);
});

sliceTest('a client that leaves while the disk is asked is entered as gone, and the slice is closed', (world) => {
  get(world, 'bytes=0-9');
  const disk = new FakeDisk(world.cache);
  const body = new FakeBody(BODY.slice(0, 10));
  disk.take(world.cache, keyOf(world, 0), body);
  const client = ask(world, 'bytes=0-9');
  client.leave();
  client.abort();
  disk.answer();
  assert.deepEqual([world.last.end, body.state], ['client-gone', 'closed']);
});

sliceTest('an index that cannot be removed just then is found out the next time', (world) => {
  world.errorsExpected = true;
  get(world, 'bytes=10-19');
  const { removeEntry } = world.cache;
  world.cache.removeEntry = () => {
    throw new Error('locked');
  };
  const broken = get(world, 'bytes=10-25', CHANGED).client;
  assert.deepEqual([broken.text, broken.state], [BODY.slice(10, 20), 'aborted']);
  assert.deepEqual(world.logged('error'), ['what an origin has replaced could not be removed from the cache']);
  world.cache.removeEntry = removeEntry;
  get(world, 'bytes=10-25', CHANGED);
  assertPart(get(world, 'bytes=10-25', CHANGED).client, 10, 26, CHANGED.body);
});
