// The limits of an edge that its operator may set, each under a name: what it bounds, what tells that it was met, and where it goes.
// Those that have an option of their own (--cache-bytes, --max-connections, ...) are not among them.
import { DEFAULT_FILL_LIMITS, type FillLimits } from '../decide/cache/fills.ts';
import { DEFAULT_DISK_LIMITS, type DiskLimits } from './disk/disk-memory.ts';
import { DEFAULT_HTTP1_LIMITS, type Http1Limits } from './http1/shared.ts';
import { DEFAULT_HTTP2_LIMITS, type Http2Limits } from './http2/shared.ts';
import { DEFAULT_ORIGIN_LIMITS, type OriginLimits } from './origin/shared.ts';
import { DEFAULT_STORE_LIMITS, type StoreLimits } from './store-limits.ts';
import { DEFAULT_TLS_LIMITS, type TlsLimits } from './tls-listener.ts';

/** What differs from the defaults. */
export interface EdgeLimits {
  readonly store: Partial<Omit<StoreLimits, 'maxBytes'>>;
  readonly disk: Partial<Omit<DiskLimits, 'maxBytes' | 'segmentBytes'>>;
  readonly fills: Partial<FillLimits>;
  readonly origin: Partial<OriginLimits>;
  readonly http1: Partial<Omit<Http1Limits, 'connections'>>;
  readonly http2: Partial<Http2Limits>;
  readonly tls: Partial<Omit<TlsLimits, 'connections'>>;
}

export const NO_LIMITS: EdgeLimits = { store: {}, disk: {}, fills: {}, origin: {}, http1: {}, http2: {}, tls: {} };

/** Bytes, milliseconds, or a number of things. */
export type LimitUnit = 'bytes' | 'ms' | 'count';

export interface Limit {
  readonly unit: LimitUnit;
  /** Undefined: it follows from the size of the cache. */
  readonly default: number | undefined;
  readonly min: number;
  readonly max: number;
  /** What it bounds, and what happens at it. */
  readonly doc: string;
  /** The metric that counts that it was met, or how else it shows. */
  readonly told: string;
  readonly targets: readonly Target[];
}

type Target = { readonly [G in keyof EdgeLimits]: readonly [G, keyof EdgeLimits[G]] }[keyof EdgeLimits];

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;
const HOUR = 3_600_000;
const FAILED = '`meridian_failures_total`';
const BROKEN = '`meridian_broken_answers_total`';
const CLOSED = 'connections that are closed';
const REFUSED = '`meridian_listener_refused_total`';
const NOT_STORED = '`meridian_cache_refused_total`';

function limit(
  name: string,
  unit: LimitUnit,
  standard: number | undefined,
  [min, max]: readonly [number, number],
  targets: readonly Target[],
  doc: string,
  told: string,
): readonly [string, Limit] {
  return [name, { unit, default: standard, min, max, targets, doc, told }];
}

