// The form of the disk tier's files: what a segment begins and ends with, and what a record is. Numbers are little-endian.
//
// segment: its head (64 bytes), records, free space; when it is closed, at its end: a hint for each record (32 bytes) and a
//          trailer (64 bytes), so that a restart need not read the records.
// record:  head (64 bytes); the response without its body (decide/cache/record.ts) and some room for it to grow; a checksum for
//          each block of the body; the body; zeros up to a multiple of UNIT.
//
// The head's checksum covers all in front of the body, but for the mark, which is written alone when a record is removed. A
// block's checksum begins with the record's number and the block's, so that neither an older body at the same place nor a
// block at another passes for it.
import { crc32 } from 'node:zlib';

/** Raised with each change to this file. */
export const FORM = 1;
/** Without it whatever is in a folder is worth nothing. */
export const FORMAT_FILE = 'format';
/** Places and lengths of records are multiples of it, bytes. */
export const UNIT = 16;
export const HEAD_BYTES = 64;
export const HINT_BYTES = 32;
export const TRAILER_BYTES = 64;
export const BLOCK_BYTES = 128 * 1024;

const SEGMENT = 0x3130534d;
const TRAILER = 0x3130544d;
const RECORD = 0x3130524d;
const LIVE = 0x4556494c;
/** In its place: the record is removed. */
export const DEAD: Buffer = Buffer.alloc(4);
/** Where the mark stands in a record. */
export const MARK_AT = 4;
export const MARK_END = 8;
const CRC_AT = MARK_END;
const COVERED_FROM = 12;
/** Room for a head to grow in, since it is written in its place after a 304, bytes. */
const SLACK = 32;
const PADDING = Buffer.alloc(UNIT);

/** What a record is known by. */
export interface RecordName {
  /** Of the key, by the folder's hash key. */
  readonly high: number;
  readonly low: number;
  /** Of the variant. */
  readonly variant: number;
}

export interface RecordHead extends RecordName {
  /** Of the segment as it was filled this time. */
  readonly generation: number;
  /** How often the folder had been opened when it was written. */
  readonly boot: number;
  /** Counted from when the folder was made. */
  readonly barrier: number;
  /** Of all records the later has the higher. */
  readonly sequence: number;
  /** In units, from the segment's beginning. */
  readonly offset: number;
  readonly textBytes: number;
  readonly roomBytes: number;
  readonly bodyBytes: number;
}

export function blocks(bodyBytes: number): number {
  return Math.ceil(bodyBytes / BLOCK_BYTES);
}

/** How many bytes to keep for a text. */
export function room(textBytes: number): number {
  return Math.ceil((textBytes + SLACK) / 32) * 32;
}

/** Bytes of all in front of the body. */
export function frontBytes(head: Pick<RecordHead, 'roomBytes' | 'bodyBytes'>): number {
  return HEAD_BYTES + head.roomBytes + blocks(head.bodyBytes) * 4;
}

/** Of the whole record, in units. */
export function recordUnits(head: Pick<RecordHead, 'roomBytes' | 'bodyBytes'>): number {
  return Math.ceil((frontBytes(head) + head.bodyBytes) / UNIT);
}

export function blockSeed(sequence: number, block: number): number {
  return (Math.imul((sequence % 0x1_0000_0000) | 0, 0x9e3779b1) + block) >>> 0;
}

/** The checksums of a body, as they stand in front of it. */
export function checksums(sequence: number, body: Buffer): Buffer {
  const table = Buffer.allocUnsafe(blocks(body.length) * 4);
  for (let block = 0; block * 4 < table.length; block += 1) {
    const part = body.subarray(block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES);
    table.writeUInt32LE(crc32(part, blockSeed(sequence, block)), block * 4);
  }
  return table;
}

/** All in front of the body. `text`: each character one byte. */
export function encodeFront(head: RecordHead, text: string | Buffer, table: Buffer): Buffer {
  const front = Buffer.alloc(frontBytes(head));
  front.writeUInt32LE(RECORD, 0);
  front.writeUInt32LE(LIVE, MARK_AT);
  front.writeUInt32LE(head.generation, 12);
  front.writeUInt32LE(head.boot, 16);
  front.writeInt32LE(head.high, 20);
  front.writeInt32LE(head.low, 24);
  front.writeInt32LE(head.variant, 28);
  front.writeUInt32LE(head.barrier, 32);
  front.writeDoubleLE(head.sequence, 36);
  front.writeUInt32LE(head.offset, 44);
  front.writeUInt32LE(head.textBytes, 48);
  front.writeUInt32LE(head.roomBytes, 52);
  front.writeUInt32LE(head.bodyBytes, 56);
  if (typeof text === 'string') front.write(text, HEAD_BYTES, 'latin1');
  else text.copy(front, HEAD_BYTES);
  table.copy(front, HEAD_BYTES + head.roomBytes);
  front.writeUInt32LE(crc32(front.subarray(COVERED_FROM)), CRC_AT);
  return front;
}

/** What is written of a record: `front`, the body, and zeros up to its length in units. */
export function recordParts(front: Buffer, body: Buffer, units: number): [Buffer, Buffer, Buffer] {
  return [front, body, PADDING.subarray(0, units * UNIT - front.length - body.length)];
}

