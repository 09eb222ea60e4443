// The head of a response as a field block (RFC 9113 section 8.3.2, RFC 7541), from a status and fields. The dynamic table is not
// used: so a block is right on any connection, whatever went over it before; it can be made once and sent to many, and at neither
// end does a table take memory. Names come from the static table where it has them.
//
// Names and values are checked here, last before the wire, as for HTTP/1.1. Blocks are text, each character an octet (latin1).
import type { FieldList } from '../fields.ts';
import type { MalformedField } from '../http1/response-head.ts';
import { fieldName, isFieldValue } from './field-text.ts';
import { STATIC_INDEX, STATIC_NAMES, STATIC_VALUES } from './hpack-static.ts';
import { encodeHuffman, huffmanSize } from './huffman.ts';

export interface ResponseBlock {
  readonly kind: 'block';
  readonly octets: string;
}

/** An answer that is the same for many requests: its block is made for the first of them. */
export interface Prepared {
  readonly status: number;
  readonly fields: FieldList;
  readonly body: Uint8Array | undefined;
  /** Of the body; undefined where no length is stated. */
  readonly length: number | undefined;
  /** Of `responseBlock`; undefined until then. */
  block: string | undefined;
}

/** What was sent last under one name: mostly the same as will be sent next. */
interface Line {
  /** The field line up to its value; "" for a field that does not go out. */
  readonly start: string;
  value: string | undefined;
  octets: string;
  /** Values are packed once they are seen again: most of the work for few of the octets, so not for what is sent once. */
  packed: boolean;
}

/** RFC 7541 section 6.2: without indexing, and never to be indexed by anyone on the way (section 7.1.3). */
const LITERAL = 0x00;
const NEVER_INDEXED = 0x10;
const SECRET: ReadonlySet<string> = new Set([
  'set-cookie',
  'authorization',
  'proxy-authorization',
  'authentication-info',
]);
/** RFC 9113 section 8.2.2; and the length, which whoever sends the message knows. */
const NOT_SENT: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
]);
/** A dynamic table of size 0 (section 6.3): what the first block on a connection has to begin with. */
export const NO_TABLE = '\x20';
const STATUS_INDEX = 8;
const LINES_MAX = 512;
/** A longer value is not remembered, characters. */
const VALUE_MAX = 1_024;

const lines = new Map<string, Line>();
const statuses = new Map<number, string>();

/**
 * The block for `status` (100..999) and `fields` (names in lower case). Left out are fields that HTTP/2 does not have; `length`,
 * where it is known, becomes Content-Length unless `status` forbids that. `date` is used when `fields` has none; "": no Date.
 */
export function responseBlock(
  status: number,
  fields: FieldList,
  length: number | undefined,
  date: string,
): ResponseBlock | MalformedField {
  let octets = statusLine(status);
  let dated = date === '';
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] ?? '';
    const line = fieldLine(name, fields[i + 1] ?? '');
    if (line === undefined) return { kind: 'malformed-field', name: name.slice(0, 64) };
    octets += line;
    if (name === 'date') dated = true;
  }
  if (!dated) octets += fieldLine('date', date) ?? '';
  // RFC 9110 section 8.6: none on 204; on 304 only what a 200 would have, which is not known here.
  if (length !== undefined && status !== 204 && status !== 304) octets += lineOf(LENGTH_LINE, String(length)) ?? '';
  return { kind: 'block', octets };
}

function statusLine(status: number): string {
  let line = statuses.get(status);
  if (line === undefined) {
    if (!(status >= 100 && status <= 999)) throw new RangeError(`status ${status} is not within 100..999`);
    const index = STATIC_VALUES.findIndex((value, at) => STATIC_NAMES[at] === ':status' && value === String(status));
    line = index > 0 ? integer(index, 7, 0x80) : integer(STATUS_INDEX, 4, LITERAL) + plain(String(status));
    statuses.set(status, line);
  }
  return line;
}

/** Undefined: it cannot be sent. "": it is not to be sent. */
function fieldLine(name: string, value: string): string | undefined {
  let line = lines.get(name);
  if (line === undefined) {
    if (fieldName(name) === '') return undefined;
    line = newLine(name, !NOT_SENT.has(name));
    if (lines.size >= LINES_MAX) lines.clear();
    lines.set(name, line);
  }
  return lineOf(line, value);
}

function newLine(name: string, sent: boolean): Line {
  const index = STATIC_INDEX.get(name) ?? 0;
  const start = integer(index, 4, SECRET.has(name) ? NEVER_INDEXED : LITERAL) + (index === 0 ? packed(name) : '');
  return { start: sent ? start : '', value: undefined, octets: '', packed: false };
}

const LENGTH_LINE = newLine('content-length', true);

function lineOf(line: Line, value: string): string | undefined {
  if (line.start === '') return '';
  if (line.value === value) {
    if (!line.packed) {
      line.octets = line.start + packed(value);
      line.packed = true;
    }
    return line.octets;
  }
  const sent = isFieldValue(value) ? value : value.replace(/^[ \t]+|[ \t]+$/g, '');
  if (!isFieldValue(sent)) return undefined;
  const octets = line.start + plain(sent);
  if (sent === value && value.length <= VALUE_MAX) {
    line.value = value;
    line.octets = octets;
    line.packed = false;
  }
  return octets;
}

/** Section 5.2. */
function plain(text: string): string {
  return integer(text.length, 7, 0) + text;
}

function packed(text: string): string {
  const size = huffmanSize(text);
  return size < text.length ? integer(size, 7, 0x80) + encodeHuffman(text) : plain(text);
}

/** Section 5.1, `high` being the bits before the prefix of `bits`. */
function integer(value: number, bits: number, high: number): string {
  const most = (1 << bits) - 1;
  if (value < most) return String.fromCharCode(high | value);
  let octets = String.fromCharCode(high | most);
  let left = value - most;
  for (; left >= 128; left >>>= 7) octets += String.fromCharCode((left & 0x7f) | 0x80);
  return octets + String.fromCharCode(left);
}
