// Whether a response may be stored in a shared cache, and how long it is then fresh (RFC 9111 sections 3 and 4.2).
import { combinedField, type FieldList, field } from '../fields.ts';
import { type CacheControl, parseCacheControl } from './cache-control.ts';
import { parseHttpDate } from './http-date.ts';
import { type RequestBar, requestBar, requestDirectives } from './request.ts';
import { parseVary } from './vary.ts';

export type SkipReason =
  | 'policy'
  | 'method'
  | RequestBar
  | 'request-no-store'
  | 'partial'
  /** Not final, made for this request alone, or (without a word from the origin) not cacheable by default. */
  | 'status'
  | 'no-store'
  | 'must-understand'
  | 'private'
  | 'authorization'
  | 'set-cookie'
  | 'vary-star'
  | 'no-freshness-or-validator';

export type LifetimeSource = 's-maxage' | 'max-age' | 'expires' | 'default-ttl' | 'heuristic' | 'none';

export type StoreDecision =
  | {
      readonly kind: 'store';
      /** Milliseconds; 0: only to be used after validation. */
      readonly lifetimeMs: number;
      readonly lifetimeSource: LifetimeSource;
      /** Field names in lower case, sorted, each once. */
      readonly vary: readonly string[];
    }
  | { readonly kind: 'skip'; readonly reason: SkipReason };

export interface StoreQuestion {
  readonly method: string;
  readonly requestFields: FieldList;
  readonly status: number;
  readonly responseFields: FieldList;
  /** `defaultTtlMs`: for a response that states no freshness; 0: the heuristic. */
  readonly policy: { readonly enabled: boolean; readonly defaultTtlMs: number };
  /** Unix milliseconds. */
  readonly requestedAt: number;
  readonly receivedAt: number;
}

/** RFC 9110 section 15.1, without 206: parts are not stored. */
const HEURISTICALLY_CACHEABLE: ReadonlySet<number> = new Set([200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501]);

/** Whose requirements on caching are met here, for must-understand (RFC 9111 section 5.2.2.3). */
const UNDERSTOOD: ReadonlySet<number> = new Set([
  ...HEURISTICALLY_CACHEABLE,
  302,
  303,
  307,
  400,
  403,
  500,
  502,
  503,
  504,
]);

/** Answers to a condition, a range or a proxy's challenge: they depend on what is not in the key. */
const NEVER_STORED: ReadonlySet<number> = new Set([304, 407, 412, 416, 417, 421, 425]);

const HEURISTIC_FRACTION = 0.1;
const HEURISTIC_MAX_MS = 86_400_000;

/** RFC 9111 section 3: may this answer be stored, and for how long is it fresh? */
export function decideStore(question: StoreQuestion): StoreDecision {
  const { method, requestFields, status, responseFields, policy } = question;
  if (!policy.enabled) return skip('policy');
  if (method !== 'GET') return skip('method');
  const bar = requestBar(requestFields);
  if (bar !== undefined) return skip(bar);
  if (requestDirectives(requestFields).noStore) return skip('request-no-store');
  if (status === 206) return skip('partial');
  if (status < 200 || status > 599 || NEVER_STORED.has(status)) return skip('status');
  const control = parseCacheControl(combinedField(responseFields, 'cache-control'));
  const barred = barredFromSharing(control, status, requestFields, responseFields);
  if (barred !== undefined) return skip(barred);
  const vary = parseVary(combinedField(responseFields, 'vary'));
  if (vary === 'any') return skip('vary-star');
  const lifetime = freshnessLifetime(control, question);
  if (lifetime === undefined) return skip('status');
  const usableAsItIs = lifetime.lifetimeMs > 0 && !control.noCache;
  if (!usableAsItIs && !hasValidator(responseFields)) return skip('no-freshness-or-validator');
  return { kind: 'store', ...lifetime, vary };
}

function skip(reason: SkipReason): StoreDecision {
  return { kind: 'skip', reason };
}

function barredFromSharing(
  control: CacheControl,
  status: number,
  requestFields: FieldList,
  responseFields: FieldList,
): SkipReason | undefined {
  // Section 5.2.2.3: who understands the status ignores the no-store that comes along for those who do not.
  if (control.mustUnderstand && !UNDERSTOOD.has(status)) return 'must-understand';
  if (control.noStore && !control.mustUnderstand) return 'no-store';
  if (control.private) return 'private';
  // Stricter than section 7.3 asks: a cookie is for one client, whatever else the answer says.
  if (field(responseFields, 'set-cookie') !== undefined) return 'set-cookie';
  // Section 3.5.
  const shared = control.public || control.mustRevalidate || control.sMaxAgeMs !== undefined;
  if (field(requestFields, 'authorization') !== undefined && !shared) return 'authorization';
  return undefined;
}

/**
 * RFC 9111 section 4.2.1, for a shared cache: s-maxage, else max-age, else Expires less Date, else the operator's default,
 * else the heuristic of section 4.2.2 (a tenth of the age of Last-Modified, at most a day). Undefined when the status is
 * not cacheable by default and the origin says nothing that makes it so.
 */
function freshnessLifetime(
  control: CacheControl,
  { status, responseFields, policy, receivedAt }: StoreQuestion,
): { lifetimeMs: number; lifetimeSource: LifetimeSource } | undefined {
  if (control.sMaxAgeMs !== undefined) return { lifetimeMs: control.sMaxAgeMs, lifetimeSource: 's-maxage' };
  if (control.maxAgeMs !== undefined) return { lifetimeMs: control.maxAgeMs, lifetimeSource: 'max-age' };
  const date = parseHttpDate(field(responseFields, 'date'), receivedAt) ?? receivedAt;
  const expires = field(responseFields, 'expires');
  if (expires !== undefined) {
    // Section 5.3: what cannot be read, such as "0", has expired already.
    const expiry = parseHttpDate(expires, receivedAt) ?? date;
    return { lifetimeMs: Math.max(0, expiry - date), lifetimeSource: 'expires' };
  }
  if (!HEURISTICALLY_CACHEABLE.has(status) && !control.public) return undefined;
  if (policy.defaultTtlMs > 0) return { lifetimeMs: policy.defaultTtlMs, lifetimeSource: 'default-ttl' };
  const modified = parseHttpDate(field(responseFields, 'last-modified'), receivedAt);
  if (modified === undefined || modified >= date) return { lifetimeMs: 0, lifetimeSource: 'none' };
  const lifetimeMs = Math.min(HEURISTIC_MAX_MS, Math.floor((date - modified) * HEURISTIC_FRACTION));
  return { lifetimeMs, lifetimeSource: 'heuristic' };
}

function hasValidator(fields: FieldList): boolean {
  return field(fields, 'etag') !== undefined || field(fields, 'last-modified') !== undefined;
}
