// The disk tier as the main thread of an edge keeps it: open from the start, or, in a process that has taken an edge's ports over,
// once that edge has ended and let go of the folder.
//
// Then it begins empty: while the two ran side by side, what one of them removed after an unsafe request the other's cache did
// not hear of, so that nothing of the older one's can be known to be still right.
import type { Clock, Timer } from '../../../infra/runtime/clock.ts';
import type { Log } from '../../../infra/runtime/log.ts';
import type { Metrics } from '../../../infra/runtime/metrics.ts';
import type { Purge, PurgePosition } from '../../../proto/gen/meridian/v1/purge.ts';
import type { RaisableBarrier } from '../../decide/barrier.ts';
import type { CacheEntry } from '../../decide/cache/entry.ts';
import type { DiskHandles } from './disk-memory.ts';
import { FolderInUseError } from './folder-lock.ts';
import { type DiskTier, type DiskTierOptions, holdUntil, type PurgeRecorder, startDiskTier } from './open.ts';

export interface DiskCacheOptions extends Pick<DiskTierOptions, 'folder' | 'limits' | 'threads' | 'files' | 'lock'> {
  /** Whether another process that has the folder is about to end. */
  readonly mayWait: boolean;
}

export interface DiskCachePorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** New, and empty. */
  readonly barrier: RaisableBarrier;
  /** For the other threads. Called at most once. */
  opened(handles: DiskHandles): void;
}

export interface Peeked {
  readonly state: 'searched' | 'not searched';
  readonly entries: readonly CacheEntry[];
}

/** Peeks at the same time. */
const MAX_PEEKING = 8;
/** How often it is tried to get the folder, milliseconds. */
const RETRY_MS = 500;

export class DiskCache {
  readonly #options: DiskCacheOptions;
  readonly #ports: DiskCachePorts;
  #tier: DiskTier | undefined;
  #raise: Pick<RaisableBarrier, 'apply' | 'reset'>;
  #recorder: PurgeRecorder | undefined;
  #position: PurgePosition | undefined;
  #waiting: Timer | undefined;
  #opening: Promise<void> | undefined;
  #held: Timer | undefined;
  #peeking = 0;

  constructor(options: DiskCacheOptions, ports: DiskCachePorts) {
    this.#options = options;
    this.#ports = ports;
    this.#raise = ports.barrier;
  }

  /** Once. Rejects when another process has the folder and is not about to end, or the limits make no sense. */
  async open(): Promise<void> {
    const { clock, log, barrier } = this.#ports;
    const { folder, mayWait } = this.#options;
    try {
      const tier = await startDiskTier(this.#options, this.#ports);
      if (tier) this.#use(tier);
    } catch (error) {
      if (!mayWait || !(error instanceof FolderInUseError)) throw error;
      log.info({ folder }, 'there is no disk cache until the edge that this one replaces has ended');
      this.#waiting = clock.every(RETRY_MS, () => {
        this.#opening ??= this.#openLate(barrier.current).finally(() => {
          this.#opening = undefined;
        });
      });
    }
  }

  /** Up to which all purges are in the folder. */
  get position(): PurgePosition | undefined {
    return this.#tier?.position;
  }

  /** Whether the tier is open. */
  get isOpen(): boolean {
    return this.#tier !== undefined;
  }

  /** What raises the barrier by `raise`, and writes down that it did. Once, before anything is raised. */
  journal(raise: Pick<RaisableBarrier, 'apply' | 'reset'>): PurgeRecorder {
    this.#raise = raise;
    this.#recorder = this.#tier?.journal(raise);
    return {
      apply: (purge: Purge) => (this.#recorder ?? this.#raise).apply(purge),
      reset: () => (this.#recorder ?? this.#raise).reset(),
      stand: (position) => {
        this.#position = position;
        this.#recorder?.stand(position);
      },
    };
  }

  /** Nothing is looked up on disk before `ready` says so. */
  holdUntil(ready: () => boolean): void {
    if (this.#tier) this.#held = holdUntil(this.#tier, this.#ports.clock, ready);
  }

  /** What is there under a key, for who wants to know. */
  async peek(key: string): Promise<Peeked> {
    const finding = this.#peeking < MAX_PEEKING ? this.#tier?.store.peek(key) : undefined;
    if (finding === undefined) return { state: 'not searched', entries: [] };
    this.#peeking += 1;
    const entries = await finding;
    this.#peeking -= 1;
    return { state: 'searched', entries };
  }

  /** To be called for a worker thread that is dead. */
  recover(thread: number): void {
    this.#tier?.recover(thread);
  }

  /** When no other thread uses it any more. */
  async close(): Promise<void> {
    this.#waiting?.cancel();
    this.#held?.cancel();
    await this.#opening;
    this.#waiting?.cancel();
    await this.#tier?.close();
  }

  #use(tier: DiskTier): void {
    this.#tier = tier;
    this.#ports.opened(tier.handles);
  }

  /** `purges`: as many as the barrier knows. */
  async #openLate(purges: number): Promise<void> {
    const { log, barrier } = this.#ports;
    let tier: DiskTier | undefined;
    try {
      tier = await startDiskTier({ ...this.#options, emptyAt: purges }, this.#ports);
    } catch (error) {
      if (error instanceof FolderInUseError) return;
      log.error({ err: error }, 'the disk cache is off until the next start');
    }
    this.#waiting?.cancel();
    if (tier === undefined) return;
    const written = tier.journal({ apply: () => undefined, reset: () => undefined });
    // Purges that came while it was being opened are not known by name here: as well everything.
    for (let number = purges; number < barrier.current; number += 1) written.reset();
    if (this.#position) written.stand(this.#position);
    this.#recorder = tier.journal(this.#raise);
    this.#use(tier);
  }
}
