// One request on a stream, and its answer: the port that the pipeline answers through.
import http2 from 'node:http2';
import type { RequestHead } from '../../decide/admit.ts';
import { type FailureCode, failureResponse } from '../../decide/errors.ts';
import type { FieldList } from '../../decide/fields.ts';
import type { Http2Request } from '../../decide/http2/request-fields.ts';
import type { ClientPort } from '../../ports.ts';
import { Http2Body } from './request-body.ts';
import type { Http2Limits } from './shared.ts';

const { NGHTTP2_NO_ERROR } = http2.constants;

/** What a stream needs of its connection. */
export interface StreamOwner {
  /** Monotonic milliseconds. */
  readonly now: number;
  /** Nothing more is to be written or watched. */
  forget(client: Http2Client): void;
  /** The stream ended before its answer was complete, and not by our wish. */
  onBrokenOff(): void;
}

/** A longer body goes out in slices of this, two at a time, so that a slow reader's progress can be seen. */
const SLICE_BYTES = 128 * 1024;
const END_STREAM = { endStream: true };
const NOTHING = (): void => undefined;

export class Http2Client implements ClientPort {
  readonly request: RequestHead;
  readonly body: Http2Body | undefined;
  readonly #owner: StreamOwner;
  readonly #stream: http2.ServerHttp2Stream;
  /** "complete": all of the answer has been handed over. "gone": the stream ended first. */
  #state: 'unanswered' | 'begun' | 'complete' | 'gone' = 'unanswered';
  /** Body bytes handed to the stream. */
  #handed = 0;
  /** What the client had taken when it last made progress, and until when it has to make more. */
  #taken = -1;
  #writeDeadline = 0;
  #received = -1;
  #bodyDeadline = 0;
  onDrain: (() => void) | undefined = undefined;
  onGone: (() => void) | undefined = undefined;

  constructor(
    owner: StreamOwner,
    stream: http2.ServerHttp2Stream,
    read: Http2Request,
    peer: string,
    sni: string | undefined,
  ) {
    this.#owner = owner;
    this.#stream = stream;
    const { method, target, fields, contentLength } = read;
    const hasBody = !stream.endAfterHeaders && contentLength !== 0;
    this.body = hasBody ? new Http2Body(stream, contentLength, read.expectsContinue) : undefined;
    this.request = { method, target, fields, version: '2', scheme: 'https', peer, sni, hasBody };
    // 'close' follows any error; without a listener it would end the process.
    stream.on('error', NOTHING);
  }

