// The promise on purges, at every moment at which one can arrive: what was stored, or requested from an origin, before the
// purge is not served as fresh to a request that comes after it.
import assert from 'node:assert/strict';
import type { PurgeTarget } from '../../../../proto/gen/meridian/v1/purge.ts';
import type { FakeCall, FakeClient } from '../../../support/fake-ports.ts';
import { pipelineTest, World } from '../../../support/pipeline.ts';

const ETAG = ['cache-control', 'max-age=60', 'etag', '"v1"'];

/** Each kind of purge that reaches `/a?b` of demo.example. */
const KINDS: Readonly<Record<string, PurgeTarget['target'] | 'reset'>> = {
  url: { $case: 'url', value: { host: 'demo.example', path: '/a?b' } },
  host: { $case: 'host', value: 'demo.example' },
  prefix: { $case: 'prefix', value: { host: 'demo.example', path: '/a' } },
  all: { $case: 'all', value: {} },
  'of a kind that is not known yet': undefined,
  reset: 'reset',
};
const REQUEST = { target: '/a?b' };

function apply(world: World, kind: PurgeTarget['target'] | 'reset'): void {
  if (kind === 'reset') world.barrier.reset();
  else world.barrier.apply({ sequence: 1, targets: [{ target: kind }], soft: false });
}

pipelineTest('what was stored before a purge is a miss after it', (world) => {
  for (const [name, kind] of Object.entries(KINDS)) {
    world.store('before', ETAG, REQUEST);
    apply(world, kind);
    const client = world.request(REQUEST);
    const call = world.call();
    assert.equal(call.field('if-none-match'), undefined, name);
    call.answer(200, 'after', ['cache-control', 'no-store']);
    assert.equal(client.cache, 'fwd=uri-miss; fwd-status=200; detail=no-store', name);
    assert.equal(world.cache.stats().objects, 0, name);
  }
});

pipelineTest('what is not purged stays', (world) => {
  world.store('kept', ETAG, REQUEST);
  world.purge({ $case: 'url', value: { host: 'demo.example', path: '/a' } });
  world.purge({ $case: 'url', value: { host: 'other.example', path: '/a?b' } });
  world.purge({ $case: 'host', value: 'other.example' });
  assert.equal(world.request(REQUEST).cache, 'hit; ttl=60');
});

pipelineTest('a purge of a URL reaches it under every port', (world) => {
  world.store('before', ETAG, { ...REQUEST, host: 'demo.example:8080' });
  apply(world, KINDS.url);
  world.request({ ...REQUEST, host: 'demo.example:8080' });
  world.call().answer(200, 'after');
});

pipelineTest('what is purged is not served stale either', (world) => {
  world.store('before', ETAG);
  world.clock.advance(61_000);
  world.purge();
  const client = world.request();
  for (let i = 0; i < 3; i += 1) world.call().fail('connect');
  assert.equal(client.status, 502);
});

pipelineTest(
  'what is purged while an origin is asked about it is neither asked about elsewhere nor served stale',
  (world) => {
    world.store('before', ETAG);
    world.clock.advance(61_000);
    const retried = world.request();
    const first = world.call();
    assert.equal(first.field('if-none-match'), '"v1"');
    world.purge();
    first.fail('connect');
    const second = world.call();
    assert.equal(second.field('if-none-match'), undefined);
    second.fail('connect');
    world.call().fail('connect');
    assert.equal(retried.status, 502);
  },
);

/** Runs `run` once for each way in which the sequences can be merged; each is an order of the numbers of the sequences. */
function eachMerge(lengths: readonly number[], run: (order: readonly number[]) => void): void {
  const extend = (left: readonly number[], order: readonly number[]): void => {
    if (left.every((count) => count === 0)) run(order);
    for (const [index, count] of left.entries()) {
      if (count > 0) extend(left.with(index, count - 1), [...order, index]);
    }
  };
  extend(lengths, []);
}

/** With these a request waits for no other. */
const ALONE = ['cache-control', 'no-cache'];

/** One request and its way through an origin, a step at a time. `sentAfterPurge` is what counts for its answer. */
class Fill {
  readonly steps: readonly (() => void)[];
  client: FakeClient | undefined;
  call: FakeCall | undefined;
  sentAfterPurge = false;

  constructor(
    world: World,
    text: string,
    purged: () => boolean,
    answers: readonly ((call: FakeCall) => void)[],
    fields: readonly string[] = [],
  ) {
    const send = () => {
      this.sentAfterPurge = purged();
      this.client = world.request({ fields });
      // A hit needs no origin.
      if (this.client.status === 0) this.call = world.call();
      else assert.ok(!purged() || this.client.text !== text, 'a hit on what was purged');
    };
    this.steps = [send, ...answers.map((answer) => () => this.call && answer(this.call))];
  }
}

const whole = (text: string) => [
  (call: FakeCall) => void call.head(200, ETAG),
  (call: FakeCall) => void call.data(text),
  (call: FakeCall) => call.end(),
];

