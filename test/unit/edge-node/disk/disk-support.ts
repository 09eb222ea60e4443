// A disk tier over files in memory, and what tests of it do all the time.
import assert from 'node:assert/strict';
import { PurgeBarrier } from '../../../../edge-node/decide/barrier.ts';
import type { CacheEntry } from '../../../../edge-node/decide/cache/entry.ts';
import type { DiskLimits } from '../../../../edge-node/io/disk/disk-memory.ts';
import { type DiskTier, openDiskTier } from '../../../../edge-node/io/disk/open.ts';
import type { SlowStore } from '../../../../edge-node/ports.ts';
import { type Log, silentLog } from '../../../../infra/runtime/log.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { MemoryFiles } from '../../../support/memory-files.ts';
import { named } from '../cache/support.ts';

export const SEGMENT = 64 * 1024;
export const SEGMENTS = 16;

export interface DiskOptions {
  readonly files?: MemoryFiles;
  readonly limits?: Partial<DiskLimits>;
  readonly threads?: number;
  readonly log?: Log;
}

export interface Disk {
  readonly tier: DiskTier;
  readonly files: MemoryFiles;
  readonly barrier: PurgeBarrier;
  readonly clock: FakeClock;
  /** All variants, as they are found. */
  find(target: string): Promise<readonly CacheEntry[]>;
  bodies(target: string): Promise<string[]>;
  /** When all is written, and there is room again. */
  settle(): Promise<void>;
}

export async function openDisk(options: DiskOptions = {}): Promise<Disk> {
  const { files = new MemoryFiles(), threads = 1, log = silentLog } = options;
  const barrier = new PurgeBarrier();
  const clock = new FakeClock();
  const limits = { maxBytes: SEGMENTS * SEGMENT, segmentBytes: SEGMENT, ...options.limits };
  const lock = () => () => undefined;
  const tier = await openDiskTier({ folder: '/cache', limits, threads, files, lock }, { barrier, clock, log });
  const find = async (target: string) => ((await tier.store.find(named(target).key)) ?? []).map(({ entry }) => entry);
  return {
    tier,
    files,
    barrier,
    clock,
    find,
    bodies: async (target) => (await find(target)).map(({ body }) => body.toString()).toSorted(),
    settle: async () => {
      await tier.store.idle();
      await tier.tidy();
      await tier.store.idle();
    },
  };
}

/** What a store finds that it does not have at once. */
export function fromDisk(store: SlowStore, key: string): Promise<readonly CacheEntry[]> {
  return new Promise((resolve) => {
    if (store.findStored?.(key, resolve) !== true) resolve([]);
  });
}

/** The tier as it is after the process was killed at this moment. */
export function crash(disk: Disk, options: DiskOptions = {}): Promise<Disk> {
  return openDisk({ ...options, files: disk.files.copy() });
}

/** Every byte follows from the target. */
export function bodyOf(target: string, bytes: number): Buffer {
  const body = Buffer.alloc(bytes);
  let state = 1;
  for (let i = 0; i < target.length; i += 1) state = Math.imul(state ^ target.charCodeAt(i), 0x01000193) >>> 0;
  for (let i = 0; i < bytes; i += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    body[i] = state >>> 24;
  }
  return body;
}

export function assertBody(target: string, body: Buffer): void {
  assert.ok(body.equals(bodyOf(target, body.length)), `the body of ${target} is not what was stored`);
}
