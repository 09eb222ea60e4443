// What the main thread of an edge and its workers say to each other. Messages are few and rare: nothing that a request waits for.
// They come in the order in which they were sent. A message of another shape is a defect; whoever gets it says so and takes
// the sender for broken, since half of a protocol is worse than none.
//
//   worker                            main
//   started ─────────────────────────▶        loaded; says nothing to clients yet
//           ◀── geo, disk, prepare, commit, listen   all that it has missed
//   listening ───────────────────────▶
//           ◀───────────────── prepare n      compile, and keep beside what serves
//   prepared n, or refused n ────────▶
//           ◀────────────────── commit n      serve it
//   committed n ─────────────────────▶
//           ◀──────────────────── reopen       the access log
//           ◀───────────── close, or stop     no new connections; stop also ends
//   closed ──────────────────────────▶
//   suspect, log, failed ────────────▶        at any time
import type { GeoImage } from '../../../geo/database.ts';
import type { CertificateSet } from '../certificates.ts';
import type { DiskHandles } from '../disk/disk-memory.ts';
import type { OutdatedHandles } from '../disk/outdated-keys.ts';
import type { EdgeLimits } from '../limits.ts';
import type { SharedStoreHandles } from '../shared/handles.ts';
import type { SharedBarrierHandles } from '../shared/shared-barrier.ts';
import type { SharedConnectionsHandles } from '../shared/shared-connections.ts';
import type { SharedCountersHandles } from '../shared/shared-counters.ts';
import type { SharedFillsHandles } from '../shared/shared-fills.ts';
import type { SharedHealthHandles } from '../shared/shared-health.ts';
import type { SharedInvalidationsHandles } from '../shared/shared-invalidations.ts';
import type { SharedPulseHandles } from '../shared/shared-pulse.ts';
import type { SharedSkipsHandles } from '../shared/shared-skips.ts';

/** What a worker has from birth. */
export interface WorkerSetup {
  /** 1 ..= workers; the main thread is 0. */
  readonly thread: number;
  readonly workers: number;
  readonly edge: string;
  readonly store: SharedStoreHandles;
  /** What it keeps for itself of the store, bytes. */
  readonly localBytes: number;
  readonly barrier: SharedBarrierHandles;
  readonly counters: SharedCountersHandles;
  readonly connections: SharedConnectionsHandles;
  readonly pulse: SharedPulseHandles;
  readonly skips: SharedSkipsHandles;
  readonly fills: SharedFillsHandles;
  readonly invalidations: SharedInvalidationsHandles;
  /** A file's path, "-" for standard output, or "off". */
  readonly accessLog: string;
  /** Of the exchanges, the share that is logged, 0..1. */
  readonly accessLogSample: number;
  readonly limits: EdgeLimits;
  /** Of who may see inside; undefined: nobody. */
  readonly debugToken: string | undefined;
}

/** A snapshot on its way to all workers. */
export interface Generation {
  /** Rises with each. */
  readonly id: number;
  /** Encoded. */
  readonly snapshot: Uint8Array;
  /** Under which number each site is counted. */
  readonly sites: ReadonlyMap<string, number>;
  readonly health: SharedHealthHandles;
}

/** One port that workers share. */
export interface SharedPort {
  /** An address, not a name. */
  readonly host: string;
  readonly port: number;
  /** Workers share the port, each with a socket of its own. */
  readonly reusePort: boolean;
  /** Descriptors of listening sockets that another process has handed over, for this worker alone. */
  readonly handedOver: readonly number[];
}

export interface SecurePort extends SharedPort {
  readonly certificates: CertificateSet;
  /** The same for all workers: a session begun at one is resumed at any. */
  readonly ticketKeys: Uint8Array;
}

export type ToWorker =
  | { readonly kind: 'geo'; readonly images: readonly GeoImage[] }
  /** There will be a disk tier: until then, note what is changed. */
  | { readonly kind: 'disk-awaited'; readonly handles: OutdatedHandles }
  /** There is a disk tier from now on. */
  | { readonly kind: 'disk'; readonly handles: DiskHandles }
  | { readonly kind: 'prepare'; readonly generation: Generation }
  | { readonly kind: 'commit'; readonly id: number }
  | { readonly kind: 'listen'; readonly http: SharedPort; readonly https: SecurePort | undefined }
  /** Goes on in a new file of the access log: it was moved away. */
  | { readonly kind: 'reopen' }
  | { readonly kind: 'close' }
  | { readonly kind: 'stop'; readonly graceMs: number };

/** What a worker listens with. */
export interface OpenPort {
  readonly port: number;
  /** Of its sockets; empty where the system does not tell them. */
  readonly descriptors: readonly number[];
}

export type FromWorker =
  | { readonly kind: 'started' }
  | { readonly kind: 'prepared'; readonly id: number }
  | { readonly kind: 'refused'; readonly id: number; readonly reason: string }
  | { readonly kind: 'committed'; readonly id: number }
  | { readonly kind: 'listening'; readonly http: OpenPort; readonly https: OpenPort | undefined }
  | { readonly kind: 'closed' }
  | { readonly kind: 'suspect'; readonly pool: string; readonly origin: string }
  | {
      readonly kind: 'log';
      readonly level: 'debug' | 'info' | 'warn' | 'error';
      readonly fields: object;
      readonly message: string;
    }
  /** It cannot go on, and ends. The sentence is for people. */
  | { readonly kind: 'failed'; readonly reason: string };

type Shape = Readonly<Record<string, 'string' | 'number' | 'object'>>;

const FROM_WORKER: Readonly<Record<FromWorker['kind'], Shape>> = {
  started: {},
  prepared: { id: 'number' },
  refused: { id: 'number', reason: 'string' },
  committed: { id: 'number' },
  listening: { http: 'object' },
  closed: {},
  suspect: { pool: 'string', origin: 'string' },
  log: { level: 'string', fields: 'object', message: 'string' },
  failed: { reason: 'string' },
};

const TO_WORKER: Readonly<Record<ToWorker['kind'], Shape>> = {
  geo: { images: 'object' },
  'disk-awaited': { handles: 'object' },
  disk: { handles: 'object' },
  prepare: { generation: 'object' },
  commit: { id: 'number' },
  listen: { http: 'object' },
  reopen: {},
  close: {},
  stop: { graceMs: 'number' },
};

/** Undefined: not a message of this protocol. What is inside objects is as the sender's types have it. */
export function readFromWorker(value: unknown): FromWorker | undefined {
  return fits(value, FROM_WORKER) ? (value as FromWorker) : undefined;
}

export function readToWorker(value: unknown): ToWorker | undefined {
  return fits(value, TO_WORKER) ? (value as ToWorker) : undefined;
}

function fits(value: unknown, shapes: Readonly<Record<string, Shape>>): boolean {
  if (typeof value !== 'object' || value === null || !('kind' in value) || typeof value.kind !== 'string') return false;
  const shape = Object.hasOwn(shapes, value.kind) ? shapes[value.kind] : undefined;
  if (shape === undefined) return false;
  return Object.entries(shape).every(([name, type]) => {
    const field: unknown = Reflect.get(value, name);
    return typeof field === type && field !== null;
  });
}
