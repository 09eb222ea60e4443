// Keeps segments of the disk tier free: the main thread's part of eviction (decide/cache/eviction.ts). What stays is copied to
// the main queue; the rest is found no more. A segment is free when nobody reads it any more.
import { staysWhole, usesAfterRound, victimQueue } from '../../decide/cache/eviction.ts';
import type { Located } from './disk-index.ts';
import type { DiskHandles } from './disk-memory.ts';
import type { DiskStore } from './disk-store.ts';
import type { DiskFiles } from './files.ts';
import { encodeFront, frontBytes, HEAD_BYTES, type RecordName, UNIT } from './form.ts';
import { SegmentFiller } from './segment-filler.ts';
import { LEAVING } from './segment-table.ts';

interface Kept {
  readonly located: Located;
  readonly name: RecordName;
  readonly uses: number;
}

const COPY_BYTES = 1024 * 1024;
/** Of the slots, that many are kept free: one in so many. */
const SPARE_SLOTS = 32;

export class Janitor {
  readonly #handles: DiskHandles;
  readonly #store: DiskStore;
  readonly #files: DiskFiles;
  readonly #filler: SegmentFiller;
  readonly #spare: number;
  readonly #onSpace: () => void;
  #leaving: number[] = [];
  #running: Promise<void> | undefined;
  #stopped = false;

  /** `store`: of the main thread; `onSpace`: there are free segments again. */
  constructor(handles: DiskHandles, store: DiskStore, files: DiskFiles, onSpace: () => void) {
    this.#handles = handles;
    this.#store = store;
    this.#files = files;
    this.#filler = new SegmentFiller(handles, store.index, files, 'main', 0);
    this.#spare = Math.min(handles.threads + 2, handles.segments >> 1);
    this.#onSpace = onSpace;
  }

  /** Makes room if there is little. Resolves when there is enough, or no more to be had; never rejects. */
  run(): Promise<void> {
    this.#running ??= this.#run()
      .catch((error: unknown) => this.#store.fail(error))
      .finally(() => {
        this.#running = undefined;
      });
    return this.#running;
  }

  /** Ends what it is doing and writes the end of its segment. */
  async close(): Promise<void> {
    this.#stopped = true;
    await this.run();
    if (this.#store.index.isOff) return;
    await this.#filler.close().catch((error: unknown) => this.#store.fail(error));
  }

  async #run(): Promise<void> {
    const { index } = this.#store;
    const before = index.locked(() => index.segments.closed().free);
    this.#release();
    while (!this.#stopped && !index.isOff && index.locked(() => this.#isNarrow())) {
      const segment = index.locked(() => this.#choose());
      if (segment === undefined) break;
      await this.#empty(segment);
    }
    if (!index.isOff && index.locked(() => index.segments.closed().free) !== before) this.#onSpace();
  }

  #isNarrow(): boolean {
    const { index } = this.#store;
    const { free } = index.segments.closed();
    const fewSlots = index.freeSlots < this.#handles.limits.maxObjects / SPARE_SLOTS;
    return free + this.#leaving.length < this.#spare || (fewSlots && this.#leaving.length === 0);
  }

  #choose(): number | undefined {
    const { segments } = this.#store.index;
    const closed = segments.closed();
    const queue = victimQueue(closed);
    return segments.oldest(queue) ?? segments.oldest(queue === 'small' ? 'main' : 'small');
  }

  async #empty(segment: number): Promise<void> {
    const kept = this.#store.index.locked(() => this.#sift(segment));
    for (const one of kept) {
      if (this.#stopped || !(await this.#move(one))) break;
    }
    if (this.#store.index.segments.state(segment) === LEAVING) this.#leaving.push(segment);
    this.#release();
  }

  /** Takes what does not stay out of the index; what is to be moved. */
  #sift(segment: number): Kept[] {
    const { index } = this.#store;
    const queue = index.segments.queue(segment);
    const kept: Kept[] = [];
    let bytes = 0;
    let evicted = 0;
    for (const slot of index.slots(segment)) {
      const located = index.locate(slot);
      const name = index.name(slot);
      const uses = usesAfterRound(queue, located.uses);
      if (uses === undefined) {
        index.kill(slot);
        if (queue === 'small') index.addGhost(name);
        evicted += 1;
      } else {
        kept.push({ located, name, uses });
        bytes += located.units * UNIT;
      }
    }
    index.count('evictions', evicted);
    if (!staysWhole(bytes, this.#handles.limits.segmentBytes)) {
      index.segments.leave(segment);
      return kept;
    }
    for (const { located, uses } of kept) index.setUses(located.slot, uses);
    index.segments.goRound(segment);
    return [];
  }

  /** False: there is no room to move anything to. */
  async #move({ located, name, uses }: Kept): Promise<boolean> {
    const { index, reader, appender } = this.#store;
    if (!index.locked(() => index.isThere(located))) return true;
    const record = await reader.read(located, COPY_BYTES);
    if (record === undefined) return true;
    if (!(await this.#filler.ready(located.units))) return false;
    const { fd, end, generation, segment } = this.#filler;
    const { boot } = this.#handles.identity;
    const { textBytes } = record.head;
    const text = record.front.subarray(HEAD_BYTES, HEAD_BYTES + textBytes);
    // Proven by now, whenever it was written: see DiskReader.
    const front = encodeFront({ ...record.head, generation, boot, offset: end }, text, record.table);
    if (record.body !== undefined) await this.#files.write(fd, [front, record.body], end * UNIT);
    else {
      await this.#copyBody(located, frontBytes(record.head), record.head.bodyBytes, end);
      await this.#files.write(fd, [front], end * UNIT);
    }
    const { barrier, sequence } = record.head;
    this.#filler.add({ ...name, offset: end, units: located.units, barrier, sequence });
    index.count('moved');
    index.count('writtenBytes', located.units * UNIT);
    const entered = index.locked(() => {
      if (!index.isThere(located)) return false;
      index.kill(located.slot);
      return index.insert(name, segment, { offset: end, units: located.units, barrier }, uses) !== 0;
    });
    if (!entered) appender.markDead(segment, end);
    return true;
  }

  async #copyBody(located: Located, from: number, bytes: number, to: number): Promise<void> {
    const source = this.#handles.files[located.segment] ?? -1;
    const buffer = Buffer.allocUnsafe(Math.min(COPY_BYTES, bytes));
    for (let at = 0; at < bytes; at += buffer.length) {
      const part = buffer.subarray(0, Math.min(buffer.length, bytes - at));
      await this.#files.read(source, part, located.offset * UNIT + from + at);
      await this.#files.write(this.#filler.fd, [part], to * UNIT + from + at);
    }
  }

  #release(): void {
    const { index } = this.#store;
    if (this.#leaving.length === 0) return;
    index.locked(() => {
      this.#leaving = this.#leaving.filter((segment) => {
        if (index.segments.isPinned(segment)) return true;
        index.release(segment);
        return false;
      });
    });
  }
}
