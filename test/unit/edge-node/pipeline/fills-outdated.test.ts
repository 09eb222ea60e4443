// A purge, or an unsafe request, at any moment of a fill: nobody who came after it gets what was asked for before.
import assert from 'node:assert/strict';
import type { PurgeTarget } from '../../../../proto/gen/meridian/v1/purge.ts';
import type { FakeClient } from '../../../support/fake-ports.ts';
import { pipelineTest, World } from '../../../support/pipeline.ts';

const FRESH = ['cache-control', 'max-age=60'];
const LONG = 66 * 1024;
const LONG_HEAD = [...FRESH, 'content-length', String(LONG)];

pipelineTest('what an unsafe request made invalid is neither stored nor given to those who wait', (world) => {
  for (const [target, head] of [
    ['/short', FRESH],
    ['/long', LONG_HEAD],
  ] as const) {
    const body = target === '/long' ? 'x'.repeat(LONG) : 'old';
    const first = world.request({ target });
    const call = world.call();
    const early = world.request({ target });
    world.request({ target, method: 'POST' });
    world.call().answer(204, '', []);
    const later = world.request({ target });
    const asked = world.call();
    call.answer(200, body, head);
    assert.equal(first.text, body);
    assert.deepEqual([early.status, later.status], [0, 0]);
    asked.answer(200, 'new', FRESH);
    assert.deepEqual([early.text, later.text], ['new', 'new'], target);
    assert.equal(world.request({ target }).text, 'new');
  }
});

pipelineTest('nor when it comes in the middle of the body', (world) => {
  world.request();
  const call = world.call().head(200, FRESH).data('ol');
  world.request({ method: 'PUT' });
  world.call().answer(204, '', []);
  call.data('d').end();
  assert.equal(world.cache.stats().objects, 0);
  const next = world.request();
  world.call().answer(200, 'new', FRESH);
  assert.deepEqual([next.text, world.request().text], ['new', 'new']);
});

/** Runs `run` once for each way in which sequences of these lengths can be merged. */
function eachMerge(lengths: readonly number[], run: (order: readonly number[]) => void): void {
  const extend = (left: readonly number[], order: readonly number[]): void => {
    if (left.every((count) => count === 0)) run(order);
    for (const [index, count] of left.entries()) {
      if (count > 0) extend(left.with(index, count - 1), [...order, index]);
    }
  };
  extend(lengths, []);
}

pipelineTest(
  'whatever the order of a purge, a fill and those who wait, nobody who came after it gets what is older',
  () => {
    const ALL: PurgeTarget['target'] = { $case: 'all', value: {} };
    const TAG: PurgeTarget['target'] = { $case: 'tag', value: { hosts: ['demo.example'], tag: 'news' } };
    const tagged = ['cache-tag', 'news'];
    let merges = 0;
    for (const [head, target] of [
      [FRESH, ALL],
      [LONG_HEAD, ALL],
      [[...FRESH, ...tagged], TAG],
      [[...LONG_HEAD, ...tagged], TAG],
    ] as const) {
      const long = head.includes(String(LONG));
      eachMerge([4, 1, 1, 1], (order) => {
        merges += 1;
        const world = new World();
        /** Of each call: whether it was sent before or after the purge. */
        const bodies: string[] = [];
        const after: FakeClient[] = [];
        let version = 'old';
        const ask = (): void => {
          const client = world.request();
          if (version === 'new') after.push(client);
        };
        const purge = (): void => {
          version = 'new';
          world.purge(target);
        };
        const body = (index: number): string => (long ? (bodies[index] ?? '').padEnd(LONG) : (bodies[index] ?? ''));
        const answer = [
          ask,
          () => world.calls[0]?.head(200, head),
          () => world.calls[0]?.data(body(0)),
          () => world.calls[0]?.end(),
        ];
        const queues = [answer, [ask], [ask], [purge]];
        for (const index of order) {
          queues[index]?.shift()?.();
          while (bodies.length < world.calls.length) bodies.push(version);
        }
        for (let index = 1; index < world.calls.length; index += 1) {
          world.calls[index]?.answer(200, body(index), head);
          while (bodies.length < world.calls.length) bodies.push(version);
        }
        for (const client of after) assert.equal(client.text.trim(), 'new', `order ${order}`);
        assert.ok(world.clients.every(({ state }) => state === 'ended'));
        assert.ok(world.calls.length <= 2, `${world.calls.length} requests to origins; order ${order}`);
        assert.deepEqual([world.fills.stats().fills, world.clock.pending], [0, 0]);
        world.verify();
      });
    }
    assert.equal(merges, 840);
  },
);

pipelineTest('what is stale and is purged while a request waits is neither asked about nor served', (world) => {
  for (const up of [true, false]) {
    world.store('before', ['cache-control', 'max-age=60', 'etag', '"v1"']);
    world.clock.advance(61_000);
    world.request();
    const call = world.call();
    const waiting = world.request();
    world.purge();
    if (!up) world.takeDown('london', 'paris', 'sydney');
    call.answer(200, 'for one', ['cache-control', 'private']);
    const second = world.call();
    assert.equal(second.field('if-none-match'), undefined);
    second.answer(200, 'after', ['cache-control', 'private']);
    assert.equal(waiting.text, 'after');
    world.clock.advance(61_000);
  }
});
