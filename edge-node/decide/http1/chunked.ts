// A chunked body (RFC 9112 section 7.1), from its octets to slices of the window they lie in; nothing is copied. Knowingly
// stricter than the RFC: chunk extensions are refused (nobody uses them, and what hops disagree on is where they end), a size
// has at most eight digits, and a trailer that would frame or route a message is refused rather than ignored.
import type { FieldList } from '../fields.ts';
import type { FieldLineReader } from './field-lines.ts';
import { type Refused, refused } from './refusal.ts';

export type ChunkedOutcome =
  /** `window[from..to)` is the body's next part; go on at `to`. */
  | { readonly kind: 'data'; readonly from: number; readonly to: number }
  /** Go on at `next` when there is more; the octets from there on have to be kept. */
  | { readonly kind: 'incomplete'; readonly next: number }
  /** The body is complete and the next message begins at `next`. Trailers are not to be taken for header fields. */
  | { readonly kind: 'end'; readonly next: number; readonly trailers: FieldList }
  | Refused;

const LF = 0x0a;
const CR = 0x0d;
const HTAB = 0x09;
const SP = 0x20;
const SEMICOLON = 0x3b;
const SIZE_DIGITS = 8;

const FORBIDDEN: ReadonlySet<string> = new Set(['content-length', 'transfer-encoding', 'host']);

/** One for each body. */
export class ChunkedDecoder {
  readonly #lines: FieldLineReader;
  readonly #trailerBytes: number;
  #phase: 'size' | 'data' | 'data-end' | 'trailers' = 'size';
  /** Octets of this chunk's data that have yet to come. */
  #left = 0;

  /** `trailerBytes`: what the trailer section may take, its empty line included. */
  constructor(lines: FieldLineReader, trailerBytes: number) {
    this.#lines = lines;
    this.#trailerBytes = trailerBytes;
  }

  /**
   * Reads on at `at`, as far as the next part of the body; `end` is where the octets that have arrived end. Call again, with
   * `at` where the outcome says, until it is "end" or "refused".
   */
  read(window: Buffer, at: number, end: number): ChunkedOutcome {
    let next = at;
    for (;;) {
      switch (this.#phase) {
        case 'size': {
          const found = this.#size(window, next, end);
          if (typeof found !== 'number') return found;
          this.#phase = this.#left === 0 ? 'trailers' : 'data';
          next = found;
          break;
        }
        case 'data': {
          if (next >= end) return { kind: 'incomplete', next };
          const to = Math.min(end, next + this.#left);
          this.#left -= to - next;
          if (this.#left === 0) this.#phase = 'data-end';
          return { kind: 'data', from: next, to };
        }
        case 'data-end':
          if (next < end && window[next] !== CR) return refused('chunk-terminator');
          if (next + 1 < end && window[next + 1] !== LF) return refused('chunk-terminator');
          if (next + 1 >= end) return { kind: 'incomplete', next };
          next += 2;
          this.#phase = 'size';
          break;
        case 'trailers':
          return this.#trailers(window, next, end);
      }
    }
  }

  /** Where the data of the chunk begins. */
  #size(window: Buffer, start: number, end: number): number | ChunkedOutcome {
    let size = 0;
    let at = start;
    for (; at < end; at += 1) {
      const digit = hexDigit(window[at] ?? 0);
      if (digit === -1) break;
      if (at - start === SIZE_DIGITS) return refused('chunk-size-too-large');
      size = size * 16 + digit;
    }
    if (at >= end) return { kind: 'incomplete', next: start };
    if (at === start) return refused('chunk-size-malformed');
    const octet = window[at];
    if (octet === SEMICOLON || octet === SP || octet === HTAB) return refused('chunk-extension');
    if (octet === LF) return refused('line-terminator');
    if (octet !== CR) return refused('chunk-size-malformed');
    if (at + 1 >= end) return { kind: 'incomplete', next: start };
    if (window[at + 1] !== LF) return refused('line-terminator');
    this.#left = size;
    return at + 2;
  }

  #trailers(window: Buffer, start: number, end: number): ChunkedOutcome {
    const lines = this.#lines;
    const fault = lines.scan(window, start, Math.min(end, start + this.#trailerBytes));
    if (fault?.kind === 'incomplete') {
      return end - start >= this.#trailerBytes ? refused('fields-too-large') : { kind: 'incomplete', next: start };
    }
    if (fault !== undefined) return fault;
    const next = lines.end;
    const trailers = lines.fields(window);
    for (let i = 0; i < trailers.length; i += 2) {
      if (FORBIDDEN.has(trailers[i] ?? '')) return refused('trailer-forbidden');
    }
    return { kind: 'end', next, trailers };
  }
}

function hexDigit(octet: number): number {
  if (octet >= 0x30 && octet <= 0x39) return octet - 0x30;
  const lower = octet | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}
