// Flow control (RFC 9113 sections 5.2 and 6.9): what a peer may still send, when to let it send more, and how far a window of ours
// reaches.
import { WINDOW_MAX } from './codes.ts';

/** What the peer may send, of a stream or of the connection. Bytes. */
export class ReceiveWindow {
  readonly #size: number;
  #left: number;
  /** Consumed, and not told the peer yet. */
  #untold = 0;

  /** `size`: what may come before anything is consumed, as the peer knows it. */
  constructor(size: number) {
    this.#size = size;
    this.#left = size;
  }

  /** Counts what came. False: more than was allowed. */
  receive(bytes: number): boolean {
    this.#left -= bytes;
    return this.#left >= 0;
  }

  /** Counts what was consumed; returns by how much to open the window now, or 0: half a window at a time is told. */
  consume(bytes: number): number {
    this.#untold += bytes;
    if (this.#untold * 2 < this.#size) return 0;
    const increment = this.#untold;
    this.#untold = 0;
    this.#left += increment;
    return increment;
  }
}

/** A window to send by, opened by `increment` (which may be negative, section 6.9.2); undefined: beyond what a window can be. */
export function widened(window: number, increment: number): number | undefined {
  const wide = window + increment;
  return wide > WINDOW_MAX ? undefined : wide;
}
