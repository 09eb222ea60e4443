// What is measured: one row for each way in which clients use an edge. Pure data.

export interface Answer {
  readonly status: number;
  /** Bytes of its body. */
  readonly bytes: number;
}

export interface Row {
  readonly id: string;
  readonly title: string;
  /**
   * `wrk`: as many requests as it takes, over HTTP/1.1. `zipf`: the same over many paths. `h2`: over HTTP/2. `handshakes`: a
   * new TLS connection for each request. `idle`: connections that do nothing.
   */
  readonly load: 'wrk' | 'zipf' | 'h2' | 'handshakes' | 'idle';
  /**
   * What is compared. Per second of CPU time where the generator of load and the origin, which share a core, do more
   * work than the server: its rate would say nothing about it.
   */
  readonly unit: 'requests/s' | 'connections/CPU s' | 'MiB/CPU s' | 'KiB/connection';
  readonly tls: boolean;
  /** The cache must answer, the origin must not see a request. Otherwise the origin must see every one. */
  readonly cached: boolean;
  readonly accessLog: boolean;
  /** For `zipf` and `idle`: how many objects, how many connections. */
  readonly size: number;
  readonly connections: number;
  readonly path: string;
  readonly fields: Readonly<Record<string, string>>;
  readonly answer: Answer;
}

const KIB = 1024;
const MIB = 1024 * KIB;

/** `small`: the same rows at a size at which they take next to no time. */
export function allRows(small: boolean): readonly Row[] {
  const large = (small ? 4 : 100) * MIB;
  const objects = small ? 1_000 : 100_000;
  const idle = small ? 200 : 10_000;
  const thousands = objects.toLocaleString('en');
  return [
    hit('hit-1k', 'Hit, 1 KiB', KIB, {}),
    hit('hit-64k', 'Hit, 64 KiB', 64 * KIB, {}),
    hit('hit-1m', 'Hit, 1 MiB', MIB, { connections: 32 }),
    hit('hit-1k-log', 'Hit, 1 KiB, access log on', KIB, { accessLog: true }),
    hit('hit-304', 'Hit, 304 to If-None-Match', KIB, {
      fields: { 'if-none-match': etagOf(cacheable(KIB)) },
      answer: { status: 304, bytes: 0 },
    }),
    hit('hit-range', 'Hit, 206, 1 KiB of 1 MiB', MIB, {
      fields: { range: `bytes=${RANGE_START}-${RANGE_START + KIB - 1}` },
      answer: { status: 206, bytes: KIB },
    }),
    hit('zipf', `Hit, 1 KiB, Zipf over ${thousands} objects`, KIB, { load: 'zipf', size: objects }),
    hit('tls-hit-1k', 'Hit, 1 KiB, TLS, HTTP/1.1', KIB, { tls: true }),
    hit('h2-hit-1k', 'Hit, 1 KiB, TLS, HTTP/2', KIB, { tls: true, load: 'h2', connections: 16 }),
    hit('tls-new', 'New TLS connections, each with a hit of 1 KiB', KIB, {
      tls: true,
      load: 'handshakes',
      connections: 100,
      unit: 'connections/CPU s',
    }),
    forwarded('miss-1k', 'Forwarded, 1 KiB', KIB, { connections: 64 }),
    forwarded('large', `Forwarded, ${large / MIB} MiB`, large, { connections: 4, unit: 'MiB/CPU s' }),
    hit('idle', `Memory of ${idle.toLocaleString('en')} idle connections`, KIB, {
      load: 'idle',
      size: idle,
      unit: 'KiB/connection',
      cached: false,
    }),
  ];
}

function hit(id: string, title: string, bytes: number, more: Partial<Row>): Row {
  return {
    id,
    title,
    load: 'wrk',
    unit: 'requests/s',
    tls: false,
    cached: true,
    accessLog: false,
    size: 1,
    connections: 64,
    path: cacheable(bytes),
    fields: {},
    answer: { status: 200, bytes },
    ...more,
  };
}

function forwarded(id: string, title: string, bytes: number, more: Partial<Row>): Row {
  return { ...hit(id, title, bytes, {}), cached: false, path: `/forward/${bytes}`, ...more };
}

/** Where the part begins that the range row asks for; also where the whole body must agree with it. */
export const RANGE_START = 1_000;

/** What the origin lets caches keep: a body of `bytes`, different for each `id`. */
export function cacheable(bytes: number, id = 0): string {
  return `/keep/${bytes}/${id}`;
}

export function etagOf(path: string): string {
  return `"${path.slice(1).replaceAll('/', '-')}"`;
}

/** Whether less is better. */
export function isCost(unit: Row['unit']): boolean {
  return unit === 'KiB/connection';
}
