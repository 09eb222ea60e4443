// Latencies in bounded memory, whatever their number: buckets that grow by a fixed ratio, so that a percentile is right to
// within 2%. Pure.

const RATIO = Math.log(1.02);
/** What is shorter counts as this, milliseconds. */
const SHORTEST_MS = 0.01;

export class LatencyHistogram {
  /** Sparse: by bucket, how many. */
  readonly #buckets = new Map<number, number>();
  #count = 0;
  #longest = 0;

  /** `ms`: 0 or more. */
  add(ms: number): void {
    const bucket = Math.round(Math.log(Math.max(ms, SHORTEST_MS) / SHORTEST_MS) / RATIO);
    this.#buckets.set(bucket, (this.#buckets.get(bucket) ?? 0) + 1);
    this.#count += 1;
    this.#longest = Math.max(this.#longest, ms);
  }

  /** Milliseconds within which the share `quantile` (0..1) of all lies; undefined without any. */
  quantile(quantile: number): number | undefined {
    if (this.#count === 0) return undefined;
    let left = Math.max(1, Math.ceil(quantile * this.#count));
    for (const [bucket, count] of [...this.#buckets].toSorted(([a], [b]) => a - b)) {
      left -= count;
      if (left <= 0) return Math.min(SHORTEST_MS * Math.exp(bucket * RATIO), this.#longest);
    }
    return this.#longest;
  }
}
