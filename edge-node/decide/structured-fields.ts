// Structured field values (RFC 9651, which takes the place of RFC 8941), read strictly: section 4.2 says that a value with any
// fault is no value at all. Items, lists and dictionaries; every type of item.

export type BareItem =
  /** At most 15 digits. */
  | { readonly kind: 'integer'; readonly value: number }
  /** At most 12 digits before and 3 behind the point. */
  | { readonly kind: 'decimal'; readonly value: number }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'token'; readonly value: string }
  | { readonly kind: 'bytes'; readonly value: Uint8Array }
  | { readonly kind: 'boolean'; readonly value: boolean }
  /** Unix seconds. */
  | { readonly kind: 'date'; readonly value: number }
  /** Any Unicode text. */
  | { readonly kind: 'display'; readonly value: string };

export type Parameters = ReadonlyMap<string, BareItem>;

export interface Item {
  readonly kind: 'item';
  readonly value: BareItem;
  readonly parameters: Parameters;
}

export interface InnerList {
  readonly kind: 'inner-list';
  readonly items: readonly Item[];
  readonly parameters: Parameters;
}

export type Member = Item | InnerList;

/** The members by key, in order of first appearance; undefined when `text` is not a dictionary. Empty text is an empty one. */
export function parseDictionary(text: string): ReadonlyMap<string, Member> | undefined {
  return parse(text, (reader) => reader.dictionary());
}

/** Undefined when `text` is not a list. Empty text is an empty one. */
export function parseList(text: string): readonly Member[] | undefined {
  return parse(text, (reader) => reader.list());
}

/** Undefined when `text` is not one item. */
export function parseItem(text: string): Item | undefined {
  return parse(text, (reader) => reader.item());
}

/** What the reader throws, and nobody else sees. */
class Fault extends Error {}

function parse<T>(text: string, read: (reader: Reader) => T): T | undefined {
  const reader = new Reader(text);
  try {
    reader.spaces();
    const value = read(reader);
    reader.spaces();
    return reader.ended ? value : undefined;
  } catch (error) {
    if (error instanceof Fault) return undefined;
    throw error;
  }
}

const DIGIT = /[0-9]/;
const ALPHA_OR_STAR = /[A-Za-z*]/;
const KEY = /[a-z*][a-z0-9_.*-]*/y;
const TOKEN = /[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]*/y;
const NUMBER = /-?([0-9]+)(?:\.([0-9]*))?/y;
const STRING = /"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"/y;
const BYTES = /:([A-Za-z0-9+/=]*):/y;
const DISPLAY = /%"((?:[\x20\x21\x23\x24\x26-\x7e]|%[0-9a-f]{2})*)"/y;
const MAX_INTEGER_DIGITS = 15;
const MAX_WHOLE_DIGITS = 12;
const MAX_FRACTION_DIGITS = 3;

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get ended(): boolean {
    return this.#at >= this.#text.length;
  }

  spaces(): void {
    while (this.#text[this.#at] === ' ') this.#at += 1;
  }

  dictionary(): ReadonlyMap<string, Member> {
    const members = new Map<string, Member>();
    this.#members(() => {
      const key = this.#key();
      if (this.#take('=')) members.set(key, this.#member());
      else members.set(key, { kind: 'item', value: TRUE, parameters: this.#parameters() });
    });
    return members;
  }

  list(): readonly Member[] {
    const members: Member[] = [];
    this.#members(() => members.push(this.#member()));
    return members;
  }

  item(): Item {
    const value = this.#bareItem();
    return { kind: 'item', value, parameters: this.#parameters() };
  }

  /** Members with commas between them, and none behind the last. */
  #members(read: () => void): void {
    if (this.ended) return;
    for (;;) {
      read();
      this.#whiteSpace();
      if (this.ended) return;
      if (!this.#take(',')) throw new Fault();
      this.#whiteSpace();
      if (this.ended) throw new Fault();
    }
  }

  #member(): Member {
    return this.#text[this.#at] === '(' ? this.#innerList() : this.item();
  }

  #innerList(): InnerList {
    this.#at += 1;
    const items: Item[] = [];
    for (;;) {
      this.spaces();
      if (this.#take(')')) return { kind: 'inner-list', items, parameters: this.#parameters() };
      items.push(this.item());
      const next = this.#text[this.#at];
      if (next !== ' ' && next !== ')') throw new Fault();
    }
  }

  #parameters(): Parameters {
    if (this.#text[this.#at] !== ';') return NO_PARAMETERS;
    const parameters = new Map<string, BareItem>();
    while (this.#take(';')) {
      this.spaces();
      const key = this.#key();
      parameters.set(key, this.#take('=') ? this.#bareItem() : TRUE);
    }
    return parameters;
  }

  #key(): string {
    return this.#match(KEY)[0];
  }

  #bareItem(): BareItem {
    const first = this.#text[this.#at] ?? '';
    if (first === '-' || DIGIT.test(first)) return this.#number();
    if (ALPHA_OR_STAR.test(first)) return { kind: 'token', value: this.#match(TOKEN)[0] };
    switch (first) {
      case '"':
        return { kind: 'string', value: (this.#match(STRING)[1] ?? '').replace(/\\(.)/g, '$1') };
      case ':':
        return { kind: 'bytes', value: decodeBase64(this.#match(BYTES)[1] ?? '') };
      case '?':
        return this.#boolean();
      case '@':
        return this.#date();
      case '%':
        return { kind: 'display', value: decodeDisplay(this.#match(DISPLAY)[1] ?? '') };
      default:
        throw new Fault();
    }
  }

  #number(): BareItem {
    const [text, whole = '', fraction] = this.#match(NUMBER);
    // The addition makes 0 of -0.
    const value = Number(text) + 0;
    if (fraction === undefined) {
      if (whole.length > MAX_INTEGER_DIGITS) throw new Fault();
      return { kind: 'integer', value };
    }
    if (whole.length > MAX_WHOLE_DIGITS || fraction === '' || fraction.length > MAX_FRACTION_DIGITS) throw new Fault();
    return { kind: 'decimal', value };
  }

  #boolean(): BareItem {
    const value = this.#text[this.#at + 1];
    if (value !== '0' && value !== '1') throw new Fault();
    this.#at += 2;
    return value === '1' ? TRUE : { kind: 'boolean', value: false };
  }

  #date(): BareItem {
    this.#at += 1;
    const seconds = this.#number();
    if (seconds.kind !== 'integer') throw new Fault();
    return { kind: 'date', value: seconds.value };
  }

  #match(pattern: RegExp): RegExpExecArray {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (!match) throw new Fault();
    this.#at = pattern.lastIndex;
    return match;
  }

  #take(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at += 1;
    return true;
  }

  #whiteSpace(): void {
    while (this.#text[this.#at] === ' ' || this.#text[this.#at] === '\t') this.#at += 1;
  }
}

const TRUE: BareItem = Object.freeze({ kind: 'boolean', value: true });
const NO_PARAMETERS: Parameters = new Map();

/** Without padding too, as section 4.2.7 allows. */
function decodeBase64(text: string): Uint8Array {
  let binary: string;
  try {
    binary = atob(text);
  } catch {
    throw new Fault();
  }
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

function decodeDisplay(text: string): string {
  const bytes: number[] = [];
  for (let i = 0; i < text.length; i += 1) {
    if (text[i] === '%') {
      bytes.push(Number.parseInt(text.slice(i + 1, i + 3), 16));
      i += 2;
    } else {
      bytes.push(text.charCodeAt(i));
    }
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(bytes));
  } catch {
    throw new Fault();
  }
}
