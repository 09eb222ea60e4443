// The memory that all threads of an edge share, made once by the main thread, and what is decided about its sizes.
import { randomBytes } from 'node:crypto';
import { availableParallelism } from 'node:os';
import type { Log } from '../../../infra/runtime/log.ts';
import type { HashKey } from '../../decide/hash.ts';
import type { EdgeLimits } from '../limits.ts';
import { allocateSharedStore } from '../shared/handles.ts';
import { allocateSharedBarrier } from '../shared/shared-barrier.ts';
import { allocateSharedConnections, type ConnectionLimits } from '../shared/shared-connections.ts';
import { allocateSharedCounters } from '../shared/shared-counters.ts';
import { allocateSharedFills } from '../shared/shared-fills.ts';
import { allocateSharedInvalidations } from '../shared/shared-invalidations.ts';
import { allocateSharedPulse } from '../shared/shared-pulse.ts';
import { allocateSharedSkips } from '../shared/shared-skips.ts';
import { canSharePorts } from './held-port.ts';
import type { WorkerSetup } from './messages.ts';

export type SharedMemory = Omit<
  WorkerSetup,
  'thread' | 'workers' | 'edge' | 'accessLog' | 'accessLogSample' | 'debugToken' | 'limits'
>;

export interface MemoryOptions {
  readonly workers: number;
  /** Of what is stored, for the whole node. */
  readonly cacheBytes: number;
  readonly limits: Pick<EdgeLimits, 'store'>;
  readonly connections: ConnectionLimits;
  /** Unix milliseconds. */
  readonly now: number;
}

/** Threads that serve requests. */
export const MAX_THREADS = 256;

/** What a thread keeps of the cache beside it at most, and all threads together as a share of the cache. */
const MOST_LOCAL_BYTES = 64 * 1024 * 1024;
const LOCAL_SHARE = 1 / 2;

/** Throws a RangeError for sizes that make no sense or cannot be had. The main thread is number 0. */
export function allocateMemory({ workers, cacheBytes, limits, connections, now }: MemoryOptions): SharedMemory {
  const threads = workers + 1;
  return {
    store: allocateSharedStore({ ...limits.store, maxBytes: cacheBytes }, threads, randomKey()),
    localBytes: Math.floor(Math.min(MOST_LOCAL_BYTES, (cacheBytes * LOCAL_SHARE) / workers)),
    barrier: allocateSharedBarrier(randomKey()),
    counters: allocateSharedCounters(threads),
    connections: allocateSharedConnections(connections, threads, randomKey()),
    pulse: allocateSharedPulse(threads),
    skips: allocateSharedSkips(randomKey(), now),
    fills: allocateSharedFills(threads, randomKey()),
    invalidations: allocateSharedInvalidations(randomKey()),
  };
}

function randomKey(): HashKey {
  const bytes = randomBytes(8);
  return { k0: bytes.readInt32LE(0), k1: bytes.readInt32LE(4) };
}

/** How many threads are to serve requests. Throws an Error for a number that makes no sense. */
export function workersOf(wanted: number | undefined, log: Log): number {
  const workers = wanted ?? Math.min(MAX_THREADS, availableParallelism());
  if (!Number.isInteger(workers) || workers < 1 || workers > MAX_THREADS) {
    throw new Error(`threads: expected a whole number from 1 to ${MAX_THREADS}, found ${workers}`);
  }
  if (workers === 1 || canSharePorts()) return workers;
  log.warn({ workers }, 'this system does not let threads share a port (SO_REUSEPORT): one thread serves requests');
  return 1;
}
