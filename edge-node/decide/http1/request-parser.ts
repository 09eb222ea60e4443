// The head of an HTTP/1.1 request, from its octets (RFC 9112 sections 2 to 6, RFC 9110 sections 7.2, 9.1, 10.1.1). Strict: what
// could be read in two ways is refused, and where the RFC lets a server repair, this one does not. Knowingly stricter than the
// RFC: one empty line before the request at most, methods and versions that Meridian serves, `chunked` in lower case.
//
// The outcome, but for `recurring`, is a function of the octets from the first of the message on, read left to right, up to a
// limit. So it does not depend on how they were cut into reads, and what is refused once stays refused whatever follows.
import type { RequestHead } from '../admit.ts';
import { FieldLineReader } from './field-lines.ts';
import { TARGET, TOKEN_LOWER } from './octets.ts';
import { INCOMPLETE, type Incomplete, type Refused, refused } from './refusal.ts';
import { AUTHORITY, type RequestSection, requestSection } from './request-section.ts';
import { SectionMemo, sectionHash } from './section-memo.ts';

export interface HeadLimits {
  /** Request line and fields together with their line ends, octets. */
  readonly headBytes: number;
  readonly fieldCount: number;
  /** Octets of the request target; less than `headBytes`. */
  readonly targetBytes: number;
}

/** How the body is delimited (RFC 9112 section 6.3). */
export type Framing = 'none' | 'length' | 'chunked';

/**
 * `target` is in origin-form, in absolute-form of http or https, or "*" with OPTIONS; the names of `fields` are in lower case,
 * and one list may serve many requests.
 */
export interface ParsedRequest extends RequestHead {
  readonly kind: 'request';
  /** Field lines left out, since their names have "_". */
  readonly dropped: number;
  readonly framing: Framing;
  /** Octets of the body where `framing` is "length", otherwise 0. */
  readonly contentLength: number;
  /** Whether the client lets the connection persist (RFC 9112 section 9.3). */
  readonly keepAlive: boolean;
  /** The client waits for 100 (Continue) before it sends the body. */
  readonly expectsContinue: boolean;
  /** Protocols that the client would switch to. */
  readonly upgrade: string | undefined;
  /** Where the head ends in the window, and the body begins. */
  readonly end: number;
}

export type ParseOutcome = ParsedRequest | Incomplete | Refused;

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];
const LONGEST_METHOD = 7;
const ABSOLUTE_FORM = new RegExp(`^https?://${AUTHORITY}(?:[/?]|$)`, 'i');
const VERSION = 'HTTP/';
const LF = 0x0a;
const CR = 0x0d;
const SP = 0x20;
const DOT = 0x2e;
const SLASH = 0x2f;
const ZERO = 0x30;
const NINE = 0x39;

/** What the connections of one thread share. */
export class ParserShared {
  readonly limits: HeadLimits;
  readonly lines: FieldLineReader;
  readonly memo: SectionMemo;

  constructor(limits: HeadLimits, memo = new SectionMemo()) {
    this.limits = limits;
    this.lines = new FieldLineReader(limits.fieldCount);
    this.memo = memo;
  }
}

/** One for each connection. */
export class RequestParser {
  readonly #shared: ParserShared;
  readonly #scheme: 'http' | 'https';
  readonly #peer: string;
  readonly #sni: string | undefined;
  /** Hash of the last section: where it is remembered. */
  #hash = 0;
  /** Whether the last section was remembered. */
  #recurring = false;

  /** `scheme`, `peer` and `sni`: of the connection, as every request on it says. */
  constructor(shared: ParserShared, scheme: 'http' | 'https', peer: string, sni?: string) {
    this.#shared = shared;
    this.#scheme = scheme;
    this.#peer = peer;
    this.#sni = sni;
  }

  /**
   * Reads the request head that begins at `start`; `end` is where the octets that have arrived end. After "incomplete", call
   * again when there are more, with a window that still has all from the first octet of the message on, wherever it lies.
   * It is read from its first octet again: that is bounded by `headBytes`, about the cost of the arrival itself.
   */
  parse(window: Buffer, start: number, end: number): ParseOutcome {
    const { headBytes } = this.#shared.limits;
    const outcome = this.#parse(window, start, Math.min(end, start + headBytes));
    return outcome.kind === 'incomplete' && end - start >= headBytes ? refused('fields-too-large') : outcome;
  }

  #parse(window: Buffer, start: number, stop: number): ParseOutcome {
    let at = start;
    if (window[at] === CR) {
      // RFC 9112 section 2.2: an empty line that an old client sent after a body.
      if (at + 1 >= stop) return INCOMPLETE;
      if (window[at + 1] !== LF) return refused('line-terminator');
      at += 2;
      if (at < stop && window[at] === CR) return refused('empty-lines');
    }

    const methodStart = at;
    while (at < stop && TOKEN_LOWER[window[at] ?? 0] !== 0) at += 1;
    if (at - methodStart > LONGEST_METHOD) return refused('method-unknown');
    if (at >= stop) return INCOMPLETE;
    if (window[at] !== SP || at === methodStart) return refused('method-malformed');
    const method = knownMethod(window, methodStart, at);
    if (method === undefined) return refused('method-unknown');

