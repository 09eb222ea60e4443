// Partial content: which 206 may be kept, what its parts make together, and what is still missing (RFC 9111 sections 3.3 and
// 3.4, RFC 9110 sections 13.1.5, 14.4 and 15.3.7). Bytes are the only range unit.
import { countField, type FieldList, field } from '../fields.ts';
import type { StoredHead } from './entry.ts';
import { decideStore, type SkipReason, type StoreDecision, type StoreQuestion } from './storable.ts';

/** Positions of the first and the last byte. */
export interface Part {
  readonly first: number;
  readonly last: number;
}

export interface ContentRange extends Part {
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

export type PartDecision =
  | (Extract<StoreDecision, { kind: 'store' }> & { readonly range: ContentRange })
  | { readonly kind: 'skip'; readonly reason: SkipReason | 'multipart' | 'content-range' | 'length' };

/**
 * Section 3.3: whether a 206 may be kept, as a 200 that is known to be incomplete. Without a strong validator too: it then
 * answers only what lies within it, and is never combined.
 */
export function decideStorePart(question: StoreQuestion): PartDecision {
  const { status, responseFields } = question;
  if (status !== 206) return { kind: 'skip', reason: 'status' };
  const type = field(responseFields, 'content-type') ?? '';
  if (/^multipart\/byteranges\b/i.test(type)) return { kind: 'skip', reason: 'multipart' };
  const range = parseContentRange(field(responseFields, 'content-range') ?? '');
  if (!range || countField(responseFields, 'content-range') > 1) return { kind: 'skip', reason: 'content-range' };
  const length = field(responseFields, 'content-length');
  if (length !== undefined && length !== String(range.last - range.first + 1)) {
    return { kind: 'skip', reason: 'length' };
  }
  const decision = decideStore({ ...question, status: 200 });
  return decision.kind === 'skip' ? decision : { ...decision, range };
}

/** Parts of one response: sorted, none touching the next. */
export interface StoredParts {
  readonly head: StoredHead;
  readonly parts: readonly Part[];
  readonly completeLength: number | undefined;
}

/** Gaps that one response may have, plus one. */
const MAX_PARTS = 64;

export type CombineDecision =
  | {
      readonly kind: 'combine';
      readonly parts: readonly Part[];
      readonly completeLength: number | undefined;
      /** All of it is there: from now on it is a 200 like any other. */
      readonly complete: boolean;
    }
  /** The newer part takes the place of what was stored. */
  | { readonly kind: 'replace'; readonly reason: 'validator' | 'length' | 'too-many-parts' };

/**
 * Section 3.4: whether `newer` may be put together with `stored`: only under the same strong validator. The fields of the newer
 * head then replace those of the stored one, as a 304's do (`merge304`).
 */
export function combineParts(stored: StoredParts, newer: StoredHead, range: ContentRange): CombineDecision {
  const validator = strongValidator(stored.head);
  if (validator === undefined || validator !== strongValidator(newer)) return { kind: 'replace', reason: 'validator' };
  const completeLength = stored.completeLength ?? range.completeLength;
  if (range.completeLength !== undefined && completeLength !== range.completeLength) {
    return { kind: 'replace', reason: 'length' };
  }
  const parts = addPart(stored.parts, range);
  const end = parts.at(-1)?.last ?? 0;
  if (completeLength !== undefined && end >= completeLength) return { kind: 'replace', reason: 'length' };
  if (parts.length > MAX_PARTS) return { kind: 'replace', reason: 'too-many-parts' };
  const [only] = parts;
  const complete = parts.length === 1 && only?.first === 0 && only.last + 1 === completeLength;
  return { kind: 'combine', parts, completeLength, complete };
}

function addPart(parts: readonly Part[], { first, last }: Part): Part[] {
  const result: Part[] = [];
  let merged = { first, last };
  for (const part of parts) {
    if (part.last + 1 < merged.first || merged.last + 1 < part.first) result.push(part);
    else merged = { first: Math.min(part.first, merged.first), last: Math.max(part.last, merged.last) };
  }
  result.push(merged);
  return result.sort((a, b) => a.first - b.first);
}

/** Section 3.3: whether `wanted` lies wholly within one of `parts`; an incomplete response answers nothing else. */
export function covers(parts: readonly Part[], wanted: Part): boolean {
  return parts.some(({ first, last }) => first <= wanted.first && wanted.last <= last);
}

/** The shortest stretch to ask an origin for, so that `wanted` is covered; undefined when nothing is missing. */
export function missing(parts: readonly Part[], wanted: Part): Part | undefined {
  let { first, last } = wanted;
  for (const part of parts) if (part.first <= first && first <= part.last) first = part.last + 1;
  for (const part of parts.toReversed()) if (part.first <= last && last <= part.last) last = part.first - 1;
  return first > last ? undefined : { first, last };
}

/**
 * The fields that ask for `gap` of what `head` is a part of, or for the whole if that has changed (RFC 9110 section 13.1.5).
 * Undefined without a strong validator: no part could be added to it.
 */
export function completionFields(head: StoredHead, gap: Part): string[] | undefined {
  const validator = strongValidator(head);
  if (validator === undefined) return undefined;
  return ['range', `bytes=${gap.first}-${gap.last}`, 'if-range', validator];
}

/** A date is a strong validator only where it lies this long before Date (RFC 9110 section 8.8.2.2). */
const STRONG_DATE_MS = 60_000;

/** The entity tag, if it is strong, else, where there is none, Last-Modified, if that is; as text. */
export function strongValidator(head: StoredHead): string | undefined {
  if (head.etag !== undefined) return head.etag.startsWith('W/') ? undefined : head.etag;
  const { lastModified, lastModifiedMs, dateMs } = head;
  return lastModifiedMs !== undefined && lastModifiedMs + STRONG_DATE_MS <= dateMs ? lastModified : undefined;
}

/** The fields of a part as they are kept with the whole: what describes the part alone is left out. */
export function wholeFields(fields206: FieldList): string[] {
  const kept: string[] = [];
  for (let i = 0; i < fields206.length; i += 2) {
    const name = fields206[i] ?? '';
    if (name !== 'content-range' && name !== 'content-length') kept.push(name, fields206[i + 1] ?? '');
  }
  return kept;
}
