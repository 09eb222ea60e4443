// The folder of the disk tier: who may use it, whether its content is of use, and the files that are in it. It is a cache: what
// another release wrote, or this one under other limits, is thrown away with a line in the log.
//
// lock: held by the process. format: one line, "meridian-cache FORM record=HEX segment=BYTES hash=HEX-HEX boot=N". purges,
// purges.old: see purge-journal.ts. segment-NNNN: see form.ts.
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { crc32 } from 'node:zlib';
import { type Log, silentLog } from '../../../infra/runtime/log.ts';
import type { PurgePosition } from '../../../proto/gen/meridian/v1/purge.ts';
import { recordForm } from '../../decide/cache/record.ts';
import type { HashKey } from '../../decide/hash.ts';
import { DiskIndex } from './disk-index.ts';
import {
  allocateDisk,
  type DiskHandles,
  type DiskLimits,
  diskLimits,
  type Inherited,
  segmentsOf,
} from './disk-memory.ts';
import { type DiskFiles, nodeFiles } from './files.ts';
import { lockFolder } from './folder-lock.ts';
import { FORM, FORMAT_FILE } from './form.ts';
import { allocateOutdated, type OutdatedHandles } from './outdated-keys.ts';
import { JOURNAL_FILES, type JournalItem, PurgeJournal, peekJournal } from './purge-journal.ts';
import { recover } from './recovery.ts';

export interface DiskFolderOptions {
  readonly folder: string;
  readonly limits: Partial<DiskLimits> & Pick<DiskLimits, 'maxBytes'>;
  /** How many threads will use it, the main one among them. */
  readonly threads: number;
  readonly log: Log;
  readonly heir?: Heir;
  readonly files?: DiskFiles;
  readonly lock?: (folder: string) => () => void;
  /** The purges could not be written. */
  journalFailed(error: unknown): void;
}

/** What a process that has to wait for the folder reads there meanwhile. */
export interface Peeked {
  readonly outdated: OutdatedHandles;
  /** The purges of the journal, those that follow `base`, and up to where it has them all. */
  readonly base: number;
  readonly items: readonly JournalItem[];
  readonly position: PurgePosition | undefined;
}

/** A process that has waited for the folder. */
export interface Heir {
  /** Of which `items` are the first that its barrier knows. Undefined: what is in the folder is of no use to it. */
  readonly peeked: Peeked | undefined;
  /** Where its barrier stands. */
  readonly current: number;
}

export interface DiskFolder {
  readonly handles: DiskHandles;
  readonly journal: PurgeJournal;
  /** To be called when nobody uses the files any more. */
  close(): Promise<void>;
}

interface Format {
  readonly hashKey: HashKey;
  readonly boot: number;
}

const FORMAT =
  /^meridian-cache (\d{1,9}) record=([0-9a-f]{8}) segment=(\d{1,12}) hash=([0-9a-f]{8})-([0-9a-f]{8}) boot=(\d{1,9})\n$/;
const FORMAT_BYTES = 256;
const SEGMENT = /^segment-\d+$/;

/** Rejects when the folder is in use, or with the file system's error; a RangeError for limits that make no sense. */
export async function openDiskFolder(options: DiskFolderOptions): Promise<DiskFolder> {
  const { folder, threads, log, heir, files = nodeFiles, lock = lockFolder } = options;
  const limits = diskLimits(options.limits, threads);
  files.makeFolder(folder);
  const release = lock(folder);
  const openJournal = (): PurgeJournal =>
    new PurgeJournal({ folder, files, first: heir?.current ?? 0, failed: options.journalFailed });
  const open: number[] = [];
  let journal: PurgeJournal | undefined;
  try {
    const found = heir === undefined || heir.peeked ? readFormat(options, limits, files) : undefined;
    let format = found ?? anew(options, files);
    journal = openJournal();
    const inherited = heir?.peeked && inheritance(heir.peeked, format, journal);
    if (format.boot > 0 && (journal.isNew || (heir !== undefined && inherited === undefined))) {
      log.warn({ folder }, 'what was purged from the disk cache is not known any more: it is emptied');
      await journal.close();
      format = anew(options, files);
      journal = openJournal();
    }
    const boot = format.boot + 1;
    for (let i = 0; i < segmentsOf(limits); i += 1) open.push(files.open(path.join(folder, segmentName(i))));
    removeOthers(options, files, open.length);
    const identity = {
      hashKey: format.hashKey,
      boot,
      barrierBase: journal.base - (heir === undefined || inherited ? 0 : heir.current),
      barrierKnown: journal.number,
      inherited,
    };
    const handles = allocateDisk(folder, limits, identity, threads, open);
    writeFormat(options, limits, files, { hashKey: format.hashKey, boot });
    const index = new DiskIndex(handles, 0);
    const { scanned, unproven, outdated } = recover(handles, index, files);
    log.info(
      { folder, objects: index.objects, bytes: index.bytes, scanned, unproven, outdated },
      'the disk cache is open',
    );
    return { handles, journal, close };
  } catch (error) {
    await close();
    throw error;
  }

  async function close(): Promise<void> {
    await journal?.close();
    for (const fd of open.splice(0)) files.close(fd);
    release();
  }
}

