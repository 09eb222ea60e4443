// What the HTTP/2 connections of one listener share: limits, events, and one sweep in place of a timer for each.
import type { Clock, Timer } from '../../../infra/runtime/clock.ts';
import type { FailureCode } from '../../decide/errors.ts';
import { DateText } from '../../decide/http1/response-head.ts';
import { SETTING, WINDOW_INITIAL } from '../../decide/http2/codes.ts';
import { settingsFrame, windowUpdateFrame } from '../../decide/http2/frame-writer.ts';
import type { FieldSectionLimits } from '../../decide/http2/request-fields.ts';
import { HEADROOM } from '../../decide/http2/request-reader.ts';
import type { ClientPort } from '../../ports.ts';
import { ReadBuffer } from '../read-buffer.ts';

export interface Http2Limits extends FieldSectionLimits {
  /** Streams open at once on one connection. */
  readonly streams: number;
  /** Of a request's body, bytes that may come before the handler takes them (RFC 9113 section 6.9.2). At least 64 KiB. */
  readonly windowBytes: number;
  /** The same for all bodies on a connection together: what it can make this side hold. At least 64 KiB. */
  readonly connectionWindowBytes: number;
  /** Streams that a client may break off: at once, and each second after (CVE-2023-44487). Beyond: GOAWAY. */
  readonly resets: number;
  readonly resetsPerSecond: number;
  /** PING and SETTINGS frames that a client may send: at once, and each second after. Beyond: GOAWAY. */
  readonly controls: number;
  readonly controlsPerSecond: number;
  /** Frames that say nothing (empty DATA, PRIORITY, PRIORITY_UPDATE, unknown types): at once, and each second after. Beyond: GOAWAY. */
  readonly idleFrames: number;
  readonly idleFramesPerSecond: number;
  /** How long a connection may have no stream, milliseconds. */
  readonly idleMs: number;
  /** How long a client may take nothing of an answer that is ready for it, milliseconds. */
  readonly writeMs: number;
  /**
   * How long a request's body may stand still, milliseconds; and the least rate at which it has to come on average, bytes a
   * second: each byte puts the deadline off by its share, and never by more than `bodyMs`.
   */
  readonly bodyMs: number;
  readonly bodyBytesPerSecond: number;
  /** After GOAWAY and the last answer: how long to wait for the client to close, milliseconds. */
  readonly lingerMs: number;
}

export const DEFAULT_HTTP2_LIMITS: Http2Limits = {
  headBytes: 32 * 1024,
  fieldCount: 128,
  streams: 128,
  windowBytes: 128 * 1024,
  connectionWindowBytes: 1024 * 1024,
  resets: 200,
  resetsPerSecond: 50,
  controls: 1_000,
  controlsPerSecond: 100,
  idleFrames: 1_000,
  idleFramesPerSecond: 100,
  idleMs: 60_000,
  writeMs: 60_000,
  bodyMs: 20_000,
  bodyBytesPerSecond: 500,
  lingerMs: 2_000,
};

/** Besides failures that are answered: a connection that broke the protocol, one that flooded, a client that stood still. */
export type Http2Refusal =
  | FailureCode
  | 'underscore-field'
  | 'http2-session'
  | 'http2-flood'
  | 'too-many-streams'
  | 'slow-client';

export interface Http2Events {
  onExchange(client: ClientPort): void;
  onRefused(reason: Http2Refusal, detail: string): void;
}

/** How often deadlines are looked at, milliseconds: they are kept to within this. */
const SWEEP_MS = 500;

/** A connection as its listener sees it. */
export interface Swept {
  /** `now`: monotonic milliseconds. */
  sweep(now: number): void;
  /** GOAWAY: no further request; closes once what is in flight is answered. */
  retire(): void;
  break(): void;
}

export class Http2Shared {
  readonly limits: Http2Limits;
  readonly events: Http2Events;
  readonly connections: Set<Swept> = new Set();
  /** What every connection sends first (RFC 9113 section 3.4): SETTINGS, and a wider window for all streams together. */
  readonly greeting: string;
  readonly reads = new ReadBuffer();
  readonly #clock: Clock;
  readonly #timer: Timer;
  readonly #date = new DateText();
  /** Monotonic milliseconds as of the last sweep, whole ones. */
  now: number;

  constructor(clock: Clock, events: Http2Events, limits: Http2Limits = DEFAULT_HTTP2_LIMITS) {
    // Until it has seen our settings, a client may send as much as the protocol's own window allows.
    const windowBytes = Math.max(limits.windowBytes, WINDOW_INITIAL);
    const connectionWindowBytes = Math.max(limits.connectionWindowBytes, WINDOW_INITIAL);
    this.limits = { ...limits, windowBytes, connectionWindowBytes };
    this.events = events;
    this.greeting = settingsFrame([
      ...[SETTING.maxConcurrentStreams, limits.streams],
      ...[SETTING.initialWindowSize, windowBytes],
      ...[SETTING.maxHeaderListSize, limits.headBytes * HEADROOM],
      ...[SETTING.noRfc7540Priorities, 1],
    ]);
    if (connectionWindowBytes > WINDOW_INITIAL) {
      this.greeting += windowUpdateFrame(0, connectionWindowBytes - WINDOW_INITIAL);
    }
    this.#clock = clock;
    this.now = Math.floor(clock.monotonic());
    this.#timer = clock.every(SWEEP_MS, () => {
      this.now = Math.floor(clock.monotonic());
      for (const connection of this.connections) connection.sweep(this.now);
    });
  }

  /** The value of Date. */
  date(): string {
    return this.#date.at(this.#clock.now());
  }

  stop(): void {
    this.#timer.cancel();
  }
}
