// Takes a body that is too large for memory and writes it as it comes, to a segment that nobody else fills meanwhile: body
// first, then what stands in front of it, so that what is not complete is not a record. Its length must be known. When the
// disk is slower than the origin the body is given up; the client waits for neither.
import { crc32 } from 'node:zlib';
import type { StoreWriter } from '../../decide/cache/entry.ts';
import type { Written } from './appender.ts';
import type { DiskIndex } from './disk-index.ts';
import type { DiskHandles } from './disk-memory.ts';
import type { DiskFiles } from './files.ts';
import {
  BLOCK_BYTES,
  blockSeed,
  blocks,
  encodeFront,
  frontBytes,
  type RecordName,
  recordUnits,
  room,
  UNIT,
} from './form.ts';
import { RESERVE, SegmentFiller } from './segment-filler.ts';

export interface LargeRecord extends RecordName {
  readonly barrier: number;
  readonly text: string;
  readonly bodyBytes: number;
}

type GivenUp = 'aborted' | 'wrong-length' | 'slow' | 'crowded';
type Outcome = 'written' | GivenUp;

export interface LargeEvents {
  /** The index's version for `low` at the commit. */
  version(): number;
  publish(written: readonly Written[]): void;
  /** It is over; once. `error`: the disk's. */
  over(outcome: Outcome | 'failed', error?: unknown): void;
}

/** What may wait for the disk, bytes. */
const MAX_WAITING = 8 * 1024 * 1024;

export class LargeWriter implements StoreWriter {
  readonly #handles: DiskHandles;
  readonly #files: DiskFiles;
  readonly #filler: SegmentFiller;
  readonly #record: LargeRecord;
  readonly #events: LargeEvents;
  readonly #sequence: number;
  readonly #table: Buffer;
  #chunks: Buffer[] = [];
  #waiting = 0;
  #received = 0;
  #written = 0;
  #sum: number;
  #version: number | undefined;
  #over = false;
  /** How it ended while something was being written. */
  #pending: GivenUp = 'aborted';
  #running = false;

  constructor(handles: DiskHandles, index: DiskIndex, files: DiskFiles, record: LargeRecord, events: LargeEvents) {
    this.#handles = handles;
    this.#files = files;
    this.#filler = new SegmentFiller(handles, index, files, 'small', RESERVE);
    this.#record = record;
    this.#events = events;
    this.#sequence = index.locked(() => index.nextSequence());
    this.#table = Buffer.alloc(blocks(record.bodyBytes) * 4);
    this.#sum = blockSeed(this.#sequence, 0);
  }

  gathered(): undefined {}

  write(chunk: Buffer): boolean {
    if (this.#over || this.#version !== undefined) return false;
    if (this.#received + chunk.length > this.#record.bodyBytes) return this.#end('wrong-length');
    if (this.#waiting + chunk.length > MAX_WAITING) return this.#end('slow');
    this.#check(chunk);
    // Whoever gives it uses it again for what comes next.
    this.#chunks.push(Buffer.from(chunk));
    this.#waiting += chunk.length;
    this.#run();
    return true;
  }

  /** It is found when it is written. */
  commit(): undefined {
    if (this.#over || this.#version !== undefined) return;
    if (this.#received < this.#record.bodyBytes) this.#end('wrong-length');
    else {
      this.#version = this.#events.version();
      this.#run();
    }
  }

  abort(): void {
    if (this.#version === undefined) this.#end('aborted');
  }

  /** The checksums of the blocks, as far as they have come. */
  #check(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) {
      const inBlock = this.#received % BLOCK_BYTES;
      const part = chunk.subarray(at, at + BLOCK_BYTES - inBlock);
      const block = Math.floor(this.#received / BLOCK_BYTES);
      this.#sum = crc32(part, inBlock === 0 ? blockSeed(this.#sequence, block) : this.#sum);
      this.#table.writeUInt32LE(this.#sum, block * 4);
      this.#received += part.length;
      at += part.length;
    }
  }

  #end(outcome: GivenUp): false {
    if (this.#over) return false;
    this.#over = true;
    this.#chunks = [];
    if (!this.#running) this.#finish(outcome);
    else this.#pending = outcome;
    return false;
  }

  #finish(outcome: Outcome): void {
    this.#filler.close().then(
      () => this.#events.over(outcome),
      (error: unknown) => this.#events.over('failed', error),
    );
  }

  #run(): void {
    if (this.#running) return;
    this.#running = true;
    this.#writeAll().then(
      (outcome) => {
        this.#running = false;
        if (outcome !== undefined) this.#finish(outcome);
        // Something came after it had looked.
        else if (this.#over || this.#version !== undefined || this.#chunks.length > 0) this.#run();
      },
      (error: unknown) => {
        this.#over = true;
        this.#chunks = [];
        this.#events.over('failed', error);
      },
    );
  }

  /** Until there is nothing to write; how it ended, if it did. */
  async #writeAll(): Promise<Outcome | undefined> {
    const { text, bodyBytes } = this.#record;
    const lengths = { textBytes: text.length, roomBytes: room(text.length), bodyBytes };
    const units = recordUnits(lengths);
    if (!(await this.#filler.ready(units))) {
      this.#over = true;
      this.#chunks = [];
      return 'crowded';
    }
    const { fd, end, segment, generation } = this.#filler;
    const bodyAt = end * UNIT + frontBytes(lengths);
    while (this.#chunks.length > 0) {
      const chunks = this.#chunks;
      this.#chunks = [];
      await this.#files.write(fd, chunks, bodyAt + this.#written);
      for (const { length } of chunks) {
        this.#written += length;
        this.#waiting -= length;
      }
    }
    if (this.#over) return this.#pending;
    if (this.#version === undefined) return undefined;
    const { high, low, variant, barrier } = this.#record;
    const name = { high, low, variant };
    const { boot } = this.#handles.identity;
    const head = { ...name, ...lengths, generation, boot, barrier, sequence: this.#sequence, offset: end };
    await this.#files.write(fd, [encodeFront(head, text, this.#table)], end * UNIT);
    this.#filler.add({ ...name, offset: end, units, barrier, sequence: this.#sequence });
    this.#over = true;
    this.#events.publish([{ ...name, version: this.#version, barrier, segment, offset: end, units }]);
    return 'written';
  }
}
