// What the field section of an answer says about its own message: framing (RFC 9112 section 6.3), persistence (section 9.3),
// what it switches to. Holds for any status line; what depends on status and version is settled by the response parser.
import type { FieldList } from '../fields.ts';
import { MessageFields } from './message-fields.ts';
import type { Refused } from './refusal.ts';

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

const TIMEOUT = /(?:^|[\t ,;])timeout[\t ]*=[\t ]*"?([0-9]{1,6})/i;

/**
 * Refuses Transfer-Encoding with Content-Length (RFC 9112 section 6.3: "ought to be handled as an error"), any repetition of a
 * field that frames the message, even an equal one, and any transfer coding but `chunked`, since this edge asked for none.
 */
export function responseSection(fields: FieldList, size: number): ResponseSection | Refused {
  const message = new MessageFields();
  let keepAliveMs: number | undefined;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i];
    const value = fields[i + 1] ?? '';
    if (name === 'keep-alive') {
      const seconds = TIMEOUT.exec(value)?.[1];
      if (seconds !== undefined) keepAliveMs = Number(seconds) * 1000;
      continue;
    }
    // The case of a coding does not matter (RFC 9112 section 7), and nobody else reads this message.
    const fault = message.take(name, name === 'transfer-encoding' ? value.toLowerCase() : value);
    if (fault !== undefined) return fault;
  }
  const { contentLength, chunked, close, keepAlive } = message;
  const upgrade = message.upgrade?.toLowerCase();
  return (
    message.settle() ?? {
      kind: 'section',
      fields,
      size,
      contentLength,
      chunked,
      close,
      keepAlive,
      keepAliveMs,
      upgrade,
    }
  );
}
