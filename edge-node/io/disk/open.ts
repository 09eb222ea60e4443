// Opens the disk tier for a process: the folder, the main thread's part, and the purges that were known when it was closed.
import type { Clock, Timer } from '../../../infra/runtime/clock.ts';
import type { Log } from '../../../infra/runtime/log.ts';
import type { Metrics } from '../../../infra/runtime/metrics.ts';
import type { Purge, PurgePosition } from '../../../proto/gen/meridian/v1/purge.ts';
import type { Barrier, RaisableBarrier } from '../../decide/barrier.ts';
import { RecordReader } from '../../decide/cache/record.ts';
import { isPurged } from '../../decide/purged.ts';
import { type Heir, openDiskFolder } from './disk-folder.ts';
import type { DiskHandles, DiskIdentity, DiskLimits } from './disk-memory.ts';
import type { ReadFront } from './disk-reader.ts';
import type { DiskStats } from './disk-stats.ts';
import { DiskStore } from './disk-store.ts';
import { DiskSweeper } from './disk-sweeper.ts';
import { type DiskFiles, nodeFiles } from './files.ts';
import { FolderInUseError } from './folder-lock.ts';
import { Janitor } from './janitor.ts';

export interface DiskTierOptions {
  readonly folder: string;
  readonly limits: Partial<DiskLimits> & Pick<DiskLimits, 'maxBytes'>;
  readonly threads: number;
  /** The barrier is not new. */
  readonly heir?: Heir;
  readonly files?: DiskFiles;
  readonly lock?: (folder: string) => () => void;
}

export interface DiskTierPorts {
  readonly clock: Clock;
  readonly log: Log;
  /** New, and empty, unless there is an `heir`: it is raised to where the folder says. */
  readonly barrier: RaisableBarrier;
}

/** The main thread's hold on the disk tier. */
export interface DiskTier {
  /** For a DiskStore on each other thread. */
  readonly handles: DiskHandles;
  /** Of the main thread, thread 0. */
  readonly store: DiskStore;
  /** Up to which all purges are in the folder: what the edge tells the control plane when it starts. */
  readonly position: PurgePosition | undefined;
  /** Whether it has what the process had before that this one has waited for. */
  readonly inherits: boolean;
  /** Writes down what raises the barrier, and sweeps; `raise` does so before it is written. */
  journal(raise: Pick<RaisableBarrier, 'apply' | 'reset'>): PurgeRecorder;
  /** Whether nothing is to be looked up for now: until it is known, or cannot be known, what was purged meanwhile. */
  hold(held: boolean): void;
  /** To be called for a worker thread that is dead. */
  recover(thread: number): void;
  /** Makes room now instead of soon. */
  tidy(): Promise<void>;
  /** From now on what is purged stays where it is until its turn comes: the barrier is raised for this process alone. */
  stopSweeping(): void;
  /** When no other thread uses it any more. */
  close(): Promise<void>;
}

export interface PurgeRecorder extends Pick<RaisableBarrier, 'apply' | 'reset'> {
  stand(position: PurgePosition | undefined): void;
}

/** How often it is looked whether there is room, milliseconds. */
const TIDY_MS = 50;
const HELD_MS = 20;
/** After a start nothing is swept for so long, milliseconds, but for new purges: memory is empty, and all read from disk. */
const CATCH_UP_MS = 60_000;
const UP = 'meridian_disk_cache_up';
const UP_HELP = 'Whether the disk tier works: 0 after the disk has failed.';

