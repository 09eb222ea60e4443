// Slices that more than one asks for at the same time: one request to the origin for each, whoever is slow, leaves or is left alone.
import assert from 'node:assert/strict';
import type { FakeCall, FakeClient } from '../../../support/fake-ports.ts';
import type { World } from '../../../support/pipeline.ts';
import { Dribble, rangeAnswer, serve } from '../../../support/range-origin.ts';
import { ask, assertPart, BODY, CHANGED, get, KEY, OBJECT, sliceTest } from '../../../support/slices.ts';

const COLLAPSED = 'fwd=partial; fwd-status=206; stored; collapsed; ttl=60';
/** The whole is kept in slices. */
const LARGE = { cacheLimits: { maxObjectBytes: 50 } };

const asks = (world: World, count: number, range: string): FakeClient[] =>
  Array.from({ length: count }, () => ask(world, range));

/** The head of the right answer; the body follows by `data`. */
const begin = (call: FakeCall, object = OBJECT): FakeCall =>
  call.head(206, rangeAnswer(object, call.request.fields).fields);

const ranges = (world: World): (string | undefined)[] => world.calls.map((call) => call.field('range'));

sliceTest('ten thousand at once for a part of what is not known: one request, and all are answered', (world) => {
  const clients = asks(world, 10_000, 'bytes=12-18');
  assert.equal(world.fills.stats().waiting, 9_999);
  serve(world.call(), OBJECT);
  for (const client of clients) assertPart(client, 12, 19);
  assert.deepEqual(ranges(world), ['bytes=10-19']);
  assert.ok(clients.slice(1).every(({ cache }) => cache === COLLAPSED));
  assert.equal(world.settled.filter(({ exchange }) => exchange.outcome === 'collapsed').length, 9_999);
});

sliceTest('the same for a slice that is missing of what is known', (world) => {
  get(world, 'bytes=0-9');
  const clients = asks(world, 1_000, 'bytes=52-58');
  serve(world.call(), OBJECT);
  for (const client of clients) assertPart(client, 52, 59);
  assert.deepEqual([clients[1]?.cache, world.calls.length], [COLLAPSED, 2]);
});

sliceTest('the same for what turns out to be no longer than a slice', (world) => {
  const small = { ...OBJECT, body: 'hello' };
  const clients = asks(world, 100, 'bytes=1-3');
  const call = world.call();
  if (clients[0]) clients[0].slow = true;
  call.head(206, rangeAnswer(small, call.request.fields).fields).data('hel');
  // The slow one does not hold it.
  assert.equal(call.paused, false);
  call.data('lo').end();
  clients[0]?.drain();
  for (const client of clients) assertPart(client, 1, 4, 'hello');
  assert.deepEqual(
    [clients[1]?.cache, world.calls.length],
    ['fwd=uri-miss; fwd-status=206; stored; collapsed; ttl=60', 1],
  );
});

sliceTest('... where the first of them wants nothing of it', (world) => {
  const small = { ...OBJECT, body: 'hello' };
  const [none, some] = [ask(world, 'bytes=7-9'), ask(world, 'bytes=1-3')];
  serve(world.call(), small);
  assert.deepEqual([none.status, some.status], [416, 0]);
  serve(world.call(), small);
  assertPart(some, 1, 4, 'hello');
});

sliceTest('whoever wants another slice asks for that when the first has found out what it is a slice of', (world) => {
  const [one, two, three] = [ask(world, 'bytes=12-18'), ask(world, 'bytes=52-58'), ask(world, 'bytes=55-59')];
  const call = begin(world.call());
  serve(world.call(), OBJECT);
  assertPart(two, 52, 59);
  assertPart(three, 55, 60);
  call.data(BODY.slice(10, 20)).end();
  assertPart(one, 12, 19);
  assert.deepEqual(ranges(world), ['bytes=10-19', 'bytes=50-59']);
});

sliceTest('who comes while slices are on their way waits for his own, and no longer', (world) => {
  const first = ask(world, 'bytes=10-39');
  const call = begin(world.call()).data(BODY.slice(10, 15));
  const [same, later] = [ask(world, 'bytes=17-19'), ask(world, 'bytes=20-29')];
  call.data(BODY.slice(15, 22));
  assertPart(same, 17, 20);
  assert.equal(later.status, 0);
  call.data(BODY.slice(22, 40)).end();
  assertPart(later, 20, 30);
  assertPart(first, 10, 40);
  assert.equal(world.calls.length, 1);
});

