// A stored response without its body as one string of characters up to 0xff, and back: the form in which threads share it.
// One string, because the engine copies one out of memory in one call, and what is cut out of it afterwards shares its
// characters. What `makeHead` worked out is kept, not worked out again, save what stands in the fields.
//
// count, number, span, since, string: see record-parts.ts.
// name:   its place in NAMES, or 0xff and a string.
// value:  1, which no string begins with, and its place in VALUES, or what date it is (see DATE); or a string.
// record: key, variant (a value), barrier, host and purge target (see `names`), tags, status, source, directives (a string), times, windows, Vary,
// fields, consumed fields, slices.
import { type FieldList, field } from '../fields.ts';
import type { Purgeable } from '../purged.ts';
import type { CacheControl } from './cache-control.ts';
import { makeHead, type Storable, type StoredHead } from './entry.ts';
import { formatHttpDate, parseHttpDate } from './http-date.ts';
import { LIFETIME_SOURCES } from './lifetime.ts';
import { count, number, STEADY, since, span, string } from './record-parts.ts';
import { MAX_VALUES, NAME_CODES, NAMES, VALUE_CODES, VALUES } from './record-tables.ts';
import type { Sliced } from './slices.ts';

/** Raised when records change in a way that {@link recordForm} does not show. */
const FORM = 4;

const LITERAL = 0xff;

/** Values that are dates as `formatHttpDate` writes them: `dateMs`; `lastModifiedMs`; what is since `dateMs`, which follows. */
const DATE = MAX_VALUES;
const LAST_MODIFIED = MAX_VALUES + 1;
const OTHER_DATE = MAX_VALUES + 2;
const DATE_LENGTH = 'Thu, 01 Jan 1970 00:00:00 GMT'.length;

const FLAGS = [
  'noStore',
  'noCache',
  'private',
  'public',
  'mustRevalidate',
  'proxyRevalidate',
  'mustUnderstand',
  'onlyIfCached',
  'immutable',
] as const satisfies readonly (keyof CacheControl)[];

/** Different Cache-Control of which one object each is kept, so that entries share them. */
const MAX_CONTROLS = 1000;

/** The record of an entry; never empty. */
export function encodeRecord(entry: Omit<Storable, 'body'>): string {
  const { key, head } = entry;
  let text = string(key) + (known(head.variant) ?? string(head.variant)) + number(head.barrier) + names(entry);
  text += count(head.tags.length);
  for (const tag of head.tags) text += string(tag);
  text += number(head.status) + number(LIFETIME_SOURCES.indexOf(head.lifetimeSource) * 2 + Number(head.neverStale));
  text += string(directives(head.control));
  text += number(head.requestedAt) + since(head.receivedAt, head.requestedAt) + span(head.lifetimeMs);
  text += since(head.dateMs, head.receivedAt) + number(head.initialAgeMs, STEADY) + span(head.lastModifiedMs);
  text += span(head.staleWhileRevalidateMs) + span(head.staleIfErrorMs);
  return (
    text + nameList(head.vary) + fieldList(head.fields, head) + fieldList(head.consumed, head) + sliced(head.slices)
  );
}

function sliced(slices: Sliced | undefined): string {
  if (slices === undefined) return count(0);
  return count(slices.bytes) + count(slices.length) + string(slices.generation);
}

function nameList(names: readonly string[]): string {
  let text = count(names.length);
  for (const name of names) text += fieldName(name);
  return text;
}

function fieldList(fields: FieldList, head: StoredHead): string {
  let text = count(fields.length >> 1);
  for (let i = 0; i < fields.length; i += 2) text += fieldName(fields[i] ?? '') + fieldValue(fields[i + 1] ?? '', head);
  return text;
}

function fieldName(name: string): string {
  return NAME_CODES.get(name) ?? String.fromCharCode(LITERAL) + string(name);
}

function fieldValue(value: string, head: StoredHead): string {
  return known(value) ?? date(value, head) ?? string(value);
}

function known(value: string): string | undefined {
  const code = VALUE_CODES.get(value);
  return code && `\x01${code}`;
}

/** Undefined unless `formatHttpDate` gives `value`, to the letter. */
function date(value: string, { dateMs, lastModifiedMs }: StoredHead): string | undefined {
  if (value.length !== DATE_LENGTH) return undefined;
  const ms = parseHttpDate(value, 0);
  if (ms === undefined || formatHttpDate(ms) !== value) return undefined;
  if (ms === dateMs) return `\x01${String.fromCharCode(DATE)}`;
  if (ms === lastModifiedMs) return `\x01${String.fromCharCode(LAST_MODIFIED)}`;
  return `\x01${String.fromCharCode(OTHER_DATE)}${since(ms, dateMs)}`;
}

