// The head of an HTTP/1.1 answer, from its octets (RFC 9112 sections 4 to 6). Strict: what could be read in two ways is refused,
// since an answer that ends elsewhere than its origin meant makes its next bytes the answer to somebody else's request.
// Knowingly stricter than the RFC: no empty line before the status line, versions 1.0 and 1.1 alone, a status of 100 to 599, and
// no sign of a body where there is none.
//
// As with requests, the outcome is a function of the octets from the first of the message on, however they were cut into reads.
import type { FieldList } from '../fields.ts';
import { FieldLineReader } from './field-lines.ts';
import { INCOMPLETE, type Incomplete, type Refused, refused } from './refusal.ts';
import { type ResponseSection, responseSection } from './response-section.ts';
import { SectionMemo, sectionHash } from './section-memo.ts';

export interface ResponseLimits {
  /** Status line and fields together with their line ends, octets. */
  readonly headBytes: number;
  readonly fieldCount: number;
}

/** How the body is delimited (RFC 9112 section 6.3). "close": it ends with the connection. */
export type ResponseFraming = 'none' | 'length' | 'chunked' | 'close';

export interface ParsedResponse {
  readonly kind: 'response';
  /** 100..599. */
  readonly status: number;
  /** Names in lower case; one list may serve many answers. */
  readonly fields: FieldList;
  readonly framing: ResponseFraming;
  /** Octets of the body where `framing` is "length", otherwise 0. */
  readonly contentLength: number;
  /** Whether the origin lets the connection persist (RFC 9112 section 9.3). */
  readonly keepAlive: boolean;
  /** For how long it says that it keeps an idle connection, milliseconds. */
  readonly keepAliveMs: number | undefined;
  /** The protocol that it switches to, in lower case. */
  readonly upgrade: string | undefined;
  /** Where the head ends in the window, and the body begins. */
  readonly end: number;
}

export type ResponseOutcome = ParsedResponse | Incomplete | Refused;

const VERSION = 'HTTP/1.';
const HTAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SP = 0x20;
const ZERO = 0x30;
const ONE = 0x31;
const NINE = 0x39;
const DEL = 0x7f;

/** What the connections of one thread share. */
export class ResponseParserShared {
  readonly limits: ResponseLimits;
  readonly lines: FieldLineReader;
  readonly memo: SectionMemo<ResponseSection>;

  constructor(limits: ResponseLimits, memo = new SectionMemo<ResponseSection>()) {
    this.limits = limits;
    this.lines = new FieldLineReader(limits.fieldCount, 'keep');
    this.memo = memo;
  }
}

/** One for each connection. */
export class ResponseParser {
  readonly #shared: ResponseParserShared;
  /** Hash of the last section: where it is remembered. */
  #hash = 0;

  constructor(shared: ResponseParserShared) {
    this.#shared = shared;
  }

  /**
   * Reads the head that begins at `start`; `end` is where the octets that have arrived end. `toHead`: the request was HEAD, whose
   * answer never has a body. After "incomplete", call again when there are more, with a window that still has all from the first
   * octet of the message on, wherever it lies.
   */
  parse(window: Buffer, start: number, end: number, toHead: boolean): ResponseOutcome {
    const { headBytes } = this.#shared.limits;
    const outcome = this.#parse(window, start, Math.min(end, start + headBytes), toHead);
    return outcome.kind === 'incomplete' && end - start >= headBytes ? refused('fields-too-large') : outcome;
  }

  #parse(window: Buffer, start: number, stop: number, toHead: boolean): ResponseOutcome {
    let at = start;
    for (let i = 0; i < VERSION.length; i += 1, at += 1) {
      if (at >= stop) return INCOMPLETE;
      if (window[at] !== VERSION.charCodeAt(i)) return refused('status-line-malformed');
    }
    if (at >= stop) return INCOMPLETE;
    const minor = window[at] === ZERO ? 0 : 1;
    if (minor === 1 && window[at] !== ONE) return refused('version-unsupported');
    if (at + 1 >= stop) return INCOMPLETE;
    if (window[at + 1] !== SP) return refused('status-line-malformed');
    at += 2;
    let status = 0;
    for (const digitsEnd = at + 3; at < digitsEnd; at += 1) {
      if (at >= stop) return INCOMPLETE;
      const octet = window[at] ?? 0;
      if (octet < ZERO || octet > NINE) return refused('status-line-malformed');
      status = status * 10 + octet - ZERO;
    }
    if (at >= stop) return INCOMPLETE;
    // The space before a missing reason is often missing, too.
    if (window[at] !== SP && window[at] !== CR) return refused('status-line-malformed');
    if (status < 100 || status > 599) return refused('status-out-of-range');
    for (; at < stop; at += 1) {
      const octet = window[at] ?? 0;
      if (octet < SP ? octet !== HTAB : octet === DEL) break;
    }
    if (at >= stop) return INCOMPLETE;
    if (window[at] !== CR) return refused(window[at] === LF ? 'line-terminator' : 'status-line-malformed');
    if (at + 1 >= stop) return INCOMPLETE;
    if (window[at + 1] !== LF) return refused('line-terminator');
    at += 2;
    const section = this.#section(window, at, stop);
    return section.kind === 'section' ? respond(status, minor, section, at + section.size, toHead) : section;
  }

  #section(window: Buffer, start: number, stop: number): ResponseSection | Incomplete | Refused {
    const { lines, memo } = this.#shared;
    const last = this.#hash;
    const repeated = memo.find(last, window, start, stop);
    if (repeated !== undefined) return repeated;
    const fault = lines.scan(window, start, stop);
    if (fault !== undefined) return fault;
    const { end } = lines;
    const hash = sectionHash(window, start, end);
    this.#hash = hash;
    const known = hash === last ? undefined : memo.find(hash, window, start, stop);
    if (known !== undefined) return known;
    const section = responseSection(lines.fields(window), end - start);
    // As with requests: only what one connection says twice in a row.
    if (section.kind === 'section' && hash === last) memo.keep(hash, window, start, section);
    return section;
  }
}

/** What needs the status line and the section both. */
function respond(
  status: number,
  minor: 0 | 1,
  section: ResponseSection,
  end: number,
  toHead: boolean,
): ParsedResponse | Refused {
  const { chunked, contentLength } = section;
  // RFC 9112 section 6.1: framing that nobody knows to be right.
  if (minor === 0 && chunked) return refused('transfer-encoding-in-1.0');
  const informational = status < 200;
  // RFC 9110 section 15.2: HTTP/1.0 has none. An origin that ends with it means something else.
  if (informational && (minor === 0 || section.close)) return refused('informational-alone');
  // The same section: neither may be there. A length of 0 is a common slip, and cannot be misread.
  if ((informational || status === 204) && (chunked || (contentLength ?? 0) > 0)) {
    return refused('body-where-none-may-be');
  }
  const bodyless = informational || status === 204 || status === 304 || toHead;
  const framing = bodyless ? 'none' : chunked ? 'chunked' : contentLength === undefined ? 'close' : 'length';
  return {
    kind: 'response',
    status,
    fields: section.fields,
    framing,
    contentLength: framing === 'length' ? (contentLength ?? 0) : 0,
    keepAlive: framing !== 'close' && !section.close && (minor === 1 || section.keepAlive),
    keepAliveMs: section.keepAliveMs,
    upgrade: section.upgrade,
    end,
  };
}
