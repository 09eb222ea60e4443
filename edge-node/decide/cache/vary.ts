// Which of the responses stored under one key answers a request (RFC 9111 section 4.1), from Vary and the request's fields.
import { combinedField, type FieldList, listMembers } from '../fields.ts';
import { isToken } from './cache-control.ts';
import type { CacheEntry } from './entry.ts';
import { normalised } from './negotiation.ts';
import { COOKIE_PREFIX, combinedCookies, cookieValue } from './policy.ts';

/** Names in lower case, sorted, each once; `any` for `*` and for what is not a list of field names. */
export function parseVary(value: string | undefined): readonly string[] | 'any' {
  if (value === undefined) return NO_NAMES;
  const names = new Set<string>();
  for (const member of listMembers(value.toLowerCase())) {
    if (member === '*' || !isToken(member)) return 'any';
    names.add(member);
  }
  return names.size === 0 ? NO_NAMES : [...names].toSorted();
}

const NO_NAMES: readonly string[] = Object.freeze([]);

/** Names that a response varies by, and those that the route adds (`KeyRules`), sorted, each once. */
export function mergeVary(vary: readonly string[], ofRoute: readonly string[]): readonly string[] {
  return ofRoute.length === 0 ? vary : [...new Set([...vary, ...ofRoute])].toSorted();
}

/**
 * The secondary key: one line for each name in `vary` with the request's value, normalised; the line of a field that the
 * request does not have differs from that of an empty one. '' when `vary` is empty. A name may be that of one cookie.
 */
export function varyValues(vary: readonly string[], requestFields: FieldList): string {
  let values = '';
  for (const name of vary) {
    const value = selecting(name, requestFields);
    // A name holds no colon and neither part a line feed, so no two requests share a key by accident.
    values += value === undefined ? `${name}\n` : `${name}:${value}\n`;
  }
  return values;
}

function selecting(name: string, requestFields: FieldList): string | undefined {
  if (name.startsWith(COOKIE_PREFIX)) {
    const cookies = combinedCookies(requestFields);
    return cookies === undefined ? undefined : cookieValue(cookies, name.slice(COOKIE_PREFIX.length));
  }
  const value = combinedField(requestFields, name);
  return value === undefined ? undefined : normalised(name, value);
}

/** Whether `variant`, of {@link varyValues}, is that of a request with the same value of `name` as this one. */
export function hasVaryValue(variant: string, name: string, requestFields: FieldList): boolean {
  return `\n${variant}`.includes(`\n${varyValues([name], requestFields)}`);
}

/** The entry that matches the request; of several the one with the most recent Date, then the one received last. */
export function selectVariant(entries: readonly CacheEntry[], requestFields: FieldList): CacheEntry | undefined {
  let selected: CacheEntry | undefined;
  let vary: readonly string[] = NO_NAMES;
  let values = '';
  for (let i = 0; i < entries.length; i += 1) {
    const entry = entries[i];
    if (entry === undefined) continue;
    const { head } = entry;
    // Variants of one resource mostly share one Vary: its values are then worked out once.
    if (!sameNames(head.vary, vary)) {
      vary = head.vary;
      values = varyValues(vary, requestFields);
    }
    if (head.variant !== values) continue;
    if (selected === undefined || isNewer(entry, selected)) selected = entry;
  }
  return selected;
}

function isNewer(entry: CacheEntry, other: CacheEntry): boolean {
  return (
    entry.head.dateMs - other.head.dateMs > 0 ||
    (entry.head.dateMs === other.head.dateMs && entry.head.receivedAt >= other.head.receivedAt)
  );
}

function sameNames(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i += 1) if (a[i] !== b[i]) return false;
  return true;
}
