// One of several clients that get one body while it comes: each takes what is there at its own pace, out of what the store's
// writer gathers. One that is slow holds up nobody, and nothing is kept for it that is not kept anyway.
import type { ClientPort } from '../ports.ts';

/** What is written at once, bytes: some clients copy what they cannot send yet. */
const PIECE = 256 * 1024;

export type FollowerEnd = 'complete' | 'origin-failed' | 'client-gone';

export interface FollowerState {
  /** Body bytes that it has been given already. */
  readonly sent: number;
  /** It cannot take more for now. */
  readonly held: boolean;
}

export class Follower {
  readonly #client: ClientPort;
  readonly #onOver: (end: FollowerEnd) => void;
  #held: boolean;
  #over = false;
  /** Body bytes handed to the client. */
  sent: number;

  /** The answer to `client` has been begun. `more`: it can take more. */
  constructor(client: ClientPort, state: FollowerState, more: () => void, onOver: (end: FollowerEnd) => void) {
    this.#client = client;
    this.sent = state.sent;
    this.#held = state.held;
    this.#onOver = onOver;
    client.onDrain = () => {
      this.#held = false;
      more();
    };
    client.onGone = () => this.#finish('client-gone');
  }

  /** `body`: all that there is so far. */
  take(body: Buffer, isWhole: boolean): void {
    while (!this.#over && !this.#held && this.sent < body.length) {
      const from = this.sent;
      this.sent = Math.min(body.length, from + PIECE);
      this.#held = !this.#client.write(body.subarray(from, this.sent));
    }
    if (this.#over || !isWhole || this.sent < body.length) return;
    this.#client.end();
    this.#finish('complete');
  }

  /** The rest will not come: nobody may take what came for the whole. */
  fail(): void {
    if (this.#over) return;
    this.#client.abort();
    this.#finish('origin-failed');
  }

  #finish(end: FollowerEnd): void {
    if (this.#over) return;
    this.#over = true;
    this.#onOver(end);
  }
}
