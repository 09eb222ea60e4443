// The purge barrier: what was requested before a purge is purged, what was requested after is not; against a plain version
// that remembers everything.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { PurgeBarrier } from '../../../../edge-node/decide/barrier.ts';
import { purgeName } from '../../../../edge-node/decide/cache/key.ts';
import { seededRandom } from '../../../../infra/runtime/random.ts';
import type { Purge, PurgeTarget } from '../../../../proto/gen/meridian/v1/purge.ts';
import { below, pick } from './support.ts';

const url = (host: string, path: string): PurgeTarget => ({ target: { $case: 'url', value: { host, path } } });
const host = (name: string): PurgeTarget => ({ target: { $case: 'host', value: name } });
const all: PurgeTarget = { target: { $case: 'all', value: {} } };
const unknown: PurgeTarget = { target: undefined };

let sequence = 0;
function purge(...targets: PurgeTarget[]): Purge {
  sequence += 1;
  return { sequence, targets, soft: false };
}

const covers = (barrier: PurgeBarrier, at: number, name: string, path = '/') =>
  barrier.covers(at, name, purgeName(name, path));

describe('a purge', () => {
  test('nothing is purged before the first', () => {
    const barrier = new PurgeBarrier();
    assert.equal(barrier.current, 0);
    assert.equal(covers(barrier, 0, 'a.example'), false);
  });

  test('of a URL reaches this URL alone, and not what is requested afterwards', () => {
    const barrier = new PurgeBarrier();
    const before = barrier.current;
    barrier.apply(purge(url('a.example', '/x?y')));
    assert.equal(covers(barrier, before, 'a.example', '/x?y'), true);
    assert.equal(covers(barrier, before, 'a.example', '/x'), false);
    assert.equal(covers(barrier, before, 'b.example', '/x?y'), false);
    assert.equal(covers(barrier, barrier.current, 'a.example', '/x?y'), false);
  });

  test('of a host reaches all of this host', () => {
    const barrier = new PurgeBarrier();
    barrier.apply(purge(host('a.example')));
    assert.equal(covers(barrier, 0, 'a.example', '/any'), true);
    assert.equal(covers(barrier, 0, 'www.a.example', '/any'), false);
    assert.equal(covers(barrier, barrier.current, 'a.example', '/any'), false);
  });

  test('of all, and a reset, reach everything', () => {
    const barrier = new PurgeBarrier();
    barrier.apply(purge(all));
    assert.equal(covers(barrier, 0, 'a.example'), true);
    assert.equal(covers(barrier, 1, 'a.example'), false);
    barrier.reset();
    assert.equal(covers(barrier, 1, 'a.example'), true);
    assert.equal(covers(barrier, 2, 'a.example'), false);
  });

  test('may have many targets, and is one step of the barrier', () => {
    const barrier = new PurgeBarrier();
    barrier.apply(purge(url('a.example', '/'), host('b.example'), url('c.example', '/')));
    assert.equal(barrier.current, 1);
    for (const name of ['a.example', 'b.example', 'c.example']) assert.equal(covers(barrier, 0, name), true, name);
  });

  test('of a kind that this version does not know reaches everything', () => {
    const barrier = new PurgeBarrier();
    barrier.apply(purge(unknown));
    assert.equal(covers(barrier, 0, 'a.example'), true);
  });

  test('a request under way when the purge came is purged however late its answer is stored', () => {
    const barrier = new PurgeBarrier();
    barrier.apply(purge(url('a.example', '/')));
    const sent = barrier.current;
    barrier.apply(purge(url('a.example', '/')));
    barrier.apply(purge(url('b.example', '/')));
    assert.equal(covers(barrier, sent, 'a.example'), true);
  });
});

