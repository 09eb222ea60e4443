// A snapshot turned into what a request needs: a hostname finds its site, a path its route, a route its pool, each without a
// search. Made once for each snapshot; requests pin the one that they were admitted under.
import type { Edge, Location, OriginTimeouts, Snapshot, Version } from '../../proto/gen/meridian/v1/resources.ts';
import { LIMITS } from '../../proto/limits.ts';
import { type CacheRules, compileCachePolicy } from './cache/policy.ts';
import { OTHER_SITES } from './site-numbers.ts';

export interface CompiledOrigin {
  readonly pool: string;
  readonly name: string;
  /** "http://host:port" or "https://host:port". */
  readonly address: string;
  readonly location: Location;
  readonly weight: number;
}

export interface CompiledPool {
  readonly name: string;
  readonly origins: readonly CompiledOrigin[];
  readonly timeouts: OriginTimeouts;
}

export interface CompiledRoute {
  readonly pathPrefix: string;
  readonly pool: CompiledPool;
  readonly cache: CacheRules;
}

export interface CompiledSite {
  readonly name: string;
  /** Under which all threads count it: see site-numbers.ts. */
  readonly number: number;
  /** What this thread counts of it, by what came of a request; made ready by the ledger when the first one ends. */
  tally: Readonly<Record<string, { add(by?: number): void }>> | undefined;
  /** Longest prefix first. */
  readonly routes: readonly CompiledRoute[];
}

export interface CompiledSnapshot {
  readonly version: Version;
  readonly edge: Edge;
  readonly location: Location;
  readonly hosts: ReadonlyMap<string, CompiledSite>;
  /** "*.example.com" under "example.com". */
  readonly wildcards: ReadonlyMap<string, CompiledSite>;
  readonly pools: readonly CompiledPool[];
}

const UNNUMBERED: ReadonlyMap<string, number> = new Map();

/**
 * `numbers`: of sites, those of {@link SiteNumbers}. Throws an Error when something that the consistency check (proto/consistency.ts) promises is
 * not so.
 */
export function compileSnapshot(
  snapshot: Snapshot,
  edgeName: string,
  numbers: ReadonlyMap<string, number> = UNNUMBERED,
): CompiledSnapshot {
  const edge = snapshot.edges.find((candidate) => candidate.name === edgeName);
  if (!snapshot.version || !edge?.location) throw new Error(`the snapshot does not declare edge "${edgeName}"`);
  const pools = new Map<string, CompiledPool>();
  for (const pool of snapshot.pools) {
    if (!pool.timeouts) throw new Error(`pool "${pool.name}" has no timeouts`);
    const origins = pool.origins.map(({ name, address, location, weight }) => {
      if (!location) throw new Error(`origin "${name}" of pool "${pool.name}" has no location`);
      return { pool: pool.name, name, address, location, weight };
    });
    pools.set(pool.name, { name: pool.name, origins, timeouts: pool.timeouts });
  }
  const hosts = new Map<string, CompiledSite>();
  const wildcards = new Map<string, CompiledSite>();
  for (const site of snapshot.sites) {
    const routes = site.routes.map((route) => {
      const pool = pools.get(route.pool);
      if (!pool || !route.cache) throw new Error(`site "${site.name}" has a route without a pool or a cache policy`);
      return { pathPrefix: route.pathPrefix, pool, cache: compileCachePolicy(route.cache) };
    });
    const compiled = {
      name: site.name,
      number: numbers.get(site.name) ?? OTHER_SITES,
      tally: undefined,
      routes: routes.toSorted((a, b) => b.pathPrefix.length - a.pathPrefix.length),
    };
    for (const hostname of site.hostnames) {
      if (hostname.startsWith('*.')) wildcards.set(hostname.slice(2), compiled);
      else hosts.set(hostname, compiled);
    }
  }
  return {
    version: snapshot.version,
    edge,
    location: edge.location,
    hosts,
    wildcards,
    pools: [...pools.values()],
  };
}

/** The site of a canonical hostname: an exact name before a wildcard; a wildcard covers one label. */
export function findSite(snapshot: CompiledSnapshot, host: string): CompiledSite | undefined {
  const exact = snapshot.hosts.get(host);
  if (exact || snapshot.wildcards.size === 0) return exact;
  const dot = host.indexOf('.');
  return dot === -1 ? undefined : snapshot.wildcards.get(host.slice(dot + 1));
}

/**
 * The route of a canonical path: the longest prefix of whole segments. Parameters of segments and repeated slashes do not
 * count here, so that "//admin" and "/admin;x" cannot slip past the route of "/admin"; the origin still gets the path as it
 * is.
 */
export function findRoute(site: CompiledSite, path: string): CompiledRoute | undefined {
  const bare = path.includes(';') ? path.replace(/;[^/]*/g, '') : path;
  const plain = bare.includes('//') ? bare.replace(/\/{2,}/g, '/') : bare;
  for (const route of site.routes) {
    const prefix = route.pathPrefix;
    if (!plain.startsWith(prefix)) continue;
    if (prefix.endsWith('/') || plain.length === prefix.length || plain[prefix.length] === '/') return route;
  }
  return undefined;
}

/** Longest target that an edge takes, characters; shared with what a configuration may name. */
export const MAX_TARGET = LIMITS.pathLength;
