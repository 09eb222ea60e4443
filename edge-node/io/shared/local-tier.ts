// What one thread has read from the shared store, ready for use: objects instead of bytes. Whether it still holds is the
// store's to say; here is only a bound. First in, first out, a segment at a time: what is used all the time is soon read again,
// and a hit writes nothing.
//
// Only what is read twice in short succession is kept. To read once more costs a few microseconds; to keep what is seldom used
// costs several times that, since the garbage collector moves and marks what lives for a while and then goes.
//
// Small bodies are cut from larger chunks, since a buffer of its own costs more than the copy into it. Neighbours in a chunk
// come in together and go out together, so that no chunk stays for the sake of one of them.
import type { CacheEntry } from '../../decide/cache/entry.ts';

/** All variants of a key as they were when the number of changes at `counter` was `changes`. */
export interface Remembered {
  readonly entries: readonly CacheEntry[];
  readonly counter: number;
  readonly changes: number;
  readonly segment: Segment;
}

interface Segment {
  readonly keys: string[];
  bytes: number;
}

const SEGMENTS = 16;
/** Hashes of what was read last, each in one place; a power of two. */
const RECENT = 1 << 13;
/** A client that does not read what it asked for keeps the chunk that holds it, so a chunk is not larger. */
const MAX_CHUNK = 64 * 1024;
/** What the objects around one entry take, beside its characters and its body. */
const ENTRY_OVERHEAD = 1024;

export class LocalTier {
  /** Bytes of the largest list that it takes. */
  readonly maxListBytes: number;
  readonly #maxBytes: number;
  readonly #chunkBytes: number;
  readonly #lists = new Map<string, Remembered>();
  readonly #segments: Segment[] = [];
  readonly #recent = new Int32Array(RECENT);
  #die = 1;
  #newest: Segment = { keys: [], bytes: 0 };
  #bytes = 0;
  #chunk = Buffer.alloc(0);
  #chunkUsed = 0;

  /** Throws a RangeError for a number of bytes that makes no sense; 0: nothing is kept. */
  constructor(maxBytes: number) {
    if (!Number.isSafeInteger(maxBytes) || maxBytes < 0) {
      throw new RangeError(`bytes of the cache that a thread keeps: expected a whole number, found ${maxBytes}`);
    }
    this.#maxBytes = maxBytes;
    this.maxListBytes = Math.floor(maxBytes / SEGMENTS);
    this.#chunkBytes = Math.min(MAX_CHUNK, this.maxListBytes);
    this.#segments.push(this.#newest);
  }

  get bytes(): number {
    return this.#bytes;
  }

  get size(): number {
    return this.#lists.size;
  }

  get(key: string): Remembered | undefined {
    return this.#lists.get(key);
  }

  /** Whether what has this hash is to be kept: it was read a short while ago. */
  isRecent(high: number, low: number): boolean {
    const place = low & (RECENT - 1);
    if (this.#recent[place] === high) return true;
    // Every other time, as a die falls: two that are read in turn and have one place must not keep each other out for ever.
    this.#die = (Math.imul(this.#die, 0x9e3779b1) + 1) | 0;
    if (this.#die < 0 || this.#recent[place] === 0) this.#recent[place] = high;
    return false;
  }

  /** Room for a body, in one piece, with anything in it. `kept`: of a list that is to be remembered. */
  allocate(length: number, kept: boolean): Buffer {
    if (!kept) return Buffer.allocUnsafe(length);
    if (length > this.#chunkBytes / 4) return Buffer.allocUnsafeSlow(length);
    if (this.#chunkUsed + length > this.#chunk.length) {
      this.#chunk = Buffer.allocUnsafeSlow(this.#chunkBytes);
      this.#chunkUsed = 0;
    }
    const from = this.#chunkUsed;
    this.#chunkUsed += length;
    return this.#chunk.subarray(from, this.#chunkUsed);
  }

  /** Does nothing when they are too much for it. */
  remember(key: string, entries: readonly CacheEntry[], counter: number, changes: number): void {
    let bytes = ENTRY_OVERHEAD;
    for (const { size } of entries) bytes += size + ENTRY_OVERHEAD;
    if (bytes > this.maxListBytes) return;
    if (this.#newest.bytes + bytes > this.maxListBytes) {
      this.#newest = { keys: [], bytes: 0 };
      this.#segments.push(this.#newest);
    }
    while (this.#bytes + bytes > this.#maxBytes) this.#forgetOldest();
    this.#newest.keys.push(key);
    this.#newest.bytes += bytes;
    this.#bytes += bytes;
    this.#lists.set(key, { entries, counter, changes, segment: this.#newest });
  }

  #forgetOldest(): void {
    const oldest = this.#segments.shift();
    if (oldest === undefined) return;
    this.#bytes -= oldest.bytes;
    for (const key of oldest.keys) if (this.#lists.get(key)?.segment === oldest) this.#lists.delete(key);
  }
}
