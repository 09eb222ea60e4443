// One HTTP/2 connection (RFC 9113) on a TLS socket that chose "h2": reads frames, has the streams take what is theirs, and writes in
// one go what the frames of one read brought forth.
//
//   open ──idle, told to retire──▶ retiring (GOAWAY that names no stream, PING)
//        ──the client has seen it──▶ retired (GOAWAY with the last stream) ──answers complete──▶ closing ──▶ closed
//   any  ──protocol error, flood──▶ GOAWAY with its code, closing ──▶ closed
//
// Closing: what is queued goes out and our side ends; what the client still sends is thrown away for a while, since a reset
// would take the last frames back.
//
// Bounds: of input one frame and one head, of bodies the flow-control windows, of output what `Output` takes before requests are
// no longer read, of frames that cost us more than they bring budgets, of time `sweep`.
import { Budget } from '../../decide/budget.ts';
import { CODE, ConnectionError, FLAG, FRAME, STREAM_MAX } from '../../decide/http2/codes.ts';
import { FrameReader } from '../../decide/http2/frame-reader.ts';
import { goawayFrame, pingFrame, SETTINGS_ACK } from '../../decide/http2/frame-writer.ts';
import { readSettings } from '../../decide/http2/peer-settings.ts';
import type { ByteStream } from '../sockets.ts';
import { peerAddress } from '../sockets.ts';
import { Output } from './output.ts';
import type { Http2Shared, Swept } from './shared.ts';
import { Streams, type StreamsHost } from './streams.ts';

/** In the PING that asks whether GOAWAY has been seen. */
const FAREWELL = 'farewell';
/** For the answer to that PING, milliseconds. */
const FAREWELL_MS = 1_000;
/** Without a stream for so long, a connection is made small, milliseconds. */
const REST_MS = 5_000;
/** Read and thrown away while closing, bytes. */
const LINGER_BYTES = 256 * 1024;

export class Http2Connection implements StreamsHost, Swept {
  readonly #shared: Http2Shared;
  readonly #socket: ByteStream;
  readonly #reader = new FrameReader();
  readonly #output: Output;
  readonly #streams: Streams;
  readonly #controls: Budget;
  #state: 'open' | 'retiring' | 'retired' | 'closing' | 'closed' = 'open';
  #turning = false;
  #paused = false;
  /** The client has sent GOAWAY. */
  #clientLeaves = false;
  /** Without a stream since; in "retiring" and "closing", when to go on without the client. Monotonic milliseconds. */
  #idleSince: number;
  #until = 0;
  #lingered = 0;

