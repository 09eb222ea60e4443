// The purge barrier (decide/barrier.ts) for all threads: the main thread raises it, every thread compares with it, and neither
// waits for the other.
//
// What was purged is a table of numbers without names: each purged host or URL raises PROBES cells, chosen by its hash, to the
// number of its purge, and a name counts as purged as late as the lowest of its cells says (a Bloom filter whose bits are
// numbers). Raising is all that ever happens to a cell, so a reader needs no lock and nothing is ever moved or folded; names
// that meet in a cell purge too much, never too little, and the more the fuller the table is: with 100,000 purges since an
// answer was stored and 2^20 cells, that answer is asked for again for no reason once in a hundred times.
//
// Order of publication: cells first, then the numbers, then the stamp, with Atomics. Who sees the stamp sees all that it stands for;
// who sees a cell before its stamp has purged a moment early.

import type { Purge } from '../../../proto/gen/meridian/v1/purge.ts';
import type { RaisableBarrier } from '../../decide/barrier.ts';
import { type HashKey, StringHash } from '../../decide/hash.ts';
import { raisedBy, somePrefix, someTag } from '../../decide/purge-names.ts';

export interface SharedBarrierHandles {
  readonly hashKey: HashKey;
  readonly memory: SharedArrayBuffer;
}

export interface SharedBarrierStats {
  readonly cells: number;
  /** Cells above the last purge of everything. */
  readonly filled: number;
}

/** The stamp's place, as a 32-bit number; those of the others, and of the first cell, as doubles. */
const STAMP = 0;
const CURRENT = 1;
const ALL = 2;
/** The last purge of any host: nobody looks for a host that was not purged. */
const HOSTS = 3;
const FILLED = 4;
/** The last purge of any prefix, of any tag, and of any URL. */
const PREFIXES = 5;
const TAGS = 6;
const URLS = 7;
/** Of soft purges what CURRENT, ALL, HOSTS, PREFIXES, TAGS and URLS are of hard ones: each this much further on. */
const SOFT = 8;
const CELLS = 16;
/** Before the names of soft purges in the table, and of prefixes: no host begins so. */
const SOFTLY = '  ';
const PREFIX = '/';
const PROBES = 4;

const DEFAULT_CELLS = 1 << 20;

/** @param hashKey random; @param cells a power of two, 8 bytes each. Throws a RangeError for any other number. */
export function allocateSharedBarrier(hashKey: HashKey, cells = DEFAULT_CELLS): SharedBarrierHandles {
  if (!Number.isInteger(cells) || cells < 1 || (cells & (cells - 1)) !== 0) {
    throw new RangeError(`cells of the purge barrier: expected a power of two below 2^31, found ${cells}`);
  }
  return { hashKey, memory: new SharedArrayBuffer((CELLS + cells) * Float64Array.BYTES_PER_ELEMENT) };
}

interface Numbers {
  /** What names in the table begin with. */
  readonly mark: string;
  readonly newest: number;
  readonly all: number;
  readonly hosts: number;
  readonly prefixes: number;
  readonly tags: number;
  readonly urls: number;
}

const NONE: Numbers = { mark: '', newest: 0, all: 0, hosts: 0, prefixes: 0, tags: 0, urls: 0 };
const UNTAGGED: readonly string[] = [];

export class SharedBarrier implements RaisableBarrier {
  readonly #stamps: Int32Array;
  readonly #numbers: Float64Array;
  readonly #mask: number;
  readonly #hash: StringHash;
  // As they were at this stamp.
  #stamp = 0;
  #current = 0;
  #hard = NONE;
  #soft = NONE;

  constructor(handles: SharedBarrierHandles) {
    this.#stamps = new Int32Array(handles.memory);
    this.#numbers = new Float64Array(handles.memory);
    this.#mask = this.#numbers.length - CELLS - 1;
    this.#hash = new StringHash(handles.hashKey);
  }

  get current(): number {
    this.#look();
    return this.#current;
  }

  covers(entryBarrier: number, host: string, target: string, tags = UNTAGGED): boolean {
    this.#look();
    // Most entries are newer than the newest purge, or nothing was ever purged.
    return entryBarrier < this.#hard.newest && this.#above(this.#hard, entryBarrier, host, target, tags);
  }

