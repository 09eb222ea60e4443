// Writes what is to be stored, behind the requests: a queue bounded in bytes, written in batches to the thread's own segment,
// and entered in the index when it is written. When the disk does not keep up, or has no free segment, what comes is dropped.
import type { DiskIndex, Located } from './disk-index.ts';
import type { DiskHandles } from './disk-memory.ts';
import type { DiskFiles } from './files.ts';
import {
  checksums,
  DEAD,
  encodeFront,
  MARK_AT,
  type RecordName,
  recordParts,
  recordUnits,
  room,
  UNIT,
} from './form.ts';
import { largestRecord, RESERVE, SegmentFiller } from './segment-filler.ts';

/** What is to be written. */
export interface Append extends RecordName {
  /** The index's when it was decided to store this: if it changed, it was removed before it was there. */
  readonly version: number;
  /** Counted from when the folder was made. */
  readonly barrier: number;
  readonly text: string;
  readonly body: Buffer;
}

/** A record that is written and now to be found. */
export interface Written extends RecordName {
  readonly version: number;
  readonly barrier: number;
  readonly segment: number;
  readonly offset: number;
  readonly units: number;
}

export interface AppenderEvents {
  /** The disk failed. */
  failed(error: unknown): void;
  /** There are few free segments, or none. */
  crowded(): void;
}

const BATCH_BYTES = 1024 * 1024;

export class Appender {
  readonly #handles: DiskHandles;
  readonly #index: DiskIndex;
  readonly #files: DiskFiles;
  readonly #events: AppenderEvents;
  readonly #filler: SegmentFiller;
  readonly #queue: Append[] = [];
  #queuedBytes = 0;
  #running: Promise<void> | undefined;
  /** For a free segment. */
  #waits = false;
  /** Writes to records that are there already. */
  readonly #patches = new Set<Promise<void>>();

  constructor(handles: DiskHandles, index: DiskIndex, files: DiskFiles, events: AppenderEvents) {
    this.#handles = handles;
    this.#index = index;
    this.#files = files;
    this.#events = events;
    this.#filler = new SegmentFiller(handles, index, files, 'small', RESERVE);
  }