    at += 1;
    const targetStart = at;
    const targetStop = Math.min(stop, targetStart + this.#shared.limits.targetBytes + 1);
    while (at < targetStop && TARGET[window[at] ?? 0] === 1) at += 1;
    if (at - targetStart > this.#shared.limits.targetBytes) return refused('target-too-long');
    if (at >= stop) return INCOMPLETE;
    if (window[at] !== SP || at === targetStart) return refused('target-malformed');
    const targetEnd = at;

    at += 1;
    for (let i = 0; i < VERSION.length; i += 1) {
      if (at + i >= stop) return INCOMPLETE;
      if (window[at + i] !== VERSION.charCodeAt(i)) return refused('version-malformed');
    }
    at += VERSION.length;
    if (at >= stop) return INCOMPLETE;
    const major = window[at] ?? 0;
    if (!isDigit(major)) return refused('version-malformed');
    if (at + 1 >= stop) return INCOMPLETE;
    if (window[at + 1] !== DOT) return refused('version-malformed');
    if (at + 2 >= stop) return INCOMPLETE;
    const minor = (window[at + 2] ?? 0) - ZERO;
    if (!isDigit(minor + ZERO)) return refused('version-malformed');
    if (major !== ZERO + 1 || (minor !== 0 && minor !== 1)) return refused('version-unsupported');
    at += 3;
    if (at >= stop) return INCOMPLETE;
    if (window[at] !== CR) return refused(window[at] === LF ? 'line-terminator' : 'version-malformed');
    if (at + 1 >= stop) return INCOMPLETE;
    if (window[at + 1] !== LF) return refused('line-terminator');
    at += 2;

    const target = window.toString('latin1', targetStart, targetEnd);
    if (window[targetStart] !== SLASH && !isOtherForm(target, method)) return refused('target-form');

    const section = this.#section(window, at, stop);
    return section.kind === 'section' ? this.#request(method, target, minor, section, at + section.size) : section;
  }

  /** What needs both the request line and the section. */
  #request(
    method: string,
    target: string,
    minor: 0 | 1,
    section: RequestSection,
    end: number,
  ): ParsedRequest | Refused {
    const { chunked, contentLength = 0 } = section;
    if (minor === 0 && chunked) return refused('transfer-encoding-in-1.0');
    if (minor === 1) {
      if (section.host === undefined) return refused('host-missing');
      if (section.expectation === 'unknown') return refused('expectation-unknown');
    }
    const hasBody = chunked || contentLength > 0;
    return {
      kind: 'request',
      method,
      target,
      fields: section.fields,
      recurring: this.#recurring,
      version: minor === 0 ? '1.0' : '1.1',
      scheme: this.#scheme,
      peer: this.#peer,
      sni: this.#sni,
      hasBody,
      dropped: section.dropped,
      framing: chunked ? 'chunked' : section.contentLength === undefined ? 'none' : 'length',
      contentLength,
      keepAlive: !section.close && (minor === 1 || section.keepAlive),
      expectsContinue: minor === 1 && section.expectation === '100-continue' && hasBody,
      upgrade: minor === 1 ? section.upgrade : undefined,
      end,
    };
  }

  #section(window: Buffer, start: number, stop: number): RequestSection | Incomplete | Refused {
    const { lines, memo } = this.#shared;
    const last = this.#hash;
    const repeated = memo.find(last, window, start, stop);
    this.#recurring = repeated !== undefined;
    if (repeated !== undefined) return repeated;
    const fault = lines.scan(window, start, stop);
    if (fault !== undefined) return fault;
    const { end } = lines;
    const hash = sectionHash(window, start, end);
    this.#hash = hash;
    const known = hash === last ? undefined : memo.find(hash, window, start, stop);
    this.#recurring = known !== undefined;
    if (known !== undefined) return known;
    const section = requestSection(lines.fields(window), end - start, lines.dropped);
    // Only what this connection sent twice in a row: a section that is never seen again would take the place of one that is.
    if (section.kind === 'section' && hash === last) memo.keep(hash, window, start, section);
    return section;
  }
}

/** The method as a string that all requests share. Case matters (RFC 9110 section 9.1). */
function knownMethod(window: Buffer, start: number, end: number): string | undefined {
  for (let m = 0; m < METHODS.length; m += 1) {
    const method = METHODS[m] ?? '';
    if (method.length !== end - start) continue;
    let i = 0;
    while (i < method.length && method.charCodeAt(i) === window[start + i]) i += 1;
    if (i === method.length) return method;
  }
  return undefined;
}

/** Absolute-form, and "*" where it may stand (RFC 9112 section 3.2). Authority-form belongs to CONNECT, which is not served. */
function isOtherForm(target: string, method: string): boolean {
  return target === '*' ? method === 'OPTIONS' : ABSOLUTE_FORM.test(target);
}

function isDigit(octet: number): boolean {
  return octet >= ZERO && octet <= NINE;
}
