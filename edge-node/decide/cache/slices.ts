// Large answers in slices: which bytes an origin is asked for, under which names they are kept, and whether what comes is what was
// asked for (RFC 9111 sections 3.3 and 3.4). A slice is a stretch of the body that begins at a multiple of the size of slices. What
// the answer is, and how long it is fresh, is kept once, in an entry without a body, the index; slices without it are nothing.
import { combinedField, type FieldList } from '../fields.ts';
import type { CacheEntry, StoredHead } from './entry.ts';
import { readPart } from './partial.ts';
import { decideRange, type Part, parseRange } from './ranges.ts';
import type { RequestClass } from './request.ts';
import { isUnchanged } from './validation.ts';

/** What an index says of the body that it stands for. */
export interface Sliced {
  /** Of every slice but the last. */
  readonly bytes: number;
  /** Of the whole body, above 0. */
  readonly length: number;
  /** In the names of its slices: those of an index that is gone belong to no other. */
  readonly generation: string;
}

/** Of slices, where the route does not say. */
export const DEFAULT_SLICE_BYTES = 1024 * 1024;

/** The key of a slice. A canonical target has no "#", so it is no key of anything else. */
export function sliceKey(key: string, { generation }: Sliced, index: number): string {
  return `${key}#${generation}/${index}`;
}

/** The bytes of slice `index`. */
export function sliceAt({ bytes, length }: Pick<Sliced, 'bytes' | 'length'>, index: number): Part {
  return { from: index * bytes, to: Math.min(length, (index + 1) * bytes) };
}

/** How long the body of a stored response is, wherever it is. */
export function bodyLength({ head, source, body }: Pick<CacheEntry, 'head' | 'source' | 'body'>): number {
  return head.slices?.length ?? source?.length ?? body.length;
}

/** What an origin is asked for: bytes `from` ..< `to` (infinite: to the end), or the last `suffix`. */
export type Asked = Part | { readonly suffix: number };

/** The value of Range. */
export function rangeValue(asked: Asked): string {
  if ('suffix' in asked) return `bytes=-${asked.suffix}`;
  return `bytes=${asked.from}-${asked.to === Number.POSITIVE_INFINITY ? '' : asked.to - 1}`;
}

const SUFFIX = /^bytes=[ \t]*-([0-9]{1,15})[ \t]*$/i;
/** Where a position is no exact number any more. */
const FAR = 1e15;

/**
 * What to ask for when nothing is known of what a client asks `range` of: the slices that have it, or, of several ranges, the
 * slice where the first begins. Undefined: what is to go to the origin as it is.
 */
export function firstAsked(range: string, bytes: number): Asked | undefined {
  const suffix = Number(SUFFIX.exec(range)?.[1] ?? 0);
  // Wherever the end is, the slice in which the suffix begins is whole in there.
  if (suffix > 0 && suffix < FAR) return { suffix: suffix + bytes - 1 };
  const decision = parseRange(range, Number.MAX_SAFE_INTEGER);
  if (decision.kind !== 'parts') return undefined;
  const [first, ...others] = decision.parts;
  if (first.from >= FAR) return undefined;
  const from = Math.floor(first.from / bytes) * bytes;
  if (others.length > 0) return { from, to: from + bytes };
  return { from, to: first.to >= FAR ? Number.POSITIVE_INFINITY : Math.ceil(first.to / bytes) * bytes };
}

/** Slices asked for at once, at most: some of them may be stored. Nobody waits for one that is further away than this. */
export const MAX_RUN = 8;

/**
 * What to ask for when slice `index` is missing and bytes up to `to` are wanted. `run`: how often in a row one was missing before
 * this: the more, the less it is to be expected that the next are there.
 */
export function missingPart({ bytes, length }: Sliced, index: number, to: number, run: number): Part {
  const slices = Math.min(MAX_RUN, 2 ** run);
  const wanted = Math.ceil(to / bytes) * bytes;
  return { from: index * bytes, to: Math.min(wanted, (index + slices) * bytes, length) };
}

