// What unsafe requests have made invalid, for all threads: what one of them was told to forget, another that was just fetching it
// must not store. Moments are counted, not measured. Keys whose hashes meet share a cell, and then something too much is not
// stored.
import type { Invalidations } from '../../decide/cache/invalidation.ts';
import { type HashKey, StringHash } from '../../decide/hash.ts';

export interface SharedInvalidationsHandles {
  readonly hashKey: HashKey;
  readonly memory: SharedArrayBuffer;
}

/** A power of two; before them stands the moment that it is. */
const CELLS = 1 << 14;

/** @param hashKey random */
export function allocateSharedInvalidations(hashKey: HashKey): SharedInvalidationsHandles {
  return { hashKey, memory: new SharedArrayBuffer((CELLS + 1) * BigInt64Array.BYTES_PER_ELEMENT) };
}

export class SharedInvalidations implements Invalidations {
  /** The moment before which whatever was requested is not to be stored, for each key. */
  readonly #moments: BigInt64Array;
  readonly #hash: StringHash;

  constructor({ hashKey, memory }: SharedInvalidationsHandles) {
    this.#moments = new BigInt64Array(memory);
    this.#hash = new StringHash(hashKey);
  }

  get moment(): number {
    return Number(Atomics.load(this.#moments, 0));
  }

  note(key: string): void {
    const moment = Atomics.add(this.#moments, 0, 1n) + 1n;
    const at = this.#cell(key);
    // Of two at once the later counts.
    for (let seen = Atomics.load(this.#moments, at); seen < moment; ) {
      const found = Atomics.compareExchange(this.#moments, at, seen, moment);
      if (found === seen) break;
      seen = found;
    }
  }

  bars(key: string, moment: number): boolean {
    return moment < Number(Atomics.load(this.#moments, this.#cell(key)));
  }

  #cell(key: string): number {
    this.#hash.of(key);
    return 1 + (this.#hash.low & (CELLS - 1));
  }
}
