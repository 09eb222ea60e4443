// What one connection sends: heads and control frames at once, bodies as the windows of stream and connection (RFC 9113 section
// 5.2) and the socket allow, one frame of each stream in turn. What waits is not copied: it stays with its stream.
import type { Duplex } from 'node:stream';
import { WINDOW_INITIAL } from '../../decide/http2/codes.ts';
import { Outbox } from '../http1/outbox.ts';

/** Frames are written once they are this many octets, or at the end of the turn. */
const TURN_BYTES = 64 * 1024;
/** With this many octets that the socket does not take, no more requests are read. */
const FULL_BYTES = 256 * 1024;

/** A stream with a body to send. */
export interface Sender {
  /** Whether it is in the queue. */
  queued: boolean;
  /** Sends one frame of its body, as its own window and that of the output allow, which it lowers. */
  sendFrame(): void;
  /** Whether there is more that its own window allows. */
  readonly sendable: boolean;
}

export class Output {
  readonly #outbox: Outbox;
  /** Of the connection: what the client takes, bytes. */
  window: number = WINDOW_INITIAL;
  readonly #ready: Sender[] = [];
  #flushDue = false;
  #written = 0;
  #writtenAt = 0;

  constructor(socket: Duplex) {
    this.#outbox = new Outbox(socket);
  }

  /** Whether a body may be sent at once, past the queue. */
  get free(): boolean {
    return this.#ready.length === 0 && this.#outbox.bytes < TURN_BYTES;
  }

  /** More waits for the socket than is good: no requests should be read until "drain". */
  get full(): boolean {
    return this.#outbox.bytes >= FULL_BYTES;
  }

  /** Whether all of it has been passed to the socket; `empty`: and to the system. */
  get handedOver(): boolean {
    return this.#outbox.bytes === 0;
  }

  get empty(): boolean {
    return this.#outbox.empty;
  }

  /** Queues octets (text stands for latin1) without writing yet. `part` has to stay as it is. */
  add(part: string | Uint8Array): void {
    this.#outbox.add(part);
  }

  /** `sender` has something that its window allows. */
  enqueue(sender: Sender): void {
    if (sender.queued || !sender.sendable) return;
    sender.queued = true;
    this.#ready.push(sender);
  }

  /** Puts as much of the bodies that wait into frames as windows and socket allow. */
  pump(): void {
    while (this.#ready.length > 0 && this.window > 0) {
      if (this.#outbox.bytes >= TURN_BYTES) {
        this.#outbox.flush();
        if (this.#outbox.blocked) break;
      }
      const sender = this.#ready.shift();
      if (sender === undefined) break;
      sender.queued = false;
      sender.sendFrame();
      this.enqueue(sender);
    }
  }

  /** Sends bodies as far as that goes, and writes. To be called at the end of a turn, and on "drain". */
  flush(): void {
    this.#flushDue = false;
    this.pump();
    this.#outbox.flush();
  }

  /** As `flush`, at the end of the turn, so that what is said in several calls is one write. */
  flushLater(): void {
    if (this.#flushDue) return;
    this.#flushDue = true;
    process.nextTick(flushNow, this);
  }

  get flushDue(): boolean {
    return this.#flushDue;
  }

  /** Writes what was gathered in the middle of a turn, when it is much. */
  relieve(): void {
    if (this.#outbox.bytes >= TURN_BYTES) this.#outbox.flush();
  }

  /** Whether the socket has taken nothing for `writeMs`. To be called several times within it. `now`: monotonic milliseconds. */
  stands(now: number, writeMs: number): boolean {
    const { empty, written } = this.#outbox;
    if (empty || written !== this.#written) {
      this.#written = written;
      this.#writtenAt = now;
      return false;
    }
    return now - this.#writtenAt >= writeMs;
  }

  /** Forgets what was not handed over. */
  clear(): void {
    this.#outbox.clear();
    this.#ready.length = 0;
  }
}

function flushNow(output: Output): void {
  if (output.flushDue) output.flush();
}
