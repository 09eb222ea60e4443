// The Cache-Status field (RFC 9211): how this edge's cache handled a request, in words that tools and people both read.
import { isToken } from './cache-control.ts';
import type { StaleReason } from './freshness.ts';
import type { BypassReason } from './request.ts';
import type { SkipReason } from './storable.ts';

/**
 * RFC 9211 section 2.2: why the request went forward. `miss`: it cannot be told whether by URI or by Vary; `partial`: parts are
 * stored, but not all that is asked for.
 */
export type ForwardReason = 'bypass' | 'method' | 'uri-miss' | 'vary-miss' | 'miss' | 'request' | 'stale' | 'partial';

/** What `detail` may say: the name of a decision's reason, or what became of the request. */
export type CacheDetail =
  | StaleReason
  | BypassReason
  | SkipReason
  | 'purged'
  | 'too-large'
  /** A part that could not be put together with others. */
  | 'no-validator'
  | 'stale-served'
  | 'stale-while-revalidate';

export type CacheOutcome =
  /** Answered from the cache; `ttlMs` below 0: stale. */
  | {
      readonly kind: 'hit';
      readonly ttlMs: number;
      readonly detail?: CacheDetail | undefined;
      /** For operators only: it tells how the key is made. */
      readonly key?: string | undefined;
    }
  | {
      readonly kind: 'forward';
      readonly reason: ForwardReason;
      /** Of the origin's answer; undefined when none came. */
      readonly status: number | undefined;
      /** The answer is being stored. */
      readonly stored: boolean;
      /** What remains of its freshness, milliseconds, where it is stored. */
      readonly ttlMs?: number | undefined;
      /** It shared another request's way to the origin. */
      readonly collapsed: boolean;
      readonly detail?: CacheDetail | undefined;
      readonly key?: string | undefined;
    };

/** The name under which the cache of `edge` appears. Throws a RangeError when that is not a structured-field token. */
export function cacheName(edge: string): string {
  const name = `meridian-${edge}`;
  if (!isToken(name)) throw new RangeError(`"${edge}" cannot be part of a Cache-Status name: letters, digits, hyphens`);
  return name;
}

/** The member for this cache: append it to a Cache-Status that came from the origin. `name`: from {@link cacheName}. */
export function cacheStatus(name: string, outcome: CacheOutcome): string {
  if (outcome.kind === 'hit') {
    const hit = `${name}; hit; ttl=${seconds(outcome.ttlMs)}`;
    if (outcome.detail === undefined && outcome.key === undefined) return hit;
    return hit + keyParameter(outcome.key) + (outcome.detail === undefined ? '' : `; detail=${outcome.detail}`);
  }
  let value = `${name}; fwd=${outcome.reason}`;
  if (outcome.status !== undefined) value += `; fwd-status=${outcome.status}`;
  if (outcome.stored) value += '; stored';
  if (outcome.collapsed) value += '; collapsed';
  if (outcome.ttlMs !== undefined) value += `; ttl=${seconds(outcome.ttlMs)}`;
  value += keyParameter(outcome.key);
  if (outcome.detail !== undefined) value += `; detail=${outcome.detail}`;
  return value;
}

/** Section 2.7, as a structured-field string: what that cannot hold becomes a question mark. */
function keyParameter(key: string | undefined): string {
  if (key === undefined) return '';
  const printable = key.slice(0, MAX_KEY_LENGTH).replace(/[^\x20-\x7e]/g, '?');
  return `; key="${printable.replace(/["\\]/g, '\\$&')}"`;
}

const MAX_KEY_LENGTH = 1000;

/** A structured-field integer: at most 15 digits (RFC 9651 section 3.3.1), and no lifetime comes near that. */
function seconds(ms: number): number {
  return Math.floor(ms / 1000);
}

/** How a request that was not answered from the cache went forward, from the judgement of what was stored. */
export function forwardReason(reason: StaleReason | BypassReason | 'purged'): ForwardReason {
  switch (reason) {
    case 'request-no-cache':
    case 'request-max-age':
    case 'request-min-fresh':
      return 'request';
    case 'expired':
    case 'no-cache':
    case 'clock-set-back':
      return 'stale';
    case 'purged':
      return 'uri-miss';
    case 'method':
      return 'method';
    case 'policy':
    case 'bypass-rule':
    case 'has-request-body':
    case 'method-override':
    case 'upgrade':
    case 'precondition':
      return 'bypass';
  }
}
