// One stream (RFC 9113 section 5): a request, and the writing of its answer, which is the port that the pipeline answers through.
import type { RequestHead } from '../../decide/admit.ts';
import type { PreparedAnswer } from '../../decide/cache/prepared.ts';
import { type FailureCode, failureResponse } from '../../decide/errors.ts';
import { combinedField, type FieldList } from '../../decide/fields.ts';
import { CODE, type Code, FRAME_MAX } from '../../decide/http2/codes.ts';
import { ReceiveWindow, widened } from '../../decide/http2/flow.ts';
import { windowUpdateFrame } from '../../decide/http2/frame-writer.ts';
import { type Priority, readPriority } from '../../decide/http2/priority.ts';
import type { ReadRequest } from '../../decide/http2/request-reader.ts';
import { responseBlock, trailerBlock } from '../../decide/http2/response-block.ts';
import { passableRequestTrailers, takesTrailers } from '../../decide/trailers.ts';
import type { ClientPort } from '../../ports.ts';
import { type Progress, StreamDeadlines } from './deadlines.ts';
import type { Output, Sender } from './output.ts';
import { type BodyOwner, Http2Body } from './request-body.ts';
import type { Http2Limits } from './shared.ts';

/** What a stream needs of its connection. */
export interface StreamOwner {
  readonly output: Output;
  /** The value of Date. */
  date(): string;
  /** The answer has left, or never will: nothing more is to be watched. */
  forget(client: Http2Client): void;
  /** RST_STREAM; what still comes for the stream is to be ignored. */
  reset(stream: number, code: Code): void;
  /** Bytes of the connection's window are free again. */
  onConsumed(bytes: number): void;
  /** Sends what was added, at the end of the turn at the latest. */
  flushSoon(): void;
}

const NO_BODY = new Uint8Array(0);

export class Http2Client implements ClientPort, Sender, BodyOwner {
  readonly id: number;
  readonly request: RequestHead;
  readonly body: Http2Body | undefined;
  readonly #owner: StreamOwner;
  /** "complete": the handler has said all of its answer. "gone": the stream ended first. */
  #state: 'unanswered' | 'begun' | 'complete' | 'gone' = 'unanswered';
  /** What the client takes of this stream, bytes; SETTINGS can make it less than nothing (section 6.9.2). */
  #window: number;
  /** What waits to be sent: `#part` from `#offset` on, then `#parts`. */
  #part: Uint8Array | undefined = undefined;
  #offset = 0;
  #parts: Uint8Array[] | undefined = undefined;
  /** The handler was told to wait for `onDrain`. */
  #held = false;
  /** Body bytes in frames, so far; and whether the last of them, with END_STREAM, is among them. */
  #sent = 0;
  #ended = false;
  /** No body follows the head, whatever it says. */
  #silent = false;
  /** What follows the body. */
  #trailers: string | undefined = undefined;
  /** Of the request; undefined once it is complete. */
  #incoming: ReceiveWindow | undefined;
  #left: number | undefined;
  #continueDue: boolean;
  #deadlines: StreamDeadlines | undefined = undefined;
  /** Read when it matters. */
  #priority: Priority | undefined = undefined;
  queued = false;
  onDrain: (() => void) | undefined = undefined;
  onGone: (() => void) | undefined = undefined;

  /** `window`: of the client, for this stream. `endStream`: the request has no body; else `windowBytes` of it may come. */
  constructor(
    owner: StreamOwner,
    id: number,
    read: ReadRequest,
    window: number,
    endStream: boolean,
    windowBytes: number,
  ) {
    this.#owner = owner;
    this.id = id;
    this.#window = window;
    this.#incoming = endStream ? undefined : new ReceiveWindow(windowBytes);
    this.#left = read.contentLength;
    const hasBody = !endStream && read.contentLength !== 0;
    this.#continueDue = hasBody && read.expectsContinue;
    this.body = hasBody ? new Http2Body(this, read.contentLength) : undefined;
    this.request = hasBody ? { ...read.head, hasBody } : read.head;
  }

  /** Whether more of the request is to come. */
  get receiving(): boolean {
    return this.#incoming !== undefined;
  }

  /** Whether all has been sent that there was to send, or nothing more will be. */
  get over(): boolean {
    return this.#ended || this.#state === 'gone';
  }

