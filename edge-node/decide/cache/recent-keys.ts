// What was found out about a key a short while ago, and is not to be found out again by every request.

/** Keys, each for a while; the oldest go first when there are too many. Monotonic milliseconds. */
export class RecentKeys {
  readonly #limit: number;
  readonly #forMs: number;
  readonly #until = new Map<string, number>();

  constructor(limit: number, forMs: number) {
    this.#limit = limit;
    this.#forMs = forMs;
  }

  get size(): number {
    return this.#until.size;
  }

  note(key: string, now: number): void {
    this.#until.delete(key);
    this.#until.set(key, now + this.#forMs);
    if (this.#until.size <= this.#limit) return;
    for (const oldest of this.#until.keys()) {
      this.#until.delete(oldest);
      break;
    }
  }

  has(key: string, now: number): boolean {
    const until = this.#until.get(key);
    if (until === undefined) return false;
    if (now < until) return true;
    this.#until.delete(key);
    return false;
  }

  forget(key: string): void {
    this.#until.delete(key);
  }
}
