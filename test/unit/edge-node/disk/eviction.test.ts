// What the disk throws out, beside least recently used. Figures: `npm run bench:micro disk-eviction`, docs/adr/0012.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { seededRandom } from '../../../../infra/runtime/random.ts';
import { hitRatio, LeastRecentlyUsed, SegmentedS3Fifo, zipfWithScans } from '../../../support/eviction-simulation.ts';
import { storable } from '../cache/store-support.ts';
import { bodyOf, openDisk } from './disk-support.ts';

describe('eviction', () => {
  test('finds more than least recently used, by Zipf, with and without scans, at each size', () => {
    for (const [skew, scans, share] of [
      [0.7, 0, 0.05],
      [0.9, 0, 0.01],
      [0.9, 0.3, 0.1],
      [1.1, 0, 0.2],
      [1.1, 0.3, 0.05],
    ] as const) {
      for (const seed of [1, 2]) {
        const trace = () => zipfWithScans(seededRandom(seed), 20_000, skew, scans);
        const lru = hitRatio(new LeastRecentlyUsed(20_000 * share), trace(), 60_000);
        const own = hitRatio(new SegmentedS3Fifo(20_000 * share, 64), trace(), 60_000);
        assert.ok(own > lru + 0.5, `skew ${skew}, scans ${scans}, ${share}: ${own} against ${lru}`);
      }
    }
  });

  test('so does the disk itself, with all that surrounds a record', async () => {
    const objects = 3000;
    const disk = await openDisk({ limits: { maxBytes: 64 * 16_384, segmentBytes: 16_384 } });
    const next = zipfWithScans(seededRandom(3), objects, 0.9, 0.2);
    let [hits, asked] = [0, 0];
    const held: number[] = [];
    for (let i = 0; i < 16_000; i += 1) {
      const target = `/${next()}`;
      const found = await disk.find(target);
      if (i >= 8000) {
        asked += 1;
        hits += found.length;
      }
      if (found.length > 0) continue;
      disk.tier.store.put(storable(target, bodyOf(target, 1000)));
      await disk.settle();
      held.push(disk.tier.store.stats().objects);
    }
    const lru = hitRatio(
      new LeastRecentlyUsed(Math.max(...held)),
      zipfWithScans(seededRandom(3), objects, 0.9, 0.2),
      8000,
    );
    const ratio = (hits / asked) * 100;
    assert.ok(ratio > lru + 1, `${ratio} against ${lru}`);
  });
});
