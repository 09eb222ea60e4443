// Reads records. Whatever is read is compared with its checksums before anyone sees it, and with what was looked for: hashes
// meet, and segments are used again. A pinned segment is not, so a record that was there when its segment was pinned is read
// whole unless the disk has damaged it.
import type { BodySink, OpenBody } from '../../decide/cache/body-source.ts';
import type { DiskIndex, Located } from './disk-index.ts';
import type { DiskHandles } from './disk-memory.ts';
import type { DiskFiles } from './files.ts';
import {
  BLOCK_BYTES,
  decodeHead,
  frontBytes,
  HEAD_BYTES,
  isBodyWhole,
  isLive,
  isWhole,
  type RecordHead,
  recordUnits,
  tableOf,
  textOf,
  UNIT,
} from './form.ts';
import { OutdatedKeys } from './outdated-keys.ts';

/** A record up to this size is read at once, body and all, bytes. */
const WHOLE_BYTES = 256 * 1024;
/** Of a larger one, so much at first. */
const FIRST_BYTES = 16 * 1024;
const CHUNK_BYTES = 2 * BLOCK_BYTES;

/** What stands in front of a record's body. */
export interface ReadFront {
  readonly head: RecordHead;
  readonly text: string;
  /** All of it. */
  readonly front: Buffer;
  readonly table: Buffer;
}

export interface ReadRecord extends ReadFront {
  /** Undefined: too large to be read at once. */
  readonly body: Buffer | undefined;
}

export class DiskReader {
  readonly #handles: DiskHandles;
  readonly #index: DiskIndex;
  readonly #files: DiskFiles;
  readonly #outdated: OutdatedKeys | undefined;

  constructor(handles: DiskHandles, index: DiskIndex, files: DiskFiles) {
    const { inherited } = handles.identity;
    this.#handles = handles;
    this.#index = index;
    this.#files = files;
    this.#outdated = inherited && new OutdatedKeys(inherited.outdated);
  }

