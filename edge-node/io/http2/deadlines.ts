// How long a client may stand still on one stream: with its window shut while an answer waits, or with a body that is waited for.
// Kept as numbers that the sweep compares, and only for streams that live long enough to be seen by one.
import type { Http2Limits } from './shared.ts';

/** What the sweep sees of a stream. Bytes. */
export interface Progress {
  /** Of the answer, so far; and whether more of it waits. */
  readonly sent: number;
  readonly waits: boolean;
  /** Of the request's body, so far; undefined: nobody waits for more. */
  readonly received: number | undefined;
}

export class StreamDeadlines {
  #sent = -1;
  #writeDeadline = 0;
  #received = -1;
  #bodyDeadline = 0;

  /** Undefined, or what the client has been too slow in. `now`: monotonic milliseconds; to be called often within each limit. */
  late(now: number, { sent, waits, received }: Progress, limits: Http2Limits): string | undefined {
    if (!waits || sent !== this.#sent) {
      this.#sent = sent;
      this.#writeDeadline = now + limits.writeMs;
    } else if (now >= this.#writeDeadline) {
      return 'took nothing of its answer in time';
    }
    if (received === undefined) {
      this.#received = -1;
      return undefined;
    }
    if (this.#received === -1) this.#bodyDeadline = now + limits.bodyMs;
    else if (received > this.#received) {
      const earned = ((received - this.#received) * 1000) / limits.bodyBytesPerSecond;
      this.#bodyDeadline = Math.min(this.#bodyDeadline + earned, now + limits.bodyMs);
    }
    this.#received = received;
    return now >= this.#bodyDeadline ? 'sent no more of its request in time' : undefined;
  }
}
