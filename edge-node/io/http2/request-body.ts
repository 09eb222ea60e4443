// The body of a request on a stream: read one piece at a time, when the handler asks for it, and the client is let send more as
// pieces are taken. What comes before it is asked for is copied together, so that a body in frames of one byte takes no more
// memory than its bytes.
import type { FieldList } from '../../decide/fields.ts';
import type { RequestBody } from '../../ports.ts';

/** What a body asks of its stream. */
export interface BodyOwner {
  /** The handler waits for a piece. */
  onBodyWanted(): void;
  /** `bytes` of it are not held any more. */
  onBodyTaken(bytes: number): void;
}

type Piece = IteratorResult<Uint8Array, undefined>;

const NO_FIELDS: FieldList = Object.freeze([]);
const DONE: Piece = { done: true, value: undefined };
const EMPTY = Buffer.alloc(0);
const HELD_MIN = 1_024;

export class Http2Body implements RequestBody, AsyncIterableIterator<Uint8Array, undefined, undefined> {
  readonly length: number | undefined;
  readonly #owner: BodyOwner;
  #asked: PromiseWithResolvers<Piece> | undefined = undefined;
  #held: Buffer = EMPTY;
  #heldBytes = 0;
  #failure: Error | undefined = undefined;
  #complete = false;
  consumed = false;
  trailers: FieldList = NO_FIELDS;
  /** Bytes, so far. */
  received = 0;

  constructor(owner: BodyOwner, length: number | undefined) {
    this.#owner = owner;
    this.length = length;
  }

  /** A piece has been asked for, and has not come. */
  get waiting(): boolean {
    return this.#asked !== undefined;
  }

  chunks(): AsyncIterable<Uint8Array> {
    return this;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** The next piece. One at a time: to be called again only when the one before has come. */
  next(): Promise<Piece> {
    this.consumed = true;
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#heldBytes > 0) {
      const value = this.#held.subarray(0, this.#heldBytes);
      this.#letGo();
      return Promise.resolve({ done: false, value });
    }
    if (this.#complete) return Promise.resolve(DONE);
    if (this.#asked !== undefined) return Promise.reject(new Error('a piece of this body is being waited for already'));
    const asked = Promise.withResolvers<Piece>();
    this.#asked = asked;
    this.#owner.onBodyWanted();
    return asked.promise;
  }

  /** Whoever stops reading has no say over the stream, which still has an answer to bring. */
  return(): Promise<Piece> {
    return Promise.resolve(DONE);
  }

  /** Takes a copy of `window[start..stop)`. */
  push(window: Buffer, start: number, stop: number): void {
    const bytes = stop - start;
    this.received += bytes;
    if (bytes === 0) return;
    if (this.#failure !== undefined) {
      this.#owner.onBodyTaken(bytes);
      return;
    }
    const asked = this.#asked;
    if (asked !== undefined) {
      this.#asked = undefined;
      asked.resolve({ done: false, value: Buffer.from(window.subarray(start, stop)) });
      this.#owner.onBodyTaken(bytes);
      return;
    }
    if (this.#held.length - this.#heldBytes < bytes) {
      const grown = Buffer.allocUnsafeSlow(Math.max(HELD_MIN, 2 * this.#heldBytes, this.#heldBytes + bytes));
      this.#held.copy(grown, 0, 0, this.#heldBytes);
      this.#held = grown;
    }
    window.copy(this.#held, this.#heldBytes, start, stop);
    this.#heldBytes += bytes;
  }

  end(trailers: FieldList = NO_FIELDS): void {
    this.trailers = trailers;
    this.#complete = true;
    this.#asked?.resolve(DONE);
    this.#asked = undefined;
  }

  /** Whoever waits for more of it learns that none comes. */
  fail(error: Error): void {
    if (this.#complete || this.#failure !== undefined) return;
    this.#failure = error;
    this.#letGo();
    this.#asked?.reject(error);
    this.#asked = undefined;
  }

  #letGo(): void {
    const bytes = this.#heldBytes;
    this.#held = EMPTY;
    this.#heldBytes = 0;
    if (bytes > 0) this.#owner.onBodyTaken(bytes);
  }
}
