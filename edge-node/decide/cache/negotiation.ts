// Request fields that a response varies by, brought to one form in which requests that mean the same are the same (RFC 9111
// section 4.1: "in a way that is known to have identical semantics"). What cannot be read stays as it is.
import { listMembers } from '../fields.ts';
import { isToken } from './cache-control.ts';

/**
 * Fields of which one value may hold commas, or whose white space may count. All others are compared as lists (RFC 9110
 * section 5.3: whoever joins their lines may do so with or without a space).
 */
const SINGLETONS: ReadonlySet<string> = new Set([
  'authorization',
  'cookie',
  'date',
  'from',
  'host',
  'if-modified-since',
  'if-unmodified-since',
  'origin',
  'referer',
  'user-agent',
]);

/** Raw value -> normal form, of the fields that are costly to read: clients send few different values. */
const encodings = new Map<string, string>();
const languages = new Map<string, string>();
const MAX_REMEMBERED = 1000;
/** Characters; what is longer is not remembered. */
const MAX_REMEMBERED_LENGTH = 200;

/** The value of `name` (lower case) in the form that is compared. */
export function normalised(name: string, value: string): string {
  if (name === 'accept-encoding') return remembered(encodings, value, acceptEncoding);
  if (name === 'accept-language') return remembered(languages, value, acceptLanguage);
  if (SINGLETONS.has(name)) return value.trim();
  return isNormalList(value) ? value : listMembers(value).join(', ');
}

function remembered(memory: Map<string, string>, value: string, read: (value: string) => string): string {
  const known = memory.get(value);
  if (known !== undefined) return known;
  const form = read(value);
  if (value.length <= MAX_REMEMBERED_LENGTH) {
    if (memory.size >= MAX_REMEMBERED) memory.clear();
    memory.set(value, form);
  }
  return form;
}

interface Weighted {
  readonly name: string;
  /** Thousandths, 0 ..= 1000. */
  readonly weight: number;
}

const CODING_ALIASES: ReadonlyMap<string, string> = new Map([
  ['x-gzip', 'gzip'],
  ['x-compress', 'compress'],
]);
const LANGUAGE_RANGE = /^(?:\*|[a-z]{1,8}(?:-(?:[a-z0-9]{1,8}|\*))*)$/;

/**
 * RFC 9110 section 12.5.3. Names are lower-cased and aliases resolved; the order says nothing. A coding that is refused need
 * not be named where nothing but what is named is accepted (that is, without `*`), save identity, which is accepted unless
 * refused.
 */
export function acceptEncoding(value: string): string {
  const read = weighted(value, (name) => CODING_ALIASES.get(name) ?? name, isToken);
  if (read === undefined) return listMembers(value).join(', ');
  const others = read.some(({ name }) => name === '*');
  return form(read.filter(({ name, weight }) => weight > 0 || others || name === 'identity'));
}

/**
 * RFC 9110 section 12.5.4. Tags are lower-cased and stand in the order of their weights: among equal ones the order "cannot be
 * relied upon".
 */
export function acceptLanguage(value: string): string {
  const read = weighted(
    value,
    (name) => name,
    (name) => LANGUAGE_RANGE.test(name),
  );
  return read === undefined ? listMembers(value).join(', ') : form(read);
}

/** Undefined when a member is not `name` or `name;q=weight`, or when two members contradict each other. */
function weighted(
  value: string,
  canonical: (name: string) => string,
  valid: (name: string) => boolean,
): Weighted[] | undefined {
  const weights = new Map<string, number>();
  for (const member of value.split(',')) {
    const trimmed = member.trim();
    if (trimmed === '') continue;
    const match = /^([^\s;]+)(?:[ \t]*;[ \t]*[qQ]=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?))?$/.exec(trimmed);
    const name = canonical((match?.[1] ?? '').toLowerCase());
    if (!match || !valid(name)) return undefined;
    const weight = Math.round(Number(match[2] ?? '1') * 1000);
    if ((weights.get(name) ?? weight) !== weight) return undefined;
    weights.set(name, weight);
  }
  return [...weights].map(([name, weight]) => ({ name, weight }));
}

function form(members: readonly Weighted[]): string {
  return members
    .toSorted((a, b) => b.weight - a.weight || Number(a.name > b.name) - Number(a.name < b.name))
    .map(({ name, weight }) => (weight === 1000 ? name : `${name};q=${weight / 1000}`))
    .join(', ');
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
