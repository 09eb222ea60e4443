// What one connection reads: where the octets go, what is left over from the read before, and in whose hands they are.
import { Buffer } from 'node:buffer';
import type { OriginHandler } from '../../ports.ts';
import { LARGE_BYTES, type ReadBuffers } from './buffers.ts';
import type { Call } from './call.ts';

/** From so much still to come a large buffer is worth its place, octets. */
const LONG = LARGE_BYTES / 4;

export class ReadSide {
  readonly #buffers: ReadBuffers;
  /** Where the socket reads to. */
  #into: Buffer;
  /** Whether a part of `#into` is in the receiver's hands. */
  #lent = false;
  /** Large ones that the receiver still had when the next was needed. */
  readonly #retained: Buffer[] = [];
  #kept: Buffer | undefined = undefined;
  #lastRead = 0;
  /** The octets that are there to be read: `window[...end)`. */
  window: Buffer;
  end = 0;
  /** Nothing has been read since this was last set. */
  untouched = true;

  constructor(buffers: ReadBuffers) {
    this.#buffers = buffers;
    this.#into = buffers.scratch;
    this.window = buffers.scratch;
  }

  /** Where the next read goes. `left`: octets of a body that are to come at least; infinite where that is not known. */
  target(left: number): Uint8Array {
    const buffers = this.#buffers;
    const long = left >= LONG && (left !== Number.POSITIVE_INFINITY || this.#lastRead >= buffers.scratch.length / 2);
    if (this.#into !== buffers.scratch) {
      if (long && !this.#lent) return this.#into;
      this.#let();
    }
    if (long) this.#into = buffers.take() ?? buffers.scratch;
    return this.#into;
  }

  /** `octets` have been read. Where in `window` they, and what is left over from before, begin. */
  begin(octets: number, call: Call | undefined): number {
    this.untouched = false;
    this.#lastRead = octets;
    if (this.#retained.length > 0 && call?.handler.retains === false) this.#release();
    const kept = this.#kept;
    if (kept === undefined) {
      this.window = this.#into;
      this.end = octets;
    } else {
      this.#kept = undefined;
      this.window = Buffer.concat([kept, this.#into.subarray(0, octets)]);
      this.end = this.window.length;
    }
    return 0;
  }

  /** What begins at `at` cannot be read before more is there. Returns the end of the window. */
  keep(at: number): number {
    if (at < this.end) this.#kept = Buffer.from(this.window.subarray(at, this.end));
    return this.end;
  }

  /** Passes a part of the window on. What lies in the shared buffer is copied. */
  deliver(from: number, to: number, handler: OriginHandler): void {
    if (this.window !== this.#buffers.scratch) {
      handler.onData(this.window.subarray(from, to));
      if (this.window === this.#into) this.#lent = handler.retains !== false;
      return;
    }
    const copy = Buffer.allocUnsafe(to - from);
    this.window.copy(copy, 0, from, to);
    handler.onData(copy);
  }

  /**
   * No more goes to `handler`: what it still has in hand is left to it. To be followed by `target`, or by the socket's end. Undefined:
   * it is not to be asked any more.
   */
  settle(handler: OriginHandler | undefined): void {
    if (this.#into !== this.#buffers.scratch) this.#let();
    if (handler?.retains === false) this.#release();
    else {
      for (const _ of this.#retained) this.#buffers.lose();
      this.#retained.length = 0;
    }
    this.#lastRead = 0;
    this.#kept = undefined;
  }

  /** Reads no more into the large buffer. */
  #let(): void {
    if (this.#lent) this.#retained.push(this.#into);
    else this.#buffers.give(this.#into);
    this.#lent = false;
    this.#into = this.#buffers.scratch;
  }

  #release(): void {
    if (this.#retained.length === 0) return;
    if (this.#retained.length === 0) return;
    for (const buffer of this.#retained) this.#buffers.give(buffer);
    this.#retained.length = 0;
  }
}
