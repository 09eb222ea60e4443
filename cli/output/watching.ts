// What changed between two looks at a control plane: events for programs, a line each for people. Pure.
import type { AuditRecord } from '../../proto/gen/meridian/v1/access.ts';
import type { EdgeStatus, HistoryEntry, StatusResponse } from '../../proto/gen/meridian/v1/admin.ts';
import { HealthStatus, type OriginHealth, type OriginRef } from '../../proto/gen/meridian/v1/health.ts';
import { compareVersions, formatVersion } from '../../proto/version.ts';
import { changeLine } from './changes.ts';
import type { Style, Styles } from './table.ts';
import { clip, count, printable } from './text.ts';
import { healthWord } from './views.ts';

/** What a look saw. */
export interface Seen {
  readonly status: StatusResponse;
  /** Versions newer than those of the look before, as far as they are known; newest first. */
  readonly history: readonly HistoryEntry[];
  /** Likewise of purges. */
  readonly audit: readonly AuditRecord[];
}

type Health = 'up' | 'down' | 'unknown';

export type WatchEvent =
  | {
      readonly event: 'start';
      readonly version: string;
      readonly edges: number;
      readonly connected: number;
      readonly origins: number;
      readonly up: number;
    }
  | {
      readonly event: 'version';
      readonly version: string;
      readonly who: string;
      readonly what: string;
      readonly changes: readonly string[];
    }
  | { readonly event: 'trial-began'; readonly version: string; readonly edges: readonly string[] }
  | { readonly event: 'trial-ended'; readonly version: string }
  | { readonly event: 'purge'; readonly sequence: number; readonly who: string; readonly what: string }
  | { readonly event: 'purges'; readonly from: number; readonly to: number }
  | {
      readonly event: 'edge-declared' | 'edge-removed' | 'edge-connected' | 'edge-gone' | 'edge-restarted';
      readonly edge: string;
    }
  | { readonly event: 'edge-serves'; readonly edge: string; readonly version: string }
  | { readonly event: 'edge-refused'; readonly edge: string; readonly reason: string }
  | { readonly event: 'edge-purged'; readonly edge: string; readonly sequence: number; readonly behind: number }
  | {
      readonly event: 'origin-health';
      readonly origin: string;
      readonly health: Health;
      readonly former: Health;
      readonly edgesUp: number;
      readonly edgesDown: number;
    }
  | { readonly event: 'origin-drained' | 'origin-undrained'; readonly origin: string }
  | { readonly event: 'away'; readonly reason: string }
  | { readonly event: 'back' };

/** Purges between two looks that have a line each; of more it is said how many. */
const MAX_PURGES = 20;

export function startOf({ version, edges, origins }: StatusResponse): WatchEvent {
  return {
    event: 'start',
    version: formatVersion(version),
    edges: edges.length,
    connected: edges.filter(({ connected }) => connected).length,
    origins: origins.length,
    up: origins.filter(({ status }) => status === HealthStatus.UP).length,
  };
}

/** In an order in which they may have come about: what was asked for, then what became of it. */
export function changesBetween(former: StatusResponse, { status, history, audit }: Seen): WatchEvent[] {
  return [
    ...versionEvents(former, status, history),
    ...trialEvents(former, status),
    ...purgeEvents(former, status, audit),
    ...edgeEvents(former, status),
    ...originEvents(former, status),
  ];
}

function versionEvents(former: StatusResponse, next: StatusResponse, history: readonly HistoryEntry[]): WatchEvent[] {
  if (compareVersions(next.version, former.version) === 0) return [];
  const known = history
    .filter(
      ({ version }) => compareVersions(version, former.version) > 0 && compareVersions(version, next.version) <= 0,
    )
    .map(
      ({ version, who, what, changes }): WatchEvent => ({
        event: 'version',
        version: formatVersion(version),
        who,
        what,
        changes: changes.map((change) => changeLine(change)),
      }),
    )
    .toReversed();
  if (known.length > 0) return known;
  return [{ event: 'version', version: formatVersion(next.version), who: '', what: '', changes: [] }];
}

