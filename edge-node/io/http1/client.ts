// One request on a connection, and the writing of its answer (RFC 9110 section 15, RFC 9112 sections 6 and 7.1): the port that
// the pipeline answers through.
import type { RequestHead } from '../../decide/admit.ts';
import type { PreparedAnswer } from '../../decide/cache/prepared.ts';
import { type FailureCode, failureResponse } from '../../decide/errors.ts';
import type { FieldList } from '../../decide/fields.ts';
import { fieldLines, type HeadText, headEnd, headText, wholeHead } from '../../decide/http1/response-head.ts';
import { takesTrailers } from '../../decide/trailers.ts';
import type { ClientPort, RequestBody } from '../../ports.ts';
import { isSentApart } from './renderings.ts';
import type { Http1Body } from './request-body.ts';

/** What an exchange needs of its connection. */
export interface ExchangeOwner {
  /** Whether the connection may go on after the answer of `client`. */
  mayPersist(client: Http1Client): boolean;
  /** What `prepared` is in HTTP/1.1, to GET, on a connection that persists; undefined where it is not worth keeping. */
  render(prepared: PreparedAnswer): Uint8Array | undefined;
  /** Queues octets; text stands for latin1. */
  send(part: string | Uint8Array): void;
  /** Writes what is queued. False: wait for `onDrain`. */
  flush(): boolean;
  /** As `flush`, at the end of the turn. */
  flushLater(): void;
  /** The connection is a tunnel from now on. What the client sends on it. */
  onSwitched(): RequestBody;
  /** As `flush`, or where little is queued as `flushLater`: more may follow within the turn. */
  flushSoon(): boolean;
  /** Whether anything that was sent is still held. */
  readonly holds: boolean;
  /** The answer is complete; the connection ends after it unless `persists`. */
  onAnswered(client: Http1Client, persists: boolean): void;
  break(): void;
  /** The value of Date. */
  date(): string;
}

export class Http1Client implements ClientPort {
  readonly request: RequestHead;
  readonly body: Http1Body | undefined;
  /** Whether the client lets the connection persist. */
  readonly keepAlive: boolean;
  readonly #owner: ExchangeOwner;
  #state: 'unanswered' | 'begun' | 'over' = 'unanswered';
  #persists = false;
  /** Octets of the body that the head promised and that are to come; -1: chunked; -2: until the connection closes. */
  #left = 0;
  #silent = false;
  onDrain: (() => void) | undefined = undefined;
  onGone: (() => void) | undefined = undefined;

  constructor(owner: ExchangeOwner, request: RequestHead, body: Http1Body | undefined, keepAlive: boolean) {
    this.#owner = owner;
    this.request = request;
    this.body = body;
    this.keepAlive = keepAlive;
  }

  /** Whether a status other than 1xx was sent. */
  get begun(): boolean {
    return this.#state !== 'unanswered';
  }

