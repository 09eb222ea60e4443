// The table and the steps: every row can be reached, every transition is taken by some request, and a step that throws is a
// 500 for one client and nothing worse.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StepFunction } from '../../../../edge-node/pipeline/run.ts';
import { STEPS } from '../../../../edge-node/pipeline/steps/index.ts';
import { type Step, TABLE } from '../../../../edge-node/pipeline/table.ts';
import { FakeDisk } from '../../../support/fake-disk.ts';
import { pipelineTest, World } from '../../../support/pipeline.ts';
import { rangeAnswer, serve } from '../../../support/range-origin.ts';

const ALL = ['london', 'paris', 'sydney'];
const STEP_NAMES = Object.keys(TABLE) as Step[];
const ETAG = ['cache-control', 'max-age=60', 'etag', '"v1"'];

function storedAndExpired(world: World): void {
  world.store('stored', ETAG);
  world.clock.advance(61_000);
}

function tunnelled(world: World): void {
  world.request({ fields: ['connection', 'upgrade', 'upgrade', 'websocket'] });
  const call = world.call();
  call.switch();
  call.end();
}

function storedOnDisk(world: World): FakeDisk {
  const disk = new FakeDisk(world.cache);
  world.store();
  disk.take(world.cache, 'http://demo.example/');
  world.request();
  return disk;
}

/** Two ask for the same. */
function collapsed(world: World): void {
  world.request();
  world.request();
  world.call().answer(200, '');
}

/** Three ask for the same, the origins fail the first, and then the second. */
function failedOnce(world: World): void {
  for (let i = 0; i < 3; i += 1) world.request();
  for (let i = 0; i < 6; i += 1) world.call().fail('connect');
}

const OBJECT = { etag: '"v1"', body: 'x'.repeat(3_000_000) };
const PART = ['range', 'bytes=0-1'];
const FAR = ['range', 'bytes=2000000-2000001'];

function missedPart(world: World): void {
  world.request({ fields: PART });
  serve(world.call(), OBJECT);
}

function slicedOnDisk(world: World): FakeDisk {
  const disk = new FakeDisk(world.cache);
  missedPart(world);
  const [index] = world.cache.find('http://demo.example/');
  disk.take(world.cache, `http://demo.example/#${index?.head.slices?.generation}/0`);
  return disk;
}

/** For each transition a request that takes it. */
const TAKEN_BY: Readonly<Record<string, (world: World) => void>> = {
  'admit -> route': (world) => void world.request({ host: 'other.example' }),
  'admit -> refuse': (world) => void world.request({ method: 'TRACE' }),
  'route -> lookUp': (world) => world.store(),
  'route -> refuse': (world) => void world.request({ host: 'other.example' }),
  'lookUp -> respond': (world) => {
    world.store();
    world.request();
  },
  'lookUp -> collapse': (world) => world.store(),
  'lookUp -> choose': (world) => {
    world.request({ target: '/raw' });
    world.call().answer(200, '');
  },
  'lookUp -> wait': (world) => void storedOnDisk(world).answer(),
  'lookUp -> lookUp': (world) => void storedOnDisk(world).answer(),
  'lookUp -> refuse': (world) => void world.request({ fields: ['cache-control', 'only-if-cached'] }),
  'collapse -> choose': (world) => world.store(),
  'collapse -> wait': collapsed,
  'collapse -> respond': collapsed,
  'collapse -> lookUp': failedOnce,
  'collapse -> refuse': failedOnce,
  'choose -> fetch': (world) => world.store(),
  'choose -> respond': (world) => {
    storedAndExpired(world);
    world.takeDown(...ALL);
    world.request();
  },
  'choose -> refuse': (world) => void world.request({ target: '/empty' }),
  'fetch -> wait': (world) => world.store(),
  'fetch -> refresh': (world) => {
    storedAndExpired(world);
    world.request();
    world.call().head(304).end();
  },
  'fetch -> store': (world) => world.store(),
  'fetch -> choose': (world) => {
    world.request();
    world.call().fail('connect');
    world.call().answer(200, '');
  },
  'fetch -> respond': (world) => {
    storedAndExpired(world);
    world.request();
    for (const _ of ALL) world.call().fail('connect');
  },
  'fetch -> tunnel': tunnelled,
  'fetch -> refuse': (world) => {
    world.request({ method: 'POST' });
    world.call().fail('head');
  },
  'fetch -> slice': missedPart,
  'slice -> respond': missedPart,
  'slice -> wait': (world) => {
    const disk = slicedOnDisk(world);
    world.request({ fields: PART });
    disk.answer();
  },
  'slice -> lookUp': (world) => {
    missedPart(world);
    for (let i = 0; i < 2; i += 1) world.request({ fields: FAR });
    serve(world.call(), { ...OBJECT, etag: '"v2"' });
  },
  'slice -> collapse': (world) => {
    world.request({ fields: PART });
    serve(world.call(), { ...OBJECT, fields: ['cache-control', 'max-age=60, stale-while-revalidate=60'] });
    world.clock.advance(61_000);
    world.request({ fields: FAR });
    for (let i = 0; i < 2; i += 1) serve(world.call(), OBJECT);
  },
  'slice -> choose': (world) => {
    missedPart(world);
    world.request({ fields: FAR });
    serve(world.call(), OBJECT);
  },
  'slice -> fetch': (world) => {
    world.request({ fields: PART });
    world.call().head(206, ['content-range', 'bytes 0-1/*']);
    world.call().answer(206, '01');
  },
  'slice -> refresh': (world) => {
    missedPart(world);
    world.clock.advance(61_000);
    world.request({ fields: PART });
    const call = world.call();
    const { status, fields } = rangeAnswer(OBJECT, ['range', call.field('range') ?? '']);
    call.head(status, fields);
  },
  'slice -> store': (world) => {
    world.request({ fields: PART });
    world.call().answer(200, 'hello');
  },
  'slice -> refuse': (world) => {
    missedPart(world);
    world.request({ fields: [...FAR, 'cache-control', 'only-if-cached'] });
  },
  'respond -> slice': (world) => {
    missedPart(world);
    world.request({ fields: PART });
  },
  'refresh -> respond': (world) => {
    storedAndExpired(world);
    world.request();
    world.call().head(304).end();
  },
  'refresh -> fetch': (world) => {
    storedAndExpired(world);
    world.request();
    world.call().head(304, ['etag', '"v2"']);
    world.call().answer(200, '');
  },
  'store -> respond': (world) => world.store(),
  'store -> refuse': (world) => {
    world.request();
    world.call().head(200, ['content-length', 'x']);
  },
  'respond -> done': (world) => world.store(),
  'tunnel -> done': tunnelled,
  'refuse -> done': (world) => void world.request({ host: 'other.example' }),
};

