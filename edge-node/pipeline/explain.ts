// Where a GET for a URL would go, and why: the decisions of the steps, asked in the same order, with nothing done.

import { distanceKm } from '../../geo/distance.ts';
import type { Place } from '../../geo/location.ts';
import { measure } from '../../geo/rank.ts';
import { canonicalUrl } from '../../proto/canonical-url.ts';
import type { CacheExplanation, ClientPlace, Explanation, RankedOrigin } from '../../proto/gen/meridian/v1/explain.ts';
import { HealthStatus } from '../../proto/gen/meridian/v1/health.ts';
import { type CacheView, explainCache } from '../decide/cache/explain.ts';
import { judge } from '../decide/cache/freshness.ts';
import { cacheKey, purgeName } from '../decide/cache/key.ts';
import { keyTarget } from '../decide/cache/policy.ts';
import { classifyRequest } from '../decide/cache/request.ts';
import { selectVariant } from '../decide/cache/vary.ts';
import {
  type CompiledOrigin,
  type CompiledRoute,
  type CompiledSnapshot,
  findRoute,
  findSite,
} from '../decide/compile.ts';
import type { FailureCode } from '../decide/errors.ts';
import { isPurged, judgedHead } from '../decide/purged.ts';
import type { Ports } from '../ports.ts';

type Question = { readonly url: string; readonly ip: string };
type World = Pick<Ports, 'edge' | 'clock' | 'serving' | 'locate' | 'cache' | 'barrier' | 'health'>;

/** A plain GET without header fields of its own is assumed. */
export function explain(question: Question, world: World): Explanation {
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
  const mark = url.target.indexOf('?');
  const route = findRoute(site, mark === -1 ? url.target : url.target.slice(0, mark));
  if (!route) return refused(base, 'no-route', `no route of site ${site.name} covers ${url.target}`);
  base.route = route.pathPrefix;
  base.pool = route.pool.name;
  base.cache = explainStored(question.url, url, route, world);
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

function explainStored(
  typed: string,
  url: { readonly host: string; readonly port: number | undefined; readonly target: string },
  route: CompiledRoute,
  world: World,
): CacheExplanation {
  const scheme = /^https:/i.test(typed) ? 'https' : 'http';
  const ownPort = url.port === undefined || url.port === (scheme === 'https' ? 443 : 80);
  const target = route.cache.key === undefined ? url.target : keyTarget(route.cache.key, url.target);
  const key = cacheKey(scheme, ownPort ? url.host : `${url.host}:${url.port}`, target);
  const variants = world.cache.find(key);
  return { key, variants: variants.length, ...explainCache(view()) };

  function view(): CacheView {
    const request = classifyRequest('GET', [], route.cache, url.target);
    if (request.kind === 'bypass') return request;
    const entry = selectVariant(variants, []);
    if (!entry) return { kind: 'absent', variants: variants.length };
    const asked = purgeName(url.host, url.target);
    if (isPurged(world.barrier, entry, asked)) {
      return { kind: 'purged', head: entry.head, current: world.barrier.current };
    }
    const now = world.clock.now();
    const head = judgedHead(world.barrier, entry, now, asked);
    return { kind: 'stored', head, judgement: judge(head, request.directives, now) };
  }
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
