// What the field section of an answer says about its own message: framing (RFC 9112 section 6.3), persistence (section 9.3),
// what it switches to. Holds for any status line; what depends on status and version is settled by the response parser.
import type { FieldList } from '../fields.ts';
import { type Refused, refused } from './refusal.ts';

export interface ResponseSection {
  readonly kind: 'section';
  readonly fields: FieldList;
  /** Octets, the empty line included. */
  readonly size: number;
  /** Undefined: no Content-Length. */
  readonly contentLength: number | undefined;
  readonly chunked: boolean;
  /** Options of Connection. */
  readonly close: boolean;
  readonly keepAlive: boolean;
  /** For how long the origin says that it keeps an idle connection, milliseconds. */
  readonly keepAliveMs: number | undefined;
  /** What Upgrade names where Connection names it too, in lower case. */
  readonly upgrade: string | undefined;
}

const LENGTH = /^[0-9]{1,15}$/;
const TIMEOUT = /(?:^|[\t ,;])timeout[\t ]*=[\t ]*"?([0-9]{1,6})/i;

/**
 * Refuses Transfer-Encoding with Content-Length (RFC 9112 section 6.3: "ought to be handled as an error"), any repetition of a
 * field that frames the message, even an equal one, and any transfer coding but `chunked`, since this edge asked for none.
 */
export function responseSection(fields: FieldList, size: number): ResponseSection | Refused {
  let contentLength: number | undefined;
  let chunked = false;
  let close = false;
  let keepAlive = false;
  let keepAliveMs: number | undefined;
  let upgradeNamed = false;
  let upgrade: string | undefined;
  for (let i = 0; i < fields.length; i += 2) {
    const value = fields[i + 1] ?? '';
    switch (fields[i]) {
      case 'content-length':
        if (contentLength !== undefined) return refused('content-length-repeated');
        if (!LENGTH.test(value)) return refused('content-length-malformed');
        contentLength = Number(value);
        break;
      case 'transfer-encoding':
        if (chunked) return refused('transfer-encoding-repeated');
        // Case does not matter (RFC 9112 section 7), and nobody else reads this message.
        if (value !== 'chunked' && value.toLowerCase() !== 'chunked') return refused('transfer-encoding-unknown');
        chunked = true;
        break;
      case 'connection':
        if (value === 'keep-alive') keepAlive = true;
        else
          for (const option of value.toLowerCase().split(',')) {
            const name = option.trim();
            if (name === 'close') close = true;
            else if (name === 'keep-alive') keepAlive = true;
            else if (name === 'upgrade') upgradeNamed = true;
          }
        break;
      case 'keep-alive': {
        const seconds = TIMEOUT.exec(value)?.[1];
        if (seconds !== undefined) keepAliveMs = Number(seconds) * 1000;
        break;
      }
      case 'upgrade':
        upgrade = upgrade === undefined ? value.toLowerCase() : `${upgrade}, ${value.toLowerCase()}`;
        break;
    }
  }
  if (chunked && contentLength !== undefined) return refused('transfer-encoding-and-content-length');
  return {
    kind: 'section',
    fields,
    size,
    contentLength,
    chunked,
    close,
    keepAlive,
    keepAliveMs,
    upgrade: upgradeNamed ? upgrade : undefined,
  };
}
