// One HTTP/1.1 connection to an origin: one request after the other, each answered before the next is sent (no pipelining).
//
//   connecting ──▶ idle ──request──▶ head ──▶ body ──▶ idle ...
//                                     └─101─▶ tunnel
//   any ──▶ closed
//
// Whatever is in doubt ends the connection: an answer that cannot be read, octets that nobody asked for, a request that was not
// sent to its end. Requests are framed afresh; a body goes out as the client sends it, an answer comes in as its receiver takes it.

import type { FieldList } from '../../decide/fields.ts';
import { ChunkedDecoder } from '../../decide/http1/chunked.ts';
import { type ParsedResponse, ResponseParser } from '../../decide/http1/response-parser.ts';
import type { OriginFailure } from '../../decide/retry.ts';
import type { Call, CallCarrier } from './call.ts';
import type { Connect, OriginSocket, SocketEvents } from './connector.ts';
import { ReadSide } from './read-side.ts';
import { RequestWriter } from './request-writer.ts';
import type { OriginShared } from './shared.ts';

/** What a connection tells its pool. */
export interface ConnectionOwner {
  /** It is ready for its first request. */
  onConnected(connection: OriginConnection): void;
  /** It is ready for another. */
  onFree(connection: OriginConnection): void;
  /** It carries another protocol from now on, and will not be free again. */
  onSwitched(connection: OriginConnection): void;
  /** `failure`: what kept it from being connected. */
  onClosed(connection: OriginConnection, failure: ConnectFailure | undefined): void;
}

export interface ConnectFailure {
  readonly code: OriginFailure['code'];
  readonly what: string;
}

type Phase = 'connecting' | 'idle' | 'head' | 'body' | 'tunnel' | 'closed';

/** Octets of the body that are to come, where no number is known. */
const UNTIL_CLOSE = Number.POSITIVE_INFINITY;
const NO_FIELDS: FieldList = Object.freeze([]);
/** An origin may send so many informational answers before the final one. */
const INFORMATIONAL_MAX = 32;
/** An idle connection is given up so long before the origin would, milliseconds. */
const KEEP_ALIVE_MARGIN_MS = 1_000;

export class OriginConnection implements CallCarrier, SocketEvents {
  readonly #owner: ConnectionOwner;
  readonly #shared: OriginShared;
  readonly #socket: OriginSocket;
  readonly #parser: ResponseParser;
  readonly #reads: ReadSide;
  readonly #connectMs: number;
  #phase: Phase = 'connecting';
  #call: Call | undefined = undefined;
  #writer: RequestWriter | undefined = undefined;
  #decoder: ChunkedDecoder | undefined = undefined;
  /** Octets of the body that are to come; of a chunked one, not known. */
  #left = 0;
  #informational = 0;
  #persists = false;
  #idleMs: number;
  #served = 0;
  #paused = false;
  /** Grows with everything that puts a deadline off; what the last sweep saw of it, and since when. */
  #activity = 0;
  #seen = -1;
  #since = 0;

  /** `connectMs`: for the connection to come about. */
  constructor(owner: ConnectionOwner, connect: Connect, shared: OriginShared, connectMs: number) {
    this.#owner = owner;
    this.#shared = shared;
    this.#connectMs = connectMs;
    this.#idleMs = shared.limits.idleMs;
    this.#parser = new ResponseParser(shared.parser);
    this.#reads = new ReadSide(shared.buffers);
    this.#socket = connect(this);
  }

  get connecting(): boolean {
    return this.#phase === 'connecting';
  }

  /** Sends the request of `call`. Only when connected and free. */
  begin(call: Call): void {
    const { request } = call;
    call.carrier = this;
    this.#call = call;
    this.#informational = 0;
    this.#enter('head');
    this.#socket.write(call.head, 'latin1');
    if (request.body === undefined) this.#writer = undefined;
    else {
      this.#writer = new RequestWriter(this.#socket, request.body, this);
      if (request.body.continueDue !== true) this.#writer.start();
    }
  }

  /** Ends it, and with it what it carries. */
  close(what: string): void {
    // By our own wish: sending again would not help.
    this.#served = 0;
    this.#fail('origin-cut-off', what);
  }

  pause(): void {
    this.#paused = true;
    this.#socket.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#activity += 1;
    this.#socket.resume();
  }

