// The shared purge barrier: against the plain one, which is the reference, and between threads that run at the same time.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { type Barrier, PurgeBarrier } from '../../../../edge-node/decide/barrier.ts';
import { purgeName } from '../../../../edge-node/decide/cache/key.ts';
import { allocateSharedBarrier, SharedBarrier } from '../../../../edge-node/io/shared/shared-barrier.ts';
import { type Random, seededRandom } from '../../../../infra/runtime/random.ts';
import type { PurgeTarget } from '../../../../proto/gen/meridian/v1/purge.ts';
import { below, pick } from '../cache/support.ts';

const KEY = { k0: 1, k1: 2 };
const url = (host: string, path: string): PurgeTarget => ({ target: { $case: 'url', value: { host, path } } });
const host = (name: string): PurgeTarget => ({ target: { $case: 'host', value: name } });
const prefix = (host: string, path: string): PurgeTarget => ({ target: { $case: 'prefix', value: { host, path } } });
const tag = (tag: string, ...hosts: string[]): PurgeTarget => ({ target: { $case: 'tag', value: { tag, hosts } } });
const all: PurgeTarget = { target: { $case: 'all', value: {} } };
const unknown: PurgeTarget = { target: undefined };

/** One writes, the other reads, over the same memory. */
function pair(cells?: number): { writer: SharedBarrier; reader: SharedBarrier } {
  const handles = allocateSharedBarrier(KEY, cells);
  return { writer: new SharedBarrier(handles), reader: new SharedBarrier(structuredClone(handles)) };
}

const purge = (barrier: SharedBarrier | PurgeBarrier, ...targets: PurgeTarget[]) =>
  barrier.apply({ sequence: 1, targets, soft: false });
const covers = (barrier: Barrier, at: number, name: string, path = '/', tags: readonly string[] = []) =>
  barrier.covers(at, name, purgeName(name, path), tags);
const stales = (barrier: Barrier, at: number, name: string, path = '/', tags: readonly string[] = []) =>
  barrier.stales(at, name, purgeName(name, path), tags);

describe('a purge by one thread', () => {
  test('is seen by another at once', () => {
    const { writer, reader } = pair();
    assert.equal(reader.current, 0);
    assert.equal(covers(reader, 0, 'a.example'), false);
    purge(writer, url('a.example', '/x'));
    assert.equal(reader.current, 1);
    assert.equal(covers(reader, 0, 'a.example', '/x'), true);
    assert.equal(covers(reader, 0, 'a.example', '/y'), false);
    assert.equal(covers(reader, 1, 'a.example', '/x'), false);
  });

  test('of a host reaches all of this host, and no other', () => {
    const { writer, reader } = pair();
    purge(writer, host('a.example'));
    assert.equal(covers(reader, 0, 'a.example', '/any'), true);
    assert.equal(covers(reader, 0, 'www.a.example', '/any'), false);
    assert.equal(covers(reader, 1, 'a.example', '/any'), false);
  });

  test('of all, of what this version does not know, and a reset reach everything', () => {
    for (const raise of [
      (barrier: SharedBarrier) => purge(barrier, all),
      (barrier: SharedBarrier) => purge(barrier, unknown),
      (barrier: SharedBarrier) => barrier.reset(),
    ]) {
      const { writer, reader } = pair();
      raise(writer);
      assert.equal(covers(reader, 0, 'a.example'), true);
      assert.equal(covers(reader, 1, 'a.example'), false);
    }
  });

  test('is remembered with its own number when others follow', () => {
    const { writer, reader } = pair();
    purge(writer, url('a.example', '/'));
    purge(writer, url('b.example', '/'), host('c.example'));
    assert.deepEqual([covers(reader, 0, 'a.example'), covers(reader, 1, 'a.example')], [true, false]);
    assert.deepEqual([covers(reader, 1, 'b.example'), covers(reader, 1, 'c.example', '/x')], [true, true]);
  });

  test('counts what it fills, and a purge of all begins anew', () => {
    const { writer, reader } = pair(1 << 10);
    purge(writer, url('a.example', '/'));
    purge(writer, url('a.example', '/'));
    assert.deepEqual(reader.stats(), { cells: 1024, filled: 4 });
    purge(writer, all);
    assert.deepEqual(reader.stats(), { cells: 1024, filled: 0 });
  });
});

test('a table of a size that makes no sense is refused', () => {
  for (const bad of [0, -8, 3, 1.5, Number.NaN]) assert.throws(() => allocateSharedBarrier(KEY, bad), RangeError);
});

test('100,000 purged URLs take about one in a hundred of the others with them', () => {
  const { writer, reader } = pair();
  for (let i = 0; i < 1000; i += 1) {
    purge(writer, ...Array.from({ length: 100 }, (_, k) => url('a.example', `/${i * 100 + k}`)));
  }
  let also = 0;
  for (let i = 0; i < 20_000; i += 1) if (covers(reader, 0, 'a.example', `/not/${i}`)) also += 1;
  assert.ok(also > 100 && also < 300, `${also} of 20,000`);
  for (let i = 0; i < 20_000; i += 1) assert.equal(covers(reader, 999, 'b.example', `/not/${i}`), false);
});

