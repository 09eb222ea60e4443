// The cache of a thread: memory first, behind it the disk, which holds what memory holds and more. What is stored goes to both;
// what is read from the disk for the second time goes to memory. Bodies that are too large for memory are on disk alone.
import type {
  CacheEntry,
  CacheStore,
  Described,
  Storable,
  StoredHead,
  StoreStats,
  StoreWriter,
} from '../../decide/cache/entry.ts';
import { isStillThat } from '../../decide/cache/refresh.ts';
import type { SlowStore } from '../../ports.ts';
import { type DiskEntry, type DiskStore, StoredOnDisk } from './disk-store.ts';

export interface TieredOptions {
  /** Body of one entry in memory, bytes: the memory tier's own limit. */
  readonly maxMemoryBody: number;
}

/** Of the hits in memory, the disk is told of one in so many; of those that a thread has often, of one in so many. */
const TOLD = 8;
const TOLD_OFTEN = 64;

export class TieredStore<Memory extends CacheStore = CacheStore> implements CacheStore, SlowStore {
  readonly memory: Memory;
  readonly disk: DiskStore;
  readonly #options: TieredOptions;
  #die = 1;

  constructor(memory: Memory, disk: DiskStore, options: TieredOptions) {
    this.memory = memory;
    this.disk = disk;
    this.#options = options;
  }

  find(key: string): readonly CacheEntry[] {
    return this.memory.find(key);
  }

  findStored(key: string, done: (found: readonly CacheEntry[]) => void): boolean {
    const finding = this.disk.find(key);
    void finding?.then((found) => done(found.map((one) => this.#promote(one))));
    return finding !== undefined;
  }

  touch(entry: CacheEntry): void {
    this.memory.touch(entry);
    // What is used in memory alone would be thrown off the disk as unused. One in so many is enough to see that it is used.
    this.#die = (Math.imul(this.#die, 0x9e3779b1) + 1) | 0;
    if (this.#die >>> 0 < 2 ** 32 / (entry.prepared === undefined ? TOLD : TOLD_OFTEN))
      this.disk.use(entry.key, entry.head.variant);
  }

  put(entry: Storable): CacheEntry | undefined {
    const stored = this.memory.put(entry);
    if (stored !== undefined || entry.body.length > this.#options.maxMemoryBody) this.disk.put(entry);
    return stored;
  }

  begin(entry: Omit<Storable, 'body'>, expectedLength: number | undefined): StoreWriter | undefined {
    if (expectedLength !== undefined && expectedLength > this.#options.maxMemoryBody) {
      return this.disk.begin(entry, expectedLength) ?? this.memory.begin(entry, expectedLength);
    }
    const writer = this.memory.begin(entry, expectedLength);
    return (
      writer && {
        gathered: () => writer.gathered(),
        write: (chunk) => writer.write(chunk),
        commit: () => {
          const stored = writer.commit();
          if (stored !== undefined) this.disk.put(stored);
          return stored;
        },
        abort: () => writer.abort(),
      }
    );
  }

  refresh(entry: CacheEntry, head: StoredHead): void {
    const former = entry.head;
    const hasBody = entry.source === undefined;
    const isOnDisk = this.disk.refresh({ ...named(entry), head, body: entry.body }, former, hasBody);
    if (!(entry instanceof StoredOnDisk)) this.memory.refresh(entry, head);
    else if (isOnDisk && hasBody && entry.body.length <= this.#options.maxMemoryBody) {
      // It may have come there too since it was read from the disk, or another in its place.
      const inMemory = this.#inMemory(former, entry.key);
      if (inMemory === undefined) this.memory.put({ ...named(entry), head, body: ownBody(entry.body) });
      else if (isStillThat(inMemory.head, former)) this.memory.refresh(inMemory, head);
    }
  }

  remove(key: string): void {
    this.disk.remove(key);
    this.memory.remove(key);
  }

  removeEntry(entry: CacheEntry): void {
    this.disk.removeVariant(entry.key, entry.head.variant);
    this.memory.removeEntry(entry);
  }

  /** Of the memory tier; see disk-sweeper.ts. */
  sweep(purged: (entry: Described) => boolean, budget: number): { readonly removed: number; readonly done: boolean } {
    return this.memory.sweep(purged, budget);
  }

  /** Of the memory tier; see `disk.stats`. */
  stats(): StoreStats {
    return this.memory.stats();
  }

  #promote({ entry, again, isUnchanged }: DiskEntry): CacheEntry {
    const small = entry.source === undefined && entry.body.length <= this.#options.maxMemoryBody;
    if (!again || !small || this.#inMemory(entry.head, entry.key)) return entry;
    const stored = this.memory.put({ ...named(entry), head: entry.head, body: ownBody(entry.body) });
    if (stored === undefined) return entry;
    // Whoever removes it removes it from the disk first: from memory either they take it now, or it was too early for them.
    if (!isUnchanged()) this.memory.removeEntry(stored);
    return stored;
  }

  #inMemory({ variant }: StoredHead, key: string): CacheEntry | undefined {
    return this.memory.find(key).find(({ head }) => head.variant === variant);
  }
}

function named({ key, host, purgeTarget }: CacheEntry): Omit<Storable, 'head' | 'body'> {
  return { key, host, purgeTarget };
}

/** A body that was read from the disk is a part of what was read. */
function ownBody(body: Buffer): Buffer {
  if (body.length === body.buffer.byteLength) return body;
  const own = Buffer.allocUnsafeSlow(body.length);
  body.copy(own);
  return own;
}