  /**
   * The segment must be pinned. `gone`: it was removed, which the hints do not say. Undefined: there is no whole record. Rejects
   * when the disk fails.
   */
  async read(located: Located, wholeBytes = WHOLE_BYTES): Promise<ReadRecord | 'gone' | undefined> {
    const fd = this.#handles.files[located.segment] ?? -1;
    const position = located.offset * UNIT;
    const total = located.units * UNIT;
    const whole = total <= wholeBytes;
    let bytes = Buffer.allocUnsafeSlow(whole ? total : Math.min(total, FIRST_BYTES));
    if ((await this.#files.read(fd, bytes, position)) < bytes.length) return undefined;
    let front = this.front(located, bytes);
    if (typeof front === 'number') {
      bytes = Buffer.allocUnsafeSlow(front);
      if ((await this.#files.read(fd, bytes, position)) < front) return undefined;
      front = this.front(located, bytes);
    }
    if (typeof front !== 'object') return front === 'gone' ? front : undefined;
    const { head, table } = front;
    const from = front.front.length;
    const body = whole ? bytes.subarray(from, from + head.bodyBytes) : undefined;
    if (body !== undefined && !isBodyWhole(head.sequence, table, body)) return undefined;
    return { ...front, body };
  }

  /** What a record begins with, as of `read`, when `bytes` are its first. A number: so many of them it takes. */
  front(located: Located, bytes: Buffer): ReadFront | 'gone' | number | undefined {
    const head = decodeHead(bytes);
    if (head === undefined || recordUnits(head) !== located.units) return undefined;
    if (head.generation !== located.generation || head.offset !== located.offset) return undefined;
    if (!isLive(bytes)) return 'gone';
    const length = frontBytes(head);
    if (length > bytes.length) return length;
    const front = bytes.subarray(0, length);
    if (!isWhole(front)) return undefined;
    if (this.#isUnproven(head) || this.#isOutdated(head)) return 'gone';
    return { head: this.#judged(head), text: textOf(head, front), front, table: tableOf(head, front) };
  }

  /** The body of a record that was read; undefined: it is not there any more. */
  open(located: Located, { head, table }: ReadRecord): OpenBody | undefined {
    const index = this.#index;
    const there = index.locked(() => {
      if (!index.isThere(located)) return false;
      index.segments.pin(located.segment);
      return true;
    });
    if (!there) return undefined;
    const fd = this.#handles.files[located.segment] ?? -1;
    const position = located.offset * UNIT + frontBytes(head);
    const close = (): void => index.segments.unpin(located.segment);
    const damaged = (): void => index.count('damaged');
    return new BodyReader(this.#files, fd, position, head, table, close, damaged);
  }

  #judged(head: RecordHead): RecordHead {
    const { boot, inherited } = this.#handles.identity;
    if (inherited === undefined || head.boot >= boot) return head;
    return { ...head, barrier: Math.min(head.barrier, inherited.barrierAtMost) };
  }

  #isOutdated({ boot, low }: RecordHead): boolean {
    return boot < this.#handles.identity.boot && this.#outdated?.has(low) === true;
  }

  /** Changed in an earlier run, after a purge that nobody remembers now: see purge-journal.ts. */
  #isUnproven({ boot, barrier }: RecordHead): boolean {
    const { identity } = this.#handles;
    return boot < identity.boot && barrier > identity.barrierKnown;
  }
}

class BodyReader implements OpenBody {
  readonly #files: DiskFiles;
  readonly #fd: number;
  readonly #position: number;
  readonly #head: RecordHead;
  readonly #table: Buffer;
  readonly #onClose: () => void;
  readonly #onDamage: () => void;
  #sink: BodySink | undefined;
  #at = 0;
  #to = 0;
  #more = false;
  #open = true;
  #busy = false;
  #waits = false;

  constructor(
    files: DiskFiles,
    fd: number,
    position: number,
    head: RecordHead,
    table: Buffer,
    onClose: () => void,
    onDamage: () => void,
  ) {
    this.#files = files;
    this.#fd = fd;
    this.#position = position;
    this.#head = head;
    this.#table = table;
    this.#onClose = onClose;
    this.#onDamage = onDamage;
  }

  start(sink: BodySink, from: number, to: number, more = false): void {
    this.#sink = sink;
    this.#at = from;
    this.#to = Math.min(to, this.#head.bodyBytes);
    this.#more = more;
    this.#next();
  }

  resume(): void {
    this.#waits = false;
    this.#next();
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    // What is being read just now is still to be thrown away; until then the place must stay what it is.
    if (!this.#busy) this.#onClose();
  }

  #next(): void {
    if (!this.#open || this.#busy || this.#waits) return;
    if (this.#at >= this.#to) {
      if (!this.#more) this.close();
      this.#sink?.end();
      return;
    }
    this.#busy = true;
    this.#read().then(
      (chunk) => this.#take(chunk),
      () => this.#take(undefined),
    );
  }

  /** Whole blocks, of which the part that is wanted; undefined: damaged. */
  async #read(): Promise<Buffer | undefined> {
    const first = Math.floor(this.#at / BLOCK_BYTES);
    const from = first * BLOCK_BYTES;
    const end = Math.min(this.#head.bodyBytes, Math.ceil(this.#to / BLOCK_BYTES) * BLOCK_BYTES);
    const chunk = Buffer.allocUnsafeSlow(Math.min(CHUNK_BYTES, end - from));
    const bytes = await this.#files.read(this.#fd, chunk, this.#position + from);
    if (bytes < chunk.length || !isBodyWhole(this.#head.sequence, this.#table, chunk, first)) return undefined;
    return chunk.subarray(this.#at - from, Math.min(chunk.length, this.#to - from));
  }

  #take(chunk: Buffer | undefined): void {
    this.#busy = false;
    if (!this.#open) {
      this.#onClose();
      return;
    }
    if (chunk === undefined) {
      this.#onDamage();
      this.close();
      this.#sink?.failed();
      return;
    }
    this.#at += chunk.length;
    if (this.#sink?.chunk(chunk) === false) this.#waits = true;
    this.#next();
  }
}

if (FIRST_BYTES < HEAD_BYTES) throw new Error('the first read must reach over the head');
