// Reads one MaxMind DB file (format 2.0) whole into memory and refuses it unless it is sound and says where addresses are.
// The reader believes what a file says of itself, so everything that it relies on is checked here first.
import type { BigIntStats } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { type CityResponse, Reader } from 'maxmind';
import { formatAddress } from './address.ts';
import { findCoordinates, parseRecord } from './location.ts';
import { Memo } from './memo.ts';

/** The message names the file, what is wrong with it and what to do. */
export class GeoDatabaseError extends Error {
  override readonly name = 'GeoDatabaseError';

  constructor(file: string, problem: string, remedy: string) {
    super(`geographic database ${file}: ${problem}; ${remedy}`);
  }
}

/** A file that was read: in shared memory, so that all threads of a process look up in one copy. */
export interface GeoImage {
  readonly file: string;
  /** Which state of the file this is. */
  readonly signature: string;
  readonly memory: SharedArrayBuffer;
}

export interface Database {
  readonly image: GeoImage;
  readonly reader: Reader<CityResponse>;
  readonly ipVersion: 4 | 6;
  /** As the file names it: "GeoLite2-City". */
  readonly type: string;
  readonly built: Date;
  readonly bytes: number;
}

/** Bytes; the largest City database in use is a quarter of this. */
export const MAX_FILE_BYTES = 1024 ** 3;

const AGAIN = 'download it again';
const CITY = 'a City database is needed, such as GeoLite2-City, GeoIP2-City or DB-IP City';

/** Reads and checks. Throws GeoDatabaseError. */
export async function loadDatabase(file: string): Promise<Database> {
  const database = openImage(await readWhole(file));
  checkSample(database);
  return database;
}

/** Changes when the file is replaced or written to. Throws what the file system says. */
export async function signatureOf(file: string): Promise<string> {
  return signature(await stat(file, { bigint: true }));
}

function signature({ ino, size, mtimeNs }: BigIntStats): string {
  return `${ino} ${size} ${mtimeNs}`;
}

async function readWhole(file: string): Promise<GeoImage> {
  try {
    const found = await stat(file, { bigint: true });
    // Before it is opened: to open a pipe is to wait for its writer.
    if (!found.isFile()) throw new GeoDatabaseError(file, 'is not a regular file', 'name the .mmdb file itself');
    if (found.size > MAX_FILE_BYTES) throw new GeoDatabaseError(file, `is larger than ${MAX_FILE_BYTES} bytes`, CITY);
    const memory = new SharedArrayBuffer(Number(found.size));
    const complete = await fill(Buffer.from(memory), file);
    if (complete && (await signatureOf(file)) === signature(found))
      return { file, signature: signature(found), memory };
    throw new GeoDatabaseError(file, 'changed while it was read', 'write it elsewhere and rename it over the old one');
  } catch (error) {
    if (error instanceof GeoDatabaseError) throw error;
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    const problem = missing ? 'does not exist' : `cannot be read (${messageOf(error)})`;
    throw new GeoDatabaseError(file, problem, 'check the path and its permissions');
  }
}

/** False: the file ended before `bytes` was full. */
async function fill(bytes: Buffer, file: string): Promise<boolean> {
  const handle = await open(file);
  try {
    for (let at = 0; at < bytes.length; ) {
      const { bytesRead } = await handle.read(bytes, at, bytes.length - at, at);
      if (bytesRead === 0) return false;
      at += bytesRead;
    }
    return true;
  } finally {
    await handle.close();
  }
}

const METADATA_MARKER = Buffer.from('\xab\xcd\xefMaxMind.com', 'latin1');
/** The metadata is within this many bytes of the end. */
const METADATA_REACH = 128 * 1024;
/** Zero bytes between the search tree and the data. */
const SEPARATOR_BYTES = 16;
const DECODED_VALUES = 10_000;

