// Field blocks to fields (RFC 7541), with the dynamic table that they build up. What a block makes us hold is bounded: the table by
// the size that the peer was told (4 KiB, the default), the fields of one block by `FieldLimits`. A block beyond those is still
// read to its end, since the table has to follow it, but no more of its fields are kept.
import { CODE, ConnectionError } from './codes.ts';
import { STATIC_NAMES, STATIC_SIZE, STATIC_VALUES } from './hpack-static.ts';
import { decodeHuffman } from './huffman.ts';

export interface BlockLimits {
  readonly fieldCount: number;
  /** Of names and values with 32 bytes for each field, as RFC 9113 section 6.5.2 counts them. */
  readonly fieldBytes: number;
}

/** SETTINGS_HEADER_TABLE_SIZE at its default, octets (RFC 9113 section 6.5.2). */
const TABLE_MAX = 4_096;
/** RFC 7541 section 4.1: octets that an entry counts for, beside its name and value. */
const ENTRY_OVERHEAD = 32;
const SLOTS = TABLE_MAX / ENTRY_OVERHEAD;
/** Continuation octets of an integer: 28 bits are more than any length or index can need. */
const INTEGER_OCTETS = 4;
/** Section 4.2: a smaller size and the final one. */
const SIZE_UPDATES = 2;
const NOTHING = Buffer.alloc(0);

export class HpackDecoder {
  /** Changes whenever the table does: the same octets under the same number are the same fields. */
  version = 0;
  /** Whether the last block had more than the limits allow. */
  overflowed = false;
  /** A ring: the newest entry is the one before `#next`. */
  readonly #names: string[] = [];
  readonly #values: string[] = [];
  #next = 0;
  #count = 0;
  #size = 0;
  #maxSize = TABLE_MAX;
  #window: Buffer = NOTHING;
  #at = 0;
  #stop = 0;

  /** Octets that the table counts for. */
  get tableSize(): number {
    return this.#size;
  }

  /**
   * The fields (name, value, name, value ...; text is latin1, not checked in any way) of the block in `window[start..stop)`.
   * Throws a `ConnectionError` for what HPACK does not allow.
   */
  decode(window: Buffer, start: number, stop: number, limits: BlockLimits): string[] {
    this.#window = window;
    this.#at = start;
    this.#stop = stop;
    this.overflowed = false;
    const fields: string[] = [];
    let bytes = 0;
    let updates = 0;
    while (this.#at < this.#stop) {
      const first = window[this.#at] ?? 0;
      let name: string;
      let value: string;
      if ((first & 0x80) !== 0) {
        const index = this.#integer(0x7f);
        name = this.#nameAt(index);
        value = this.#valueAt(index);
      } else if ((first & 0xe0) === 0x20) {
        updates += 1;
        if (fields.length > 0 || updates > SIZE_UPDATES) fault('a change of the table size out of place');
        this.#resize(this.#integer(0x1f));
        continue;
      } else {
        const indexed = (first & 0x40) !== 0;
        const index = this.#integer(indexed ? 0x3f : 0x0f);
        name = index === 0 ? this.#string() : this.#nameAt(index);
        value = this.#string();
        if (indexed) this.#insert(name, value);
      }
      bytes += name.length + value.length + ENTRY_OVERHEAD;
      if (bytes <= limits.fieldBytes && fields.length < 2 * limits.fieldCount) fields.push(name, value);
      else this.overflowed = true;
    }
    this.#window = NOTHING;
    return fields;
  }

  /** Section 5.1; `mask`: the bits of the first octet that belong to it. */
  #integer(mask: number): number {
    let value = this.#octet() & mask;
    if (value < mask) return value;
    for (let shift = 0; shift < 7 * INTEGER_OCTETS; shift += 7) {
      const octet = this.#octet();
      value += (octet & 0x7f) << shift;
      if ((octet & 0x80) === 0) return value;
    }
    return fault('an integer that is too long');
  }

  /** Section 5.2. */
  #string(): string {
    const huffman = ((this.#window[this.#at] ?? 0) & 0x80) !== 0;
    const length = this.#integer(0x7f);
    const start = this.#at;
    if (length > this.#stop - start) fault('a string longer than its block');
    this.#at = start + length;
    return huffman ? decodeHuffman(this.#window, start, this.#at) : this.#window.toString('latin1', start, this.#at);
  }

  #octet(): number {
    if (this.#at >= this.#stop) fault('a block that ends within a field');
    const octet = this.#window[this.#at] ?? 0;
    this.#at += 1;
    return octet;
  }

  /** Section 2.3.3. Throws where neither table has the index. */
  #nameAt(index: number): string {
    if (index === 0 || index > STATIC_SIZE + this.#count) fault(`an index of ${index}`);
    return (index <= STATIC_SIZE ? STATIC_NAMES[index] : this.#names[this.#slot(index)]) ?? '';
  }

  /** To be called after `#nameAt`, which checks the index. */
  #valueAt(index: number): string {
    return (index <= STATIC_SIZE ? STATIC_VALUES[index] : this.#values[this.#slot(index)]) ?? '';
  }

  #slot(index: number): number {
    return (this.#next - (index - STATIC_SIZE) + SLOTS) % SLOTS;
  }

  /** Section 4.4: what is larger than the table empties it. */
  #insert(name: string, value: string): void {
    const size = name.length + value.length + ENTRY_OVERHEAD;
    this.version += 1;
    this.#evict(Math.max(0, this.#maxSize - size));
    if (size > this.#maxSize) return;
    this.#names[this.#next] = name;
    this.#values[this.#next] = value;
    this.#next = (this.#next + 1) % SLOTS;
    this.#count += 1;
    this.#size += size;
  }

  #resize(size: number): void {
    if (size > TABLE_MAX) fault(`a table of ${size} octets`);
    this.version += 1;
    this.#maxSize = size;
    this.#evict(size);
  }

  #evict(most: number): void {
    while (this.#size > most) {
      const oldest = (this.#next - this.#count + SLOTS) % SLOTS;
      this.#size -= (this.#names[oldest] ?? '').length + (this.#values[oldest] ?? '').length + ENTRY_OVERHEAD;
      this.#names[oldest] = '';
      this.#values[oldest] = '';
      this.#count -= 1;
    }
  }
}

function fault(message: string): never {
  throw new ConnectionError(CODE.compressionError, message);
}
