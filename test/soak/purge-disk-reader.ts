// The thread of test/soak/purge-disk.ts that reads from disk: one after the other, and notes how long each took.
import { workerData } from 'node:worker_threads';
import type { DiskHandles } from '../../edge-node/io/disk/disk-memory.ts';
import { DiskStore } from '../../edge-node/io/disk/disk-store.ts';
import { nodeFiles } from '../../edge-node/io/disk/files.ts';
import { silentLog } from '../../infra/runtime/log.ts';

export interface DiskReaderSetup {
  readonly handles: DiskHandles;
  readonly keys: readonly string[];
  /** Of each body, which is its key over and over. */
  readonly bodyBytes: number;
  /** [0]: the phase, -1 to end; [1]: reads that did not bring what was stored. */
  readonly control: SharedArrayBuffer;
  /** For each phase `units` counts, of reads that took so many times `unitUs`; the last: longer. */
  readonly counts: SharedArrayBuffer;
  readonly units: number;
  readonly unitUs: number;
}

const { handles, keys, bodyBytes, control, counts, units, unitUs } = workerData as DiskReaderSetup;
const store = new DiskStore(handles, 1, { files: nodeFiles, log: silentLog, crowded: () => undefined });
const flags = new Int32Array(control);
const tally = new Float64Array(counts);

for (let i = 0; ; i += 1) {
  const phase = Atomics.load(flags, 0);
  if (phase === -1) break;
  const key = keys[i % keys.length] ?? '';
  const from = performance.now();
  const [found] = (await store.find(key)) ?? [];
  const took = (performance.now() - from) * 1000;
  if (found?.entry.body.equals(Buffer.alloc(bodyBytes, key)) !== true) Atomics.add(flags, 1, 1);
  const at = phase * units + Math.min(units - 1, Math.floor(took / unitUs));
  tally[at] = (tally[at] ?? 0) + 1;
}
