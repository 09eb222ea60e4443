// The surrogate keys of a response: names under which it can be purged together with others. Surrogate-Key separates them by
// spaces, Cache-Tag by commas; both are read, and both are for this cache alone.
import { type FieldList, withoutFields } from '../fields.ts';

export const MAX_TAGS = 100;
/** Characters of one, and of all together. */
export const MAX_TAG_LENGTH = 256;
export const MAX_TAGS_LENGTH = 8192;

export type Tags =
  /** Sorted, each once. Upper and lower case differ. */
  | { readonly kind: 'tags'; readonly tags: readonly string[] }
  /** A tag that was left out could not be purged, so such a response is not kept at all. */
  | { readonly kind: 'refused'; readonly reason: 'tags' };

const NONE: Tags = Object.freeze({ kind: 'tags', tags: Object.freeze([]) });
const REFUSED: Tags = Object.freeze({ kind: 'refused', reason: 'tags' });
const VISIBLE = /^[\x21-\x7e]+$/;

/** The tags of a response with `fields`. Refused: more than the bounds above, or characters that no tag can have. */
export function parseTags(fields: FieldList): Tags {
  let found: Set<string> | undefined;
  let length = 0;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i];
    if (name !== 'surrogate-key' && name !== 'cache-tag') continue;
    found ??= new Set();
    for (const part of (fields[i + 1] ?? '').split(name === 'cache-tag' ? ',' : /[ \t]+/)) {
      const tag = part.trim();
      if (tag === '' || found.has(tag)) continue;
      length += tag.length;
      found.add(tag);
      const tooMuch = found.size > MAX_TAGS || tag.length > MAX_TAG_LENGTH || length > MAX_TAGS_LENGTH;
      if (tooMuch || !VISIBLE.test(tag)) return REFUSED;
    }
  }
  return found === undefined || found.size === 0 ? NONE : { kind: 'tags', tags: [...found].toSorted() };
}

/**
 * Fields that speak to this cache and to nobody behind it: they are kept beside the response and not sent to clients. A
 * CDN-Cache-Control goes on, for caches between here and the client (RFC 9213 section 3.1).
 */
export const CONSUMED: ReadonlySet<string> = new Set(['surrogate-key', 'cache-tag', 'meridian-cdn-cache-control']);

/** `fields` themselves when there is nothing to leave out, else a copy without what was for this cache. */
export function withoutConsumed(fields: FieldList): FieldList {
  for (let i = 0; i < fields.length; i += 2) if (CONSUMED.has(fields[i] ?? '')) return withoutFields(fields, CONSUMED);
  return fields;
}

/** Those that `withoutConsumed` leaves out. */
export function consumedFields(fields: FieldList): FieldList {
  const consumed: string[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    if (CONSUMED.has(fields[i] ?? '')) consumed.push(fields[i] ?? '', fields[i + 1] ?? '');
  }
  return consumed;
}
