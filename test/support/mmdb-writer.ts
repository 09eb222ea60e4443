// Writes MaxMind DB files (format 2.0, https://maxmind.github.io/MaxMind-DB/), sound ones and, on request, damaged ones.

/** Numbers become doubles. */
export type MmdbValue =
  | string
  | number
  | boolean
  | Special
  | readonly MmdbValue[]
  | { readonly [key: string]: MmdbValue };

/** A value in an encoding of its own: the bytes as they stand in the file. */
export class Special {
  readonly bytes: Buffer;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }
}

export function uint16(value: number): Special {
  return uint(5, 2, BigInt(value));
}

export function uint32(value: number): Special {
  return uint(6, 4, BigInt(value));
}

export function uint64(value: number): Special {
  return uint(9, 8, BigInt(value));
}

/** Single precision. */
export function float(value: number): Special {
  const payload = Buffer.alloc(4);
  payload.writeFloatBE(value);
  return new Special(Buffer.concat([control(15, 4), payload]));
}

/** A double written the wrong way round. */
export function reversedDouble(value: number): Special {
  const payload = Buffer.alloc(8);
  payload.writeDoubleLE(value);
  return new Special(Buffer.concat([control(3, 8), payload]));
}

/** Stands for the value that begins `offset` bytes into the data. */
export function pointer(offset: number): Special {
  const bytes = Buffer.alloc(5);
  bytes[0] = (1 << 5) | (3 << 3);
  bytes.writeUInt32BE(offset, 1);
  return new Special(bytes);
}

export interface MmdbOptions {
  readonly type: string;
  readonly ipVersion: 4 | 6;
  /** CIDR blocks, none inside another, and their records, in the order in which the data holds them. */
  readonly networks: readonly (readonly [block: string, record: MmdbValue])[];
  readonly recordSize?: 24 | 28 | 32;
  /** Unix seconds. */
  readonly built?: number;
  /** Metadata that is to differ from the truth. */
  readonly metadata?: Readonly<Record<string, MmdbValue>>;
}

type Node = [Node | number | undefined, Node | number | undefined];

export function writeMmdb(options: MmdbOptions): Buffer {
  const { type, ipVersion, recordSize = 24 } = options;
  const root: Node = [undefined, undefined];
  const records: Buffer[] = [];
  let dataBytes = 0;
  for (const [block, record] of options.networks) {
    insert(root, blockBits(block, ipVersion), dataBytes);
    const bytes = encode(record);
    records.push(bytes);
    dataBytes += bytes.length;
  }
  const nodes: Node[] = [root];
  const numbers = new Map<Node, number>([[root, 0]]);
  for (const node of nodes) {
    for (const child of node) {
      if (typeof child !== 'object') continue;
      numbers.set(child, nodes.length);
      nodes.push(child);
    }
  }
  const value = (child: Node[number]): number => {
    if (child === undefined) return nodes.length;
    return typeof child === 'number' ? nodes.length + 16 + child : (numbers.get(child) ?? 0);
  };
  const tree = nodes.map(([left, right]) => encodeNode(value(left), value(right), recordSize));
  const metadata = encode({
    binary_format_major_version: uint16(2),
    binary_format_minor_version: uint16(0),
    build_epoch: uint64(options.built ?? 1_700_000_000),
    database_type: type,
    description: { en: 'made for tests' },
    ip_version: uint16(ipVersion),
    languages: ['en'],
    node_count: uint32(nodes.length),
    record_size: uint16(recordSize),
    ...options.metadata,
  });
  const marker = Buffer.from('\xab\xcd\xefMaxMind.com', 'latin1');
  return Buffer.concat([...tree, Buffer.alloc(16), ...records, marker, metadata]);
}

function insert(root: Node, bits: readonly number[], data: number): void {
  let node = root;
  for (const [depth, bit] of bits.entries()) {
    const child = node[bit === 1 ? 1 : 0];
    if (depth === bits.length - 1 ? child !== undefined : typeof child === 'number') {
      throw new Error('one network is inside another');
    }
    const next: Node = typeof child === 'object' ? child : [undefined, undefined];
    node[bit === 1 ? 1 : 0] = depth === bits.length - 1 ? data : next;
    node = next;
  }
}

/** The leading bits of a block; an IPv4 block in an IPv6 tree stands under ::/96. */
function blockBits(block: string, ipVersion: 4 | 6): number[] {
  const [address = '', length = ''] = block.split('/');
  const isIpv4 = !address.includes(':');
  const bits = isIpv4
    ? address.split('.').flatMap((part) => toBits(Number(part), 8))
    : expand(address).flatMap((group) => toBits(Number.parseInt(group, 16), 16));
  const prefix = isIpv4 && ipVersion === 6 ? Array<number>(96).fill(0) : [];
  return [...prefix, ...bits.slice(0, Number(length))];
}

function expand(address: string): string[] {
  const [head = '', tail] = address.split('::');
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':'));
  if (tail === undefined) return groups(head);
  const missing = 8 - groups(head).length - groups(tail).length;
  return [...groups(head), ...Array<string>(missing).fill('0'), ...groups(tail)];
}

function toBits(value: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => (value >>> (count - 1 - index)) & 1);
}

function encodeNode(left: number, right: number, recordSize: 24 | 28 | 32): Buffer {
  const node = Buffer.alloc(recordSize / 4);
  if (recordSize === 32) {
    node.writeUInt32BE(left, 0);
    node.writeUInt32BE(right, 4);
    return node;
  }
  node.writeUIntBE(left & 0xffffff, 0, 3);
  node.writeUIntBE(right & 0xffffff, recordSize / 8 + (recordSize === 28 ? 0.5 : 0), 3);
  if (recordSize === 28) node[3] = ((left >>> 24) << 4) | (right >>> 24);
  return node;
}

function encode(value: MmdbValue): Buffer {
  if (value instanceof Special) return value.bytes;
  if (typeof value === 'string') {
    const payload = Buffer.from(value);
    return Buffer.concat([control(2, payload.length), payload]);
  }
  if (typeof value === 'number') {
    const payload = Buffer.alloc(8);
    payload.writeDoubleBE(value);
    return Buffer.concat([control(3, 8), payload]);
  }
  if (typeof value === 'boolean') return control(14, Number(value));
  if (isList(value)) return Buffer.concat([control(11, value.length), ...value.map(encode)]);
  const entries = Object.entries(value);
  return Buffer.concat([control(7, entries.length), ...entries.flatMap(([key, item]) => [encode(key), encode(item)])]);
}

function isList(value: MmdbValue): value is readonly MmdbValue[] {
  return Array.isArray(value);
}

function uint(type: number, bytes: number, value: bigint): Special {
  const payload = Buffer.alloc(8);
  payload.writeBigUInt64BE(value);
  return new Special(Buffer.concat([control(type, bytes), payload.subarray(8 - bytes)]));
}

/** What stands before a value: its type and its size in bytes, entries or items. */
function control(type: number, size: number): Buffer {
  const extended = type > 7 ? [type - 7] : [];
  const high = type > 7 ? 0 : type << 5;
  if (size < 29) return Buffer.from([high | size, ...extended]);
  if (size < 285) return Buffer.from([high | 29, ...extended, size - 29]);
  if (size < 65_821) return Buffer.from([high | 30, ...extended, (size - 285) >>> 8, (size - 285) & 255]);
  throw new Error(`a value of size ${size} is more than this writer writes`);
}
