// Conditional requests (RFC 9110 section 13): those that the cache sends to validate what it holds, and those of clients that
// it answers with 304 from what it holds.
import { combinedField, type FieldList, field } from '../fields.ts';
import type { StoredHead } from './entry.ts';
import { parseHttpDate } from './http-date.ts';
import { COOKIE_PREFIX } from './policy.ts';
import { hasVaryValue } from './vary.ts';

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
const MAX_TAGS = 8;
const MAX_TAGS_LENGTH = 1000;

/** RFC 9110 section 8.8.3; one that is none would break a list. */
const ENTITY_TAG = /^(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"$/;

/**
 * Which of `stored`, the variants of one URL, none of them for this request, an origin is asked about: whether one is what it would
 * answer with (RFC 9111 section 4.1). Those received last first, each entity tag once. Never by date: two languages may well be of
 * the same second. `ofRoute`: names that the route adds to what answers vary by.
 */
export function askedAbout<T extends { readonly head: StoredHead }>(
  stored: readonly T[],
  requestFields: FieldList,
  ofRoute: readonly string[] = [],
): readonly T[] {
  const agrees = ({ vary, variant }: StoredHead): boolean =>
    vary.every((name) => !mustAgree(name, ofRoute) || hasVaryValue(variant, name, requestFields));
  const asked = new Map<string, T>();
  let length = 0;
  for (const entry of stored.toSorted((a, b) => b.head.receivedAt - a.head.receivedAt)) {
    const { etag } = entry.head;
    if (etag === undefined || asked.has(etag) || !mayAnswer(entry.head, etag) || !agrees(entry.head)) continue;
    length += etag.length + 2;
    if (asked.size === MAX_TAGS || length > MAX_TAGS_LENGTH) break;
    asked.set(etag, entry);
  }
  return [...asked.values()];
}

/** A 304 stands for a 200, and only what is stored as a whole can be made into an answer. */
function mayAnswer({ status, slices }: StoredHead, etag: string): boolean {
  return status === 200 && slices === undefined && ENTITY_TAG.test(etag);
}

/**
 * Too many origins give one tag to a version, in whatever coding and for whomever: such a one must not have us give gzip to a client
 * that cannot read it, nor what is one user's to another. One that does not even say what its answers vary by is not trusted to
 * tell them apart.
 */
function mustAgree(name: string, ofRoute: readonly string[]): boolean {
  const ofClient = name === 'accept-encoding' || name === 'authorization' || name === 'cookie';
  // A route that added a cookie to the key may not do so any more.
  return ofClient || name.startsWith(COOKIE_PREFIX) || ofRoute.includes(name);
}

/** The field to send to validate all of `asked`; none where there are none. */
export function tagsField(asked: readonly { readonly head: StoredHead }[]): string[] {
  return asked.length === 0 ? [] : ['if-none-match', asked.map(({ head }) => head.etag).join(', ')];
}

/**
 * Which of those `asked` about a 304 says is current (RFC 9111 section 4.3.4): the one with its strong tag, or the most recent that
 * its weak tag matches, or, where it names none, the only one. Its date says nothing: it was not asked by one.
 */
export function selectFor304<T extends { readonly head: StoredHead }>(
  asked: readonly T[],
  fields304: FieldList,
): T | undefined {
  if (asked.length > 1 && field(fields304, 'etag') === undefined) return undefined;
  return asked.find(({ head }) => speaksOf(fields304, head));
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
