// A request's field section as HTTP/2 brings it, read into what HTTP/1 would say (RFC 9113 section 8.3.1), and whether it may be
// read so. Before this, nghttp2 refused names in upper case, characters that no name or value may have, fields of the
// connection, pseudo-fields that are doubled, unknown, missing or late, and a Content-Length that is none (sections 8.1.1, 8.2).
import { type Failure, failure } from '../errors.ts';

export interface FieldSectionLimits {
  /** Of names and values with 32 bytes for each field, as RFC 9113 section 6.5.2 counts them. */
  readonly headBytes: number;
  readonly fieldCount: number;
}

export interface Http2Request {
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

const COLON = 58;

/** `raw`: name, value, name, value ... as received, names in lower case. The connection's scheme is https. */
export function readRequestFields(raw: readonly string[], limits: FieldSectionLimits): Http2Request {
  let method = '';
  let target = '';
  let scheme = 'https';
  let authority: string | undefined;
  let contentLength: number | undefined;
  let expectsContinue = false;
  let dropped = 0;
  let cookieAt = -1;
  let bytes = 0;
  let refusal: Failure | undefined;
  const fields: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] ?? '';
    const value = raw[i + 1] ?? '';
    bytes += name.length + value.length + 32;
    if (name.charCodeAt(0) === COLON) {
      if (name === ':method') method = value;
      else if (name === ':path') target = value;
      else if (name === ':scheme') scheme = value;
      else if (name === ':authority') {
        authority = value;
        fields.push('host', value);
      }
      continue;
    }
    switch (name) {
      case 'host':
        if (authority === undefined) fields.push(name, value);
        else if (!sameAuthority(authority, value)) refusal ??= failure('malformed-host', 'Host contradicts :authority');
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
  if (raw.length / 2 > limits.fieldCount) refusal = failure('fields-too-large', `${raw.length / 2} fields`);
  else if (bytes > limits.headBytes) refusal = failure('fields-too-large', `${bytes} bytes of fields`);
  else if (scheme !== 'https') refusal ??= failure('misdirected', 'an http URL on a connection for https');
  return { method, target, fields, contentLength, expectsContinue, dropped, refusal };
}

/** Section 8.3.1: compared as authorities are, not as text. */
function sameAuthority(a: string, b: string): boolean {
  return a === b || normal(a) === normal(b);
}

function normal(authority: string): string {
  const lower = authority.toLowerCase();
  return lower.endsWith(':443') ? lower.slice(0, -4) : lower;
}
