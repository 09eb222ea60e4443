// The disk tier as the main thread of an edge keeps it: open from the start, or, in a process that has taken an edge's ports over,
// once that edge has ended and let go of the folder.
//
// Until then the two run side by side, and each has what the other changes not. So the newcomer reads the journal of purges when it
// starts, raises its barrier by it, and notes each key that it stores or removes (outdated-keys.ts). When it gets the folder, what is
// there counts as requested before all purges that it has heard of since, and what it has noted is not to be found any more. The older one
// changes the folder itself, up to its end.
import type { Clock, Timer } from '../../../infra/runtime/clock.ts';
import type { Log } from '../../../infra/runtime/log.ts';
import type { Metrics } from '../../../infra/runtime/metrics.ts';
import type { Purge, PurgePosition } from '../../../proto/gen/meridian/v1/purge.ts';
import type { RaisableBarrier } from '../../decide/barrier.ts';
import type { CacheEntry } from '../../decide/cache/entry.ts';
import { type Peeked, peekFolder } from './disk-folder.ts';
import type { DiskHandles } from './disk-memory.ts';
import { FolderInUseError } from './folder-lock.ts';
import { type DiskTier, type DiskTierOptions, holdUntil, type PurgeRecorder, startDiskTier } from './open.ts';
import type { OutdatedHandles } from './outdated-keys.ts';
import { type JournalItem, replay } from './purge-journal.ts';

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
  /** The other threads are to note what they change, until `opened` is called. Called at most once. */
  awaited(handles: OutdatedHandles): void;
  /** For the other threads. Called at most once. */
  opened(handles: DiskHandles): void;
}

export interface FoundOnDisk {
  readonly state: 'searched' | 'not searched';
  readonly entries: readonly CacheEntry[];
}

/** Peeks at the same time. */
const MAX_PEEKING = 8;
/** How often it is tried to get the folder, milliseconds. */
const RETRY_MS = 500;
/** Purges that are remembered until there is a journal to write them to; after more the tier begins with nothing. */
const MAX_PURGES = 10_000;

export class DiskCache {
  readonly #options: DiskCacheOptions;
  readonly #ports: DiskCachePorts;
  #tier: DiskTier | undefined;
  #raise: Pick<RaisableBarrier, 'apply' | 'reset'>;
  #recorder: PurgeRecorder | undefined;
  #position: PurgePosition | undefined;
  /** What the folder of the older process said. */
  #peeked: Peeked | undefined;
  /** What has raised the barrier since, for as long as there is no journal. */
  #since: JournalItem[] = [];
  #ready: () => boolean = () => true;
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
    const { clock, log } = this.#ports;
    const { folder, mayWait } = this.#options;
    try {
      const tier = await startDiskTier(this.#options, this.#ports);
      if (tier) this.#use(tier);
    } catch (error) {
      if (!mayWait || !(error instanceof FolderInUseError)) throw error;
      log.info({ folder }, 'there is no disk cache until the edge that this one replaces has ended');
      this.#peek();
      this.#waiting = clock.every(RETRY_MS, () => {
        this.#opening ??= this.#openLate().finally(() => {
          this.#opening = undefined;
        });
      });
    }
  }

  /** Up to which all purges are in the folder. */
  get position(): PurgePosition | undefined {
    return this.#tier?.position ?? this.#peeked?.position;
  }

  /** What raises the barrier by `raise`, and writes down that it did. Once, before anything is raised. */
  journal(raise: Pick<RaisableBarrier, 'apply' | 'reset'>): PurgeRecorder {
    this.#raise = raise;
    this.#recorder = this.#tier?.journal(raise);
    return {
      apply: (purge: Purge) => {
        (this.#recorder ?? this.#raise).apply(purge);
        this.#remember({ kind: 'purge', purge });
      },
      reset: () => {
        (this.#recorder ?? this.#raise).reset();
        this.#remember({ kind: 'reset' });
      },
      stand: (position) => {
        this.#position = position;
        this.#recorder?.stand(position);
      },
    };
  }

  /** Nothing is looked up on disk before `ready` says so. */
  holdUntil(ready: () => boolean): void {
    this.#ready = ready;
    if (this.#tier) this.#hold(this.#tier);
  }

  /** What is there under a key, for who wants to know. */
  async peek(key: string): Promise<FoundOnDisk> {
    const finding = this.#peeking < MAX_PEEKING ? this.#tier?.store.peek(key) : undefined;
    if (finding === undefined) return { state: 'not searched', entries: [] };
    this.#peeking += 1;
    const entries = await finding;
    this.#peeking -= 1;
    return { state: 'searched', entries };
  }

  /** From now on what is there is another process's, and what is purged here is purged for this one alone. */
  stopSweeping(): void {
    this.#tier?.stopSweeping();
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

  #hold(tier: DiskTier): void {
    if (!this.#ready()) this.#held = holdUntil(tier, this.#ports.clock, () => this.#ready());
  }

  #peek(): void {
    const { barrier } = this.#ports;
    this.#peeked = peekFolder(this.#options);
    if (this.#peeked === undefined) return;
    replay(this.#peeked.items, barrier);
    this.#ports.awaited(this.#peeked.outdated);
  }

  #remember(item: JournalItem): void {
    if (this.#recorder !== undefined || this.#waiting === undefined) return;
    this.#since.push(item);
    if (this.#since.length <= MAX_PURGES || this.#opening !== undefined) return;
    this.#peeked = undefined;
    this.#since = [];
  }

  async #openLate(): Promise<void> {
    const { log, barrier } = this.#ports;
    if (this.#peeked === undefined) this.#since = [];
    const before = this.#since.length;
    let tier: DiskTier | undefined;
    try {
      tier = await startDiskTier(
        { ...this.#options, heir: { peeked: this.#peeked, current: barrier.current } },
        this.#ports,
      );
    } catch (error) {
      if (error instanceof FolderInUseError) return;
      log.error({ err: error }, 'the disk cache is off until the next start');
    }
    this.#waiting?.cancel();
    if (tier === undefined) return;
    this.#hold(tier);
    const written = tier.journal({ apply: () => undefined, reset: () => undefined });
    // One that begins with nothing begins with the barrier as it stood.
    replay(tier.inherits ? this.#since : this.#since.slice(before), written);
    if (this.#position) written.stand(this.#position);
    this.#recorder = tier.journal(this.#raise);
    this.#since = [];
    this.#use(tier);
  }
}
