// The cache of a thread while another process, whose place this one takes, still has the folder of the disk tier: memory alone, and
// a note of each key that is changed there.
import type {
  CacheEntry,
  CacheStore,
  Described,
  Storable,
  StoredHead,
  StoreStats,
  StoreWriter,
} from '../../decide/cache/entry.ts';
import type { OutdatedKeys } from './outdated-keys.ts';

/** Of the keys that were noted last, so many are known by name. */
const RECENT = 4096;

export class NotingStore implements CacheStore {
  readonly #memory: CacheStore;
  readonly #outdated: OutdatedKeys;
  readonly #recent = new Set<string>();

  constructor(memory: CacheStore, outdated: OutdatedKeys) {
    this.#memory = memory;
    this.#outdated = outdated;
  }

  /** Those that the main thread may not have seen when it opened the tier are among them. */
  get recent(): Iterable<string> {
    return this.#recent;
  }

  find(key: string): readonly CacheEntry[] {
    return this.#memory.find(key);
  }

  touch(entry: CacheEntry): void {
    this.#memory.touch(entry);
  }

  put(entry: Storable): CacheEntry | undefined {
    this.#note(entry.key);
    return this.#memory.put(entry);
  }

  begin(entry: Omit<Storable, 'body'>, expectedLength: number | undefined): StoreWriter | undefined {
    this.#note(entry.key);
    return this.#memory.begin(entry, expectedLength);
  }

  refresh(entry: CacheEntry, head: StoredHead): void {
    this.#note(entry.key);
    this.#memory.refresh(entry, head);
  }

  remove(key: string): void {
    this.#note(key);
    this.#memory.remove(key);
  }

  removeEntry(entry: CacheEntry): void {
    this.#note(entry.key);
    this.#memory.removeEntry(entry);
  }

  sweep(purged: (entry: Described) => boolean, budget: number): { readonly removed: number; readonly done: boolean } {
    return this.#memory.sweep(purged, budget);
  }

  stats(): StoreStats {
    return this.#memory.stats();
  }

  #note(key: string): void {
    this.#outdated.add(key);
    this.#recent.delete(key);
    this.#recent.add(key);
    if (this.#recent.size <= RECENT) return;
    for (const oldest of this.#recent) {
      this.#recent.delete(oldest);
      return;
    }
  }
}
