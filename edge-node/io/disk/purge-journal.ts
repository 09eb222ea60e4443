// The purges that an edge has applied, on disk, so that what it cached before a restart is judged by them after it. The barrier
// counts purges; what is stored carries the number at which it was requested. Numbers of this file count on through restarts.
//
// Two files, "purges" and "purges.old": when the first is full it becomes the second, and the second goes. What was stored before
// the oldest purge that is still known cannot be judged and counts as purged. The same holds for what carries a number that the
// file does not reach: then purges have been lost. Whether purges were missed while the edge was down only the control plane
// knows: it is told up to which position the file reaches, and sends what followed, or says that all is to count as purged.
//
// A file: "MPJ1", number of the first purge in it less one (double), then items: length of what follows the checksum, checksum,
// kind, content. A purge is written before it is acknowledged, and flushed right after; a file is believed up to the first item
// that is not whole.
import path from 'node:path';
import { crc32 } from 'node:zlib';
import { Purge, PurgePosition } from '../../../proto/gen/meridian/v1/purge.ts';
import { LIMITS } from '../../../proto/limits.ts';
import type { RaisableBarrier } from '../../decide/barrier.ts';
import type { DiskFiles } from './files.ts';

const MAGIC = 'MPJ1';
const HEAD = 12;
const ITEM_HEAD = 8;
const PURGE = 1;
const RESET = 2;
const POSITION = 3;
const NAME = 'purges';
const OLD_NAME = 'purges.old';
export const JOURNAL_FILES: readonly string[] = [NAME, OLD_NAME];
/** A file this long is full, bytes. */
const FULL_BYTES = 8 * 1024 * 1024;
const MAX_ITEM = LIMITS.messageBytes;

export type JournalItem = { readonly kind: 'purge'; readonly purge: Purge } | { readonly kind: 'reset' };

interface Reading {
  /** Number of the purge before the first. */
  readonly base: number;
  readonly items: readonly JournalItem[];
  readonly position: PurgePosition | undefined;
  /** Bytes of the newer file that can be believed. */
  readonly end: number;
}

export interface JournalOptions {
  readonly folder: string;
  readonly files: DiskFiles;
  readonly fullBytes?: number;
  /** The number at which one begins that is new; default 0. */
  readonly first?: number;
  /** The disk failed. */
  failed(error: unknown): void;
}

export class PurgeJournal {
  readonly #options: JournalOptions;
  #fd: number;
  #end: number;
  #failed = false;
  #flushing: Promise<void> | undefined;
  #flushAgain = false;
  #items: readonly JournalItem[];
  /** There was none, or none to be believed. */
  readonly isNew: boolean;
  /** The number at which the barrier of this process begins; */
  readonly base: number;
  /** ... up to which purges are known. */
  #number: number;
  #position: PurgePosition | undefined;

  /** Reads what is there, or begins anew. Throws the file system's error. */
  constructor(options: JournalOptions) {
    this.#options = options;
    const { folder, files } = options;
    const fd = files.open(path.join(folder, NAME));
    const read = readBoth(files, folder, fd);
    this.isNew = read === undefined;
    if (read === undefined) {
      this.base = options.first ?? 0;
      this.#items = [];
      this.#number = this.base;
      this.#fd = fd;
      this.#end = this.#begin(fd, this.base);
      return;
    }
    this.base = read.base;
    this.#items = read.items;
    this.#number = this.base + this.#items.length;
    this.#position = read.position;
    this.#fd = fd;
    this.#end = read.end;
    files.truncate(fd, read.end);
  }

  /** The number of the last purge. */
  get number(): number {
    return this.#number;
  }

  /** All purges up to it are in the file; undefined when none ever was. */
  get position(): PurgePosition | undefined {
    return this.#position;
  }