function directives(control: CacheControl): string {
  let flags = 0;
  for (let i = 0; i < FLAGS.length; i += 1) if (control[FLAGS[i] ?? 'noStore']) flags |= 1 << i;
  const { maxAgeMs, sMaxAgeMs, minFreshMs, maxStaleMs } = control;
  const text = count(flags) + span(maxAgeMs) + span(sMaxAgeMs) + span(minFreshMs) + span(maxStaleMs);
  const windows = span(control.staleWhileRevalidateMs) + span(control.staleIfErrorMs);
  return text + windows + nameList(control.noCacheFields) + nameList(control.privateFields);
}

/** Host and purge target: mostly parts of "scheme://host:port/path?query", so that their places are enough. */
function names({ key, host, purgeTarget }: Omit<Storable, 'body'>): string {
  const from = key.indexOf('://') + 3;
  const target = key.length - (purgeTarget.length - host.length);
  const parts = key.startsWith(host, from) && target >= from && purgeTarget === host + key.slice(target);
  return parts ? count(from) + count(host.length) + count(target) : count(0) + string(host) + string(purgeTarget);
}

/** Says in what form records are written: it differs where this release could not read those of another. */
export function recordForm(): string {
  const fields = [
    'date',
    'Thu, 01 Jan 1970 00:00:00 GMT',
    'cache-control',
    'max-age=1, stale-while-revalidate=2',
    'surrogate-key',
    'b a',
    'surrogate-control',
    'stale-if-error=3',
    'etag',
    '"1"',
    'vary',
    'accept',
  ];
  const response = { status: 200, fields, requestFields: [], requestedAt: 1, receivedAt: 2, vary: ['accept'] };
  const head = makeHead({ ...response, lifetimeMs: 1000, lifetimeSource: 'max-age', barrier: 1 });
  const record = encodeRecord({ key: 'http://a/', host: 'a', purgeTarget: 'a/', head });
  return [FORM, ...NAMES, ...VALUES, ...LIFETIME_SOURCES, ...FLAGS, record].join('\n');
}

export interface RecordName {
  readonly key: string;
  readonly variant: string;
  readonly barrier: number;
}

/** Reads records. One to a thread: it keeps what many entries share. */
export class RecordReader {
  readonly #controls = new Map<string, CacheControl>();
  #text = '';
  #at = 0;
  /** Of the record that is being read. */
  #dateMs = 0;
  #lastModifiedMs: number | undefined;

