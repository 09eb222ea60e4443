// Decides which edge each client asks, from what the edges say of its addresses (`explain`); and judges, from one answer for
// each client, whether an edge believes what X-Forwarded-For says. Pure.
import { formatAddress, parseAddress } from '../../geo/address.ts';
import { distanceKm } from '../../geo/distance.ts';
import type { Location } from '../../geo/location.ts';
import type { Explanation } from '../../proto/gen/meridian/v1/explain.ts';
import { clip, printable } from '../output/text.ts';
import type { Reading } from './answer.ts';
import type { Client, EdgeUrl } from './scenario.ts';

export interface Placement {
  readonly client: Client;
  readonly edge: EdgeUrl;
  /** ISO code; empty where it is not known. */
  readonly country: string;
  /** Where the edge takes the client to be. */
  readonly location: Location | undefined;
  readonly distanceToEdgeKm: number;
  /** Kilometres from the client, by origin. */
  readonly origins: ReadonlyMap<string, number>;
  /** The origin that the edge would ask now. */
  readonly expected: string | undefined;
  /** Why the client may not be where its name says. */
  readonly doubts: readonly string[];
}

export type Placing =
  | { readonly kind: 'placed'; readonly placement: Placement }
  /** A sentence. */
  | { readonly kind: 'impossible'; readonly reason: string };

/** Addresses of one city are not further apart. */
const CITY_KM = 300;

/**
 * `explained`: for each address what the edges say, the nearest edge first. `edges`: those that can be reached by a URL.
 * The first address decides; what else there is, is asked from the same edge.
 */
export function place(
  client: Client,
  explained: readonly (readonly Explanation[])[],
  edges: readonly EdgeUrl[],
): Placing {
  const name = printable(client.name);
  const [first = []] = explained;
  const wanted = client.edge;
  const chosen = first.find((one) => edges.some((edge) => edge.name === one.edge) && (wanted ?? one.edge) === one.edge);
  const edge = edges.find((candidate) => candidate.name === chosen?.edge);
  if (!chosen || !edge) return { kind: 'impossible', reason: `${name}: ${noEdge(wanted, first, edges)}` };
  if (chosen.refusalCode !== '') {
    const detail = clip(chosen.refusalDetail, 200);
    return {
      kind: 'impossible',
      reason: `${name}: ${edge.name} would refuse (${clip(chosen.refusalCode)}): ${detail}`,
    };
  }
  const ranking = chosen.ranking.map(({ origin, distanceKm: km }) => [printable(origin), km] as const);
  const expected = chosen.ranking.find((origin) => origin.chosen)?.origin;
  return {
    kind: 'placed',
    placement: {
      client,
      edge,
      country: chosen.client?.country ?? '',
      location: chosen.client?.location,
      distanceToEdgeKm: chosen.client?.distanceToEdgeKm ?? 0,
      origins: new Map(ranking),
      expected: expected === undefined ? undefined : printable(expected),
      doubts: doubtsOf(client, explained),
    },
  };
}

function noEdge(wanted: string | undefined, explained: readonly Explanation[], edges: readonly EdgeUrl[]): string {
  const connected = explained.map(({ edge }) => edge).join(', ') || 'none';
  const known = edges.map(({ name }) => name).join(', ') || 'none';
  const which =
    wanted === undefined ? 'no edge is both connected and known by a URL' : `the edge "${clip(wanted)}" is not`;
  const need = wanted === undefined ? '' : ' both connected and known by a URL';
  return `${which}${need}; connected: ${printable(connected)}; by "edges" of the scenario: ${printable(known)}`;
}

function doubtsOf({ name, addresses }: Client, explained: readonly (readonly Explanation[])[]): string[] {
  const doubts: string[] = [];
  const [first] = explained[0] ?? [];
  for (const [index, [one]] of explained.entries()) {
    const { source, location, city } = one?.client ?? {};
    const at = `${printable(name)}: ${addresses[index]}`;
    const home = first?.client?.location;
    if (source !== 'database') {
      doubts.push(`${at} is not located (${clip(source ?? 'unknown')}): the edge takes it to be where itself is`);
    } else if (home && location && distanceKm(home, location) > CITY_KM) {
      const km = Math.round(distanceKm(home, location));
      doubts.push(`${at} is located in ${clip(city ?? '')}, ${km} km from ${addresses[0]}`);
    }
  }
  return doubts;
}

export interface Checked {
  readonly placement: Placement;
  /** What one request that went to an origin gave. */
  readonly reading: Reading;
}

export type Belief =
  /** It says so, or chose another origin than for itself. */
  | { readonly kind: 'believed' }
  /** Where the clients are makes no difference at this edge: all of them, and it itself, have the same nearest origin. */
  | { readonly kind: 'no-difference' }
  /** Answers do not say which origin they are from. */
  | { readonly kind: 'unknown' }
  | { readonly kind: 'refused'; readonly evidence: string }
  /** Another edge answers at its URL. */
  | { readonly kind: 'elsewhere'; readonly evidence: string }
  /** It asked another origin than it had said, though it believes who the clients are, or for an origin that is not its own. */
  | { readonly kind: 'surprised'; readonly evidence: string };

/**
 * Whether an edge takes clients to be who X-Forwarded-For says. `own`: the origin that it chooses for one who is where the
 * edge is, as it takes everyone to be whom it does not believe.
 */
export function judge(checks: readonly Checked[], own: string | undefined): Belief {
  let [isBelieved, isCompared] = [false, false];
  let surprise: string | undefined;
  let asItself: string | undefined;
  for (const { placement, reading } of checks) {
    const { client, edge, expected } = placement;
    const who = `a client in ${printable(client.name)} (${client.addresses[0]})`;
    if (reading.edge !== undefined && reading.edge !== edge.name) {
      return { kind: 'elsewhere', evidence: `${printable(edge.url)} is where ${reading.edge} answers` };
    }
    if (reading.client !== undefined) {
      if (canonical(reading.client) !== canonical(client.addresses[0] ?? '')) {
        return { kind: 'refused', evidence: `it took ${who} to be at ${clip(reading.client)}` };
      }
      isBelieved = true;
      continue;
    }
    if (reading.origin === undefined || expected === undefined) continue;
    isCompared = true;
    if (reading.origin === expected) {
      isBelieved ||= expected !== own;
      continue;
    }
    surprise ??= `it sent ${who} to ${reading.origin} rather than ${expected}`;
    if (reading.origin === own)
      asItself ??= `it sent ${who} to ${own} rather than ${expected}, as if the client were at the edge`;
  }
  if (asItself !== undefined && !isBelieved) return { kind: 'refused', evidence: asItself };
  if (surprise !== undefined) return { kind: 'surprised', evidence: surprise };
  if (isBelieved) return { kind: 'believed' };
  return { kind: isCompared ? 'no-difference' : 'unknown' };
}

/** IPv6 addresses have several forms. */
function canonical(text: string): string {
  const address = parseAddress(text);
  return address ? formatAddress(address) : text;
}
