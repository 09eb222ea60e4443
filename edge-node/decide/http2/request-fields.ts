// A request's field section as HTTP/2 brings it, read into what HTTP/1 would say (RFC 9113 section 8.3.1), and whether it may be
// read so. Strict: what sections 8.1.1, 8.2 and 8.3 call malformed is, and what only HTTP/1 would refuse is answered as there.
import { type Failure, failure } from '../errors.ts';
import { TARGET } from '../http1/octets.ts';
import { isToken } from '../http1/response-head.ts';
import { fieldName, isFieldValue } from './field-text.ts';

export interface FieldSectionLimits {
  /** Of names and values with 32 bytes for each field, as RFC 9113 section 6.5.2 counts them. */
  readonly headBytes: number;
  readonly fieldCount: number;
}

export interface Http2Request {
  readonly kind: 'request';
  readonly method: string;
  /** The value of `:path`; empty where there was none (CONNECT). */
  readonly target: string;
  /** Without pseudo-fields; Host first, from `:authority`. */
  readonly fields: string[];
  /** Undefined: not said. */
  readonly contentLength: number | undefined;
  readonly expectsContinue: boolean;
  /** Fields that were dropped for "_", which many origins cannot tell from "-". */
  readonly dropped: number;
  /** Set: the request is to be answered with this. */
  readonly refusal: Failure | undefined;
}

/** The stream is to be reset (section 8.1.1). */
export interface Malformed {
  readonly kind: 'malformed';
  readonly detail: string;
}

const COLON = 58;
const HASH = 0x23;
const SLASH = 0x2f;
/** What RFC 3986 section 3.2 has for an authority; without "@", since RFC 9113 section 8.3.1 forbids userinfo. */
const AUTHORITY = /^[A-Za-z0-9._~!$&'()*+,;=:[\]%-]+$/;
const LENGTH = /^[0-9]{1,15}$/;
const TWICE = 'is there twice, or cannot be one';
/** RFC 9113 section 6.5.2. */
const FIELD_OVERHEAD = 32;

/** `raw`: name, value, name, value ... as received. The connection's scheme is https. */
export function readRequestFields(raw: readonly string[], limits: FieldSectionLimits): Http2Request | Malformed {
  const pseudo = readPseudoFields(raw);
  if (pseudo.kind === 'malformed') return pseudo;
  const { method, target, authority } = pseudo;
  let host = authority;
  let hosts = 0;
  let contentLength: number | undefined;
  let expectsContinue = false;
  let dropped = 0;
  let cookieAt = -1;
  let bytes = pseudo.bytes;
  let refusal: Failure | undefined;
  const fields: string[] = ['host', ''];
  for (let i = pseudo.end; i < raw.length; i += 2) {
    const received = raw[i] ?? '';
    const value = raw[i + 1] ?? '';
    bytes += received.length + value.length + FIELD_OVERHEAD;
    const name = fieldName(received);
    if (name === '') return malformed(received, 'cannot be a name here');
    if (!isFieldValue(value)) return malformed(received, 'has a value that cannot be one');
    switch (name) {
      case 'connection':
      case 'keep-alive':
      case 'proxy-connection':
      case 'transfer-encoding':
      case 'upgrade':
        return malformed(name, 'is not of HTTP/2');
      case 'te':
        if (value !== 'trailers') return malformed(name, 'is not "trailers"');
        break;
      case 'host':
        hosts += 1;
        if (hosts > 1 || !AUTHORITY.test(value)) return malformed(name, 'is there twice, or cannot be a host');
        host ??= value;
        if (!sameAuthority(host, value)) refusal ??= failure('malformed-host', 'Host contradicts :authority');
        continue;
      case 'cookie':
        // Crumbs become one field again before anyone reads them (section 8.2.3).
        if (cookieAt >= 0) {
          fields[cookieAt] = `${fields[cookieAt]}; ${value}`;
          continue;
        }
        cookieAt = fields.length + 1;
        break;
      case 'content-length':
        if (contentLength !== undefined || !LENGTH.test(value)) return malformed(name, 'is there twice, or no length');
        contentLength = Number(value);
        break;
      case 'expect':
        if (value.toLowerCase() === '100-continue') expectsContinue = true;
        else refusal ??= failure('expectation-failed', 'an expectation other than 100-continue');
        break;
      default:
        if (name.includes('_')) {
          dropped += 1;
          continue;
        }
    }
    fields.push(name, value);
  }
  if (host === undefined) return malformed(':authority', 'is missing, and there is no host');
  fields[1] = host;
  if (raw.length / 2 > limits.fieldCount) refusal = failure('fields-too-large', `${raw.length / 2} fields`);
  else if (bytes > limits.headBytes) refusal = failure('fields-too-large', `${bytes} bytes of fields`);
  else if (pseudo.scheme !== 'https') refusal ??= failure('misdirected', 'an http URL on a connection for https');
  return { kind: 'request', method, target, fields, contentLength, expectsContinue, dropped, refusal };
}

/** Whether `raw` can be the trailers of a request (section 8.1); undefined: it can. */
export function checkTrailers(raw: readonly string[]): Malformed | undefined {
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] ?? '';
    if (fieldName(name) === '' || !isFieldValue(raw[i + 1] ?? '')) return malformed(name, 'cannot be in trailers');
  }
  return undefined;
}

