// Many who ask for one thing that is not stored: one of them asks the origin, the others wait for it, and each gets an answer.
import assert from 'node:assert/strict';
import { DEFAULT_FILL_LIMITS } from '../../../../edge-node/decide/cache/fills.ts';
import type { FakeCall, FakeClient } from '../../../support/fake-ports.ts';
import { pipelineTest, type World } from '../../../support/pipeline.ts';

const FRESH = ['cache-control', 'max-age=60'];
const ETAG = [...FRESH, 'etag', '"v1"'];
const COLLAPSED = 'fwd=uri-miss; fwd-status=200; stored; collapsed; ttl=60';
const LONG = 66 * 1024;
const LONG_HEAD = [...FRESH, 'content-length', String(LONG)];

function many(world: World, count: number, options = {}): FakeClient[] {
  return Array.from({ length: count }, () => world.request(options));
}

pipelineTest('those who ask while one asks wait for its answer, and get it', (world) => {
  const first = world.request();
  const call = world.call();
  const others = many(world, 100);
  call.head(200, FRESH).data('hel');
  const late = world.request();
  assert.deepEqual([first.text, others[0]?.status, late.status], ['hel', 0, 0]);
  call.data('lo').end();
  assert.equal(first.cache, 'fwd=uri-miss; fwd-status=200; stored; ttl=60');
  for (const client of [...others, late]) {
    assert.deepEqual(
      [client.status, client.text, client.state, client.cache, client.field('age')],
      [200, 'hello', 'ended', COLLAPSED, '0'],
    );
  }
  assert.equal(world.last.exchange.outcome, 'collapsed');
  assert.equal(world.request().cache, 'hit; ttl=60');
  assert.equal(world.calls.length, 1);
});

pipelineTest('a client that has it already is told so by the answer that it waited for', (world) => {
  world.request();
  const call = world.call();
  const waiting = world.request({ fields: ['if-none-match', '"v1"'] });
  call.answer(200, 'hello', ETAG);
  assert.deepEqual([waiting.status, waiting.text, waiting.cache], [304, '', COLLAPSED]);
});

pipelineTest('another URL, a part, a head alone, and what bypasses the cache wait for nobody', (world) => {
  world.request();
  const call = world.call();
  for (const options of [
    { target: '/b' },
    { method: 'HEAD' },
    { fields: ['range', 'bytes=0-1'] },
    { method: 'POST' },
    { target: '/raw/a' },
    { fields: ['cache-control', 'no-cache'] },
    { fields: ['cache-control', 'max-age=0'] },
  ]) {
    world.request(options);
    world.call().answer(200, '', ['cache-control', 'no-store']);
  }
  call.answer(200, 'hello');
});

pipelineTest('a revalidation is waited for too', (world) => {
  world.store('stored', ETAG);
  world.clock.advance(61_000);
  world.request();
  const call = world.call();
  const [a, b] = many(world, 2);
  call.head(304, ETAG).end();
  for (const client of [a, b]) {
    assert.deepEqual([client?.text, client?.cache], ['stored', 'fwd=stale; fwd-status=304; stored; collapsed; ttl=60']);
  }
  assert.equal(world.calls.length, 2);
});

pipelineTest('a long body comes to all at once, to each at its own pace', (world) => {
  const first = world.request();
  const call = world.call();
  const waiting = world.request();
  call.head(200, LONG_HEAD);
  assert.deepEqual([waiting.status, waiting.length], [200, LONG]);
  call.data('a'.repeat(1000));
  waiting.slow = true;
  call.data('b'.repeat(1000));
  first.slow = true;
  const late = world.request();
  assert.deepEqual([first.text.length, waiting.text.length, late.text.length], [2000, 2000, 2000]);
  call.data('c'.repeat(LONG - 3000));
  assert.deepEqual([first.text.length, waiting.text.length, late.text.length], [LONG - 1000, 2000, LONG - 1000]);
  assert.equal(call.paused, false);
  call.data('d'.repeat(1000)).end();
  assert.deepEqual([late.state, first.state, waiting.state], ['ended', 'open', 'open']);
  assert.equal(world.request().cache, 'hit; ttl=60');
  first.drain();
  waiting.drain();
  assert.ok([first, waiting].every(({ text }) => text === late.text));
  assert.deepEqual([waiting.cache, late.cache], [COLLAPSED, COLLAPSED]);
  assert.deepEqual(
    world.settled.map(({ end, bytes }) => [end, bytes]),
    Array.from({ length: 4 }, () => ['complete', LONG]),
  );
});