  get priority(): Priority {
    this.#priority ??= readPriority(combinedField(this.request.fields, 'priority'));
    return this.#priority;
  }

  /** The client has thought again. */
  set priority(priority: Priority) {
    this.#priority = priority;
    this.#owner.output.requeue(this);
  }

  get sendable(): boolean {
    return this.#part !== undefined && this.#window > 0;
  }

  answer(status: number, fields: FieldList, body: Uint8Array | undefined, length: number | undefined): void {
    if (this.#state !== 'unanswered') return;
    this.#answer(this.#block(status, fields, length), body);
  }

  /** As `answer`, for an answer that others get as well: what is made of it is kept with it and used again. */
  answerPrepared(prepared: PreparedAnswer): void {
    if (this.#state !== 'unanswered') return;
    prepared.block ??= this.#block(prepared.status, prepared.fields, prepared.length);
    this.#answer(prepared.block, prepared.body);
  }

  inform(status: number, fields: FieldList): void {
    if (status !== 103 || this.#state !== 'unanswered') return;
    const links: string[] = [];
    for (let i = 0; i < fields.length; i += 2) if (fields[i] === 'link') links.push('link', fields[i + 1] ?? '');
    const block = responseBlock(status, links, undefined, '');
    // A hint that is malformed is not worth a failure.
    if (links.length > 0 && block.kind === 'block') this.#sendHead(block.octets, false);
  }

  begin(status: number, fields: FieldList, length: number | undefined): void {
    if (this.#state !== 'unanswered') return;
    const block = this.#block(status, fields, length);
    this.#state = 'begun';
    this.#silent = this.request.method === 'HEAD' || status === 204 || status === 304;
    this.#sendHead(block, false);
  }

  write(chunk: Uint8Array): boolean {
    if (this.#state !== 'begun' || this.#silent || chunk.length === 0) return true;
    this.#wait(chunk);
    this.#owner.output.pump();
    this.#held = this.#part !== undefined;
    return !this.#held;
  }

  end(trailers?: FieldList): void {
    if (this.#state !== 'begun') return;
    this.#state = 'complete';
    if (trailers !== undefined && !this.#silent && takesTrailers(this.request.fields)) {
      this.#trailers = trailerBlock(trailers);
    }
    if (this.#part !== undefined) return;
    if (this.#trailers !== undefined) this.#sendHead(this.#trailers, true);
    else this.#owner.output.data(NO_BODY, 0, 0, this.id, true);
    this.#finish();
    this.#owner.flushSoon();
  }

  /** The stream is reset, so that the other streams of the connection go on, and nobody takes the half for the whole. */
  abort(): void {
    if (this.over) return;
    this.onGone = undefined;
    this.drop(CODE.internalError);
  }

  refuse(code: FailureCode): void {
    const { status, fields, body } = failureResponse(code);
    const bytes = Buffer.from(body);
    this.answer(status, fields, bytes, bytes.length);
  }

  /** DATA came (section 6.1), `bytes` of it counting for flow control. A code: the stream is to be reset by it. */
  onData(window: Buffer, start: number, stop: number, bytes: number): Code | undefined {
    if (this.#incoming?.receive(bytes) !== true) return CODE.flowControlError;
    if (this.#left !== undefined) this.#left -= stop - start;
    if (this.#left !== undefined && this.#left < 0) return CODE.protocolError;
    const idle = bytes - (stop - start);
    if (this.body === undefined) this.onBodyTaken(bytes);
    else {
      if (idle > 0) this.onBodyTaken(idle);
      this.body.push(window, start, stop);
    }
    return undefined;
  }

  /** The request is complete. A code: the stream is to be reset by it. */
  onRequestEnd(trailers?: FieldList): Code | undefined {
    // Section 8.1.1: the length is that of all DATA frames.
    if (this.#left !== undefined && this.#left !== 0) return CODE.protocolError;
    this.#incoming = undefined;
    this.body?.end(trailers && passableRequestTrailers(trailers, this.request.fields));
    return undefined;
  }

  /** False: the window is more than a window can be. */
  widen(increment: number): boolean {
    const window = widened(this.#window, increment);
    if (window === undefined) return false;
    this.#window = window;
    this.#owner.output.enqueue(this);
    return true;
  }

  /** Ends the stream from our side with RST_STREAM. */
  drop(code: Code): void {
    if (this.#state === 'gone') return;
    this.#owner.reset(this.id, code);
    this.gone('the stream was reset');
  }

  /** The stream is no more: reset, or with its connection. */
  gone(why: string): void {
    if (this.#state === 'gone') return;
    const told = this.#state === 'complete';
    this.#state = 'gone';
    this.#part = undefined;
    this.#parts = undefined;
    this.#incoming = undefined;
    this.body?.fail(new Error(why));
    this.#owner.forget(this);
    if (!told) this.onGone?.();
  }

  onBodyWanted(): void {
    if (!this.#continueDue) return;
    this.#continueDue = false;
    // Needless once some of it came (RFC 9110 section 10.1.1), impossible after the final status.
    if (this.#state === 'unanswered' && this.body?.received === 0)
      this.#sendHead(this.#block(100, [], undefined), false);
  }

  onBodyTaken(bytes: number): void {
    const increment = this.#incoming?.consume(bytes) ?? 0;
    if (increment > 0) this.#owner.output.control(windowUpdateFrame(this.id, increment));
    this.#owner.onConsumed(bytes);
    this.#owner.flushSoon();
  }

  sendFrame(): void {
    const part = this.#part;
    const { output } = this.#owner;
    if (part === undefined || this.#window <= 0) return;
    const from = this.#offset;
    const size = Math.min(output.window, this.#window, FRAME_MAX, part.length - from);
    this.#window -= size;
    this.#sent += size;
    this.#offset = from + size;
    if (this.#offset === part.length) {
      this.#offset = 0;
      this.#part = this.#parts?.shift();
    }
    const last = this.#part === undefined && this.#state === 'complete';
    output.data(part, from, from + size, this.id, last && this.#trailers === undefined);
    if (last) {
      if (this.#trailers !== undefined) this.#sendHead(this.#trailers, true);
      this.#finish();
    } else if (this.#held && this.#part === undefined) output.drained(this);
  }

  goOn(): void {
    if (!this.#held || this.#part !== undefined || this.#state !== 'begun') return;
    this.#held = false;
    this.onDrain?.();
  }

  /** Resets the stream and says why when the client stands still. `now`: monotonic milliseconds. */
  sweep(now: number, limits: Http2Limits): string | undefined {
    this.#deadlines ??= new StreamDeadlines();
    const late = this.#deadlines.late(now, this.#progress(), limits);
    if (late !== undefined) this.drop(CODE.cancel);
    return late;
  }

  #progress(): Progress {
    const received = this.body?.waiting ? this.body.received : undefined;
    return { sent: this.#sent, waits: this.#part !== undefined, received };
  }

  /** Throws when there is a field that cannot be sent. */
  #block(status: number, fields: FieldList, length: number | undefined): string {
    const block = responseBlock(status, fields, length, status < 200 ? '' : this.#owner.date());
    if (block.kind === 'block') return block.octets;
    throw new Error(`the response has a field that cannot be sent: "${block.name}"`);
  }

  #sendHead(block: string, end: boolean): void {
    const owner = this.#owner;
    owner.output.head(block, this.id, end);
    owner.flushSoon();
  }

  #answer(block: string, body: Uint8Array | undefined): void {
    const owner = this.#owner;
    const { output } = owner;
    this.#state = 'complete';
    if (body === undefined || body.length === 0 || this.request.method === 'HEAD') {
      this.#sendHead(block, true);
      this.#finish();
      return;
    }
    const size = body.length;
    if (size > FRAME_MAX || size > this.#window || size > output.window || !output.free) {
      this.#sendHead(block, false);
      this.#wait(body);
      return;
    }
    output.head(block, this.id, false);
    output.data(body, 0, size, this.id, true);
    this.#finish();
    owner.flushSoon();
  }

  #wait(body: Uint8Array): void {
    if (this.#part === undefined) this.#part = body;
    else if (this.#parts === undefined) this.#parts = [body];
    else this.#parts.push(body);
    this.#owner.output.enqueue(this);
    this.#owner.flushSoon();
  }

  /** END_STREAM is on its way: of a request that nobody wants any more of, no more is to come (section 8.1). */
  #finish(): void {
    this.#ended = true;
    if (this.#incoming !== undefined) {
      this.#incoming = undefined;
      this.#owner.reset(this.id, CODE.noError);
      this.body?.fail(new Error('the exchange ended before the body of the request'));
    }
    this.#owner.forget(this);
  }
}
