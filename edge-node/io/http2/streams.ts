// The streams of one connection (RFC 9113 section 5): which are open, and what the frames that name a stream do to them. Errors of
// one stream end in RST_STREAM; a client that brings about too many of those, or resets too many streams itself, has the
// connection ended (CVE-2023-44487). Errors of the connection are thrown.
import { Budget } from '../../decide/budget.ts';
import type { FieldList } from '../../decide/fields.ts';
import { CODE, type Code, ConnectionError, FLAG, FRAME, WINDOW_INITIAL } from '../../decide/http2/codes.ts';
import { ReceiveWindow, widened } from '../../decide/http2/flow.ts';
import { type FrameReader, uint31 } from '../../decide/http2/frame-reader.ts';
import { rstStreamFrame, windowUpdateFrame } from '../../decide/http2/frame-writer.ts';
import { HeadFragments } from '../../decide/http2/head-fragments.ts';
import { readPriority } from '../../decide/http2/priority.ts';
import { HEADROOM, RequestReader, type Unreadable } from '../../decide/http2/request-reader.ts';
import { judgeFrame, type StreamState } from '../../decide/http2/stream-state.ts';
import { Http2Client, type StreamOwner } from './client.ts';
import type { Output } from './output.ts';
import type { Http2Shared } from './shared.ts';

/** What the streams need of their connection. */
export interface StreamsHost {
  /** As `StreamOwner.flushSoon`. */
  flushSoon(): void;
  /** No stream is open any more. */
  onIdle(): void;
}

/** Literal fields take about as many octets as they count for; a block of more is cut up or padded on purpose. */
const BLOCK_SLACK = 2;

export class Streams implements StreamOwner {
  readonly output: Output;
  readonly #shared: Http2Shared;
  readonly #host: StreamsHost;
  readonly #requests: RequestReader;
  readonly #fragments: HeadFragments;
  readonly #open = new Map<number, Http2Client>();
  /** Streams that were reset a short while ago, oldest first. */
  #dropped: Set<number> | undefined = undefined;
  readonly #resets: Budget;
  readonly #idleFrames: Budget;
  readonly #incoming: ReceiveWindow;
  /** Of each new stream: what the client takes, bytes. */
  #window: number = WINDOW_INITIAL;
  /** The highest id that was used. */
  last = 0;
  /** Cleared once GOAWAY has named the last stream. */
  accepting = true;

  constructor(shared: Http2Shared, host: StreamsHost, output: Output, peer: string, sni: string | undefined) {
    const { limits, now } = shared;
    this.#shared = shared;
    this.#host = host;
    this.output = output;
    this.#requests = new RequestReader(limits, peer, sni);
    this.#fragments = new HeadFragments(limits.headBytes * HEADROOM * BLOCK_SLACK);
    this.#resets = new Budget(limits.resets, limits.resetsPerSecond, now);
    this.#idleFrames = new Budget(limits.idleFrames, limits.idleFramesPerSecond, now);
    this.#incoming = new ReceiveWindow(limits.connectionWindowBytes);
  }

  get count(): number {
    return this.#open.size;
  }

  date(): string {
    return this.#shared.date();
  }

  flushSoon(): void {
    this.#host.flushSoon();
  }

