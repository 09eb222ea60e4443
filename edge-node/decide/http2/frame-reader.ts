// Frames from the octets of a connection (RFC 9113 sections 3.4, 4.1 and 6): the client's preface, then one frame after the other,
// each as a range of the chunk that it came in, without copying. Only a frame that is there in part is copied. Checked here is what a frame's head settles: its length, whether it may name a stream, its padding.
import { CODE, ConnectionError, FLAG, FRAME, FRAME_MAX } from './codes.ts';

export const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

const HEAD_BYTES = 9;
const EMPTY = Buffer.alloc(0);
/** For the first part of a frame, octets. */
const HELD_MIN = 256;

export class FrameReader {
  /** Of the frame that `next` read last. Its payload without padding and priority is `window[start..stop)`. */
  type = 0;
  flags = 0;
  stream = 0;
  start = 0;
  stop = 0;
  /** Octets of the payload with padding: what flow control counts (section 6.9). */
  length = 0;
  window: Buffer = EMPTY;
  /** Whether `window` is a copy, so that more can be put behind it. */
  #own = false;
  #at = 0;
  #end = 0;
  #expects: 'preface' | 'settings' | 'frame' = 'preface';

  /** More octets have come. They have to stay as they are until `settle`. */
  feed(chunk: Buffer): void {
    const left = this.#end - this.#at;
    if (left === 0) {
      this.window = chunk;
      this.#own = false;
      this.#at = 0;
      this.#end = chunk.length;
      return;
    }
    if (this.window.length - this.#end < chunk.length) {
      // A frame that comes octet by octet gets room ahead, so that it is not copied for each.
      const size = chunk.length >= left ? left + chunk.length : Math.max(HELD_MIN, 2 * left + chunk.length);
      const held = Buffer.allocUnsafeSlow(size);
      this.window.copy(held, 0, this.#at, this.#end);
      this.window = held;
      this.#own = true;
      this.#at = 0;
      this.#end = left;
    }
    chunk.copy(this.window, this.#end);
    this.#end += chunk.length;
  }

  /** Reads the next frame. False: it is not there as a whole. Throws a `ConnectionError`, after which nothing more can be read. */
  next(): boolean {
    if (this.#expects === 'preface' && !this.#readPreface()) return false;
    const { window } = this;
    const at = this.#at;
    if (this.#end - at < HEAD_BYTES) return false;
    const length = lengthAt(window, at);
    if (length > FRAME_MAX) throw new ConnectionError(CODE.frameSizeError, `a frame of ${length} bytes`);
    if (this.#end - at < HEAD_BYTES + length) return false;
    this.type = window[at + 3] ?? 0;
    this.flags = window[at + 4] ?? 0;
    this.stream = uint31(window, at + 5);
    this.length = length;
    this.start = at + HEAD_BYTES;
    this.stop = this.start + length;
    this.#at = this.stop;
    if (this.#expects === 'settings') {
      if (this.type !== FRAME.settings || (this.flags & FLAG.ack) !== 0) fault('the first frame is not SETTINGS');
      this.#expects = 'frame';
    }
    this.#check();
    return true;
  }

  /** Whether a frame is there as a whole. */
  get complete(): boolean {
    const left = this.#end - this.#at;
    const { window } = this;
    if (left < HEAD_BYTES) return false;
    return left >= HEAD_BYTES + lengthAt(window, this.#at);
  }

  /** Lets go of the chunk that came last; what of it was not read is copied. */
  settle(): void {
    const left = this.#end - this.#at;
    if (left > 0 && this.#own) return;
    this.window = left === 0 ? EMPTY : Buffer.from(this.window.subarray(this.#at, this.#end));
    this.#own = left > 0;
    this.#at = 0;
    this.#end = left;
  }

  #readPreface(): boolean {
    const { window } = this;
    const size = Math.min(PREFACE.length, this.#end - this.#at);
    for (let i = 0; i < size; i += 1) {
      if (window[this.#at + i] !== PREFACE.charCodeAt(i)) fault('no preface of HTTP/2');
    }
    if (size < PREFACE.length) return false;
    this.#at += size;
    this.#expects = 'settings';
    return true;
  }

  #check(): void {
    const { type, length } = this;
    switch (type) {
      case FRAME.data:
      case FRAME.headers:
        this.#needsStream(true);
        this.#unpad();
        break;
      case FRAME.priority:
        this.#needsStream(true);
        needsLength(length === 5, this);
        break;
      case FRAME.rstStream:
        this.#needsStream(true);
        needsLength(length === 4, this);
        break;
      case FRAME.settings:
        this.#needsStream(false);
        needsLength((this.flags & FLAG.ack) !== 0 ? length === 0 : length % 6 === 0, this);
        break;
      case FRAME.pushPromise:
        fault('PUSH_PROMISE from a client');
        break;
      case FRAME.ping:
        this.#needsStream(false);
        needsLength(length === 8, this);
        break;
      case FRAME.priorityUpdate:
        this.#needsStream(false);
        needsLength(length >= 4, this);
        break;
      case FRAME.goaway:
        this.#needsStream(false);
        needsLength(length >= 8, this);
        break;
      case FRAME.windowUpdate:
        needsLength(length === 4, this);
        break;
      case FRAME.continuation:
        this.#needsStream(true);
        break;
      default:
    }
  }

  #needsStream(needed: boolean): void {
    if ((this.stream !== 0) !== needed) fault(`a frame of type ${this.type} on stream ${this.stream}`);
  }

  /** Sections 6.1 and 6.2. */
  #unpad(): void {
    const { flags } = this;
    let padding = 0;
    if ((flags & FLAG.padded) !== 0) {
      needsLength(this.start < this.stop, this);
      padding = this.window[this.start] ?? 0;
      this.start += 1;
    }
    if (this.type === FRAME.headers && (flags & FLAG.priority) !== 0) {
      needsLength(this.stop - this.start >= 5, this);
      this.start += 5;
    }
    this.stop -= padding;
    if (this.stop < this.start) fault('padding longer than its frame');
  }
}

function lengthAt(window: Buffer, at: number): number {
  return ((window[at] ?? 0) << 16) | ((window[at + 1] ?? 0) << 8) | (window[at + 2] ?? 0);
}

/** 31 bits in network order; the bit before them has no meaning. */
export function uint31(window: Buffer, at: number): number {
  return (
    (((window[at] ?? 0) & 0x7f) << 24) |
    ((window[at + 1] ?? 0) << 16) |
    ((window[at + 2] ?? 0) << 8) |
    (window[at + 3] ?? 0)
  );
}

function needsLength(right: boolean, { type, length }: FrameReader): void {
  if (!right) throw new ConnectionError(CODE.frameSizeError, `a frame of type ${type} with ${length} bytes`);
}

function fault(message: string): never {
  throw new ConnectionError(CODE.protocolError, message);
}
