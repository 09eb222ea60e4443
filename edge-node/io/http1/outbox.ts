// What one connection has to write, in few system calls: small parts are copied together, long ones are handed over as they
// are, in slices, so that a slow reader holds no more than two slices in the socket and its progress can be seen. To who takes
// them quickly they become longer, since each costs a few system calls.
// The global of the same name is looked up anew, through an accessor, at each use.
import { Buffer } from 'node:buffer';
import type { Duplex } from 'node:stream';

/** A part longer than this is not worth copying. */
const COPY_MAX = 16 * 1024;
/** Small parts are gathered up to this size. */
const GATHER_MAX = 64 * 1024;
/** Handed to the socket in one go; more than its high-water mark, so that "drain" follows whenever some is left over. */
const SLICE_BYTES = 128 * 1024;
/** To a quick reader. */
export const LONG_SLICE_BYTES = 512 * 1024;
/** Slots for parts that an idle connection keeps. */
const PARTS_KEPT = 8;

export class Outbox {
  readonly #socket: Duplex;
  /** Text stands for octets (latin1). */
  readonly #parts: (string | Uint8Array)[] = ['', ''];
  /** The parts that are left: `#parts[#first..#last)`. Slots are used again, since most answers are two parts. */
  #first = 0;
  #last = 0;
  #bytes = 0;
  /** Octets of the first part that have been handed over. */
  #offset = 0;
  #hasLong = false;
  #handed = 0;
  /** Unless the socket said that there is room after the last write; asking it costs more than all else here. */
  #mayBeFull = false;
  #slice = SLICE_BYTES;
  readonly #maxSlice: number;
  #writtenAtSweep = 0;

  /** `maxSlice`: bytes, to a quick reader. Where the socket copies what it is given, as TLS does, that should stay small. */
  constructor(socket: Duplex, maxSlice = SLICE_BYTES) {
    this.#socket = socket;
    this.#maxSlice = maxSlice;
  }

  /** Octets that have not been handed to the socket. */
  get bytes(): number {
    return this.#bytes;
  }

  /** After `flush`: whether more should wait. "drain" of the socket follows when this was true. */
  get blocked(): boolean {
    const socket = this.#socket;
    return this.#mayBeFull && socket.writableNeedDrain && socket.writableLength > 0;
  }

  /** Octets that the socket has passed to the system, ever. */
  get written(): number {
    return this.#handed - this.#socket.writableLength;
  }

  /** Whether all of it has been passed to the system. */
  get empty(): boolean {
    return this.#bytes === 0 && this.#socket.writableLength === 0;
  }

  /** To be called about twice a second. */
  sweep(): void {
    const { written } = this;
    if (written === this.#writtenAtSweep && !this.empty) this.#slice = SLICE_BYTES;
    this.#writtenAtSweep = written;
  }

  /** Does not write yet; `part` has to stay as it is. */
  add(part: string | Uint8Array): void {
    if (part.length === 0) return;
    this.#parts[this.#last] = part;
    this.#last += 1;
    this.#bytes += part.length;
    if (part.length > COPY_MAX) this.#hasLong = true;
  }

  /** Hands to the socket what it takes now. Call again on "drain". */
  flush(): void {
    if (this.#bytes === 0) return;
    const socket = this.#socket;
    if (this.#mayBeFull && socket.writableLength >= this.#slice) return;
    if (!this.#hasLong && this.#bytes <= GATHER_MAX) {
      this.#write(this.#gather(this.#last));
      return;
    }
    do {
      socket.cork();
      let budget = this.#slice;
      while (budget > 0 && this.#bytes > 0) budget -= this.#writeSome(budget);
      if (this.#bytes > 0) this.#slice = Math.min(this.#slice * 2, this.#maxSlice);
      socket.uncork();
      this.#mayBeFull = true;
    } while (this.#bytes > 0 && socket.writableLength === 0);
    if (this.#bytes === 0) this.#hasLong = false;
  }

  /** Forgets what was not handed over. */
  clear(): void {
    while (this.#first < this.#last) this.#drop();
    this.#bytes = 0;
    this.#hasLong = false;
  }

  /** The first part is done with. */
  #drop(): void {
    this.#parts[this.#first] = '';
    this.#first += 1;
    this.#offset = 0;
    if (this.#first < this.#last) return;
    this.#first = 0;
    this.#last = 0;
    if (this.#parts.length > PARTS_KEPT) this.#parts.length = PARTS_KEPT;
  }

  #write(octets: Uint8Array): void {
    this.#handed += octets.length;
    this.#mayBeFull = !this.#socket.write(octets);
  }

  /** Writes a run of small parts, or a slice of a long one of up to `budget` octets; returns how many. */
  #writeSome(budget: number): number {
    let end = this.#first;
    for (let bytes = 0; end < this.#last; end += 1) {
      const { length } = this.#parts[end] ?? '';
      bytes += length;
      if (length > COPY_MAX || bytes > GATHER_MAX) break;
    }
    if (end > this.#first) {
      const gathered = this.#gather(end);
      this.#write(gathered);
      return gathered.length;
    }
    const part = this.#parts[this.#first] ?? '';
    const from = this.#offset;
    const to = Math.min(part.length, from + budget);
    this.#write(typeof part === 'string' ? Buffer.from(part.slice(from, to), 'latin1') : part.subarray(from, to));
    this.#bytes -= to - from;
    this.#offset = to;
    if (to === part.length) this.#drop();
    return to - from;
  }

  /** The parts up to `end`, which are whole, in one buffer. */
  #gather(end: number): Uint8Array {
    const parts = this.#parts;
    const only = parts[this.#first] ?? '';
    let size = 0;
    for (let i = this.#first; i < end; i += 1) size += parts[i]?.length ?? 0;
    this.#bytes -= size;
    if (typeof only !== 'string' && end === this.#first + 1) {
      this.#drop();
      return only;
    }
    const gathered = Buffer.allocUnsafe(size);
    let at = 0;
    while (this.#first < end && at < size) {
      const part = parts[this.#first] ?? '';
      if (typeof part === 'string') gathered.write(part, at, 'latin1');
      else gathered.set(part, at);
      at += part.length;
      this.#drop();
    }
    return gathered;
  }
}