  drop(call: Call): void {
    if (this.#call !== call) return;
    this.#call = undefined;
    this.#close();
    this.#reads.settle(undefined);
  }

  onConnected(): void {
    if (this.#phase !== 'connecting') return;
    this.#enter('idle');
    this.#owner.onConnected(this);
  }

  readTarget(): Uint8Array {
    return this.#reads.target(this.#phase === 'body' ? this.#left : 0);
  }

  onRead(octets: number): void {
    const reads = this.#reads;
    let at = reads.begin(octets, this.#call);
    // A head has one deadline, however slowly it comes.
    if (this.#phase !== 'head') this.#activity += 1;
    while (at < reads.end) {
      if (this.#phase === 'head') at = this.#readHead(at);
      else if (this.#phase === 'body' && this.#decoder !== undefined) at = this.#readChunks(at, this.#decoder);
      else if (this.#phase === 'body' || this.#phase === 'tunnel') at = this.#readBody(at);
      else {
        // Nobody asked: it would be taken for the answer to the next request.
        this.#close();
        return;
      }
    }
  }

  onDrain(): void {
    this.#activity += 1;
    this.#writer?.onDrain();
  }

  onEnd(): void {
    if (this.#phase === 'connecting') return;
    const untilClose = this.#phase === 'body' && this.#decoder === undefined && this.#left === UNTIL_CLOSE;
    if (untilClose || this.#phase === 'tunnel') this.#complete(NO_FIELDS, false);
    else this.#fail('origin-cut-off', 'the origin closed the connection');
  }

  onClosed(error: Error | undefined): void {
    if (this.#phase === 'closed') return;
    this.#fail(this.#phase === 'connecting' ? 'origin-unreachable' : 'origin-cut-off', describe(error));
  }

  /** The writer has sent so much of the request that there is nothing to wait for but the origin. */
  onWritten(whole: boolean): void {
    this.#activity += 1;
    if (whole && this.#phase === 'tunnel') this.#socket.end();
  }

  /** The rest of the request will never come. */
  onBroken(writer: RequestWriter, what: string): void {
    if (this.#writer === writer) this.#fail('origin-cut-off', what);
  }

  /** To be called often. `now`: monotonic milliseconds. Deadlines are late by up to two sweeps, and never early. */
  sweep(now: number): void {
    if (this.#activity !== this.#seen) {
      this.#seen = this.#activity;
      this.#since = now;
    } else if (now - this.#since >= this.#allowedMs()) this.#late();
  }

  #allowedMs(): number {
    const timeouts = this.#call?.timeouts;
    const bodyMs = timeouts?.bodyMs ?? 0;
    const writer = this.#writer;
    switch (this.#phase) {
      case 'connecting':
        return this.#connectMs;
      case 'head':
        if (writer === undefined || writer.done) return timeouts?.headMs ?? 0;
        if (!writer.started) return this.#shared.limits.continueMs;
        // While the client has nothing to send, that is for the client's side to judge.
        return writer.blocked ? bodyMs : Number.POSITIVE_INFINITY;
      case 'body':
        if (writer !== undefined && !writer.done && !writer.blocked) return Number.POSITIVE_INFINITY;
        return this.#paused ? Number.POSITIVE_INFINITY : bodyMs;
      case 'tunnel':
        return writer?.done ? bodyMs : this.#shared.limits.tunnelMs;
      case 'idle':
        return this.#idleMs;
      case 'closed':
        return Number.POSITIVE_INFINITY;
    }
  }

  #late(): void {
    const writer = this.#writer;
    if (this.#phase === 'idle') this.#close();
    else if (this.#phase === 'tunnel') this.#complete(NO_FIELDS, false);
    else if (this.#phase === 'head' && writer !== undefined && !writer.started) {
      // RFC 9110 section 10.1.1: not every origin knows the expectation, and none is to be waited for without end.
      this.#activity += 1;
      writer.start();
    } else this.#fail('origin-timeout', this.#phase === 'connecting' ? 'no connection in time' : 'no answer in time');
  }

  /** Where to go on reading; the end of the window: nowhere for now. */
  #readHead(at: number): number {
    const { window, end } = this.#reads;
    const call = this.#call;
    if (call === undefined) return end;
    const head = this.#parser.parse(window, at, end, call.request.method === 'HEAD');
    if (head.kind === 'incomplete') return this.#reads.keep(at);
    if (head.kind === 'refused') return this.#refuse(head.reason);
    if (head.status < 200) return this.#inform(call, head);
    const writer = this.#writer;
    const unsent = writer !== undefined && !writer.done;
    this.#persists = head.keepAlive;
    if (head.keepAliveMs !== undefined) {
      this.#idleMs = Math.min(this.#shared.limits.idleMs, head.keepAliveMs - KEEP_ALIVE_MARGIN_MS);
    }
    const { framing } = head;
    this.#left = framing === 'length' ? head.contentLength : framing === 'none' ? 0 : UNTIL_CLOSE;
    this.#decoder =
      framing === 'chunked'
        ? new ChunkedDecoder(this.#shared.parser.lines, this.#shared.limits.trailerBytes)
        : undefined;
    this.#enter('body');
    // It has not asked for the body, or refuses it and closes (RFC 9112 section 9.5): the rest is not worth sending.
    if (unsent && (!writer.started || (head.status >= 400 && !head.keepAlive))) writer.stop();
    call.handler.onHead(head.status, head.fields);
    if (this.#left === 0 && this.#call === call) this.#complete(NO_FIELDS, head.end < end);
    return this.#call === call ? head.end : end;
  }

  #inform(call: Call, { status, fields, upgrade, end: next }: ParsedResponse): number {
    const { handler, request } = call;
    this.#informational += 1;
    if (this.#informational > INFORMATIONAL_MAX) return this.#refuse('too many informational answers');
    if (status === 100) {
      if (this.#writer?.started === false) {
        this.#activity += 1;
        this.#writer.start();
      }
    } else if (status !== 101) handler.onInformation(status, fields);
    else if (request.upgrade === undefined || upgrade !== request.upgrade || handler.onSwitch === undefined) {
      return this.#refuse('it switches protocols unasked');
    } else {
      this.#left = UNTIL_CLOSE;
      this.#enter('tunnel');
      this.#owner.onSwitched(this);
      const input = handler.onSwitch(fields);
      if (this.#call === call) {
        this.#writer = new RequestWriter(this.#socket, input, this, 'as it is');
        this.#writer.start();
      }
    }
    return this.#call === call ? next : this.#reads.end;
  }

  #readBody(at: number): number {
    const call = this.#call;
    const { end } = this.#reads;
    const to = Math.min(end, at + this.#left);
    this.#left -= to - at;
    if (call !== undefined) this.#reads.deliver(at, to, call.handler);
    if (this.#call !== call) return end;
    if (this.#left === 0) this.#complete(NO_FIELDS, to < end);
    return this.#call === call ? to : end;
  }

  /** All that one read brought of a chunked body is passed on in one piece. */
  #readChunks(start: number, decoder: ChunkedDecoder): number {
    const call = this.#call;
    const { window, end } = this.#reads;
    let from = start;
    let packed = start;
    let at = start;
    for (;;) {
      const outcome = decoder.read(window, at, end);
      if (outcome.kind === 'data') {
        if (packed === from) {
          from = outcome.from;
          packed = outcome.to;
        } else {
          window.copyWithin(packed, outcome.from, outcome.to);
          packed += outcome.to - outcome.from;
        }
        at = outcome.to;
        continue;
      }
      if (packed > from && call !== undefined) this.#reads.deliver(from, packed, call.handler);
      if (this.#call !== call) return end;
      if (outcome.kind === 'refused') return this.#refuse(outcome.reason);
      if (outcome.kind === 'incomplete') return this.#reads.keep(outcome.next);
      this.#complete(outcome.trailers, outcome.next < end);
      return end;
    }
  }

  /** The answer is complete. `more`: octets follow it that nobody asked for. */
  #complete(trailers: FieldList, more: boolean): void {
    const call = this.#call;
    const writer = this.#writer;
    const unsent = writer !== undefined && !writer.done;
    const reusable = this.#persists && !more && !unsent && this.#idleMs > 0 && this.#phase === 'body';
    this.#call = undefined;
    this.#writer = undefined;
    this.#decoder = undefined;
    call?.end();
    if (reusable) {
      this.#served += 1;
      this.#enter('idle');
      this.resume();
      this.#owner.onFree(this);
    } else this.#close(writer);
    call?.handler.onEnd(trailers);
    this.#reads.settle(call?.handler);
  }

  #refuse(what: string): number {
    this.#fail('origin-malformed', what);
    return this.#reads.end;
  }

  #fail(code: OriginFailure['code'], what: string): void {
    const call = this.#call;
    const phase = this.#phase;
    const failure = phase === 'connecting' ? { code, what } : undefined;
    const stale = phase === 'head' && this.#served > 0 && code === 'origin-cut-off' && this.#reads.untouched;
    this.#call = undefined;
    this.#close(this.#writer, failure);
    this.#reads.settle(undefined);
    call?.fail(phase === 'head' ? 'head' : 'body', code, what, stale);
  }

  #close(writer = this.#writer, failure?: ConnectFailure): void {
    if (this.#phase === 'closed') return;
    this.#phase = 'closed';
    this.#writer = undefined;
    writer?.stop();
    this.#socket.destroy();
    this.#owner.onClosed(this, failure);
  }

  #enter(phase: Phase): void {
    this.#phase = phase;
    this.#activity += 1;
    if (phase === 'head') this.#reads.untouched = true;
  }
}

function describe(error: Error | undefined): string {
  if (error === undefined) return 'the connection was closed';
  const code = 'code' in error && typeof error.code === 'string' ? error.code : error.name;
  // Where a name has several addresses, each has a failure of its own.
  const all = error instanceof AggregateError ? error.errors.map(String).join('; ') : error.message;
  return `${code}: ${all}`;
}
