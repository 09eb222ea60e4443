// The disk tier as one thread uses it. Nothing here makes a request wait except reading: what is to be written is queued, what
// is removed is gone from the index at once. A disk that fails turns the tier off, for all threads and for good: it says so once,
// and from then on has nothing and takes nothing.
import path from 'node:path';
import type { Log } from '../../../infra/runtime/log.ts';
import type { BodySource } from '../../decide/cache/body-source.ts';
import type { CacheEntry, Storable, StoredHead, StoreWriter } from '../../decide/cache/entry.ts';
import { encodeRecord, RecordReader } from '../../decide/cache/record.ts';
import { isStillThat } from '../../decide/cache/refresh.ts';
import { StringHash } from '../../decide/hash.ts';
import { Appender } from './appender.ts';
import { DiskIndex, type Located } from './disk-index.ts';
import type { DiskHandles } from './disk-memory.ts';
import { DiskReader, type ReadRecord } from './disk-reader.ts';
import { type DiskStats, diskStats } from './disk-stats.ts';
import type { DiskFiles } from './files.ts';
import { encodeFront, FORMAT_FILE, MARK_END, type RecordName, recordUnits, room, UNIT } from './form.ts';
import { LargeWriter } from './large-writer.ts';
import { largestRecord } from './segment-filler.ts';

/** What was read from the disk. */
export class StoredOnDisk implements CacheEntry {
  readonly key: string;
  readonly host: string;
  readonly purgeTarget: string;
  readonly head: StoredHead;
  readonly body: Buffer;
  readonly size: number;
  declare readonly source?: BodySource;
  prepared: CacheEntry['prepared'] = undefined;
  askedAt = -1;

  constructor(content: Storable, size: number, source: BodySource | undefined) {
    this.key = content.key;
    this.host = content.host;
    this.purgeTarget = content.purgeTarget;
    this.head = content.head;
    this.body = content.body;
    this.size = size;
    if (source !== undefined) this.source = source;
  }
}

/** An entry, and whether it had been used before. */
export interface DiskEntry {
  readonly entry: StoredOnDisk;
  readonly again: boolean;
  /** Whether nothing was removed, by any thread, since it was looked up: it may be false without a reason. */
  isUnchanged(): boolean;
}

export interface DiskPorts {
  readonly files: DiskFiles;
  readonly log: Log;
  /** There are few free segments. */
  crowded(): void;
}

/** For who only looks. */
const always = (): boolean => true;
/** Look-ups of one thread that may wait for the disk. */
const MAX_READING = 1024;
const MAX_LARGE = 4;
const NO_BODY = Buffer.alloc(0);

export class DiskStore {
  readonly index: DiskIndex;
  readonly reader: DiskReader;
  readonly appender: Appender;
  readonly #handles: DiskHandles;
  readonly #ports: DiskPorts;
  readonly #hash: StringHash;
  readonly #records = new RecordReader();
  readonly #reading = new Map<string, Promise<readonly DiskEntry[]>>();
  readonly #large = new Set<Promise<void>>();

  /** `thread`: 0 ..< `handles.threads`, of those that use the store at one time another for each. */
  constructor(handles: DiskHandles, thread: number, ports: DiskPorts) {
    this.#handles = handles;
    this.#ports = ports;
    this.#hash = new StringHash(handles.identity.hashKey);
    this.index = new DiskIndex(handles, thread);
    this.reader = new DiskReader(handles, this.index, ports.files);
    this.appender = new Appender(handles, this.index, ports.files, {
      failed: (error) => this.fail(error),
      crowded: () => ports.crowded(),
    });
  }

  /** All variants under `key`. Undefined: there are none. Never rejects. */
  find(key: string): Promise<readonly DiskEntry[]> | undefined {
    const { index } = this;
    if (index.isOff || index.isHeld) return undefined;
    const under = this.#reading.get(key);
    if (under !== undefined) return under;
    const { high, low } = this.#name(key);
    // Before it is looked up: what is removed from then on is noticed.
    const version = index.version(low);
    const located = this.#reading.size >= MAX_READING ? [] : index.locked(() => this.#look(high, low));
    if (located.length === 0) {
      index.count('misses');
      return undefined;
    }
    const reading = this.#readAll(key, low, version, located).finally(() => this.#reading.delete(key));
    this.#reading.set(key, reading);
    return reading;
  }