sliceTest(
  'nobody waits for what is far from coming',
  (world) => {
    world.request();
    const call = world.call().head(200, rangeAnswer({ ...OBJECT, body: BODY.repeat(3) }, []).fields);
    const far = ask(world, 'bytes=250-259');
    serve(world.call(), { ...OBJECT, body: BODY.repeat(3) });
    assertPart(far, 250, 260, BODY.repeat(3));
    call.data(BODY.repeat(3)).end();
  },
  LARGE,
);

sliceTest(
  'many who want all of it, each at its own pace: one request for each run of slices at most',
  (world) => {
    const clients = Array.from({ length: 50 }, () => world.request());
    const origin = new Dribble();
    for (let turn = 0; clients.some(({ state }) => state === 'open'); turn += 1) {
      assert.ok(turn < 1_000, 'it comes to an end');
      clients.forEach((client, i) => {
        client.slow = i % 5 !== 0;
        if (turn % (1 + (i % 7)) === 0) client.onDrain?.();
      });
      for (const call of world.calls) if (!call.paused && origin.isOpen(call)) origin.step(call, OBJECT, 7);
    }
    for (const client of clients) assert.deepEqual([client.status, client.text], [200, BODY]);
    assert.ok(world.calls.length <= 3, `${ranges(world)}`);
  },
  LARGE,
);

sliceTest(
  'one asks for a part and one for all of it: who has his answer second finds what the first has begun',
  (world) => {
    const [part, whole] = [ask(world, 'bytes=12-18'), world.request()];
    const [first, second] = world.calls;
    assert.ok(first && second);
    begin(first);
    const [index] = world.cache.find(KEY);
    second.head(200, rangeAnswer(OBJECT, []).fields);
    assert.equal(world.cache.find(KEY)[0]?.head.slices?.generation, index?.head.slices?.generation);
    first.data(BODY.slice(10, 20)).end();
    second.data(BODY).end();
    assertPart(part, 12, 19);
    assert.deepEqual([whole.status, whole.text], [200, BODY]);
    assert.deepEqual(get(world, 'bytes=0-99').asked, []);
  },
  LARGE,
);

sliceTest('a slow client holds the origin until another waits, and gets the rest from the store', (world) => {
  const slow = ask(world, 'bytes=10-39');
  slow.slow = true;
  const call = begin(world.call()).data(BODY.slice(10, 13));
  assert.equal(call.paused, true);
  const other = ask(world, 'bytes=15-25');
  assert.equal(call.paused, false);
  call.data(BODY.slice(13, 31));
  assert.deepEqual([slow.text, other.text], [BODY.slice(10, 13), BODY.slice(15, 26)]);
  call.data(BODY.slice(31, 40)).end();
  slow.drain();
  assertPart(slow, 10, 40);
  assert.equal(world.calls.length, 1);
});

sliceTest('... and is not waited for at all where somebody does already', (world) => {
  const [slow, other] = [ask(world, 'bytes=10-19'), ask(world, 'bytes=15-19')];
  slow.slow = true;
  const call = begin(world.call()).data(BODY.slice(10, 13));
  assert.equal(call.paused, false);
  call.data(BODY.slice(13, 20)).end();
  assertPart(other, 15, 20);
  slow.drain();
  assertPart(slow, 10, 20);
});

sliceTest(
  'what goes on without its client ends a few slices further, when nobody waits any more',
  (world) => {
    const long = { ...OBJECT, body: BODY.repeat(3) };
    const slow = world.request();
    slow.slow = true;
    const call = world.call().head(200, rangeAnswer(long, []).fields).data(BODY.slice(0, 5));
    const other = ask(world, 'bytes=0-9');
    for (let at = 5; at < 300 && !call.aborted; at += 5) call.data(long.body.slice(at, at + 5));
    assertPart(other, 0, 10);
    assert.deepEqual([call.aborted, get(world, 'bytes=0-79').asked], [true, []]);
    slow.drain();
    assert.equal(world.calls.length, 2);
    for (let i = 1; slow.state === 'open'; i += 1) serve(world.calls[i] ?? assert.fail(), long);
    assert.equal(slow.text, long.body);
  },
  LARGE,
);

