// Why answers were not stored, lately: for each key the last reason, so that an operator who asks an edge hears what another of
// its threads decided. A table of a fixed size, in which a key takes the place of another; written when an answer is not stored,
// read when an operator asks, and by nobody else.
//
// One entry is one number of 64 bits, written and read in one go: half of the key's hash (the other half says where), the reason,
// and the seconds since the table was made.
import { NOT_STORED, type NotStoredReason } from '../../decide/cache/explain.ts';
import { type HashKey, StringHash } from '../../decide/hash.ts';

export interface SharedSkipsHandles {
  readonly hashKey: HashKey;
  /** Unix milliseconds. */
  readonly since: number;
  readonly memory: SharedArrayBuffer;
}

export interface Skip {
  readonly reason: NotStoredReason;
  /** Unix milliseconds, to the second. */
  readonly at: number;
}

const DEFAULT_SLOTS = 8192;
const SECONDS_BITS = 27;
const MOST_SECONDS = 2 ** SECONDS_BITS - 1;
const REASONS = Object.keys(NOT_STORED) as NotStoredReason[];

/** @param slots a power of two, 8 bytes each. Throws a RangeError for any other number. */
export function allocateSharedSkips(hashKey: HashKey, since: number, slots = DEFAULT_SLOTS): SharedSkipsHandles {
  if (!Number.isInteger(slots) || slots < 1 || (slots & (slots - 1)) !== 0) {
    throw new RangeError(`slots of the reasons not to store: expected a power of two, found ${slots}`);
  }
  return { hashKey, since, memory: new SharedArrayBuffer(slots * BigInt64Array.BYTES_PER_ELEMENT) };
}

export class SharedSkips {
  readonly #slots: BigInt64Array;
  readonly #since: number;
  readonly #hash: StringHash;

  constructor({ hashKey, since, memory }: SharedSkipsHandles) {
    this.#slots = new BigInt64Array(memory);
    this.#since = since;
    this.#hash = new StringHash(hashKey);
  }

  /** `now`: Unix milliseconds. After four years all is as of then. */
  note(key: string, reason: NotStoredReason, now: number): void {
    const place = this.#place(key);
    const seconds = Math.min(MOST_SECONDS, Math.max(0, Math.floor((now - this.#since) / 1000)));
    // Reasons are counted from 1: 0 is an entry that was never written.
    const low = (REASONS.indexOf(reason) + 1) * 2 ** SECONDS_BITS + seconds;
    Atomics.store(this.#slots, place, (BigInt(this.#hash.high) << 32n) | BigInt(low));
  }

  /** Undefined: nothing was noted, or another key has taken the place. */
  find(key: string): Skip | undefined {
    const entry = Atomics.load(this.#slots, this.#place(key));
    if (Number(entry >> 32n) !== this.#hash.high) return undefined;
    const low = Number(entry & 0xffffffffn);
    const reason = REASONS[Math.floor(low / 2 ** SECONDS_BITS) - 1];
    return reason && { reason, at: this.#since + (low & MOST_SECONDS) * 1000 };
  }

  /** Leaves the key's hash in `#hash`. */
  #place(key: string): number {
    this.#hash.of(key);
    return this.#hash.low & (this.#slots.length - 1);
  }
}
