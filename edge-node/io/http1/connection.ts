// One HTTP/1.1 connection on a socket: reads requests one after the other, hands each to the pipeline, and reads the next once
// the answer before it is complete; so pipelined requests are answered in their order (RFC 9112 section 9.3.2), and hits that
// came in one read leave in one write.
//
//   idle ──▶ head ──▶ answer, body ──▶ idle ...       one exchange at a time
//   any  ──refused, last answer──▶ lingering ──▶ closed
//
// Lingering (section 9.6): the last answer is sent and our side closed; what the client still sends is read and thrown away for
// a while, since a reset would take the answer back.
//
// Bounds: of input one head and one read, of output what `Outbox` lets into the socket, of time `sweep`.
import type { RequestHead } from '../../decide/admit.ts';
import type { PreparedAnswer } from '../../decide/cache/prepared.ts';
import type { FailureCode } from '../../decide/errors.ts';
import type { Refused } from '../../decide/http1/refusal.ts';
import { type ParsedRequest, RequestParser } from '../../decide/http1/request-parser.ts';
import { type ByteStream, peerAddress } from '../sockets.ts';
import { type ExchangeOwner, Http1Client } from './client.ts';
import { Deadlines, type Waiting } from './deadlines.ts';
import { LONG_SLICE_BYTES, Outbox } from './outbox.ts';
import { type BodyOwner, Http1Body } from './request-body.ts';
import type { Http1Shared, Swept } from './shared.ts';

const EMPTY = Buffer.alloc(0);
/** Answers of one turn are written once they are this long. */
const TURN_BYTES = 64 * 1024;
/** Parts of a body are written once they are this long, or at the end of the turn. */
const SOON_BYTES = 16 * 1024;
const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n';

export class Http1Connection implements ExchangeOwner, BodyOwner, Swept {
  readonly #shared: Http1Shared;
  readonly #socket: ByteStream;
  readonly #scheme: 'http' | 'https';
  readonly #peer: string;
  readonly #sni: string | undefined;
  readonly #parser: RequestParser;
  readonly #outbox: Outbox;
  /** What has arrived and is not read yet: `#window[#at..#end)`. */
  #window: Buffer = EMPTY;
  #at = 0;
  #end = 0;
  /** Until its answer is complete. */
  #client: Http1Client | undefined = undefined;
  /** Until it has been read. */
  #body: Http1Body | undefined = undefined;
  #turning = false;
  #flushLater = false;
  #paused = false;
  #inputEnded = false;
  #retiring = false;
  /** Lingering. */
  #finishing = false;
  #closed = false;
  readonly #deadlines: Deadlines;
  #lingered = 0;