  /** As `find`, without counting or marking anything as used; undefined while nothing is looked up. Never rejects. */
  peek(key: string): Promise<readonly StoredOnDisk[]> | undefined {
    const { index } = this;
    if (index.isOff || index.isHeld) return undefined;
    const { high, low } = this.#name(key);
    const located = index.locked(() => {
      const found = index.find(high, low);
      for (const { segment } of found) index.segments.pin(segment);
      return found;
    });
    return Promise.all(located.map((one) => this.#read(key, one, always))).then((read) =>
      read.filter((one) => one !== undefined).map(({ entry }) => entry),
    );
  }

  /** Marks as used. */
  use(key: string, variant: string): void {
    if (this.index.isOff) return;
    const name = this.#name(key, variant);
    this.index.locked(() => {
      const located = this.index.findVariant(name);
      if (located !== undefined) this.index.use(located.slot);
    });
  }

  /** Keeps `body` until it is written. False: it will not be stored. */
  put(entry: Storable): boolean {
    const name = this.#name(entry.key, entry.head.variant);
    const text = encodeRecord(entry);
    const barrier = entry.head.barrier + this.#handles.identity.barrierBase;
    const version = this.index.version(name.low);
    if (this.appender.append({ ...name, version, barrier, text, body: entry.body })) return true;
    // What it would have replaced is older than what everybody has seen by now.
    if (!this.index.isOff) this.#kill(this.#locate(entry.key, entry.head.variant));
    return false;
  }

  /** Takes a body of `bodyBytes` piece by piece. Undefined: it will not be stored. */
  begin(entry: Omit<Storable, 'body'>, bodyBytes: number): StoreWriter | undefined {
    const { index } = this;
    if (index.isOff) return undefined;
    const name = this.#name(entry.key, entry.head.variant);
    const text = encodeRecord(entry);
    const units = recordUnits({ roomBytes: room(text.length), bodyBytes });
    if (units > largestRecord(this.#handles.limits.segmentBytes)) {
      index.count('refusedTooLarge');
      return undefined;
    }
    if (this.#large.size >= MAX_LARGE) {
      index.count('dropped');
      return undefined;
    }
    const barrier = entry.head.barrier + this.#handles.identity.barrierBase;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#large.add(promise);
    return new LargeWriter(
      this.#handles,
      index,
      this.#ports.files,
      { ...name, barrier, text, bodyBytes },
      {
        version: () => index.version(name.low),
        publish: (written) => this.appender.publish(written),
        over: (outcome, error) => {
          this.#large.delete(promise);
          if (outcome === 'slow' || outcome === 'crowded') index.count('dropped');
          if (outcome === 'crowded') this.#ports.crowded();
          if (outcome === 'written') {
            index.count('writes');
            index.count('writtenBytes', units * UNIT);
          }
          if (outcome === 'failed') this.fail(error);
          resolve();
        },
      },
    );
  }

  /**
   * Replaces `former`, the head of what is stored. `hasBody`: it is at hand, in `entry`. False: there is no such thing, or what is
   * there was requested after a purge that this one was requested before.
   */
  refresh(entry: Storable, former: StoredHead, hasBody: boolean): boolean {
    const { key, head } = entry;
    const located = this.index.isOff ? undefined : this.#locate(key, former.variant);
    if (located === undefined) return false;
    const barrier = head.barrier + this.#handles.identity.barrierBase;
    if (located.barrier > barrier) return false;
    if (head.variant !== former.variant) {
      this.#kill(located);
      return hasBody && this.put(entry);
    }
    this.index.locked(() => this.index.segments.pin(located.segment));
    void this.#refresh(located, entry, former, hasBody).catch((error: unknown) => this.fail(error));
    return true;
  }

  /** All variants under `key`, also what is yet to be written. */
  remove(key: string): void {
    const { high, low } = this.#name(key);
    this.index.locked(() => {
      this.index.invalidate(low);
      for (const located of this.index.find(high, low)) this.appender.kill(located);
    });
  }

  removeVariant(key: string, variant: string): void {
    const name = this.#name(key, variant);
    this.index.locked(() => {
      this.index.invalidate(name.low);
      const located = this.index.findVariant(name);
      if (located !== undefined) this.appender.kill(located);
    });
  }

  stats(): DiskStats {
    return diskStats(this.index, this.appender.queuedBytes);
  }

  /** Turns the tier off. */
  fail(error: unknown): void {
    if (!this.index.turnOff()) return;
    const { folder } = this.#handles;
    this.#ports.log.error(
      { folder, err: error },
      'the disk cache failed and is off until the next start; serving goes on',
    );
    try {
      // What is removed from now on could not be marked: the next start must not find it.
      this.#ports.files.remove(path.join(folder, FORMAT_FILE));
    } catch {
      // Then the disk takes no changes at all, and the next start fails as this one did.
    }
  }

  /** When all is written that is to be written. */
  async idle(): Promise<void> {
    await Promise.all(this.#large);
    await Promise.all(this.#reading.values());
    await this.appender.idle();
  }

  /** Writes what waits, so that the next start need not read the records. */
  async close(): Promise<void> {
    await this.idle();
    await this.appender.close();
  }

  #name(key: string, variant = ''): RecordName {
    this.#hash.of(variant);
    const own = this.#hash.low;
    this.#hash.of(key);
    return { high: this.#hash.high, low: this.#hash.low, variant: own };
  }

  #locate(key: string, variant: string): Located | undefined {
    const name = this.#name(key, variant);
    return this.index.locked(() => this.index.findVariant(name));
  }

  /** What is under the hash, used and pinned. */
  #look(high: number, low: number): Located[] {
    const located = this.index.find(high, low);
    for (const { slot, segment } of located) {
      this.index.use(slot);
      this.index.segments.pin(segment);
    }
    return located;
  }

  async #readAll(
    key: string,
    low: number,
    version: number,
    located: readonly Located[],
  ): Promise<readonly DiskEntry[]> {
    const isUnchanged = (): boolean => !this.index.isOff && this.index.version(low) === version;
    const read = await Promise.all(located.map((one) => this.#read(key, one, isUnchanged)));
    const found = read.filter((entry) => entry !== undefined).toReversed();
    // Something was removed meanwhile: it may have been this.
    const kept = isUnchanged() ? found : [];
    this.index.count(kept.length > 0 ? 'hits' : 'misses');
    return kept;
  }

  async #read(key: string, located: Located, isUnchanged: () => boolean): Promise<DiskEntry | undefined> {
    let record: ReadRecord | 'gone' | undefined;
    try {
      // Twice: its head may be being written in its place just now.
      record = (await this.reader.read(located)) ?? (await this.reader.read(located));
      if (record === undefined || record === 'gone') this.#forget(located, record === undefined);
    } catch (error) {
      this.fail(error);
    } finally {
      this.index.segments.unpin(located.segment);
    }
    return record === undefined || record === 'gone' ? undefined : this.#entry(key, located, record, isUnchanged);
  }

  #forget(located: Located, damaged: boolean): void {
    this.index.locked(() => {
      if (!this.index.isThere(located)) return;
      // What is outdated or unproven is not marked yet.
      if (!damaged) this.appender.kill(located);
      else {
        this.index.kill(located.slot);
        this.index.count('damaged');
      }
    });
  }