  /** What a record is stored under. */
  name(text: string): RecordName {
    this.#text = text;
    this.#at = 0;
    return { key: this.#string(), variant: this.#value(), barrier: this.#number() ?? 0 };
  }

  /** The entry of `record`; undefined when `key` is given and is not its key. `record` must be whole. */
  read(record: string, key?: string): Omit<Storable, 'body'> | undefined {
    this.#text = record;
    this.#at = 0;
    const ownKey = this.#key(key);
    if (ownKey === undefined) return undefined;
    const variant = this.#value();
    const { host, purgeTarget, head } = this.#purgeable(ownKey);
    return { key: ownKey, host, purgeTarget, head: this.#head(variant, head.barrier, head.tags) };
  }

  /** What a purge is compared with; the rest is passed over, since a sweep asks for it of everything that is stored. */
  purgeable(text: string): Purgeable {
    this.#text = text;
    this.#at = 0;
    const key = this.#string();
    this.#value();
    return this.#purgeable(key);
  }

  #purgeable(key: string): Purgeable {
    const barrier = this.#number() ?? 0;
    const from = this.#count();
    let host: string;
    let purgeTarget: string;
    if (from === 0) {
      host = this.#string();
      purgeTarget = this.#string();
    } else {
      const end = from + this.#count();
      const target = this.#count();
      host = key.slice(from, end);
      purgeTarget = target === end ? key.slice(from) : host + key.slice(target);
    }
    const tags = new Array<string>(this.#count());
    for (let i = 0; i < tags.length; i += 1) tags[i] = this.#string();
    return { host, purgeTarget, head: { barrier, tags } };
  }

  #head(variant: string, barrier: number, tags: readonly string[]): StoredHead {
    const status = this.#number() ?? 0;
    const source = this.#number() ?? 0;
    const control = this.#control();
    const requestedAt = this.#number() ?? 0;
    const receivedAt = this.#since(requestedAt);
    const lifetimeMs = this.#span() ?? 0;
    const dateMs = this.#since(receivedAt);
    const initialAgeMs = this.#number() ?? 0;
    const lastModifiedMs = this.#span();
    const staleWhileRevalidateMs = this.#span() ?? 0;
    const staleIfErrorMs = this.#span() ?? 0;
    this.#dateMs = dateMs;
    this.#lastModifiedMs = lastModifiedMs;
    const vary = this.#names();
    const fields = this.#fields();
    const consumed = this.#fields();
    return {
      status,
      fields,
      consumed,
      tags,
      requestedAt,
      receivedAt,
      lifetimeMs,
      lifetimeSource: LIFETIME_SOURCES[source >> 1] ?? 'none',
      vary,
      variant,
      barrier,
      control,
      dateMs,
      initialAgeMs,
      neverStale: (source & 1) === 1,
      staleWhileRevalidateMs,
      staleIfErrorMs,
      etag: field(fields, 'etag'),
      lastModified: field(fields, 'last-modified'),
      lastModifiedMs,
      slices: this.#slices(),
    };
  }

  #slices(): Sliced | undefined {
    const bytes = this.#count();
    return bytes === 0 ? undefined : { bytes, length: this.#count(), generation: this.#string() };
  }

  #count(): number {
    const text = this.#text;
    let code = text.charCodeAt(this.#at);
    this.#at += 1;
    if (code < 0x80) return code;
    let value = code - 0x80;
    for (let scale = 0x80; ; scale *= 0x80) {
      code = text.charCodeAt(this.#at);
      this.#at += 1;
      if (code < 0x80) return value + code * scale;
      value += (code - 0x80) * scale;
    }
  }

  #number(): number | undefined {
    const value = this.#count();
    if (value > 1) return value - 2;
    return value === 0 ? undefined : Number(this.#string());
  }

  #span(): number | undefined {
    const value = this.#count();
    if (value > 1) return value % 2 === 0 ? (value / 2 - 1) * 1000 : (value - 3) / 2;
    return value === 0 ? undefined : Number(this.#string());
  }

  #since(other: number): number {
    const value = this.#count();
    if (value > 1) return value % 2 === 0 ? other + (value - 2) / 2 : other - (value - 1) / 2;
    return Number(this.#string());
  }

  #string(): string {
    const size = this.#count();
    const from = this.#at;
    const length = size >> 1;
    if ((size & 1) === 0) {
      this.#at = from + length;
      return this.#text.slice(from, this.#at);
    }
    this.#at = from + length * 2;
    let value = '';
    for (let i = from; i < this.#at; i += 2) {
      value += String.fromCharCode((this.#text.charCodeAt(i) << 8) | this.#text.charCodeAt(i + 1));
    }
    return value;
  }

  /** The record's key, as `expected` itself when that is what it is. */
  #key(expected: string | undefined): string | undefined {
    if (expected === undefined) return this.#string();
    const size = this.#count();
    if (size === expected.length * 2 && this.#text.startsWith(expected, this.#at)) {
      this.#at += expected.length;
      return expected;
    }
    this.#at = 0;
    return this.#string() === expected ? expected : undefined;
  }

  #name(): string {
    const code = this.#text.charCodeAt(this.#at);
    this.#at += 1;
    return code === LITERAL ? this.#string() : (NAMES[code] ?? '');
  }

  #value(): string {
    if (this.#text.charCodeAt(this.#at) !== 1) return this.#string();
    this.#at += 2;
    const code = this.#text.charCodeAt(this.#at - 1);
    if (code < MAX_VALUES) return VALUES[code] ?? '';
    if (code === DATE) return formatHttpDate(this.#dateMs);
    return formatHttpDate(code === LAST_MODIFIED ? (this.#lastModifiedMs ?? 0) : this.#since(this.#dateMs));
  }

  #names(): string[] {
    const names = new Array<string>(this.#count());
    for (let i = 0; i < names.length; i += 1) names[i] = this.#name();
    return names;
  }

  #fields(): string[] {
    const fields = new Array<string>(this.#count() * 2);
    for (let i = 0; i < fields.length; i += 2) {
      fields[i] = this.#name();
      fields[i + 1] = this.#value();
    }
    return fields;
  }

  #control(): CacheControl {
    const form = this.#string();
    const known = this.#controls.get(form);
    if (known) return known;
    const [text, at] = [this.#text, this.#at];
    this.#text = form;
    this.#at = 0;
    const control = this.#directives();
    this.#text = text;
    this.#at = at;
    if (this.#controls.size < MAX_CONTROLS) this.#controls.set(form, control);
    return control;
  }

  #directives(): CacheControl {
    const flags = this.#count();
    const maxAgeMs = this.#span();
    const sMaxAgeMs = this.#span();
    const minFreshMs = this.#span();
    const maxStaleMs = this.#span();
    const staleWhileRevalidateMs = this.#span();
    const staleIfErrorMs = this.#span();
    const noCacheFields = this.#names();
    const privateFields = this.#names();
    return Object.freeze({
      noStore: (flags & 1) !== 0,
      noCache: (flags & 2) !== 0,
      private: (flags & 4) !== 0,
      public: (flags & 8) !== 0,
      mustRevalidate: (flags & 16) !== 0,
      proxyRevalidate: (flags & 32) !== 0,
      mustUnderstand: (flags & 64) !== 0,
      onlyIfCached: (flags & 128) !== 0,
      immutable: (flags & 256) !== 0,
      maxAgeMs,
      sMaxAgeMs,
      minFreshMs,
      maxStaleMs,
      staleWhileRevalidateMs,
      staleIfErrorMs,
      noCacheFields,
      privateFields,
    });
  }
}
