// Counters of several threads, here by several objects over the same memory.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { allocateSharedCounters, OVERFLOW, SharedCounters } from '../../../../edge-node/io/shared/shared-counters.ts';
import { Metrics } from '../../../../infra/runtime/metrics.ts';
import { seededRandom } from '../../../../infra/runtime/random.ts';
import { below } from '../cache/support.ts';

function threads(count: number, capacity?: number) {
  const handles = allocateSharedCounters(count, capacity);
  return { handles, all: Array.from({ length: count }, (_, thread) => new SharedCounters(handles, thread)) };
}

test('a counter counts, by one or by more', () => {
  const [counters] = threads(1).all;
  const counter = counters?.counter('a');
  counter?.add();
  counter?.add(2.5);
  assert.equal(counter?.value(), 3.5);
  assert.equal(counters?.value('b'), 0);
});

test('the same name is the same counter, and another name another', () => {
  const [counters] = threads(1).all;
  counters?.counter('a').add();
  assert.equal(counters?.counter('a'), counters?.counter('a'));
  assert.equal(counters?.counter('ä€').value(), 0);
});

test('every thread reads the sum of all, whoever named the counter first, in whatever order', () => {
  const [one, two, main] = threads(3).all;
  one?.counter('a').add(1);
  one?.counter('b').add(10);
  two?.counter('b').add(100);
  two?.counter('a').add(1000);
  for (const counters of [one, two, main]) {
    assert.equal(counters?.value('a'), 1001);
    assert.equal(counters?.counter('b').value(), 110);
  }
  one?.counter('c').add();
  assert.equal(main?.value('c'), 1);
  assert.deepEqual([...(main?.names() ?? [])].toSorted(), ['a', 'b', 'c', OVERFLOW].toSorted());
});

test('a thread that takes the place of a dead one goes on counting where it was', () => {
  const { handles, all } = threads(2);
  all[1]?.counter('a').add(5);
  const replacement = new SharedCounters(handles, 1);
  replacement.counter('b').add();
  replacement.counter('a').add();
  assert.equal(all[0]?.value('a'), 6);
  assert.equal(all[0]?.value('b'), 1);
});

test('what does not fit is counted as such, and never lost from view', () => {
  const [counters] = threads(1, 3).all;
  counters?.counter('a').add();
  counters?.counter('b').add();
  counters?.counter('c').add(5);
  counters?.counter('x'.repeat(100_000)).add(1);
  assert.equal(counters?.value('a'), 1);
  assert.equal(counters?.value('c'), 0);
  assert.equal(counters?.value(OVERFLOW), 5 + 1);
});

test('metrics over it show what any thread counts, and what found no room', () => {
  const [worker, main] = threads(2, 3).all;
  assert.ok(worker && main);
  const metrics = new Metrics(main);
  metrics.counter('a_total', 'A.').add();
  new Metrics(worker).counter('a_total', 'A.').add(2);
  new Metrics(worker).counter('b_total', 'B "quoted".', { label: 'x' }).add(3);
  new Metrics(worker).counter('c_total', 'C.').add(4);
  const lines = metrics.render().split('\n');
  assert.ok(lines.includes('a_total 3'));
  assert.ok(lines.includes('# HELP b_total B "quoted".') && lines.includes('b_total{label="x"} 3'));
  assert.ok(lines.includes('meridian_counters_overflow_total 4'));
});

test('numbers that make no sense are refused', () => {
  for (const bad of [0, -1, 1.5, Number.NaN]) {
    assert.throws(() => allocateSharedCounters(bad), RangeError);
    assert.throws(() => allocateSharedCounters(1, bad), RangeError);
  }
  assert.throws(() => new SharedCounters(allocateSharedCounters(2), 2), /expected 0 to 1, found 2/);
});

test('seeded: the sums are those of one plain map', () => {
  const random = seededRandom(3);
  const { all } = threads(4, 64);
  const plain = new Map<string, number>();
  for (let step = 0; step < 5000; step += 1) {
    const name = `counter ${below(random, 60)}`;
    const by = below(random, 100);
    all[below(random, 4)]?.counter(name).add(by);
    plain.set(name, (plain.get(name) ?? 0) + by);
  }
  for (const [name, value] of plain) for (const counters of all) assert.equal(counters.value(name), value);
});

test('threads that count and name at the same time lose nothing', async () => {
  const { handles, all } = threads(3);
  const source = new URL('../../../../edge-node/io/shared/shared-counters.ts', import.meta.url).href;
  const code = `
    const { workerData } = require('node:worker_threads');
    import(workerData.source).then(({ SharedCounters }) => {
      const counters = new SharedCounters(workerData.handles, workerData.thread);
      for (let i = 0; i < 200000; i += 1) counters.counter('n' + (i % 500)).add();
    });`;
  let last = 0;
  let running = 2;
  const ended = [1, 2].map((thread) => {
    const worker = new Worker(code, { eval: true, workerData: { handles, thread, source } });
    return new Promise<void>((resolve, reject) => {
      worker.on('error', reject);
      worker.on('exit', () => {
        running -= 1;
        resolve();
      });
    });
  });
  const done = Promise.all(ended);
  while (running > 0) {
    const sum = [...(all[0]?.names() ?? [])].reduce((total, name) => total + (all[0]?.value(name) ?? 0), 0);
    assert.ok(sum >= last, 'sums only rise');
    last = sum;
    await new Promise((resolve) => setImmediate(resolve));
  }
  await done;
  for (let i = 0; i < 500; i += 1) assert.equal(all[0]?.value(`n${i}`), 800);
});