test('every step can be reached from the first, and each leads to an end', () => {
  const reached = new Set<string>(['admit']);
  for (const step of reached) {
    if (step in TABLE) for (const next of TABLE[step as Step].next) reached.add(next);
  }
  assert.deepEqual([...reached].toSorted(), [...STEP_NAMES, 'done'].toSorted());
});

test('every transition of the table is taken by some request, and no other is', () => {
  const inTable = STEP_NAMES.flatMap((step) => {
    const next: readonly string[] = TABLE[step].next;
    return [...next, ...('waits' in TABLE[step] ? ['wait'] : [])].map((name) => `${step} -> ${name}`);
  });
  assert.deepEqual(Object.keys(TAKEN_BY).toSorted(), inTable.toSorted());
  for (const [transition, run] of Object.entries(TAKEN_BY)) {
    const world = new World();
    run(world);
    world.verify();
    assert.ok(world.transitions.has(transition), transition);
    assert.deepEqual(
      [...world.transitions].filter((taken) => !inTable.includes(taken)),
      [],
    );
  }
});

/** A step that throws. */
const broken = (): never => {
  throw new TypeError('secret of the implementation');
};

function assertAnswered500(world: World, step: string): void {
  const client = world.clients.at(-1);
  assert.ok(client);
  assert.deepEqual([client.status, JSON.parse(client.text).code, client.state], [500, 'internal', 'ended'], step);
  assert.doesNotMatch(client.text, /secret|step|TypeError/);
  assert.equal(world.last.end, 'complete');
  assert.deepEqual(
    world.lines.filter(({ level }) => level === 'error').map(({ fields }) => 'step' in fields && fields.step),
    [step],
  );
}

for (const step of ['admit', 'route', 'lookUp', 'choose', 'fetch', 'store', 'respond'] as const) {
  pipelineTest(
    `when the step ${step} throws, the client gets one 500 and the log the reason`,
    (world) => {
      world.errorsExpected = true;
      world.request();
      if (world.calls.length > 0) world.call().answer(200, 'hello');
      assertAnswered500(world, step);
      assert.ok(world.calls.every(({ aborted }) => aborted));
      assert.equal(world.cache.stats().objects, 0);
    },
    { steps: { [step]: broken } },
  );
}

pipelineTest(
  'when the step refresh throws, the client gets one 500, and what is stored stays',
  (world) => {
    world.errorsExpected = true;
    storedAndExpired(world);
    world.request();
    world.call().head(304).end();
    assertAnswered500(world, 'refresh');
    assert.equal(world.cache.stats().objects, 1);
  },
  { steps: { refresh: broken } },
);

pipelineTest(
  'when even the refusal throws, the connection is broken off',
  (world) => {
    world.errorsExpected = true;
    const client = world.request({ host: 'other.example' });
    assert.deepEqual([client.status, client.state, world.last.end], [0, 'aborted', 'edge-failed']);
  },
  { steps: { refuse: broken } },
);

const respondThenThrow: StepFunction<'respond'> = (x, engine) => {
  STEPS.respond(x, engine);
  throw new Error('too late for a 500');
};

pipelineTest(
  'when a step throws after the answer has begun, the connection is broken off and nothing is stored',
  (world) => {
    world.errorsExpected = true;
    const client = world.request();
    const call = world.call().head(200, ETAG);
    assert.deepEqual(
      [client.status, client.state, world.last.end, call.aborted],
      [200, 'aborted', 'edge-failed', true],
    );
    assert.equal(world.cache.stats().objects, 0);
  },
  { steps: { respond: respondThenThrow } },
);

pipelineTest('one request’s defect is not the next one’s', (world) => {
  world.errorsExpected = true;
  const { serving } = world;
  world.serving = serving && { ...serving, isTrusted: broken };
  const first = world.request({ fields: ['x-forwarded-for', '198.51.100.7'] });
  assert.equal(first.status, 500);
  world.serving = serving;
  world.store();
  assert.equal(world.request().status, 200);
});
