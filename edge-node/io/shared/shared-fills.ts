// Which keys are being fetched by which thread, so that all threads together ask an origin once. A thread that is about to ask takes
// the cell of its key; who finds that taken by another sleeps on it, without holding up its thread, and looks up again when it
// is free. A cell is one number: owner, whether somebody sleeps, and the rest of the key's hash. What meets in one cell without
// being the same is asked for without it. When a thread dies its cells are freed.
import type { FillClaims } from '../../decide/cache/fills.ts';
import { TAKEN, UNSHARED } from '../../decide/cache/fills.ts';
import { type HashKey, StringHash } from '../../decide/hash.ts';

export interface SharedFillsHandles {
  readonly threads: number;
  readonly hashKey: HashKey;
  readonly memory: SharedArrayBuffer;
}

/** A power of two. Two of some fills under way seldom meet. */
const CELLS = 1 << 14;
const OWNER = 0x1ff;
const SLEPT_ON = 0x200;
const TAG = ~(OWNER | SLEPT_ON);
/** Owner of a cell whose last fill was of no use to others; anyone may take it. */
const USELESS = OWNER;

/** `threads`: below 511. @param hashKey random */
export function allocateSharedFills(threads: number, hashKey: HashKey): SharedFillsHandles {
  if (!Number.isInteger(threads) || threads < 1 || threads >= USELESS) {
    throw new RangeError(`threads that share fills: expected 1 to ${USELESS - 1}, found ${threads}`);
  }
  return { threads, hashKey, memory: new SharedArrayBuffer(CELLS * Int32Array.BYTES_PER_ELEMENT) };
}

export class SharedFills implements FillClaims {
  readonly #cells: Int32Array;
  readonly #own: number;
  readonly #hash: StringHash;

  /** `thread`: 0 ..< `handles.threads`. */
  constructor(handles: SharedFillsHandles, thread: number) {
    if (!Number.isInteger(thread) || thread < 0 || thread >= handles.threads) {
      throw new RangeError(`thread of the fills: expected 0 to ${handles.threads - 1}, found ${thread}`);
    }
    this.#cells = new Int32Array(handles.memory);
    this.#own = thread + 1;
    this.#hash = new StringHash(handles.hashKey);
  }

  claim(key: string): number {
    this.#hash.of(key);
    const at = this.#hash.low & (CELLS - 1);
    const tag = this.#hash.high & TAG;
    let seen = Atomics.load(this.#cells, at);
    let owner = seen & OWNER;
    while (owner === 0 || owner === USELESS) {
      const found = Atomics.compareExchange(this.#cells, at, seen, tag | this.#own);
      if (found === seen) return at;
      // Another was faster, and may ask for the same.
      seen = found;
      owner = seen & OWNER;
    }
    return owner !== this.#own && (seen & TAG) === tag ? TAKEN : UNSHARED;
  }

  isAwaited(claim: number): boolean {
    return (Atomics.load(this.#cells, claim) & SLEPT_ON) !== 0;
  }

  release(claim: number, useless: boolean): void {
    const cells = this.#cells;
    const seen = useless
      ? Atomics.exchange(cells, claim, (Atomics.load(cells, claim) & TAG) | USELESS)
      : Atomics.exchange(cells, claim, 0);
    if ((seen & SLEPT_ON) !== 0) Atomics.notify(cells, claim);
  }

  whenFree(key: string, ms: number, done: (useless: boolean) => void): void {
    this.#hash.of(key);
    const at = this.#hash.low & (CELLS - 1);
    const tag = this.#hash.high & TAG;
    const cells = this.#cells;
    const over = (): void => done(Atomics.load(cells, at) === (tag | USELESS));
    const seen = Atomics.load(cells, at);
    const owner = seen & OWNER;
    const slept = seen | SLEPT_ON;
    const taken = owner !== 0 && owner !== USELESS && owner !== this.#own && (seen & TAG) === tag;
    if (!taken || (slept !== seen && Atomics.compareExchange(cells, at, seen, slept) !== seen)) {
      queueMicrotask(over);
      return;
    }
    const { async, value } = Atomics.waitAsync(cells, at, slept, ms);
    if (async) void value.then(over);
    else queueMicrotask(over);
  }

  /** To be called when `thread` is dead, before another takes its number. */
  recover(thread: number): void {
    for (let at = 0; at < CELLS; at += 1) {
      if ((Atomics.load(this.#cells, at) & OWNER) === thread + 1) this.release(at, false);
    }
  }
}
