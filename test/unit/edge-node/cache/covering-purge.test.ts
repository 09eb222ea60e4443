// Which purge it was: what is found by asking a barrier must be what a list of all purges says.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PurgeBarrier, type RaisableBarrier } from '../../../../edge-node/decide/barrier.ts';
import { purgeName } from '../../../../edge-node/decide/cache/key.ts';
import { type CoveringPurge, coveringPurge } from '../../../../edge-node/decide/covering-purge.ts';
import { allocateSharedBarrier, SharedBarrier } from '../../../../edge-node/io/shared/shared-barrier.ts';
import { type Random, seededRandom } from '../../../../infra/runtime/random.ts';
import type { PurgeTarget } from '../../../../proto/gen/meridian/v1/purge.ts';
import { below, pick } from './support.ts';

const HOSTS = ['a.example', 'b.example'];
const PATHS = ['/', '/1', '/a', '/a/b', '/a/b/c?d'];
const TAGS = ['red', 'green'];
const url = (host: string, path: string): PurgeTarget => ({ target: { $case: 'url', value: { host, path } } });
const prefix = (host: string, path: string): PurgeTarget => ({ target: { $case: 'prefix', value: { host, path } } });
const tag = (tag: string, ...hosts: string[]): PurgeTarget => ({ target: { $case: 'tag', value: { tag, hosts } } });
const host = (value: string): PurgeTarget => ({ target: { $case: 'host', value } });
const all: PurgeTarget = { target: { $case: 'all', value: {} } };

const MAKE: Readonly<Record<string, () => RaisableBarrier>> = {
  plain: () => new PurgeBarrier(),
  shared: () => new SharedBarrier(allocateSharedBarrier({ k0: 1, k1: 2 }, 1 << 16)),
};

interface Entry {
  readonly host: string;
  readonly path: string;
  readonly tags: readonly string[];
}

/** What a target says of an entry, if it reaches it. */
function reach(target: PurgeTarget['target'], entry: Entry): Pick<CoveringPurge, 'reach' | 'name'> | undefined {
  const { host: name, path, tags } = entry;
  switch (target?.$case) {
    case 'url':
      return target.value.host === name && target.value.path === path ? { reach: 'url', name: name + path } : undefined;
    case 'host':
      return target.value === name ? { reach: 'host', name } : undefined;
    case 'prefix': {
      const { host: of, path: from } = target.value;
      const there = of === name && (path === from || path.startsWith(`${from}/`) || path.startsWith(`${from}?`));
      return there ? { reach: 'prefix', name: `${name}${from}/` } : undefined;
    }
    case 'tag': {
      const { tag: one, hosts } = target.value;
      const there = hosts.length === 0 || hosts.some((of) => of === name || of === '*.example');
      return there && tags.includes(one) ? { reach: 'tag', name: one } : undefined;
    }
    default:
      return { reach: 'everything', name: '' };
  }
}

function someTarget(random: Random): PurgeTarget {
  const kind = random.next();
  if (kind < 0.03) return all;
  if (kind < 0.1) return host(pick(random, HOSTS));
  if (kind < 0.35) return prefix(pick(random, HOSTS), pick(random, ['/a', '/a/b', '/1']));
  if (kind < 0.6) return tag(pick(random, TAGS), ...pick(random, [[], [pick(random, HOSTS)], ['*.example']]));
  return url(pick(random, HOSTS), pick(random, PATHS));
}

for (const [name, make] of Object.entries(MAKE)) {
  test(`${name}: nothing purged, nothing found; then the newest that reaches it, a hard one first`, () => {
    const barrier = make();
    const entry = {
      host: 'a.example',
      purgeTarget: purgeName('a.example', '/a/b'),
      head: { barrier: 0, tags: ['red'] },
    };
    const apply = (soft: boolean, ...targets: PurgeTarget[]) => barrier.apply({ sequence: 1, targets, soft });
    assert.equal(coveringPurge(barrier, entry), undefined);
    apply(false, url('a.example', '/other'));
    assert.equal(coveringPurge(barrier, entry), undefined);
    apply(true, tag('red'));
    assert.deepEqual(coveringPurge(barrier, entry), { number: 2, soft: true, reach: 'tag', name: 'red' });
    apply(false, prefix('a.example', '/a'));
    apply(true, all);
    const found = { number: 3, soft: false, reach: 'prefix', name: 'a.example/a/' };
    assert.deepEqual(coveringPurge(barrier, entry), found);
    assert.equal(coveringPurge(barrier, { ...entry, head: { barrier: 4, tags: [] } }), undefined);
  });

  test(`${name}: a purge of the URL that is asked for is found, though the key holds less of it`, () => {
    const barrier = make();
    const entry = { host: 'a.example', purgeTarget: 'a.example/a', head: { barrier: 0, tags: [] } };
    barrier.apply({ sequence: 1, targets: [url('a.example', '/a?x')], soft: false });
    assert.equal(coveringPurge(barrier, entry), undefined);
    assert.equal(coveringPurge(barrier, entry, 'a.example/a?x')?.name, 'a.example/a?x');
  });

  test(`seeded: ${name}: it is the one that going through all of them finds`, () => {
    const kinds = new Set<string>();
    for (let seed = 1; seed <= 30; seed += 1) {
      const random = seededRandom(seed);
      const barrier = make();
      const purges: { readonly targets: PurgeTarget[]; readonly soft: boolean }[] = [];
      for (let step = 0; step < 60; step += 1) {
        const targets = Array.from({ length: 1 + below(random, 2) }, () => someTarget(random));
        const soft = random.next() < 0.3;
        purges.push({ targets, soft });
        barrier.apply({ sequence: step + 1, targets, soft });
        for (let i = 0; i < 5; i += 1) {
          const entry = {
            host: pick(random, HOSTS),
            path: pick(random, PATHS),
            tags: TAGS.filter(() => random.next() < 0.4),
          };
          const at = Math.max(0, step + 1 - below(random, 25));
          const reaching = (wanted: boolean) =>
            purges.findLastIndex((purge, index) => {
              return index >= at && purge.soft === wanted && purge.targets.some(({ target }) => reach(target, entry));
            });
          const hard = reaching(false);
          const index = hard === -1 ? reaching(true) : hard;
          const purgeTarget = purgeName(entry.host, entry.path);
          const found = coveringPurge(barrier, { ...entry, purgeTarget, head: { barrier: at, tags: entry.tags } });
          const context = `seed ${seed} step ${step}: ${JSON.stringify({ at, ...entry })}`;
          assert.equal(found?.number, index === -1 ? undefined : index + 1, context);
          if (!found) continue;
          kinds.add(found.reach);
          const by = purges[index]?.targets.map(({ target }) => reach(target, entry)) ?? [];
          const told = { reach: found.reach, name: found.name };
          const fits = by.some((one) => one?.reach === told.reach && one.name === told.name);
          assert.ok(fits, `${context}: ${JSON.stringify(told)} is none of ${JSON.stringify(by)}`);
        }
      }
    }
    assert.deepEqual([...kinds].toSorted(), ['everything', 'host', 'prefix', 'tag', 'url']);
  });
}
