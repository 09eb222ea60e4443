// Which stream sends next, of those that may (RFC 9218 section 10): the most urgent first, of equals what is of use in parts one
// frame of each in turn, the rest one to its end before the next.
import type { Priority } from '../../decide/http2/priority.ts';

/** One frame in so many goes to a stream whose turn it is not: else it might stand still for as long as others have something. */
export const OUT_OF_TURN = 16;

export interface Queued {
  /** Whether it is in the queue. */
  queued: boolean;
  readonly priority: Priority;
}

export class SendQueue<S extends Queued> {
  /** The most urgent first. */
  readonly #ready: S[] = [];
  #turn = 0;

  get empty(): boolean {
    return this.#ready.length === 0;
  }

  /** `begun`: it has just sent a frame, and has more. */
  add(sender: S, begun = false): void {
    const ready = this.#ready;
    sender.queued = true;
    let at = ready.length;
    if (at > 0) {
      const { urgency, incremental } = sender.priority;
      // What is to be sent to its end goes on before its equals.
      const past = begun && !incremental ? urgency - 1 : urgency;
      while (at > 0 && (ready[at - 1]?.priority.urgency ?? 0) > past) at -= 1;
    }
    if (at === ready.length) ready.push(sender);
    else ready.splice(at, 0, sender);
  }

  /** Its priority is another. */
  move(sender: S): void {
    if (!sender.queued) return;
    this.#ready.splice(this.#ready.indexOf(sender), 1);
    this.add(sender);
  }

  /** Takes it out. */
  next(): S | undefined {
    const ready = this.#ready;
    this.#turn += 1;
    const outOfTurn = this.#turn % OUT_OF_TURN === 0 && ready.length > 1;
    const sender = outOfTurn ? ready.splice((this.#turn / OUT_OF_TURN) % ready.length, 1)[0] : ready.shift();
    if (sender !== undefined) sender.queued = false;
    return sender;
  }

  clear(): void {
    this.#ready.length = 0;
  }
}
