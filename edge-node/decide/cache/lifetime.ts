// For how long a response is fresh (RFC 9111 sections 4.2.1 and 4.2.2, for a shared cache), and what a route's policy makes of
// that.
import { type FieldList, field } from '../fields.ts';
import type { CacheControl } from './cache-control.ts';
import { parseHttpDate } from './http-date.ts';
import type { CacheRules } from './policy.ts';

/** Where a lifetime comes from. */
export type LifetimeSource =
  | 's-maxage'
  | 'max-age'
  | 'expires'
  | 'default-ttl'
  | 'heuristic'
  | 'none'
  | 'negative-ttl'
  | 'override-ttl'
  | 'min-ttl'
  | 'max-ttl';

/** In the order of the list in RFC 9111: what a record of a response numbers them by. */
export const LIFETIME_SOURCES: readonly LifetimeSource[] = [
  's-maxage',
  'max-age',
  'expires',
  'default-ttl',
  'heuristic',
  'none',
  'negative-ttl',
  'override-ttl',
  'min-ttl',
  'max-ttl',
];

export interface Lifetime {
  /** Milliseconds; 0: only to be used after validation. Counted from when the response was made, as its age is. */
  readonly lifetimeMs: number;
  readonly lifetimeSource: LifetimeSource;
}

export interface LifetimeQuestion {
  readonly status: number;
  readonly responseFields: FieldList;
  readonly policy: CacheRules;
  /** Unix milliseconds. */
  readonly receivedAt: number;
}

/** RFC 9110 section 15.1; a 206 is judged as the 200 that it is a part of. */
export const HEURISTICALLY_CACHEABLE: ReadonlySet<number> = new Set([
  200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501,
]);

const HEURISTIC_FRACTION = 0.1;
const HEURISTIC_MAX_MS = 86_400_000;

/**
 * The origin's word (s-maxage, else max-age, else Expires less Date), else the route's default, else the heuristic; then the
 * route's override, floor and ceiling. `targeted`: the directives came from a targeted field, so Expires does not count.
 * Undefined when the status is not cacheable by default and the origin says nothing that makes it so.
 */
export function freshnessLifetime(
  control: CacheControl,
  targeted: boolean,
  question: LifetimeQuestion,
): Lifetime | undefined {
  const stated = statedLifetime(control, targeted, question) ?? assumedLifetime(control, question);
  return stated && withinPolicy(stated, question);
}

/** RFC 9111 section 4.2.1. */
function statedLifetime(
  control: CacheControl,
  targeted: boolean,
  { responseFields, receivedAt }: LifetimeQuestion,
): Lifetime | undefined {
  if (control.sMaxAgeMs !== undefined) return { lifetimeMs: control.sMaxAgeMs, lifetimeSource: 's-maxage' };
  if (control.maxAgeMs !== undefined) return { lifetimeMs: control.maxAgeMs, lifetimeSource: 'max-age' };
  const expires = targeted ? undefined : field(responseFields, 'expires');
  if (expires === undefined) return undefined;
  const date = parseHttpDate(field(responseFields, 'date'), receivedAt) ?? receivedAt;
  // Section 5.3: what cannot be read, such as "0", has expired already.
  const expiry = parseHttpDate(expires, receivedAt) ?? date;
  return { lifetimeMs: Math.max(0, expiry - date), lifetimeSource: 'expires' };
}

/** What the operator says, else section 4.2.2: a tenth of the age of Last-Modified, at most a day. */
function assumedLifetime(
  control: CacheControl,
  { status, responseFields, policy, receivedAt }: LifetimeQuestion,
): Lifetime | undefined {
  if (!HEURISTICALLY_CACHEABLE.has(status) && !control.public) return undefined;
  if (status >= 400 && policy.negativeTtlMs !== undefined) {
    return { lifetimeMs: policy.negativeTtlMs, lifetimeSource: 'negative-ttl' };
  }
  if (policy.defaultTtlMs > 0) return { lifetimeMs: policy.defaultTtlMs, lifetimeSource: 'default-ttl' };
  const date = parseHttpDate(field(responseFields, 'date'), receivedAt) ?? receivedAt;
  const modified = parseHttpDate(field(responseFields, 'last-modified'), receivedAt);
  if (modified === undefined || modified >= date) return { lifetimeMs: 0, lifetimeSource: 'none' };
  const lifetimeMs = Math.min(HEURISTIC_MAX_MS, Math.floor((date - modified) * HEURISTIC_FRACTION));
  return { lifetimeMs, lifetimeSource: 'heuristic' };
}

function withinPolicy(lifetime: Lifetime, { status, policy }: LifetimeQuestion): Lifetime {
  const { overrideTtlMs, minTtlMs, maxTtlMs } = policy;
  let { lifetimeMs, lifetimeSource } = lifetime;
  if (status < 400 && overrideTtlMs !== undefined) {
    lifetimeMs = overrideTtlMs;
    lifetimeSource = 'override-ttl';
  }
  if (status < 400 && minTtlMs !== undefined && lifetimeMs < minTtlMs) {
    lifetimeMs = minTtlMs;
    lifetimeSource = 'min-ttl';
  }
  if (maxTtlMs !== undefined && lifetimeMs > maxTtlMs) {
    lifetimeMs = maxTtlMs;
    lifetimeSource = 'max-ttl';
  }
  return { lifetimeMs, lifetimeSource };
}