/** Whether a record begins here and is not removed; its lengths are believed only after {@link isWhole}. */
export function decodeHead(bytes: Buffer): RecordHead | undefined {
  if (bytes.length < HEAD_BYTES || bytes.readUInt32LE(0) !== RECORD) return undefined;
  const head = {
    generation: bytes.readUInt32LE(12),
    boot: bytes.readUInt32LE(16),
    high: bytes.readInt32LE(20),
    low: bytes.readInt32LE(24),
    variant: bytes.readInt32LE(28),
    barrier: bytes.readUInt32LE(32),
    sequence: bytes.readDoubleLE(36),
    offset: bytes.readUInt32LE(44),
    textBytes: bytes.readUInt32LE(48),
    roomBytes: bytes.readUInt32LE(52),
    bodyBytes: bytes.readUInt32LE(56),
  };
  return head.textBytes <= head.roomBytes ? head : undefined;
}

export function isLive(bytes: Buffer): boolean {
  return bytes.readUInt32LE(MARK_AT) === LIVE;
}

/** Whether `front`, all in front of the body, is as it was written. */
export function isWhole(front: Buffer): boolean {
  return crc32(front.subarray(COVERED_FROM)) === front.readUInt32LE(CRC_AT);
}

export function textOf(head: RecordHead, front: Buffer): string {
  return front.toString('latin1', HEAD_BYTES, HEAD_BYTES + head.textBytes);
}

export function tableOf(head: RecordHead, front: Buffer): Buffer {
  return front.subarray(HEAD_BYTES + head.roomBytes, frontBytes(head));
}

/** Whether `part`, whole blocks of a body from `first` on, is as it was written. */
export function isBodyWhole(sequence: number, table: Buffer, part: Buffer, first = 0): boolean {
  for (let at = 0, block = first; at < part.length; at += BLOCK_BYTES, block += 1) {
    const sum = crc32(part.subarray(at, at + BLOCK_BYTES), blockSeed(sequence, block));
    if (table.length < block * 4 + 4 || sum !== table.readUInt32LE(block * 4)) return false;
  }
  return true;
}

/** A record's entry in the list at the end of its segment. */
export interface Hint extends RecordName {
  readonly offset: number;
  /** In units; 0: of no use any more. */
  readonly units: number;
  readonly barrier: number;
  readonly sequence: number;
}

export function encodeHint(hint: Hint, target: Buffer, at: number): void {
  target.writeInt32LE(hint.high, at);
  target.writeInt32LE(hint.low, at + 4);
  target.writeInt32LE(hint.variant, at + 8);
  target.writeUInt32LE(hint.offset, at + 12);
  target.writeUInt32LE(hint.units, at + 16);
  target.writeUInt32LE(hint.barrier, at + 20);
  target.writeDoubleLE(hint.sequence, at + 24);
}

export function decodeHint(source: Buffer, at: number): Hint {
  return {
    high: source.readInt32LE(at),
    low: source.readInt32LE(at + 4),
    variant: source.readInt32LE(at + 8),
    offset: source.readUInt32LE(at + 12),
    units: source.readUInt32LE(at + 16),
    barrier: source.readUInt32LE(at + 20),
    sequence: source.readDoubleLE(at + 24),
  };
}

/** Which of the two queues a segment belongs to (decide/cache/eviction.ts). */
export type Queue = 'small' | 'main';

export interface SegmentHead {
  readonly generation: number;
  readonly queue: Queue;
}

export function encodeSegment({ generation, queue }: SegmentHead): Buffer {
  const bytes = Buffer.alloc(HEAD_BYTES);
  bytes.writeUInt32LE(SEGMENT, 0);
  bytes.writeUInt32LE(generation, 8);
  bytes.writeUInt32LE(queue === 'main' ? 1 : 0, 12);
  bytes.writeUInt32LE(crc32(bytes.subarray(8)), 4);
  return bytes;
}

export function decodeSegment(bytes: Buffer): SegmentHead | undefined {
  if (bytes.readUInt32LE(0) !== SEGMENT || crc32(bytes.subarray(8)) !== bytes.readUInt32LE(4)) return undefined;
  return { generation: bytes.readUInt32LE(8), queue: bytes.readUInt32LE(12) === 1 ? 'main' : 'small' };
}

export interface Trailer {
  readonly generation: number;
  /** Number of hints, which stand in front of it. */
  readonly count: number;
  /** Where the next record would begin, in units. */
  readonly end: number;
}

/** `hints`: of `trailer.count` records. */
export function encodeTrailer(trailer: Trailer, hints: Buffer): Buffer {
  const bytes = Buffer.alloc(TRAILER_BYTES);
  bytes.writeUInt32LE(TRAILER, 0);
  bytes.writeUInt32LE(trailer.generation, 8);
  bytes.writeUInt32LE(trailer.count, 12);
  bytes.writeUInt32LE(trailer.end, 16);
  bytes.writeUInt32LE(crc32(hints), 20);
  bytes.writeUInt32LE(crc32(bytes.subarray(8)), 4);
  return bytes;
}

/** Undefined when there is none; believe it only after {@link areHintsWhole}. */
export function decodeTrailer(bytes: Buffer): Trailer | undefined {
  if (bytes.length < TRAILER_BYTES || bytes.readUInt32LE(0) !== TRAILER) return undefined;
  if (crc32(bytes.subarray(8)) !== bytes.readUInt32LE(4)) return undefined;
  return { generation: bytes.readUInt32LE(8), count: bytes.readUInt32LE(12), end: bytes.readUInt32LE(16) };
}

export function areHintsWhole(trailer: Buffer, hints: Buffer): boolean {
  return crc32(hints) === trailer.readUInt32LE(20);
}