function trialEvents(former: StatusResponse, next: StatusResponse): WatchEvent[] {
  const [before, now] = [former.canary, next.canary];
  const same = before !== undefined && now !== undefined && compareVersions(before.version, now.version) === 0;
  if (same) return [];
  return [
    ...(before ? [{ event: 'trial-ended', version: formatVersion(before.version) } as const] : []),
    ...(now ? [{ event: 'trial-began', version: formatVersion(now.version), edges: now.edges } as const] : []),
  ];
}

function purgeEvents(former: StatusResponse, next: StatusResponse, audit: readonly AuditRecord[]): WatchEvent[] {
  const { epoch = 0, sequence: to = 0 } = next.purgePosition ?? {};
  // In a new epoch they are counted from 1 again.
  const from = former.purgePosition?.epoch === epoch ? former.purgePosition.sequence + 1 : 1;
  if (from > to) return [];
  if (to - from >= MAX_PURGES) return [{ event: 'purges', from, to }];
  return Array.from({ length: to - from + 1 }, (_, index): WatchEvent => {
    const sequence = from + index;
    const record = audit.find(({ purge }) => purge?.epoch === epoch && purge.sequence === sequence);
    return { event: 'purge', sequence, who: record?.actor ?? '', what: record?.detail ?? '' };
  });
}

function edgeEvents(former: StatusResponse, next: StatusResponse): WatchEvent[] {
  const before = new Map(former.edges.map((edge) => [edge.name, edge]));
  const now = new Set(next.edges.map(({ name }) => name));
  const removed = former.edges
    .filter(({ name }) => !now.has(name))
    .map(({ name }): WatchEvent => ({ event: 'edge-removed', edge: name }));
  return [...next.edges.flatMap((edge) => changesOf(edge, before.get(edge.name), next)), ...removed];
}

function changesOf(edge: EdgeStatus, former: EdgeStatus | undefined, next: StatusResponse): WatchEvent[] {
  const { name, connected, applied, refusedReason, purgePosition, statistics } = edge;
  const events: WatchEvent[] = [];
  if (!former) events.push({ event: 'edge-declared', edge: name });
  const was = former?.connected === true;
  if (connected !== was) events.push({ event: connected ? 'edge-connected' : 'edge-gone', edge: name });
  // Gone and back between two looks.
  const young = statistics && former?.statistics && statistics.uptimeS < former.statistics.uptimeS;
  if (connected && was && young) events.push({ event: 'edge-restarted', edge: name });
  if (applied && (!former?.applied || compareVersions(applied, former.applied) !== 0)) {
    events.push({ event: 'edge-serves', edge: name, version: formatVersion(applied) });
  }
  if (refusedReason !== '' && refusedReason !== former?.refusedReason) {
    events.push({ event: 'edge-refused', edge: name, reason: refusedReason });
  }
  const { epoch = 0, sequence = 0 } = purgePosition ?? {};
  const passed = former?.purgePosition?.epoch === epoch ? former.purgePosition.sequence : 0;
  if (former?.purgePosition && sequence > passed) {
    const wanted = next.purgePosition?.epoch === epoch ? next.purgePosition.sequence : sequence;
    events.push({ event: 'edge-purged', edge: name, sequence, behind: Math.max(0, wanted - sequence) });
  }
  return events;
}

const nameOf = (ref: OriginRef | undefined): string => `${ref?.pool ?? ''}/${ref?.origin ?? ''}`;

function originEvents(former: StatusResponse, next: StatusResponse): WatchEvent[] {
  const before = new Map<string, OriginHealth>(former.origins.map((one) => [nameOf(one.origin), one]));
  const events = next.origins.flatMap(({ origin, status, edgesUp, edgesDown }): WatchEvent[] => {
    const name = nameOf(origin);
    const was = before.get(name);
    const [health, word] = [healthWord(status), healthWord(was?.status ?? HealthStatus.UNSPECIFIED)];
    // How many find it up changes with every edge that comes or goes.
    if (health === word && edgesDown === (was?.edgesDown ?? 0)) return [];
    return [{ event: 'origin-health', origin: name, health, former: word, edgesUp, edgesDown }];
  });
  const [drained, now] = [new Set(former.drained.map(nameOf)), new Set(next.drained.map(nameOf))];
  const took = [...now].filter((name) => !drained.has(name));
  const gave = [...drained].filter((name) => !now.has(name));
  return [
    ...took.map((origin): WatchEvent => ({ event: 'origin-drained', origin })),
    ...gave.map((origin): WatchEvent => ({ event: 'origin-undrained', origin })),
    ...events,
  ];
}

