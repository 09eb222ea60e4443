// One HTTP/2 connection (RFC 9113) on a TLS socket that chose "h2": one exchange for each stream. Frames, flow control and
// HPACK are nghttp2's, through Node's `http2`; what a client may use up is set here.
//
//   open ──idle, retired──▶ closing (GOAWAY) ──answers complete──▶ lingering ──▶ closed
//   open ──protocol error, flood──▶ GOAWAY, closed
//
// What nghttp2 and Node bound by themselves: CONTINUATION frames of one head (8), frames of more than 16 KiB, entries of a
// SETTINGS frame (32), acknowledgements that the client does not read (1,000), frames that mean nothing (10,000 at once, 330 a
// second), a dynamic table of 4 KiB.
import http2 from 'node:http2';
import type { TLSSocket } from 'node:tls';
import { Budget } from '../../decide/budget.ts';
import { readRequestFields } from '../../decide/http2/request-fields.ts';
import { peerAddress, serverName } from '../sockets.ts';
import { Http2Client, type StreamOwner } from './client.ts';
import type { Http2Shared, Swept } from './shared.ts';

/** Of what a client is told to keep to, this many times is taken and answered with 431; beyond it, the stream is reset. */
const HEADROOM = 2;
/** What an origin may send and we may add, bytes. */
const MAX_RESPONSE_HEAD = 128 * 1024;

export class Http2Connection implements StreamOwner, Swept {
  readonly #shared: Http2Shared;
  readonly #socket: TLSSocket;
  readonly #session: http2.ServerHttp2Session;
  readonly #peer: string;
  readonly #sni: string | undefined;
  readonly #open = new Set<Http2Client>();
  readonly #resets: Budget;
  readonly #controls: Budget;
  /** Without a stream since, monotonic milliseconds. */
  #idleSince: number;
  /** When the socket is destroyed; set once nothing is left to answer after GOAWAY. */
  #lingerUntil = Number.POSITIVE_INFINITY;

  constructor(socket: TLSSocket, shared: Http2Shared) {
    const { limits, now } = shared;
    this.#shared = shared;
    this.#socket = socket;
    this.#peer = peerAddress(socket);
    this.#sni = serverName(socket);
    this.#resets = new Budget(limits.resets, limits.resetsPerSecond, now);
    this.#controls = new Budget(limits.controls, limits.controlsPerSecond, now);
    this.#idleSince = now;
    // A client that closes its side of a connection with streams on it has left.
    socket.allowHalfOpen = false;
    const session = http2.performServerHandshake(socket, {
      maxHeaderListPairs: limits.fieldCount * HEADROOM,
      maxSendHeaderBlockLength: MAX_RESPONSE_HEAD,
      maxSessionMemory: limits.sessionMiB,
      maxSessionInvalidFrames: limits.invalidFrames,
      streamResetBurst: limits.resets,
      streamResetRate: limits.resetsPerSecond,
      // A proxy passes on what an origin said, also where it said a thing twice.
      strictSingleValueFields: false,
      settings: {
        enablePush: false,
        maxConcurrentStreams: limits.streams,
        maxHeaderListSize: limits.headBytes * HEADROOM,
        initialWindowSize: limits.windowBytes,
      },
    });
    this.#session = session;
    shared.connections.add(this);
    session.on('stream', (stream, _headers, _flags, raw) => this.#onStream(stream, raw));
    session.on('ping', () => this.#onControl());
    session.on('remoteSettings', () => this.#onControl());
    session.on('error', (error: NodeJS.ErrnoException) => this.#onError(error));
    socket.on('close', () => shared.connections.delete(this));
  }

  get now(): number {
    return this.#shared.now;
  }

  forget(client: Http2Client): void {
    this.#open.delete(client);
    if (this.#open.size === 0) this.#idleSince = this.#shared.now;
  }

  onBrokenOff(): void {
    if (!this.#resets.take(this.#shared.now)) this.#flood('streams broken off');
  }

  retire(): void {
    this.#session.close();
  }

  break(): void {
    // With an error, so that no stream ends as if its answer were complete.
    this.#session.destroy(new Error('the connection is broken off'), http2.constants.NGHTTP2_CANCEL);
    this.#socket.destroy();
  }

  sweep(now: number): void {
    const { limits, events } = this.#shared;
    for (const client of this.#open) {
      const late = client.sweep(now, limits);
      if (late !== undefined) events.onRefused('slow-client', late);
    }
    if (this.#open.size > 0) return;
    if (this.#session.closed || this.#session.destroyed) {
      this.#lingerUntil = Math.min(this.#lingerUntil, now + limits.lingerMs);
      if (now >= this.#lingerUntil) this.break();
    } else if (now >= this.#idleSince + limits.idleMs) {
      this.retire();
    }
  }

  #onStream(stream: http2.ServerHttp2Stream, raw: readonly string[]): void {
    const { events, limits } = this.#shared;
    const read = readRequestFields(raw, limits);
    for (let i = 0; i < read.dropped; i += 1) events.onRefused('underscore-field', 'a field with "_" in its name');
    const client = new Http2Client(this, stream, read, this.#peer, this.#sni);
    this.#open.add(client);
    if (read.refusal === undefined) {
      events.onExchange(client);
    } else {
      events.onRefused(read.refusal.code, read.refusal.detail);
      client.refuse(read.refusal.code);
    }
    client.watch();
  }

  #onControl(): void {
    if (!this.#controls.take(this.#shared.now)) this.#flood('PING and SETTINGS frames');
  }

  #flood(what: string): void {
    if (this.#session.destroyed) return;
    this.#shared.events.onRefused('http2-flood', `too many ${what}`);
    this.#session.destroy(new Error(`too many ${what}`), http2.constants.NGHTTP2_ENHANCE_YOUR_CALM);
  }

  /** The end of this connection alone. A client that is simply gone is not at fault. */
  #onError(error: NodeJS.ErrnoException): void {
    if (error.code?.startsWith('ERR_HTTP2')) this.#shared.events.onRefused('http2-session', error.message);
  }
}
