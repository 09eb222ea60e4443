// Cuts a body, or a part of one, into slices on its way to the store. A slice is stored when it is complete, whatever comes after it;
// bytes in front of the first boundary, and those of a slice that the store does not take, are passed over.
import type { CacheEntry, StoreWriter } from '../../decide/cache/entry.ts';
import { type Sliced, sliceAt } from '../../decide/cache/slices.ts';

export interface SliceStore {
  /** Begins to store slice `index`, `bytes` long. Undefined: it will not be stored. */
  begin(index: number, bytes: number): StoreWriter | undefined;
  /** Slice `index` is complete; or, without `entry`, will not be stored. */
  landed(index: number, entry: CacheEntry | undefined): void;
}

export class SliceWriter implements StoreWriter {
  readonly #sliced: Sliced;
  readonly #store: SliceStore;
  #at: number;
  #slice: StoreWriter | undefined;
  #over = false;

  /** `from`: the place in the whole body of the first byte that will come. */
  constructor(sliced: Sliced, from: number, store: SliceStore) {
    this.#sliced = sliced;
    this.#store = store;
    this.#at = from;
  }

  write(chunk: Buffer): boolean {
    const { bytes } = this.#sliced;
    for (let done = 0; done < chunk.length && !this.#over; ) {
      const index = Math.floor(this.#at / bytes);
      const { from, to } = sliceAt(this.#sliced, index);
      if (this.#at === from) this.#begin(index, to - from);
      const taken = Math.min(chunk.length - done, to - this.#at);
      // Longer than was said: it is for others to find that out.
      if (taken <= 0) return true;
      if (this.#slice?.write(chunk.subarray(done, done + taken)) === false) this.#end(index, undefined);
      done += taken;
      this.#at += taken;
      if (this.#at === to && this.#slice) this.#end(index, this.#slice.commit());
    }
    return true;
  }

  /** It is nowhere in one piece. */
  gathered(): undefined {
    return undefined;
  }

  commit(): undefined {
    this.abort();
  }

  abort(): void {
    this.#over = true;
    this.#slice?.abort();
    this.#slice = undefined;
  }

  #begin(index: number, bytes: number): void {
    this.#slice = this.#store.begin(index, bytes);
    if (this.#slice === undefined) this.#store.landed(index, undefined);
  }

  #end(index: number, entry: CacheEntry | undefined): void {
    this.#slice = undefined;
    this.#store.landed(index, entry);
  }
}
