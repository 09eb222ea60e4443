// Which of the responses stored under one key answers a request (RFC 9111 section 4.1), from Vary and the request's fields.
import { combinedField, type FieldList, listMembers } from '../fields.ts';
import { isToken } from './cache-control.ts';
import type { CacheEntry } from './entry.ts';

/** Lists (RFC 9110 section 5.6.1), in which white space around a comma means nothing. Others are compared as they are. */
const LIST_FIELDS: ReadonlySet<string> = new Set([
  'accept',
  'accept-charset',
  'accept-encoding',
  'accept-language',
  'accept-datetime',
  'cache-control',
  'prefer',
  'te',
]);

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

/**
 * The secondary key: one line for each name in `vary` with the request's value, normalised; the line of a field that the
 * request does not have differs from that of an empty one. '' when `vary` is empty.
 */
export function varyValues(vary: readonly string[], requestFields: FieldList): string {
  let values = '';
  for (const name of vary) {
    const value = combinedField(requestFields, name);
    // A name holds no colon and neither part a line feed, so no two requests share a key by accident.
    values += value === undefined ? `${name}\n` : `${name}:${normalised(name, value)}\n`;
  }
  return values;
}

function normalised(name: string, value: string): string {
  if (!LIST_FIELDS.has(name)) return value.trim();
  return isNormalList(value) ? value : listMembers(value).join(', ');
}

/** Whether `value` is already as normalising would leave it, as browsers send it; false also where that is hard to see. */
function isNormalList(value: string): boolean {
  // At the start, as behind ", ": a member has to begin.
  let before = SPACE;
  let beforeThat = COMMA;
  for (let i = 0; i < value.length; i += 1) {
    const code = value.charCodeAt(i);
    if (code === QUOTE || code === TAB) return false;
    if (code === COMMA && (before === SPACE || before === COMMA)) return false;
    if (before === COMMA && code !== SPACE) return false;
    if (code === SPACE && before === SPACE && beforeThat === COMMA) return false;
    beforeThat = before;
    before = code;
  }
  return value !== '' && before !== SPACE && before !== COMMA;
}

const TAB = 0x09;
const SPACE = 0x20;
const QUOTE = 0x22;
const COMMA = 0x2c;

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
