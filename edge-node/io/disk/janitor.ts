// Keeps segments of the disk tier free: the main thread's part of eviction (decide/cache/eviction.ts). What stays is copied to
// the main queue; the rest is found no more. A segment is free when nobody reads it any more. What is left of a segment after a
// purge (disk-sweeper.ts) is copied within its own queue. What was purged itself is not copied.
import { staysWhole, usesAfterRound, victimQueue } from '../../decide/cache/eviction.ts';
import type { Located } from './disk-index.ts';
import type { DiskHandles } from './disk-memory.ts';
import type { ReadFront, ReadRecord } from './disk-reader.ts';
import type { DiskStore } from './disk-store.ts';
import type { DiskFiles } from './files.ts';
import { encodeFront, frontBytes, HEAD_BYTES, type Queue, type RecordName, recordParts, UNIT } from './form.ts';
import { RESERVE, SegmentFiller } from './segment-filler.ts';

export interface JanitorPorts {
  /** Whether a purge has reached it. */
  isPurged(front: ReadFront): boolean;
  /** There are free segments again. */
  onSpace(): void;
}

interface Kept {
  readonly located: Located;
  readonly name: RecordName;
  readonly uses: number;
}

interface Moved extends Kept {
  readonly record: ReadRecord;
}

const NO_HEAD = Buffer.alloc(HEAD_BYTES);
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
  readonly #ports: JanitorPorts;
  readonly #fillers: Readonly<Record<Queue, SegmentFiller>>;
  readonly #spare: number;
  #leaving: number[] = [];
  #running: Promise<void> | undefined;
  #stopped = false;

  /** `store`: of the main thread. */
  constructor(handles: DiskHandles, store: DiskStore, files: DiskFiles, ports: JanitorPorts) {
    this.#handles = handles;
    this.#store = store;
    this.#files = files;
    this.#ports = ports;
    this.#fillers = {
      small: new SegmentFiller(handles, store.index, files, 'small', RESERVE),
      main: new SegmentFiller(handles, store.index, files, 'main', 0),
    };
    const share = Math.max(MIN_SPARE, handles.segments >> 3);
    this.#spare = Math.min(handles.threads + 2, share, handles.segments >> 1);
  }

  /** Makes room if there is little. Resolves when there is enough, or no more to be had; never rejects. */
  run(): Promise<void> {
    this.#running ??= this.#begin();
    return this.#running;
  }

  /**
   * Frees a closed segment of which little is left, if it is still what `generation` says. It stays as it is where there is no
   * room to move that to. Never rejects.
   */
  async reclaim(segment: number, generation: number): Promise<void> {
    await this.#alone(() => this.#reclaim(segment, generation));
  }

  /** To be called after `reclaim`: what comes in goes on where it has moved what was left of the small queue. Never rejects. */
  async letGo(): Promise<void> {
    await this.#alone(() => this.#fillers.small.close());
  }

  /** Ends what it is doing and writes the end of its segments. */
  async close(): Promise<void> {
    this.#stopped = true;
    await this.run();
    if (this.#store.index.isOff) return;
    const { small, main } = this.#fillers;
    await Promise.all([small.close(), main.close()]).catch((error: unknown) => this.#store.fail(error));
  }

  /** One after the other: they fill the same segments. */
  async #alone(action: () => Promise<void>): Promise<void> {
    while (this.#running !== undefined) await this.#running;
    this.#running = this.#begin(action);
    await this.#running;
  }

  #begin(first?: () => Promise<void>): Promise<void> {
    return this.#run(first)
      .catch((error: unknown) => this.#store.fail(error))
      .finally(() => {
        this.#running = undefined;
      });
  }

  async #run(first?: () => Promise<void>): Promise<void> {
    const { index } = this.#store;
    const before = index.locked(() => index.segments.closed().free);
    this.#release();
    if (!this.#stopped && !index.isOff) await first?.();
    while (!this.#stopped && !index.isOff && index.locked(() => this.#isNarrow())) {
      const segment = index.locked(() => this.#choose());
      if (segment === undefined) break;
      await this.#empty(segment);
    }
    if (!index.isOff && index.locked(() => index.segments.closed().free) !== before) this.#ports.onSpace();
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
    if (kept === undefined) return;
    const moved = await this.#move(kept, this.#fillers.main);
    // The next start finds it as it is.
    if (!moved && this.#stopped) return;
    await this.#free(segment);
  }

  async #reclaim(segment: number, generation: number): Promise<void> {
    const { index } = this.#store;
    const kept = index.locked(() => this.#takeUp(segment, generation));
    if (kept === undefined) return;
    const queue = index.locked(() => index.segments.queue(segment));
    const moved = await this.#move(kept, this.#fillers[queue]);
    if (moved) await this.#free(segment);
    else index.locked(() => index.segments.stay(segment));
  }

  /** All that is in a segment that leaves. Undefined: it does not. */
  #takeUp(segment: number, generation: number): Kept[] | undefined {
    const { index } = this.#store;
    const { segments } = index;
    if (!segments.isClosed(segment) || segments.generation(segment) !== generation) return undefined;
    const kept = Array.from(index.slots(segment), (slot) => {
      const located = index.locate(slot);
      return { located, name: index.name(slot), uses: located.uses };
    });
    if (kept.length > 0 && (segments.closed().free <= RESERVE || index.freeSlots < kept.length)) return undefined;
    segments.leave(segment);
    return kept;
  }

  /** False: not all of it, for want of room or because it is to end. */
  async #move(kept: readonly Kept[], filler: SegmentFiller): Promise<boolean> {
    for (let at = 0; at < kept.length; at += BATCH) {
      if (this.#stopped) return false;
      const read = await Promise.all(kept.slice(at, at + BATCH).map((one) => this.#read(one)));
      const records = read.filter((record) => record !== undefined);
      if (!(await this.#moveAll(records, filler))) return false;
    }
    return true;
  }

  async #free(segment: number): Promise<void> {
    // At the next start nothing is to come back from here: it may have been removed where it was moved to.
    await this.#files.write(this.#handles.files[segment] ?? -1, [NO_HEAD], 0);
    this.#leaving.push(segment);
    this.#release();
  }

  /** Takes what does not stay out of the index; what is to be moved. Undefined: the segment goes round as it is. */
  #sift(segment: number): Kept[] | undefined {
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
    return undefined;
  }

  async #read(one: Kept): Promise<Moved | undefined> {
    const { index, reader } = this.#store;
    if (!index.locked(() => index.isThere(one.located))) return undefined;
    const record = await reader.read(one.located);
    if (record === undefined || record === 'gone') return undefined;
    if (!this.#ports.isPurged(record)) return { ...one, record };
    index.locked(() => index.sweep([one.located]));
    return undefined;
  }

  /** False: there is no room to move anything to. */
  async #moveAll(records: readonly Moved[], filler: SegmentFiller): Promise<boolean> {
    for (let from = 0; from < records.length; ) {
      const units = records[from]?.located.units ?? 0;
      if (!(await filler.ready(units))) return false;
      const { fd, end } = filler;
      const sources: Buffer[] = [];
      const placed: (Moved & { readonly offset: number })[] = [];
      for (let one = records[from]; one !== undefined && filler.fits(one.located.units); one = records[from]) {
        const offset = filler.end;
        const { record, located } = one;
        const front = this.#front(one, filler.generation, offset);
        if (record.body === undefined) await this.#copyLarge(one, front, filler.fd, offset);
        else sources.push(...recordParts(front, record.body, located.units));
        const { barrier, sequence } = record.head;
        filler.add({ ...one.name, offset, units: located.units, barrier, sequence });
        placed.push({ ...one, offset });
        from += 1;
        // A large one breaks the row of those that are written together.
        if (record.body === undefined || records[from]?.record.body === undefined) break;
      }
      await this.#files.write(fd, sources, end * UNIT);
      this.#enter(placed, filler.segment);
    }
    return true;
  }

  #front({ record, located: { units } }: Moved, generation: number, offset: number): Buffer {
    const { boot } = this.#handles.identity;
    const text = record.front.subarray(HEAD_BYTES, HEAD_BYTES + record.head.textBytes);
    this.#store.index.count('moved');
    this.#store.index.count('writtenBytes', units * UNIT);
    // Whether the purges are known that it is to be judged by was seen when it was read: it is as good as written now.
    return encodeFront({ ...record.head, generation, boot, offset }, text, record.table);
  }

  /** In the places of those that were moved, unless something was removed meanwhile. */
  #enter(placed: readonly (Moved & { readonly offset: number })[], segment: number): void {
    const { index, appender } = this.#store;
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

  async #copyLarge({ located, record }: Moved, front: Buffer, fd: number, offset: number): Promise<void> {
    await this.#copyBody(located, frontBytes(record.head), record.head.bodyBytes, fd, offset);
    await this.#files.write(fd, [front], offset * UNIT);
  }

  async #copyBody(located: Located, from: number, bytes: number, fd: number, to: number): Promise<void> {
    const source = this.#handles.files[located.segment] ?? -1;
    const buffer = Buffer.allocUnsafe(Math.min(COPY_BYTES, bytes));
    for (let at = 0; at < bytes; at += buffer.length) {
      const part = buffer.subarray(0, Math.min(buffer.length, bytes - at));
      await this.#files.read(source, part, located.offset * UNIT + from + at);
      await this.#files.write(fd, [part], to * UNIT + from + at);
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
