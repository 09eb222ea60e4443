// What is stored for other requests only: an origin is asked whether one of them is what it would answer this one with, and if it
// is, no body comes over the network.
import assert from 'node:assert/strict';
import { FakeBody, FakeDisk } from '../../../support/fake-disk.ts';
import type { FakeClient } from '../../../support/fake-ports.ts';
import { pipelineTest, type World } from '../../../support/pipeline.ts';

const KEY = 'http://demo.example/';
const fresh = (etag: string, ...more: string[]): string[] => [
  ...['cache-control', 'max-age=60', 'vary', 'accept-language', 'etag', etag],
  ...more,
];
const wants = (language: string, ...more: string[]) => ({ fields: ['accept-language', language, ...more] });

/** English, then German, each with a tag of its own. */
function storeTwo(world: World): void {
  world.store('in English', fresh('"en"'), wants('en'));
  world.clock.advance(1000);
  const client = world.request(wants('de'));
  world.call().answer(200, 'auf Deutsch', fresh('"de"'));
  assert.match(client.cache ?? '', /^fwd=vary-miss; fwd-status=200; stored/);
}

const isHit = (client: FakeClient, text: string, ttl = 60): void =>
  assert.deepEqual([client.status, client.text, client.cache], [200, text, `hit; ttl=${ttl}`]);

pipelineTest('the tags of all variants are sent, and a 304 makes one of them the answer', (world) => {
  storeTwo(world);
  const client = world.request(wants('en-GB'));
  const call = world.call();
  assert.deepEqual([call.field('if-none-match'), call.field('if-modified-since')], ['"de", "en"', undefined]);
  call.head(304, fresh('"en"', 'x-new', '1')).end();
  assert.deepEqual([client.status, client.text, client.field('x-new')], [200, 'in English', '1']);
  assert.equal(client.cache, 'fwd=vary-miss; fwd-status=304; stored; ttl=60');
  assert.equal(world.last.exchange.outcome, 'revalidated');
});

pipelineTest('it is stored as a variant of its own, and the other stays as it was', (world) => {
  storeTwo(world);
  world.clock.advance(9000);
  world.request(wants('en-GB'));
  world
    .call()
    .head(304, fresh('"en"', 'x-new', '1'))
    .end();
  isHit(world.request(wants('en-GB')), 'in English');
  const other = world.request(wants('en'));
  isHit(other, 'in English', 50);
  assert.equal(other.field('x-new'), undefined);
  isHit(world.request(wants('de')), 'auf Deutsch', 51);
  assert.equal(world.cache.stats().objects, 3);
});

pipelineTest('a 304 with a tag that was not sent leads to a second request, without a condition', (world) => {
  storeTwo(world);
  const client = world.request(wants('fr'));
  const first = world.call();
  first.head(304, fresh('"fr"'));
  assert.equal(first.aborted, true);
  const second = world.call();
  assert.equal(second.field('if-none-match'), undefined);
  second.answer(200, 'en français', fresh('"fr"'));
  assert.deepEqual([client.text, client.cache], ['en français', 'fwd=vary-miss; fwd-status=200; stored; ttl=60']);
  isHit(world.request(wants('en')), 'in English', 59);
});

pipelineTest('so does one that names what has gone meanwhile', (world) => {
  storeTwo(world);
  const client = world.request(wants('fr'));
  world.cache.remove(KEY);
  world.call().head(304, fresh('"en"'));
  world.call().answer(200, 'en français', fresh('"fr"'));
  assert.equal(client.text, 'en français');
});

pipelineTest('a 304 again is an origin’s mistake', (world) => {
  storeTwo(world);
  const client = world.request(wants('fr'));
  world.call().head(304, fresh('"fr"'));
  world.call().head(304, fresh('"en"'));
  assert.deepEqual([client.status, world.last.exchange.failure?.code], [502, 'origin-malformed']);
});

pipelineTest('a 304 without a tag says which it is only where one alone was asked about', (world) => {
  world.store('in English', fresh('"en"'), wants('en'));
  const client = world.request(wants('de'));
  world.call().head(304).end();
  assert.equal(client.text, 'in English');
  world.request(wants('fr'));
  world.call().answer(200, 'en français', fresh('"fr"'));
  world.request(wants('it'));
  world.call().head(304);
  world.call().answer(200, 'in italiano', fresh('"it"'));
});

pipelineTest('an origin that takes no notice of the tags sends the whole', (world) => {
  storeTwo(world);
  const client = world.request(wants('en-GB'));
  world.call().answer(200, 'in English', fresh('"en"'));
  assert.deepEqual([client.text, client.cache], ['in English', 'fwd=vary-miss; fwd-status=200; stored; ttl=60']);
});

