// The body of one request on its way to an origin: a piece is asked for when the one before has been taken, so that the client
// sends at the origin's pace, and what goes out is framed afresh (RFC 9112 sections 6 and 7.1).
import { fieldLines } from '../../decide/http1/response-head.ts';
import type { RequestBody } from '../../ports.ts';
import type { OriginSocket } from './connector.ts';

export interface WriterOwner {
  /** A piece has been handed to the socket; `whole`: it was the last. */
  onWritten(whole: boolean): void;
  /** The body broke off, or is not as long as was said: what was sent so far must not be taken for the whole. */
  onBroken(writer: RequestWriter, what: string): void;
}

export class RequestWriter {
  readonly #socket: OriginSocket;
  readonly #body: RequestBody;
  readonly #owner: WriterOwner;
  readonly #chunked: boolean;
  /** Octets that the head promised and that are to come. */
  #left: number;
  #state: 'waiting' | 'sending' | 'done' | 'stopped' = 'waiting';
  #draining: PromiseWithResolvers<void> | undefined = undefined;

  /** "as it is": what is sent is no message, and ends when there is no more. */
  constructor(
    socket: OriginSocket,
    body: RequestBody,
    owner: WriterOwner,
    framing: 'message' | 'as it is' = 'message',
  ) {
    this.#socket = socket;
    this.#body = body;
    this.#owner = owner;
    this.#chunked = framing === 'message' && body.length === undefined;
    this.#left = (framing === 'message' ? body.length : undefined) ?? Number.POSITIVE_INFINITY;
  }

  get started(): boolean {
    return this.#state !== 'waiting';
  }

  /** All of it has been handed to the socket. */
  get done(): boolean {
    return this.#state === 'done';
  }

  /** It waits for the origin, not for the client. */
  get blocked(): boolean {
    return this.#draining !== undefined;
  }

  /** Reads the body from here on: before that, another origin can have it. */
  start(): void {
    if (this.#state !== 'waiting') return;
    this.#state = 'sending';
    void this.#run();
  }

  /** Sends no more. */
  stop(): void {
    if (this.#state !== 'done') this.#state = 'stopped';
    this.onDrain();
  }

  onDrain(): void {
    const draining = this.#draining;
    this.#draining = undefined;
    draining?.resolve();
  }

  async #run(): Promise<void> {
    try {
      for await (const piece of this.#body.chunks()) {
        if (this.#state !== 'sending') return;
        this.#left -= piece.length;
        if (this.#left < 0) throw new Error('it is longer than its Content-Length');
        this.#write(piece);
        this.#owner.onWritten(false);
        if (this.#socket.writableNeedDrain) {
          this.#draining = Promise.withResolvers<void>();
          await this.#draining.promise;
        }
        if (this.#state !== 'sending') return;
      }
      if (this.#state !== 'sending') return;
      if (this.#left > 0 && this.#left !== Number.POSITIVE_INFINITY) {
        throw new Error('it is shorter than its Content-Length');
      }
    } catch (error) {
      if (this.#state !== 'sending') return;
      this.#state = 'stopped';
      this.#owner.onBroken(
        this,
        `the body of the request broke off: ${error instanceof Error ? error.message : error}`,
      );
      return;
    }
    if (this.#chunked) this.#socket.write(`0\r\n${this.#trailerLines()}\r\n`, 'latin1');
    this.#state = 'done';
    this.#owner.onWritten(true);
  }

  /** What is malformed is not worth breaking off a request that the origin has but for its end. */
  #trailerLines(): string {
    const { trailers = [] } = this.#body;
    return trailers.length === 0 ? '' : (fieldLines(trailers) ?? '');
  }

  #write(piece: Uint8Array): void {
    if (piece.length === 0) return;
    if (!this.#chunked) {
      this.#socket.write(piece);
      return;
    }
    this.#socket.cork();
    this.#socket.write(`${piece.length.toString(16)}\r\n`, 'latin1');
    this.#socket.write(piece);
    this.#socket.write('\r\n', 'latin1');
    this.#socket.uncork();
  }
}
