// The thread of test/soak/purge.ts that serves hits: looks up, compares with the barrier, judges, and notes how long each took.
import { workerData } from 'node:worker_threads';
import { NO_DIRECTIVES } from '../../edge-node/decide/cache/cache-control.ts';
import { judge } from '../../edge-node/decide/cache/freshness.ts';
import { isPurged, judgedHead } from '../../edge-node/decide/purged.ts';
import type { SharedStoreHandles } from '../../edge-node/io/shared/handles.ts';
import { SharedBarrier, type SharedBarrierHandles } from '../../edge-node/io/shared/shared-barrier.ts';
import { SharedStore } from '../../edge-node/io/shared/shared-store.ts';

export interface ReaderSetup {
  readonly store: SharedStoreHandles;
  readonly barrier: SharedBarrierHandles;
  readonly keys: readonly string[];
  /** [0]: the phase, -1 to end; [1]: hits that were none. */
  readonly control: SharedArrayBuffer;
  /** For each phase `units` counts, of hits that took so many times `unitNs`; the last: longer. */
  readonly counts: SharedArrayBuffer;
  /** As `counts`, of those for which the list had to be read again, since something in its bucket had changed. */
  readonly anew: SharedArrayBuffer;
  readonly units: number;
  readonly unitNs: number;
}

const { store: handles, barrier: barriers, keys, control, counts, anew, units, unitNs } = workerData as ReaderSetup;
const store = new SharedStore(handles, 1);
const barrier = new SharedBarrier(barriers);
const flags = new Int32Array(control);
const tally = new Float64Array(counts);
const tallyAnew = new Float64Array(anew);
const lists = keys.map((key) => store.find(key));
const now = Date.now();

for (let i = 0; ; i += 1) {
  const phase = Atomics.load(flags, 0);
  if (phase === -1) break;
  const place = i % keys.length;
  const key = keys[place] ?? '';
  const from = performance.now();
  const list = store.find(key);
  const [entry] = list;
  const fresh =
    entry !== undefined &&
    !isPurged(barrier, entry) &&
    judge(judgedHead(barrier, entry, now), NO_DIRECTIVES, now).kind === 'fresh';
  const took = performance.now() - from;
  if (!fresh) Atomics.add(flags, 1, 1);
  const at = phase * units + Math.min(units - 1, Math.floor((took * 1e6) / unitNs));
  tally[at] = (tally[at] ?? 0) + 1;
  if (list === lists[place]) continue;
  lists[place] = list;
  tallyAnew[at] = (tallyAnew[at] ?? 0) + 1;
}
