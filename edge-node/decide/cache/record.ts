// A stored response without its body as one string of characters up to 0xff, and back: the form in which threads share it.
// One string, because the engine copies one out of memory in one call, and what is cut out of it afterwards shares its
// characters. What `makeHead` worked out is kept, not worked out again, save what stands in the fields.
//
// count:  base 128, least first; the high bit says that more follows.
// number: count of n + 2; 0 is undefined; 1 is followed by n in decimal, as a string (fractions, negative numbers).
// string: count of its length doubled, plus 1 if it holds characters above 0xff, each of which then takes two; the characters.
// name:   its place in NAMES, or 0xff and a string.
// value:  1, which no string begins with, and its place in VALUES; or a string.
// record: key, variant, barrier, host and purge target (see `names`), status, source, directives, times, windows, tags, Vary,
// fields, consumed fields, slices.
import { type FieldList, field } from '../fields.ts';
import type { CacheControl } from './cache-control.ts';
import { makeHead, type Storable, type StoredHead } from './entry.ts';
import { LIFETIME_SOURCES } from './lifetime.ts';
import type { Sliced } from './slices.ts';

/** Raised when records change in a way that {@link recordForm} does not show. */
const FORM = 3;

/** Field names that take one character. Their order is part of the form. */
const NAMES: readonly string[] = (
  'date content-type content-length cache-control etag last-modified expires vary server content-encoding ' +
  'content-language content-location content-disposition content-security-policy content-security-policy-report-only ' +
  'accept-ranges access-control-allow-origin access-control-allow-methods access-control-allow-headers ' +
  'access-control-allow-credentials access-control-expose-headers access-control-max-age alt-svc cdn-cache-control ' +
  'cross-origin-embedder-policy cross-origin-opener-policy cross-origin-resource-policy link location nel origin-agent-cluster ' +
  'p3p permissions-policy pragma referrer-policy report-to reporting-endpoints retry-after server-timing set-cookie sourcemap ' +
  'strict-transport-security surrogate-control surrogate-key cache-tag timing-allow-origin upgrade via warning ' +
  'www-authenticate x-cache x-content-type-options x-dns-prefetch-control x-frame-options x-powered-by x-request-id ' +
  'x-robots-tag x-ua-compatible x-xss-protection accept accept-encoding accept-language origin user-agent cookie ' +
  'authorization digest content-digest repr-digest priority'
).split(' ');
const CODES: ReadonlyMap<string, string> = new Map(NAMES.map((name, code) => [name, String.fromCharCode(code)]));
const LITERAL = 0xff;

/** Values that take two characters. As of NAMES. */
const VALUES: readonly string[] = [
  ...['text/html; charset=utf-8', 'text/html;charset=utf-8', 'text/html; charset=UTF-8', 'text/html', 'text/css'],
  ...['text/css; charset=utf-8', 'text/javascript', 'text/javascript; charset=utf-8', 'application/javascript'],
  ...['application/javascript; charset=utf-8', 'application/json', 'application/json; charset=utf-8'],
  ...['text/plain', 'text/plain; charset=utf-8', 'text/xml; charset=utf-8', 'application/xml', 'application/pdf'],
  ...['image/jpeg', 'image/png', 'image/gif', 'image/webp', 'image/avif', 'image/svg+xml', 'image/x-icon'],
  ...['font/woff2', 'font/woff', 'font/ttf', 'video/mp4', 'video/mp2t', 'video/webm', 'audio/mpeg', 'application/wasm'],
  ...['application/vnd.apple.mpegurl', 'application/dash+xml', 'application/octet-stream', 'application/zip'],
  ...['accept-encoding', 'Accept-Encoding', 'Origin', 'Accept-Encoding, Origin', 'Accept', 'Accept-Language'],
  ...[
    'gzip',
    'br',
    'zstd',
    'deflate',
    'bytes',
    'none',
    'nosniff',
    'SAMEORIGIN',
    'DENY',
    'nginx',
    'Apache',
    'en',
    '*',
    'true',
  ],
  ...['public, max-age=31536000, immutable', 'max-age=31536000, immutable', 'public, max-age=31536000'],
  ...['max-age=31536000', 'public, max-age=86400', 'max-age=86400', 'public, max-age=3600', 'max-age=3600'],
  ...['public, max-age=600', 'max-age=600', 'public, max-age=300', 'max-age=300', 'public, max-age=60', 'max-age=60'],
  ...[
    'public',
    'no-cache',
    'public, max-age=0, must-revalidate',
    'max-age=0, must-revalidate',
    'public, max-age=604800',
  ],
  ...['max-age=604800', 'strict-origin-when-cross-origin', 'no-referrer-when-downgrade', 'same-origin', 'cross-origin'],
  ...['max-age=31536000; includeSubDomains', 'max-age=63072000; includeSubDomains; preload', '1; mode=block', '0'],
];
const SHORT: ReadonlyMap<string, string> = new Map(
  VALUES.map((value, code) => [value, `\x01${String.fromCharCode(code)}`]),
);

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
  let text = string(key) + string(head.variant) + number(head.barrier) + names(entry);
  text += number(head.status) + number(LIFETIME_SOURCES.indexOf(head.lifetimeSource) * 2 + Number(head.neverStale));
  text += directives(head.control);
  text += number(head.requestedAt) + number(head.receivedAt) + number(head.lifetimeMs);
  text += number(head.dateMs) + number(head.initialAgeMs) + number(head.lastModifiedMs);
  text += number(head.staleWhileRevalidateMs) + number(head.staleIfErrorMs);
  text += count(head.tags.length);
  for (const tag of head.tags) text += string(tag);
  return text + nameList(head.vary) + fieldList(head.fields) + fieldList(head.consumed) + sliced(head.slices);
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

