// What one connection sends: heads and control frames at once, bodies as the windows of stream and connection (RFC 9113 section
// 5.2) and the socket allow, in the order that the client wants (send-queue.ts). A body that waits is not copied: it stays with its
// stream.
//
// Frames are put together in buffers that all connections of a thread share, and each buffer is one write, the next following when
// it has been taken: TLS encrypts straight from a single buffer, but copies several into one of its own, every time anew.
import type { Duplex } from 'node:stream';
import { FLAG, FRAME, FRAME_MAX, WINDOW_INITIAL } from '../../decide/http2/codes.ts';
import { FRAME_HEAD_BYTES, headersFrames, putFrameHead } from '../../decide/http2/frame-writer.ts';
import { NO_TABLE } from '../../decide/http2/response-block.ts';
import { type Queued, SendQueue } from './send-queue.ts';

/** A large buffer has room for this many octets of frames, and for one more piece of a body. */
const GATHERED = 64 * 1024;
const LARGE_BYTES = GATHERED + 16 * 1024;
/** For the answers of most turns; so that a thousand connections that all have something to send take little. */
const SMALL_BYTES = 16 * 1024;
/** With this many octets that the socket does not take, no more requests are read. */
const FULL_BYTES = 256 * 1024;

/** Of buffers of one size that wait for the next connection that has something to send, octets. */
const SPARE_BYTES = 1024 * 1024;
const spareSmall: Buffer[] = [];
const spareLarge: Buffer[] = [];

/** A stream with a body to send. */
export interface Sender extends Queued {
  /** Whether there is more that its own window allows. */
  readonly sendable: boolean;
  /** Sends one frame of its body, as its own window and that of the output allow, which it lowers. */
  sendFrame(): void;
  /** Whoever makes its body may go on. */
  goOn(): void;
}

/** Octets that are to be written, at the beginning of a buffer. */
interface Piece {
  readonly buffer: Buffer;
  readonly size: number;
}

export class Output {
  readonly #socket: Duplex;
  readonly #onTaken: () => void;
  /** Of the connection: what the client takes, bytes. */
  window: number = WINDOW_INITIAL;
  readonly #ready = new SendQueue<Sender>();
  readonly #drained: Sender[] = [];
  /** What is being put together. */
  #buffer: Buffer | undefined = undefined;
  #at = 0;
  /** What goes out before it, and how much that is. */
  #pieces: Piece[] | undefined = undefined;
  #pieceBytes = 0;
  /** What the socket has and has not taken. */
  #writing: Buffer | undefined = undefined;
  #headSent = false;
  #flushDue = false;
  #closed = false;
  /** Writes that were taken, as the sweep saw them last. */
  #taken = 0;
  #seenTaken = 0;
  #seenAt = 0;

  /** `onTaken`: the socket took a write; to be answered with `flush`. */
  constructor(socket: Duplex, onTaken: () => void) {
    this.#socket = socket;
    this.#onTaken = onTaken;
  }

  /** Whether a body of one frame may be sent at once, past the queue. */
  get free(): boolean {
    return this.#ready.empty && this.#waiting < GATHERED;
  }

  /** More waits for the socket than is good: no requests should be read until it takes some. */
  get full(): boolean {
    return this.#waiting >= FULL_BYTES;
  }

  /** Whether all of it has been passed to the socket; `empty`: and to the system. */
  get handedOver(): boolean {
    return this.#waiting === 0;
  }

  get empty(): boolean {
    return this.#waiting === 0 && this.#writing === undefined;
  }

  get flushDue(): boolean {
    return this.#flushDue;
  }

