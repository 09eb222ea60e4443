// Answers from the cache as the octets that go out, rendered once for all clients that get the same answer: a hit is then one
// write of a buffer that is there. Only what others will want as well is rendered. What one thread holds of them is bounded: the
// oldest go first, and are rendered again should someone want them.
import type { PreparedAnswer } from '../../decide/cache/prepared.ts';
import { renderResponse } from '../../decide/http1/response-head.ts';

/** Bodies up to this are copied behind their heads; of others the head alone is rendered, and they are sent as they are. */
const COPIED_BODY = 16 * 1024;
const MAX_BYTES = 16 * 1024 * 1024;
const NO_BODY = Buffer.alloc(0);

/** Whether a body is no part of its answer's octets. */
export function isSentApart(body: Buffer | undefined): body is Buffer {
  return body !== undefined && body.length > COPIED_BODY;
}

export class Renderings {
  readonly #maxBytes: number;
  /** In the order in which they were made. */
  readonly #kept = new Set<PreparedAnswer>();
  #bytes = 0;

  constructor(maxBytes = MAX_BYTES) {
    this.#maxBytes = maxBytes;
  }

  /** Held at the moment; never above the limit. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Undefined for what is not kept, and for what cannot be rendered. */
  octetsOf(prepared: PreparedAnswer): Uint8Array | undefined {
    if (prepared.octets !== undefined) return prepared.octets;
    if (!prepared.kept) return undefined;
    const { status, fields, body = NO_BODY, length } = prepared;
    const octets = renderResponse(status, fields, isSentApart(body) ? NO_BODY : body, length);
    if (octets === undefined || octets.length > this.#maxBytes) return undefined;
    prepared.octets = octets;
    this.#kept.add(prepared);
    this.#bytes += octets.length;
    for (const oldest of this.#kept) {
      if (this.#bytes <= this.#maxBytes) break;
      this.#kept.delete(oldest);
      this.#bytes -= oldest.octets?.length ?? 0;
      oldest.octets = undefined;
    }
    return octets;
  }
}
