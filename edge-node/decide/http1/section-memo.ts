// Remembers what field sections say, by their octets. The requests of one connection mostly repeat the same field lines, and
// so do the answers to them; comparing a section with one that was read before is many times cheaper than reading it.
//
// Why that is safe: what a section says depends on its octets alone, from the first octet after the first line to the first
// empty line. A remembered section ends with its empty line and only accepted ones are remembered; so where all its octets
// stand in the window, reading them would find the same end and the same fields. The hash only says where to look: every
// octet is compared. What depends on more than the section (the version, the limit on the whole head) is not remembered.
//
// What it holds is bounded: `slots` sections of up to SLOT_BYTES, each replaced by the next that falls on its slot.
import type { RequestSection } from './request-section.ts';

/** What is known of a section; `size`: octets, the empty line included. */
export interface Section {
  readonly size: number;
}

const SLOT_BYTES = 4096;
/** Below this many octets a loop is quicker than a call into native code. */
const LOOP_MAX = 160;
/** Octets that the hash looks at. */
const SAMPLES = 16;

/** One for each thread, shared by its connections. */
export class SectionMemo<S extends Section = RequestSection> {
  readonly #mask: number;
  readonly #sections: (S | undefined)[];
  readonly #octets: Buffer;

  /** `slots`: a power of two; each costs 4 KiB and what the fields of one section take. */
  constructor(slots = 256) {
    if (slots < 1 || (slots & (slots - 1)) !== 0) throw new Error(`${slots} slots is not a power of two`);
    this.#mask = slots - 1;
    this.#sections = new Array<S | undefined>(slots).fill(undefined);
    this.#octets = Buffer.alloc(slots * SLOT_BYTES);
  }

  /** The section at `start` if it is the one remembered under `hash` and ends by `stop`. */
  find(hash: number, window: Buffer, start: number, stop: number): S | undefined {
    const slot = hash & this.#mask;
    const section = this.#sections[slot];
    if (section === undefined || section.size > stop - start) return undefined;
    return sameOctets(this.#octets, slot * SLOT_BYTES, window, start, section.size) ? section : undefined;
  }

  /** Remembers the section that was read from `start`, under `hash`. A long one is not worth its place. */
  keep(hash: number, window: Buffer, start: number, section: S): void {
    if (section.size > SLOT_BYTES) return;
    const slot = hash & this.#mask;
    window.copy(this.#octets, slot * SLOT_BYTES, start, start + section.size);
    this.#sections[slot] = section;
  }
}

/** A number for the section in `window[start..end)`: equal for equal octets, mostly different for others. */
export function sectionHash(window: Buffer, start: number, end: number): number {
  const size = end - start;
  let hash = size;
  for (let i = 0; i < SAMPLES; i += 1) {
    hash = (Math.imul(hash, 31) + (window[start + Math.floor((size * i) / SAMPLES)] ?? 0)) | 0;
  }
  return hash ^ (hash >>> 15);
}

function sameOctets(a: Buffer, aStart: number, b: Buffer, bStart: number, size: number): boolean {
  if (size > LOOP_MAX) return b.compare(a, aStart, aStart + size, bStart, bStart + size) === 0;
  for (let i = 0; i < size; i += 1) if (a[aStart + i] !== b[bStart + i]) return false;
  return true;
}