/** The slices that lie in `part` from end to end: `first` ..< `end`. */
export function wholeSlices(
  { bytes, length }: Pick<Sliced, 'bytes' | 'length'>,
  { from, to }: Part,
): { readonly first: number; readonly end: number } {
  return { first: Math.ceil(from / bytes), end: to < length ? Math.floor(to / bytes) : Math.ceil(length / bytes) };
}

export type AskedPart =
  | { readonly kind: 'part'; readonly part: Part; readonly length: number }
  /** `other`: it is not what was asked for; `open`: it does not say how long the whole is. */
  | { readonly kind: 'unusable'; readonly reason: 'multipart' | 'content-range' | 'length' | 'other' | 'open' };

/** Whether a 206 brings just what was asked for; more or less than that could not be told from another's part. */
export function readAsked(fields206: FieldList, asked: Asked): AskedPart {
  const reading = readPart(fields206);
  if (reading.kind === 'unusable') return reading;
  const { first, last, completeLength: length } = reading.range;
  if (length === undefined) return { kind: 'unusable', reason: 'open' };
  const from = 'suffix' in asked ? Math.max(0, length - asked.suffix) : asked.from;
  const to = 'suffix' in asked ? length : Math.min(asked.to, length);
  if (first !== from || last !== to - 1) return { kind: 'unusable', reason: 'other' };
  return { kind: 'part', part: { from, to }, length };
}

/** Slices that the parts of one answer may lie in: each costs a slice, however small the part. */
const MAX_SCATTERED = 8;

export type Wanted =
  /** Its answer has no body of it: 304, 416, or HEAD. */
  | { readonly kind: 'nothing' }
  /** Several ranges that are too dear: the request goes to the origin as it is. */
  | { readonly kind: 'scattered' }
  /** In the order of the answer. */
  | { readonly kind: 'parts'; readonly parts: readonly [Part, ...Part[]] };

/** What of the body the answer to a request takes. `bytes`: of slices. */
export function wantedOf(
  request: { readonly method: string; readonly fields: FieldList },
  asked: Extract<RequestClass, { kind: 'lookup' }>,
  head: StoredHead,
  { bytes, length }: Pick<Sliced, 'bytes' | 'length'>,
): Wanted {
  if (request.method === 'HEAD') return { kind: 'nothing' };
  if (asked.conditions !== undefined && isUnchanged(asked.conditions, head)) return { kind: 'nothing' };
  const decision = asked.range ? decideRange(request.fields, head, length) : undefined;
  if (decision?.kind === 'unsatisfiable') return { kind: 'nothing' };
  if (decision?.kind !== 'parts') return { kind: 'parts', parts: [{ from: 0, to: length }] };
  const { parts } = decision;
  if (parts.length > 1 && slicesOf(parts, bytes, MAX_SCATTERED) === undefined) return { kind: 'scattered' };
  return decision;
}

/** The slices in which `parts` lie; undefined: more than `most`. */
export function slicesOf(parts: readonly Part[], bytes: number, most: number): number[] | undefined {
  const slices = new Set<number>();
  for (const { from, to } of parts) {
    for (let index = Math.floor(from / bytes); index * bytes < to; index += 1) {
      slices.add(index);
      if (slices.size > most) return undefined;
    }
  }
  return [...slices];
}

/** Whether a 200 says that parts of it are to be had (RFC 9110 section 14.3). */
export function offersParts(fields: FieldList): boolean {
  return combinedField(fields, 'accept-ranges')?.toLowerCase() === 'bytes';
}

/** The head that a slice is stored with: what purges need, and nothing that its index says already. */
export function sliceHead(index: StoredHead, barrier: number, requestedAt: number, receivedAt: number): StoredHead {
  return {
    ...index,
    fields: [],
    consumed: [],
    vary: [],
    variant: '',
    slices: undefined,
    barrier,
    requestedAt,
    receivedAt,
  };
}