function fieldList(fields: FieldList): string {
  let text = count(fields.length >> 1);
  for (let i = 0; i < fields.length; i += 2) text += fieldName(fields[i] ?? '') + fieldValue(fields[i + 1] ?? '');
  return text;
}

function count(value: number): string {
  let text = '';
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) text += String.fromCharCode(0x80 + (rest % 0x80));
  return text + String.fromCharCode(rest);
}

function number(value: number | undefined): string {
  if (value === undefined) return '\0';
  return value >= 0 && Number.isSafeInteger(value + 2) ? count(value + 2) : `\x01${string(String(value))}`;
}

function string(value: string): string {
  let wide = 0;
  for (let i = 0; i < value.length; i += 1) wide |= value.charCodeAt(i);
  if (wide < 0x100) return count(value.length * 2) + value;
  let text = count(value.length * 2 + 1);
  for (let i = 0; i < value.length; i += 1) {
    const code = value.charCodeAt(i);
    text += String.fromCharCode(code >> 8, code & 0xff);
  }
  return text;
}

function fieldName(name: string): string {
  return CODES.get(name) ?? String.fromCharCode(LITERAL) + string(name);
}

function fieldValue(value: string): string {
  return SHORT.get(value) ?? string(value);
}

function directives(control: CacheControl): string {
  let flags = 0;
  for (let i = 0; i < FLAGS.length; i += 1) if (control[FLAGS[i] ?? 'noStore']) flags |= 1 << i;
  const { maxAgeMs, sMaxAgeMs, minFreshMs, maxStaleMs } = control;
  const text = count(flags) + number(maxAgeMs) + number(sMaxAgeMs) + number(minFreshMs) + number(maxStaleMs);
  const windows = number(control.staleWhileRevalidateMs) + number(control.staleIfErrorMs);
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

  /** What a record is stored under. */
  name(text: string): RecordName {
    this.#text = text;
    this.#at = 0;
    return { key: this.#string(), variant: this.#string(), barrier: this.#number() ?? 0 };
  }

  /** The entry of `record`; undefined when `key` is given and is not its key. `record` must be whole. */
  read(record: string, key?: string): Omit<Storable, 'body'> | undefined {
    this.#text = record;
    this.#at = 0;
    const ownKey = this.#key(key);
    if (ownKey === undefined) return undefined;
    const variant = this.#string();
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
      host = ownKey.slice(from, end);
      purgeTarget = target === end ? ownKey.slice(from) : host + ownKey.slice(target);
    }
    return { key: ownKey, host, purgeTarget, head: this.#head(variant, barrier) };
  }

  #head(variant: string, barrier: number): StoredHead {
    const status = this.#number() ?? 0;
    const source = this.#number() ?? 0;
    const control = this.#control();
    const requestedAt = this.#number() ?? 0;
    const receivedAt = this.#number() ?? 0;
    const lifetimeMs = this.#number() ?? 0;
    const dateMs = this.#number() ?? 0;
    const initialAgeMs = this.#number() ?? 0;
    const lastModifiedMs = this.#number();
    const staleWhileRevalidateMs = this.#number() ?? 0;
    const staleIfErrorMs = this.#number() ?? 0;
    const tags = new Array<string>(this.#count());
    for (let i = 0; i < tags.length; i += 1) tags[i] = this.#string();
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

  #string(): string {
    const size = this.#count();
    const from = this.#at;
    const length = Math.floor(size / 2);
    if (size % 2 === 0) {
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
    return VALUES[this.#text.charCodeAt(this.#at - 1)] ?? '';
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
    const from = this.#at;
    const flags = this.#count();
    const maxAgeMs = this.#number();
    const sMaxAgeMs = this.#number();
    const minFreshMs = this.#number();
    const maxStaleMs = this.#number();
    const staleWhileRevalidateMs = this.#number();
    const staleIfErrorMs = this.#number();
    const noCacheFields = this.#names();
    const privateFields = this.#names();
    const form = this.#text.slice(from, this.#at);
    const known = this.#controls.get(form);
    if (known) return known;
    const control: CacheControl = Object.freeze({
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
    if (this.#controls.size < MAX_CONTROLS) this.#controls.set(form, control);
    return control;
  }
}
