// What an operator says of caching on a route, made ready once for each snapshot: which requests bypass the cache, what of a
// request is part of the key, and which bounds freshness has.
import type { CachePolicy } from '../../../proto/gen/meridian/v1/resources.ts';
import type { FieldList } from '../fields.ts';
import { DEFAULT_SLICE_BYTES } from './slices.ts';

/** Durations are milliseconds; those that are absent change nothing. */
export interface CacheRules {
  readonly enabled: boolean;
  /** Freshness of what states none; 0: the heuristic of RFC 9111 section 4.2.2. */
  readonly defaultTtlMs: number;
  /** Floor under, and ceiling over, whatever freshness an answer has. The floor is for answers below 400. */
  readonly minTtlMs?: number | undefined;
  readonly maxTtlMs?: number | undefined;
  /** In place of what an answer below 400 states. */
  readonly overrideTtlMs?: number | undefined;
  /** Freshness of an answer of 400 or more that states none. */
  readonly negativeTtlMs?: number | undefined;
  /** RFC 5861 windows for answers that state none. */
  readonly staleWhileRevalidateMs?: number | undefined;
  readonly staleIfErrorMs?: number | undefined;
  /** Size of the slices of large answers; 0 or absent: there are none. */
  readonly sliceBytes?: number | undefined;
  readonly key?: KeyRules | undefined;
  readonly bypass?: BypassRules | undefined;
}

export interface KeyRules {
  /** Which parameters of a query count. */
  readonly query: 'all' | 'none' | ReadonlySet<string>;
  readonly sortQuery: boolean;
  /** Names that every answer varies by, as `varyValues` takes them; sorted. */
  readonly vary: readonly string[];
}

/** A request that has one of these bypasses the cache, and its answer is not kept. */
export interface BypassRules {
  readonly cookies: readonly string[];
  /** Lower case. */
  readonly headers: readonly string[];
  readonly query: readonly string[];
}

/** Among names to vary by: one cookie. No field name has a semicolon. */
export const COOKIE_PREFIX = 'cookie;';

export function compileCachePolicy(policy: CachePolicy): CacheRules {
  const { key, bypass, sliceBytes = DEFAULT_SLICE_BYTES, ...rest } = policy;
  return { ...rest, sliceBytes, key: key && compileKey(key), bypass: bypass && compileBypass(bypass) };
}

function compileKey(key: NonNullable<CachePolicy['key']>): KeyRules {
  const names = [...key.headers, ...key.cookies.map((name) => COOKIE_PREFIX + name)];
  let query: KeyRules['query'] = key.queryAllow.length > 0 ? new Set(key.queryAllow) : 'all';
  if (key.ignoreQuery) query = 'none';
  return { query, sortQuery: key.sortQuery, vary: [...new Set(names)].toSorted() };
}

function compileBypass({ cookies, headers, query }: NonNullable<CachePolicy['bypass']>): BypassRules | undefined {
  return cookies.length + headers.length + query.length === 0 ? undefined : { cookies, headers, query };
}

/** Whether a request for `target` (canonical) with `fields` is one that the rules keep away from the cache. */
export function isBypassed(rules: BypassRules, fields: FieldList, target: string): boolean {
  const { cookies, headers, query } = rules;
  for (let i = 0; i < fields.length; i += 2) if (headers.includes(fields[i] ?? '')) return true;
  if (cookies.length > 0) {
    const cookie = combinedCookies(fields);
    if (cookie !== undefined && cookies.some((name) => cookieValue(cookie, name) !== undefined)) return true;
  }
  const mark = query.length === 0 ? -1 : target.indexOf('?');
  return mark !== -1 && parameters(target, mark).some((parameter) => query.includes(parameterName(parameter)));
}

/**
 * What of `target` (canonical) chooses the resource. The origin is to be asked for this and no more: what it cannot see
 * cannot get into an answer that others are given.
 */
export function keyTarget(rules: KeyRules, target: string): string {
  const mark = target.indexOf('?');
  if (mark === -1 || (rules.query === 'all' && !rules.sortQuery)) return target;
  const path = target.slice(0, mark);
  const { query } = rules;
  if (query === 'none') return path;
  const all = parameters(target, mark);
  const kept = query === 'all' ? all : all.filter((parameter) => query.has(parameterName(parameter)));
  // Stable: the order among parameters of one name may mean something.
  if (rules.sortQuery) kept.sort((a, b) => compare(parameterName(a), parameterName(b)));
  return kept.length === 0 ? path : `${path}?${kept.join('&')}`;
}

function parameters(target: string, mark: number): string[] {
  return target
    .slice(mark + 1)
    .split('&')
    .filter((parameter) => parameter !== '');
}

function parameterName(parameter: string): string {
  const equals = parameter.indexOf('=');
  return equals === -1 ? parameter : parameter.slice(0, equals);
}

function compare(a: string, b: string): number {
  return Number(a > b) - Number(a < b);
}

/** Cookie lines joined as RFC 9113 section 8.2.3 joins them; undefined when there is none. */
export function combinedCookies(fields: FieldList): string | undefined {
  let cookies: string | undefined;
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i] === 'cookie') cookies = cookies === undefined ? fields[i + 1] : `${cookies}; ${fields[i + 1]}`;
  }
  return cookies;
}

/** The value of the first cookie called `name`; undefined when there is none. */
export function cookieValue(cookies: string, name: string): string | undefined {
  for (const pair of cookies.split(';')) {
    const equals = pair.indexOf('=');
    if (equals !== -1 && pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim();
  }
  return undefined;
}
