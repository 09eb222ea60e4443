// What the field section of a request says about its own message: framing (RFC 9112 section 6.3), persistence (section 9.3),
// Host, expectation, upgrade. Holds for any request line; what depends on the version is settled by the request parser.
import type { FieldList } from '../fields.ts';
import { MessageFields } from './message-fields.ts';
import { type Refused, refused } from './refusal.ts';

export interface RequestSection {
  readonly kind: 'section';
  readonly fields: FieldList;
  /** Octets, the empty line included. */
  readonly size: number;
  /** Lines left out for "_" in their names. */
  readonly dropped: number;
  /** The value of the one Host field; undefined when there is none. */
  readonly host: string | undefined;
  /** Undefined: no Content-Length. */
  readonly contentLength: number | undefined;
  readonly chunked: boolean;
  /** Options of Connection. */
  readonly close: boolean;
  readonly keepAlive: boolean;
  /** What Upgrade asks for where Connection names it too. */
  readonly upgrade: string | undefined;
  readonly expectation: 'none' | '100-continue' | 'unknown';
}

/** A hostname or an address as a Host field or an absolute URL may give it; whether it exists is for others to say. */
export const AUTHORITY = '(?:[A-Za-z0-9._-]+|\\[[0-9A-Fa-f:.]+\\])(?::[0-9]{0,5})?';
const HOST = new RegExp(`^${AUTHORITY}$`);

/**
 * Refuses what RFC 9112 section 6.1 calls a smuggling attempt (Transfer-Encoding with Content-Length), any repetition of a
 * field that frames the message, even an equal one, and any transfer coding that is not spelled exactly `chunked`: RFC 9112
 * section 7 allows other cases of the letters, but who relies on that is not a client, and hops differ on it.
 */
export function requestSection(fields: FieldList, size: number, dropped: number): RequestSection | Refused {
  const message = new MessageFields();
  let host: string | undefined;
  let expectation: RequestSection['expectation'] = 'none';
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i];
    const value = fields[i + 1] ?? '';
    switch (name) {
      case 'host':
        if (host !== undefined) return refused('host-repeated');
        if (!HOST.test(value)) return refused('host-malformed');
        host = value;
        break;
      case 'expect':
        if (expectation === 'none' && value.toLowerCase() === '100-continue') expectation = '100-continue';
        else expectation = 'unknown';
        break;
      default: {
        const fault = message.take(name, value);
        if (fault !== undefined) return fault;
      }
    }
  }
  const { contentLength, chunked, close, keepAlive, upgrade } = message;
  return (
    message.settle() ?? {
      kind: 'section',
      fields,
      size,
      dropped,
      host,
      contentLength,
      chunked,
      close,
      keepAlive,
      upgrade,
      expectation,
    }
  );
}
