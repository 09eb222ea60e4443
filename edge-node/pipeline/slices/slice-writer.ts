// Cuts a body, or a part of one, into slices on its way to the store. A slice is stored when it is complete, whatever comes after it;
// bytes in front of the first boundary, and those of a slice that the store does not take, are passed over.
import type { StoreWriter } from '../../decide/cache/entry.ts';
import { type Sliced, sliceAt } from '../../decide/cache/slices.ts';

/** Begins to store slice `index`, `bytes` long. Undefined: it will not be stored. */
type Begin = (index: number, bytes: number) => StoreWriter | undefined;

export class SliceWriter implements StoreWriter {
  readonly keepsParts = true;
  readonly #sliced: Sliced;
  readonly #begin: Begin;
  #at: number;
  #slice: StoreWriter | undefined;

  /** `from`: the place in the whole body of the first byte that will come. */
  constructor(sliced: Sliced, from: number, begin: Begin) {
    this.#sliced = sliced;
    this.#begin = begin;
    this.#at = from;
  }

  write(chunk: Buffer): boolean {
    const { bytes } = this.#sliced;
    for (let done = 0; done < chunk.length; ) {
      const index = Math.floor(this.#at / bytes);
      const { from, to } = sliceAt(this.#sliced, index);
      if (this.#at === from) this.#slice = this.#begin(index, to - from);
      const taken = Math.min(chunk.length - done, to - this.#at);
      // Longer than was said: it is for others to find that out.
      if (taken <= 0) return true;
      if (this.#slice && !this.#slice.write(chunk.subarray(done, done + taken))) this.#slice = undefined;
      done += taken;
      this.#at += taken;
      if (this.#at < to) continue;
      this.#slice?.commit();
      this.#slice = undefined;
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
    this.#slice?.abort();
    this.#slice = undefined;
  }
}