  /** `socket`: connected, with `allowHalfOpen`, since a client may close its side and still want its answer. */
  constructor(socket: ByteStream, scheme: 'http' | 'https', shared: Http1Shared, sni?: string) {
    this.#shared = shared;
    this.#socket = socket;
    this.#scheme = scheme;
    this.#peer = peerAddress(socket);
    this.#sni = sni;
    this.#parser = new RequestParser(shared.parser, scheme, this.#peer, sni);
    this.#outbox = new Outbox(socket, scheme === 'http' ? LONG_SLICE_BYTES : undefined);
    this.#deadlines = new Deadlines(shared.limits, shared.now);
    shared.connections.add(this);
    if (!shared.reads.readInto(socket, (octets) => this.#onRead(octets))) {
      socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    }
    socket.on('drain', () => this.#onDrain());
    socket.on('end', () => this.#onInputEnd());
    // 'close' follows any error; without a listener it would end the process.
    socket.on('error', () => undefined);
    socket.on('close', () => this.#onClosed());
  }

  mayPersist(client: Http1Client): boolean {
    if (!client.keepAlive || this.#retiring || (this.#inputEnded && this.#at === this.#end)) return false;
    const { body } = client;
    if (body === undefined || body.complete) return true;
    // What is left is not worth reading, or may never come: a client that waits for 100 (Continue) need not send it now (RFC
    // 9110 section 10.1.1).
    return !body.consumed && !body.continueDue && (body.left ?? Infinity) <= this.#shared.limits.drainBytes;
  }

  render(prepared: PreparedAnswer): Uint8Array | undefined {
    return this.#shared.renderings.octetsOf(prepared);
  }

  send(part: string | Uint8Array): void {
    if (!this.#closed) this.#outbox.add(part);
  }

  flush(): boolean {
    this.#outbox.flush();
    return !this.#outbox.blocked;
  }

  flushLater(): void {
    if (this.#turning || this.#flushLater) return;
    this.#flushLater = true;
    process.nextTick(flushNow, this);
  }

  flushSoon(): boolean {
    if (this.#outbox.bytes >= SOON_BYTES) return this.flush();
    this.flushLater();
    return !this.#outbox.blocked;
  }

  /** What `flushLater` has put off. */
  flushNow(): void {
    if (!this.#flushLater) return;
    this.#flushLater = false;
    this.#outbox.flush();
  }

  get holds(): boolean {
    return !this.#outbox.empty;
  }

  onAnswered(client: Http1Client, persists: boolean): void {
    if (this.#client !== client) return;
    this.#client = undefined;
    if (!persists) {
      this.#finish();
      return;
    }
    this.#body?.discard();
    this.#turn();
  }

  onSwitched(): Http1Body {
    const { parser, limits } = this.#shared;
    this.#body = new Http1Body(this, 'tunnel', parser.lines, limits);
    return this.#body;
  }

  onBodyWanted(): void {
    const body = this.#body;
    if (body === undefined) return;
    if (body.continueDue && body.wants) {
      body.continueDue = false;
      // Needless once some of it came (RFC 9110 section 10.1.1), impossible after the final status.
      if (this.#at === this.#end && this.#client?.begun === false) this.#outbox.add(CONTINUE);
    }
    this.#turn();
  }

  date(): string {
    return this.#shared.date();
  }

  break(): void {
    this.#socket.destroy();
    this.#onClosed();
  }

  retire(): void {
    this.#retiring = true;
    // The origin is told that no more comes, and ends it.
    if (this.#body?.tunnel) this.#onInputEnd();
    this.#deadlines.retire();
    this.sweep(this.#shared.now);
  }

  sweep(now: number): void {
    const { empty, written } = this.#outbox;
    this.#outbox.sweep();
    const late = this.#deadlines.late(now, empty, written);
    switch (late) {
      case 'idle':
        this.#finish();
        break;
      case 'head':
      case 'body':
        this.#refuse('request-timeout', `the ${late} of a request did not come in time`);
        break;
      case 'lingering':
      case 'writing':
        this.break();
        break;
      case 'half-closed':
        if (this.#client?.begun !== true) this.break();
        break;
      case undefined:
        break;
    }
  }

  /** The first `octets` of the thread's buffer are this connection's, until this returns. */
  #onRead(octets: number): void {
    const shared = this.#shared.reads.octets;
    if (this.#finishing || this.#client !== undefined || this.#body !== undefined || this.#at < this.#end) {
      this.#onData(Buffer.from(shared.subarray(0, octets)));
      return;
    }
    this.#window = shared;
    this.#at = 0;
    this.#end = octets;
    this.#turn();
    this.#keepWindow();
  }

  /** What of the thread's buffer is not read yet is copied, since it may be read long after. */
  #keepWindow(): void {
    if (this.#window !== this.#shared.reads.octets) return;
    this.#window = Buffer.from(this.#window.subarray(this.#at, this.#end));
    this.#end -= this.#at;
    this.#at = 0;
  }

  #onData(chunk: Buffer): void {
    if (this.#finishing) {
      this.#lingered += chunk.length;
      if (this.#lingered > this.#shared.limits.lingerBytes) this.break();
      return;
    }
    const left = this.#end - this.#at;
    // Slices of the old window may be in use, so nothing is written to it.
    this.#window = left === 0 ? chunk : Buffer.concat([this.#window.subarray(this.#at, this.#end), chunk]);
    this.#at = 0;
    this.#end = left + chunk.length;
    this.#turn();
  }

  /** Reads and answers as far as that goes, writes, and settles what to wait for. */
  #turn(): void {
    if (this.#turning) return;
    this.#turning = true;
    while (this.#step());
    this.#turning = false;
    if (this.#finishing || this.#closed) return;
    this.#outbox.flush();
    this.#settle();
  }

  /** Reads one head, or what there is of a body. False: that is all for now. */
  #step(): boolean {
    if (this.#finishing || this.#closed) return false;
    if (this.#body !== undefined) return this.#readBody(this.#body);
    if (this.#client !== undefined || this.#at === this.#end) return false;
    if (this.#outbox.bytes >= TURN_BYTES) this.#outbox.flush();
    if (this.#outbox.blocked) return false;
    const outcome = this.#parser.parse(this.#window, this.#at, this.#end);
    if (outcome.kind === 'request') this.#begin(outcome);
    else if (outcome.kind === 'refused') this.#refuseMessage(outcome);
    return outcome.kind === 'request';
  }

  #begin(parsed: ParsedRequest): void {
    const { events, limits, parser } = this.#shared;
    this.#at = parsed.end;
    this.#deadlines.begin();
    // Pieces of a body are read in their own time.
    if (parsed.hasBody) this.#keepWindow();
    this.#body = parsed.hasBody ? new Http1Body(this, parsed, parser.lines, limits) : undefined;
    for (let i = 0; i < parsed.dropped; i += 1) events.onRefused('underscore-field', 'a field with "_" in its name');
    const client = new Http1Client(this, parsed, this.#body, parsed.keepAlive);
    this.#client = client;
    events.onExchange(client);
  }

  #readBody(body: Http1Body): boolean {
    const before = this.#at;
    const stopped = body.take(this.#window, before, this.#end);
    if (typeof stopped !== 'number') {
      this.#refuseMessage(stopped);
      return false;
    }
    this.#at = stopped;
    if (body.complete) {
      this.#body = undefined;
      return true;
    }
    this.#deadlines.progress(stopped - before, this.#shared.now);
    if (body.tooLong && this.#client === undefined) this.#finish();
    return false;
  }

  #refuseMessage({ reason, code, status }: Refused): void {
    this.#refuse(code, `${status} ${reason}`);
  }

  /** Answers that the request cannot be read, if that can still be said, and ends the connection. */
  #refuse(code: FailureCode, detail: string): void {
    this.#shared.events.onRefused(code, detail);
    const waiting = this.#client;
    if (waiting === undefined && this.#body !== undefined) {
      // The answer to this request is out; another would be taken for the answer to the next.
      this.#finish();
      return;
    }
    const client = waiting ?? new Http1Client(this, this.#unread(), undefined, false);
    this.#client = client;
    client.refuse(code);
    waiting?.onGone?.();
  }

  /** Stands in for a request that could not be read. */
  #unread(): RequestHead {
    const [scheme, peer, sni] = [this.#scheme, this.#peer, this.#sni];
    return { method: '', target: '', fields: [], version: '1.1', scheme, peer, sni, hasBody: false };
  }

  #settle(): void {
    const left = this.#end - this.#at;
    const body = this.#body;
    let waiting: Waiting = 'idle';
    if (this.#client !== undefined || body !== undefined || this.#outbox.blocked) {
      // A tunnel has its bounds at the origin's side, which sees both directions.
      waiting = body?.wants && !body.tunnel ? 'body' : 'answer';
      if (this.#inputEnded && this.#client?.begun === false) waiting = 'half-closed';
      // What was asked before its end is answered; what is there in part can never be.
      if (this.#inputEnded && body?.wants) {
        if (!body.tunnel) {
          this.break();
          return;
        }
        this.#body = undefined;
        body.end();
      }
    } else if (this.#inputEnded) {
      this.#finish();
      return;
    } else if (left > 0) {
      waiting = 'head';
    }
    if (left === 0) this.#window = EMPTY;
    this.#deadlines.wait(waiting, this.#shared.now);
    // While an answer is awaited, reading on would only show that the client left; what it sends next has to wait.
    this.#pause((waiting === 'answer' || waiting === 'half-closed') && left > 0);
  }

  #pause(paused: boolean): void {
    if (paused === this.#paused) return;
    this.#paused = paused;
    if (paused) this.#socket.pause();
    else this.#socket.resume();
  }

  /** Nothing more is read or answered: what is queued goes out, then our side closes. */
  #finish(): void {
    if (this.#closed || this.#finishing) return;
    this.#finishing = true;
    this.#deadlines.wait('lingering', this.#shared.now);
    this.#window = EMPTY;
    this.#at = 0;
    this.#end = 0;
    this.#endBody('the exchange ended before the body of the request');
    this.#outbox.flush();
    this.#endOutput();
    this.#pause(false);
  }

  #endOutput(): void {
    if (this.#outbox.bytes === 0 && !this.#socket.writableEnded) this.#socket.end();
  }

  #onDrain(): void {
    this.#outbox.flush();
    if (this.#finishing) this.#endOutput();
    else if (!this.#outbox.blocked) {
      this.#client?.onDrain?.();
      this.#turn();
    }
  }

  #onInputEnd(): void {
    this.#inputEnded = true;
    if (this.#finishing || this.#closed) return;
    this.#settle();
  }

  #onClosed(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#shared.connections.delete(this);
    this.#outbox.clear();
    this.#window = EMPTY;
    this.#endBody('the client went away');
    const client = this.#client;
    this.#client = undefined;
    client?.gone();
  }

  #endBody(why: string): void {
    const body = this.#body;
    this.#body = undefined;
    body?.fail(new Error(why));
  }
}

function flushNow(connection: Http1Connection): void {
  connection.flushNow();
}