pipelineTest('a client gets 304 only if it has what the 304 of the origin speaks of', (world) => {
  storeTwo(world);
  const has = world.request(wants('en-GB', 'if-none-match', '"en"'));
  const call = world.call();
  assert.equal(call.field('if-none-match'), '"de", "en"');
  call.head(304, fresh('"en"')).end();
  assert.deepEqual([has.status, has.text], [304, '']);
  const other = world.request(wants('en-AU', 'if-none-match', '"de"'));
  world.call().head(304, fresh('"en"')).end();
  assert.deepEqual([other.status, other.text], [200, 'in English']);
  const third = world.request(wants('en-US', 'if-none-match', '"x"'));
  world.call().head(304, fresh('"x"'));
  world.call().answer(200, 'x', fresh('"x"'));
  assert.deepEqual([third.status, third.text], [304, '']);
  isHit(world.request(wants('en-GB')), 'in English');
});

pipelineTest('neither a range, nor HEAD, nor only-if-cached asks about variants', (world) => {
  storeTwo(world);
  world.request(wants('fr', 'range', 'bytes=0-1'));
  const part = world.call();
  assert.equal(part.field('if-none-match'), undefined);
  part.head(404).end();
  world.request({ method: 'HEAD', ...wants('fr') });
  const head = world.call();
  assert.equal(head.field('if-none-match'), undefined);
  head.head(200).end();
  assert.equal(world.request(wants('fr', 'cache-control', 'only-if-cached')).status, 504);
});

pipelineTest('what was purged is not asked about, also where the purge comes between two attempts', (world) => {
  storeTwo(world);
  world.request(wants('fr'));
  const first = world.call();
  assert.equal(first.field('if-none-match'), '"de", "en"');
  world.purge();
  first.fail('connect');
  const second = world.call();
  assert.equal(second.field('if-none-match'), undefined);
  second.answer(200, 'en français', fresh('"fr"'));
});

pipelineTest('what a purge reaches while the origin answers is not stored as fresh', (world) => {
  storeTwo(world);
  const client = world.request(wants('en-GB'));
  const call = world.call();
  world.purge();
  call.head(304, fresh('"en"')).end();
  assert.equal(client.text, 'in English');
  world.request(wants('en-GB'));
  world.call().answer(200, 'new', fresh('"new"'));
});

pipelineTest(
  'nor is what an unsafe request makes invalid meanwhile, though it was read from the disk before',
  (world) => {
    const disk = new FakeDisk(world.cache);
    storeTwo(world);
    disk.take(world.cache, KEY);
    const client = world.request(wants('en-GB'));
    disk.answer();
    const call = world.call();
    world.request({ method: 'POST' });
    world.call().answer(200, 'done', []);
    call.head(304, fresh('"en"')).end();
    assert.equal(client.text, 'in English');
    assert.equal(world.cache.stats().objects, 0);
  },
);

pipelineTest('a 304 that forbids storing answers its request, and takes nothing from others', (world) => {
  storeTwo(world);
  const client = world.request(wants('en-GB'));
  world.call().head(304, ['cache-control', 'no-store', 'etag', '"en"']).end();
  assert.deepEqual([client.text, client.cache], ['in English', 'fwd=vary-miss; fwd-status=304; detail=no-store']);
  isHit(world.request(wants('en')), 'in English', 59);
  assert.equal(world.cache.stats().objects, 2);
});

pipelineTest('a request with Authorization is answered, and stored only if that may be shared', (world) => {
  storeTwo(world);
  const client = world.request(wants('en-GB', 'authorization', 'Basic eA=='));
  world.call().head(304, fresh('"en"')).end();
  assert.deepEqual([client.text, client.cache], ['in English', 'fwd=vary-miss; fwd-status=304; detail=authorization']);
  assert.equal(world.cache.stats().objects, 2);
  world.request(wants('en-GB', 'authorization', 'Basic eA=='));
  world.call().head(304, ['cache-control', 'public, max-age=60', 'etag', '"en"']).end();
  assert.equal(world.cache.stats().objects, 3);
});

pipelineTest('those who wait for the 304 get what it makes of the variant', (world) => {
  storeTwo(world);
  const first = world.request(wants('en-GB'));
  const second = world.request(wants('en-GB'));
  const other = world.request(wants('fr'));
  const [call, french] = [world.calls.at(-2), world.calls.at(-1)];
  call?.head(304, fresh('"en"', 'x-new', '1')).end();
  assert.deepEqual([first.text, second.text, second.field('x-new')], ['in English', 'in English', '1']);
  assert.equal(second.cache, 'fwd=vary-miss; fwd-status=304; stored; collapsed; ttl=60');
  french?.answer(200, 'en français', fresh('"fr"'));
  assert.equal(other.text, 'en français');
});

