// Which parts of a stored response a request asks for (RFC 9110 section 14), from Range, If-Range and the length of the body.
// What cannot be read, or asks for more than MAX_RANGES parts, counts as not there, so the answer is the whole: that is always
// right (section 14.2). Parts that overlap, or stand closer together than the lines between two parts take, become one
// (section 15.3.7.2). So an answer is never longer than the whole and those lines, whatever is asked for.
import { combinedField, type FieldList, field } from '../fields.ts';
import type { StoredHead } from './entry.ts';
import { parseHttpDate } from './http-date.ts';

export interface Part {
  /** The first byte, and the one after the last: 0 <= from < to <= length. */
  readonly from: number;
  readonly to: number;
}

export type RangeDecision =
  | { readonly kind: 'whole'; readonly reason: 'malformed' | 'too-many' | 'empty' | 'if-range' | 'not-offered' }
  /** In the order in which they were asked for. */
  | { readonly kind: 'parts'; readonly parts: readonly [Part, ...Part[]] }
  /** 416. */
  | { readonly kind: 'unsatisfiable' };

/** More in one request are a mistake or an attack. */
const MAX_RANGES = 16;
/** With empty ones. */
const MAX_MEMBERS = 2 * MAX_RANGES;
/** What stands between two parts, about. */
const GAP = 80;

const SPEC = /^(?:([0-9]+)-([0-9]*)|-([0-9]+))$/;
const UNIT = /^bytes=/i;

/** For a request that has Range and may be answered with 200 from `head` and a body of `length` bytes. */
export function decideRange(requestFields: FieldList, head: StoredHead, length: number): RangeDecision {
  if (field(head.fields, 'accept-ranges')?.toLowerCase() === 'none') return { kind: 'whole', reason: 'not-offered' };
  if (!ifRangeHolds(combinedField(requestFields, 'if-range'), head)) return { kind: 'whole', reason: 'if-range' };
  return parseRange(combinedField(requestFields, 'range') ?? '', length);
}

/** `range`: the value of the field. */
export function parseRange(range: string, length: number): RangeDecision {
  if (!UNIT.test(range)) return { kind: 'whole', reason: 'malformed' };
  const members = range.slice(range.indexOf('=') + 1).split(',', MAX_MEMBERS + 1);
  // Empty ones mean nothing (section 5.6.1.2).
  const specs = members.map(trimBlanks).filter((spec) => spec !== '');
  if (members.length > MAX_MEMBERS || specs.length > MAX_RANGES) return { kind: 'whole', reason: 'too-many' };
  if (specs.length === 0) return { kind: 'whole', reason: 'malformed' };
  const parts: Part[] = [];
  for (const spec of specs) {
    const [matched, first, last, suffix] = SPEC.exec(spec) ?? [];
    if (matched === undefined) return { kind: 'whole', reason: 'malformed' };
    // The last of nothing is there, but no Content-Range could say where.
    if (length === 0 && suffix !== undefined && Number(suffix) > 0) return { kind: 'whole', reason: 'empty' };
    const from = suffix === undefined ? Number(first) : Math.max(0, length - Number(suffix));
    const until = last === undefined || last === '' ? Number.POSITIVE_INFINITY : Number(last);
    if (suffix === undefined && until < from) return { kind: 'whole', reason: 'malformed' };
    if (from < length) add(parts, { from, to: Math.min(until + 1, length) });
  }
  const [one, ...others] = parts;
  return one === undefined ? { kind: 'unsatisfiable' } : { kind: 'parts', parts: [one, ...others] };
}

/** Joins `part` with all that it touches, in the place of the first of them. */
function add(parts: Part[], part: Part): void {
  let joined = part;
  let place = parts.length;
  for (let i = 0; i < parts.length; ) {
    const other = parts[i];
    if (other === undefined || other.from - joined.to >= GAP || joined.from - other.to >= GAP) {
      i += 1;
      continue;
    }
    joined = { from: Math.min(other.from, joined.from), to: Math.max(other.to, joined.to) };
    place = Math.min(place, i);
    parts.splice(i, 1);
    // It has grown: what it did not touch before, it may now.
    i = 0;
  }
  parts.splice(place, 0, joined);
}

function trimBlanks(text: string): string {
  return text.replace(/^[ \t]+|[ \t]+$/g, '');
}

/**
 * Whether a Range counts, given the request's If-Range (section 13.1.5; undefined: there is none): a strong entity tag that is
 * the stored one, or the very Last-Modified, if that is old enough at Date to stand for one version alone (section 8.8.2.2).
 */
export function ifRangeHolds(ifRange: string | undefined, head: StoredHead): boolean {
  if (ifRange === undefined) return true;
  if (ifRange.startsWith('"')) return ifRange === head.etag;
  const { lastModified, lastModifiedMs } = head;
  if (lastModified === undefined || lastModifiedMs === undefined || head.dateMs - lastModifiedMs < 1000) return false;
  return ifRange === lastModified || parseHttpDate(ifRange, head.receivedAt) === lastModifiedMs;
}

/** The value of Content-Range (section 14.4); without a part, that of a 416. */
export function contentRange(part: Part | undefined, length: number): string {
  return part === undefined ? `bytes */${length}` : `bytes ${part.from}-${part.to - 1}/${length}`;
}

/** What stands before each part of a multipart/byteranges body, and at its end (section 14.6). */
export function partHeads(
  parts: readonly Part[],
  type: string | undefined,
  length: number,
  boundary: string,
): string[] {
  const typeLine = type === undefined ? '' : `content-type: ${type}\r\n`;
  const heads = parts.map((part, index) => {
    const delimiter = `${index === 0 ? '' : '\r\n'}--${boundary}\r\n`;
    return `${delimiter}${typeLine}content-range: ${contentRange(part, length)}\r\n\r\n`;
  });
  return [...heads, `\r\n--${boundary}--\r\n`];
}
