// The purge barrier: what was requested before a purge is purged, what was requested after is not; against a plain version
// that remembers everything.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { PurgeBarrier } from '../../../../edge-node/decide/barrier.ts';
import { purgeName } from '../../../../edge-node/decide/cache/key.ts';
import { seededRandom } from '../../../../infra/runtime/random.ts';
import type { Purge, PurgeTarget } from '../../../../proto/gen/meridian/v1/purge.ts';
import { LIMITS } from '../../../../proto/limits.ts';
import { below, pick } from './support.ts';

const url = (host: string, path: string): PurgeTarget => ({ target: { $case: 'url', value: { host, path } } });
const host = (name: string): PurgeTarget => ({ target: { $case: 'host', value: name } });
const prefix = (name: string, path: string): PurgeTarget => ({
  target: { $case: 'prefix', value: { host: name, path } },
});
const tag = (name: string, ...hosts: string[]): PurgeTarget => ({
  target: { $case: 'tag', value: { tag: name, hosts } },
});
const all: PurgeTarget = { target: { $case: 'all', value: {} } };
const unknown: PurgeTarget = { target: undefined };

let sequence = 0;
function purge(...targets: PurgeTarget[]): Purge {
  sequence += 1;
  return { sequence, targets, soft: false };
}

const covers = (barrier: PurgeBarrier, at: number, name: string, path = '/', tags: readonly string[] = []) =>
  barrier.covers(at, name, purgeName(name, path), tags);