  /** `socket`: connected. `sni`: what it is for. */
  constructor(socket: ByteStream, shared: Http2Shared, sni?: string) {
    const { limits, now } = shared;
    this.#shared = shared;
    this.#socket = socket;
    this.#output = new Output(socket, () => this.#onTaken());
    this.#streams = new Streams(shared, this, this.#output, peerAddress(socket), sni);
    this.#controls = new Budget(limits.controls, limits.controlsPerSecond, now);
    this.#idleSince = now;
    shared.connections.add(this);
    const { reads } = shared;
    if (!reads.readInto(socket, (octets) => this.#onData(reads.octets.subarray(0, octets)))) {
      socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    }
    // A client that closes its side of a connection has left.
    socket.on('end', () => this.#onInputEnd());
    // 'close' follows any error; without a listener it would end the process.
    socket.on('error', () => undefined);
    socket.on('close', () => this.#onClosed());
    this.#output.control(shared.greeting);
    this.#output.flush();
  }

  flushSoon(): void {
    if (!this.#turning) this.#output.flushLater();
  }

  onIdle(): void {
    this.#idleSince = this.#shared.now;
    if (this.#state === 'retired' || this.#clientLeaves) this.#close();
  }

  retire(): void {
    if (this.#state !== 'open') return;
    this.#state = 'retiring';
    this.#until = this.#shared.now + Math.min(FAREWELL_MS, this.#shared.limits.lingerMs);
    // Requests that are on their way are still answered (RFC 9113 section 6.8).
    this.#output.control(goawayFrame(STREAM_MAX, CODE.noError) + pingFrame(FAREWELL, false));
    this.#output.flush();
  }

  break(): void {
    this.#socket.destroy();
    this.#onClosed();
  }

  sweep(now: number): void {
    const { limits, events } = this.#shared;
    if (this.#output.stands(now, limits.writeMs)) {
      events.onRefused('slow-client', 'read nothing from its connection in time');
      this.break();
      return;
    }
    switch (this.#state) {
      case 'closing':
        // The client has time to close from when it has the last frame.
        if (!this.#output.empty) this.#until = now + limits.lingerMs;
        if (now >= this.#until) this.break();
        return;
      case 'retiring':
        if (now >= this.#until) this.#retired();
        break;
      case 'open':
        if (this.#streams.count > 0) break;
        if (now >= this.#idleSince + limits.idleMs) this.retire();
        else if (now >= this.#idleSince + REST_MS) this.#streams.rest();
        break;
      default:
    }
    this.#streams.sweep(now);
  }

  #onData(chunk: Buffer): void {
    if (this.#state === 'closing') {
      this.#lingered += chunk.length;
      if (this.#lingered > LINGER_BYTES) this.break();
      return;
    }
    this.#reader.feed(chunk);
    this.#turn();
  }

  /** Reads and answers as far as that goes, and writes. */
  #turn(): void {
    if (this.#turning) return;
    this.#turning = true;
    try {
      do {
        while (this.#reads && this.#reader.next()) {
          this.#onFrame();
          this.#output.relieve();
        }
        this.#output.flush();
        // What was too much to write may be less now, and there may be frames left.
      } while (this.#reads && this.#reader.complete);
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
      this.#fail(error);
    } finally {
      this.#turning = false;
    }
    this.#reader.settle();
    this.#pause(this.#output.full && this.#state !== 'closing');
  }

  get #reads(): boolean {
    return this.#state !== 'closing' && this.#state !== 'closed' && !this.#output.full;
  }

  #onFrame(): void {
    const reader = this.#reader;
    switch (reader.type) {
      case FRAME.settings:
        this.#takeControl();
        if ((reader.flags & FLAG.ack) === 0) this.#onSettings();
        break;
      case FRAME.ping:
        this.#takeControl();
        this.#onPing();
        break;
      case FRAME.goaway:
        this.#takeControl();
        this.#clientLeaves = true;
        if (this.#streams.count === 0) this.#close();
        break;
      default:
        this.#streams.onFrame(reader);
    }
  }

  #onSettings(): void {
    const { window, start, stop } = this.#reader;
    const initialWindow = readSettings(window, start, stop);
    if (initialWindow !== undefined) this.#streams.setWindow(initialWindow);
    this.#output.control(SETTINGS_ACK);
  }

  #onPing(): void {
    const { window, start, stop, flags } = this.#reader;
    const opaque = window.toString('latin1', start, stop);
    if ((flags & FLAG.ack) === 0) this.#output.control(pingFrame(opaque, true));
    else if (this.#state === 'retiring' && opaque === FAREWELL) this.#retired();
  }

  #takeControl(): void {
    if (!this.#controls.take(this.#shared.now)) {
      throw new ConnectionError(CODE.enhanceYourCalm, 'too many PING and SETTINGS frames');
    }
  }

  /** The client knows, or has had time to: what it sends from now on is refused. */
  #retired(): void {
    this.#state = 'retired';
    this.#streams.accepting = false;
    this.#output.control(goawayFrame(this.#streams.last, CODE.noError));
    this.flushSoon();
    if (this.#streams.count === 0) this.#close();
  }

  #fail({ code, message }: ConnectionError): void {
    const flood = code === CODE.enhanceYourCalm;
    this.#shared.events.onRefused(flood ? 'http2-flood' : 'http2-session', message);
    this.#output.control(goawayFrame(this.#streams.last, code));
    this.#streams.allGone('the connection broke the protocol');
    this.#close();
  }

  /** Nothing more is read or answered: what is queued goes out, then our side ends. */
  #close(): void {
    if (this.#state === 'closing' || this.#state === 'closed') return;
    this.#state = 'closing';
    this.#until = this.#shared.now + this.#shared.limits.lingerMs;
    this.#output.flush();
    this.#endOutput();
    this.#pause(false);
  }

  #endOutput(): void {
    if (this.#output.handedOver && !this.#socket.writableEnded) this.#socket.end();
  }

  #pause(paused: boolean): void {
    if (paused === this.#paused) return;
    this.#paused = paused;
    if (paused) this.#socket.pause();
    else this.#socket.resume();
  }

  #onTaken(): void {
    this.#output.flush();
    if (this.#state === 'closing') this.#endOutput();
    else if (this.#paused) this.#turn();
  }

  #onInputEnd(): void {
    if (this.#state !== 'closing' || !this.#output.handedOver) this.break();
  }

  #onClosed(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#shared.connections.delete(this);
    this.#output.close();
    this.#streams.allGone('the client went away');
  }
}
