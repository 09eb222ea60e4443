// What tests of the sweep of the disk store, and how they wait for it.
import assert from 'node:assert/strict';
import type { CacheEntry, Storable } from '../../../../edge-node/decide/cache/entry.ts';
import type { Purge } from '../../../../proto/gen/meridian/v1/purge.ts';
import { DATE, headOf, named } from '../cache/support.ts';
import { assertBody, bodyOf, type Disk } from './disk-support.ts';

export const RED: Purge = {
  sequence: 1,
  targets: [{ target: { $case: 'tag', value: { tag: 'red', hosts: [] } } }],
  soft: false,
};
const MIB = 1024 * 1024;
export const ROOMY = { maxBytes: 64 * MIB, segmentBytes: 4 * MIB };

export interface Options {
  readonly bytes?: number;
  readonly barrier?: number;
  /** Of a field of no meaning. */
  readonly padding?: number;
}

/** Tagged by the first part of its path. */
export function tagged(target: string, { bytes = 700, barrier = 0, padding = 0 }: Options = {}): Storable {
  const [, tag = ''] = target.split('/');
  const fields = ['date', DATE, 'cache-control', 'max-age=60', 'surrogate-key', tag, 'x-padding', '.'.repeat(padding)];
  return { ...named(target), head: headOf(fields, { barrier }), body: bodyOf(target, bytes) };
}

/** So many, one in three of them green, the others red. */
export async function fill(disk: Disk, count: number, options: Options = {}): Promise<void> {
  for (let i = 0; i < count; i += 1) {
    disk.tier.store.put(tagged(i % 3 === 0 ? `/green/${i}` : `/red/${i}`, options));
    if (i % 50 === 0) await disk.settle();
  }
  await disk.settle();
}

export async function turns(count = 200): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await Promise.resolve();
}

/** Until the disk has been looked through so often. */
export async function walked(disk: Disk, walks = 1): Promise<void> {
  for (let turn = 0; disk.tier.store.stats().walks < walks; turn += 1) {
    assert.ok(turn < 1000, 'a walk that ends');
    await turns();
  }
}

export function freeSegments({ tier }: Disk): number {
  const { index } = tier.store;
  return index.locked(() => index.segments.closed().free);
}

/** How many of `count` are found, green and red ones; none damaged. */
export async function found(
  disk: Disk,
  count: number,
  counts: (entry: CacheEntry) => boolean = () => true,
): Promise<[number, number]> {
  const seen = { green: 0, red: 0 };
  for (let i = 0; i < count; i += 1) {
    const color = i % 3 === 0 ? 'green' : 'red';
    for (const entry of await disk.find(`/${color}/${i}`)) {
      assertBody(`/${color}/${i}`, entry.body);
      if (counts(entry)) seen[color] += 1;
    }
  }
  assert.equal(disk.tier.store.stats().damaged, 0);
  return [seen.green, seen.red];
}

/** ... and of them those that a purge has not reached. */
export function served(disk: Disk, count: number): Promise<[number, number]> {
  return found(disk, count, ({ host, purgeTarget, head }) => {
    return !disk.barrier.covers(head.barrier, host, purgeTarget, head.tags);
  });
}
