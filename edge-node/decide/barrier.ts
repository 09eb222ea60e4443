// What has been purged (the design's promise on purges): a barrier that only rises. Nothing is searched for or deleted when
// a purge arrives: it raises a number, in constant time for each target, and everything whose request to the origin was sent
// below that number is purged from then on. Tables are bounded; when one is full its oldest records fold into a coarser one,
// which purges too much rather than too little.
import type { Purge } from '../../proto/gen/meridian/v1/purge.ts';
import { purgeName } from './cache/key.ts';

/** What has been purged, as a request sees it. */
export interface Barrier {
  /** Purges applied so far, by this process. To be read when a request to an origin is sent, and kept with its answer. */
  readonly current: number;
  /**
   * Whether what was requested at `entryBarrier` has been purged since. `host`: lower case, without a port; `target`:
   * `purgeName` of the URL.
   */
  covers(entryBarrier: number, host: string, target: string): boolean;
}

/** ... and as purges reach it. */
export interface RaisableBarrier extends Barrier {
  /** Everything stored or requested so far that a target covers is purged from now on. */
  apply(purge: Purge): void;
  /** Everything stored or requested so far is purged from now on. */
  reset(): void;
}

export interface BarrierLimits {
  /** Records of purged URLs, at least 1. */
  readonly urls: number;
  /** Records of purged hosts, at least 1. */
  readonly hosts: number;
}

export interface BarrierStats {
  readonly urls: number;
  readonly hosts: number;
  /** Records folded into a coarser one because a table was full, since the start. */
  readonly folded: number;
}

const DEFAULT_LIMITS: BarrierLimits = { urls: 100_000, hosts: 10_000 };

export class PurgeBarrier implements RaisableBarrier {
  readonly #limits: BarrierLimits;
  #current = 0;
  #all = 0;
  // In the order of their numbers: a record that is raised moves to the end.
  readonly #hosts = new Map<string, number>();
  readonly #urls = new Map<string, number>();
  #folded = 0;

  constructor(limits: Partial<BarrierLimits> = {}) {
    this.#limits = { ...DEFAULT_LIMITS, ...limits };
  }

  get current(): number {
    return this.#current;
  }

  apply(purge: Purge): void {
    this.#current += 1;
    for (const { target } of purge.targets) {
      switch (target?.$case) {
        case 'url':
          this.#raiseUrl(purgeName(target.value.host, target.value.path));
          break;
        case 'host':
          this.#raiseHost(target.value, this.#current);
          break;
        case 'all':
        case undefined:
          // Absent: a target of a kind that this version does not know.
          this.#raiseAll();
      }
    }
  }

  reset(): void {
    this.#current += 1;
    this.#raiseAll();
  }

  covers(entryBarrier: number, host: string, target: string): boolean {
    // Most entries are newer than the newest purge, or nothing was ever purged.
    if (entryBarrier >= this.#current) return false;
    if (entryBarrier < this.#all) return true;
    if (this.#hosts.size > 0 && (this.#hosts.get(host) ?? 0) > entryBarrier) return true;
    return this.#urls.size > 0 && (this.#urls.get(target) ?? 0) > entryBarrier;
  }

  stats(): BarrierStats {
    return { urls: this.#urls.size, hosts: this.#hosts.size, folded: this.#folded };
  }

  #raiseAll(): void {
    this.#all = this.#current;
    this.#hosts.clear();
    this.#urls.clear();
  }

  #raiseUrl(name: string): void {
    this.#urls.delete(name);
    this.#urls.set(name, this.#current);
    if (this.#urls.size <= this.#limits.urls) return;
    for (const [oldest, level] of this.#urls) {
      this.#urls.delete(oldest);
      this.#folded += 1;
      this.#raiseHost(oldest.slice(0, oldest.indexOf('/')), level);
      break;
    }
  }

  #raiseHost(host: string, level: number): void {
    const before = this.#hosts.get(host) ?? 0;
    if (before >= level) return;
    this.#hosts.delete(host);
    this.#hosts.set(host, level);
    if (this.#hosts.size <= this.#limits.hosts) return;
    for (const [oldest, oldLevel] of this.#hosts) {
      this.#hosts.delete(oldest);
      this.#folded += 1;
      this.#all = Math.max(this.#all, oldLevel);
      break;
    }
  }
}
