// Decides which request falls due when: scenario and seed in, the sequence of requests out. Pure: the same for the same seed.
import { type Random, seededRandom } from '../../infra/runtime/random.ts';
import type { Client, Paths, Scenario } from './scenario.ts';

export interface Planned {
  /** Milliseconds after the start. */
  readonly atMs: number;
  /** Indexes into the scenario's clients and that client's addresses. */
  readonly client: number;
  readonly address: number;
  readonly path: string;
}

/** Draws ranks 0 .. count - 1, rank r in proportion to 1 / (r + 1)^exponent (Zipf's law). */
export class Zipf {
  readonly #cumulated: Float64Array;

  constructor(count: number, exponent: number) {
    this.#cumulated = new Float64Array(count);
    let sum = 0;
    for (let rank = 0; rank < count; rank += 1) {
      sum += 1 / (rank + 1) ** exponent;
      this.#cumulated[rank] = sum;
    }
  }

  /** `draw`: uniform in [0, 1). */
  rank(draw: number): number {
    const wanted = draw * (this.#cumulated.at(-1) ?? 0);
    let [low, high] = [0, this.#cumulated.length - 1];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#cumulated[middle] ?? 0) > wanted) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/** The most popular first. */
export function pathsOf({ count, prefix, list }: Paths): readonly string[] {
  return list ?? Array.from({ length: count }, (_, index) => `${prefix}${index + 1}`);
}

/** So that clients whose numbers are near to each other do not draw alike: the golden ratio in 32 bits. */
const SPREAD = 0x9e3779b9;

/** One client's own sequence: evenly spaced, from a moment in the first interval on that is drawn. */
class Asking {
  readonly #client: Client;
  readonly #random: Random;
  readonly #phase: number;
  #asked = 0;

  constructor(client: Client, seed: number) {
    this.#client = client;
    this.#random = seededRandom(seed);
    this.#phase = this.#random.next();
  }

  get nextMs(): number {
    return ((this.#asked + this.#phase) * 1000) / this.#client.rate;
  }

  take(zipf: Zipf): { address: number; rank: number } {
    this.#asked += 1;
    const address = Math.floor(this.#random.next() * this.#client.addresses.length);
    return { address, rank: zipf.rank(this.#random.next()) };
  }
}

/** Every request before `durationMs`, in the order in which they fall due. */
export function* schedule({ seed, durationMs, clients, paths }: Scenario): Generator<Planned, undefined> {
  const names = pathsOf(paths);
  const zipf = new Zipf(names.length, paths.zipf);
  const asking = clients.map((client, index) => new Asking(client, (seed + Math.imul(index + 1, SPREAD)) >>> 0));
  for (;;) {
    let client = 0;
    let atMs = Number.POSITIVE_INFINITY;
    for (const [index, each] of asking.entries()) {
      if (each.nextMs >= atMs) continue;
      atMs = each.nextMs;
      client = index;
    }
    const next = asking[client];
    if (!next || atMs >= durationMs) return undefined;
    const { address, rank } = next.take(zipf);
    yield { atMs, client, address, path: names[rank] ?? '/' };
  }
}