/** What is in the folder of another process, which may be about to end. Undefined: nothing of use. Never throws. */
export function peekFolder(
  options: Pick<DiskFolderOptions, 'folder' | 'limits' | 'threads'> & { files?: DiskFiles },
): Peeked | undefined {
  const { folder, files = nodeFiles } = options;
  try {
    const format = readFormat({ folder, log: silentLog }, diskLimits(options.limits, options.threads), files);
    const journal = format && peekJournal(folder, files);
    return format && journal && { ...journal, outdated: allocateOutdated(format.hashKey) };
  } catch {
    return undefined;
  }
}

/** Undefined: the folder is not the one that was peeked into, or has forgotten purges since. */
function inheritance(peeked: Peeked, format: Format, journal: PurgeJournal): Inherited | undefined {
  const { outdated, base, items } = peeked;
  const known = base + items.length;
  const { k0, k1 } = outdated.hashKey;
  const same = format.hashKey.k0 === k0 && format.hashKey.k1 === k1;
  if (!same || journal.isNew || journal.base !== base || journal.number < known) return undefined;
  return { outdated, barrierAtMost: known };
}

function segmentName(segment: number): string {
  return `segment-${String(segment).padStart(4, '0')}`;
}

function recordSum(): string {
  return crc32(Buffer.from(recordForm(), 'latin1')).toString(16).padStart(8, '0');
}

/** Undefined: there is nothing of use. */
function readFormat(
  { folder, log }: Pick<DiskFolderOptions, 'folder' | 'log'>,
  limits: DiskLimits,
  files: DiskFiles,
): Format | undefined {
  const names = files.list(folder);
  if (!names.includes(FORMAT_FILE)) {
    if (names.some((name) => SEGMENT.test(name))) log.warn({ folder }, 'the disk cache is of no use and is emptied');
    return undefined;
  }
  const fd = files.open(path.join(folder, FORMAT_FILE));
  const bytes = Buffer.alloc(FORMAT_BYTES);
  const length = files.readSync(fd, bytes, 0);
  files.close(fd);
  const match = FORMAT.exec(bytes.toString('latin1', 0, length));
  const [, form, record, segment, k0 = '', k1 = '', boot] = match ?? [];
  if (Number(form) === FORM && record === recordSum() && Number(segment) === limits.segmentBytes) {
    return {
      hashKey: { k0: Number.parseInt(k0, 16), k1: Number.parseInt(k1, 16) },
      boot: Number(boot),
    };
  }
  log.warn({ folder }, 'the disk cache was written by another release or under other limits, and is emptied');
  return undefined;
}

/** An empty folder. */
function anew({ folder }: DiskFolderOptions, files: DiskFiles): Format {
  for (const name of files.list(folder)) {
    if (name === FORMAT_FILE || JOURNAL_FILES.includes(name) || SEGMENT.test(name))
      files.remove(path.join(folder, name));
  }
  const random = randomBytes(8);
  return { hashKey: { k0: random.readUInt32LE(0), k1: random.readUInt32LE(4) }, boot: 0 };
}

/** Beside its place and moved there, so that there is always a whole one. */
function writeFormat({ folder }: DiskFolderOptions, limits: DiskLimits, files: DiskFiles, format: Format): void {
  const hex = (number: number): string => (number >>> 0).toString(16).padStart(8, '0');
  const { k0, k1 } = format.hashKey;
  const line =
    `meridian-cache ${FORM} record=${recordSum()} segment=${limits.segmentBytes} ` +
    `hash=${hex(k0)}-${hex(k1)} boot=${format.boot}\n`;
  const fresh = path.join(folder, `${FORMAT_FILE}.new`);
  files.remove(fresh);
  const fd = files.open(fresh);
  try {
    files.writeSync(fd, Buffer.from(line), 0);
  } finally {
    files.close(fd);
  }
  files.rename(fresh, path.join(folder, FORMAT_FILE));
}

/** Segments that are more than there may be. */
function removeOthers({ folder }: DiskFolderOptions, files: DiskFiles, count: number): void {
  const own = new Set(Array.from({ length: count }, (_, segment) => segmentName(segment)));
  for (const name of files.list(folder)) {
    if (SEGMENT.test(name) && !own.has(name)) files.remove(path.join(folder, name));
  }
}