/** Changes named in a line; the rest is counted. */
const NAMED = 4;

/** Without the time. */
export function watchLine(event: WatchEvent, styles: Styles): string {
  switch (event.event) {
    case 'start': {
      const { version, edges, connected, origins, up } = event;
      return `version ${version}; ${connected} of ${count(edges, 'edge')} connected, ${up} of ${count(origins, 'origin')} up`;
    }
    case 'version': {
      const more = event.changes.length > NAMED ? ` and ${event.changes.length - NAMED} more` : '';
      const changes = event.changes.length === 0 ? '' : `: ${event.changes.slice(0, NAMED).join(', ')}${more}`;
      const what = event.what === '' ? '' : ` (${clip(event.what, 200)}${by(event.who)})`;
      return `${styles.strong(`version ${event.version}`)}${what}${changes}`;
    }
    case 'trial-began':
      return `trial of version ${event.version} by ${clip(event.edges.join(', '), 200)}`;
    case 'trial-ended':
      return `the trial of version ${event.version} is over`;
    case 'purge': {
      const what = event.what === '' ? '' : `: ${clip(event.what, 200)}`;
      return `${styles.strong(`purge ${event.sequence}`)}${what}${by(event.who)}`;
    }
    case 'purges':
      return `${styles.strong(`purges ${event.from} to ${event.to}`)}, ${event.to - event.from + 1} of them`;
    case 'edge-serves':
      return `edge ${printable(event.edge)} serves version ${event.version}`;
    case 'edge-refused':
      return `edge ${printable(event.edge)} ${styles.bad('refused')} the version: ${clip(event.reason, 300)}`;
    case 'edge-purged': {
      const behind = event.behind === 0 ? '' : `, ${event.behind} behind`;
      return `edge ${printable(event.edge)} confirmed purge ${event.sequence}${behind}`;
    }
    case 'edge-declared':
    case 'edge-removed':
    case 'edge-connected':
    case 'edge-gone':
    case 'edge-restarted': {
      const { word, style } = EDGE_WORDS[event.event];
      const paint: Style = styles[style];
      return `edge ${printable(event.edge)} is ${paint(word)}`;
    }
    case 'origin-health': {
      const paint = { up: styles.good, down: styles.bad, unknown: styles.doubtful }[event.health];
      const was = event.health === event.former ? 'still ' : '';
      const edges = `${event.edgesUp} up, ${event.edgesDown} down by ${count(event.edgesUp + event.edgesDown, 'edge')}`;
      return `origin ${printable(event.origin)} is ${was}${paint(event.health)} (${edges})`;
    }
    case 'origin-drained':
      return `origin ${printable(event.origin)} is ${styles.doubtful('drained')}`;
    case 'origin-undrained':
      return `origin ${printable(event.origin)} is drained no more`;
    case 'away':
      return styles.bad(`the control plane is away: ${clip(event.reason, 300)}`);
    case 'back':
      return styles.good('the control plane is back');
  }
}

const EDGE_WORDS = {
  'edge-declared': { word: 'declared', style: 'strong' },
  'edge-removed': { word: 'declared no more', style: 'strong' },
  'edge-connected': { word: 'connected', style: 'good' },
  'edge-gone': { word: 'gone', style: 'bad' },
  'edge-restarted': { word: 'connected anew, restarted', style: 'doubtful' },
} as const satisfies Readonly<Record<string, { readonly word: string; readonly style: keyof Styles }>>;

function by(who: string): string {
  return who === '' ? '' : ` by ${printable(who)}`;
}
