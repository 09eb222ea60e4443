// Whether a stored response may answer now (RFC 9111 section 4.2), from its head, the request's directives and the time.
import { type CacheControl, parseDeltaMs } from './cache-control.ts';
import type { StoredHead } from './entry.ts';

export type StaleReason =
  /** Its lifetime has passed. */
  | 'expired'
  /** The response itself says that each use needs validation. */
  | 'no-cache'
  | 'request-no-cache'
  | 'request-max-age'
  | 'request-min-fresh';

/** `ageMs` and `ttlMs` (lifetime less age) in milliseconds. */
export type Judgement =
  /** May answer as it is. `ttlMs` is 0 or below only where the request's max-stale allows that. */
  | { readonly kind: 'fresh'; readonly ageMs: number; readonly ttlMs: number }
  | {
      /** To be validated first. */
      readonly kind: 'stale';
      readonly reason: StaleReason;
      readonly ageMs: number;
      readonly ttlMs: number;
      /** RFC 9111 section 4.2.4: whether it may answer all the same when no origin does. */
      readonly mayServeStale: boolean;
    };

/**
 * corrected_initial_age of RFC 9111 section 4.2.3, milliseconds. `age`: the Age field, if any; only its first member counts,
 * and it is ignored when it is not a number of seconds (section 5.1).
 */
export function correctedInitialAgeMs(
  age: string | undefined,
  dateMs: number,
  requestedAt: number,
  receivedAt: number,
): number {
  // Date names a second, not a moment: without the rounding, every response would begin up to a second old.
  const apparentAge = Math.max(0, Math.floor(receivedAt / 1000) * 1000 - dateMs);
  const ageValue = age === undefined ? 0 : (parseDeltaMs(age.split(',', 1)[0]?.trim() ?? '') ?? 0);
  const responseDelay = Math.max(0, receivedAt - requestedAt);
  return Math.max(apparentAge, ageValue + responseDelay);
}

/** current_age of RFC 9111 section 4.2.3, milliseconds; a clock set back adds none. */
export function ageMs(entry: StoredHead, now: number): number {
  return entry.initialAgeMs + Math.max(0, now - entry.receivedAt);
}

/** RFC 9111 sections 4.2 and 5.2.1. `request`: the directives of the request that is to be answered. */
export function judge(entry: StoredHead, request: CacheControl, now: number): Judgement {
  const age = ageMs(entry, now);
  const ttl = entry.lifetimeMs - age;
  if (entry.control.noCache) return stale(entry, 'no-cache', age, ttl);
  if (request.noCache) return stale(entry, 'request-no-cache', age, ttl);
  // max-age=0 asks for validation, even of what arrived within this millisecond.
  if (request.maxAgeMs !== undefined && (age > request.maxAgeMs || request.maxAgeMs === 0)) {
    return stale(entry, 'request-max-age', age, ttl);
  }
  if (request.minFreshMs !== undefined && ttl < request.minFreshMs) return stale(entry, 'request-min-fresh', age, ttl);
  if (ttl > 0) return { kind: 'fresh', ageMs: age, ttlMs: ttl };
  if (request.maxStaleMs !== undefined && -ttl <= request.maxStaleMs && !entry.neverStale) {
    return { kind: 'fresh', ageMs: age, ttlMs: ttl };
  }
  return stale(entry, 'expired', age, ttl);
}

function stale(entry: StoredHead, reason: StaleReason, age: number, ttl: number): Judgement {
  // must-revalidate, proxy-revalidate and s-maxage bind once it has expired; no-cache binds always.
  const mayServeStale = !entry.control.noCache && (ttl > 0 || !entry.neverStale);
  return { kind: 'stale', reason, ageMs: age, ttlMs: ttl, mayServeStale };
}
