// Whether a route's cache policy makes sense: ranges, names, and rules that contradict each other. Part of the consistency
// check.
import { canonicalTarget } from './canonical-url.ts';
import type { CacheBypass, CacheKey, CachePolicy } from './gen/meridian/v1/resources.ts';
import { LIMITS } from './limits.ts';

type Report = (path: readonly (string | number)[], message: string) => void;

/** `report` takes paths from the policy on. */
export function checkCachePolicy(policy: CachePolicy, report: Report): void {
  const durations = {
    default_ttl_ms: policy.defaultTtlMs,
    min_ttl_ms: policy.minTtlMs,
    max_ttl_ms: policy.maxTtlMs,
    override_ttl_ms: policy.overrideTtlMs,
    negative_ttl_ms: policy.negativeTtlMs,
    stale_while_revalidate_ms: policy.staleWhileRevalidateMs,
    stale_if_error_ms: policy.staleIfErrorMs,
  };
  const { min, max } = LIMITS.ttlMs;
  for (const [name, value] of Object.entries(durations)) {
    if (value !== undefined && !(value >= min && value <= max))
      report([name], `expected ${min}..${max}, found ${value}`);
  }
  const { minTtlMs, maxTtlMs, overrideTtlMs } = policy;
  if (minTtlMs !== undefined && maxTtlMs !== undefined && minTtlMs > maxTtlMs) {
    report(['min_ttl_ms'], `the floor of ${minTtlMs} ms is above the ceiling of ${maxTtlMs} ms`);
  }
  if (overrideTtlMs !== undefined) {
    if (minTtlMs !== undefined && overrideTtlMs < minTtlMs) {
      report(['override_ttl_ms'], `the override of ${overrideTtlMs} ms is below the floor of ${minTtlMs} ms`);
    }
    if (maxTtlMs !== undefined && overrideTtlMs > maxTtlMs) {
      report(['override_ttl_ms'], `the override of ${overrideTtlMs} ms is above the ceiling of ${maxTtlMs} ms`);
    }
  }
  const { sliceBytes = 0 } = policy;
  const slice = LIMITS.sliceBytes;
  if (sliceBytes !== 0 && !(sliceBytes >= slice.min && sliceBytes <= slice.max)) {
    report(['slice_bytes'], `expected 0 or ${slice.min}..${slice.max}, found ${sliceBytes}`);
  }
  if (policy.key) checkKey(policy.key, (path, message) => report(['key', ...path], message));
  if (policy.bypass) checkBypass(policy.bypass, (path, message) => report(['bypass', ...path], message));
}

function checkKey(key: CacheKey, report: Report): void {
  if (key.ignoreQuery && key.queryAllow.length > 0) {
    report(['query_allow'], 'a query that is ignored has no parameters to allow: give one of the two');
  }
  if (key.ignoreQuery && key.sortQuery)
    report(['sort_query'], 'a query that is ignored has nothing to sort: give one of the two');
  checkNames(key.queryAllow, 'query_allow', parameterProblem, report);
  checkNames(key.cookies, 'cookies', cookieProblem, report);
  checkNames(key.headers, 'headers', keyHeaderProblem, report);
}

function checkBypass(bypass: CacheBypass, report: Report): void {
  checkNames(bypass.cookies, 'cookies', cookieProblem, report);
  checkNames(bypass.headers, 'headers', headerProblem, report);
  checkNames(bypass.query, 'query', parameterProblem, report);
}

function checkNames(
  names: readonly string[],
  path: string,
  problem: (name: string) => string | undefined,
  report: Report,
): void {
  if (names.length > LIMITS.cacheNames) report([path], `more than ${LIMITS.cacheNames} names`);
  for (const [index, name] of names.entries()) {
    const long = name.length > LIMITS.cacheNameLength ? `longer than ${LIMITS.cacheNameLength} characters` : undefined;
    const detail = long ?? problem(name) ?? (names.indexOf(name) < index ? `"${name}" is named twice` : undefined);
    if (detail !== undefined) report([path, index], detail);
  }
}

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

function cookieProblem(name: string): string | undefined {
  return TOKEN.test(name) ? undefined : `"${name}" is not the name of a cookie`;
}

function headerProblem(name: string): string | undefined {
  if (!TOKEN.test(name)) return `"${name}" is not the name of a header field`;
  return name === name.toLowerCase() ? undefined : `expected the lower-case form "${name.toLowerCase()}"`;
}

/** What the key holds already, what concerns one connection, and what an edge writes afresh for an origin. */
const NOT_IN_KEY =
  /^(?:authorization|cache-control|cdn-loop|connection|content-length|cookie|expect|forwarded|host|if-.*|keep-alive|pragma|proxy-.*|range|te|trailer|transfer-encoding|upgrade|via|x-forwarded-.*)$/;

function keyHeaderProblem(name: string): string | undefined {
  const problem = headerProblem(name);
  if (problem !== undefined) return problem;
  if (name === 'cookie') return 'expected single cookies, by name, under "cookies"';
  return NOT_IN_KEY.test(name) ? `"${name}" cannot be part of a cache key` : undefined;
}

function parameterProblem(name: string): string | undefined {
  if (name === '' || /[=&]/.test(name)) return `"${name}" is not the name of a query parameter`;
  const canonical = canonicalTarget(`/?${name}`);
  if (canonical.kind === 'malformed') return `"${name}" is not the name of a query parameter: ${canonical.detail}`;
  const form = canonical.target.slice(2);
  return form === name ? undefined : `expected the form in which it stands in a URL, "${form}"`;
}