const stales = (barrier: PurgeBarrier, at: number, name: string, path = '/', tags: readonly string[] = []) =>
  barrier.stales(at, name, purgeName(name, path), tags);

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

  test('of a prefix reaches whole segments under it, with any query', () => {
    const barrier = new PurgeBarrier();
    barrier.apply(purge(prefix('a.example', '/img/old')));
    const reached = ['/img/old', '/img/old/', '/img/old?x=1', '/img/old/a/b.png?x=/', '/img/old//x'];
    const spared = ['/', '/img', '/img/', '/img/older', '/img/old.png', '/other/img/old', '/x?y=/img/old'];
    for (const path of reached) assert.equal(covers(barrier, 0, 'a.example', path), true, path);
    for (const path of spared) assert.equal(covers(barrier, 0, 'a.example', path), false, path);
    assert.equal(covers(barrier, 0, 'b.example', '/img/old'), false);
    assert.equal(covers(barrier, 1, 'a.example', '/img/old'), false);
  });

  test('of a prefix that is a host, or deeper than is looked for, reaches the host', () => {
    for (const path of ['/', '/x'.repeat(LIMITS.prefixSegments + 1)]) {
      const barrier = new PurgeBarrier();
      barrier.apply(purge(prefix('a.example', path)));
      assert.equal(covers(barrier, 0, 'a.example', '/any'), true);
      assert.equal(covers(barrier, 0, 'b.example', '/any'), false);
    }
    const deepest = '/x'.repeat(LIMITS.prefixSegments);
    const barrier = new PurgeBarrier();
    barrier.apply(purge(prefix('a.example', deepest)));
    assert.deepEqual(
      [covers(barrier, 0, 'a.example', `${deepest}/y/z`), covers(barrier, 0, 'a.example', '/x')],
      [true, false],
    );
  });

  test('of a tag reaches what carries it, on the hosts that are named', () => {
    const barrier = new PurgeBarrier();
    barrier.apply(purge(tag('red'), tag('blue', 'a.example', '*.b.example')));
    const ask = (name: string, ...tags: string[]) => covers(barrier, 0, name, '/', tags);
    assert.deepEqual(
      [ask('x.example', 'red'), ask('x.example', 'green', 'red'), ask('x.example')],
      [true, true, false],
    );
    assert.deepEqual([ask('a.example', 'blue'), ask('www.b.example', 'blue')], [true, true]);
    assert.deepEqual(
      [ask('b.example', 'blue'), ask('x.y.b.example', 'blue'), ask('c.example', 'blue')],
      [false, false, false],
    );
  });

  test('that is soft makes stale, and a hard one that follows takes away', () => {
    const barrier = new PurgeBarrier();
    barrier.apply({ ...purge(host('a.example')), soft: true });
    assert.deepEqual([covers(barrier, 0, 'a.example'), stales(barrier, 0, 'a.example')], [false, true]);
    assert.equal(stales(barrier, 1, 'a.example'), false);
    assert.equal(stales(barrier, 0, 'b.example'), false);
    barrier.apply(purge(host('a.example')));
    assert.deepEqual([covers(barrier, 0, 'a.example'), covers(barrier, 1, 'a.example')], [true, true]);
    assert.equal(stales(barrier, 1, 'a.example'), false);
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

  test('folds prefixes and the tags of one host into their host, and other tags into all', () => {
    const barrier = new PurgeBarrier({ prefixes: 1, tags: 1 });
    barrier.apply(purge(prefix('a.example', '/1'), prefix('b.example', '/2')));
    assert.deepEqual([covers(barrier, 0, 'a.example', '/x'), covers(barrier, 0, 'b.example', '/x')], [true, false]);
    barrier.apply(purge(tag('red', 'c.example'), tag('blue')));
    assert.deepEqual([covers(barrier, 1, 'c.example', '/x'), covers(barrier, 1, 'd.example', '/x')], [true, false]);
    barrier.apply(purge(tag('green')));
    assert.equal(covers(barrier, 1, 'd.example', '/x'), true);
    assert.equal(covers(barrier, 2, 'd.example', '/x'), false);
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
  readonly purges: Purge[] = [];

  reached(soft: boolean, at: number, name: string, path: string, tags: readonly string[]): boolean {
    const later = this.purges.slice(at).filter((purge) => purge.soft === soft);
    return later.some(({ targets }) =>
      targets.some(({ target }) => {
        switch (target?.$case) {
          case 'url':
            return target.value.host === name && target.value.path === path;
          case 'host':
            return target.value === name;
          case 'prefix': {
            const { host, path: prefix } = target.value;
            return host === name && (path === prefix || path.startsWith(`${prefix}/`) || path.startsWith(`${prefix}?`));
          }
          case 'tag': {
            const { hosts } = target.value;
            const there =
              hosts.length === 0 || hosts.some((host) => host === name || host === name.replace(/^[^.]*/, '*'));
            return there && tags.includes(target.value.tag);
          }
          default:
            return true;
        }
      }),
    );
  }
}

const HOSTS = ['a.example', 'b.example', 'c.example', 'www.a.example'];
const PATHS = ['/', '/1', '/2', '/2?', '/a/b', '/a', '/a/b/c?d'];
const TAGS = ['red', 'green', 'blue'];

for (const { name, limits, exact } of [
  { name: 'with room for all, it purges exactly what the plain version does', limits: {}, exact: true },
  {
    name: 'with tiny tables, it purges all that the plain version does',
    limits: { urls: 4, hosts: 2, prefixes: 2, tags: 2 },
    exact: false,
  },
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
          if (kind < 0.15) return host(pick(random, HOSTS));
          if (kind < 0.3) return prefix(pick(random, HOSTS), pick(random, ['/a', '/a/b', '/1', '/2']));
          if (kind < 0.4) return tag(pick(random, TAGS), ...pick(random, [[], [pick(random, HOSTS)], ['*.example']]));
          return url(pick(random, HOSTS), pick(random, PATHS));
        });
        const next = { ...purge(...targets), soft: random.next() < 0.3 };
        plain.purges.push(next);
        barrier.apply(next);
        for (let i = 0; i < 10; i += 1) {
          const at = Math.max(0, step + 1 - below(random, 30));
          const [where, path] = [pick(random, HOSTS), pick(random, PATHS)];
          const tags = TAGS.filter(() => random.next() < 0.3);
          const soft = random.next() < 0.5;
          const expected = plain.reached(soft, at, where, path, tags);
          const found = (soft ? stales : covers)(barrier, at, where, path, tags);
          if (exact) assert.equal(found, expected, `seed ${seed} step ${step}: ${at} ${where}${path}`);
          else assert.ok(found || !expected, `seed ${seed} step ${step}: ${at} ${where}${path} was not purged`);
          assert.equal(
            covers(barrier, barrier.current, where, path),
            false,
            'what comes after all purges is not purged',
          );
        }
        folded = barrier.stats().folded;
        // Soft and hard purges have tables of their own.
        const { urls, hosts } = barrier.stats();
        assert.ok(urls <= 2 * (limits.urls ?? 1000) && hosts <= 2 * (limits.hosts ?? 1000));
      }
      assert.equal(folded === 0, exact);
    }
  });
}
