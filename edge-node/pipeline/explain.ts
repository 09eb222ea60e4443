// Where a GET for a URL would go, and why: the decisions of the steps, asked in the same order, with nothing done.

import { distanceKm } from '../../geo/distance.ts';
import type { Place } from '../../geo/location.ts';
import { measure } from '../../geo/rank.ts';
import { canonicalUrl } from '../../proto/canonical-url.ts';
import type { ClientPlace, Explanation, RankedOrigin } from '../../proto/gen/meridian/v1/explain.ts';
import { HealthStatus } from '../../proto/gen/meridian/v1/health.ts';
import { type CompiledOrigin, type CompiledSnapshot, findRoute, findSite } from '../decide/compile.ts';
import type { FailureCode } from '../decide/errors.ts';
import type { Ports } from '../ports.ts';
import { type Asked, askedKey, explainStored, type OnDisk, type StoredWorld } from './explain-stored.ts';

type Question = { readonly url: string; readonly ip: string };
type World = Pick<Ports, 'edge' | 'clock' | 'serving' | 'locate' | 'health'> & StoredWorld;

const NO_DISK: OnDisk = { state: 'none', entries: [] };

/** As {@link explain}, once it is known what is on disk: `peek` looks there for a key. */
export async function explainAll(
  question: Question,
  world: World,
  peek: (key: string) => Promise<OnDisk> | undefined,
): Promise<Explanation> {
  const asked = keyOf(question, world);
  return explain(question, world, asked === undefined ? NO_DISK : await peek(asked));
}

function keyOf({ url: text }: Question, world: World): string | undefined {
  const url = canonicalUrl(text);
  const serving = world.serving();
  const site = url.kind === 'url' && serving ? findSite(serving.snapshot, url.host) : undefined;
  const route = url.kind === 'url' && site ? findRoute(site, pathOf(url.target)) : undefined;
  return url.kind === 'url' && route ? askedKey(askedOf(text, url), route) : undefined;
}

function askedOf(text: string, url: Omit<Asked, 'scheme'>): Asked {
  return { ...url, scheme: /^https:/i.test(text) ? 'https' : 'http' };
}

function pathOf(target: string): string {
  const mark = target.indexOf('?');
  return mark === -1 ? target : target.slice(0, mark);
}

/** A plain GET without header fields of its own is assumed. `disk`: what is there under the key of that. */
export function explain(question: Question, world: World, disk: OnDisk = NO_DISK): Explanation {
  const base = emptyExplanation(world.edge);
  const serving = world.serving();
  if (!serving) return refused(base, 'no-configuration', 'this edge has never applied a configuration');
  const { snapshot } = serving;
  base.version = snapshot.version;
  const place = world.locate(question.ip);
  base.client = clientPlace(question.ip, place, snapshot);
  const url = canonicalUrl(question.url);
  if (url.kind === 'malformed') return refused(base, 'malformed-target', url.detail);
  const site = findSite(snapshot, url.host);
  if (!site) return refused(base, 'unknown-host', `no site has the hostname ${url.host}`);
  base.site = site.name;
  const route = findRoute(site, pathOf(url.target));
  if (!route) return refused(base, 'no-route', `no route of site ${site.name} covers ${url.target}`);
  base.route = route.pathPrefix;
  base.pool = route.pool.name;
  base.cache = explainStored(askedOf(question.url, url), route, world, disk);
  base.ranking = explainRanking(route.pool.origins, place, world);
  return base;
}

function emptyExplanation(edge: string): Explanation {
  return {
    edge,
    version: undefined,
    client: undefined,
    refusalCode: '',
    refusalDetail: '',
    site: '',
    route: '',
    pool: '',
    cache: undefined,
    ranking: [],
  };
}

function refused(explanation: Explanation, code: FailureCode, detail: string): Explanation {
  return { ...explanation, refusalCode: code, refusalDetail: detail };
}

function clientPlace(ip: string, place: Place, snapshot: CompiledSnapshot): ClientPlace {
  const { location, source, city, country } = place;
  return { ip, location, source, city, country, distanceToEdgeKm: distanceKm(location, snapshot.location) };
}

/** Every origin in order of distance; ties in the order of names, since the draw differs from request to request. */
function explainRanking(origins: readonly CompiledOrigin[], place: Place, world: World): RankedOrigin[] {
  const now = world.clock.monotonic();
  const { ranked } = measure(place.location, origins);
  const rows = ranked.map(({ candidate, distanceKm: km }) => {
    const { status, source, detail } = world.health.status(candidate.pool, candidate.name, now);
    return {
      origin: candidate.name,
      address: candidate.address,
      distanceKm: km,
      weight: candidate.weight,
      status: status === 'up' ? HealthStatus.UP : HealthStatus.DOWN,
      statusSource: source,
      detail,
      chosen: false,
    };
  });
  const chosen = rows.find((row) => row.status === HealthStatus.UP) ?? rows[0];
  if (chosen) chosen.chosen = true;
  return rows;
}
