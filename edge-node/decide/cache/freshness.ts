// Whether a stored response may answer now (RFC 9111 section 4.2, RFC 5861, RFC 8246), from its head, the request's directives
// and the time.
import { type CacheControl, parseDeltaMs } from './cache-control.ts';
import type { StoredHead } from './entry.ts';

export type StaleReason =
  /** Its lifetime has passed. */
  | 'expired'
  /** The response itself says that each use needs validation. */
  | 'no-cache'
  /** It was received later than it is now: how old it is cannot be told. */
  | 'clock-set-back'
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
      /** RFC 9111 section 4.2.4: whether it may answer all the same when no origin can be reached, */
      readonly mayServeStale: boolean;
      /** ... RFC 5861 section 4: when an origin answers with an error ({@link isOriginError}), */
      readonly mayServeOnError: boolean;
      /** ... RFC 5861 section 3: at once, while it is validated behind the client's back. */
      readonly mayServeWhileRevalidating: boolean;
    };

export type StaleJudgement = Extract<Judgement, { kind: 'stale' }>;

/** A clock that is set back by no more than this makes nothing stale: clocks are corrected all the time. */
const CLOCK_SLACK_MS = 5000;

/** Whether the directives of a response forbid ever using it stale (RFC 9111 section 4.2.4). */
export function neverStale(control: CacheControl): boolean {
  return control.noCache || control.mustRevalidate || control.proxyRevalidate || control.sMaxAgeMs !== undefined;
}

/**
 * For how long after its expiry a response may be used, milliseconds: as it says itself (`stated`), else as the route does.
 * An origin that says s-maxage and a window means the window, although s-maxage alone would forbid it.
 */
export function staleWindow(control: CacheControl, stated: number | undefined, ofRoute: number | undefined): number {
  if (control.noCache || control.mustRevalidate || control.proxyRevalidate) return 0;
  return stated ?? (control.sMaxAgeMs === undefined ? (ofRoute ?? 0) : 0);
}

/** RFC 5861 section 4: what stale-if-error takes for an error. */
function isOriginError(status: number): boolean {
  return status === 500 || (status >= 502 && status <= 504);
}

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

export type ErrorAnswer =
  | { readonly kind: 'serve-stale'; readonly reason: 'unreachable' | 'stale-if-error' }
  /** The error goes to the client. */
  | { readonly kind: 'pass'; readonly reason: 'not-an-error' | 'nothing-stored' | 'forbidden' };

/**
 * Sections 4.2.4 and 4.3.3: what to answer when asking about a stored response brought `status`, or no answer at all
 * (undefined). `judgement`: of what is stored; undefined when nothing is.
 */
export function answerAfterError(judgement: StaleJudgement | undefined, status: number | undefined): ErrorAnswer {
  if (status !== undefined && !isOriginError(status)) return { kind: 'pass', reason: 'not-an-error' };
  if (judgement === undefined) return { kind: 'pass', reason: 'nothing-stored' };
  if (judgement.mayServeOnError) return { kind: 'serve-stale', reason: 'stale-if-error' };
  if (status === undefined && judgement.mayServeStale) return { kind: 'serve-stale', reason: 'unreachable' };
  return { kind: 'pass', reason: 'forbidden' };
}

/** RFC 9111 sections 4.2 and 5.2.1. `request`: the directives of the request that is to be answered. */
export function judge(entry: StoredHead, request: CacheControl, now: number): Judgement {
  const age = ageMs(entry, now);
  const ttl = entry.lifetimeMs - age;
  if (entry.control.noCache) return stale(entry, request, 'no-cache', age, ttl);
  if (now < entry.receivedAt - CLOCK_SLACK_MS) return stale(entry, request, 'clock-set-back', age, ttl);
  if (request.noCache) return stale(entry, request, 'request-no-cache', age, ttl);
  // max-age=0 asks for validation, even of what arrived within this millisecond; but what is immutable has not changed while
  // it is fresh, and a reload is no reason to ask (RFC 8246 section 2).
  if (request.maxAgeMs !== undefined && (age > request.maxAgeMs || request.maxAgeMs === 0)) {
    if (!entry.control.immutable || ttl <= 0) return stale(entry, request, 'request-max-age', age, ttl);
  }
  if (request.minFreshMs !== undefined && ttl < request.minFreshMs) {
    return stale(entry, request, 'request-min-fresh', age, ttl);
  }
  if (ttl > 0) return { kind: 'fresh', ageMs: age, ttlMs: ttl };
  if (request.maxStaleMs !== undefined && -ttl <= request.maxStaleMs && !entry.neverStale) {
    return { kind: 'fresh', ageMs: age, ttlMs: ttl };
  }
  return stale(entry, request, 'expired', age, ttl);
}

function stale(entry: StoredHead, request: CacheControl, reason: StaleReason, age: number, ttl: number): Judgement {
  const { noCache } = entry.control;
  // A client may widen what is tolerated (RFC 5861 section 4), though not what the response forbids.
  const asked = entry.neverStale ? 0 : (request.staleIfErrorMs ?? 0);
  const onError = Math.max(entry.staleIfErrorMs, asked);
  return {
    kind: 'stale',
    reason,
    ageMs: age,
    ttlMs: ttl,
    // must-revalidate, proxy-revalidate and s-maxage bind once it has expired; no-cache binds always.
    mayServeStale: !noCache && (ttl > 0 || !entry.neverStale),
    mayServeOnError: !noCache && onError > 0 && -ttl <= onError,
    // A client that states an age does not want what is stale (section 5.2.1.1); one that asks for validation wants that.
    mayServeWhileRevalidating:
      reason === 'expired' &&
      request.maxAgeMs === undefined &&
      entry.staleWhileRevalidateMs > 0 &&
      -ttl <= entry.staleWhileRevalidateMs,
  };
}
