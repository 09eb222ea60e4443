// Whether a set of resources makes sense as a whole: names, ranges, references, bounds. Run before a snapshot is written and
// again before an edge applies it, so that neither has to trust the other.
import { checkCachePolicy } from './cache-policy.ts';
import { canonicalHost, canonicalTarget } from './canonical-url.ts';
import type { Edge, HealthCheck, Location, OriginTimeouts, Pool, Site } from './gen/meridian/v1/resources.ts';
import { LIMITS } from './limits.ts';
import type { Problem, ResourceKind } from './problems.ts';

export interface Resources {
  readonly sites: readonly Site[];
  readonly pools: readonly Pool[];
  readonly edges: readonly Edge[];
}

const NAME = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/;

type Report = (path: readonly (string | number)[], message: string) => void;

/** Every problem found, at most `LIMITS.problems`; empty when the set is consistent. */
export function checkConsistency(resources: Resources): Problem[] {
  const problems: Problem[] = [];
  const reporter =
    (kind: ResourceKind, name: string): Report =>
    (path, message) => {
      if (problems.length < LIMITS.problems) problems.push({ kind, name, path, message });
    };
  const pools = new Set(resources.pools.map((pool) => pool.name));
  checkNames('site', resources.sites, LIMITS.sites, reporter);
  checkNames('pool', resources.pools, LIMITS.pools, reporter);
  checkNames('edge', resources.edges, LIMITS.edges, reporter);
  checkSites(resources.sites, pools, reporter);
  for (const pool of resources.pools) checkPool(pool, reporter('pool', pool.name));
  for (const edge of resources.edges) checkEdge(edge, reporter('edge', edge.name));
  return problems;
}

function checkNames(
  kind: ResourceKind,
  resources: readonly { readonly name: string }[],
  limit: number,
  reporter: (kind: ResourceKind, name: string) => Report,
): void {
  const seen = new Set<string>();
  for (const [index, { name }] of resources.entries()) {
    const report = reporter(kind, name);
    if (!isName(name)) report([], `"${name}" is not a name: ${NAME_RULE}`);
    if (seen.has(name)) report([], `there are two ${kind}s of this name`);
    if (index === limit) report([], `there are more than ${limit} ${kind}s`);
    seen.add(name);
  }
}

const NAME_RULE = `expected 1 to ${LIMITS.nameLength} lower-case letters, digits and inner hyphens`;

function isName(name: string): boolean {
  return name.length <= LIMITS.nameLength && NAME.test(name);
}

function checkSites(
  sites: readonly Site[],
  pools: ReadonlySet<string>,
  reporter: (kind: ResourceKind, name: string) => Report,
): void {
  const owners = new Map<string, string>();
  let routes = 0;
  for (const site of sites) {
    const report = reporter('site', site.name);
    if (site.hostnames.length === 0) report(['hostnames'], 'a site needs at least one hostname');
    if (site.hostnames.length > LIMITS.hostnamesPerSite) {
      report(['hostnames'], `more than ${LIMITS.hostnamesPerSite} hostnames`);
    }
    for (const [index, hostname] of site.hostnames.entries()) {
      const detail = hostnameProblem(hostname);
      if (detail) report(['hostnames', index], detail);
      const owner = owners.get(hostname);
      if (owner !== undefined) report(['hostnames', index], `"${hostname}" is also a hostname of site "${owner}"`);
      else owners.set(hostname, site.name);
    }
    const before = routes;
    routes += site.routes.length;
    if (before <= LIMITS.routes && routes > LIMITS.routes) {
      report(['routes'], `more than ${LIMITS.routes} routes in all`);
    }
    checkRoutes(site, pools, report);
  }
}

function hostnameProblem(hostname: string): string | undefined {
  const host = canonicalHost(hostname.startsWith('*.') ? hostname.slice(2) : hostname);
  if (host.kind === 'malformed') return host.detail;
  if (host.port !== undefined) return 'a hostname is given without a port';
  if (host.host !== hostname.replace(/^\*\./, '')) return `expected the lower-case form "${host.host}"`;
  return undefined;
}

function checkRoutes(site: Site, pools: ReadonlySet<string>, report: Report): void {
  if (site.routes.length === 0) report(['routes'], 'a site needs at least one route');
  const prefixes = new Set<string>();
  for (const [index, route] of site.routes.entries()) {
    const target = canonicalTarget(route.pathPrefix);
    if (target.kind === 'malformed') report(['routes', index, 'path_prefix'], target.detail);
    else if (target.target !== route.pathPrefix || target.target.includes('?')) {
      report(['routes', index, 'path_prefix'], `expected a canonical path without a query, such as "${target.path}"`);
    } else if (/\/\/|;/.test(route.pathPrefix)) {
      report(['routes', index, 'path_prefix'], 'routing does not see "//" and ";": the route would never be taken');
    }
    if (route.pathPrefix.length > LIMITS.pathLength) {
      report(['routes', index, 'path_prefix'], `longer than ${LIMITS.pathLength} characters`);
    }
    if (prefixes.has(route.pathPrefix)) {
      report(['routes', index, 'path_prefix'], `there are two routes for "${route.pathPrefix}"`);
    }
    prefixes.add(route.pathPrefix);
    if (!pools.has(route.pool)) report(['routes', index, 'pool'], `there is no pool "${route.pool}"`);
    if (!route.cache) report(['routes', index, 'cache'], 'a cache policy is missing');
    else checkCachePolicy(route.cache, (path, message) => report(['routes', index, 'cache', ...path], message));
  }
}