/** Reads what an image says of itself; the rest is as whoever loaded it has checked it. Throws GeoDatabaseError. */
export function openImage(image: GeoImage): Database {
  const { file } = image;
  const bytes = Buffer.from(image.memory);
  if (bytes.length === 0) throw new GeoDatabaseError(file, 'is empty', AGAIN);
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) {
    throw new GeoDatabaseError(file, 'is a gzip archive', 'unpack it and name the .mmdb file inside');
  }
  const tail = bytes.subarray(-METADATA_REACH).lastIndexOf(METADATA_MARKER);
  if (tail === -1) {
    throw new GeoDatabaseError(file, 'is not a MaxMind DB file, or was cut short: it has no metadata', AGAIN);
  }
  const dataEnd = Math.max(0, bytes.length - METADATA_REACH) + tail;
  let reader: Reader<CityResponse>;
  try {
    // Values that records share by pointer are decoded once; without it, a file could make that take for ever.
    reader = new Reader<CityResponse>(bytes, { cache: new Memo<string | number, unknown>(DECODED_VALUES) });
  } catch (error) {
    throw new GeoDatabaseError(file, `has unreadable metadata (${messageOf(error)})`, AGAIN);
  }
  const { binaryFormatMajorVersion, ipVersion, nodeCount, searchTreeSize, databaseType, buildEpoch } = reader.metadata;
  if (binaryFormatMajorVersion !== 2) {
    throw new GeoDatabaseError(
      file,
      `has format version ${binaryFormatMajorVersion}`,
      'use a file of format version 2',
    );
  }
  const sane = Number.isSafeInteger(nodeCount) && nodeCount > 0 && typeof databaseType === 'string';
  if (!sane || (ipVersion !== 4 && ipVersion !== 6) || Number.isNaN(buildEpoch.getTime())) {
    throw new GeoDatabaseError(file, 'has metadata with missing or impossible values', AGAIN);
  }
  const separator = bytes.subarray(searchTreeSize, searchTreeSize + SEPARATOR_BYTES);
  if (searchTreeSize + SEPARATOR_BYTES > dataEnd || separator.some((byte) => byte !== 0)) {
    throw new GeoDatabaseError(file, `is damaged: its tree of ${nodeCount} nodes does not end where it should`, AGAIN);
  }
  return { image, reader, ipVersion, built: buildEpoch, type: databaseType, bytes: bytes.length };
}

/** Walks from the root to a leaf this many times. */
const WALKS = 300;
/** Refused when more than one in this many of the records met has coordinates that cannot be. */
const TOLERATED = 100;

/** Looks addresses up that are spread over the tree, and the first and last ones. */
function checkSample(database: Database): void {
  const { image, reader, ipVersion } = database;
  const { file } = image;
  const addresses =
    ipVersion === 4 ? ['0.0.0.0', '255.255.255.255'] : ['::', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'];
  for (let walk = 0; walk < WALKS; walk += 1) addresses.push(walkToLeaf(database, walk));
  let records = 0;
  let located = 0;
  let broken = 0;
  for (const address of addresses) {
    try {
      const record = reader.get(address);
      if (record !== null) records += 1;
      if (parseRecord(record)) located += 1;
      else if (findCoordinates(record)) broken += 1;
    } catch (error) {
      throw new GeoDatabaseError(
        file,
        `is damaged: the record of ${address} is unreadable (${messageOf(error)})`,
        AGAIN,
      );
    }
  }
  if (records === 0) throw new GeoDatabaseError(file, 'holds no records', AGAIN);
  if (broken * TOLERATED > records) {
    throw new GeoDatabaseError(file, `is damaged: ${broken} of ${records} records have impossible coordinates`, AGAIN);
  }
  if (located === 0) {
    const type = JSON.stringify(reader.metadata.databaseType.slice(0, 60));
    throw new GeoDatabaseError(file, `is of type ${type}, which has no coordinates`, CITY);
  }
}

/** Follows the bits of `walk` from the root, round what is empty, to a record; returns an address that has it. */
function walkToLeaf({ image, reader, ipVersion }: Database, walk: number): string {
  const bytes = Buffer.from(image.memory);
  const { nodeCount, recordSize, nodeByteSize } = reader.metadata;
  const groups = [0, 0, 0, 0, 0, 0, 0, 0];
  let node = 0;
  // Multiples of the golden ratio are spread evenly; each bit that was used comes round again.
  let bits = Math.imul(walk, 0x9e3779b1);
  for (let depth = 0; depth < (ipVersion === 4 ? 32 : 128) && node < nodeCount; depth += 1) {
    let side = bits >>> 31;
    bits = (bits << 1) | side;
    let next = recordAt(bytes, node * nodeByteSize, recordSize, side);
    if (next === nodeCount) {
      side = 1 - side;
      next = recordAt(bytes, node * nodeByteSize, recordSize, side);
    }
    if (side === 1) groups[depth >> 4] = (groups[depth >> 4] ?? 0) | (0x8000 >> (depth & 15));
    node = next;
  }
  if (ipVersion === 6) return groups.map((group) => group.toString(16)).join(':');
  const [high = 0, low = 0] = groups;
  return formatAddress({ family: 4, value: high * 65536 + low });
}

/** The left (0) or right (1) record of the node at `offset`; `recordSize` is 24, 28 or 32 bits. */
function recordAt(bytes: Buffer, offset: number, recordSize: number, side: number): number {
  if (recordSize === 24) return bytes.readUIntBE(offset + side * 3, 3);
  if (recordSize === 32) return bytes.readUInt32BE(offset + side * 4);
  // The middle byte holds the top four bits of both.
  const middle = bytes[offset + 3] ?? 0;
  return (side === 0 ? middle >> 4 : middle & 15) * 0x1000000 + bytes.readUIntBE(offset + side * 4, 3);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
