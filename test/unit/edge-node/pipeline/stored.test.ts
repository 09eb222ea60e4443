// What only the disk has: the request waits for it, and then it is as if memory had had it.
import assert from 'node:assert/strict';
import { FakeBody, FakeDisk } from '../../../support/fake-disk.ts';
import { pipelineTest, type World } from '../../../support/pipeline.ts';

const KEY = 'http://demo.example/';
const ETAG = ['cache-control', 'max-age=60', 'etag', '"v1"'];
const ALL = ['london', 'paris', 'sydney'];
const TEXT = 'a body in pieces';

function onDisk(world: World, fields = ETAG): FakeDisk {
  const disk = new FakeDisk(world.cache);
  world.store('stored', fields);
  disk.take(world.cache, KEY);
  return disk;
}

function large(world: World, text = TEXT): { disk: FakeDisk; body: FakeBody } {
  const disk = new FakeDisk(world.cache);
  const body = new FakeBody(text);
  world.store(text, ETAG);
  disk.take(world.cache, KEY, body);
  return { disk, body };
}

pipelineTest('a request waits for the disk, and is a hit', (world) => {
  const disk = onDisk(world);
  const client = world.request();
  assert.equal(client.state, 'open');
  assert.equal(disk.answer(), 1);
  assert.deepEqual([client.status, client.text, client.cache], [200, 'stored', 'hit; ttl=60']);
});

pipelineTest('what neither has is asked for at once', (world) => {
  const disk = onDisk(world);
  world.request({ target: '/other' });
  world.call().answer(200, 'other');
  assert.equal(disk.answer(), 0);
});

pipelineTest('what the disk turns out not to have is a miss', (world) => {
  const disk = onDisk(world);
  disk.lose(KEY);
  const client = world.request();
  disk.answer();
  world.call().answer(200, 'from an origin');
  assert.deepEqual([client.text, client.cache], ['from an origin', 'fwd=uri-miss; fwd-status=200; stored; ttl=60']);
});

pipelineTest('what memory has by then is taken from there', (world) => {
  const disk = new FakeDisk(world.cache);
  world.store('stored', ETAG);
  const [entry] = world.cache.find(KEY);
  assert.ok(entry);
  disk.take(world.cache, KEY);
  const client = world.request();
  world.cache.put({ ...entry, body: Buffer.from('newer') });
  disk.answer();
  assert.deepEqual([client.text, client.cache], ['newer', 'hit; ttl=60']);
});

pipelineTest('a variant that memory lacks may be on disk', (world) => {
  const vary = ['cache-control', 'max-age=60', 'vary', 'accept'];
  const disk = onDisk(world, vary);
  world.request({ fields: ['accept', 'text/html'] });
  disk.answer();
  world.call().answer(200, 'html', vary);
  const client = world.request();
  disk.answer();
  assert.deepEqual([client.text, client.cache], ['stored', 'hit; ttl=60']);
});

pipelineTest('a purge while it waits counts', (world) => {
  const disk = onDisk(world);
  const client = world.request();
  world.purge();
  disk.answer();
  world.call().answer(200, 'new');
  assert.equal(client.text, 'new');
});

pipelineTest('what is stale is asked about, and served stale where nobody answers', (world) => {
  const disk = onDisk(world);
  world.clock.advance(61_000);
  const client = world.request();
  disk.answer();
  world.call().head(304, ['cache-control', 'max-age=30']).end();
  assert.deepEqual([client.text, client.cache], ['stored', 'fwd=stale; fwd-status=304; stored; ttl=30']);
  world.clock.advance(61_000);
  world.takeDown(...ALL);
  const second = world.request();
  disk.answer();
  assert.deepEqual([second.status, second.text], [200, 'stored']);
});

pipelineTest('a client that leaves while it waits is entered as gone', (world) => {
  const disk = onDisk(world);
  const client = world.request();
  client.leave();
  client.abort();
  assert.equal(world.last.end, 'client-gone');
  disk.answer();
  assert.equal(client.status, 0);
});

pipelineTest('a large body comes piece by piece, at the pace of the client', (world) => {
  const { disk, body } = large(world);
  const client = world.request();
  disk.answer();
  assert.deepEqual([client.status, client.length, client.cache], [200, TEXT.length, 'hit; ttl=60']);
  body.step();
  client.slow = true;
  body.step();
  assert.deepEqual([body.state, client.text], ['waiting', 'a body i']);
  client.drain();
  body.step();
  body.step();
  assert.deepEqual([client.state, client.text], ['ended', TEXT]);
  assert.deepEqual([world.last.end, world.last.bytes], ['complete', TEXT.length]);
});

pipelineTest('neither HEAD nor a client that has it reads the body, and it is closed', (world) => {
  const { disk, body } = large(world);
  for (const options of [{ method: 'HEAD' }, { fields: ['if-none-match', '"v1"'] }]) {
    const client = world.request(options);
    disk.answer();
    assert.deepEqual([client.state, client.text, body.state], ['ended', '', 'closed']);
    assert.equal(client.length, options.method === 'HEAD' ? TEXT.length : undefined);
  }
});

pipelineTest('damage in the middle breaks the answer off', (world) => {
  const { disk, body } = large(world);
  const client = world.request();
  disk.answer();
  body.step();
  body.fail();
  assert.deepEqual([client.state, world.last.end, world.last.bytes], ['aborted', 'edge-failed', 4]);
});

