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
  /**
   * The same once the connection is to go: a client that has been quiet for so long is not just sending what a close would
   * destroy unanswered.
   */
  readonly quietMs: number;
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

/** Times are monotonic milliseconds, best whole ones: storing those allocates nothing. */
export class Deadlines {
  readonly #limits: DeadlineLimits;
  #waiting: Waiting = 'idle';
  #retiring = false;
  #since: number;
  /** How long the body was waited for before `#since`, less what its octets earned. */
  #bodyMs = 0;
  #written = 0;
  #writtenAt: number;

  constructor(limits: DeadlineLimits, now: number) {
    this.#limits = limits;
    this.#since = now;
    this.#writtenAt = now;
  }

  get waiting(): Waiting {
    return this.#waiting;
  }

  /** The connection is to go as soon as it is quiet. */
  retire(): void {
    this.#retiring = true;
  }

  /** A request is there to be answered. */
  begin(): void {
    this.#waiting = 'answer';
    this.#bodyMs = 0;
  }

  /** Waits for `waiting`; going on with the same does not put its deadline off, nor does coming back to the same body. */
  wait(waiting: Waiting, now: number): void {
    if (waiting === this.#waiting) return;
    if (this.#waiting === 'body') this.#bodyMs += now - this.#since;
    this.#waiting = waiting;
    this.#since = now;
  }

  /** `octets` of a body have come. */
  progress(octets: number, now: number): void {
    if (this.#waiting !== 'body') return;
    const earned = (octets * 1000) / this.#limits.bodyBytesPerSecond;
    this.#bodyMs = Math.max(0, this.#bodyMs + now - this.#since - earned);
    this.#since = now;
  }

  /**
   * What has taken too long, if anything. `empty`: nothing is left to write; `written`: octets written so far, ever. To be
   * called several times within each limit.
   */
  late(now: number, empty: boolean, written: number): Exclude<Waiting, 'answer'> | 'writing' | undefined {
    if (empty || written !== this.#written) {
      this.#written = written;
      this.#writtenAt = now;
    } else if (now - this.#writtenAt >= this.#limits.writeMs) {
      return 'writing';
    }
    const waiting = this.#waiting;
    if (waiting === 'answer') return undefined;
    // The client has time to close from when it has the last answer.
    if (waiting === 'lingering' && !empty) this.#since = now;
    return this.#waitedMs(now) >= this.#allowedMs(waiting) ? waiting : undefined;
  }

  #waitedMs(now: number): number {
    return now - this.#since + (this.#waiting === 'body' ? this.#bodyMs : 0);
  }

  #allowedMs(waiting: Exclude<Waiting, 'answer'>): number {
    switch (waiting) {
      case 'idle':
        return this.#retiring ? this.#limits.quietMs : this.#limits.idleMs;
      case 'head':
        return this.#limits.headMs;
      case 'body':
        return this.#limits.bodyMs;
      case 'half-closed':
        return this.#limits.halfClosedMs;
      case 'lingering':
        return this.#limits.lingerMs;
    }
  }
}
