// Partial content: what a 206 says that it brings, and by what two of them are known to be of one version (RFC 9110 sections 8.8.2.2,
// 14.4 and 15.3.7, RFC 9111 section 3.4). Bytes are the only range unit.
import { countField, type FieldList, field, withoutFields } from '../fields.ts';
import type { StoredHead } from './entry.ts';

/** Positions of the first and the last byte. */
export interface ContentRange {
  readonly first: number;
  readonly last: number;
  /** Of the whole representation; undefined where the origin does not know it. */
  readonly completeLength: number | undefined;
}

/** Bytes that a position may have digits for: 2^53 is beyond any file. */
const CONTENT_RANGE = /^bytes (\d{1,15})-(\d{1,15})\/(?:(\d{1,15})|\*)$/i;

/** RFC 9110 section 14.4; undefined for what is not one satisfied range of bytes. */
export function parseContentRange(value: string): ContentRange | undefined {
  const match = CONTENT_RANGE.exec(value);
  if (!match) return undefined;
  const [first, last] = [Number(match[1]), Number(match[2])];
  const completeLength = match[3] === undefined ? undefined : Number(match[3]);
  if (last < first || (completeLength !== undefined && completeLength <= last)) return undefined;
  return { first, last, completeLength };
}

export type PartReading =
  | { readonly kind: 'part'; readonly range: ContentRange }
  | { readonly kind: 'unusable'; readonly reason: 'multipart' | 'content-range' | 'length' };

/** What a 206 with these fields brings (section 15.3.7). */
export function readPart(fields206: FieldList): PartReading {
  const type = field(fields206, 'content-type') ?? '';
  if (/^multipart\/byteranges\b/i.test(type)) return { kind: 'unusable', reason: 'multipart' };
  const range = parseContentRange(field(fields206, 'content-range') ?? '');
  if (!range || countField(fields206, 'content-range') > 1) return { kind: 'unusable', reason: 'content-range' };
  const length = field(fields206, 'content-length');
  if (length !== undefined && length !== String(range.last - range.first + 1)) {
    return { kind: 'unusable', reason: 'length' };
  }
  return { kind: 'part', range };
}

/** A date is a strong validator only where it lies this long before Date (RFC 9110 section 8.8.2.2). */
const STRONG_DATE_MS = 60_000;

/** The entity tag, if it is strong, else, where there is none, Last-Modified, if that is; as text. */
export function strongValidator(head: StoredHead): string | undefined {
  if (head.etag !== undefined) return head.etag.startsWith('W/') ? undefined : head.etag;
  const { lastModified, lastModifiedMs, dateMs } = head;
  return lastModifiedMs !== undefined && lastModifiedMs + STRONG_DATE_MS <= dateMs ? lastModified : undefined;
}

/** RFC 9111 section 3.4: whether an answer with these fields is of the version that `head` is of; never without a strong validator. */
export function isSameVersion(head: StoredHead, fields: FieldList): boolean {
  const validator = strongValidator(head);
  if (validator === undefined) return false;
  const etag = field(fields, 'etag');
  if (head.etag !== undefined) return etag === validator;
  return etag === undefined && field(fields, 'last-modified') === validator;
}

const OF_THE_PART: ReadonlySet<string> = new Set(['content-range', 'content-length']);

/** The fields of a part as they are kept with the whole: what describes the part alone is left out. */
export function wholeFields(fields206: FieldList): string[] {
  return withoutFields(fields206, OF_THE_PART);
}
