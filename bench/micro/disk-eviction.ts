// Hit ratios of the disk tier's eviction beside least recently used, on generated traces: `node bin/node26.js
// bench/micro/disk-eviction.ts`. Also how much of what is written to disk is written again to keep it.
import { seededRandom } from '../../infra/runtime/random.ts';
import { hitRatio, LeastRecentlyUsed, SegmentedS3Fifo, zipfWithScans } from '../../test/support/eviction-simulation.ts';

const OBJECTS = 100_000;
const REQUESTS = 200_000;
const SEGMENTS = 64;

console.log('Zipf   scans   holds     LRU   segmented S3-FIFO   written again');
for (const skew of [0.7, 0.9, 1.1]) {
  for (const scans of [0, 0.3]) {
    for (const share of [0.01, 0.1]) {
      const trace = (): (() => number) => zipfWithScans(seededRandom(7), OBJECTS, skew, scans);
      const capacity = OBJECTS * share;
      const lru = hitRatio(new LeastRecentlyUsed(capacity), trace(), REQUESTS);
      const own = new SegmentedS3Fifo(capacity, SEGMENTS);
      const ratio = hitRatio(own, trace(), REQUESTS);
      const again = `${((own.moved / own.written) * 100).toFixed(0)} %`;
      console.log(
        `${skew.toFixed(1)} ${`${scans * 100} %`.padStart(8)} ${`${share * 100} %`.padStart(7)} ` +
          `${lru.toFixed(1).padStart(7)} ${ratio.toFixed(1).padStart(19)} ${again.padStart(15)}`,
      );
    }
  }
}