  forget(client: Http2Client): void {
    this.#open.delete(client.id);
    if (this.#open.size === 0) this.#host.onIdle();
  }

  reset(stream: number, code: Code): void {
    this.output.control(rstStreamFrame(stream, code));
    this.#dropped ??= new Set();
    this.#dropped.add(stream);
    if (this.#dropped.size > this.#shared.limits.streams)
      for (const oldest of this.#dropped) {
        this.#dropped.delete(oldest);
        break;
      }
    this.flushSoon();
  }

  onConsumed(bytes: number): void {
    const increment = this.#incoming.consume(bytes);
    if (increment > 0) this.output.control(windowUpdateFrame(0, increment));
  }

  /** A frame of the types DATA to RST_STREAM, WINDOW_UPDATE, CONTINUATION, or one that means nothing. */
  onFrame(reader: FrameReader): void {
    const fragments = this.#fragments;
    const { type, flags, stream, window, start, stop } = reader;
    if (fragments.stream !== 0 && (type !== FRAME.continuation || stream !== fragments.stream)) {
      throw new ConnectionError(CODE.protocolError, `a frame of type ${type} within a head`);
    }
    const endStream = (flags & FLAG.endStream) !== 0;
    switch (type) {
      case FRAME.data:
        this.#onData(reader, endStream);
        break;
      case FRAME.headers:
        if ((flags & FLAG.endHeaders) !== 0) this.#onHead(window, start, stop, stream, endStream);
        else fragments.begin(stream, endStream, window.subarray(start, stop));
        break;
      case FRAME.continuation:
        if (fragments.stream === 0) throw new ConnectionError(CODE.protocolError, 'CONTINUATION of nothing');
        fragments.add(window.subarray(start, stop));
        if ((flags & FLAG.endHeaders) !== 0) {
          const block = fragments.end();
          this.#onHead(block, 0, block.length, stream, fragments.endStream);
        }
        break;
      case FRAME.rstStream:
        this.#onReset(stream);
        break;
      case FRAME.windowUpdate:
        this.#onWindowUpdate(stream, uint31(window, start));
        break;
      case FRAME.priorityUpdate:
        this.#takeIdleFrame();
        this.#onPriority(uint31(window, start), window.toString('latin1', start + 4, stop));
        break;
      default:
        this.#takeIdleFrame();
    }
  }

  /** The client's SETTINGS_INITIAL_WINDOW_SIZE (section 6.9.2). */
  setWindow(window: number): void {
    const change = window - this.#window;
    this.#window = window;
    for (const client of this.#open.values()) {
      if (!client.widen(change)) throw new ConnectionError(CODE.flowControlError, 'a window above 2^31-1');
    }
  }

  sweep(now: number): void {
    const { limits, events } = this.#shared;
    for (const client of this.#open.values()) {
      const late = client.sweep(now, limits);
      if (late !== undefined) events.onRefused('slow-client', late);
    }
  }

  /** Nothing came for a while. */
  rest(): void {
    this.#requests.rest();
    this.#dropped = undefined;
  }

  allGone(why: string): void {
    for (const client of this.#open.values()) client.gone(why);
  }

  #stateOf(stream: number): StreamState {
    const client = this.#open.get(stream);
    if (client !== undefined) return client.receiving ? 'open' : 'half-closed';
    // Streams of even ids are the server's, which opens none.
    if (stream > this.last || stream % 2 === 0) return 'idle';
    return this.#dropped?.has(stream) ? 'dropped' : 'closed';
  }

  #onHead(window: Buffer, start: number, stop: number, stream: number, endStream: boolean): void {
    const state = this.#stateOf(stream);
    if (state === 'idle') {
      this.#onRequest(window, start, stop, stream, endStream);
      return;
    }
    const trailers = this.#requests.readTrailers(window, start, stop);
    switch (judgeFrame(FRAME.headers, state)) {
      case 'take': {
        // Section 8.1.
        const client = this.#open.get(stream);
        if (trailers.kind === 'unreadable' || !endStream) this.#fault(stream, CODE.protocolError);
        else this.#endRequest(client, trailers.fields);
        break;
      }
      case 'ignore':
        if (endStream) this.#dropped?.delete(stream);
        break;
      default:
        this.#fault(stream, CODE.streamClosed);
    }
  }

  #onRequest(window: Buffer, start: number, stop: number, stream: number, endStream: boolean): void {
    if (stream % 2 === 0) throw new ConnectionError(CODE.protocolError, `a request on stream ${stream}`);
    const { events, limits } = this.#shared;
    this.last = stream;
    const read = this.#requests.read(window, start, stop);
    if (read.kind === 'unreadable') {
      this.#refuseUnreadable(stream, read);
      return;
    }
    if (endStream && (read.contentLength ?? 0) > 0) {
      const detail = 'the body is shorter than its content-length';
      this.#refuseUnreadable(stream, { kind: 'unreadable', code: CODE.protocolError, detail });
      return;
    }
    if (!this.accepting || this.#open.size >= limits.streams) {
      if (this.accepting) events.onRefused('too-many-streams', `${limits.streams} streams are open already`);
      this.#fault(stream, CODE.refusedStream);
      return;
    }
    for (let i = 0; i < read.dropped; i += 1) events.onRefused('underscore-field', 'a field with "_" in its name');
    const client = new Http2Client(this, stream, read, this.#window, endStream, limits.windowBytes);
    if (read.refusal === undefined) {
      events.onExchange(client);
    } else {
      events.onRefused(read.refusal.code, read.refusal.detail);
      client.refuse(read.refusal.code);
    }
    if (!client.over) this.#open.set(stream, client);
  }

  #refuseUnreadable(stream: number, { code, detail }: Unreadable): void {
    const reason = code === CODE.enhanceYourCalm ? 'fields-too-large' : 'malformed-request';
    this.#shared.events.onRefused(reason, detail);
    this.#fault(stream, code);
  }