/** By name. */
export const LIMITS: ReadonlyMap<string, Limit> = new Map([
  limit(
    'cache.objects',
    'count',
    undefined,
    [1, 2 ** 25],
    [['store', 'maxObjects']],
    'Answers in memory; the least used go. Default: one for each 512 bytes of --cache-bytes.',
    '`meridian_cache_evictions_total`',
  ),
  limit(
    'cache.object-bytes',
    'bytes',
    DEFAULT_STORE_LIMITS.maxObjectBytes,
    [1, GIB],
    [['store', 'maxObjectBytes']],
    'Body of one answer in memory; a larger one is not stored there.',
    NOT_STORED,
  ),
  limit(
    'cache.variants',
    'count',
    DEFAULT_STORE_LIMITS.maxVariants,
    [1, 1_000],
    [['store', 'maxVariants']],
    'Answers in memory for one URL that differ by Vary; the least used goes.',
    '`meridian_cache_variant_evictions_total`',
  ),
  limit(
    'cache.pending-bytes',
    'bytes',
    DEFAULT_STORE_LIMITS.maxPendingBytes,
    [1, 64 * GIB],
    [['store', 'maxPendingBytes']],
    'Bodies being gathered to be stored, in all threads; one more is passed on and not stored.',
    NOT_STORED,
  ),
  limit(
    'disk.objects',
    'count',
    undefined,
    [1, 2 ** 25],
    [['disk', 'maxObjects']],
    'Answers on disk; the least used go. Default: one for each 8 KiB of --cache-disk-bytes.',
    '`meridian_disk_cache_evictions_total`',
  ),
  limit(
    'disk.variants',
    'count',
    DEFAULT_DISK_LIMITS.maxVariants,
    [1, 1_000],
    [['disk', 'maxVariants']],
    'Answers on disk for one URL that differ by Vary; the oldest goes.',
    '`meridian_disk_cache_variant_evictions_total`',
  ),
  limit(
    'disk.queue-bytes',
    'bytes',
    DEFAULT_DISK_LIMITS.maxQueueBytes,
    [MIB, 64 * GIB],
    [['disk', 'maxQueueBytes']],
    'What one thread has yet to write; what comes then is not stored on disk.',
    '`meridian_disk_cache_dropped_total`',
  ),
  limit(
    'fill.waiters',
    'count',
    DEFAULT_FILL_LIMITS.waiters,
    [0, 10_000_000],
    [['fills', 'waiters']],
    'Requests in one thread that wait for the answer to another; one more asks an origin itself.',
    '`meridian_fill_waiters_refused_total`',
  ),
  limit(
    'fill.wait',
    'ms',
    DEFAULT_FILL_LIMITS.waitMs,
    [1, HOUR],
    [['fills', 'waitMs']],
    'How long one waits in all; then it asks an origin itself.',
    '`meridian_fills_useless_total`',
  ),
  limit(
    'fill.per-key',
    'count',
    DEFAULT_FILL_LIMITS.perKey,
    [1, 1_000],
    [['fills', 'perKey']],
    'Fills of one URL that others may wait for, of different variants; for one more each asks itself.',
    'requests at the origin',
  ),
  limit(
    'origin.connections',
    'count',
    DEFAULT_ORIGIN_LIMITS.connections,
    [1, 100_000],
    [['origin', 'connections']],
    'Connections to one origin; further requests wait for one.',
    'requests that wait',
  ),
  limit(
    'origin.waiting',
    'count',
    DEFAULT_ORIGIN_LIMITS.waiting,
    [0, 1_000_000],
    [['origin', 'waiting']],
    'Requests that wait for a connection to one origin; one more goes to another, or is answered with 503.',
    FAILED,
  ),
  limit(
    'origin.idle',
    'count',
    DEFAULT_ORIGIN_LIMITS.idle,
    [0, 100_000],
    [['origin', 'idle']],
    'Idle connections to one origin that are kept.',
    CLOSED,
  ),
  limit(
    'origin.idle-time',
    'ms',
    DEFAULT_ORIGIN_LIMITS.idleMs,
    [1, HOUR],
    [['origin', 'idleMs']],
    'How long they are kept: for less time than the origin keeps them.',
    CLOSED,
  ),
  limit(
    'origin.tunnels',
    'count',
    DEFAULT_ORIGIN_LIMITS.tunnels,
    [0, 1_000_000],
    [['origin', 'tunnels']],
    'WebSocket connections to one origin; one more is answered with 503.',
    FAILED,
  ),
  limit(
    'origin.tunnel-time',
    'ms',
    DEFAULT_ORIGIN_LIMITS.tunnelMs,
    [1_000, 24 * HOUR],
    [['origin', 'tunnelMs']],
    'How long such a connection may carry nothing; then it is closed.',
    CLOSED,
  ),
  limit(
    'origin.head-bytes',
    'bytes',
    DEFAULT_ORIGIN_LIMITS.headBytes,
    [KIB, MIB],
    [['origin', 'headBytes']],
    "Head of an origin's answer; for a larger one the client gets 502.",
    FAILED,
  ),
  limit(
    'origin.fields',
    'count',
    DEFAULT_ORIGIN_LIMITS.fieldCount,
    [16, 10_000],
    [['origin', 'fieldCount']],
    'Field lines of it; for more the client gets 502.',
    FAILED,
  ),
  limit(
    'client.head-bytes',
    'bytes',
    DEFAULT_HTTP1_LIMITS.headBytes,
    [16 * KIB, MIB],
    [
      ['http1', 'headBytes'],
      ['http2', 'headBytes'],
    ],
    'Head of a request; a larger one is answered with 431.',
    REFUSED,
  ),
  limit(
    'client.fields',
    'count',
    DEFAULT_HTTP1_LIMITS.fieldCount,
    [16, 10_000],
    [
      ['http1', 'fieldCount'],
      ['http2', 'fieldCount'],
    ],
    'Field lines of it; more are answered with 431.',
    REFUSED,
  ),
  limit(
    'client.head-time',
    'ms',
    DEFAULT_HTTP1_LIMITS.headMs,
    [100, HOUR],
    [['http1', 'headMs']],
    'From the first byte of a request to the end of its head; then 408.',
    REFUSED,
  ),
  limit(
    'client.handshake-time',
    'ms',
    DEFAULT_TLS_LIMITS.handshakeMs,
    [100, HOUR],
    [['tls', 'handshakeMs']],
    'For a TLS handshake; then the connection is closed.',
    REFUSED,
  ),
  limit(
    'client.body-time',
    'ms',
    DEFAULT_HTTP1_LIMITS.bodyMs,
    [100, HOUR],
    [
      ['http1', 'bodyMs'],
      ['http2', 'bodyMs'],
    ],
    "How long a request's body may stand still; then the request is broken off.",
    BROKEN,
  ),
  limit(
    'client.idle-time',
    'ms',
    DEFAULT_HTTP1_LIMITS.idleMs,
    [100, HOUR],
    [
      ['http1', 'idleMs'],
      ['http2', 'idleMs'],
    ],
    'How long a connection may have no request; then it is closed.',
    CLOSED,
  ),
  limit(
    'client.write-time',
    'ms',
    DEFAULT_HTTP1_LIMITS.writeMs,
    [100, HOUR],
    [
      ['http1', 'writeMs'],
      ['http2', 'writeMs'],
    ],
    'How long a client may take nothing of its answer; then the connection is closed.',
    BROKEN,
  ),
  limit(
    'client.streams',
    'count',
    DEFAULT_HTTP2_LIMITS.streams,
    [1, 10_000],
    [['http2', 'streams']],
    'Requests at once on one HTTP/2 connection; one more is refused (REFUSED_STREAM).',
    REFUSED,
  ),
]);

/** `values`: by name, within their ranges. Throws a RangeError for a name or a value that there is not. */
export function edgeLimits(values: ReadonlyMap<string, number>): EdgeLimits {
  const limits = { store: {}, disk: {}, fills: {}, origin: {}, http1: {}, http2: {}, tls: {} } satisfies EdgeLimits;
  const groups: Readonly<Record<keyof EdgeLimits, Record<string, number>>> = limits;
  for (const [name, value] of values) {
    const known = LIMITS.get(name);
    if (known === undefined) throw new RangeError(`there is no limit "${name}"`);
    if (!Number.isSafeInteger(value) || value < known.min || value > known.max) {
      throw new RangeError(`limit ${name}: expected a whole number from ${known.min} to ${known.max}, found ${value}`);
    }
    for (const [group, member] of known.targets) groups[group][member] = value;
  }
  return limits;
}
