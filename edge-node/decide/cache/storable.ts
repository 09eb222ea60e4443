// Whether a response may be stored in a shared cache (RFC 9111 section 3). For how long it is then fresh: lifetime.ts.
import { FieldMemo } from '../field-memo.ts';
import { combinedField, type FieldList, field } from '../fields.ts';
import type { CacheControl } from './cache-control.ts';
import { staleWindow } from './freshness.ts';
import { freshnessLifetime, HEURISTICALLY_CACHEABLE, type LifetimeSource } from './lifetime.ts';
import { type CacheRules, isBypassed } from './policy.ts';
import { type RequestBar, requestBar, requestDirectives } from './request.ts';
import { parseTags } from './tags.ts';
import { effectiveControl } from './targeted.ts';
import { mergeVary, parseVary } from './vary.ts';

export type SkipReason =
  | 'policy'
  | 'method'
  | RequestBar
  | 'bypass-rule'
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
  /** More surrogate keys than are kept, or one that is none: it could not be purged. */
  | 'tags'
  | 'no-freshness-or-validator';

export type StoreDecision =
  | {
      readonly kind: 'store';
      /** Milliseconds; 0: only to be used after validation. */
      readonly lifetimeMs: number;
      readonly lifetimeSource: LifetimeSource;
      /** Field names in lower case, sorted, each once. */
      readonly vary: readonly string[];
      /** The route's windows (RFC 5861), where it has any. */
      readonly staleWhileRevalidateMs?: number | undefined;
      readonly staleIfErrorMs?: number | undefined;
    }
  | { readonly kind: 'skip'; readonly reason: SkipReason };

export interface StoreQuestion {
  readonly method: string;
  readonly requestFields: FieldList;
  readonly status: number;
  readonly responseFields: FieldList;
  readonly policy: CacheRules;
  /** Canonical target of the request, for rules that look at its query. */
  readonly target?: string;
  /** Unix milliseconds. */
  readonly requestedAt: number;
  readonly receivedAt: number;
}

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

/** RFC 9111 section 3: may this answer be stored, and for how long is it fresh? */
export function decideStore(question: StoreQuestion): StoreDecision {
  const { method, requestFields, status, responseFields, policy } = question;
  const target = policy.bypass === undefined ? undefined : question.target;
  const known = passed.find(responseFields);
  const same =
    known?.requestFields === requestFields &&
    known.status === status &&
    known.method === method &&
    known.policy === policy &&
    known.target === target;
  if (same) return known.decision;
  const decision = decide(question);
  // These two may be so because of the time.
  if (decision.kind === 'skip' && decision.reason !== 'no-freshness-or-validator' && decision.reason !== 'status') {
    passed.keep(responseFields, { method, requestFields, status, policy, target, decision });
  }
  return decision;
}

/** An answer that is not to be stored, with all that this depends on beside its fields. */
type Passed = Pick<StoreQuestion, 'method' | 'requestFields' | 'status' | 'policy'> & {
  readonly target: string | undefined;
  readonly decision: StoreDecision;
};

/** Such answers mostly come again. */
const passed = new FieldMemo<Passed>();

function decide(question: StoreQuestion): StoreDecision {
  const { method, requestFields, status, responseFields, policy } = question;
  if (!policy.enabled) return skip('policy');
  if (method !== 'GET') return skip('method');
  const bar = requestBar(requestFields);
  if (bar !== undefined) return skip(bar);
  if (policy.bypass && isBypassed(policy.bypass, requestFields, question.target ?? '')) return skip('bypass-rule');
  if (requestDirectives(requestFields).noStore) return skip('request-no-store');
  if (status === 206) return skip('partial');
  if (status < 200 || status > 599 || NEVER_STORED.has(status)) return skip('status');
  const { control, targeted } = effectiveControl(responseFields);
  const barred = barredFromSharing(control, status, requestFields, responseFields);
  if (barred !== undefined) return skip(barred);
  const vary = parseVary(combinedField(responseFields, 'vary'));
  if (vary === 'any') return skip('vary-star');
  if (parseTags(responseFields).kind === 'refused') return skip('tags');
  const lifetime = freshnessLifetime(control, targeted, question);
  if (lifetime === undefined) return skip('status');
  if (!isOfUse(lifetime.lifetimeMs, control, question)) return skip('no-freshness-or-validator');
  const { staleWhileRevalidateMs, staleIfErrorMs } = policy;
  const windows = {
    ...(staleWhileRevalidateMs !== undefined && { staleWhileRevalidateMs }),
    ...(staleIfErrorMs !== undefined && { staleIfErrorMs }),
  };
  return { kind: 'store', ...lifetime, vary: mergeVary(vary, policy.key?.vary ?? []), ...windows };
}

function skip(reason: SkipReason): StoreDecision {
  return { kind: 'skip', reason };
}

/** Why a shared cache may not keep this answer, if it may not; what sections 3 and 3.5 say of directives and Authorization. */
export function barredFromSharing(
  control: CacheControl,
  status: number,
  requestFields: FieldList,
  responseFields: FieldList,
): 'must-understand' | 'no-store' | 'private' | 'set-cookie' | 'authorization' | undefined {
  // Section 5.2.2.3: who understands the status ignores the no-store that comes along for those who do not.
  if (control.mustUnderstand && !UNDERSTOOD.has(status)) return 'must-understand';
  if (control.noStore && !control.mustUnderstand) return 'no-store';
  if (control.private) return 'private';
  // Stricter than section 7.3 asks: a cookie is for one client, whatever else the answer says, unless it is not kept.
  const cookieKept = !control.privateFields.includes('set-cookie') && !control.noCacheFields.includes('set-cookie');
  if (cookieKept && field(responseFields, 'set-cookie') !== undefined) return 'set-cookie';
  // Section 3.5.
  const shared = control.public || control.mustRevalidate || control.sMaxAgeMs !== undefined;
  if (field(requestFields, 'authorization') !== undefined && !shared) return 'authorization';
  return undefined;
}

/** Fresh for a while, or to be validated, or of use while it is stale. */
function isOfUse(lifetimeMs: number, control: CacheControl, { responseFields, policy }: StoreQuestion): boolean {
  if (lifetimeMs > 0 && !control.noCache) return true;
  if (field(responseFields, 'etag') !== undefined || field(responseFields, 'last-modified') !== undefined) return true;
  const { staleWhileRevalidateMs, staleIfErrorMs } = control;
  return (
    staleWindow(control, staleWhileRevalidateMs, policy.staleWhileRevalidateMs) > 0 ||
    staleWindow(control, staleIfErrorMs, policy.staleIfErrorMs) > 0
  );
}