for (const [when, some] of [
  ['before anything comes', ''],
  ['when some of it has come', BODY.slice(10, 13)],
] as const) {
  const start = (call: FakeCall): void => {
    if (some !== '') begin(call).data(some);
  };

  sliceTest(`a client that leaves ${when} does not stop it for others`, (world) => {
    get(world, 'bytes=0-9');
    const first = ask(world, 'bytes=10-39');
    const call = world.call();
    start(call);
    const other = ask(world, 'bytes=15-19');
    first.leave();
    first.abort();
    assert.equal(call.aborted, false);
    if (some === '') begin(call);
    call.data(BODY.slice(10 + some.length, 20));
    assertPart(other, 15, 20);
  });

  sliceTest(`when all have left, ${when}, it is stopped`, (world) => {
    get(world, 'bytes=0-9');
    const clients = asks(world, 3, 'bytes=10-39');
    const call = world.call();
    start(call);
    for (const client of clients.toReversed()) {
      client.leave();
      client.abort();
    }
    assert.equal(call.aborted, true);
    assertPart(get(world, 'bytes=12-13').client, 12, 14);
  });

  sliceTest(
    `when the first has left, ${when}, and the others after it, it is stopped at the next that comes`,
    (world) => {
      get(world, 'bytes=0-9');
      const clients = asks(world, 3, 'bytes=10-39');
      const call = world.call();
      start(call);
      for (const client of clients) {
        client.leave();
        client.abort();
      }
      if (some === '') begin(call);
      else call.data(BODY.slice(13, 15));
      assert.equal(call.aborted, true);
    },
  );

  sliceTest(`in the middle of an answer a client that leaves ${when} does not stop it for others`, (world) => {
    get(world, 'bytes=0-9');
    const first = ask(world, 'bytes=5-19');
    const call = world.call();
    start(call);
    const others = [ask(world, 'bytes=8-19'), ask(world, 'bytes=15-19')];
    first.leave();
    first.abort();
    if (some === '') begin(call);
    call.data(BODY.slice(10 + some.length, 20)).end();
    assertPart(others[0] ?? assert.fail(), 8, 20);
    assertPart(others[1] ?? assert.fail(), 15, 20);
    assert.equal(world.calls.length, 2);
  });
}

sliceTest('an origin that breaks off is asked again once, for all, and nobody sees it', (world) => {
  const clients = asks(world, 5, 'bytes=12-34');
  begin(world.call()).data(BODY.slice(10, 25)).fail('body', 'origin-cut-off');
  assert.equal(world.calls[1]?.field('range'), 'bytes=20-39');
  serve(world.call(), OBJECT);
  for (const client of clients) assertPart(client, 12, 35);
});

sliceTest('one that always breaks off fails all, and nobody takes what he got for the whole', (world) => {
  get(world, 'bytes=10-19');
  const [some, none] = [asks(world, 3, 'bytes=12-34'), asks(world, 3, 'bytes=25-34')];
  for (let i = 1; i < world.calls.length; i += 1) {
    assert.ok(i < 8, 'it comes to an end');
    begin(world.call()).data(BODY.slice(20, 23)).fail('body', 'origin-cut-off');
  }
  for (const client of some) assert.deepEqual([client.status, client.state], [206, 'aborted']);
  // Whose answer had not begun are told.
  for (const client of none) assert.deepEqual([client.status, client.state], [502, 'ended']);
  assert.deepEqual(get(world, 'bytes=20-29').asked, ['bytes=20-29']);
});

sliceTest('one that cannot be reached is tried twice, and then all are told', (world) => {
  get(world, 'bytes=0-9');
  const clients = asks(world, 10, 'bytes=12-34');
  for (let i = 1; i < world.calls.length; i += 1) world.call().fail('connect');
  assert.equal(world.calls.length, 7);
  for (const client of clients) assert.equal(client.status, 502);
});

sliceTest('an answer that is no part is for the first alone, and one of the others asks next', (world) => {
  get(world, 'bytes=0-9');
  const [one, two, three] = [ask(world, 'bytes=12-13'), ask(world, 'bytes=15-16'), ask(world, 'bytes=17-18')];
  world.call().answer(503, 'busy', []);
  assert.deepEqual([one.status, two.status, three.status], [503, 0, 0]);
  serve(world.call(), OBJECT);
  assertPart(two, 15, 17);
  assertPart(three, 17, 19);
});

sliceTest('what has changed is new to all: the first finds it, and it is asked for once', (world) => {
  get(world, 'bytes=0-9');
  const clients = asks(world, 10, 'bytes=12-25');
  serve(world.call(), CHANGED);
  for (let i = 2; i < world.calls.length; i += 1) serve(world.call(), CHANGED);
  for (const client of clients) assertPart(client, 12, 26, CHANGED.body);
  assert.deepEqual(ranges(world), ['bytes=0-9', 'bytes=10-19', 'bytes=20-29']);
});