describe('a soft purge', () => {
  test('makes stale what it reaches, and takes nothing away', () => {
    const { writer, reader } = pair();
    writer.apply({ sequence: 1, targets: [host('a.example'), prefix('b.example', '/x')], soft: true });
    assert.equal(covers(reader, 0, 'a.example'), false);
    assert.deepEqual(
      [stales(reader, 0, 'a.example'), stales(reader, 0, 'b.example', '/x/y'), stales(reader, 0, 'b.example', '/y')],
      [true, true, false],
    );
    assert.equal(stales(reader, 1, 'a.example'), false);
    purge(writer, host('c.example'));
    assert.deepEqual([stales(reader, 1, 'c.example'), covers(reader, 1, 'c.example')], [false, true]);
    assert.equal(reader.current, 2);
  });
});

const HOSTS = ['a.example', 'b.example', 'c.example', 'www.a.example'];
const PATHS = ['/', '/1', '/2', '/2?', '/a/b', '/a'];

const TAGS = ['red', 'green', 'blue'];

function targets(random: Random): PurgeTarget[] {
  return Array.from({ length: 1 + below(random, 3) }, () => {
    const kind = random.next();
    if (kind < 0.02) return all;
    if (kind < 0.15) return host(pick(random, HOSTS));
    if (kind < 0.3) return prefix(pick(random, HOSTS), pick(random, ['/a', '/a/b', '/1', '/2']));
    if (kind < 0.4) return tag(pick(random, TAGS), ...pick(random, [[], [pick(random, HOSTS)], ['*.example']]));
    return url(pick(random, HOSTS), pick(random, PATHS));
  });
}

for (const { name, cells, exact } of [
  { name: 'with room for all, it purges exactly what the plain one does', cells: 1 << 16, exact: true },
  { name: 'with a tiny table, it purges all that the plain one does', cells: 16, exact: false },
]) {
  test(`seeded: ${name}`, () => {
    let more = 0;
    for (let seed = 1; seed <= 60; seed += 1) {
      const random = seededRandom(seed);
      const plain = new PurgeBarrier();
      const { writer, reader } = pair(cells);
      for (let step = 0; step < 100; step += 1) {
        if (random.next() < 0.01) {
          writer.reset();
          plain.reset();
        } else {
          const some = targets(random);
          const soft = random.next() < 0.3;
          for (const barrier of [writer, plain]) barrier.apply({ sequence: 1, targets: some, soft });
        }
        assert.equal(reader.current, plain.current);
        for (let i = 0; i < 10; i += 1) {
          const at = Math.max(0, step + 1 - below(random, 30));
          const [where, path] = [pick(random, HOSTS), pick(random, PATHS)];
          const tags = TAGS.filter(() => random.next() < 0.3);
          const ask = random.next() < 0.5 ? covers : stales;
          const expected = ask(plain, at, where, path, tags);
          const found = ask(reader, at, where, path, tags);
          const what = `seed ${seed} step ${step}: ${at} ${where}${path}`;
          if (exact) assert.equal(found, expected, what);
          else assert.ok(found || !expected, what);
          if (found && !expected) more += 1;
          assert.equal(covers(reader, reader.current, where, path), false, 'what comes after all purges is not purged');
        }
      }
    }
    assert.equal(more === 0, exact);
  });
}

test('no thread that sees a number misses a purge up to it, however fast purges come', async () => {
  const handles = allocateSharedBarrier(KEY, 1 << 16);
  const told = new Int32Array(new SharedArrayBuffer(12));
  // A purge of number n is of URL n % 500, of host n % 7, or (seldom) of everything. What was told is that n is applied.
  const code = `
    const { workerData, parentPort } = require('node:worker_threads');
    import(workerData.source).then(({ SharedBarrier }) => {
      const { told } = workerData;
      const barrier = new SharedBarrier(workerData.handles);
      Atomics.add(told, 1, 1);
      let looked = 0;
      let missed = 0;
      let went = 0;
      while (Atomics.load(told, 2) === 0) {
        const applied = Atomics.load(told, 0);
        const seen = barrier.current;
        if (seen < applied || barrier.current < seen) went += 1;
        for (let n = Math.max(1, seen - 20); n <= seen; n += 1) {
          looked += 1;
          const covered = n % 5 === 0
            ? barrier.covers(n - 1, 'h' + (n % 7), 'h' + (n % 7) + '/any')
            : barrier.covers(n - 1, 'u', 'u/' + (n % 500));
          if (!covered) missed += 1;
        }
      }
      parentPort.postMessage({ looked, missed, went });
    });`;
  const source = new URL('../../../../edge-node/io/shared/shared-barrier.ts', import.meta.url).href;
  const workers = [1, 2].map(() => new Worker(code, { eval: true, workerData: { source, handles, told } }));
  const answers = workers.map(
    (worker) =>
      new Promise<{ looked: number; missed: number; went: number }>((resolve, reject) => {
        worker.on('error', reject);
        worker.on('message', resolve);
      }),
  );
  while (Atomics.load(told, 1) < 2) await new Promise((resolve) => setImmediate(resolve));
  const writer = new SharedBarrier(handles);
  for (let n = 1; n <= 200_000; n += 1) {
    purge(writer, n % 5 === 0 ? host(`h${n % 7}`) : url('u', `/${n % 500}`));
    if (n % 10_000 === 0) writer.reset();
    Atomics.store(told, 0, writer.current);
    // Numbers and purges must stay together: a reset is one more.
    if (n % 10_000 === 0) n += 1;
  }
  Atomics.store(told, 2, 1);
  for (const answer of await Promise.all(answers)) {
    assert.deepEqual({ missed: answer.missed, went: answer.went }, { missed: 0, went: 0 });
    assert.ok(answer.looked > 1000);
  }
});