pipelineTest('a client that leaves in the middle closes the body', (world) => {
  const { disk, body } = large(world);
  const client = world.request();
  disk.answer();
  body.step();
  client.leave();
  client.abort();
  assert.deepEqual([body.state, world.last.end], ['closed', 'client-gone']);
});

pipelineTest('a large body that is gone when it is to be opened is a miss', (world) => {
  const { disk, body } = large(world);
  body.gone = true;
  const client = world.request();
  disk.answer();
  world.call().answer(200, 'new');
  assert.deepEqual([client.text, client.cache], ['new', 'fwd=uri-miss; fwd-status=200; stored; ttl=60']);
});

pipelineTest('gone while the origin is asked about it: it is asked for the whole', (world) => {
  const { disk, body } = large(world);
  world.clock.advance(61_000);
  const client = world.request();
  disk.answer();
  body.gone = true;
  world.call().head(304, ETAG);
  world.call().answer(200, 'new');
  assert.equal(client.text, 'new');
});

pipelineTest('a large body is served stale, too, and refreshed', (world) => {
  const { disk, body } = large(world);
  world.clock.advance(61_000);
  for (const answer of ['fail', 'refresh']) {
    const client = world.request();
    disk.answer();
    if (answer === 'refresh') world.call().head(304, ETAG).end();
    else for (const _ of ALL) world.call().fail('connect');
    while (client.state === 'open') body.step();
    assert.equal(client.text, TEXT);
  }
});

/** What is sent for the large body when the request has `fields`, with all steps of the disk taken. */
function asked(world: World, fields: string[], method = 'GET', text = TEXT) {
  const { disk, body } = large(world, text);
  const client = world.request({ method, fields });
  disk.answer();
  while (body.state === 'reading') body.step();
  assert.equal(body.state, 'closed');
  return client;
}

pipelineTest('a part of a large body is read from where it begins', (world) => {
  const client = asked(world, ['range', 'bytes=2-7']);
  assert.deepEqual([client.status, client.text, client.length], [206, TEXT.slice(2, 8), 6]);
  assert.equal(client.fields[client.fields.indexOf('content-range') + 1], `bytes 2-7/${TEXT.length}`);
  assert.deepEqual([world.last.end, world.last.bytes], ['complete', 6]);
});

pipelineTest('a part that a large body does not have is refused, with its length', (world) => {
  const client = asked(world, ['range', 'bytes=100-']);
  assert.equal(client.status, 416);
  assert.equal(client.fields[client.fields.indexOf('content-range') + 1], `bytes */${TEXT.length}`);
});

pipelineTest('several parts of a large body are read one after the other', (world) => {
  const long = Array.from({ length: 500 }, (_, i) => String(i).padStart(4, '0')).join('');
  const client = asked(world, ['range', 'bytes=1000-1001,0-9,-3'], 'GET', long);
  const boundary = /^multipart\/byteranges; boundary=(\w+)$/.exec(client.field('content-type') ?? '')?.[1] ?? '';
  const parts = client.text.split(`--${boundary}`).slice(1, -1);
  assert.deepEqual(
    parts.map((part) => part.split('\r\n').slice(1, 4)),
    [
      ['content-range: bytes 1000-1001/2000', '', long.slice(1000, 1002)],
      ['content-range: bytes 0-9/2000', '', long.slice(0, 10)],
      ['content-range: bytes 1997-1999/2000', '', long.slice(-3)],
    ],
  );
  assert.deepEqual([client.status, client.length, client.state], [206, client.text.length, 'ended']);
  assert.deepEqual([world.last.end, world.last.bytes], ['complete', client.text.length]);
});

pipelineTest('a client that leaves between two parts of a large body closes it', (world) => {
  const { disk, body } = large(world, TEXT.repeat(100));
  const client = world.request({ fields: ['range', 'bytes=0-1,1000-1009'] });
  disk.answer();
  body.step();
  body.step();
  client.leave();
  client.abort();
  assert.deepEqual([body.state, world.last.end], ['closed', 'client-gone']);
});

pipelineTest('a client that has a large body is told so, and nothing is read', (world) => {
  const client = asked(world, ['if-none-match', '"v1"', 'range', 'bytes=2-7']);
  assert.deepEqual([client.status, client.text, world.last.bytes], [304, '', 0]);
});

pipelineTest('HEAD tells the length of a large body, and nothing is read', (world) => {
  const client = asked(world, [], 'HEAD');
  assert.deepEqual([client.status, client.text, client.length, world.last.bytes], [200, '', TEXT.length, 0]);
});

pipelineTest(
  'an error of an origin gives way to a large body on disk that may stand in, unless it is gone',
  (world) => {
    const fields = ['cache-control', 'max-age=60, stale-if-error=600'];
    for (const gone of [false, true]) {
      const disk = new FakeDisk(world.cache);
      const body = new FakeBody(TEXT);
      world.store(TEXT, fields);
      disk.take(world.cache, KEY, body);
      world.clock.advance(61_000);
      const client = world.request();
      disk.answer();
      body.gone = gone;
      world.call().answer(503, 'sorry');
      while (body.state === 'reading') body.step();
      assert.deepEqual([client.status, client.text], gone ? [503, 'sorry'] : [200, TEXT]);
      disk.lose(KEY);
      world.cache.remove(KEY);
    }
  },
);
