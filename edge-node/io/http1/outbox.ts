// What one connection has to write, in few system calls: small parts are copied together, long ones are handed over as they
// are, in slices, so that a slow reader holds no more than two slices in the socket and its progress can be seen.
import type { Duplex } from 'node:stream';

/** A part longer than this is not worth copying. */
const COPY_MAX = 16 * 1024;
/** Small parts are gathered up to this size. */
const GATHER_MAX = 64 * 1024;
/** Handed to the socket in one go; more than its high-water mark, so that "drain" follows whenever some is left over. */
const SLICE_BYTES = 128 * 1024;

export class Outbox {
  readonly #socket: Duplex;
  /** Text stands for octets (latin1). */
  readonly #parts: (string | Uint8Array)[] = [];
  #bytes = 0;
  /** Octets of the first part that have been handed over. */
  #offset = 0;
  #hasLong = false;
  #handed = 0;

  constructor(socket: Duplex) {
    this.#socket = socket;
  }

  /** Octets that have not been handed to the socket. */
  get bytes(): number {
    return this.#bytes;
  }

  /** After `flush`: whether more should wait. "drain" of the socket follows when this was true. */
  get blocked(): boolean {
    const socket = this.#socket;
    return socket.writableNeedDrain && socket.writableLength > 0;
  }

  /** Octets that the socket has passed to the system, ever. */
  get written(): number {
    return this.#handed - this.#socket.writableLength;
  }

  /** Whether all of it has been passed to the system. */
  get empty(): boolean {
    return this.#bytes === 0 && this.#socket.writableLength === 0;
  }

  /** Does not write yet; `part` has to stay as it is. */
  add(part: string | Uint8Array): void {
    if (part.length === 0) return;
    this.#parts.push(part);
    this.#bytes += part.length;
    if (part.length > COPY_MAX) this.#hasLong = true;
  }

  /** Hands to the socket what it takes now. Call again on "drain". */
  flush(): void {
    if (this.#bytes === 0) return;
    const socket = this.#socket;
    if (socket.writableLength >= SLICE_BYTES) return;
    if (!this.#hasLong && this.#bytes <= GATHER_MAX) {
      this.#write(this.#gather(this.#parts.length));
      return;
    }
    do {
      socket.cork();
      let budget = SLICE_BYTES;
      while (budget > 0 && this.#bytes > 0) budget -= this.#writeSome(budget);
      socket.uncork();
    } while (this.#bytes > 0 && socket.writableLength === 0);
    if (this.#bytes === 0) this.#hasLong = false;
  }

  /** Forgets what was not handed over. */
  clear(): void {
    this.#parts.length = 0;
    this.#bytes = 0;
    this.#offset = 0;
    this.#hasLong = false;
  }

  #write(octets: Uint8Array): void {
    this.#handed += octets.length;
    this.#socket.write(octets);
  }

  /** Writes a run of small parts, or a slice of a long one of up to `budget` octets; returns how many. */
  #writeSome(budget: number): number {
    let run = 0;
    for (let bytes = 0; run < this.#parts.length; run += 1) {
      const { length } = this.#parts[run] ?? '';
      bytes += length;
      if (length > COPY_MAX || bytes > GATHER_MAX) break;
    }
    if (run > 0) {
      const gathered = this.#gather(run);
      this.#write(gathered);
      return gathered.length;
    }
    const first = this.#parts[0] ?? '';
    const end = Math.min(first.length, this.#offset + budget);
    const size = end - this.#offset;
    if (typeof first === 'string') this.#write(Buffer.from(first.slice(this.#offset, end), 'latin1'));
    else this.#write(first.subarray(this.#offset, end));
    this.#bytes -= size;
    this.#offset = end;
    if (end === first.length) {
      this.#parts.shift();
      this.#offset = 0;
    }
    return size;
  }

  /** The first `count` parts, which are whole, in one buffer. */
  #gather(count: number): Buffer {
    const parts = this.#parts;
    let size = 0;
    for (let i = 0; i < count; i += 1) size += parts[i]?.length ?? 0;
    const gathered = Buffer.allocUnsafe(size);
    let at = 0;
    for (let i = 0; i < count; i += 1) {
      const part = parts[i] ?? '';
      if (typeof part === 'string') gathered.write(part, at, 'latin1');
      else gathered.set(part, at);
      at += part.length;
    }
    if (count === parts.length) parts.length = 0;
    else parts.splice(0, count);
    this.#bytes -= size;
    return gathered;
  }
}
