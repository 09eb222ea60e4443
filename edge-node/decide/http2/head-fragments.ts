// A field block that is spread over HEADERS and CONTINUATION (RFC 9113 sections 6.2 and 6.10): nothing else may come in between, and
// there is an end to it, in frames as in octets.
import { CODE, ConnectionError } from './codes.ts';

/** CONTINUATION frames of one block. A block within the limits takes eight at the very most, unless it is cut up on purpose. */
const FRAMES_MAX = 8;

export class HeadFragments {
  readonly #most: number;
  #parts: Buffer[] | undefined = undefined;
  #bytes = 0;
  /** Of the HEADERS frame that began it; 0: none is open. */
  stream = 0;
  endStream = false;

  /** `most`: octets of one block. */
  constructor(most: number) {
    this.#most = most;
  }

  /** `part` is copied. */
  begin(stream: number, endStream: boolean, part: Buffer): void {
    this.stream = stream;
    this.endStream = endStream;
    this.#parts = [Buffer.from(part)];
    this.#bytes = part.length;
  }

  /** Throws a `ConnectionError` when it goes on for too long. */
  add(part: Buffer): void {
    const parts = this.#parts ?? [];
    this.#bytes += part.length;
    if (parts.length > FRAMES_MAX || this.#bytes > this.#most) {
      throw new ConnectionError(
        CODE.enhanceYourCalm,
        `a head of more than ${this.#most} bytes or ${FRAMES_MAX} frames`,
      );
    }
    parts.push(Buffer.from(part));
  }

  /** The whole block; another may begin. */
  end(): Buffer {
    const whole = Buffer.concat(this.#parts ?? [], this.#bytes);
    this.#parts = undefined;
    this.stream = 0;
    return whole;
  }
}
