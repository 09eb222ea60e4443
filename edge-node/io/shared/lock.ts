// A mutex in shared memory. States of its cell: 0 free; the owner's number; the owner's number with WAITED, when a thread
// sleeps until it is free. It is held for microseconds, so a thread that finds it taken spins before it sleeps. A thread that
// is terminated while it holds the lock leaves its number behind, and whoever starts the threads seizes it.

const WAITED = 1 << 30;
const OWNER = WAITED - 1;
const SPINS = 200;
/** Sleeps end after this long even if nobody wakes the sleeper: who should have may have been terminated. Milliseconds. */
const SLEEP_MS = 5;

export class SharedLock {
  readonly #cells: Int32Array;
  readonly #at: number;
  readonly #own: number;

  /** `cells[at]` is the lock; `thread`: 0 ..< 2^30 - 1, another for each thread. */
  constructor(cells: Int32Array, at: number, thread: number) {
    this.#cells = cells;
    this.#at = at;
    this.#own = thread + 1;
  }

  /** False: some other thread held it for about `patienceMs`. Throws when this thread has it already. */
  acquire(patienceMs: number): boolean {
    const cells = this.#cells;
    const at = this.#at;
    for (let spin = 0; spin < SPINS; spin += 1) {
      if (Atomics.load(cells, at) === 0 && Atomics.compareExchange(cells, at, 0, this.#own) === 0) return true;
      Atomics.pause();
    }
    let left = patienceMs;
    while (left > 0) {
      const seen = Atomics.load(cells, at);
      if ((seen & OWNER) === this.#own) throw new Error('the lock is taken by the thread that asks for it');
      // Who has slept cannot know whether others still do, so it takes the lock as one that is waited for.
      if (seen === 0) {
        if (Atomics.compareExchange(cells, at, 0, this.#own | WAITED) === 0) return true;
        continue;
      }
      const waited = seen | WAITED;
      if (seen !== waited && Atomics.compareExchange(cells, at, seen, waited) !== seen) continue;
      if (Atomics.wait(cells, at, waited, SLEEP_MS) === 'timed-out') left -= SLEEP_MS;
    }
    return false;
  }

  release(): void {
    if ((Atomics.exchange(this.#cells, this.#at, 0) & WAITED) !== 0) Atomics.notify(this.#cells, this.#at, 1);
  }

  /** Takes over what the dead `thread` holds; false when it holds nothing. What the lock protects may be half changed. */
  seize(thread: number): boolean {
    const seen = Atomics.load(this.#cells, this.#at);
    if ((seen & OWNER) !== thread + 1) return false;
    // The lock's own thread is dead: only sleepers change the cell, and only by setting WAITED.
    Atomics.store(this.#cells, this.#at, this.#own | WAITED);
    return true;
  }
}
