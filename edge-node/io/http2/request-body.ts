// The body of a request on a stream, at the pace of whoever takes it: the flow-control window opens as pieces are taken.
import type http2 from 'node:http2';
import type { RequestBody } from '../../ports.ts';

export class Http2Body implements RequestBody {
  readonly length: number | undefined;
  readonly #stream: http2.ServerHttp2Stream;
  #continueDue: boolean;
  consumed = false;
  /** A piece has been asked for, and has not come. */
  waiting = false;
  /** Bytes, so far. */
  received = 0;

  constructor(stream: http2.ServerHttp2Stream, length: number | undefined, expectsContinue: boolean) {
    this.#stream = stream;
    this.length = length;
    this.#continueDue = expectsContinue;
  }

  async *chunks(): AsyncGenerator<Uint8Array> {
    const stream = this.#stream;
    this.consumed = true;
    if (this.#continueDue && !stream.headersSent && !stream.closed) stream.additionalHeaders({ ':status': 100 });
    this.#continueDue = false;
    this.waiting = true;
    // Whoever stops reading has no say over the stream, which still has an answer to bring.
    for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
      this.waiting = false;
      this.received += chunk.length;
      yield chunk;
      this.waiting = true;
    }
    this.waiting = false;
    // A stream that was reset without an error ends like a whole one.
    if (stream.aborted) throw new Error('the client broke off in the middle of its request');
  }
}
