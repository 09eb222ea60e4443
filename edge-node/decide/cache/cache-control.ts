// Cache-Control (RFC 9111 section 5.2, with RFC 5861 and RFC 8246) of a request or a response, read once into flags and
// milliseconds. Tolerant of what is harmless, and never more permissive than the text: a directive that restricts counts even
// with rubbish behind it, one that permits only when it is well-formed, and a freshness that cannot be read is none.
import { listMembers } from '../fields.ts';

/** One shape for requests and responses; a directive that the other side defines is simply absent. Frozen. */
export interface CacheControl {
  readonly noStore: boolean;
  /** Unqualified, or with an argument that is no list of field names in quotes. */
  readonly noCache: boolean;
  /** Of the qualified form `no-cache="x-a, x-b"`, lower case: fields that must not be reused without validation. */
  readonly noCacheFields: readonly string[];
  /** Unqualified, or with an argument that is no list of field names in quotes. */
  readonly private: boolean;
  /** Of the qualified form `private="x-a"`, lower case: fields that a shared cache must not store. */
  readonly privateFields: readonly string[];
  readonly public: boolean;
  readonly mustRevalidate: boolean;
  readonly proxyRevalidate: boolean;
  readonly mustUnderstand: boolean;
  readonly onlyIfCached: boolean;
  /** RFC 8246: does not change while it is fresh. */
  readonly immutable: boolean;
  /** Milliseconds, 0 ..= 2^31 seconds, each of the six; undefined when absent. */
  readonly maxAgeMs: number | undefined;
  readonly sMaxAgeMs: number | undefined;
  readonly minFreshMs: number | undefined;
  /** Infinity for `max-stale` without an argument. */
  readonly maxStaleMs: number | undefined;
  /** RFC 5861 sections 3 and 4. */
  readonly staleWhileRevalidateMs: number | undefined;
  readonly staleIfErrorMs: number | undefined;
}

type Mutable = { -readonly [Name in keyof CacheControl]: CacheControl[Name] };

/** RFC 9111 section 1.2.2: what a delta-seconds too large to hold counts as. */
const MAX_DELTA_MS = 2 ** 31 * 1000;

const NO_FIELDS: readonly string[] = Object.freeze([]);

const TOKEN = new Uint8Array(128);
for (const character of "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") {
  TOKEN[character.charCodeAt(0)] = 1;
}

function none(): Mutable {
  return {
    noStore: false,
    noCache: false,
    noCacheFields: NO_FIELDS,
    private: false,
    privateFields: NO_FIELDS,
    public: false,
    mustRevalidate: false,
    proxyRevalidate: false,
    mustUnderstand: false,
    onlyIfCached: false,
    immutable: false,
    maxAgeMs: undefined,
    sMaxAgeMs: undefined,
    minFreshMs: undefined,
    maxStaleMs: undefined,
    staleWhileRevalidateMs: undefined,
    staleIfErrorMs: undefined,
  };
}

/** No directive at all. */
export const NO_DIRECTIVES: CacheControl = Object.freeze(none());

/**
 * Reads a Cache-Control value, several lines already joined by commas. Names are case-insensitive; arguments are accepted
 * as tokens and as quoted strings; unknown directives are ignored. `max-age` or `s-maxage` that is not a number of seconds,
 * or is given twice with different values, counts as 0 (RFC 9111 section 4.2.1: "considered stale"). Never throws.
 */
export function parseCacheControl(value: string | undefined): CacheControl {
  if (value === undefined || value === '') return NO_DIRECTIVES;
  if (value === lastValue) return lastControl;
  lastControl = COMMON.get(value) ?? parse(value);
  lastValue = value;
  return lastControl;
}

/** One response is read when it is judged and again when its head is made. */
let lastValue = '';
let lastControl = NO_DIRECTIVES;

function parse(value: string): CacheControl {
  const reader = new CacheControlReader();
  let at = 0;
  while (at < value.length) {
    const code = value.charCodeAt(at);
    if (code === 0x2c || code === 0x20 || code === 0x09) {
      at += 1;
      continue;
    }
    const start = at;
    while (TOKEN[value.charCodeAt(at)] === 1) at += 1;
    const name = value.slice(start, at).toLowerCase();
    let argument: string | undefined;
    if (value[at] === '=') {
      const closing = value[at + 1] === '"' ? closingQuote(value, at + 1) : -1;
      // A quote that never closes must not swallow the directives behind it: it is then read as a plain character.
      if (closing !== -1) argument = value.slice(at + 2, closing).replaceAll(/\\(.)/gs, '$1');
      const end = nextComma(value, closing === -1 ? at : closing);
      if (closing === -1) argument = value.slice(at + 1, end).trimEnd();
      const clean = closing === -1 || value.slice(closing + 1, end).trim() === '';
      reader.add(name, argument, clean, closing !== -1);
      at = end;
    } else {
      const end = nextComma(value, at);
      reader.add(name, undefined, value.slice(at, end).trim() === '', false);
      at = end;
    }
  }
  return reader.control;
}

