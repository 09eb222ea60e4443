// The numbers of HTTP/2 (RFC 9113 sections 6, 6.5.2 and 7), and the one error by which everything that reads it ends a connection.

export const FRAME = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
  /** RFC 9218 section 7.1. */
  priorityUpdate: 16,
} as const;

export const FLAG = { endStream: 0x1, ack: 0x1, endHeaders: 0x4, padded: 0x8, priority: 0x20 } as const;

export const SETTING = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
  /** RFC 9218 section 2.1. */
  noRfc7540Priorities: 9,
} as const;

/** Section 7: why a stream or a connection ended. */
export const CODE = {
  noError: 0,
  protocolError: 1,
  internalError: 2,
  flowControlError: 3,
  streamClosed: 5,
  frameSizeError: 6,
  refusedStream: 7,
  cancel: 8,
  compressionError: 9,
  enhanceYourCalm: 11,
} as const;

export type Code = (typeof CODE)[keyof typeof CODE];

/** Octets of a frame's payload that every endpoint takes, and all that we take and send (section 4.2). */
export const FRAME_MAX = 16_384;
/** Of a window, bytes: at first, and at most (section 6.9). */
export const WINDOW_INITIAL = 65_535;
export const WINDOW_MAX = 0x7fff_ffff;
/** The highest stream id. */
export const STREAM_MAX = 0x7fff_ffff;

/** The peer broke the protocol in a way that no part of the connection can outlive (section 5.4.1). */
export class ConnectionError extends Error {
  readonly code: Code;

  /** `message`: what was wrong, for whoever runs the edge. */
  constructor(code: Code, message: string) {
    super(message);
    this.code = code;
  }
}
