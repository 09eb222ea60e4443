// Keys of which a short while ago nothing in slices was to be had, so that not every request for a part of what is never kept asks for
// more than that part. Bounded: the oldest are forgotten.

const MAX_KEYS = 1000;
const FOR_MS = 60_000;

export class RecentKeys {
  /** Until when, monotonic milliseconds; oldest first. */
  readonly #until = new Map<string, number>();

  note(key: string, now: number): void {
    this.#until.delete(key);
    this.#until.set(key, now + FOR_MS);
    if (this.#until.size <= MAX_KEYS) return;
    for (const oldest of this.#until.keys()) {
      this.#until.delete(oldest);
      break;
    }
  }

  has(key: string, now: number): boolean {
    return (this.#until.get(key) ?? Number.NEGATIVE_INFINITY) > now;
  }
}