describe('a full table', () => {
  test('folds the oldest URL into its host, and counts it', () => {
    const barrier = new PurgeBarrier({ urls: 2 });
    for (const path of ['/1', '/2', '/3']) barrier.apply(purge(url('a.example', path)));
    assert.deepEqual(barrier.stats(), { urls: 2, hosts: 1, prefixes: 0, tags: 0, folded: 1 });
    assert.equal(covers(barrier, 0, 'a.example', '/1'), true);
    assert.equal(covers(barrier, 0, 'a.example', '/other'), true, 'purged with its host');
    assert.equal(covers(barrier, 1, 'a.example', '/other'), false, 'only as far back as the record went');
    assert.equal(covers(barrier, 2, 'a.example', '/3'), true);
    assert.equal(covers(barrier, 2, 'a.example', '/2'), false);
  });

  test('keeps the URLs purged last, counting from their last purge', () => {
    const barrier = new PurgeBarrier({ urls: 2 });
    for (const path of ['/1', '/2', '/1', '/3']) barrier.apply(purge(url('a.example', path)));
    assert.equal(covers(barrier, 2, 'a.example', '/1'), true);
    assert.equal(covers(barrier, 2, 'a.example', '/2'), false);
    assert.equal(covers(barrier, 1, 'a.example', '/2'), true);
  });

  test('folds the oldest host into all', () => {
    const barrier = new PurgeBarrier({ hosts: 1 });
    barrier.apply(purge(host('a.example')));
    barrier.apply(purge(host('b.example')));
    assert.deepEqual(barrier.stats(), { urls: 0, hosts: 1, prefixes: 0, tags: 0, folded: 1 });
    assert.equal(covers(barrier, 0, 'c.example'), true);
    assert.equal(covers(barrier, 1, 'c.example'), false);
    assert.equal(covers(barrier, 1, 'b.example'), true);
  });

  test('finds the host of an address in brackets', () => {
    const barrier = new PurgeBarrier({ urls: 1 });
    barrier.apply(purge(url('[::1]', '/a/b')));
    barrier.apply(purge(url('[::1]', '/c')));
    assert.equal(covers(barrier, 0, '[::1]', '/other'), true);
    assert.equal(covers(barrier, 0, 'a.example', '/other'), false);
  });

  test('a purge of all empties the tables', () => {
    const barrier = new PurgeBarrier();
    barrier.apply(purge(url('a.example', '/'), host('b.example')));
    barrier.apply(purge(all));
    assert.deepEqual(barrier.stats(), { urls: 0, hosts: 0, prefixes: 0, tags: 0, folded: 0 });
  });
});

/** Remembers every purge and looks through all of them. */
class PlainBarrier {
  readonly purges: (readonly PurgeTarget[])[] = [];

  covers(at: number, name: string, path: string): boolean {
    return this.purges.slice(at).some((targets) =>
      targets.some(({ target }) => {
        if (target?.$case === 'url') return target.value.host === name && target.value.path === path;
        return target?.$case === 'host' ? target.value === name : true;
      }),
    );
  }
}

const HOSTS = ['a.example', 'b.example', 'c.example', 'www.a.example'];
const PATHS = ['/', '/1', '/2', '/2?', '/a/b', '/a'];

for (const { name, limits, exact } of [
  { name: 'with room for all, it purges exactly what the plain version does', limits: {}, exact: true },
  { name: 'with tiny tables, it purges all that the plain version does', limits: { urls: 4, hosts: 2 }, exact: false },
]) {
  test(`seeded: ${name}`, () => {
    for (let seed = 1; seed <= 60; seed += 1) {
      const random = seededRandom(seed);
      const barrier = new PurgeBarrier(limits);
      const plain = new PlainBarrier();
      let folded = 0;
      for (let step = 0; step < 100; step += 1) {
        const targets = Array.from({ length: 1 + below(random, 3) }, () => {
          const kind = random.next();
          if (kind < 0.02) return all;
          return kind < 0.15 ? host(pick(random, HOSTS)) : url(pick(random, HOSTS), pick(random, PATHS));
        });
        plain.purges.push(targets);
        barrier.apply(purge(...targets));
        for (let i = 0; i < 10; i += 1) {
          const at = Math.max(0, step + 1 - below(random, 30));
          const [where, path] = [pick(random, HOSTS), pick(random, PATHS)];
          const expected = plain.covers(at, where, path);
          const found = covers(barrier, at, where, path);
          if (exact) assert.equal(found, expected, `seed ${seed} step ${step}: ${at} ${where}${path}`);
          else assert.ok(found || !expected, `seed ${seed} step ${step}: ${at} ${where}${path} was not purged`);
          assert.equal(
            covers(barrier, barrier.current, where, path),
            false,
            'what comes after all purges is not purged',
          );
        }
        folded = barrier.stats().folded;
        assert.ok(barrier.stats().urls <= (limits.urls ?? 1000) && barrier.stats().hosts <= (limits.hosts ?? 1000));
      }
      assert.equal(folded === 0, exact);
    }
  });
}
