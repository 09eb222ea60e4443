// What an unsafe request makes invalid (RFC 9111 section 4.4), and what was requested too early to be kept after that.
import { canonicalUrl } from '../../../proto/canonical-url.ts';
import { type FieldList, field } from '../fields.ts';
import { cacheKey } from './key.ts';
import { type KeyRules, keyTarget } from './policy.ts';
import { invalidates } from './request.ts';

export interface InvalidationQuestion {
  readonly method: string;
  /** Of the answer. */
  readonly status: number;
  readonly responseFields: FieldList;
  readonly scheme: 'http' | 'https';
  /** As `cacheKey` takes it. */
  readonly authority: string;
  /** Canonical path and query. */
  readonly target: string;
  /** Of the route of a target. */
  keyOf?(target: string): KeyRules | undefined;
}

/**
 * The keys of which everything stored is to be removed, that of the target first: it, and what Location and Content-Location
 * name on the same origin (scheme, host and port), never elsewhere. Empty when the answer invalidates nothing.
 */
export function invalidatedKeys(question: InvalidationQuestion): readonly string[] {
  const { method, status, responseFields, scheme, authority, target } = question;
  if (!invalidates(method, status)) return NOTHING;
  const named = (ofTarget: string): string => {
    const rules = question.keyOf?.(ofTarget);
    return cacheKey(scheme, authority, rules ? keyTarget(rules, ofTarget) : ofTarget);
  };
  const keys = new Set([named(target)]);
  for (const name of ['location', 'content-location']) {
    const value = field(responseFields, name);
    const resolved = value === undefined ? undefined : onSameOrigin(value, scheme, authority, target);
    if (resolved !== undefined) keys.add(named(resolved));
  }
  return [...keys];
}

const NOTHING: readonly string[] = Object.freeze([]);

/** The canonical target that `reference` means; undefined when that is not one, or on another origin. */
function onSameOrigin(reference: string, scheme: string, authority: string, target: string): string | undefined {
  const base = `${scheme}://${authority}`;
  if (!URL.canParse(reference, base + target)) return undefined;
  const { href, protocol, host } = new URL(reference, base + target);
  if (protocol !== `${scheme}:` || host !== new URL(base).host) return undefined;
  const canonical = canonicalUrl(href);
  return canonical.kind === 'url' ? canonical.target : undefined;
}

/** What was made invalid when. Moments are numbers that rise with each invalidation. */
export interface Invalidations {
  /** To be read when a request to an origin is sent, and kept with it. */
  readonly moment: number;
  /** `key` is invalid from now on: the answer to an unsafe request has come. */
  note(key: string): void;
  /** Whether what was requested from an origin at `moment` may no more be stored under `key`. */
  bars(key: string, moment: number): boolean;
}

/** Of one thread. */
export class LocalInvalidations implements Invalidations {
  readonly #log = new InvalidationLog();
  moment = 0;

  note(key: string): void {
    this.#log.note(key, this.moment);
    this.moment += 1;
  }

  bars(key: string, moment: number): boolean {
    return moment < this.moment && this.#log.bars(key, moment);
  }
}

/**
 * When keys were made invalid: a fill that was requested before that must not be stored after it, or it would bring back what
 * was removed. Bounded: the oldest notes fold into a moment before which nothing may have been requested, whatever its key.
 */
export class InvalidationLog {
  readonly #limit: number;
  /** In the order of the moments. */
  readonly #moments = new Map<string, number>();
  #floor = Number.NEGATIVE_INFINITY;

  /** `limit`: keys remembered, at least 1. */
  constructor(limit = 10_000) {
    this.#limit = limit;
  }

  /** `key` is invalid from `now` on: when the answer to the unsafe request came. Moments are numbers that never fall. */
  note(key: string, now: number): void {
    this.#moments.delete(key);
    this.#moments.set(key, now);
    if (this.#moments.size <= this.#limit) return;
    for (const [oldest, moment] of this.#moments) {
      this.#moments.delete(oldest);
      this.#floor = Math.max(this.#floor, moment);
      break;
    }
  }

  /** Whether what was requested from an origin at the moment `requestedAt` may no more be stored under `key`. */
  bars(key: string, requestedAt: number): boolean {
    return requestedAt <= this.#floor || requestedAt <= (this.#moments.get(key) ?? Number.NEGATIVE_INFINITY);
  }
}
