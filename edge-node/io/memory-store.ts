// The cache in memory: least recently used out first, bounded by bytes. A hit is one look-up in a map and a few assignments
// in a doubly linked list; nothing is allocated. Every byte that the store or one of its writers holds is counted.
import type {
  CacheEntry,
  CacheStore,
  Described,
  Storable,
  StoredHead,
  StoreStats,
  StoreWriter,
} from '../decide/cache/entry.ts';
import { type GatherRefusal, gatherBody, PendingBytes } from './body-gatherer.ts';
import { type StoreLimits, storeLimits } from './store-limits.ts';

/** What the objects around one entry take on V8, rounded up; for each string, its header and the reference to it. */
const ENTRY_OVERHEAD = 1024;
const STRING_OVERHEAD = 24;

/** An entry and its place in the list of uses. */
class Node implements CacheEntry {
  readonly key: string;
  readonly host: string;
  readonly purgeTarget: string;
  readonly body: Buffer;
  head: StoredHead;
  size: number;
  prepared: CacheEntry['prepared'] = undefined;
  askedAt = -1;
  /** Towards the most recently used. */
  newer: Node | undefined = undefined;
  older: Node | undefined = undefined;
  /** Number of its last use, counted over all entries; 0 when it is not stored. */
  used = 0;

  constructor(entry: Storable) {
    this.key = entry.key;
    this.host = entry.host;
    this.purgeTarget = entry.purgeTarget;
    this.body = entry.body;
    this.head = entry.head;
    this.size = sizeOf(entry, entry.head);
  }
}

/** Bytes that an entry counts for with `head`. */
function sizeOf(entry: Storable, head: StoredHead): number {
  let size = ENTRY_OVERHEAD + entry.body.length;
  size += entry.key.length + entry.host.length + entry.purgeTarget.length + head.variant.length;
  for (const text of head.fields) size += text.length + STRING_OVERHEAD;
  for (const text of head.consumed) size += text.length + STRING_OVERHEAD;
  for (const text of head.tags) size += text.length + STRING_OVERHEAD;
  for (const text of head.vary) size += text.length + STRING_OVERHEAD;
  return size;
}

const NOTHING: readonly Node[] = Object.freeze([]);

export class MemoryStore implements CacheStore {
  readonly #limits: StoreLimits;
  readonly #pending: PendingBytes;
  // A list of variants is replaced, never changed: who holds one may go on reading it.
  readonly #variants = new Map<string, readonly Node[]>();
  #newest: Node | undefined;
  #oldest: Node | undefined;
  #objects = 0;
  #bytes = 0;
  #uses = 0;
  #round: { readonly lists: Iterator<readonly Node[]>; left: number } | undefined;
  #evictions = 0;
  #variantEvictions = 0;
  #swept = 0;
  #refusedOlder = 0;
  readonly #refused: Record<GatherRefusal, number> = { 'too-large': 0, 'pending-full': 0, 'wrong-length': 0 };

  /** Throws a RangeError for a limit that is not a whole number above 0. */
  constructor(limits: Partial<StoreLimits> = {}) {
    this.#limits = storeLimits(limits);
    this.#pending = new PendingBytes(this.#limits.maxPendingBytes);
  }

  find(key: string): readonly CacheEntry[] {
    return this.#variants.get(key) ?? NOTHING;
  }

  touch(entry: CacheEntry): void {
    const node = stored(entry);
    if (node === undefined) return;
    this.#uses += 1;
    node.used = this.#uses;
    if (node === this.#newest) return;
    this.#unlink(node);
    this.#linkNewest(node);
  }

  put(entry: Storable): CacheEntry | undefined {
    const node = new Node(entry);
    if (entry.body.length > this.#limits.maxObjectBytes || node.size > this.#limits.maxBytes) {
      this.#refused['too-large'] += 1;
      return undefined;
    }
    const { variant, barrier } = entry.head;
    const former = this.#find(node.key, variant);
    if (former !== undefined) {
      if (former.head.barrier > barrier) {
        this.#refusedOlder += 1;
        return undefined;
      }
      this.#remove(former);
    }
    let siblings = this.#variants.get(node.key) ?? NOTHING;
    if (siblings.length >= this.#limits.maxVariants) {
      this.#remove(siblings.reduce((a, b) => (b.used < a.used ? b : a)));
      this.#variantEvictions += 1;
      siblings = this.#variants.get(node.key) ?? NOTHING;
    }
    this.#variants.set(node.key, [...siblings, node]);
    this.#uses += 1;
    node.used = this.#uses;
    this.#linkNewest(node);
    this.#objects += 1;
    this.#bytes += node.size;
    this.#trim();
    return node;
  }

  begin(entry: Omit<Storable, 'body'>, expectedLength: number | undefined): StoreWriter | undefined {
    return gatherBody(this.#pending, expectedLength, this.#limits.maxObjectBytes, {
      kept: (body) => this.put({ ...entry, body }),
      refused: (because) => {
        this.#refused[because] += 1;
      },
    });
  }

