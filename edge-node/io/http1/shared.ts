// What the HTTP/1.1 connections of one thread share: limits, parser, date, and one sweep in place of a timer for each.
import type { Clock, Timer } from '../../../infra/runtime/clock.ts';
import { type HeadLimits, ParserShared } from '../../decide/http1/request-parser.ts';
import { DateText } from '../../decide/http1/response-head.ts';
import { ReadBuffer } from '../read-buffer.ts';
import type { DeadlineLimits } from './deadlines.ts';
import type { ListenerEvents } from './listener.ts';
import { Renderings } from './renderings.ts';

export interface Http1Limits extends HeadLimits, DeadlineLimits {
  /** Trailer section of a chunked body, octets. */
  readonly trailerBytes: number;
  /** Octets that are read and thrown away after the last answer, until the client closes. */
  readonly lingerBytes: number;
  /** Of a body that nobody wants, octets to read so that the connection can be used again; beyond it, it is closed. */
  readonly drainBytes: number;
  readonly connections: number;
}

export const DEFAULT_HTTP1_LIMITS: Http1Limits = {
  headBytes: 32 * 1024,
  fieldCount: 128,
  targetBytes: 8 * 1024,
  trailerBytes: 8 * 1024,
  headMs: 10_000,
  bodyMs: 20_000,
  bodyBytesPerSecond: 500,
  idleMs: 60_000,
  writeMs: 60_000,
  quietMs: 1_000,
  halfClosedMs: 1_000,
  lingerMs: 2_000,
  lingerBytes: 256 * 1024,
  drainBytes: 64 * 1024,
  connections: 10_000,
};

/** How often deadlines are looked at, milliseconds: they are kept to within this. */
const SWEEP_MS = 500;

/** A connection as the sweep sees it. */
export interface Swept {
  /** `now`: monotonic milliseconds. */
  sweep(now: number): void;
  /** No further request: closes once what is in flight is answered. */
  retire(): void;
  break(): void;
}

export class Http1Shared {
  readonly limits: Http1Limits;
  readonly events: ListenerEvents;
  readonly parser: ParserShared;
  readonly reads = new ReadBuffer();
  readonly renderings = new Renderings();
  readonly connections: Set<Swept> = new Set();
  readonly #clock: Clock;
  readonly #timer: Timer;
  readonly #date = new DateText();
  /** Connections that come to it now are to close after their first answer. */
  retiring = false;
  /** Monotonic milliseconds as of the last sweep, whole ones. */
  now: number;

  constructor(clock: Clock, events: ListenerEvents, limits: Http1Limits = DEFAULT_HTTP1_LIMITS) {
    this.limits = limits;
    this.events = events;
    this.parser = new ParserShared(limits);
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