  answer(status: number, fields: FieldList, body: Buffer | undefined, length: number | undefined): void {
    if (this.#state !== 'unanswered') return;
    const stream = this.#stream;
    if (stream.closed) return;
    const head = responseHead(status, fields, length);
    if (body === undefined || body.length === 0 || this.request.method === 'HEAD') {
      stream.respond(head, END_STREAM);
      stream.end(this.#onFlushed);
    } else {
      stream.respond(head);
      this.#handed = Math.min(body.length, SLICE_BYTES);
      if (body.length === this.#handed) stream.end(body, this.#onFlushed);
      else this.#sendSlices(body);
    }
    this.#state = 'complete';
  }

  inform(status: number, fields: FieldList): void {
    if (status !== 103 || this.#state !== 'unanswered' || this.#stream.closed) return;
    const links: string[] = [];
    for (let i = 0; i < fields.length; i += 2) if (fields[i] === 'link') links.push(fields[i + 1] ?? '');
    if (links.length > 0) this.#stream.additionalHeaders({ ':status': 103, link: links });
  }

  begin(status: number, fields: FieldList, length: number | undefined): void {
    if (this.#state !== 'unanswered' || this.#stream.closed) return;
    this.#stream.respond(responseHead(status, fields, length));
    this.#stream.on('drain', () => this.onDrain?.());
    this.#state = 'begun';
  }

  write(chunk: Uint8Array): boolean {
    if (this.#state !== 'begun') return true;
    this.#handed += chunk.length;
    return this.#stream.write(chunk);
  }

  end(): void {
    if (this.#state !== 'begun') return;
    this.#state = 'complete';
    this.#stream.end(this.#onFlushed);
  }

  /** The stream is reset, so that the other streams of the connection go on. */
  abort(): void {
    if (this.#state === 'gone') return;
    this.#state = 'gone';
    this.#reset('the answer broke off');
    this.#owner.forget(this);
  }

  refuse(code: FailureCode): void {
    const { status, fields, body } = failureResponse(code);
    const bytes = Buffer.from(body);
    this.answer(status, fields, bytes, bytes.length);
  }

  /** To be called once the handler has had the request: what it answered at once needs no watching. */
  watch(): void {
    if (this.#state === 'complete') return;
    if (this.#stream.destroyed) this.#onClose();
    else this.#stream.once('close', () => this.#onClose());
  }

  /** Resets the stream and says why when the client stands still. `now`: monotonic milliseconds. */
  sweep(now: number, limits: Http2Limits): string | undefined {
    const late = this.#writesLate(now, limits.writeMs) ?? this.#readsLate(now, limits);
    if (late !== undefined) this.#reset(`the client ${late}`);
    return late;
  }

  #writesLate(now: number, writeMs: number): string | undefined {
    const { writableLength } = this.#stream;
    const taken = this.#handed - writableLength;
    const waits = writableLength > 0 || this.#state === 'complete';
    if (!waits || taken !== this.#taken) {
      this.#taken = taken;
      this.#writeDeadline = now + writeMs;
      return undefined;
    }
    return now >= this.#writeDeadline ? 'took nothing of its answer in time' : undefined;
  }

  #readsLate(now: number, { bodyMs, bodyBytesPerSecond }: Http2Limits): string | undefined {
    const { body } = this;
    if (!body?.waiting) {
      this.#received = -1;
      return undefined;
    }
    if (this.#received === -1) this.#bodyDeadline = now + bodyMs;
    else if (body.received > this.#received) {
      const earned = ((body.received - this.#received) * 1000) / bodyBytesPerSecond;
      this.#bodyDeadline = Math.min(this.#bodyDeadline + earned, now + bodyMs);
    }
    this.#received = body.received;
    return now >= this.#bodyDeadline ? 'sent no more of its request in time' : undefined;
  }

  /** RST_STREAM. Not by `close`, which ends the stream properly first, so that the half would be taken for the whole. */
  #reset(why: string): void {
    this.#stream.destroy(new Error(why));
  }

  #sendSlices(body: Buffer): void {
    const stream = this.#stream;
    const next = (error?: Error | null): void => {
      if (error || stream.closed) {
        this.#owner.forget(this);
        return;
      }
      const from = this.#handed;
      this.#handed = Math.min(from + SLICE_BYTES, body.length);
      if (this.#handed === body.length) stream.end(body.subarray(from), this.#onFlushed);
      else stream.write(body.subarray(from, this.#handed), next);
    };
    stream.write(body.subarray(0, SLICE_BYTES), next);
    next();
  }

  /** The whole answer has left, or the stream ended: either way nothing is left to do. */
  readonly #onFlushed = (): void => {
    this.#owner.forget(this);
    // Of a body that nobody wanted, no more is to come (RFC 9113 section 8.1).
    if (this.body !== undefined && !this.#stream.readableEnded && !this.#stream.closed) {
      this.#stream.close(NGHTTP2_NO_ERROR);
    }
  };

  #onClose(): void {
    this.#owner.forget(this);
    if (this.#state === 'complete' || this.#state === 'gone') return;
    this.#state = 'gone';
    this.#owner.onBrokenOff();
    this.onGone?.();
  }
}

function responseHead(status: number, fields: FieldList, length: number | undefined): string[] {
  const head = [':status', String(status)];
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i] !== 'content-length') head.push(fields[i] ?? '', fields[i + 1] ?? '');
  }
  // RFC 9110 section 8.6: none on 204; on 304 only what a 200 would have, which is not known here.
  if (length !== undefined && status !== 204 && status !== 304) head.push('content-length', String(length));
  return head;
}
