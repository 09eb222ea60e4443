// A part of a body on its way from an origin: all of it to the store, what is wanted of it to the client, at the client's pace. When
// the client has what it wants, the store still gets the rest; where nothing is stored, the rest is not fetched.
//
// When others wait for it, nobody holds it: a client that is slow or leaves is let go, and gets what follows from the store.
import type { BodySink, OpenBody } from '../../decide/cache/body-source.ts';
import type { StoreWriter } from '../../decide/cache/entry.ts';
import type { Part } from '../../decide/cache/ranges.ts';
import type { OriginFailure } from '../../decide/retry.ts';
import type { BodyReceiver, ClientPort, OriginCall } from '../../ports.ts';
import type { TeeWatcher } from '../tee.ts';
import { type Carrier, type Flight, OVER } from './flights.ts';

export interface IncomingWatcher extends TeeWatcher {
  /** Whether somebody waits for the whole. */
  readonly awaited: boolean;
}

export class Incoming implements OpenBody, BodyReceiver, Carrier {
  /** What it brings, as places in the whole body. */
  readonly part: Part;
  readonly #call: OriginCall;
  readonly #client: Pick<ClientPort, 'retains'>;
  #writer: StoreWriter | undefined;
  readonly #flight: Flight | undefined;
  #watcher: IncomingWatcher | undefined;
  #sink: BodySink | undefined;
  /** Of the next byte. */
  #at: number;
  #from = 0;
  #to = 0;
  /** The client is slow, and so the origin is held. */
  #held = false;
  /** Without a client: how far it goes on with nobody to wait for it. */
  #until = 0;
  #over = false;

  /** `flight`: the slices that it brings; else `writer` stores the whole, or nothing is stored. */
  constructor(
    call: OriginCall,
    client: Pick<ClientPort, 'retains'>,
    part: Part,
    writer: StoreWriter | undefined,
    flight: Flight | undefined,
  ) {
    this.#call = call;
    this.#client = client;
    this.#writer = writer;
    this.part = part;
    this.#at = part.from;
    this.#flight = flight;
    if (flight) flight.carrier = this;
  }

  /** Whether byte `at` is still to come. */
  brings(at: number): boolean {
    return !this.#over && this.#at <= at && at < this.part.to;
  }

  /** Once, where it stores the whole. False: it is over already. */
  watch(watcher: IncomingWatcher): boolean {
    if (!this.#over) this.#watcher = watcher;
    return !this.#over;
  }

  /** `from`, `to`: places in the whole body, which it brings. */
  start(sink: BodySink, from: number, to: number): void {
    this.#sink = sink;
    this.#from = from;
    this.#to = to;
    this.resume();
  }

  resume(): void {
    this.#held = false;
    if (!this.#over) this.#call.resume();
  }

  close(): void {
    this.#sink = undefined;
    this.#until = 0;
    if (this.#awaited) this.resume();
    else this.#stop();
  }

  onAwaited(): void {
    if (this.#held && this.#sink) this.#letGo(this.#sink);
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
    if (sink === undefined) {
      if (this.#until <= this.#at && this.#at < this.part.to && !this.#awaited) this.#stop();
      return;
    }
    const from = Math.max(this.#from, start);
    const to = Math.min(this.#to, this.#at);
    const more = from >= to || sink.chunk(chunk.subarray(from - start, to - start));
    if (this.#at >= this.#to) this.#satisfied(sink);
    else if (!more) this.#hold(sink);
  }

  onEnd(): void {
    if (this.#over) return;
    if (this.#at < this.part.to) {
      this.onFailure(malformed('shorter'));
      return;
    }
    this.#over = true;
    const entry = this.#writer?.commit();
    this.#flight?.end(OVER);
    if (entry) this.#watcher?.onStored(entry);
    else this.#watcher?.onLost(undefined);
  }

  onFailure(failure: OriginFailure): void {
    if (this.#over) return;
    this.#over = true;
    this.#writer?.abort();
    const sink = this.#sink;
    this.#sink = undefined;
    // Its own client asks again, and those who wait then wait for that.
    if (this.#flight) this.#flight.end({ kind: 'failed', failure }, () => sink?.failed());
    else sink?.failed();
    this.#watcher?.onLost(failure);
  }

  /** Whether others wait for what comes. */
  get #awaited(): boolean {
    return this.#flight?.awaited === true || this.#watcher?.awaited === true;
  }

  #stop(): void {
    if (this.#over) return;
    this.#over = true;
    this.#writer?.abort();
    this.#call.abort();
    this.#flight?.end(OVER);
    this.#watcher?.onLost(undefined);
  }

  /** The client has what it wants of this. */
  #satisfied(sink: BodySink): void {
    this.#sink = undefined;
    this.#until = this.part.to;
    if (this.#at >= this.part.to || this.#writer) this.resume();
    else this.#stop();
    sink.end();
  }

  /** The client can take no more for now. */
  #hold(sink: BodySink): void {
    // What is not in slices is no more than one of them: the client may have it at once.
    if (this.#watcher?.awaited) return;
    if (this.#awaited) {
      this.#letGo(sink);
      return;
    }
    this.#held = true;
    this.#call.pause();
    this.#flight?.unshare();
  }

  /** What the client wants of this it will find in the store. */
  #letGo(sink: BodySink): void {
    this.#sink = undefined;
    this.#until = this.#flight?.reach ?? 0;
    this.resume();
    sink.end();
  }
}

function malformed(how: 'longer' | 'shorter'): OriginFailure {
  return { phase: 'body', code: 'origin-malformed', detail: `the part is ${how} than its Content-Range` };
}
