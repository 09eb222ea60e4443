// The Huffman code of HPACK (RFC 7541 section 5.2 and appendix B). It is canonical: shorter codes come first, and codes of one length
// go up with their octets. So the lengths alone say it all; codes, and a table to read them by, are made of those here.
import { CODE, ConnectionError } from './codes.ts';

/** Bits of each octet's code, 32 octets to a line ("28x7": seven of 28 bits), and of the end of a string at the very end. */
const LENGTHS: readonly string[] = [
  '13 23 28x7 24 30 28x2 30 28x8 30 28x9',
  '6 10x2 12 13 6 8 11 10x2 8 11 8 6x3 5x3 6x7 7 8 15 6 12 10',
  '13 6 7x22 8 7 8 13 19 13 14 6',
  '15 5 6 5 6 5 6x3 5 7x2 6x3 5 6 7 6 5x2 6 7x5 15 11 14 13 28',
  '20 22 20x2 22x3 23 22 23x5 24 23 24x2 22 23 24 23x4 21 22 23 22 23x2 24',
  '22 21 20 22x2 23x2 21 23 22x2 24 21 22 23x2 21x2 22 21 23 22 23x2 20 22x3 23 22x2 23',
  '26x2 20 19 22 23 22 25 26x3 27x2 26 24 25 19 21 26 27x2 26 27 24 21x2 26x2 28 27x3',
  '20 24 20 21 22 21x2 23 22x2 25x2 24x2 26 23 26 27 26x2 27x5 28 27x5 26 30',
];

const END = 256;
/** Entries of the table: the state that follows (8 bits), the octet that is complete (8 bits), and whether there is one. */
const COMPLETE = 0x1_0000;
const IMPOSSIBLE = 0x2_0000;

const lengths = LENGTHS.flatMap((line) => line.split(' ')).flatMap((run) => {
  const [bits = 0, count = 1] = run.split('x').map(Number);
  return new Array<number>(count).fill(bits);
});
const BITS = Uint8Array.from(lengths);
const CODES = new Uint32Array(lengths.length);
/** `STEPS[state * 16 + four bits]`. A state is what has been read of a code that is not complete; 0: nothing. */
const STEPS = new Uint32Array(END * 16);
/** 1 for states in which a string may end: fewer than 8 bits, all of them 1. */
const MAY_END = new Uint8Array(END);
build();

/** More than this is decoded in memory of its own, octets. */
const SCRATCH = 4_096;
const scratch = Buffer.alloc(SCRATCH);

/** The text (latin1) that `window[start..stop)` encodes. Throws a `ConnectionError` when it is none. */
export function decodeHuffman(window: Buffer, start: number, stop: number): string {
  const most = ((stop - start) * 8) / 5;
  const out = most > SCRATCH ? Buffer.allocUnsafe(Math.ceil(most)) : scratch;
  let state = 0;
  let size = 0;
  for (let at = start; at < stop; at += 1) {
    const octet = window[at] ?? 0;
    const high = STEPS[state * 16 + (octet >>> 4)] ?? 0;
    if ((high & COMPLETE) !== 0) {
      out[size] = (high >>> 8) & 0xff;
      size += 1;
    }
    const low = STEPS[(high & 0xff) * 16 + (octet & 0xf)] ?? 0;
    if (((high | low) & IMPOSSIBLE) !== 0) throw malformed();
    if ((low & COMPLETE) !== 0) {
      out[size] = (low >>> 8) & 0xff;
      size += 1;
    }
    state = low & 0xff;
  }
  if (MAY_END[state] === 0) throw malformed();
  return out.toString('latin1', 0, size);
}

/** Octets of `text` (latin1) encoded. */
export function huffmanSize(text: string): number {
  let bits = 0;
  for (let i = 0; i < text.length; i += 1) bits += BITS[text.charCodeAt(i)] ?? 0;
  return (bits + 7) >>> 3;
}

/** `text` (latin1) encoded, each character an octet. */
export function encodeHuffman(text: string): string {
  const size = huffmanSize(text);
  const out = size > SCRATCH ? Buffer.allocUnsafe(size) : scratch;
  let at = 0;
  let held = 0;
  let bits = 0;
  for (let i = 0; i < text.length; i += 1) {
    const octet = text.charCodeAt(i);
    let code = CODES[octet] ?? 0;
    let length = BITS[octet] ?? 0;
    // No more than 16 bits at a time, so that with those held they fit into 31.
    if (length > 16) {
      length -= 16;
      held = (held << length) | (code >>> 16);
      bits += length;
      for (; bits >= 8; at += 1) {
        bits -= 8;
        out[at] = held >>> bits;
      }
      held &= 0xff;
      code &= 0xffff;
      length = 16;
    }
    held = (held << length) | code;
    bits += length;
    for (; bits >= 8; at += 1) {
      bits -= 8;
      out[at] = held >>> bits;
    }
    held &= 0xff;
  }
  if (bits > 0) out[at] = (held << (8 - bits)) | (0xff >>> bits);
  return out.toString('latin1', 0, size);
}

function build(): void {
  const symbols = lengths.map((_, symbol) => symbol).sort((a, b) => (BITS[a] ?? 0) - (BITS[b] ?? 0) || a - b);
  let code = 0;
  let last = BITS[symbols[0] ?? 0] ?? 0;
  // A tree: for each state, where 0 and 1 lead: to a state, or (negative) to a symbol.
  const tree: [number, number][] = [[0, 0]];
  for (const symbol of symbols) {
    const length = BITS[symbol] ?? 0;
    code <<= length - last;
    last = length;
    CODES[symbol] = code;
    let state = 0;
    for (let bit = length - 1; bit >= 0; bit -= 1) {
      const branch = tree[state] ?? [0, 0];
      const side = (code >>> bit) & 1;
      if (bit === 0) branch[side] = -1 - symbol;
      else if (branch[side] === 0) branch[side] = tree.push([0, 0]) - 1;
      state = Math.max(0, branch[side] ?? 0);
    }
    code += 1;
  }
  for (let state = 0; state < tree.length; state += 1)
    for (let nibble = 0; nibble < 16; nibble += 1) STEPS[state * 16 + nibble] = step(tree, state, nibble);
  for (let state = 0, bits = 0; bits < 8; bits += 1) {
    MAY_END[state] = 1;
    state = Math.max(0, tree[state]?.[1] ?? 0);
  }
}

function step(tree: readonly (readonly [number, number])[], from: number, nibble: number): number {
  let entry = 0;
  let state = from;
  for (let bit = 3; bit >= 0; bit -= 1) {
    const next = tree[state]?.[(nibble >>> bit) & 1 ? 1 : 0] ?? 0;
    if (next === -1 - END) return IMPOSSIBLE;
    if (next < 0) entry = COMPLETE | ((-1 - next) << 8);
    state = Math.max(0, next);
  }
  return entry | state;
}

function malformed(): ConnectionError {
  return new ConnectionError(CODE.compressionError, 'a string that the Huffman code does not have');
}