  #onData({ stream, length, window, start, stop }: FrameReader, endStream: boolean): void {
    if (!this.#incoming.receive(length)) {
      throw new ConnectionError(CODE.flowControlError, 'more data than the window of the connection allows');
    }
    if (start === stop && !endStream) this.#takeIdleFrame();
    const verdict = judgeFrame(FRAME.data, this.#stateOf(stream));
    const client = this.#open.get(stream);
    if (verdict === 'take' && client !== undefined) {
      const code = client.onData(window, start, stop, length);
      if (code !== undefined) {
        this.onConsumed(length);
        this.#fault(stream, code);
      } else if (endStream) {
        this.#endRequest(client);
      }
      return;
    }
    if (verdict === 'protocol-error') throw idle(FRAME.data, stream);
    this.onConsumed(length);
    if (verdict === 'stream-closed') this.#fault(stream, CODE.streamClosed);
    else if (endStream) this.#dropped?.delete(stream);
  }

  /** RFC 9218 section 7.1. What is said of a stream that is over, or yet to come, is not kept: its request may say it. */
  #onPriority(stream: number, text: string): void {
    if (stream % 2 === 0) throw new ConnectionError(CODE.protocolError, `a priority for stream ${stream}`);
    const client = this.#open.get(stream);
    if (client !== undefined) client.priority = readPriority(text);
  }

  #endRequest(client: Http2Client | undefined, trailers?: FieldList): void {
    const code = client?.onRequestEnd(trailers);
    if (client !== undefined && code !== undefined) this.#fault(client.id, code);
  }

  #onReset(stream: number): void {
    if (judgeFrame(FRAME.rstStream, this.#stateOf(stream)) === 'protocol-error') throw idle(FRAME.rstStream, stream);
    this.#takeReset();
    this.#dropped?.delete(stream);
    this.#open.get(stream)?.gone('the client broke off in the middle of its request');
  }

  #onWindowUpdate(stream: number, increment: number): void {
    if (stream === 0) {
      const window = widened(this.output.window, increment);
      if (increment === 0) throw new ConnectionError(CODE.protocolError, 'a window that does not open');
      if (window === undefined) throw new ConnectionError(CODE.flowControlError, 'a window above 2^31-1');
      this.output.window = window;
      return;
    }
    if (judgeFrame(FRAME.windowUpdate, this.#stateOf(stream)) === 'protocol-error')
      throw idle(FRAME.windowUpdate, stream);
    const client = this.#open.get(stream);
    if (client === undefined) return;
    if (increment === 0) this.#fault(stream, CODE.protocolError);
    else if (!client.widen(increment)) this.#fault(stream, CODE.flowControlError);
  }

  /** An error of the stream that the client is to blame for. */
  #fault(stream: number, code: Code): void {
    const client = this.#open.get(stream);
    if (client !== undefined) client.drop(code);
    else this.reset(stream, code);
    this.#takeReset();
  }

  #takeReset(): void {
    if (!this.#resets.take(this.#shared.now)) {
      throw new ConnectionError(CODE.enhanceYourCalm, 'too many streams broken off');
    }
  }

  #takeIdleFrame(): void {
    if (!this.#idleFrames.take(this.#shared.now)) {
      throw new ConnectionError(CODE.enhanceYourCalm, 'too many frames that say nothing');
    }
  }
}

function idle(type: number, stream: number): ConnectionError {
  return new ConnectionError(CODE.protocolError, `a frame of type ${type} on stream ${stream}, which is idle`);
}