  refresh(entry: CacheEntry, head: StoredHead): void {
    const node = stored(entry);
    if (node === undefined || node.head.barrier > head.barrier) return;
    const other = this.#find(node.key, head.variant);
    if (other !== undefined && other !== node) {
      if (other.head.barrier > head.barrier) return;
      this.#remove(other);
    }
    const size = sizeOf(node, head);
    this.#bytes += size - node.size;
    node.size = size;
    node.head = head;
    this.touch(node);
    this.#trim();
  }

  remove(key: string): void {
    for (const node of this.#variants.get(key) ?? NOTHING) this.#remove(node);
  }

  removeEntry(entry: CacheEntry): void {
    const node = stored(entry);
    if (node !== undefined) this.#remove(node);
  }

  sweep(purged: (entry: Described) => boolean, budget: number): { readonly removed: number; readonly done: boolean } {
    // A Map's iterator lives through changes and meets new keys last, so the first `left` keys include all that were there.
    const round = this.#round ?? { lists: this.#variants.values(), left: this.#variants.size };
    this.#round = round;
    let removed = 0;
    let looked = 0;
    while (looked < budget && round.left > 0) {
      const next = round.lists.next();
      round.left = next.done === true ? 0 : round.left - 1;
      if (next.done === true) break;
      looked += next.value.length;
      for (const node of next.value) {
        if (!purged(node)) continue;
        this.#remove(node);
        removed += 1;
      }
    }
    if (round.left === 0) this.#round = undefined;
    this.#swept += removed;
    return { removed, done: round.left === 0 };
  }

  stats(): StoreStats {
    return {
      objects: this.#objects,
      bytes: this.#bytes,
      pendingBytes: this.#pending.held,
      evictions: this.#evictions,
      variantEvictions: this.#variantEvictions,
      swept: this.#swept,
      refusedOlder: this.#refusedOlder,
      refusedTooLarge: this.#refused['too-large'],
      refusedPending: this.#refused['pending-full'],
      refusedIncomplete: this.#refused['wrong-length'],
    };
  }

  #find(key: string, variant: string): Node | undefined {
    return this.#variants.get(key)?.find((node) => node.head.variant === variant);
  }

  #trim(): void {
    while (
      this.#oldest !== undefined &&
      (this.#bytes > this.#limits.maxBytes || this.#objects > this.#limits.maxObjects)
    ) {
      this.#remove(this.#oldest);
      this.#evictions += 1;
    }
  }

  #remove(node: Node): void {
    const rest = (this.#variants.get(node.key) ?? NOTHING).filter((other) => other !== node);
    if (rest.length === 0) this.#variants.delete(node.key);
    else this.#variants.set(node.key, rest);
    this.#unlink(node);
    node.used = 0;
    this.#objects -= 1;
    this.#bytes -= node.size;
  }

  #linkNewest(node: Node): void {
    node.older = this.#newest;
    if (this.#newest === undefined) this.#oldest = node;
    else this.#newest.newer = node;
    this.#newest = node;
  }

  #unlink(node: Node): void {
    if (node.newer === undefined) this.#newest = node.older;
    else node.newer.older = node.older;
    if (node.older === undefined) this.#oldest = node.newer;
    else node.older.newer = node.newer;
    node.newer = undefined;
    node.older = undefined;
  }
}

/** `entry` as the store knows it, while it is stored. */
function stored(entry: CacheEntry): Node | undefined {
  return entry instanceof Node && entry.used !== 0 ? entry : undefined;
}