interface PseudoFields {
  readonly kind: 'pseudo';
  readonly method: string;
  readonly target: string;
  readonly scheme: string;
  readonly authority: string | undefined;
  /** Where the other fields begin. */
  readonly end: number;
  readonly bytes: number;
}

/** Section 8.3.1; CONNECT is of section 8.5. */
function readPseudoFields(raw: readonly string[]): PseudoFields | Malformed {
  let method: string | undefined;
  let target: string | undefined;
  let scheme: string | undefined;
  let authority: string | undefined;
  let bytes = 0;
  let end = 0;
  for (; end < raw.length && raw[end]?.charCodeAt(0) === COLON; end += 2) {
    const name = raw[end] ?? '';
    const value = raw[end + 1] ?? '';
    bytes += name.length + value.length + FIELD_OVERHEAD;
    switch (name) {
      case ':method':
        if (method !== undefined || !isToken(value)) return malformed(name, TWICE);
        method = value;
        break;
      case ':path':
        if (target !== undefined || !isPath(value)) return malformed(name, TWICE);
        target = value;
        break;
      case ':scheme':
        if (scheme !== undefined || !isToken(value)) return malformed(name, TWICE);
        scheme = value;
        break;
      case ':authority':
        if (authority !== undefined || !AUTHORITY.test(value)) return malformed(name, TWICE);
        authority = value;
        break;
      default:
        return malformed(name, 'is not known');
    }
  }
  if (method === undefined) return malformed(':method', 'is missing');
  if (method === 'CONNECT') {
    if (target !== undefined || scheme !== undefined || authority === undefined) {
      return malformed(':method', 'is CONNECT, which takes :authority and nothing else');
    }
    return { kind: 'pseudo', method, target: '', scheme: 'https', authority, end, bytes };
  }
  if (scheme === undefined || target === undefined) return malformed(':scheme or :path', 'is missing');
  if (target === '*' && method !== 'OPTIONS') return malformed(':path', 'is "*"');
  return { kind: 'pseudo', method, target, scheme, authority, end, bytes };
}

/** In origin-form or "*". A "#" is left for the canonical form to refuse, with an answer. */
function isPath(value: string): boolean {
  for (let i = 0; i < value.length; i += 1) {
    const octet = value.charCodeAt(i);
    if (TARGET[octet] !== 1 && octet !== HASH) return false;
  }
  return value.charCodeAt(0) === SLASH || value === '*';
}

/** Section 8.3.1: compared as authorities are, not as text. */
function sameAuthority(a: string, b: string): boolean {
  return a === b || normal(a) === normal(b);
}

function normal(authority: string): string {
  const lower = authority.toLowerCase();
  return lower.endsWith(':443') ? lower.slice(0, -4) : lower;
}

function malformed(name: string, what: string): Malformed {
  return { kind: 'malformed', detail: `${JSON.stringify(name.slice(0, 64))} ${what}` };
}