  /** Raises a new barrier to where the old one was. Once. `known`: of the purges, so many have been replayed already. */
  replay(barrier: Pick<RaisableBarrier, 'apply' | 'reset'>, known = 0): void {
    replay(this.#items.slice(known), barrier);
    this.#items = [];
  }

  /** To be called when the barrier was raised by `purge`; it is written when this returns. Never throws. */
  apply(purge: Purge): void {
    this.#number += 1;
    this.#append(PURGE, Purge.encode(purge).finish());
  }

  reset(): void {
    this.#number += 1;
    this.#append(RESET, Buffer.alloc(0));
  }

  /** All purges up to `position` are applied; undefined: it is not known what was missed. */
  stand(position: PurgePosition | undefined): void {
    this.#position = position;
    this.#append(POSITION, position ? PurgePosition.encode(position).finish() : Buffer.alloc(0));
  }

  async close(): Promise<void> {
    await this.#flushing;
    if (!this.#failed) this.#options.files.close(this.#fd);
    this.#failed = true;
  }

  #append(kind: number, content: Uint8Array): void {
    if (this.#failed) return;
    const item = Buffer.alloc(ITEM_HEAD + 1 + content.length);
    item.writeUInt32LE(1 + content.length, 0);
    item[ITEM_HEAD] = kind;
    item.set(content, ITEM_HEAD + 1);
    item.writeUInt32LE(crc32(item.subarray(ITEM_HEAD)), 4);
    try {
      if (this.#end > (this.#options.fullBytes ?? FULL_BYTES)) this.#rotate(kind === POSITION ? 0 : 1);
      this.#options.files.writeSync(this.#fd, item, this.#end);
      this.#end += item.length;
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#flush();
  }

  /** `ahead`: the purge that is counted already and yet to be written. */
  #rotate(ahead: number): void {
    const { files, folder } = this.#options;
    const [own, old] = [path.join(folder, NAME), path.join(folder, OLD_NAME)];
    const former = this.#fd;
    files.rename(own, old);
    this.#fd = files.open(own);
    void (this.#flushing ?? Promise.resolve()).then(() => files.close(former));
    this.#end = this.#begin(this.#fd, this.#number - ahead);
    if (ahead === 1) this.stand(this.#position);
  }

  #begin(fd: number, base: number): number {
    const head = Buffer.alloc(HEAD);
    head.write(MAGIC, 0, 'latin1');
    head.writeDoubleLE(base, 4);
    this.#options.files.truncate(fd, 0);
    this.#options.files.writeSync(fd, head, 0);
    return HEAD;
  }

  #flush(): void {
    if (this.#flushing !== undefined) {
      this.#flushAgain = true;
      return;
    }
    this.#flushing = this.#options.files
      .flush(this.#fd)
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#flushing = undefined;
        if (!this.#flushAgain || this.#failed) return;
        this.#flushAgain = false;
        this.#flush();
      });
  }

  #fail(error: unknown): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#options.failed(error);
  }
}

export function replay(items: readonly JournalItem[], barrier: Pick<RaisableBarrier, 'apply' | 'reset'>): void {
  for (const item of items) {
    if (item.kind === 'purge') barrier.apply(item.purge);
    else barrier.reset();
  }
}

/** What the journal of a folder says while another process writes it. Undefined: nothing to be believed. */
export function peekJournal(folder: string, files: DiskFiles): Omit<Reading, 'end'> | undefined {
  const fd = files.open(path.join(folder, NAME));
  try {
    return readBoth(files, folder, fd);
  } finally {
    files.close(fd);
  }
}

/** `fd`: of the newer file. */
function readBoth(files: DiskFiles, folder: string, fd: number): Reading | undefined {
  const last = readJournal(files, fd);
  if (last === undefined) return undefined;
  const oldFd = files.open(path.join(folder, OLD_NAME));
  const old = readJournal(files, oldFd);
  files.close(oldFd);
  if (old === undefined || old.base + old.items.length !== last.base) return last;
  const items = [...old.items, ...last.items];
  return { base: old.base, items, position: last.position ?? old.position, end: last.end };
}

function readJournal(files: DiskFiles, fd: number): Reading | undefined {
  const head = Buffer.alloc(HEAD);
  if (files.readSync(fd, head, 0) < HEAD || head.toString('latin1', 0, 4) !== MAGIC) return undefined;
  const items: JournalItem[] = [];
  let position: PurgePosition | undefined;
  let end = HEAD;
  for (;;) {
    const item = readItem(files, fd, end);
    if (item === undefined) break;
    try {
      const content = item.subarray(1);
      if (item[0] === PURGE) items.push({ kind: 'purge', purge: Purge.decode(content) });
      else if (item[0] === RESET) items.push({ kind: 'reset' });
      else if (item[0] === POSITION) position = content.length > 0 ? PurgePosition.decode(content) : undefined;
      else break;
    } catch {
      break;
    }
    end += ITEM_HEAD + item.length;
  }
  return { base: head.readDoubleLE(4), items, position, end };
}

function readItem(files: DiskFiles, fd: number, at: number): Buffer | undefined {
  const head = Buffer.alloc(ITEM_HEAD);
  if (files.readSync(fd, head, at) < ITEM_HEAD) return undefined;
  const length = head.readUInt32LE(0);
  if (length < 1 || length > MAX_ITEM) return undefined;
  const item = Buffer.alloc(length);
  if (files.readSync(fd, item, at + ITEM_HEAD) < length) return undefined;
  return crc32(item) === head.readUInt32LE(4) ? item : undefined;
}