pipelineTest('a first client that was slow while it was alone holds up nobody who follows', (world) => {
  const first = world.request();
  const call = world.call().head(200, LONG_HEAD);
  first.slow = true;
  call.data('a'.repeat(1000));
  assert.equal(call.paused, true);
  const second = world.request();
  assert.deepEqual([call.paused, second.text.length], [false, 1000]);
  call.data('b'.repeat(LONG - 1000)).end();
  assert.deepEqual([first.text.length, second.state], [1000, 'ended']);
  first.drain();
  assert.deepEqual([first.state, first.text], ['ended', second.text]);
});

pipelineTest(
  'what is not to be stored is asked for by each, all at once, and for a while nobody waits for it',
  (world) => {
    const first = world.request();
    const call = world.call();
    const others = many(world, 3);
    call.answer(200, 'mine', ['cache-control', 'private']);
    assert.equal(world.calls.length, 4);
    many(world, 2);
    assert.equal(world.calls.length, 6);
    for (const one of world.calls.slice(1)) one.answer(200, 'yours', ['cache-control', 'private']);
    assert.deepEqual([first.text, ...others.map(({ text }) => text)], ['mine', 'yours', 'yours', 'yours']);
    assert.equal(others[0]?.cache, 'fwd=uri-miss; fwd-status=200; detail=private');
    assert.deepEqual(world.fillEvents, ['useless']);
    world.clock.advance(DEFAULT_FILL_LIMITS.uncollapsedMs);
    many(world, 2);
    assert.equal(world.calls.length, 7);
    world.calls[6]?.answer(200, 'all', FRESH);
  },
);

pipelineTest('as soon as one answer is stored again, others are waited for again', (world) => {
  many(world, 2);
  for (let i = 0; i < 2; i += 1) world.calls[i]?.answer(200, '', ['cache-control', 'private']);
  world.request();
  world.calls[2]?.answer(200, '', ['cache-control', 'max-age=1']);
  world.clock.advance(1_000);
  many(world, 2);
  assert.equal(world.calls.length, 4);
  world.calls[3]?.answer(200, '', FRESH);
});

pipelineTest('what needs validation before each use answers nobody who waits', (world) => {
  many(world, 3);
  world.call().answer(200, 'a', ['cache-control', 'no-cache', 'etag', '"v1"']);
  assert.equal(world.calls.length, 3);
  for (const call of world.calls.slice(1)) call.answer(200, 'a', ['cache-control', 'no-cache', 'etag', '"v1"']);
});

pipelineTest('what one request forbids to store is asked for by the next, for whom the others wait', (world) => {
  world.request({ fields: ['authorization', 'Basic eA=='] });
  const call = world.call();
  const others = many(world, 3);
  call.answer(200, 'secret', FRESH);
  const next = world.call();
  assert.equal(next.field('authorization'), undefined);
  next.answer(200, 'open', FRESH);
  assert.deepEqual(
    others.map(({ text }) => text),
    ['open', 'open', 'open'],
  );
  world.request({ target: '/b', fields: ['cache-control', 'no-store'] });
  world.request({ target: '/b' });
  assert.equal(world.calls.length, 4);
  for (const one of world.calls.slice(2)) one.answer(200, '', FRESH);
});

pipelineTest('those whom Vary tells apart wait each for their own, once it is known', (world) => {
  const german = ['accept-language', 'de'];
  const french = ['accept-language', 'fr'];
  const vary = [...FRESH, 'vary', 'accept-language'];
  const first = world.request({ fields: german });
  const call = world.call();
  const germans = many(world, 2, { fields: german });
  const frenchmen = many(world, 3, { fields: french });
  call.answer(200, 'Hallo', vary);
  const second = world.call();
  assert.equal(second.field('accept-language'), 'fr');
  frenchmen.push(world.request({ fields: french }));
  second.answer(200, 'Bonjour', vary);
  assert.deepEqual([first.text, ...germans.map(({ text }) => text)], ['Hallo', 'Hallo', 'Hallo']);
  assert.deepEqual(new Set(frenchmen.map(({ text }) => text)), new Set(['Bonjour']));
  const spanish = many(world, 2, { fields: ['accept-language', 'es'] });
  const italians = many(world, 2, { fields: ['accept-language', 'it'] });
  assert.equal(world.calls.length, 4);
  for (const text of ['Hola', 'Ciao']) world.calls[text === 'Hola' ? 2 : 3]?.answer(200, text, vary);
  assert.deepEqual([spanish[1]?.text, italians[1]?.text], ['Hola', 'Ciao']);
  assert.equal(spanish[1]?.cache, 'fwd=vary-miss; fwd-status=200; stored; collapsed; ttl=60');
});

