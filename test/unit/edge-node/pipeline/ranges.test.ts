// Parts of what is stored (RFC 9110 section 14), conditions before them (section 13.2.2), and what becomes of a Range that meets
// nothing stored.
import assert from 'node:assert/strict';
import { pipelineTest, UNSLICED } from '../../../support/pipeline.ts';

const STORED = ['cache-control', 'max-age=60', 'etag', '"v1"', 'content-type', 'text/plain', 'content-length', '10'];
const ask = (range: string, ...more: string[]) => ({ fields: ['range', range, ...more] });

pipelineTest('a part of what is stored comes from the cache', (world) => {
  world.store('0123456789', STORED);
  for (let i = 0; i < 3; i += 1) {
    const client = world.request(ask('bytes=2-4'));
    assert.deepEqual([client.status, client.text, client.length], [206, '234', 3]);
    assert.equal(client.field('content-range'), 'bytes 2-4/10');
    assert.deepEqual([client.cache, client.field('age'), client.field('etag')], ['hit; ttl=60', '0', '"v1"']);
    assert.deepEqual([world.last.bytes, world.last.exchange.outcome], [3, 'hit']);
  }
  assert.equal(world.request(ask('bytes=-3')).text, '789');
  assert.equal(world.request(ask('bytes=7-')).text, '789');
  assert.equal(world.request(ask('bytes=2-4')).text, '234');
});

pipelineTest('what is stored says that it gives parts, unless the origin said otherwise', (world) => {
  world.store('0123456789', STORED);
  assert.equal(world.request().field('accept-ranges'), 'bytes');
  world.store('0123456789', [...STORED, 'accept-ranges', 'none'], { target: '/none' });
  const client = world.request({ target: '/none', ...ask('bytes=2-4') });
  assert.deepEqual([client.status, client.text, client.field('accept-ranges')], [200, '0123456789', 'none']);
});

pipelineTest('what cannot be satisfied is answered with the length', (world) => {
  world.store('0123456789', STORED);
  for (let i = 0; i < 2; i += 1) {
    const client = world.request(ask('bytes=10-'));
    assert.deepEqual([client.status, client.text, client.length], [416, '', 0]);
    assert.deepEqual([client.field('content-range'), client.cache], ['bytes */10', 'hit; ttl=60']);
    assert.equal(world.last.bytes, 0);
  }
});

pipelineTest('a Range that makes no sense, and one with HEAD, counts as not there', (world) => {
  world.store('0123456789', STORED);
  for (const options of [ask('bytes=4-2'), ask('pages=1-2'), ask('bytes=0-1', 'range', 'bytes=2-3')]) {
    const client = world.request(options);
    assert.deepEqual([client.status, client.text, world.last.bytes], [200, '0123456789', 10]);
  }
  const head = world.request({ method: 'HEAD', ...ask('bytes=0-1') });
  assert.deepEqual([head.status, head.length, head.field('content-range')], [200, 10, undefined]);
});

pipelineTest('parts that lie apart come in a body of several', (world) => {
  const text = Array.from({ length: 100 }, (_, i) => String(i).padStart(3, '0')).join('');
  world.store(text, [...STORED.slice(0, 6), 'content-length', '300']);
  const client = world.request(ask('bytes=-3,0-2'));
  const [, boundary] =
    /^multipart\/byteranges; boundary=(meridian[0-9a-f]{16})$/.exec(client.field('content-type') ?? '') ?? [];
  assert.ok(boundary !== undefined);
  const part = (range: string, body: string) =>
    `--${boundary}\r\ncontent-type: text/plain\r\ncontent-range: bytes ${range}/300\r\n\r\n${body}\r\n`;
  assert.equal(client.text, `${part('297-299', '099')}${part('0-2', '000')}--${boundary}--\r\n`);
  assert.deepEqual([client.status, client.length, client.state], [206, client.text.length, 'ended']);
  assert.deepEqual([client.field('content-range'), client.cache], [undefined, 'hit; ttl=60']);
  assert.equal(world.last.bytes, client.text.length);
  assert.equal(world.request(ask('bytes=0-2,50-60')).field('content-range'), 'bytes 0-60/300');
});

pipelineTest('a condition that says that the client has it comes before the part', (world) => {
  world.store('0123456789', STORED);
  assert.equal(world.request(ask('bytes=0-1', 'if-none-match', '"v1"')).status, 304);
  assert.equal(world.request(ask('bytes=0-1', 'if-none-match', '"v0"')).status, 206);
  assert.equal(world.request(ask('bytes=0-1', 'if-range', '"v1"')).status, 206);
  assert.equal(world.request(ask('bytes=0-1', 'if-range', '"v0"')).status, 200);
  // The part that others got without a condition is not given to who has one.
  assert.equal(world.request(ask('bytes=0-1')).status, 206);
  assert.equal(world.request(ask('bytes=0-1', 'if-range', '"v0"')).status, 200);
});

pipelineTest('only a stored 200 has parts', (world) => {
  world.request({ target: '/gone' });
  world.call().answer(404, 'not there', STORED.slice(0, 4));
  const client = world.request({ target: '/gone', ...ask('bytes=0-1') });
  assert.deepEqual([client.status, client.text, client.field('accept-ranges')], [404, 'not there', undefined]);
});

pipelineTest('parts of what has expired are given when no origin answers', (world) => {
  world.store('0123456789', STORED);
  world.clock.advance(61_000);
  const client = world.request(ask('bytes=0-1'));
  for (const origin of ['london', 'paris', 'sydney']) {
    const call = world.call();
    assert.deepEqual([call.origin, call.field('range')], [origin, 'bytes=0-1048575']);
    call.fail('connect');
  }
  assert.deepEqual([client.status, client.text], [206, '01']);
  assert.equal(client.cache, 'hit; ttl=-1; detail=stale-served');
});

pipelineTest(
  'without slices, a Range that finds nothing goes to the origin as it is, and the answer is stored if it is whole',
  (world) => {
    const part = world.request(ask('bytes=0-1'));
    world.call().answer(206, '01', ['content-range', 'bytes 0-1/10', ...STORED.slice(0, 4)]);
    assert.deepEqual([part.status, part.text, world.cache.stats().objects], [206, '01', 0]);
    const whole = world.request(ask('bytes=0-1'));
    world.call().answer(200, '0123456789', STORED);
    assert.deepEqual([whole.status, whole.text], [200, '0123456789']);
    assert.equal(world.request(ask('bytes=0-1')).text, '01');
  },
  UNSLICED,
);
