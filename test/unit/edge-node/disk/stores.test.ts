// One contract for every store: in memory, shared, on disk, and memory before disk.
import type { CacheEntry } from '../../../../edge-node/decide/cache/entry.ts';
import { allocateDisk, diskLimits, segmentsOf } from '../../../../edge-node/io/disk/disk-memory.ts';
import { DiskStore } from '../../../../edge-node/io/disk/disk-store.ts';
import { NotingStore } from '../../../../edge-node/io/disk/noting-store.ts';
import { allocateOutdated, OutdatedKeys } from '../../../../edge-node/io/disk/outdated-keys.ts';
import { TieredStore } from '../../../../edge-node/io/disk/tiered-store.ts';
import { MemoryStore } from '../../../../edge-node/io/memory-store.ts';
import { allocateSharedStore } from '../../../../edge-node/io/shared/handles.ts';
import { SharedStore } from '../../../../edge-node/io/shared/shared-store.ts';
import { silentLog } from '../../../../infra/runtime/log.ts';
import { MemoryFiles } from '../../../support/memory-files.ts';
import { storeContract } from '../cache/store-contract.ts';
import type { ContractLimits } from '../cache/store-support.ts';
import { type AnyLimits, type AnyStore, atOnce, storedContract } from '../cache/stored-contract.ts';
import { fromDisk, openDisk } from './disk-support.ts';

const KEY = { k0: 1, k1: 2 };
const MAX_BYTES = 8 * 1024 * 1024;
const MAX_MEMORY_BODY = 16 * 1024 * 1024;

/** Slots are freed by the segment: with small ones, few are lost to what is removed. */
const SMALL = { segmentBytes: 16_384, maxBytes: 256 * 16_384 };

async function diskAlone({ maxObjects = 1000, maxVariants = 20 }: AnyLimits = {}): Promise<AnyStore> {
  const disk = await openDisk({
    limits: { ...SMALL, maxObjects, maxVariants },
  });
  const { store } = disk.tier;
  return {
    find: async (key) => ((await store.find(key)) ?? []).map(({ entry }) => entry),
    put: (entry) => void store.put(entry),
    refresh: (entry, head) => store.refresh({ ...entry, head }, entry.head, true),
    remove: (key) => store.remove(key),
    removeEntry: (entry) => store.removeVariant(entry.key, entry.head.variant),
    settle: disk.settle,
    objects: () => store.stats().objects,
  };
}

async function tiered({ maxObjects = 1000, maxVariants = 20 }: AnyLimits, memoryObjects: number): Promise<AnyStore> {
  const disk = await openDisk({ limits: { ...SMALL, maxObjects, maxVariants } });
  const memory = new MemoryStore({ maxObjects: memoryObjects, maxVariants });
  const store = new TieredStore(memory, disk.tier.store, { maxMemoryBody: MAX_MEMORY_BODY });
  const find = async (key: string): Promise<readonly CacheEntry[]> => {
    const found = store.find(key);
    const stored = await fromDisk(store, key);
    return [...found, ...stored.filter(({ head }) => found.every((other) => other.head.variant !== head.variant))];
  };
  return { ...atOnce(store), find, settle: disk.settle, objects: () => disk.tier.store.stats().objects };
}

const shared = (limits?: AnyLimits): SharedStore =>
  new SharedStore(allocateSharedStore({ maxBytes: MAX_BYTES, ...limits }, 1, KEY), 0);

storedContract('memory', async (limits) => atOnce(new MemoryStore(limits)));
storedContract('shared', async (limits) => atOnce(shared(limits)));
storedContract('memory while the disk is awaited', async (limits) => atOnce(noting(limits)));
storedContract('disk', diskAlone);
storedContract('memory before disk', (limits = {}) => tiered(limits, 1000));
storedContract('little memory before disk', (limits = {}) => tiered(limits, 2));

function noting(limits?: ContractLimits): NotingStore {
  return new NotingStore(new MemoryStore(limits), new OutdatedKeys(allocateOutdated(KEY)));
}

/** Without a folder. */
function bareDisk(): DiskStore {
  const limits = diskLimits({ maxBytes: MAX_BYTES }, 1);
  const files = new MemoryFiles();
  const open = Array.from({ length: segmentsOf(limits) }, (_, segment) => files.open(`/cache/segment-${segment}`));
  const identity = { hashKey: KEY, boot: 1, barrierBase: 0, barrierKnown: 0 };
  const handles = allocateDisk('/cache', limits, identity, 1, open);
  return new DiskStore(handles, 0, { files, log: silentLog, crowded: () => undefined });
}

const withMemory = (limits?: ContractLimits): TieredStore =>
  new TieredStore(new MemoryStore(limits), bareDisk(), { maxMemoryBody: MAX_MEMORY_BODY });
storeContract('memory before disk, as memory', withMemory);
storeContract('memory while the disk is awaited', noting);
