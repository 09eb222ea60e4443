// What the connections of one thread to all origins share: limits, parser, buffers.
import { ResponseParserShared } from '../../decide/http1/response-parser.ts';
import { ReadBuffers } from './buffers.ts';

/** Per origin where it counts connections or requests. */
export interface OriginLimits {
  /** Connections that answer requests or may. */
  readonly connections: number;
  /** Connections that another protocol was switched to. */
  readonly tunnels: number;
  /** Requests that may wait for a connection; more are refused. How long, is the pool's timeout for connecting. */
  readonly waiting: number;
  /** Idle connections that are kept, and for how long, milliseconds. */
  readonly idle: number;
  readonly idleMs: number;
  /** How long the body is held back for 100 (Continue), milliseconds. */
  readonly continueMs: number;
  /** How long a tunnel may carry nothing, milliseconds. */
  readonly tunnelMs: number;
  /** Head of an answer and trailers, octets; field lines of either. */
  readonly headBytes: number;
  readonly trailerBytes: number;
  readonly fieldCount: number;
  /** Large read buffers, of all origins. */
  readonly largeBuffers: number;
}

export const DEFAULT_ORIGIN_LIMITS: OriginLimits = {
  connections: 128,
  tunnels: 4_096,
  waiting: 1_024,
  idle: 64,
  idleMs: 30_000,
  continueMs: 1_000,
  tunnelMs: 300_000,
  headBytes: 64 * 1024,
  trailerBytes: 8 * 1024,
  fieldCount: 256,
  largeBuffers: 64,
};

export class OriginShared {
  readonly limits: OriginLimits;
  readonly parser: ResponseParserShared;
  readonly buffers: ReadBuffers;

  constructor(limits: OriginLimits) {
    this.limits = limits;
    this.parser = new ResponseParserShared(limits);
    this.buffers = new ReadBuffers(limits.largeBuffers);
  }
}
