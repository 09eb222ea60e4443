// How long a connection may wait for what (RFC 9112 section 9.5), kept as numbers that one sweep for all connections compares:
// no timer is set or cleared for a request.

/**
 * "answer": for the handler to make it, which has its own deadlines, or for the client to take it. "half-closed": for the handler
 * to begin, while the client may have left. "lingering": for the client to close.
 */
export type Waiting = 'idle' | 'head' | 'body' | 'answer' | 'half-closed' | 'lingering';

export interface DeadlineLimits {
  /** Between requests, milliseconds. */
  readonly idleMs: number;
  /** From the first octet of a request to the end of its head, milliseconds. */
  readonly headMs: number;
  /**
   * How long a body may stand still, milliseconds, and the least rate at which it has to come, octets a second: each octet puts
   * the deadline off by its share, and never further than `bodyMs` from now.
   */
  readonly bodyMs: number;
  readonly bodyBytesPerSecond: number;
  /** How long a client may take nothing of what is written to it, milliseconds. */
  readonly writeMs: number;
  /**
   * For an answer to begin after the client closed its side, milliseconds. Some clients do that after their last request; more
   * often it is one that has left, and the work for it should not go on for long.
   */
  readonly halfClosedMs: number;
  /** From the last answer until the client closes, milliseconds (section 9.6). */
  readonly lingerMs: number;
}

/** Times are monotonic milliseconds. */
export class Deadlines {
  readonly #limits: DeadlineLimits;
  #waiting: Waiting = 'idle';
  #deadline: number;
  /** What is left for the body when it is waited for again. */
  #bodyMs: number;
  #written = 0;
  #writeDeadline = Number.POSITIVE_INFINITY;

  constructor(limits: DeadlineLimits, now: number) {
    this.#limits = limits;
    this.#deadline = now + limits.idleMs;
    this.#bodyMs = limits.bodyMs;
  }

  get waiting(): Waiting {
    return this.#waiting;
  }

  /** A request is there to be answered. */
  begin(): void {
    this.#waiting = 'answer';
    this.#deadline = Number.POSITIVE_INFINITY;
    this.#bodyMs = this.#limits.bodyMs;
  }

  /** Waits for `waiting`; going on with the same does not put its deadline off, nor does coming back to the same body. */
  wait(waiting: Waiting, now: number): void {
    if (waiting === this.#waiting) return;
    if (this.#waiting === 'body') this.#bodyMs = this.#deadline - now;
    this.#waiting = waiting;
    this.#deadline = now + this.#allowedMs(waiting);
  }

  /** `octets` of a body have come. */
  progress(octets: number, now: number): void {
    if (this.#waiting !== 'body') return;
    const { bodyMs, bodyBytesPerSecond } = this.#limits;
    this.#deadline = Math.min(this.#deadline + (octets * 1000) / bodyBytesPerSecond, now + bodyMs);
  }

  /**
   * What has taken too long, if anything. `empty`: nothing is left to write; `written`: octets written so far, ever. To be
   * called several times within each limit.
   */
  late(now: number, empty: boolean, written: number): Exclude<Waiting, 'answer'> | 'writing' | undefined {
    if (empty || written !== this.#written) {
      this.#written = written;
      this.#writeDeadline = now + this.#limits.writeMs;
    } else if (now >= this.#writeDeadline) {
      return 'writing';
    }
    // The client has time to close from when it has the last answer.
    if (this.#waiting === 'lingering' && !empty) this.#deadline = now + this.#limits.lingerMs;
    return now >= this.#deadline && this.#waiting !== 'answer' ? this.#waiting : undefined;
  }

  #allowedMs(waiting: Waiting): number {
    switch (waiting) {
      case 'idle':
        return this.#limits.idleMs;
      case 'head':
        return this.#limits.headMs;
      case 'body':
        return this.#bodyMs;
      case 'half-closed':
        return this.#limits.halfClosedMs;
      case 'lingering':
        return this.#limits.lingerMs;
      case 'answer':
        return Number.POSITIVE_INFINITY;
    }
  }
}