function nextComma(value: string, from: number): number {
  const comma = value.indexOf(',', from);
  return comma === -1 ? value.length : comma;
}

/** Index of the quote that ends the quoted-string opened at `open`; -1 when none does. */
function closingQuote(value: string, open: number): number {
  for (let i = open + 1; i < value.length; i += 1) {
    if (value[i] === '\\') i += 1;
    else if (value[i] === '"') return i;
  }
  return -1;
}

/** Gathers directives, whatever syntax they were written in. */
export class CacheControlReader {
  readonly #found = none();

  /** What was read so far, frozen. */
  get control(): CacheControl {
    return Object.freeze(this.#found);
  }

  /**
   * One directive. `name`: lower case. `argument`: undefined when there is none. `clean`: nothing else stands there;
   * `quoted`: the argument was a quoted string.
   */
  add(name: string, argument: string | undefined, clean: boolean, quoted: boolean): void {
    const found = this.#found;
    switch (name) {
      case 'no-store':
        found.noStore = true;
        break;
      case 'no-cache': {
        const names = clean && quoted ? fieldNames(argument) : undefined;
        if (names) found.noCacheFields = [...found.noCacheFields, ...names];
        else found.noCache = true;
        break;
      }
      case 'private': {
        const names = clean && quoted ? fieldNames(argument) : undefined;
        if (names) found.privateFields = [...found.privateFields, ...names];
        else found.private = true;
        break;
      }
      case 'public':
        if (clean && argument === undefined) found.public = true;
        break;
      case 'must-revalidate':
        found.mustRevalidate = true;
        break;
      case 'proxy-revalidate':
        found.proxyRevalidate = true;
        break;
      case 'must-understand':
        if (clean && argument === undefined) found.mustUnderstand = true;
        break;
      case 'only-if-cached':
        found.onlyIfCached = true;
        break;
      case 'immutable':
        if (clean && argument === undefined) found.immutable = true;
        break;
      case 'max-age':
        found.maxAgeMs = freshness(found.maxAgeMs, delta(argument, clean));
        break;
      case 's-maxage':
        found.sMaxAgeMs = freshness(found.sMaxAgeMs, delta(argument, clean));
        break;
      case 'min-fresh':
        found.minFreshMs = Math.max(found.minFreshMs ?? 0, delta(argument, clean) ?? MAX_DELTA_MS);
        break;
      case 'max-stale': {
        const allowed = argument === undefined && clean ? Number.POSITIVE_INFINITY : (delta(argument, clean) ?? 0);
        found.maxStaleMs = Math.min(found.maxStaleMs ?? Number.POSITIVE_INFINITY, allowed);
        break;
      }
      case 'stale-while-revalidate':
        found.staleWhileRevalidateMs = window(found.staleWhileRevalidateMs, delta(argument, clean));
        break;
      case 'stale-if-error':
        found.staleIfErrorMs = window(found.staleIfErrorMs, delta(argument, clean));
        break;
      default:
    }
  }
}

/** A list of at least one field name, in lower case; undefined for anything else. */
function fieldNames(argument: string | undefined): string[] | undefined {
  const names = listMembers((argument ?? '').toLowerCase());
  return names.length > 0 && names.every(isToken) ? names : undefined;
}

/** What permits stale answers: the shorter of two, and none where it cannot be read. */
function window(before: number | undefined, now: number | undefined): number {
  return Math.min(before ?? Number.POSITIVE_INFINITY, now ?? 0);
}

function freshness(before: number | undefined, now: number | undefined): number {
  if (now === undefined) return 0;
  return before === undefined || before === now ? now : 0;
}

/** RFC 9111 section 1.2.2: delta-seconds, as milliseconds; undefined when `argument` is not one. */
function delta(argument: string | undefined, clean: boolean): number | undefined {
  return clean && argument !== undefined ? parseDeltaMs(argument) : undefined;
}

/** A non-negative whole number of seconds, as milliseconds; undefined for anything else (RFC 9111 section 1.2.2). */
export function parseDeltaMs(text: string): number | undefined {
  if (text === '') return undefined;
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    if (code < 0x30 || code > 0x39) return undefined;
  }
  return Math.min(Number(text) * 1000, MAX_DELTA_MS);
}

/** Whether `text` is a token (RFC 9110 section 5.6.2). */
export function isToken(text: string): boolean {
  for (let i = 0; i < text.length; i += 1) if (TOKEN[text.charCodeAt(i)] !== 1) return false;
  return text !== '';
}

/** What browsers send on a reload, and the answers seen most: parsed once. */
const COMMON: ReadonlyMap<string, CacheControl> = new Map(
  ['no-cache', 'max-age=0', 'no-store', 'private', 'public, max-age=31536000, immutable'].map((value) => [
    value,
    parse(value),
  ]),
);