const limits = { cacheLimits: { maxObjectBytes: 200 * 1024 } };

pipelineTest(
  'what turns out too large is asked for by each',
  (world) => {
    for (const length of [[], ['content-length', String(300 * 1024)]]) {
      const [first, second] = many(world, 2, { target: `/${length.length}` });
      const call = world.call().head(200, [...FRESH, ...length]);
      call.data('x'.repeat(201 * 1024));
      world.call().answer(200, 'x'.repeat(300 * 1024), [...FRESH, ...length]);
      call.data('x'.repeat(99 * 1024)).end();
      assert.deepEqual([first?.text.length, second?.text.length], [300 * 1024, 300 * 1024]);
    }
  },
  limits,
);

pipelineTest('when the origins fail one, the next of those who wait asks; fail they again, all are told', (world) => {
  const first = world.request();
  const call = world.call();
  const others = many(world, 1000);
  let failing: FakeCall = call;
  for (let i = 0; i < 2; i += 1) {
    failing.fail('connect');
    failing = world.call();
  }
  failing.fail('head', 'origin-timeout');
  assert.deepEqual([first.status, others[0]?.status], [504, 0]);
  for (let i = 0; i < 3; i += 1) world.call().fail('connect');
  assert.deepEqual(new Set(others.map(({ status }) => status)), new Set([502]));
  assert.equal(world.calls.length, 6);
  const later = world.request();
  world.call().answer(200, 'hello');
  assert.equal(later.text, 'hello');
});

pipelineTest('what one request makes an origin do does not fail the others', (world) => {
  const first = world.request({ fields: ['x-poison', '1'] });
  for (const _ of ['london', 'paris', 'sydney']) world.calls.at(-1)?.fail('head', 'origin-cut-off');
  assert.equal(first.status, 502);
  const poison = world.request({ fields: ['x-poison', '1'] });
  const others = many(world, 5);
  for (let i = 3; i < 6; i += 1) world.calls[i]?.fail('head', 'origin-cut-off');
  world.calls[6]?.answer(200, 'hello');
  assert.equal(poison.status, 502);
  assert.deepEqual(new Set(others.map(({ text }) => text)), new Set(['hello']));
});

pipelineTest('when the origins fail, those who wait get what is stale, if that is allowed', (world) => {
  world.store('stored', FRESH);
  world.clock.advance(61_000);
  const clients = many(world, 3);
  for (let i = 0; i < 3; i += 1) world.call().fail('connect');
  for (const client of clients) {
    assert.deepEqual([client.text, client.cache], ['stored', 'hit; ttl=-1; detail=stale-served']);
  }
});

pipelineTest('an origin’s error that stale-if-error hides is hidden from all', (world) => {
  world.store('stored', ['cache-control', 'max-age=60, stale-if-error=60']);
  world.clock.advance(61_000);
  const clients = many(world, 3);
  const call = world.call().head(503);
  assert.equal(call.aborted, true);
  assert.deepEqual(new Set(clients.map(({ text }) => text)), new Set(['stored']));
});

pipelineTest('nobody waits for ever, and who has waited in vain waits no more', (world) => {
  many(world, 3);
  const call = world.call();
  world.clock.advance(DEFAULT_FILL_LIMITS.waitMs - 1);
  assert.equal(world.calls.length, 1);
  world.clock.advance(1);
  assert.equal(world.calls.length, 3);
  world.request();
  assert.equal(world.calls.length, 4);
  for (const late of [call, ...world.calls.slice(1)]) late.answer(200, 'hello');
  assert.equal(world.clock.pending, 0);
});

pipelineTest(
  'those who are one too many ask for themselves',
  (world) => {
    many(world, 4);
    assert.equal(world.calls.length, 2);
    assert.deepEqual(world.fills.stats(), { fills: 1, waiting: 2 });
    assert.deepEqual(world.fillEvents, ['refused']);
    for (const call of world.calls) call.answer(200, 'hello');
    assert.equal(world.fills.stats().waiting, 0);
  },
  { fillLimits: { waiters: 2 } },
);