  answer(status: number, fields: FieldList, body: Uint8Array | undefined, length: number | undefined): void {
    if (this.#state !== 'unanswered') return;
    this.#answer(sendable(status, fields), body, length);
  }

  answerPrepared(prepared: PreparedAnswer): void {
    if (this.#state !== 'unanswered') return;
    const { method, version } = this.request;
    const owner = this.#owner;
    if (method === 'GET' && version === '1.1' && owner.mayPersist(this)) {
      const octets = prepared.octets ?? owner.render(prepared);
      if (octets !== undefined) {
        this.#state = 'over';
        owner.send(octets);
        if (isSentApart(prepared.body)) owner.send(prepared.body);
        owner.onAnswered(this, true);
        return;
      }
    }
    const { status, fields, body, length } = prepared;
    this.#answer(sendable(status, fields), body, length);
  }

  inform(status: number, fields: FieldList): void {
    if (status !== 103 || this.request.version === '1.0' || this.#state !== 'unanswered') return;
    const links: string[] = [];
    for (let i = 0; i < fields.length; i += 2) {
      if (fields[i] === 'link' && fields[i + 1]?.startsWith('<')) links.push('link', fields[i + 1] ?? '');
    }
    const head = headText(status, links);
    // A hint that is malformed is not worth a failure.
    if (links.length === 0 || head.kind === 'malformed-field') return;
    this.#owner.send(`${head.text}\r\n`);
    this.#owner.flush();
  }

  begin(status: number, fields: FieldList, length: number | undefined): void {
    if (this.#state !== 'unanswered') return;
    const head = sendable(status, fields);
    this.#state = 'begun';
    this.#silent = this.#isSilent(status);
    this.#left = length ?? (this.request.version === '1.0' ? -2 : -1);
    this.#persists = this.#left !== -2 && this.#owner.mayPersist(this);
    this.#owner.send(this.#wholeHead(head, length, this.#left === -1 && !this.#silent));
    // The first part of the body mostly follows within the turn, and then goes out with the head.
    this.#owner.flushLater();
  }

  write(chunk: Uint8Array): boolean {
    if (this.#state !== 'begun') return true;
    if (this.#silent || chunk.length === 0) return true;
    if (this.#left === -1) {
      this.#owner.send(`${chunk.length.toString(16)}\r\n`);
      this.#owner.send(chunk);
      this.#owner.send('\r\n');
    } else {
      if (this.#left >= 0) {
        this.#left -= chunk.length;
        // More than the head promised would be read as the next response.
        if (this.#left < 0) {
          this.abort();
          return true;
        }
      }
      this.#owner.send(chunk);
    }
    return this.#owner.flushSoon();
  }

  get retains(): boolean {
    return this.#owner.holds;
  }

  end(trailers?: FieldList): void {
    if (this.#state !== 'begun') return;
    if (!this.#silent) {
      if (this.#left > 0) {
        this.abort();
        return;
      }
      if (this.#left === -1) this.#owner.send(`0\r\n${this.#trailerLines(trailers)}\r\n`);
    }
    this.#state = 'over';
    this.#owner.onAnswered(this, this.#persists);
  }

  switchProtocols(protocol: string, fields: FieldList): RequestBody {
    const head = sendable(101, fields);
    this.#state = 'begun';
    this.#left = -2;
    this.#owner.send(`${head.text}connection: upgrade\r\nupgrade: ${protocol}\r\n\r\n`);
    this.#owner.flushLater();
    return this.#owner.onSwitched();
  }

  abort(): void {
    if (this.#state === 'over') return;
    this.#state = 'over';
    this.#owner.break();
  }

  /** Answers with a failure, or breaks off an answer that was begun; the connection ends either way. */
  refuse(code: FailureCode): void {
    if (this.#state !== 'unanswered') {
      this.abort();
      return;
    }
    this.#state = 'over';
    const { status, fields, body } = failureResponse(code);
    const head = sendable(status, fields);
    this.#owner.send(this.#wholeHead(head, body.length, false));
    if (this.request.method !== 'HEAD') this.#owner.send(body);
    this.#owner.onAnswered(this, false);
  }

  /** The connection went away. */
  gone(): void {
    if (this.#state === 'over') return;
    this.#state = 'over';
    this.onGone?.();
  }

  #answer(head: HeadText, body: Uint8Array | undefined, length: number | undefined): void {
    this.#state = 'over';
    this.#persists = this.#owner.mayPersist(this);
    const silent = this.#isSilent(head.status);
    this.#owner.send(this.#wholeHead(head, silent ? length : (body?.length ?? 0), false));
    if (!silent && body !== undefined) this.#owner.send(body);
    this.#owner.onAnswered(this, this.#persists);
  }

  /** Whether no body follows the head, whatever the head says (RFC 9112 section 6.3). */
  #isSilent(status: number): boolean {
    return status === 204 || status === 304 || this.request.method === 'HEAD';
  }

  /** Only for a client that says that it takes them; what is malformed is not worth breaking off an answer. */
  #trailerLines(trailers: FieldList | undefined): string {
    if (trailers === undefined || trailers.length === 0 || !takesTrailers(this.request.fields)) return '';
    return fieldLines(trailers) ?? '';
  }

  /** With framing and persistence, and Date where there is none. */
  #wholeHead(head: HeadText, bodyLength: number | undefined, chunked: boolean): string | Uint8Array {
    const { status } = head;
    // RFC 9110 section 8.6: none on 204; on 304 only what a 200 would have, which is not known here.
    const length = status === 204 || status === 304 ? undefined : bodyLength;
    let lines = chunked ? 'transfer-encoding: chunked\r\n' : '';
    if (!this.#persists) lines += 'connection: close\r\n';
    else if (this.request.version === '1.0') lines += 'connection: keep-alive\r\n';
    return head.dated
      ? wholeHead(head, length, lines)
      : `${head.text}date: ${this.#owner.date()}\r\n${headEnd(length, lines)}`;
  }
}

/** Throws when there is a field that cannot be sent. */
function sendable(status: number, fields: FieldList): HeadText {
  const head = headText(status, fields);
  if (head.kind === 'malformed-field') throw new Error(`the response has a field that cannot be sent: "${head.name}"`);
  return head;
}