  get #waiting(): number {
    return this.#at + this.#pieceBytes;
  }

  /** Control frames, each character an octet (latin1). Not written before `flush`. */
  control(octets: string): void {
    this.#text(octets);
  }

  /** The head of a response, from its block. */
  head(block: string, stream: number, endStream: boolean): void {
    const octets = this.#headSent ? block : NO_TABLE + block;
    this.#headSent = true;
    if (octets.length > FRAME_MAX) {
      this.#text(headersFrames(octets, stream, endStream));
      return;
    }
    this.#frameHead(octets.length, FRAME.headers, FLAG.endHeaders | (endStream ? FLAG.endStream : 0), stream);
    this.#text(octets);
  }

  /** One DATA frame of `part[start..end)`, of at most FRAME_MAX bytes, which it takes off the window. */
  data(part: Uint8Array, start: number, end: number, stream: number, endStream: boolean): void {
    const size = end - start;
    this.window -= size;
    this.#frameHead(size, FRAME.data, endStream ? FLAG.endStream : 0, stream);
    if (size === 0 || this.#closed) return;
    const buffer = this.#room(size);
    buffer.set(size === part.length ? part : part.subarray(start, end), this.#at);
    this.#at += size;
  }

  /** `sender` has something that its window allows. */
  enqueue(sender: Sender): void {
    if (!sender.queued && sender.sendable) this.#ready.add(sender);
  }

  /** The priority of `sender` is another. */
  requeue(sender: Sender): void {
    this.#ready.move(sender);
  }

  /** Puts as much of the bodies that wait into frames as windows and socket allow. */
  pump(): void {
    while (!this.#ready.empty && this.window > 0 && this.#writing === undefined) {
      if (this.#waiting >= GATHERED) {
        this.#write();
        return;
      }
      const sender = this.#ready.next();
      if (sender === undefined) return;
      sender.sendFrame();
      if (sender.sendable && !sender.queued) this.#ready.add(sender, true);
    }
  }

  /** Sends bodies as far as that goes, and writes. To be called at the end of a turn, and when the socket has taken a write. */
  flush(): void {
    this.#flushDue = false;
    this.pump();
    for (let sender = this.#drained.pop(); sender !== undefined; sender = this.#drained.pop()) sender.goOn();
    this.#write();
  }

  /** As `flush`, at the end of the turn, so that what is said in several calls is one write. */
  flushLater(): void {
    if (this.#flushDue) return;
    this.#flushDue = true;
    process.nextTick(flushIfDue, this);
  }

  /** In the middle of a turn: writes what was put together if it is much. */
  relieve(): void {
    if (this.#waiting >= GATHERED) this.#write();
  }

  /**
   * All that `sender` had waiting has gone. It learns so in the next `flush`, which somebody has seen to: never within a call of
   * some other sender, whose source may not be entered a second time.
   */
  drained(sender: Sender): void {
    this.#drained.push(sender);
  }

  /** Whether the socket has taken nothing for `writeMs`. To be called several times within it. `now`: monotonic milliseconds. */
  stands(now: number, writeMs: number): boolean {
    if (this.#writing === undefined || this.#taken !== this.#seenTaken) {
      this.#seenTaken = this.#taken;
      this.#seenAt = now;
      return false;
    }
    return now - this.#seenAt >= writeMs;
  }

  /** Nothing more is to be sent. */
  close(): void {
    this.#closed = true;
    this.#ready.clear();
    this.#drained.length = 0;
    giveBack(this.#buffer);
    this.#buffer = undefined;
    this.#at = 0;
    this.#pieces = undefined;
    this.#pieceBytes = 0;
  }

  #frameHead(length: number, type: number, flags: number, stream: number): void {
    if (this.#closed) return;
    const buffer = this.#room(FRAME_HEAD_BYTES);
    putFrameHead(buffer, this.#at, length, type, flags, stream);
    this.#at += FRAME_HEAD_BYTES;
  }

  #text(octets: string): void {
    if (this.#closed) return;
    if (octets.length <= LARGE_BYTES) {
      const buffer = this.#room(octets.length);
      this.#at += buffer.write(octets, this.#at, 'latin1');
      return;
    }
    this.#setAside();
    const buffer = Buffer.from(octets, 'latin1');
    this.#queue(buffer, buffer.length);
  }

  /** The buffer that is being put together, with room for `size` octets (of which LARGE_BYTES are most) behind `#at`. */
  #room(size: number): Buffer {
    const buffer = this.#buffer;
    const needed = this.#at + size;
    if (buffer !== undefined && needed <= buffer.length) return buffer;
    if (needed > LARGE_BYTES) this.#setAside();
    const roomier = takeBuffer(this.#at + size);
    if (buffer !== undefined && this.#at > 0) {
      buffer.copy(roomier, 0, 0, this.#at);
      giveBack(buffer);
    }
    this.#buffer = roomier;
    return roomier;
  }

  #setAside(): void {
    if (this.#buffer === undefined) return;
    this.#queue(this.#buffer, this.#at);
    this.#buffer = undefined;
    this.#at = 0;
  }

  #queue(buffer: Buffer, size: number): void {
    this.#pieces ??= [];
    this.#pieces.push({ buffer, size });
    this.#pieceBytes += size;
  }

  #write(): void {
    if (this.#writing !== undefined || this.#closed) return;
    let buffer = this.#buffer;
    let size = this.#at;
    const piece = this.#pieces?.shift();
    if (piece === undefined) {
      if (buffer === undefined) return;
      this.#buffer = undefined;
      this.#at = 0;
    } else {
      ({ buffer, size } = piece);
      this.#pieceBytes -= size;
      if (this.#pieceBytes === 0) this.#pieces = undefined;
    }
    this.#writing = buffer;
    this.#socket.write(size === buffer.length ? buffer : buffer.subarray(0, size), this.#onWritten);
  }

  readonly #onWritten = (error?: Error | null): void => {
    const buffer = this.#writing;
    this.#writing = undefined;
    // After an error something may still read from it.
    if (error) return;
    giveBack(buffer);
    this.#taken += 1;
    if (!this.#closed) this.#onTaken();
  };
}

function takeBuffer(size: number): Buffer {
  if (size <= SMALL_BYTES) return spareSmall.pop() ?? Buffer.allocUnsafeSlow(SMALL_BYTES);
  return spareLarge.pop() ?? Buffer.allocUnsafeSlow(LARGE_BYTES);
}

function giveBack(buffer: Buffer | undefined): void {
  const spare = buffer?.length === SMALL_BYTES ? spareSmall : buffer?.length === LARGE_BYTES ? spareLarge : undefined;
  if (buffer !== undefined && spare !== undefined && spare.length * buffer.length < SPARE_BYTES) spare.push(buffer);
}

function flushIfDue(output: Output): void {
  if (output.flushDue) output.flush();
}
