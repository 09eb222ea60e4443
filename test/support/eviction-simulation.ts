// The disk tier's eviction (edge-node/decide/cache/eviction.ts) on traces, without a disk; beside it least recently used.
import { MAX_USES, staysWhole, usesAfterRound, victimQueue } from '../../edge-node/decide/cache/eviction.ts';
import type { Random } from '../../infra/runtime/random.ts';

export interface Policy {
  /** Whether `key` was there; it is now. */
  ask(key: number): boolean;
}

export class LeastRecentlyUsed implements Policy {
  readonly #keys = new Set<number>();
  readonly #capacity: number;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  ask(key: number): boolean {
    const hit = this.#keys.delete(key);
    this.#keys.add(key);
    if (this.#keys.size > this.#capacity) for (const oldest of this.#keys) return this.#keys.delete(oldest) && hit;
    return hit;
  }
}

interface Segment {
  queue: 'small' | 'main';
  readonly keys: number[];
}

interface Place {
  segment: Segment;
  uses: number;
}

/** Objects of one size, so many to a segment. */
export class SegmentedS3Fifo implements Policy {
  readonly #places = new Map<number, Place>();
  readonly #ghosts: Int32Array;
  readonly #total: number;
  readonly #perSegment: number;
  /** Oldest first. */
  readonly #closed: Segment[] = [];
  #small: Segment = { queue: 'small', keys: [] };
  #main: Segment = { queue: 'main', keys: [] };
  moved = 0;
  written = 0;

  constructor(capacity: number, segments: number) {
    this.#total = segments;
    this.#perSegment = Math.floor(capacity / segments);
    this.#ghosts = new Int32Array(2 ** Math.floor(Math.log2(capacity) - 1));
  }

  ask(key: number): boolean {
    const place = this.#places.get(key);
    if (place !== undefined) {
      place.uses = Math.min(MAX_USES, place.uses + 1);
      return true;
    }
    const remembered = this.#ghosts[this.#ghost(key)] === key + 1;
    this.#small = this.#add(this.#small, key, remembered ? 1 : 0);
    this.written += 1;
    return false;
  }

  #ghost(key: number): number {
    return (Math.imul(key, 0x9e3779b1) >>> 7) & (this.#ghosts.length - 1);
  }

  #add(open: Segment, key: number, uses: number): Segment {
    let segment = open;
    if (segment.keys.length >= this.#perSegment) {
      this.#closed.push(segment);
      segment = { queue: segment.queue, keys: [] };
      if (segment.queue === 'main') this.#main = segment;
      else this.#small = segment;
      // Two are open, one is free for what is moved.
      while (this.#closed.length > this.#total - 3) this.#evict();
      if (segment.queue === 'main') segment = this.#main;
    }
    segment.keys.push(key);
    this.#places.set(key, { segment, uses });
    return segment;
  }

  #evict(): void {
    const count = (queue: string): number => this.#closed.filter((segment) => segment.queue === queue).length;
    const queue = victimQueue({ small: count('small'), main: count('main'), total: this.#total });
    const at = Math.max(
      0,
      this.#closed.findIndex((segment) => segment.queue === queue),
    );
    const [segment] = this.#closed.splice(at, 1);
    if (segment === undefined) return;
    const kept: { key: number; uses: number }[] = [];
    for (const key of segment.keys) {
      const place = this.#places.get(key);
      if (place?.segment !== segment) continue;
      const uses = usesAfterRound(segment.queue, place.uses);
      if (uses !== undefined) kept.push({ key, uses });
      else {
        this.#places.delete(key);
        if (segment.queue === 'small') this.#ghosts[this.#ghost(key)] = key + 1;
      }
    }
    if (staysWhole(kept.length, this.#perSegment)) {
      for (const { key, uses } of kept) this.#places.set(key, { segment, uses });
      segment.queue = 'main';
      this.#closed.push(segment);
      return;
    }
    for (const { key, uses } of kept) {
      this.#main = this.#add(this.#main, key, uses);
      this.moved += 1;
    }
  }
}

/** Objects by popularity (Zipf with exponent `skew`), and now and then one pass over many that nobody asks for again. */
export function zipfWithScans(random: Random, objects: number, skew: number, scans: number): () => number {
  const sums = new Float64Array(objects);
  let sum = 0;
  for (let i = 0; i < objects; i += 1) {
    sum += 1 / (i + 1) ** skew;
    sums[i] = sum;
  }
  let scanning = 0;
  let fresh = objects;
  return () => {
    if (scanning === 0 && random.next() < scans / SCAN_LENGTH) scanning = SCAN_LENGTH;
    if (scanning > 0 && random.next() < 0.5) {
      scanning -= 1;
      fresh += 1;
      return fresh;
    }
    const wanted = random.next() * sum;
    let low = 0;
    for (let high = objects - 1; low < high; ) {
      const middle = (low + high) >> 1;
      if ((sums[middle] ?? 0) < wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}

const SCAN_LENGTH = 2000;

/** Hits in each hundred, after as many requests to warm up. */
export function hitRatio(policy: Policy, next: () => number, requests: number): number {
  for (let i = 0; i < requests; i += 1) policy.ask(next());
  let hits = 0;
  for (let i = 0; i < requests; i += 1) if (policy.ask(next())) hits += 1;
  return (hits / requests) * 100;
}
