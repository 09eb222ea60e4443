// What a folder's segments hold, at the start: by the hints at the end of each. A segment that was open when the process ended
// without notice has none: its records are read one by one, up to the first that is not whole, and the hints written then.
import type { DiskIndex } from './disk-index.ts';
import type { DiskHandles } from './disk-memory.ts';
import type { DiskFiles } from './files.ts';
import {
  areHintsWhole,
  DEAD,
  decodeHead,
  decodeHint,
  decodeSegment,
  decodeTrailer,
  encodeHint,
  encodeTrailer,
  frontBytes,
  HEAD_BYTES,
  HINT_BYTES,
  type Hint,
  isBodyWhole,
  isLive,
  isWhole,
  MARK_AT,
  recordUnits,
  type SegmentHead,
  TRAILER_BYTES,
  tableOf,
  UNIT,
} from './form.ts';
import { OutdatedKeys } from './outdated-keys.ts';

export interface Recovered {
  /** Segments that were read record by record. */
  readonly scanned: number;
  /** Records that cannot be judged by the purges that are known. */
  readonly unproven: number;
  /** Records of what has been stored or removed elsewhere since. */
  readonly outdated: number;
}

interface Segment extends SegmentHead {
  readonly segment: number;
}

interface Found {
  readonly hint: Hint;
  readonly units: number;
  readonly boot: number;
}

interface Content {
  readonly hints: Buffer;
  readonly end: number;
}

/** Fills an empty index. Throws the file system's error. */
export function recover(handles: DiskHandles, index: DiskIndex, files: DiskFiles): Recovered {
  return new Recovery(handles, index, files).run();
}

class Recovery {
  readonly #handles: DiskHandles;
  readonly #index: DiskIndex;
  readonly #files: DiskFiles;
  /** Of each slot. */
  readonly #sequences: Float64Array;
  readonly #outdatedKeys: OutdatedKeys | undefined;
  #scanned = 0;
  #unproven = 0;
  #outdated = 0;

  constructor(handles: DiskHandles, index: DiskIndex, files: DiskFiles) {
    this.#handles = handles;
    this.#index = index;
    this.#files = files;
    const { inherited } = handles.identity;
    this.#outdatedKeys = inherited && new OutdatedKeys(inherited.outdated);
    this.#sequences = new Float64Array(handles.limits.maxObjects + 1);
  }

  run(): Recovered {
    const segments: Segment[] = [];
    const head = Buffer.alloc(HEAD_BYTES);
    for (const [segment, fd] of this.#handles.files.entries()) {
      if (this.#files.readSync(fd, head, 0) < HEAD_BYTES) continue;
      const decoded = decodeSegment(head);
      if (decoded !== undefined) segments.push({ segment, ...decoded });
    }
    for (const segment of segments.toSorted((a, b) => a.generation - b.generation)) {
      const content = this.#hints(segment) ?? this.#scan(segment);
      this.#index.locked(() => this.#enter(segment, content));
    }
    return { scanned: this.#scanned, unproven: this.#unproven, outdated: this.#outdated };
  }

  #fd(segment: number): number {
    return this.#handles.files[segment] ?? -1;
  }

  #hints({ segment, generation }: Segment): Content | undefined {
    const bytes = Buffer.alloc(TRAILER_BYTES);
    const at = this.#handles.limits.segmentBytes - TRAILER_BYTES;
    if (this.#files.readSync(this.#fd(segment), bytes, at) < TRAILER_BYTES) return undefined;
    const trailer = decodeTrailer(bytes);
    if (trailer === undefined || trailer.generation !== generation) return undefined;
    const hints = Buffer.alloc(trailer.count * HINT_BYTES);
    if (hints.length > at) return undefined;
    this.#files.readSync(this.#fd(segment), hints, at - hints.length);
    return areHintsWhole(bytes, hints) ? { hints, end: trailer.end } : undefined;
  }

  #scan({ segment, generation }: Segment): Content {
    this.#scanned += 1;
    const hints: Buffer[] = [];
    let end = HEAD_BYTES / UNIT;
    let boot = 0;
    for (;;) {
      const found = this.#record(segment, generation, end, boot);
      if (found === undefined) break;
      boot = found.boot;
      const hint = Buffer.alloc(HINT_BYTES);
      encodeHint(found.hint, hint, 0);
      hints.push(hint);
      end += found.units;
    }
    const all = Buffer.concat(hints);
    const trailer = encodeTrailer({ generation, count: hints.length, end }, all);
    const at = this.#handles.limits.segmentBytes - TRAILER_BYTES - all.length;
    this.#files.writeSync(this.#fd(segment), Buffer.concat([all, trailer]), at);
    return { hints: all, end };
  }

  /**
   * A whole record that begins at `offset`, removed or not. `boot`: of the one before it. What an earlier run left behind the
   * end of a later one is not read as its continuation.
   */
  #record(segment: number, generation: number, offset: number, boot: number): Found | undefined {
    const fd = this.#fd(segment);
    const first = Buffer.alloc(HEAD_BYTES);
    const room = this.#handles.limits.segmentBytes - offset * UNIT;
    if (room < HEAD_BYTES || this.#files.readSync(fd, first, offset * UNIT) < HEAD_BYTES) return undefined;
    const head = decodeHead(first);
    if (head === undefined || head.generation !== generation || head.offset !== offset) return undefined;
    const units = recordUnits(head);
    if (head.boot < boot || units * UNIT > room) return undefined;
    const bytes = Buffer.allocUnsafe(frontBytes(head) + head.bodyBytes);
    if (this.#files.readSync(fd, bytes, offset * UNIT) < bytes.length) return undefined;
    const front = bytes.subarray(0, frontBytes(head));
    if (!isWhole(front)) return undefined;
    if (!isBodyWhole(head.sequence, tableOf(head, front), bytes.subarray(front.length))) return undefined;
    const { high, low, variant, barrier, sequence } = head;
    const hint = { high, low, variant, offset, units: isLive(first) ? units : 0, barrier, sequence };
    return { hint, units, boot: head.boot };
  }

  #enter({ segment, generation, queue }: Segment, { hints, end }: Content): void {
    this.#index.segments.restore(segment, generation, queue, end);
    for (let at = 0; at < hints.length; at += HINT_BYTES) this.#enterOne(segment, decodeHint(hints, at));
  }

  #enterOne(segment: number, hint: Hint): void {
    const index = this.#index;
    const { barrierBase, barrierKnown } = this.#handles.identity;
    index.seenSequence(hint.sequence);
    const former = index.findVariant(hint);
    const sequence = former === undefined ? 0 : (this.#sequences[former.slot] ?? 0);
    if (hint.units === 0) {
      // Removed after it was moved: it is not to be found where it was before either.
      if (former !== undefined && sequence === hint.sequence) index.kill(former.slot);
      return;
    }
    if (this.#outdatedKeys?.has(hint.low)) {
      // For the starts after this one.
      this.#files.writeSync(this.#fd(segment), DEAD, hint.offset * UNIT + MARK_AT);
      this.#outdated += 1;
      return;
    }
    if (hint.barrier < barrierBase || hint.barrier > barrierKnown) {
      this.#unproven += 1;
      return;
    }
    if (sequence > hint.sequence) return;
    if (former !== undefined) index.kill(former.slot);
    const slot = index.insert(hint, segment, hint, 0);
    if (slot !== 0) this.#sequences[slot] = hint.sequence;
  }
}
