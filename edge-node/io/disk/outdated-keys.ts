// What a process that takes another's place has stored and removed while that one still had the folder of the disk tier: whatever
// lies there under the same hash is outdated. A set of bits in shared memory, by the folder's hash: it says of some keys too much that
// they are outdated (of 2 in 100, when 100,000 are), and never too little.
import { type HashKey, StringHash } from '../../decide/hash.ts';

export interface OutdatedHandles {
  /** The folder's. */
  readonly hashKey: HashKey;
  readonly bits: SharedArrayBuffer;
}

/** A power of two. */
const BITS = 1 << 22;

export function allocateOutdated(hashKey: HashKey): OutdatedHandles {
  return { hashKey, bits: new SharedArrayBuffer(BITS / 8) };
}

export class OutdatedKeys {
  readonly #hash: StringHash;
  readonly #words: Int32Array;

  constructor({ hashKey, bits }: OutdatedHandles) {
    this.#hash = new StringHash(hashKey);
    this.#words = new Int32Array(bits);
  }

  add(key: string): void {
    this.#hash.of(key);
    const bit = this.#hash.low & (BITS - 1);
    Atomics.or(this.#words, bit >>> 5, 1 << (bit & 31));
  }

  /** `low`: of the key's hash. */
  has(low: number): boolean {
    const bit = low & (BITS - 1);
    return (Atomics.load(this.#words, bit >>> 5) & (1 << (bit & 31))) !== 0;
  }
}
