// A part of a body on its way from an origin: all of it to the store, what is wanted of it to the client, at the client's pace. When
// the client has what it wants, the store still gets the rest; where nothing is stored, the rest is not fetched.
import type { BodySink, OpenBody } from '../../decide/cache/body-source.ts';
import type { StoreWriter } from '../../decide/cache/entry.ts';
import type { Part } from '../../decide/cache/ranges.ts';
import type { OriginFailure } from '../../decide/retry.ts';
import type { BodyReceiver, ClientPort, OriginCall } from '../../ports.ts';

export class Incoming implements OpenBody, BodyReceiver {
  /** What it brings, as places in the whole body. */
  readonly part: Part;
  readonly #call: OriginCall;
  readonly #client: Pick<ClientPort, 'retains'>;
  #writer: StoreWriter | undefined;
  #sink: BodySink | undefined;
  /** Of the next byte. */
  #at: number;
  #from = 0;
  #to = 0;
  #over = false;
  /** Why it broke off. */
  failure: OriginFailure | undefined = undefined;

  constructor(call: OriginCall, client: Pick<ClientPort, 'retains'>, part: Part, writer: StoreWriter | undefined) {
    this.#call = call;
    this.#client = client;
    this.#writer = writer;
    this.part = part;
    this.#at = part.from;
  }

  /** `from`, `to`: places in the whole body, within `part`. To be called before anything comes. */
  start(sink: BodySink, from: number, to: number): void {
    this.#sink = sink;
    this.#from = from;
    this.#to = to;
  }

  resume(): void {
    if (!this.#over) this.#call.resume();
  }

  close(): void {
    if (this.#over) return;
    this.#over = true;
    this.#writer?.abort();
    this.#call.abort();
  }

  get retains(): boolean {
    return this.#client.retains !== false;
  }

  onData(chunk: Buffer): void {
    if (this.#over) return;
    const start = this.#at;
    this.#at += chunk.length;
    if (this.#at > this.part.to) {
      this.#call.abort();
      this.onFailure(malformed('longer'));
      return;
    }
    if (this.#writer && !this.#writer.write(chunk)) this.#writer = undefined;
    const sink = this.#sink;
    if (sink === undefined) return;
    const from = Math.max(this.#from, start);
    const to = Math.min(this.#to, this.#at);
    if (from < to && !sink.chunk(chunk.subarray(from - start, to - start))) this.#call.pause();
    if (this.#at >= this.#to) this.#satisfied(sink);
  }

  onEnd(): void {
    if (this.#over) return;
    if (this.#at < this.part.to) {
      this.onFailure(malformed('shorter'));
      return;
    }
    this.#over = true;
    this.#writer?.commit();
  }

  onFailure(failure: OriginFailure): void {
    if (this.#over) return;
    this.#over = true;
    this.failure = failure;
    this.#writer?.abort();
    const sink = this.#sink;
    this.#sink = undefined;
    sink?.failed();
  }

  /** The client has what it wants of this. */
  #satisfied(sink: BodySink): void {
    this.#sink = undefined;
    if (this.#at < this.part.to) {
      if (this.#writer) this.#call.resume();
      else this.close();
    }
    sink.end();
  }
}

function malformed(how: 'longer' | 'shorter'): OriginFailure {
  return { phase: 'body', code: 'origin-malformed', detail: `the part is ${how} than its Content-Range` };
}
