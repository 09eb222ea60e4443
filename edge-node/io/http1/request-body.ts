// The body of a request on a connection: read one piece at a time, when the handler asks for it, without copying; what nobody
// wants is thrown away.
import type { FieldList } from '../../decide/fields.ts';
import { ChunkedDecoder } from '../../decide/http1/chunked.ts';
import type { FieldLineReader } from '../../decide/http1/field-lines.ts';
import type { Refused } from '../../decide/http1/refusal.ts';
import type { ParsedRequest } from '../../decide/http1/request-parser.ts';
import { passableRequestTrailers } from '../../decide/trailers.ts';
import type { RequestBody } from '../../ports.ts';

/** What a body asks of its connection. */
export interface BodyOwner {
  /** The handler waits for a piece. */
  onBodyWanted(): void;
}

export interface BodyLimits {
  /** Trailer section of a chunked body, octets. */
  readonly trailerBytes: number;
  /** Of a body that nobody wants, octets to read and throw away. */
  readonly drainBytes: number;
}

type Piece = IteratorResult<Uint8Array, undefined>;

const NO_FIELDS: FieldList = Object.freeze([]);
const DONE: Piece = { done: true, value: undefined };

export class Http1Body implements RequestBody, AsyncIterableIterator<Uint8Array, undefined, undefined> {
  readonly length: number | undefined;
  readonly #owner: BodyOwner;
  readonly #decoder: ChunkedDecoder | undefined;
  readonly #drainBytes: number;
  /** Fields of the request. */
  readonly #head: FieldList;
  #left: number;
  #asked: PromiseWithResolvers<Piece> | undefined = undefined;
  #failure: Error | undefined = undefined;
  #discarding = false;
  #discarded = 0;
  #consumed = false;
  #complete = false;
  trailers: FieldList = NO_FIELDS;
  /** The client waits for 100 (Continue) and has not got it. */
  continueDue: boolean;

  /** `tunnel`: whatever comes until the client closes its side, which is no body of a message. */
  readonly tunnel: boolean;

  constructor(owner: BodyOwner, request: ParsedRequest | 'tunnel', lines: FieldLineReader, limits: BodyLimits) {
    this.#owner = owner;
    this.#drainBytes = limits.drainBytes;
    this.tunnel = request === 'tunnel';
    this.continueDue = request !== 'tunnel' && request.expectsContinue;
    const chunked = request !== 'tunnel' && request.framing === 'chunked';
    this.length = chunked || request === 'tunnel' ? undefined : request.contentLength;
    this.#left = this.length ?? Number.POSITIVE_INFINITY;
    this.#head = request === 'tunnel' ? NO_FIELDS : request.fields;
    this.#decoder = chunked ? new ChunkedDecoder(lines, limits.trailerBytes) : undefined;
  }

  get consumed(): boolean {
    return this.#consumed;
  }

  /** Whether all of it has been taken off the connection. */
  get complete(): boolean {
    return this.#complete;
  }

  /** Octets that are still to come; undefined when that is not known. */
  get left(): number | undefined {
    return this.#decoder === undefined ? this.#left : undefined;
  }

  /** Whether `take` would take any. */
  get wants(): boolean {
    return !this.#complete && (this.#discarding ? !this.tooLong : this.#asked !== undefined);
  }

  /** Nobody wants it, and more of it came than is worth reading. */
  get tooLong(): boolean {
    return this.#discarded > this.#drainBytes;
  }

  chunks(): AsyncIterable<Uint8Array> {
    return this;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** The next piece. One at a time: to be called again only when the one before has come. */
  next(): Promise<Piece> {
    this.#consumed = true;
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#complete) return Promise.resolve(DONE);
    if (this.#asked !== undefined) return Promise.reject(new Error('a piece of this body is being waited for already'));
    const asked = Promise.withResolvers<Piece>();
    this.#asked = asked;
    this.#owner.onBodyWanted();
    return asked.promise;
  }

  /** Whoever stops reading has no say over the connection: what is left is dealt with after the answer. */
  return(): Promise<Piece> {
    return Promise.resolve(DONE);
  }

  /** Nothing more comes: of a tunnel, that is its proper end. */
  end(): void {
    this.#complete = true;
    this.#asked?.resolve(DONE);
    this.#asked = undefined;
  }

  /** The exchange is over: whatever is left is thrown away. */
  discard(): void {
    this.#discarding = true;
    this.#settle(new Error('the exchange ended before the body of the request'));
  }

  /** The connection ended, or its octets make no sense. */
  fail(error: Error): void {
    this.#complete = true;
    this.#settle(error);
  }

  /** Takes what is wanted of `window[at..end)`; returns where it stopped, or why the octets make no sense. */
  take(window: Buffer, at: number, end: number): number | Refused {
    let next = at;
    while (this.wants) {
      if (this.#decoder === undefined) {
        if (next === end) break;
        const from = next;
        next = Math.min(end, from + this.#left);
        this.#left -= next - from;
        if (this.#left === 0) this.#complete = true;
        this.#pass(window, from, next);
        continue;
      }
      const outcome = this.#decoder.read(window, next, end);
      if (outcome.kind === 'refused') return outcome;
      if (outcome.kind === 'data') {
        next = outcome.to;
        this.#pass(window, outcome.from, outcome.to);
        continue;
      }
      next = outcome.next;
      if (outcome.kind === 'incomplete') break;
      this.trailers = passableRequestTrailers(outcome.trailers, this.#head);
      this.end();
    }
    return next;
  }

  #pass(window: Buffer, from: number, to: number): void {
    if (this.#discarding) this.#discarded += to - from;
    this.#asked?.resolve({ done: false, value: window.subarray(from, to) });
    this.#asked = undefined;
  }

  #settle(failure: Error): void {
    this.#failure = failure;
    this.#asked?.reject(failure);
    this.#asked = undefined;
  }
}