/** Rejects when the folder cannot be used; with a FolderInUseError when another process has it. */
export async function openDiskTier(options: DiskTierOptions, ports: DiskTierPorts): Promise<DiskTier> {
  const { files = nodeFiles } = options;
  const { barrier, clock, log } = ports;
  const { journal, handles, close } = await openDiskFolder({
    ...options,
    log,
    journalFailed: (error) => store.fail(error),
  });
  const store: DiskStore = new DiskStore(handles, 0, { files, log, crowded: () => void janitor.run() });
  let sweeps = true;
  const judge = purgedBy(barrier, handles.identity);
  const isSwept = (front: ReadFront): boolean => sweeps && judge(front);
  const janitor = new Janitor(handles, store, files, { isPurged: isSwept, onSpace: () => store.appender.kick() });
  const sweeper = new DiskSweeper(handles, store, janitor, files, { clock, isPurged: isSwept });
  journal.replay(barrier, options.heir?.peeked?.items.length);
  // What was swept before is there again, but for what was freed; and the last purges may not have been swept.
  const isBehind = journal.number > journal.base && store.index.objects > 0;
  const timers = [
    clock.every(TIDY_MS, () => void janitor.run()),
    ...(isBehind ? [clock.after(CATCH_UP_MS, () => sweeper.begin())] : []),
  ];
  return {
    handles,
    store,
    position: journal.position,
    inherits: handles.identity.inherited !== undefined,
    journal: (raise) => ({
      apply: (purge: Purge) => {
        raise.apply(purge);
        journal.apply(purge);
        if (!purge.soft) sweeper.begin();
      },
      reset: () => {
        raise.reset();
        journal.reset();
        sweeper.begin();
      },
      stand: (position) => journal.stand(position),
    }),
    hold: (held) => store.index.hold(held),
    recover: (thread) => {
      if (store.index.recover(thread)) store.fail(new Error(`thread ${thread} died in the middle of a change`));
    },
    tidy: () => janitor.run(),
    stopSweeping: () => {
      sweeps = false;
      void sweeper.close();
    },
    close: async () => {
      for (const timer of timers) timer.cancel();
      await sweeper.close();
      await store.close();
      await janitor.close();
      await store.idle();
      await close();
    },
  };
}

/**
 * As {@link openDiskTier}, with metrics. A disk that does not work costs only the tier: it is said in the log, and there is none.
 * Rejects when another process has the folder, or the limits make no sense.
 */
export async function startDiskTier(
  options: DiskTierOptions,
  ports: DiskTierPorts & { readonly metrics: Metrics },
): Promise<DiskTier | undefined> {
  try {
    const tier = await openDiskTier(options, ports);
    diskMetrics(ports.metrics, () => tier.store.stats());
    return tier;
  } catch (error) {
    if (error instanceof FolderInUseError || error instanceof RangeError) throw error;
    const { folder } = options;
    ports.log.error({ folder, err: error }, 'the disk cache cannot be opened and is off until the next start');
    ports.metrics.gauge(UP, UP_HELP, () => 0);
    return undefined;
  }
}

/** Holds the tier's answers back until the edge has heard of the purges that it missed, or no control plane answers. */
export function holdUntil(tier: DiskTier, clock: Clock, ready: () => boolean): Timer {
  tier.hold(true);
  const timer = clock.every(HELD_MS, () => {
    if (!ready()) return;
    tier.hold(false);
    timer.cancel();
  });
  return timer;
}

/** Whether a purge has reached a record. */
function purgedBy(barrier: Barrier, { barrierBase }: DiskIdentity): (front: ReadFront) => boolean {
  const records = new RecordReader();
  return ({ head, text }) => {
    const content = records.read(text);
    if (content === undefined) return false;
    const { host, purgeTarget } = content;
    const { tags } = content.head;
    return isPurged(barrier, { host, purgeTarget, head: { barrier: head.barrier - barrierBase, tags } });
  };
}

/** Tells of the disk tier in the metrics. */
export function diskMetrics(metrics: Metrics, stats: () => DiskStats): void {
  const gauge = (name: string, help: string, member: keyof DiskStats): void =>
    metrics.gauge(`meridian_disk_cache_${name}`, help, () => stats()[member]);
  const total = (name: string, help: string, member: keyof DiskStats): void =>
    metrics.total(`meridian_disk_cache_${name}_total`, help, () => stats()[member]);
  metrics.gauge(UP, UP_HELP, () => stats().on);
  gauge('objects', 'Responses stored on disk.', 'objects');
  gauge('bytes', 'Bytes on disk that they take.', 'bytes');
  gauge('queued_bytes', 'Bytes of the main thread that wait to be written.', 'queuedBytes');
  total('hits', 'Look-ups that found something on disk.', 'hits');
  total('misses', 'Look-ups that did not.', 'misses');
  total('writes', 'Responses written to disk.', 'writes');
  total('written_bytes', 'Bytes written to disk.', 'writtenBytes');
  total('dropped', 'Responses not written because the disk did not keep up.', 'dropped');
  total('too_large', 'Responses not written because of their size.', 'refusedTooLarge');
  total('evictions', 'Responses thrown off the disk for space.', 'evictions');
  total('variant_evictions', 'Responses thrown off the disk because a URL has too many.', 'variantEvictions');
  total('older', 'Responses not written because what is there was requested later.', 'refusedOlder');
  total('moved', 'Responses that were kept in place of others because they were used.', 'moved');
  total('damaged', 'Responses that were not read as they were written, and not served.', 'damaged');
  total('swept', 'Responses removed from disk because they were purged.', 'swept');
  total('walks', 'How often the whole disk was looked through for what was purged.', 'walks');
}
