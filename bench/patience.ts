// On a machine that other programs use too: measuring while they rest, and again what they disturbed, for a bounded time in all.

/** What other programs may take of the benchmark's cores before it counts as a disturbance, in cores. */
export const DISTURBED = 0.1;
/** How often one turn is measured at most. */
const ATTEMPTS = 3;

export interface PatienceOptions {
  /** For waiting and for measuring again, all in all, milliseconds. */
  readonly budgetMs: number;
  /** What other programs take at this moment, in cores. Takes a fraction of a second to find out. */
  readonly others: () => Promise<number>;
  /** Milliseconds since some fixed moment. */
  readonly monotonic: () => number;
}

export class Patience {
  readonly #options: PatienceOptions;
  #leftMs: number;

  constructor(options: PatienceOptions) {
    this.#options = options;
    this.#leftMs = options.budgetMs;
  }

  /** Resolves when other programs rest, or patience is at its end. */
  async waitForQuiet(): Promise<void> {
    while (this.#leftMs > 0) {
      const others = await this.#spend(this.#options.others);
      if (others < DISTURBED) return;
    }
  }

  /** The least disturbed of some attempts: of one, when that one was not, or patience is at its end. */
  async quietest<T extends { readonly disturbed?: number }>(measure: () => Promise<T>): Promise<T> {
    await this.waitForQuiet();
    let best = await measure();
    for (let attempt = 1; attempt < ATTEMPTS && this.#leftMs > 0 && (best.disturbed ?? 0) >= DISTURBED; attempt += 1) {
      await this.waitForQuiet();
      const again = await this.#spend(measure);
      if ((again.disturbed ?? 0) < (best.disturbed ?? 0)) best = again;
    }
    return best;
  }

  async #spend<T>(work: () => Promise<T>): Promise<T> {
    const started = this.#options.monotonic();
    const done = await work();
    this.#leftMs -= this.#options.monotonic() - started;
    return done;
  }
}
