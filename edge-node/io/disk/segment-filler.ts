// Fills segments of one queue, one after the other, for one thread: where the next record goes, the hints of what is in the
// open one, and the segment's head and end on the disk. One call of `ready` or `close` at a time.
import type { DiskIndex } from './disk-index.ts';
import type { DiskHandles } from './disk-memory.ts';
import type { DiskFiles } from './files.ts';
import {
  decodeTrailer,
  encodeHint,
  encodeSegment,
  encodeTrailer,
  HEAD_BYTES,
  HINT_BYTES,
  type Hint,
  type Queue,
  TRAILER_BYTES,
  UNIT,
} from './form.ts';
import type { OpenedSegment } from './segment-table.ts';

/** Free segments that are left for moving what is to be kept. */
export const RESERVE = 1;

interface Open {
  readonly segment: number;
  readonly generation: number;
  readonly fd: number;
  end: number;
  count: number;
  hints: Buffer;
}

/** Units of the largest record that a segment takes. */
export function largestRecord(segmentBytes: number): number {
  return Math.floor((segmentBytes - HEAD_BYTES - HINT_BYTES - TRAILER_BYTES) / UNIT);
}

export class SegmentFiller {
  readonly #handles: DiskHandles;
  readonly #index: DiskIndex;
  readonly #files: DiskFiles;
  readonly #queue: Queue;
  readonly #reserve: number;
  #open: Open | undefined;

  /** `reserve`: free segments that it leaves to others. */
  constructor(handles: DiskHandles, index: DiskIndex, files: DiskFiles, queue: Queue, reserve: number) {
    this.#handles = handles;
    this.#index = index;
    this.#files = files;
    this.#queue = queue;
    this.#reserve = reserve;
  }

  /** Whether a record of so many units fits into the open segment. */
  fits(units: number): boolean {
    const open = this.#open;
    if (open === undefined) return false;
    const hints = (open.count + 1) * HINT_BYTES;
    return (open.end + units) * UNIT + hints + TRAILER_BYTES <= this.#handles.limits.segmentBytes;
  }

  /**
   * Makes it fit, in another segment if need be; false: there is none. `begun`: it may be one with something in it. Rejects
   * with the file system's error.
   */
  async ready(units: number, begun = true): Promise<boolean> {
    if (this.fits(units)) return true;
    await this.close();
    const opened = this.#index.locked(() => this.#index.segments.open(this.#queue, this.#reserve, begun));
    if (opened === undefined) return false;
    this.#open = await this.#begin(opened);
    // The next one that is begun may be the same.
    return this.fits(units) || (begun && (await this.ready(units, false)));
  }

  get segment(): number {
    return this.#opened.segment;
  }

  get generation(): number {
    return this.#opened.generation;
  }

  get fd(): number {
    return this.#opened.fd;
  }

  /** Where the next record goes, in units. */
  get end(): number {
    return this.#opened.end;
  }

  /** The next record goes behind this one. */
  add(hint: Hint): void {
    const open = this.#opened;
    const at = open.count * HINT_BYTES;
    if (at + HINT_BYTES > open.hints.length) {
      open.hints = Buffer.concat([open.hints, Buffer.allocUnsafe(Math.max(1024, open.hints.length))]);
    }
    encodeHint(hint, open.hints, at);
    open.count += 1;
    open.end += hint.units;
  }

  /** Ends the open segment, if there is one. */
  async close(): Promise<void> {
    const open = this.#open;
    if (open === undefined) return;
    this.#open = undefined;
    const { generation, count, end, segment } = open;
    const hints = open.hints.subarray(0, count * HINT_BYTES);
    const trailer = encodeTrailer({ generation, count, end }, hints);
    const position = this.#handles.limits.segmentBytes - TRAILER_BYTES - hints.length;
    await this.#files.write(open.fd, [hints, trailer], position);
    this.#index.locked(() => this.#index.segments.close(segment, end));
  }

  /** Without a trailer the segment is read record by record after a crash. */
  async #begin({ segment, generation, end }: OpenedSegment): Promise<Open> {
    const fd = this.#handles.files[segment] ?? -1;
    const trailerAt = this.#handles.limits.segmentBytes - TRAILER_BYTES;
    let hints = Buffer.alloc(0);
    let count = 0;
    if (end === 0) {
      await this.#files.write(fd, [encodeSegment({ generation, queue: this.#queue })], 0);
    } else {
      const bytes = Buffer.alloc(TRAILER_BYTES);
      await this.#files.read(fd, bytes, trailerAt);
      count = decodeTrailer(bytes)?.count ?? 0;
      hints = Buffer.alloc(count * HINT_BYTES);
      await this.#files.read(fd, hints, trailerAt - hints.length);
    }
    await this.#files.write(fd, [Buffer.alloc(TRAILER_BYTES)], trailerAt);
    return { segment, generation, fd, end: end === 0 ? HEAD_BYTES / UNIT : end, count, hints };
  }

  get #opened(): Open {
    if (this.#open === undefined) throw new Error('no segment is open');
    return this.#open;
  }
}
