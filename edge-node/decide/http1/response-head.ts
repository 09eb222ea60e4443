// The head of an HTTP/1.1 response, to text that is written octet for octet (latin1), from a status and fields (RFC 9112
// sections 4 to 6). Names and values are checked here, last before the wire: an origin's value that could end a line would let
// it write another response (response splitting), and one beyond latin1 would be cut down to octets nobody checked.
import { formatHttpDate } from '../cache/http-date.ts';
import { FieldMemo } from '../field-memo.ts';
import type { FieldList } from '../fields.ts';
import { TOKEN_LOWER } from './octets.ts';

/** Status line and fields, without the empty line: more fields may follow. May be made once and written many times. */
export interface HeadText {
  readonly kind: 'text';
  readonly status: number;
  readonly text: string;
  /** Whether Date is among the fields; a message without one gets it when it is sent (RFC 9110 section 6.6.1). */
  readonly dated: boolean;
  /** What `headOctets` made of it last. */
  ended: EndedHead | undefined;
}

/** A whole head, to its empty line. */
interface EndedHead {
  readonly length: number | undefined;
  readonly lines: string;
  /** Made when it is wanted for the second time. */
  octets: Buffer | undefined;
}

/** A field that cannot be sent. */
export interface MalformedField {
  readonly kind: 'malformed-field';
  readonly name: string;
}

const HTAB = 0x09;
const SP = 0x20;
const DEL = 0x7f;
const LATIN1_MAX = 0xff;

/** RFC 9110 section 15 and the registry of status codes. Clients pay no heed to the phrase (RFC 9112 section 4). */
const PHRASES: Readonly<Record<number, string>> = {
  100: 'Continue',
  101: 'Switching Protocols',
  103: 'Early Hints',
  200: 'OK',
  201: 'Created',
  202: 'Accepted',
  203: 'Non-Authoritative Information',
  204: 'No Content',
  205: 'Reset Content',
  206: 'Partial Content',
  300: 'Multiple Choices',
  301: 'Moved Permanently',
  302: 'Found',
  303: 'See Other',
  304: 'Not Modified',
  307: 'Temporary Redirect',
  308: 'Permanent Redirect',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  406: 'Not Acceptable',
  408: 'Request Timeout',
  409: 'Conflict',
  410: 'Gone',
  412: 'Precondition Failed',
  413: 'Content Too Large',
  414: 'URI Too Long',
  415: 'Unsupported Media Type',
  416: 'Range Not Satisfiable',
  417: 'Expectation Failed',
  421: 'Misdirected Request',
  422: 'Unprocessable Content',
  426: 'Upgrade Required',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  451: 'Unavailable For Legal Reasons',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
  505: 'HTTP Version Not Supported',
  508: 'Loop Detected',
};

const statusLines = new Map<number, string>();
for (let status = 100; status < 1000; status += 1) {
  statusLines.set(status, `HTTP/1.1 ${status} ${PHRASES[status] ?? ''}\r\n`);
}

/**
 * The head for `status` (100..999) and `fields` (names in lower case). Left out are the fields that delimit the message or
 * speak of the connection (Content-Length, Transfer-Encoding, Connection, Keep-Alive): who writes the message adds its own.
 */
export function headText(status: number, fields: FieldList): HeadText | MalformedField {
  const known = heads.find(fields);
  if (known?.status === status) return known;
  const head = makeHeadText(status, fields);
  if (head.kind === 'text') heads.keep(fields, head);
  return head;
}

const heads = new FieldMemo<HeadText>();

function makeHeadText(status: number, fields: FieldList): HeadText | MalformedField {
  const start = statusLines.get(status);
  if (start === undefined) throw new RangeError(`status ${status} is not within 100..999`);
  let text = start;
  let dated = false;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] ?? '';
    const value = fields[i + 1] ?? '';
    if (isFraming(name)) continue;
    if (!isToken(name) || !isFieldValue(value)) return { kind: 'malformed-field', name: name.slice(0, 64) };
    if (name === 'date') dated = true;
    text += `${name}: ${value}\r\n`;
  }
  return { kind: 'text', status, text, dated, ended: undefined };
}

/**
 * The whole of a head that is dated: Content-Length unless `length` is undefined, `lines`, which are whole ones, and the empty line
 * are added. Octets where it comes again, so that they are made once; else text.
 */
export function wholeHead(head: HeadText, length: number | undefined, lines: string): string | Uint8Array {
  const { ended } = head;
  if (ended !== undefined && ended.length === length && ended.lines === lines) {
    ended.octets ??= Buffer.from(head.text + headEnd(length, lines), 'latin1');
    return ended.octets;
  }
  head.ended = { length, lines, octets: undefined };
  return head.text + headEnd(length, lines);
}

/** What `wholeHead` adds. */
export function headEnd(length: number | undefined, lines: string): string {
  return length === undefined ? `${lines}\r\n` : `content-length: ${length}\r\n${lines}\r\n`;
}

/** Trailers as they are written, without the empty line; undefined when one cannot be sent. */
export function fieldLines(fields: FieldList): string | undefined {
  let text = '';
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] ?? '';
    const value = fields[i + 1] ?? '';
    if (!isToken(name) || !isFieldValue(value)) return undefined;
    text += `${name}: ${value}\r\n`;
  }
  return text;
}

function isFraming(name: string): boolean {
  switch (name) {
    case 'content-length':
    case 'transfer-encoding':
    case 'connection':
    case 'keep-alive':
      return true;
    default:
      return false;
  }
}

/** RFC 9110 section 5.6.2. */
export function isToken(name: string): boolean {
  for (let i = 0; i < name.length; i += 1) if (!TOKEN_LOWER[name.charCodeAt(i)]) return false;
  return name.length > 0;
}

/** RFC 9110 section 5.5, obs-text allowed. */
export function isFieldValue(value: string): boolean {
  for (let i = 0; i < value.length; i += 1) {
    const unit = value.charCodeAt(i);
    if (unit < SP ? unit !== HTAB : unit === DEL || unit > LATIN1_MAX) return false;
  }
  return true;
}

/**
 * A response to GET in HTTP/1.1 on a connection that persists: the head with `length`, unless that is undefined, and `body`,
 * whole or empty. What many clients get in one second can be rendered once in it. Undefined for what cannot be sent, or would
 * need the Date of the moment.
 */
export function renderResponse(
  status: number,
  fields: FieldList,
  body: Uint8Array,
  length: number | undefined,
): Buffer | undefined {
  const head = headText(status, fields);
  if (head.kind === 'malformed-field' || !head.dated) return undefined;
  const framing = length === undefined ? '' : `content-length: ${length}\r\n`;
  const text = `${head.text}${framing}\r\n`;
  const octets = Buffer.allocUnsafeSlow(text.length + body.length);
  octets.set(body, octets.write(text, 'latin1'));
  return octets;
}

/** Date for the second that it is, made once a second. */
export class DateText {
  #second = Number.NaN;
  #text = '';

  /** IMF-fixdate. `now`: Unix milliseconds. */
  at(now: number): string {
    const second = Math.floor(now / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#text = formatHttpDate(second * 1000);
    }
    return this.#text;
  }
}