pipelineTest('a purge at any moment of a fill, or of two at once, leaves nothing from before it', () => {
  let merges = 0;
  eachMerge([4, 4, 1], (order) => {
    merges += 1;
    const world = new World();
    let purged = false;
    const fills = ['first', 'second'].map((text) => new Fill(world, text, () => purged, whole(text), ALONE));
    const purge = [
      () => {
        purged = true;
        world.purge();
      },
    ];
    const queues = [...fills.map(({ steps }) => [...steps]), purge];
    for (const index of order) queues[index]?.shift()?.();
    const allowed = ['first', 'second'].filter((_, index) => fills[index]?.sentAfterPurge && fills[index].call);
    const check = world.request();
    if (check.status === 0) world.call().answer(200, 'fresh');
    else assert.ok(allowed.includes(check.text), `${check.text} was served after the purge; order ${order}`);
    // What is stored is not forgotten without a reason.
    if (allowed.length > 0) assert.equal(check.cache, 'hit; ttl=60', `order ${order}`);
    world.verify();
  });
  assert.equal(merges, 630);
});

pipelineTest('a purge at any moment of a revalidation leaves nothing from before it', () => {
  const refreshed = [
    (call: FakeCall) => void call.head(304, call.field('if-none-match') === undefined ? ['etag', '"v9"'] : []),
    (call: FakeCall) => call.end(),
  ];
  for (const retried of [false, true]) {
    eachMerge([retried ? 4 : 3, 1], (order) => {
      const world = new World();
      world.store('before', ETAG);
      world.clock.advance(61_000);
      let purged = false;
      let call: FakeCall | undefined;
      const steps = [
        () => {
          world.request();
          call = world.call();
        },
        ...(retried
          ? [
              () => {
                call?.fail('connect');
                call = world.call();
              },
            ]
          : []),
        ...refreshed.map((answer) => () => call && answer(call)),
      ];
      const purge = () => {
        purged = true;
        world.purge();
      };
      for (const index of order) (index === 0 ? steps.shift() : purge)?.();
      assert.ok(purged);
      const check = world.request();
      assert.equal(check.status, 0, `"before" was served after the purge; order ${order}`);
      world.call().answer(200, 'fresh');
      assert.equal(check.text, 'fresh');
      world.verify();
    });
  }
});

pipelineTest('a purge at any moment between two versions leaves the newer one, if it was requested after', () => {
  eachMerge([3, 4, 1], (order) => {
    const world = new World();
    world.store('before', ETAG);
    world.clock.advance(61_000);
    let purged = false;
    const validation = new Fill(
      world,
      'before',
      () => purged,
      [
        (call) => void (call.field('if-none-match') ? call.head(304) : call.head(200, ETAG).data('newer')),
        (call) => call.end(),
      ],
      ALONE,
    );
    const replacement = new Fill(world, 'before', () => purged, whole('newer'), ALONE);
    const queues = [
      [...validation.steps],
      [...replacement.steps],
      [
        () => {
          purged = true;
          world.purge();
        },
      ],
    ];
    for (const index of order) queues[index]?.shift()?.();
    const check = world.request();
    if (check.status === 0) world.call().answer(200, 'fresh');
    assert.notEqual(check.text, 'before', `order ${order}`);
    world.verify();
  });
});

pipelineTest(
  'what is purged softly is asked about before it is served, and is fresh again when it is still good',
  (world) => {
    world.store('before', ETAG, REQUEST);
    world.purge({ $case: 'prefix', value: { host: 'demo.example', path: '/a' } }, true);
    const client = world.request(REQUEST);
    const call = world.call();
    assert.equal(call.field('if-none-match'), '"v1"');
    call.head(304, ['cache-control', 'max-age=60', 'etag', '"v1"']).end();
    assert.deepEqual([client.text, client.cache], ['before', 'fwd=stale; fwd-status=304; stored; ttl=60']);
    assert.equal(world.request(REQUEST).cache, 'hit; ttl=60');
  },
);

pipelineTest('what is purged softly is served stale when no origin answers, unless it forbids that', (world) => {
  for (const [fields, status] of [
    [ETAG, 200],
    [['cache-control', 'max-age=60, must-revalidate', 'etag', '"v1"'], 502],
  ] as const) {
    world.store('before', fields);
    world.purge(undefined, true);
    const client = world.request();
    for (let i = 0; i < 3; i += 1) world.call().fail('connect');
    assert.equal(client.status, status);
    world.purge();
  }
});

pipelineTest('an answer that was on its way when a soft purge came is stale when it is stored', (world) => {
  const first = world.request();
  const call = world.call();
  world.purge(undefined, true);
  call.answer(200, 'before', ETAG);
  assert.equal(first.text, 'before');
  const second = world.request();
  const again = world.call();
  assert.equal(again.field('if-none-match'), '"v1"');
  again.head(304).end();
  assert.equal(second.text, 'before');
});

pipelineTest('HEAD makes nothing fresh again that is purged between two attempts', (world) => {
  world.store('before', ETAG);
  world.clock.advance(61_000);
  world.request({ method: 'HEAD' });
  const first = world.call();
  world.purge();
  first.fail('connect');
  world.call().head(200, ['etag', '"v1"', 'cache-control', 'max-age=60']).end();
  world.request();
  world.call().answer(200, 'after');
});
