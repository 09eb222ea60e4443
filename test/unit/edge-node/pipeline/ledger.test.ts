// What is counted of exchanges, and what a heartbeat says of them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileSnapshot, findSite } from '../../../../edge-node/decide/compile.ts';
import { CountingLedger } from '../../../../edge-node/io/ledger.ts';
import { allocateSharedCounters, SharedCounters } from '../../../../edge-node/io/shared/shared-counters.ts';
import type { ExchangeEnd, Settled } from '../../../../edge-node/ports.ts';
import { Metrics } from '../../../../infra/runtime/metrics.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { demoSnapshot, World } from '../../../support/pipeline.ts';

interface Sunk {
  readonly exchange: Settled;
  readonly bytes: number;
  readonly durationMs: number;
}

/** A ledger that is told what happens in a world. */
function setUp() {
  const clock = new FakeClock();
  const metrics = new Metrics();
  const sunk: Sunk[] = [];
  const ledger = new CountingLedger(metrics, clock, (exchange, bytes, durationMs) => {
    sunk.push({ exchange, bytes, durationMs });
  });
  const world = new World();
  const enter = (end: ExchangeEnd = world.last.end) => ledger.record(world.last.exchange, end, world.last.bytes);
  return { clock, metrics, sunk, ledger, world, enter };
}

test('an exchange is counted by what the cache had to do with it, with its bytes', () => {
  const { metrics, ledger, world, enter } = setUp();
  world.store('hello');
  enter();
  for (let i = 0; i < 2; i += 1) {
    world.request();
    enter();
  }
  world.request({ host: 'other.example' });
  enter();
  const text = metrics.render();
  assert.match(text, /meridian_requests_total\{cache="miss",site="\(other\)"\} 1\n/);
  assert.match(text, /meridian_requests_total\{cache="hit",site="\(other\)"\} 2\n/);
  assert.match(text, /meridian_requests_total\{cache="none",site=""\} 1\n/);
  assert.match(text, /meridian_failures_total\{code="unknown-host",source="client"\} 1\n/);
  assert.match(text, /meridian_body_bytes_total \d+\n/);
  const { requests, hits, misses, errors, cacheObjects } = ledger.statistics(world.cache);
  assert.deepEqual([requests, hits, misses, errors, cacheObjects], [4, 2, 1, 0, 1]);
});

test('sites that have a number are counted each by itself, the others together', () => {
  const metrics = new Metrics();
  const ledger = new CountingLedger(metrics, new FakeClock(), undefined);
  const snapshot = demoSnapshot();
  const [demo] = snapshot.sites;
  assert.ok(demo);
  const named = (name: string) => ({ ...demo, name, hostnames: [`${name}.example`] });
  const compiled = compileSnapshot(
    { ...snapshot, sites: [demo, named('shop'), named('blog'), named('wiki')] },
    'edge-1',
    new Map([
      ['demo', 1],
      ['shop', 2],
    ]),
  );
  const world = new World();
  world.store();
  for (const host of ['demo', 'demo', 'shop', 'blog', 'wiki']) {
    const site = findSite(compiled, `${host}.example`);
    ledger.record({ ...world.last.exchange, addressOfClient: () => '', site, outcome: 'hit' }, 'complete', 1);
  }
  const counted = [...metrics.render().matchAll(/meridian_requests_total\{cache="hit",site="(.*?)"\} (\d+)/g)];
  assert.deepEqual(
    counted.map(([, site, count]) => [site, Number(count)]),
    [
      ['', 0],
      ['demo', 2],
      ['shop', 1],
      ['(other)', 2],
    ],
  );
  assert.equal(ledger.statistics(world.cache).hits, 5);
});

test('an answer that broke off is counted by who broke it off', () => {
  const { metrics, world, enter } = setUp();
  world.store();
  for (const end of ['origin-failed', 'client-gone', 'client-gone', 'edge-failed', 'complete'] as const) enter(end);
  const text = metrics.render();
  for (const [by, count] of Object.entries({ origin: 1, client: 2, edge: 1 })) {
    assert.match(text, new RegExp(`meridian_broken_answers_total\\{by="${by}"\\} ${count}\\n`));
  }
});

test('failures of 500 and above are errors in a heartbeat', () => {
  const { ledger, world, enter } = setUp();
  for (const options of [{ target: '/empty' }, { method: 'TRACE' }, { fields: ['cdn-loop', 'meridian-edge-1'] }]) {
    world.request(options);
    enter();
  }
  assert.equal(ledger.statistics(world.cache).errors, 2);
});

test('the access log gets each exchange with its bytes and how long it took', () => {
  const { clock, sunk, ledger, world, enter } = setUp();
  world.store('hello');
  clock.advance(2_500);
  enter();
  assert.equal(sunk.length, 1);
  assert.deepEqual([sunk[0]?.exchange, sunk[0]?.bytes, sunk[0]?.durationMs], [world.last.exchange, 5, 2_500]);
  assert.equal(ledger.statistics(world.cache).uptimeS, 2);
});

test('without an access log there is nothing more to it', () => {
  const world = new World();
  world.store();
  const ledger = new CountingLedger(new Metrics(), new FakeClock(), undefined);
  ledger.record(world.last.exchange, 'complete', 0);
  assert.equal(ledger.statistics(world.cache).requests, 1);
});

test('a heartbeat tells of the time that answers took in all threads', () => {
  const handles = allocateSharedCounters(3);
  const clock = new FakeClock();
  const ledgerOf = (thread: number) =>
    new CountingLedger(new Metrics(new SharedCounters(handles, thread)), clock, undefined);
  const [main, ...workers] = [0, 1, 2].map(ledgerOf);
  const world = new World();
  world.store('hello');
  const exchange = { ...world.last.exchange, startedAt: clock.monotonic(), addressOfClient: () => '' };
  clock.advance(250);
  for (const worker of workers) worker.record(exchange, 'complete', 5);
  assert.deepEqual([main?.statistics(world.cache).requests, main?.statistics(world.cache).answerMs], [2, 500]);
});
