// Keeps segments of the disk tier free: the main thread's part of eviction (decide/cache/eviction.ts). What stays is copied to
// the main queue; the rest is found no more. A segment is free when nobody reads it any more.
import { staysWhole, usesAfterRound, victimQueue } from '../../decide/cache/eviction.ts';
import type { Located } from './disk-index.ts';
import type { DiskHandles } from './disk-memory.ts';
import type { ReadRecord } from './disk-reader.ts';
import type { DiskStore } from './disk-store.ts';
import type { DiskFiles } from './files.ts';
import { encodeFront, frontBytes, HEAD_BYTES, type RecordName, recordParts, UNIT } from './form.ts';
import { SegmentFiller } from './segment-filler.ts';
import { LEAVING } from './segment-table.ts';

interface Kept {
  readonly located: Located;
  readonly name: RecordName;
  readonly uses: number;
}

interface Moved extends Kept {
  readonly record: ReadRecord;
}

const COPY_BYTES = 1024 * 1024;
/** Records that are read at the same time. */
const BATCH = 16;
/** Free segments that are kept: one for each thread and two, but no more than an eighth, if that is not fewer than these. */
const MIN_SPARE = 4;
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
    const share = Math.max(MIN_SPARE, handles.segments >> 3);
    this.#spare = Math.min(handles.threads + 2, share, handles.segments >> 1);
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
    for (let at = 0; at < kept.length && !this.#stopped; at += BATCH) {
      const batch = kept.slice(at, at + BATCH);
      const records = await Promise.all(batch.map((one) => this.#read(one)));
      if (!(await this.#moveAll(records.filter((record) => record !== undefined)))) break;
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

  async #read(one: Kept): Promise<Moved | undefined> {
    const { index, reader } = this.#store;
    if (!index.locked(() => index.isThere(one.located))) return undefined;
    const record = await reader.read(one.located);
    return record === undefined || record === 'gone' ? undefined : { ...one, record };
  }

  /** False: there is no room to move anything to. */
  async #moveAll(records: readonly Moved[]): Promise<boolean> {
    for (let from = 0; from < records.length; ) {
      const units = records[from]?.located.units ?? 0;
      if (!(await this.#filler.ready(units))) return false;
      const { fd, end } = this.#filler;
      const sources: Buffer[] = [];
      const placed: (Moved & { readonly offset: number })[] = [];
      for (let one = records[from]; one !== undefined && this.#filler.fits(one.located.units); one = records[from]) {
        const offset = this.#filler.end;
        const { record, located } = one;
        const front = this.#front(one, offset);
        if (record.body === undefined) await this.#copyLarge(one, front, offset);
        else sources.push(...recordParts(front, record.body, located.units));
        const { barrier, sequence } = record.head;
        this.#filler.add({ ...one.name, offset, units: located.units, barrier, sequence });
        placed.push({ ...one, offset });
        from += 1;
        // A large one breaks the row of those that are written together.
        if (record.body === undefined || records[from]?.record.body === undefined) break;
      }
      await this.#files.write(fd, sources, end * UNIT);
      this.#enter(placed);
    }
    return true;
  }

  #front({ record, located: { units } }: Moved, offset: number): Buffer {
    const { generation } = this.#filler;
    const { boot } = this.#handles.identity;
    const text = record.front.subarray(HEAD_BYTES, HEAD_BYTES + record.head.textBytes);
    this.#store.index.count('moved');
    this.#store.index.count('writtenBytes', units * UNIT);
    // Whether the purges are known that it is to be judged by was seen when it was read: it is as good as written now.
    return encodeFront({ ...record.head, generation, boot, offset }, text, record.table);
  }

  /** In the places of those that were moved, unless something was removed meanwhile. */
  #enter(placed: readonly (Moved & { readonly offset: number })[]): void {
    const { index, appender } = this.#store;
    const { segment } = this.#filler;
    index.locked(() => {
      for (const { located, name, offset, record, uses } of placed) {
        const { barrier } = record.head;
        const there = index.isThere(located);
        if (there) index.kill(located.slot);
        const hint = { offset, units: located.units, barrier };
        if (!there || index.insert(name, segment, hint, uses) === 0) appender.markDead(segment, offset);
      }
    });
  }

  async #copyLarge({ located, record }: Moved, front: Buffer, offset: number): Promise<void> {
    await this.#copyBody(located, frontBytes(record.head), record.head.bodyBytes, offset);
    await this.#files.write(this.#filler.fd, [front], offset * UNIT);
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