pipelineTest('the first client may leave: the others get it all the same', (world) => {
  storeTwo(world);
  const first = world.request(wants('en-GB'));
  const second = world.request(wants('en-GB'));
  const call = world.call();
  first.leave();
  first.abort();
  call.head(304, fresh('"en"')).end();
  assert.equal(second.text, 'in English');
  isHit(world.request(wants('en-GB')), 'in English');
});

pipelineTest('what there is no room for twice answers all the same', (world) => {
  storeTwo(world);
  Object.assign(world.cache, { begin: () => undefined });
  const client = world.request(wants('en-GB'));
  world.call().head(304, fresh('"en"')).end();
  assert.deepEqual([client.text, client.cache], ['in English', 'fwd=vary-miss; fwd-status=304; detail=too-large']);
});

pipelineTest('variants that only the disk has are asked about, and the body is copied from there', (world) => {
  const disk = new FakeDisk(world.cache);
  storeTwo(world);
  disk.take(world.cache, KEY);
  const client = world.request(wants('en-GB'));
  disk.answer();
  const call = world.call();
  assert.equal(call.field('if-none-match'), '"de", "en"');
  call.head(304, fresh('"en"')).end();
  assert.equal(client.text, 'in English');
  isHit(world.request(wants('en-GB')), 'in English');
});

/** One variant, whose body is read from the disk piece by piece, and what a request for another gets once that has been read. */
function large(world: World, ...more: string[]): { client: FakeClient; body: FakeBody } {
  const disk = new FakeDisk(world.cache);
  const body = new FakeBody('in English');
  world.store('in English', fresh('"en"'), wants('en'));
  disk.take(world.cache, KEY, body);
  const client = world.request(wants('en-GB', ...more));
  disk.answer();
  return { client, body };
}

pipelineTest('a large body is copied on its way from the disk to the client, whole', (world) => {
  const { client, body } = large(world);
  world.call().head(304, fresh('"en"')).end();
  assert.equal(client.cache, 'fwd=vary-miss; fwd-status=304; stored; ttl=60');
  assert.deepEqual(world.cache.find(KEY), []);
  client.slow = true;
  body.step();
  assert.equal(body.state, 'waiting');
  client.drain();
  body.step();
  body.step();
  assert.deepEqual([client.state, client.text], ['ended', 'in English']);
  isHit(world.request(wants('en-GB')), 'in English');
});

pipelineTest('a large body of which the disk gives but a part is not stored', (world) => {
  for (const how of ['damaged', 'client-gone'] as const) {
    const { client, body } = large(world);
    world.call().head(304, fresh('"en"')).end();
    body.step();
    if (how === 'damaged') body.fail();
    else {
      client.leave();
      client.abort();
    }
    assert.deepEqual([client.state, body.state], ['aborted', 'closed']);
    assert.deepEqual([world.cache.stats().objects, world.cache.stats().pendingBytes], [0, 0]);
  }
});

pipelineTest('a client that has a large body is told so, and it is not read', (world) => {
  const { client, body } = large(world, 'if-none-match', '"en"');
  world.call().head(304, fresh('"en"')).end();
  assert.deepEqual([client.status, client.cache], [304, 'fwd=vary-miss; fwd-status=304']);
  assert.deepEqual([body.state, world.cache.stats().objects], ['closed', 0]);
});

pipelineTest('a large body that has gone meanwhile is asked for', (world) => {
  const { client, body } = large(world);
  body.gone = true;
  world.call().head(304, fresh('"en"'));
  const second = world.call();
  assert.equal(second.field('if-none-match'), undefined);
  second.answer(200, 'in English', fresh('"en"'));
  assert.equal(client.text, 'in English');
});

pipelineTest('two who wait for a large body read it each for itself', (world) => {
  const disk = new FakeDisk(world.cache);
  const bodies: FakeBody[] = [];
  world.store('in English', fresh('"en"'), wants('en'));
  disk.take(world.cache, KEY, {
    length: 10,
    open: () => {
      const body = new FakeBody('in English');
      bodies.push(body);
      return body.open();
    },
  } as FakeBody);
  const clients = [world.request(wants('en-GB')), world.request(wants('en-GB'))];
  disk.answer();
  world.call().head(304, fresh('"en"')).end();
  assert.equal(bodies.length, 2);
  for (const body of bodies) while (body.state === 'reading') body.step();
  assert.deepEqual(
    clients.map(({ text }) => text),
    ['in English', 'in English'],
  );
  isHit(world.request(wants('en-GB')), 'in English');
});