  /** Bytes that wait to be written. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** Keeps `body` until it is written. False, and counted: it is dropped. */
  append(item: Append): boolean {
    if (this.#index.isOff) return false;
    if (unitsOf(item) > largestRecord(this.#handles.limits.segmentBytes)) {
      this.#index.count('refusedTooLarge');
      return false;
    }
    const bytes = bytesOf(item);
    if (this.#queuedBytes + bytes > this.#handles.limits.maxQueueBytes) {
      this.#index.count('dropped');
      this.kick();
      return false;
    }
    this.#queue.push(item);
    this.#queuedBytes += bytes;
    this.kick();
    return true;
  }

  /** Whether something of this name waits to be written. */
  has({ high, low, variant }: RecordName): boolean {
    return this.#queue.some((item) => item.high === high && item.low === low && item.variant === variant);
  }

  /** Goes on when it waited for a free segment. */
  kick(): void {
    if (this.#running !== undefined || this.#queue.length === 0) return;
    this.#waits = false;
    this.#running = this.#run()
      .catch((error: unknown) => this.#events.failed(error))
      .finally(() => {
        this.#running = undefined;
        if (this.#index.isOff) this.#drop();
        // Something may have come when it had seen that there was nothing.
        else if (!this.#waits) this.kick();
      });
  }

  /** When all that is queued is written, or dropped for want of room. */
  async idle(): Promise<void> {
    while (this.#running !== undefined || this.#patches.size > 0) {
      await this.#running;
      await Promise.all(this.#patches);
    }
  }

  /** Writes what is queued, then the end of the open segment. */
  async close(): Promise<void> {
    this.kick();
    await this.idle();
    this.#drop();
    if (!this.#index.isOff) await this.#filler.close().catch((error: unknown) => this.#events.failed(error));
  }

  /** Makes a record that is written be found, unless it was removed meanwhile. */
  publish(written: readonly Written[]): void {
    const index = this.#index;
    const dead: Written[] = [];
    index.locked(() => {
      for (const item of written) if (!this.#enter(item)) dead.push(item);
    });
    for (const { segment, offset } of dead) this.markDead(segment, offset);
  }

  /** With the index's lock held: `located` is found no more, and neither after a restart. */
  kill(located: Located): void {
    this.#index.kill(located.slot);
    this.markDead(located.segment, located.offset);
  }

  /** Writes into a record; the segment must be pinned, and is unpinned afterwards. */
  patch(segment: number, sources: readonly Buffer[], position: number): void {
    const done = this.#files
      .write(this.#handles.files[segment] ?? -1, sources, position)
      .catch((error: unknown) => this.#events.failed(error))
      .finally(() => {
        this.#index.segments.unpin(segment);
        this.#patches.delete(done);
      });
    this.#patches.add(done);
    // Without this the start after next would bring back what was removed.
    if (this.#patches.size > MAX_PATCHES) this.#events.failed(new Error(`${MAX_PATCHES} changes wait for the disk`));
  }

  /** A record that is not found any more is not to be found after a restart either. */
  markDead(segment: number, offset: number): void {
    if (this.#index.isOff) return;
    this.#index.segments.pin(segment);
    this.patch(segment, [DEAD], offset * UNIT + MARK_AT);
  }

  async #run(): Promise<void> {
    for (let first = this.#queue[0]; first !== undefined && !this.#index.isOff; first = this.#queue[0]) {
      if (!(await this.#filler.ready(unitsOf(first)))) {
        this.#waits = true;
        this.#events.crowded();
        return;
      }
      await this.#writeSome();
    }
  }

  async #writeSome(): Promise<void> {
    const { segment, generation, fd, end } = this.#filler;
    const { boot } = this.#handles.identity;
    const sources: Buffer[] = [];
    const written: Written[] = [];
    let bytes = 0;
    let taken = 0;
    for (; taken < this.#queue.length && bytes < BATCH_BYTES; taken += 1) {
      const item = this.#queue[taken];
      if (item === undefined || !this.#filler.fits(unitsOf(item))) break;
      const { high, low, variant, version, barrier, text, body } = item;
      const sequence = this.#index.locked(() => this.#index.nextSequence());
      const lengths = { textBytes: text.length, roomBytes: room(text.length), bodyBytes: body.length };
      const offset = this.#filler.end;
      const name = { high, low, variant };
      const table = checksums(sequence, body);
      const front = encodeFront({ ...name, ...lengths, generation, boot, barrier, sequence, offset }, text, table);
      const units = recordUnits(lengths);
      sources.push(...recordParts(front, body, units));
      this.#filler.add({ ...name, offset, units, barrier, sequence });
      written.push({ ...name, version, barrier, segment, offset, units });
      bytes += units * UNIT;
    }
    await this.#files.write(fd, sources, end * UNIT);
    for (const item of this.#queue.splice(0, taken)) this.#queuedBytes -= bytesOf(item);
    this.#index.count('writes', taken);
    this.#index.count('writtenBytes', bytes);
    this.publish(written);
  }

  /** False: it must not be found. */
  #enter(item: Written): boolean {
    const index = this.#index;
    const siblings = index.find(item.high, item.low);
    const former = siblings.find(({ variant }) => variant === item.variant);
    if (index.version(item.low) !== item.version) {
      // Or something else was removed that has the same version: then what is there is outdated all the same.
      if (former !== undefined) this.kill(former);
      return false;
    }
    if (former !== undefined && former.barrier > item.barrier) {
      index.count('refusedOlder');
      return false;
    }
    if (former !== undefined) this.kill(former);
    else if (siblings.length >= this.#handles.limits.maxVariants) {
      const last = siblings.at(-1);
      if (last !== undefined) this.kill(last);
      index.count('variantEvictions');
    }
    const uses = former !== undefined || index.isGhost(item.high, item.low) ? 1 : 0;
    if (index.insert(item, item.segment, item, uses) !== 0) return true;
    index.count('dropped');
    this.#events.crowded();
    return false;
  }

  #drop(): void {
    this.#index.count('dropped', this.#queue.length);
    this.#queue.length = 0;
    this.#queuedBytes = 0;
  }
}

const MAX_PATCHES = 65_536;

function unitsOf({ text, body }: Append): number {
  return recordUnits({ roomBytes: room(text.length), bodyBytes: body.length });
}

function bytesOf({ text, body }: Append): number {
  return text.length + body.length;
}