  #entry(key: string, located: Located, record: ReadRecord, isUnchanged: () => boolean): DiskEntry | undefined {
    const content = this.#records.read(record.text, key);
    if (content === undefined) return undefined;
    const { bodyBytes, textBytes, barrier } = record.head;
    const head = { ...content.head, barrier: barrier - this.#handles.identity.barrierBase };
    const { body } = record;
    const source =
      body === undefined ? { length: bodyBytes, open: () => this.reader.open(located, record) } : undefined;
    const entry = new StoredOnDisk({ ...content, head, body: body ?? NO_BODY }, textBytes + bodyBytes, source);
    return { entry, again: located.uses > 0, isUnchanged };
  }

  #kill(located: Located | undefined): void {
    this.index.locked(() => {
      if (located !== undefined && this.index.isThere(located)) this.appender.kill(located);
    });
  }

  /** In its place where it fits. The segment is pinned. */
  async #refresh(located: Located, entry: Storable, former: StoredHead, hasBody: boolean): Promise<void> {
    const text = encodeRecord(entry);
    const { segment } = located;
    let patching = false;
    try {
      const record = await this.reader.read(located, 0);
      if (record === undefined || record === 'gone' || !this.index.locked(() => this.index.isThere(located))) return;
      const there = this.#records.read(record.text, entry.key);
      if (there === undefined || !isStillThat(there.head, former)) return;
      if (text.length > record.head.roomBytes) {
        if (!hasBody) this.#kill(located);
        else if (!this.appender.has(this.#name(entry.key, entry.head.variant))) this.put(entry);
        return;
      }
      const { boot, barrierBase } = this.#handles.identity;
      const barrier = entry.head.barrier + barrierBase;
      const front = encodeFront({ ...record.head, boot, barrier, textBytes: text.length }, text, record.table);
      this.index.locked(() => this.index.setBarrier(located.slot, barrier));
      patching = true;
      // All but the mark: whoever removes it writes that, before this or after.
      this.appender.patch(segment, [front.subarray(MARK_END)], located.offset * UNIT + MARK_END);
    } finally {
      if (!patching) this.index.segments.unpin(segment);
    }
  }
}
