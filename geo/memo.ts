// What was worked out lately, kept within a bound: two generations, of which the older is dropped whole when the younger is
// full. One look-up costs one or two map reads, and there is no list to keep in order.

export class Memo<K, V> {
  readonly #half: number;
  #young = new Map<K, V>();
  #old = new Map<K, V>();

  /** `limit`: how many entries it may hold, 2 or more. */
  constructor(limit: number) {
    this.#half = Math.floor(limit / 2);
  }

  /** What is used while it is in the older generation moves to the younger one. */
  get(key: K): V | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const old = this.#old.get(key);
    if (old !== undefined) this.set(key, old);
    return old;
  }

  set(key: K, value: V): void {
    if (this.#young.size >= this.#half) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, value);
  }

  clear(): void {
    this.#young = new Map();
    this.#old = new Map();
  }
}