  stales(entryBarrier: number, host: string, target: string, tags = UNTAGGED): boolean {
    this.#look();
    return entryBarrier < this.#soft.newest && this.#above(this.#soft, entryBarrier, host, target, tags);
  }

  /** On the main thread alone. */
  apply(purge: Purge): void {
    this.#look();
    const next = this.#current + 1;
    const [mark, shift] = purge.soft ? [SOFTLY, SOFT] : ['', 0];
    for (const raised of purge.targets.flatMap(raisedBy)) {
      switch (raised.kind) {
        case 'all':
          this.#raiseAll(next, shift);
          break;
        case 'host':
          this.#raise(mark + raised.name, next);
          this.#numbers[HOSTS + shift] = next;
          break;
        case 'url':
          this.#raise(mark + raised.name, next);
          this.#numbers[URLS + shift] = next;
          break;
        case 'prefix':
          this.#raise(mark + PREFIX + raised.name, next);
          this.#numbers[PREFIXES + shift] = next;
          break;
        case 'tag':
          this.#raise(mark + raised.name, next);
          this.#numbers[TAGS + shift] = next;
          break;
      }
    }
    this.#publish(next, shift);
  }

  /** On the main thread alone. */
  reset(): void {
    this.#look();
    const next = this.#current + 1;
    this.#raiseAll(next, 0);
    this.#publish(next, 0);
  }

  stats(): SharedBarrierStats {
    return { cells: this.#mask + 1, filled: this.#number(FILLED) };
  }

  /** Numbers are read anew only when something has happened. */
  #look(): void {
    const stamp = Atomics.load(this.#stamps, STAMP);
    if (stamp === this.#stamp) return;
    this.#stamp = stamp;
    this.#hard = this.#numbersFrom(0, '');
    this.#soft = this.#numbersFrom(SOFT, SOFTLY);
    this.#current = Math.max(this.#hard.newest, this.#soft.newest);
  }

  #numbersFrom(shift: number, mark: string): Numbers {
    const read = (at: number) => this.#number(at + shift);
    return {
      mark,
      newest: read(CURRENT),
      all: read(ALL),
      hosts: read(HOSTS),
      prefixes: read(PREFIXES),
      tags: read(TAGS),
      urls: read(URLS),
    };
  }

  #publish(next: number, shift: number): void {
    this.#numbers[CURRENT + shift] = next;
    Atomics.add(this.#stamps, STAMP, 1);
  }

  #raiseAll(level: number, shift: number): void {
    this.#numbers[ALL + shift] = level;
    // Soft records stay below, in cells that count as filled.
    if (shift === 0) this.#numbers[FILLED] = 0;
  }

  #above(
    { mark, all, hosts, prefixes, tags, urls }: Numbers,
    level: number,
    host: string,
    target: string,
    of: readonly string[],
  ) {
    if (level < all) return true;
    if (level < hosts && this.#raisedAbove(level, mark + host)) return true;
    if (level < urls && this.#raisedAbove(level, mark + target)) return true;
    if (level < prefixes && somePrefix(host, target, (name) => this.#raisedAbove(level, mark + PREFIX + name)))
      return true;
    return level < tags && of.length > 0 && someTag(host, of, (name) => this.#raisedAbove(level, mark + name));
  }

  #raise(name: string, level: number): void {
    const all = this.#number(ALL);
    this.#hash.of(name);
    let place = this.#hash.low;
    for (let probe = 0; probe < PROBES; probe += 1) {
      const at = CELLS + (place & this.#mask);
      if (this.#number(at) <= all) this.#numbers[FILLED] = this.#number(FILLED) + 1;
      this.#numbers[at] = level;
      place = (place + (this.#hash.high | 1)) | 0;
    }
  }

  #raisedAbove(level: number, name: string): boolean {
    this.#hash.of(name);
    let place = this.#hash.low;
    for (let probe = 0; probe < PROBES; probe += 1) {
      if (this.#number(CELLS + (place & this.#mask)) <= level) return false;
      place = (place + (this.#hash.high | 1)) | 0;
    }
    return true;
  }

  #number(at: number): number {
    return this.#numbers[at] ?? 0;
  }
}
