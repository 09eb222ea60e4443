// Edges and origins as tables for people and as plain objects for programs; shared by `status`, `edges` and `origins`.
import type { EdgeStatus, StatusResponse } from '../../proto/gen/meridian/v1/admin.ts';
import { HealthStatus, type OriginHealth } from '../../proto/gen/meridian/v1/health.ts';
import { comparePositions, compareVersions, formatVersion } from '../../proto/version.ts';
import { type Cell, type Styles, table } from './table.ts';

/** "up", "down" or "unknown". */
export function healthWord(status: HealthStatus): 'up' | 'down' | 'unknown' {
  if (status === HealthStatus.UP) return 'up';
  return status === HealthStatus.DOWN ? 'down' : 'unknown';
}

export function healthCell(status: HealthStatus, styles: Styles): Cell {
  const word = healthWord(status);
  return { text: word, style: word === 'up' ? styles.good : word === 'down' ? styles.bad : styles.doubtful };
}

export interface EdgeState {
  readonly word: 'current' | 'behind' | 'refused' | 'gone';
  readonly detail: string;
}

/** How an edge stands to what the control plane wants. */
export function edgeState(edge: EdgeStatus, status: StatusResponse): EdgeState {
  if (!edge.connected) {
    const seen = edge.lastSeenMsAgo > 0 ? `last seen ${ago(edge.lastSeenMsAgo)}` : 'never seen by this control plane';
    return { word: 'gone', detail: seen };
  }
  if (edge.refusedReason !== '') return { word: 'refused', detail: edge.refusedReason };
  const late: string[] = [];
  const { canary } = status;
  const wanted = canary && !canary.edges.includes(edge.name) ? canary.former : status.version;
  if (compareVersions(edge.applied, wanted) < 0) late.push('configuration');
  if (comparePositions(edge.purgePosition, status.purgePosition) < 0) late.push('purges');
  if (late.length > 0) return { word: 'behind', detail: `has not confirmed: ${late.join(', ')}` };
  return { word: 'current', detail: '' };
}

export function edgeTable(status: StatusResponse, styles: Styles): string {
  const paint = { current: styles.good, behind: styles.doubtful, refused: styles.bad, gone: styles.bad };
  return table(
    ['EDGE', 'STATE', 'VERSION', 'PURGES', 'REQUESTS', 'HITS', 'OBJECTS', 'CACHE', 'UP', 'DETAIL'],
    status.edges.map((edge) => {
      const { word, detail } = edgeState(edge, status);
      const counters = edge.statistics;
      return [
        edge.name,
        { text: word, style: paint[word] },
        formatVersion(edge.applied),
        right(edge.purgePosition ? String(edge.purgePosition.sequence) : '-'),
        right(String(counters?.requests ?? '-')),
        right(counters ? ratio(counters.hits, counters.requests) : '-'),
        right(String(counters?.cacheObjects ?? '-')),
        right(counters ? bytes(counters.cacheBytes) : '-'),
        right(counters && edge.connected ? span(counters.uptimeS * 1000) : '-'),
        detail,
      ];
    }),
  );
}

export function originTable(origins: readonly OriginHealth[], styles: Styles): string {
  return table(
    ['POOL', 'ORIGIN', 'HEALTH', 'EDGES UP', 'EDGES DOWN'],
    origins.map(({ origin, status, edgesUp, edgesDown }) => [
      origin?.pool ?? '',
      origin?.origin ?? '',
      healthCell(status, styles),
      right(String(edgesUp)),
      right(String(edgesDown)),
    ]),
  );
}

export function plainEdge(edge: EdgeStatus, status: StatusResponse): object {
  return {
    name: edge.name,
    state: edgeState(edge, status).word,
    connected: edge.connected,
    version: edge.applied ? formatVersion(edge.applied) : null,
    refusedReason: edge.refusedReason === '' ? null : edge.refusedReason,
    purgePosition: edge.purgePosition ?? null,
    statistics: edge.statistics ?? null,
    lastSeenMsAgo: edge.lastSeenMsAgo,
    elsewhere: edge.elsewhere,
  };
}

export function plainOrigin({ origin, status, edgesUp, edgesDown }: OriginHealth): object {
  return { pool: origin?.pool ?? '', origin: origin?.origin ?? '', health: healthWord(status), edgesUp, edgesDown };
}

function right(text: string): Cell {
  return { text, align: 'right' };
}

function ratio(part: number, whole: number): string {
  return whole === 0 ? '-' : `${Math.floor((100 * part) / whole)}%`;
}

/** `1.5 MiB`. */
export function bytes(amount: number): string {
  let value = amount;
  let unit = 'B';
  for (const next of ['KiB', 'MiB', 'GiB', 'TiB']) {
    if (value < 1024) break;
    value /= 1024;
    unit = next;
  }
  return `${unit === 'B' || value >= 100 ? Math.round(value) : value.toFixed(1)} ${unit}`;
}

/** `3m`, from milliseconds: whole seconds, minutes, hours or days. */
export function span(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)}h` : `${Math.floor(seconds / 86_400)}d`;
}

function ago(ms: number): string {
  return `${span(ms)} ago`;
}