function checkPool(pool: Pool, report: Report): void {
  if (pool.origins.length === 0) report(['origins'], 'a pool needs at least one origin');
  if (pool.origins.length > LIMITS.originsPerPool) report(['origins'], `more than ${LIMITS.originsPerPool} origins`);
  const names = new Set<string>();
  for (const [index, origin] of pool.origins.entries()) {
    if (!isName(origin.name)) report(['origins', index, 'name'], `"${origin.name}" is not a name: ${NAME_RULE}`);
    if (names.has(origin.name)) report(['origins', index, 'name'], `there are two origins "${origin.name}"`);
    names.add(origin.name);
    const match = /^https?:\/\/([^/?#@]+)$/.exec(origin.address);
    const host = match?.[1] === undefined ? undefined : canonicalHost(match[1]);
    if (host?.kind !== 'host') {
      report(['origins', index, 'address'], `"${origin.address}" is not http://HOST:PORT or https://HOST:PORT`);
    }
    checkLocation(origin.location, (path, message) => report(['origins', index, ...path], message));
    if (!within(origin.weight, { min: 0, max: LIMITS.weight })) {
      report(['origins', index, 'weight'], `expected 0..${LIMITS.weight}, found ${origin.weight}`);
    }
  }
  if (pool.healthCheck) checkHealthCheck(pool.healthCheck, report);
  else report(['health_check'], 'a health check is missing');
  if (pool.timeouts) checkTimeouts(pool.timeouts, report);
  else report(['timeouts'], 'timeouts are missing');
}

function checkHealthCheck(check: HealthCheck, report: Report): void {
  const target = canonicalTarget(check.path);
  if (target.kind === 'malformed') report(['health_check', 'path'], target.detail);
  range(check.intervalMs, LIMITS.intervalMs, ['health_check', 'interval_ms'], report);
  range(check.timeoutMs, LIMITS.timeoutMs, ['health_check', 'timeout_ms'], report);
  range(check.unhealthyThreshold, LIMITS.threshold, ['health_check', 'unhealthy_threshold'], report);
  range(check.healthyThreshold, LIMITS.threshold, ['health_check', 'healthy_threshold'], report);
}

function checkTimeouts(timeouts: OriginTimeouts, report: Report): void {
  range(timeouts.connectMs, LIMITS.timeoutMs, ['timeouts', 'connect_ms'], report);
  range(timeouts.headMs, LIMITS.timeoutMs, ['timeouts', 'head_ms'], report);
  range(timeouts.bodyMs, LIMITS.timeoutMs, ['timeouts', 'body_ms'], report);
}

function checkEdge(edge: Edge, report: Report): void {
  checkLocation(edge.location, report);
  if (edge.trustedProxies.length > LIMITS.trustedProxiesPerEdge) {
    report(['trusted_proxies'], `more than ${LIMITS.trustedProxiesPerEdge} blocks`);
  }
  for (const [index, block] of edge.trustedProxies.entries()) {
    if (!isCidr(block))
      report(['trusted_proxies', index], `"${block}" is not a CIDR block such as 10.0.0.0/8 or fd00::/8`);
  }
}

function checkLocation(location: Location | undefined, report: Report): void {
  if (!location) {
    report(['location'], 'a location is missing');
    return;
  }
  if (!within(location.latitude, { min: -90, max: 90 })) {
    report(['location', 'latitude'], `expected -90..90, found ${location.latitude}`);
  }
  if (!within(location.longitude, { min: -180, max: 180 })) {
    report(['location', 'longitude'], `expected -180..180, found ${location.longitude}`);
  }
}

interface Range {
  readonly min: number;
  readonly max: number;
}

function within(value: number, bounds: Range): boolean {
  return value >= bounds.min && value <= bounds.max;
}

function range(value: number, bounds: Range, path: readonly string[], report: Report): void {
  if (!within(value, bounds)) report(path, `expected ${bounds.min}..${bounds.max}, found ${value}`);
}

/** Shape only: that the address itself parses is checked where it is used (Node's BlockList). */
export function isCidr(block: string): boolean {
  const match = /^([0-9a-fA-F.:]+)\/(\d{1,3})$/.exec(block);
  if (!match) return false;
  const [, address = '', bits = ''] = match;
  if (address.includes(':')) return isIpv6(address) && Number(bits) <= 128;
  return isIpv4(address) && Number(bits) <= 32;
}

function isIpv4(address: string): boolean {
  const parts = address.split('.');
  return parts.length === 4 && parts.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255);
}

function isIpv6(address: string): boolean {
  const halves = address.split('::');
  if (halves.length > 2) return false;
  const groups = halves.flatMap((half) => (half === '' ? [] : half.split(':')));
  const tail = groups.at(-1);
  const embedded = tail?.includes('.') === true;
  if (embedded && (!isIpv4(tail) || address.endsWith('::'))) return false;
  const hex = embedded ? groups.slice(0, -1) : groups;
  const count = hex.length + (embedded ? 2 : 0);
  return hex.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group)) && (halves.length === 2 ? count < 8 : count === 8);
}