sliceTest('... and breaks off all who have begun', (world) => {
  get(world, 'bytes=0-9');
  const clients = asks(world, 10, 'bytes=5-25');
  const fresh = ask(world, 'bytes=12-13');
  serve(world.call(), CHANGED);
  for (const client of clients) assert.deepEqual([client.text, client.state], [BODY.slice(5, 10), 'aborted']);
  serve(world.call(), CHANGED);
  assertPart(fresh, 12, 14, CHANGED.body);
  assert.equal(world.calls.length, 3);
});

sliceTest('gone: those who waited ask, once', (world) => {
  get(world, 'bytes=0-9');
  const clients = asks(world, 10, 'bytes=12-25');
  for (let i = 1; i < world.calls.length; i += 1) world.call().answer(404, 'gone');
  assert.equal(world.calls.length, 3);
  for (const client of clients) assert.deepEqual([client.status, client.text], [404, 'gone']);
});

sliceTest('a purge in between: who waits gets nothing that was asked for before it', (world) => {
  const [first, other] = [ask(world, 'bytes=12-13'), ask(world, 'bytes=15-16')];
  const call = begin(world.call()).data(BODY.slice(10, 12));
  world.purge();
  call.data(BODY.slice(12, 20)).end();
  assertPart(first, 12, 14);
  serve(world.call(), CHANGED);
  assertPart(other, 15, 17, CHANGED.body);
});

sliceTest('what may not be kept is asked for by each', (world) => {
  const hidden = { ...OBJECT, fields: ['cache-control', 'private'] };
  const clients = asks(world, 5, 'bytes=12-13');
  serve(world.call(), hidden);
  for (const call of world.calls.slice(1)) serve(call, hidden);
  for (const client of clients) assertPart(client, 12, 14);
  assert.equal(world.calls.length, 5);
});

sliceTest(
  'what the store has no room for is asked for by each',
  (world) => {
    const clients = asks(world, 3, 'bytes=12-13');
    serve(world.call(), OBJECT);
    for (const call of world.calls.slice(1)) serve(call, OBJECT);
    for (const client of clients) assertPart(client, 12, 14);
    assert.equal(world.calls.length, 3);
  },
  { cacheLimits: { maxPendingBytes: 5 } },
);

sliceTest('who has waited for half a minute asks', (world) => {
  get(world, 'bytes=0-9');
  const clients = [ask(world, 'bytes=12-13'), ask(world, 'bytes=15-16'), ask(world, 'bytes=5-16')];
  const call = begin(world.call());
  world.clock.advance(30_000);
  assert.equal(world.calls.length, 4);
  for (const late of world.calls.slice(2)) serve(late, OBJECT);
  call.data(BODY.slice(10, 20)).end();
  assertPart(clients[0] ?? assert.fail(), 12, 14);
  assertPart(clients[1] ?? assert.fail(), 15, 17);
  assertPart(clients[2] ?? assert.fail(), 5, 17);
});

sliceTest(
  'no more wait than may',
  (world) => {
    get(world, 'bytes=0-9');
    asks(world, 4, 'bytes=12-13');
    assert.deepEqual([world.calls.length, world.fills.stats().waiting], [3, 2]);
    for (const call of world.calls.slice(1)) serve(call, OBJECT);
  },
  { fillLimits: { waiters: 2 } },
);

sliceTest('nobody is kept waiting who wants no origin to be asked', (world) => {
  get(world, 'bytes=0-9');
  ask(world, 'bytes=12-13');
  assert.equal(ask(world, 'bytes=12-13', 'cache-control', 'only-if-cached').status, 504);
  serve(world.call(), OBJECT);
});

sliceTest('many who find it expired: one asks whether it has changed, and one for what is missing', (world) => {
  get(world, 'bytes=0-9');
  world.clock.advance(61_000);
  const clients = asks(world, 10, 'bytes=12-13');
  for (let i = 1; i < world.calls.length; i += 1) serve(world.call(), OBJECT);
  for (const client of clients) assertPart(client, 12, 14);
  assert.deepEqual(ranges(world), ['bytes=0-9', 'bytes=10-19', 'bytes=10-19']);
  assert.equal(world.cache.find(KEY).length, 1);
});
