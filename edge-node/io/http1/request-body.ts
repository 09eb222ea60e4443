// The body of a request on a connection: read as fast as the handler takes it, no copies; what nobody wants is discarded.
import { Readable } from 'node:stream';
import { ChunkedDecoder } from '../../decide/http1/chunked.ts';
import type { FieldLineReader } from '../../decide/http1/field-lines.ts';
import type { Refused } from '../../decide/http1/refusal.ts';
import type { ParsedRequest } from '../../decide/http1/request-parser.ts';
import type { RequestBody } from '../../ports.ts';

/** What a body tells its connection. */
export interface BodyOwner {
  /** The handler asks for the body: octets may be taken, and a client that waits for 100 (Continue) gets it. */
  onBodyWanted(): void;
}

export interface BodyLimits {
  /** Trailer section of a chunked body, octets. */
  readonly trailerBytes: number;
  /** Of a body that nobody wants, octets to read and throw away. */
  readonly drainBytes: number;
}

export class Http1Body implements RequestBody {
  readonly length: number | undefined;
  readonly #owner: BodyOwner;
  readonly #decoder: ChunkedDecoder | undefined;
  readonly #drainBytes: number;
  #left: number;
  #stream: Readable | undefined = undefined;
  #wanted = false;
  #discarding = false;
  #discarded = 0;
  /** All of it has been taken off the connection. */
  complete = false;
  /** The client waits for 100 (Continue) and has not got it. */
  continueDue: boolean;

  constructor(owner: BodyOwner, request: ParsedRequest, lines: FieldLineReader, limits: BodyLimits) {
    this.#owner = owner;
    this.#drainBytes = limits.drainBytes;
    this.continueDue = request.expectsContinue;
    const chunked = request.framing === 'chunked';
    this.length = chunked ? undefined : request.contentLength;
    this.#left = request.contentLength;
    this.#decoder = chunked ? new ChunkedDecoder(lines, limits.trailerBytes) : undefined;
  }

  get consumed(): boolean {
    return this.#stream !== undefined;
  }

  /** Octets that are still to come; undefined when that is not known. */
  get left(): number | undefined {
    return this.#decoder === undefined ? this.#left : undefined;
  }

  /** Whether `take` would take any. */
  get wants(): boolean {
    return !this.complete && (this.#discarding ? !this.tooLong : this.#wanted);
  }

  /** Nobody wants it, and more of it came than is worth reading. */
  get tooLong(): boolean {
    return this.#discarded > this.#drainBytes;
  }

  stream(): Readable {
    if (this.#stream !== undefined) throw new Error('the body of a request can be streamed once');
    const stream = new Readable({
      read: () => {
        this.#wanted = true;
        this.#owner.onBodyWanted();
      },
      destroy: (error, callback) => {
        this.discard();
        callback(error);
        if (!this.complete) this.#owner.onBodyWanted();
      },
    });
    // Whoever reads it listens for errors; who handed it on and left must not end the process.
    stream.on('error', () => undefined);
    this.#stream = stream;
    return stream;
  }

  /** From here on nobody wants it. */
  discard(): void {
    this.#discarding = true;
  }

  /** The connection ended, or its octets make no sense, before the body was complete. */
  fail(error: Error): void {
    this.complete = true;
    this.#stream?.destroy(error);
  }

  /** Takes what is wanted of `window[at..end)`; returns where it stopped, or why the octets make no sense. */
  take(window: Buffer, at: number, end: number): number | Refused {
    let next = at;
    while (this.wants) {
      const before = next;
      if (this.#decoder === undefined) {
        next = Math.min(end, before + this.#left);
        this.#left -= next - before;
        if (next > before) this.#pass(window, before, next);
        if (this.#left === 0) this.#finish();
        else if (next === end) break;
        continue;
      }
      const outcome = this.#decoder.read(window, before, end);
      if (outcome.kind === 'refused') return outcome;
      if (outcome.kind === 'data') {
        next = outcome.to;
        this.#pass(window, outcome.from, outcome.to);
        continue;
      }
      next = outcome.next;
      if (outcome.kind === 'incomplete') break;
      this.#finish();
    }
    return next;
  }

  #pass(window: Buffer, from: number, to: number): void {
    if (this.#discarding) this.#discarded += to - from;
    else this.#wanted = this.#stream?.push(window.subarray(from, to)) ?? false;
  }

  #finish(): void {
    this.complete = true;
    if (!this.#discarding) this.#stream?.push(null);
  }
}
