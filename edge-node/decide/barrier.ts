// What has been purged (the design's promise on purges): a barrier that only rises. Nothing is searched for or deleted when
// a purge arrives: it raises a number, in constant time for each target, and everything whose request to the origin was sent
// below that number is purged from then on. A soft purge raises a second barrier of the same numbers: what lies below that one
// is stale. Tables are bounded; when one is full its oldest records fold into a coarser one, which purges too much rather than
// too little.
import type { Purge, PurgeTarget } from '../../proto/gen/meridian/v1/purge.ts';
import { raisedBy, somePrefix, someTag } from './purge-names.ts';

/** What has been purged, as a request sees it. */
export interface Barrier {
  /** Purges applied so far, by this process. To be read when a request to an origin is sent, and kept with its answer. */
  readonly current: number;
  /**
   * Whether what was requested at `entryBarrier` has been purged since. `host`: lower case, without a port; `target`:
   * `purgeName` of the URL; `tags`: those that the answer carries.
   */
  covers(entryBarrier: number, host: string, target: string, tags?: readonly string[]): boolean;
  /** Whether a soft purge has reached it since: to be validated before it is served as fresh. Arguments as of `covers`. */
  stales(entryBarrier: number, host: string, target: string, tags?: readonly string[]): boolean;
}

/** ... and as purges reach it. */
export interface RaisableBarrier extends Barrier {
  /** Everything stored or requested so far that a target covers is purged from now on. */
  apply(purge: Purge): void;
  /** Everything stored or requested so far is purged from now on. */
  reset(): void;
}

export interface BarrierLimits {
  /** Records of purged URLs, at least 1; soft and hard purges have as many each, here and below. */
  readonly urls: number;
  /** Records of purged hosts, at least 1. */
  readonly hosts: number;
  readonly prefixes: number;
  readonly tags: number;
}

export interface BarrierStats {
  readonly urls: number;
  readonly hosts: number;
  readonly prefixes: number;
  readonly tags: number;
  /** Records folded into a coarser one because a table was full, since the start. */
  readonly folded: number;
}

const DEFAULT_LIMITS: BarrierLimits = { urls: 100_000, hosts: 10_000, prefixes: 10_000, tags: 100_000 };
const UNTAGGED: readonly string[] = [];

export class PurgeBarrier implements RaisableBarrier {
  readonly #hard: Levels;
  readonly #soft: Levels;
  #current = 0;

  constructor(limits: Partial<BarrierLimits> = {}) {
    this.#hard = new Levels({ ...DEFAULT_LIMITS, ...limits });
    this.#soft = new Levels({ ...DEFAULT_LIMITS, ...limits });
  }

  get current(): number {
    return this.#current;
  }

  apply(purge: Purge): void {
    this.#current += 1;
    const levels = purge.soft ? this.#soft : this.#hard;
    for (const target of purge.targets) levels.raise(target, this.#current);
  }

  reset(): void {
    this.#current += 1;
    this.#hard.raiseAll(this.#current);
  }

  covers(entryBarrier: number, host: string, target: string, tags = UNTAGGED): boolean {
    // Most entries are newer than the newest purge, or nothing was ever purged.
    if (entryBarrier >= this.#current) return false;
    return this.#hard.above(entryBarrier, host, target, tags);
  }

  stales(entryBarrier: number, host: string, target: string, tags = UNTAGGED): boolean {
    if (entryBarrier >= this.#current) return false;
    return this.#soft.above(entryBarrier, host, target, tags);
  }

  /** Of soft and hard purges together. */
  stats(): BarrierStats {
    const [a, b] = [this.#hard.stats(), this.#soft.stats()];
    return {
      urls: a.urls + b.urls,
      hosts: a.hosts + b.hosts,
      prefixes: a.prefixes + b.prefixes,
      tags: a.tags + b.tags,
      folded: a.folded + b.folded,
    };
  }
}

interface Record {
  level: number;
  /** What it folds into; undefined: everything. */
  readonly host: string | undefined;
}

/** The numbers of the purges of one kind. */
class Levels {
  readonly #limits: BarrierLimits;
  /** The newest purge of anything. */
  #newest = 0;
  #all = 0;
  // In the order of their numbers: a record that is raised moves to the end.
  readonly #hosts = new Map<string, Record>();
  readonly #urls = new Map<string, Record>();
  readonly #prefixes = new Map<string, Record>();
  readonly #tags = new Map<string, Record>();
  #folded = 0;

  constructor(limits: BarrierLimits) {
    this.#limits = limits;
  }

  raise(target: PurgeTarget, level: number): void {
    this.#newest = level;
    for (const raised of raisedBy(target)) {
      switch (raised.kind) {
        case 'all':
          this.raiseAll(level);
          break;
        case 'host':
          this.#raiseHost(raised.name, level);
          break;
        case 'url':
          this.#raise(this.#urls, this.#limits.urls, raised.name, raised.host, level);
          break;
        case 'prefix':
          this.#raise(this.#prefixes, this.#limits.prefixes, raised.name, raised.host, level);
          break;
        case 'tag':
          this.#raise(this.#tags, this.#limits.tags, raised.name, raised.host, level);
          break;
      }
    }
  }

  raiseAll(level: number): void {
    this.#newest = level;
    this.#all = level;
    for (const table of [this.#hosts, this.#urls, this.#prefixes, this.#tags]) table.clear();
  }

  /** Whether a purge above `level` reaches it. */
  above(level: number, host: string, target: string, tags: readonly string[]): boolean {
    if (level >= this.#newest) return false;
    if (level < this.#all) return true;
    const above = (table: ReadonlyMap<string, Record>) => (name: string) => (table.get(name)?.level ?? 0) > level;
    if (this.#hosts.size > 0 && above(this.#hosts)(host)) return true;
    if (this.#urls.size > 0 && above(this.#urls)(target)) return true;
    if (this.#prefixes.size > 0 && somePrefix(host, target, above(this.#prefixes))) return true;
    return this.#tags.size > 0 && someTag(host, tags, above(this.#tags));
  }

  stats(): BarrierStats {
    return {
      urls: this.#urls.size,
      hosts: this.#hosts.size,
      prefixes: this.#prefixes.size,
      tags: this.#tags.size,
      folded: this.#folded,
    };
  }

  #raise(table: Map<string, Record>, limit: number, name: string, host: string | undefined, level: number): void {
    table.delete(name);
    table.set(name, { level, host });
    if (table.size <= limit) return;
    for (const [oldest, record] of table) {
      table.delete(oldest);
      this.#folded += 1;
      if (record.host === undefined) this.#all = Math.max(this.#all, record.level);
      else this.#raiseHost(record.host, record.level);
      break;
    }
  }

  #raiseHost(host: string, level: number): void {
    if ((this.#hosts.get(host)?.level ?? 0) >= level) return;
    this.#raise(this.#hosts, this.#limits.hosts, host, undefined, level);
  }
}
