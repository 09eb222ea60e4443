// Conditional requests (RFC 9110 section 13): those that the cache sends to validate what it holds, and those of clients that
// it answers with 304 from what it holds.
import { combinedField, type FieldList, field } from '../fields.ts';
import type { StoredHead } from './entry.ts';
import { parseHttpDate } from './http-date.ts';

/** The fields to send to validate `entry` (RFC 9111 section 4.3.1); empty when it has no validator. */
export function conditionalFields(entry: StoredHead): string[] {
  const fields: string[] = [];
  if (entry.etag !== undefined) fields.push('if-none-match', entry.etag);
  if (entry.lastModified !== undefined && entry.lastModifiedMs !== undefined) {
    fields.push('if-modified-since', entry.lastModified);
  }
  return fields;
}

/** Tags that one question may name, and characters of all together: what is not named is asked for anew. */
const MAX_TAGS = 20;
const MAX_TAGS_LENGTH = 2000;

/**
 * The fields to send to validate whichever of `entries` is still current: all variants stored for a URL, when none of them was
 * chosen (section 4.1). Entity tags only, as section 4.3.1 says for more than one; those received last first.
 */
export function conditionalFieldsOf(entries: readonly StoredHead[]): string[] {
  const [only] = entries;
  if (only !== undefined && entries.length === 1) return conditionalFields(only);
  const tags = new Set<string>();
  let length = 0;
  for (const { etag } of entries.toSorted((a, b) => b.receivedAt - a.receivedAt)) {
    if (etag === undefined || tags.has(etag)) continue;
    length += etag.length + 2;
    if (tags.size === MAX_TAGS || length > MAX_TAGS_LENGTH) break;
    tags.add(etag);
  }
  return tags.size === 0 ? [] : ['if-none-match', [...tags].join(', ')];
}

/**
 * Which of `candidates` a 304 makes current again (section 4.3.4): all that have its strong tag, or the most recent of those
 * that its weak tag or its date names, or, where it names nothing, the only one.
 */
export function selectFor304<T extends { readonly head: StoredHead }>(
  candidates: readonly T[],
  fields304: FieldList,
): readonly T[] {
  const etag = field(fields304, 'etag');
  if (etag === undefined && field(fields304, 'last-modified') === undefined && candidates.length > 1) return [];
  const named = candidates.filter(({ head }) => speaksOf(fields304, head));
  if (named.length <= 1 || (etag !== undefined && !etag.startsWith('W/'))) return named;
  return named.toSorted((a, b) => b.head.dateMs - a.head.dateMs || b.head.receivedAt - a.head.receivedAt).slice(0, 1);
}

/** Those of a request that a cache can judge, each line joined with the others of its name. */
export interface Conditions {
  readonly ifNoneMatch: string | undefined;
  readonly ifModifiedSince: string | undefined;
}

export function conditionsOf(requestFields: FieldList): Conditions {
  return {
    ifNoneMatch: combinedField(requestFields, 'if-none-match'),
    ifModifiedSince: combinedField(requestFields, 'if-modified-since'),
  };
}

/** `isUnchanged`, for GET and HEAD; other methods have other answers to a condition. */
export function notModified(method: string, requestFields: FieldList, entry: StoredHead): boolean {
  return (method === 'GET' || method === 'HEAD') && isUnchanged(conditionsOf(requestFields), entry);
}

/**
 * Whether a request that `entry` answers is to be answered with 304: RFC 9110 section 13.2.2, steps 3 and 4. If-None-Match,
 * where there is one, decides alone. Conditions of an answer that is not successful count for nothing (section 13.2.1).
 */
export function isUnchanged({ ifNoneMatch, ifModifiedSince: since }: Conditions, entry: StoredHead): boolean {
  if (entry.status < 200 || entry.status > 299) return false;
  if (ifNoneMatch !== undefined) return listsTag(ifNoneMatch, entry.etag);
  if (since === undefined) return false;
  // The date that most clients send is the very text that they were given.
  if (since === entry.lastModified && entry.lastModifiedMs !== undefined) return true;
  const sinceMs = parseHttpDate(since, entry.receivedAt);
  // RFC 9111 section 4.3.2: without Last-Modified, Date stands in.
  return sinceMs !== undefined && (entry.lastModifiedMs ?? entry.dateMs) <= sinceMs;
}

/** Whether {@link notModified} could be true of a request with these fields. */
export function hasConditions(requestFields: FieldList): boolean {
  for (let i = 0; i < requestFields.length; i += 2) {
    const name = requestFields[i];
    if (name === 'if-none-match' || name === 'if-modified-since') return true;
  }
  return false;
}

/** RFC 9110 section 13.1.2: `*`, or a list with a tag that equals `etag` by weak comparison. Broken lists match nothing more. */
function listsTag(list: string, etag: string | undefined): boolean {
  // What most clients send is the very tag that they were given.
  if (list === etag || list.trim() === '*') return true;
  if (etag === undefined) return false;
  const wanted = opaque(etag);
  let at = 0;
  while (at < list.length) {
    const character = list[at];
    if (character === ' ' || character === '\t' || character === ',') {
      at += 1;
      continue;
    }
    const open = list.startsWith('W/', at) ? at + 2 : at;
    const close = list[open] === '"' ? list.indexOf('"', open + 1) : -1;
    if (close === -1) return false;
    if (list.slice(open, close + 1) === wanted) return true;
    at = close + 1;
  }
  return false;
}

function opaque(etag: string): string {
  return etag.startsWith('W/') ? etag.slice(2) : etag;
}

/**
 * Whether a 304 speaks of `entry` (RFC 9111 section 4.3.4): its validators are those of `entry`. One that states none is
 * taken to, more generously than the RFC: exactly one response was named in the request, and many origins leave them out.
 */
export function speaksOf(fields304: FieldList, entry: StoredHead): boolean {
  const etag = field(fields304, 'etag');
  if (etag !== undefined && entry.etag !== undefined) {
    // A strong tag names these very bytes: it is not that of an entry known by a weak one.
    return etag.startsWith('W/') ? opaque(etag) === opaque(entry.etag) : etag === entry.etag;
  }
  if (etag !== undefined) return false;
  const lastModified = field(fields304, 'last-modified');
  return lastModified === undefined || entry.lastModified === undefined || lastModified === entry.lastModified;
}

/** RFC 9110 section 15.4.5: what a 304 repeats of the 200 that it stands for, as a copy. */
export function notModifiedFields(entry: StoredHead): string[] {
  const kept: string[] = [];
  for (let i = 0; i < entry.fields.length; i += 2) {
    const name = entry.fields[i] ?? '';
    if (REPEATED_IN_304.has(name)) kept.push(name, entry.fields[i + 1] ?? '');
  }
  return kept;
}

/** Last-Modified too: of use where there is no ETag, and harmless elsewhere. */
const REPEATED_IN_304: ReadonlySet<string> = new Set([
  'cache-control',
  'content-location',
  'date',
  'etag',
  'expires',
  'last-modified',
  'vary',
]);
