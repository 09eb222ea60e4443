// What replicas tell each other: which edges hang on each, and how far each of these has come. A replica writes three keys,
// under a lease, and nobody else writes them, so that they need no comparison; they vanish when it does.
//
//   /meridian-live/REPLICA/roster   {"roster": N, "edges": [NAME..]}; written when edges come and go
//   /meridian-live/REPLICA/marks    {"roster": N, "most": MARK, "others": [[INDEX, MARK]..]}; written when edges ACK or refuse
//   /meridian-live/REPLICA/health   {"edges": N, "origins": {"POOL/ORIGIN": [UP, DOWN]..}}; written when edges change their mind
//
// Marks name edges by their place in the roster of the same number, and most edges stand where most edges stand, so that the
// ACKs of a thousand edges are a few hundred bytes.
import { comparePositions, compareVersions } from '../../proto/version.ts';
import type { Standing } from './acks.ts';

/** Apart from what is kept: nothing of it matters to a replica that starts, and none of it is in a snapshot. */
export const LIVE_PREFIX = '/meridian-live/';

export type LivePart = 'roster' | 'marks' | 'health';

export const liveKey = (replica: string, part: LivePart): string => `${LIVE_PREFIX}${replica}/${part}`;

export function parseLiveKey(key: string): { readonly replica: string; readonly part: LivePart } | undefined {
  const [replica, part, more] = key.slice(LIVE_PREFIX.length).split('/');
  if (!key.startsWith(LIVE_PREFIX) || !replica || more !== undefined) return undefined;
  return part === 'roster' || part === 'marks' || part === 'health' ? { replica, part } : undefined;
}

type Pair = readonly [number, number];

/** What an edge has applied, as it is written: version, place in the purge log, and what it refused and why. */
interface Mark {
  readonly applied?: Pair;
  readonly position?: Pair;
  readonly refused?: readonly [number, number, string];
}

/** Of a refusal's reason, characters that other replicas are told. */
const REASON_CHARACTERS = 200;

export interface Roster {
  readonly roster: number;
  readonly edges: readonly string[];
}

export const encodeRoster = (roster: Roster): string => JSON.stringify(roster);

/** `standing`: of each edge of the roster, in its order. */
export function encodeMarks(roster: number, standings: readonly (Standing | undefined)[]): string {
  let before: Standing | undefined;
  let last = '{}';
  const texts = standings.map((standing) => {
    // Most stand where the one before does, and this is done for each burst of ACKs of a thousand edges.
    if (!sameMark(standing, before)) last = JSON.stringify(markOf(standing));
    before = standing;
    return last;
  });
  const counts = new Map<string, number>();
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1);
  let most = '{}';
  for (const [text, count] of counts) if (count > (counts.get(most) ?? 0)) most = text;
  const others = texts.flatMap((text, index) => (text === most ? [] : [`[${index},${text}]`]));
  return `{"roster":${roster},"most":${most},"others":[${others.join()}]}`;
}

function sameMark(a: Standing | undefined, b: Standing | undefined): boolean {
  if (!a || !b || a.refused || b.refused) return a === b;
  return compareVersions(a.applied, b.applied) === 0 && comparePositions(a.position, b.position) === 0;
}

function markOf(standing: Standing | undefined): Mark {
  if (!standing) return {};
  const { applied, position, refused } = standing;
  return {
    ...(applied && { applied: [applied.epoch, applied.revision] as const }),
    ...(position && { position: [position.epoch, position.sequence] as const }),
    ...(refused && {
      refused: [refused.version.epoch, refused.version.revision, refused.reason.slice(0, REASON_CHARACTERS)] as const,
    }),
  };
}

/** Undefined for what no replica of this release wrote. */
export function decodeRoster(text: string): Roster | undefined {
  const json = parse(text);
  const edges = json?.edges;
  if (!Number.isSafeInteger(json?.roster) || !Array.isArray(edges)) return undefined;
  return edges.every((edge) => typeof edge === 'string') ? { roster: Number(json?.roster), edges } : undefined;
}

/** By edge. Undefined for marks of another roster, and for what no replica of this release wrote. */
export function decodeMarks(roster: Roster, text: string): Map<string, Standing> | undefined {
  const json = parse(text);
  if (json?.roster !== roster.roster || !Array.isArray(json.others)) return undefined;
  const most = standingOf(json.most);
  const standings = new Map<string, Standing>();
  for (const edge of roster.edges) standings.set(edge, most);
  for (const other of json.others) {
    if (!Array.isArray(other)) return undefined;
    const edge = roster.edges[Number(other[0])];
    if (edge !== undefined) standings.set(edge, standingOf(other[1]));
  }
  return standings;
}

function standingOf(mark: unknown): Standing {
  const { applied, position, refused } = isObject(mark) ? mark : {};
  const version = pair(applied);
  const place = pair(position);
  const no = pair(refused);
  return {
    connected: true,
    applied: version && { epoch: version[0], revision: version[1] },
    position: place && { epoch: place[0], sequence: place[1] },
    refused: no && {
      version: { epoch: no[0], revision: no[1] },
      reason: Array.isArray(refused) ? String(refused[2]) : '',
    },
  };
}

export function pair(value: unknown): Pair | undefined {
  if (!Array.isArray(value) || !Number.isSafeInteger(value[0]) || !Number.isSafeInteger(value[1])) return undefined;
  return [Number(value[0]), Number(value[1])];
}

/** Undefined for what is not a JSON object. */
export function parse(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const json: unknown = JSON.parse(text);
    return isObject(json) ? json : undefined;
  } catch {
    return undefined;
  }
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

/** What the edges of one replica measured, summed. */
export interface Tally {
  /** Edges with a report that is alive. */
  readonly edges: number;
  /** By `POOL/ORIGIN`: edges that measured it up, and down. One that is missing is up on all `edges`. */
  readonly origins: ReadonlyMap<string, Pair>;
}

/** Origins in one tally; what is beyond is left out, as if all were up. */
const TALLIED = 10_000;

export function encodeTally({ edges, origins }: Tally): string {
  return JSON.stringify({ edges, origins: Object.fromEntries([...origins].slice(0, TALLIED)) });
}

export function decodeTally(text: string): Tally | undefined {
  const json = parse(text);
  if (!Number.isSafeInteger(json?.edges) || !isObject(json?.origins)) return undefined;
  const origins = new Map<string, Pair>();
  for (const [name, value] of Object.entries(json.origins)) {
    const counts = pair(value);
    if (counts) origins.set(name, counts);
  }
  return { edges: Number(json.edges), origins };
}

/**
 * Whether edge streams should move to other replicas, and how many now. `mine`, `others`: edges on this replica and on each
 * other. Slowly: a hundredth at a time, and only when this one has a fifth more than its share.
 */
export function decideMoves(mine: number, others: readonly number[]): number {
  if (others.length === 0) return 0;
  const share = (mine + others.reduce((sum, count) => sum + count, 0)) / (others.length + 1);
  return mine > share * 1.2 + 1 ? Math.ceil(mine / 100) : 0;
}
