// Requests from field blocks, for one connection. Blocks that only refer to what both sides know already (RFC 7541 section 6.1), or
// bring what nobody is to remember, leave the dynamic table alone: while it stays the same, the same octets are the same request.
// The last few of those are remembered with what they said, so that a client that repeats itself costs one comparison; and such
// requests share their list of fields with those of other connections that have the same.
import type { RequestHead } from '../admit.ts';
import type { FieldList } from '../fields.ts';
import { CODE, type Code } from './codes.ts';
import { type BlockLimits, HpackDecoder } from './hpack-decoder.ts';
import { checkTrailers, type FieldSectionLimits, type Http2Request, readRequestFields } from './request-fields.ts';

/** Of what a client is told to keep to, this many times is read and answered with 431; beyond it, the stream is reset. */
export const HEADROOM = 2;
const REMEMBERED = 4;
/** A longer block is not remembered, octets. */
const BLOCK_MAX = 512;

export interface ReadRequest extends Omit<Http2Request, 'method' | 'target' | 'fields'> {
  /** As it is where no body follows. */
  readonly head: RequestHead;
}

/** The stream is to be reset with `code`. */
export interface Unreadable {
  readonly kind: 'unreadable';
  readonly code: Code;
  readonly detail: string;
}

export interface Trailers {
  readonly kind: 'trailers';
  readonly fields: FieldList;
}

/** Lists of fields that requests share, by their text: of one thread, all in all `LISTS_MAX` of up to `LIST_MAX` characters. */
const lists = new Map<string, string[]>();
const LISTS_MAX = 256;
const LIST_MAX = 2_048;

interface Remembered {
  /** The block, each character an octet. */
  readonly octets: string;
  /** Of the table. */
  readonly version: number;
  readonly request: ReadRequest;
}

export class RequestReader {
  readonly #limits: FieldSectionLimits;
  readonly #blockLimits: BlockLimits;
  readonly #peer: string;
  readonly #sni: string | undefined;
  readonly #decoder = new HpackDecoder();
  readonly #remembered: Remembered[] = [];
  #oldest = 0;

  /** `peer` and `sni`: of the connection, as every request on it says. */
  constructor(limits: FieldSectionLimits, peer: string, sni: string | undefined) {
    this.#limits = limits;
    this.#blockLimits = { fieldCount: limits.fieldCount * HEADROOM, fieldBytes: limits.headBytes * HEADROOM };
    this.#peer = peer;
    this.#sni = sni;
  }

  /** The request whose field block is `window[start..stop)`. Throws a `ConnectionError` where HPACK is broken. */
  read(window: Buffer, start: number, stop: number): ReadRequest | Unreadable {
    const decoder = this.#decoder;
    const { version } = decoder;
    for (let i = 0; i < this.#remembered.length; i += 1) {
      const known = this.#remembered[i];
      if (known?.version === version && sameOctets(known.octets, window, start, stop)) return known.request;
    }
    const raw = decoder.decode(window, start, stop, this.#blockLimits);
    if (decoder.overflowed) return { kind: 'unreadable', code: CODE.enhanceYourCalm, detail: 'far too many fields' };
    const read = readRequestFields(raw, this.#limits);
    if (read.kind === 'malformed') return { kind: 'unreadable', code: CODE.protocolError, detail: read.detail };
    const { method, target, fields, ...rest } = read;
    const [peer, sni] = [this.#peer, this.#sni];
    const common = { method, target, version: '2', scheme: 'https', peer, sni, hasBody: false } as const;
    if (decoder.version !== version || stop - start > BLOCK_MAX) return { ...rest, head: { ...common, fields } };
    const request = { ...rest, head: { ...common, fields: sharedList(fields), recurring: true } };
    this.#remembered[this.#oldest] = { octets: window.toString('latin1', start, stop), version, request };
    this.#oldest = (this.#oldest + 1) % REMEMBERED;
    return request;
  }

  /** Reads trailers, or a block of which nothing is wanted but what it does to the table. More than the limits allow are none. */
  readTrailers(window: Buffer, start: number, stop: number): Trailers | Unreadable {
    const decoder = this.#decoder;
    const fields = decoder.decode(window, start, stop, this.#blockLimits);
    const malformed = checkTrailers(fields);
    if (malformed !== undefined) return { kind: 'unreadable', code: CODE.protocolError, detail: malformed.detail };
    return { kind: 'trailers', fields: decoder.overflowed ? [] : fields };
  }

  /** Forgets what it can do without: nothing came for a while. */
  rest(): void {
    this.#remembered.length = 0;
    this.#oldest = 0;
  }
}

/** Neither names nor values have line ends. */
function sharedList(fields: string[]): string[] {
  const text = fields.join('\n');
  const known = lists.get(text);
  if (known !== undefined || text.length > LIST_MAX) return known ?? fields;
  if (lists.size >= LISTS_MAX) lists.clear();
  lists.set(text, fields);
  return fields;
}

function sameOctets(octets: string, window: Buffer, start: number, stop: number): boolean {
  if (octets.length !== stop - start) return false;
  for (let i = 0; i < octets.length; i += 1) if (octets.charCodeAt(i) !== window[start + i]) return false;
  return true;
}
