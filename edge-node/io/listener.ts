// HTTP/1.1 from clients, on Node's own server in its strict mode. Framing is settled here (RFC 9112): what the parser refuses
// is answered and closed before the pipeline hears of it.
import http from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Clock } from '../../infra/runtime/clock.ts';
import type { RequestHead } from '../decide/admit.ts';
import { type FailureCode, failureResponse } from '../decide/errors.ts';
import type { FieldList } from '../decide/fields.ts';
import type { ClientPort, RequestBody } from '../ports.ts';

export interface ListenerLimits {
  /** Request line and fields together, bytes. */
  readonly headBytes: number;
  readonly fieldCount: number;
  /** From the first byte of a request to the end of its head, milliseconds. */
  readonly headMs: number;
  /** From the first byte of a request to the end of its body, milliseconds. */
  readonly requestMs: number;
  /** How long a connection may be idle between requests, milliseconds. */
  readonly idleMs: number;
  readonly connections: number;
  /** An unread body up to this size is drained, so that the connection can be used again; beyond it, it is closed. */
  readonly drainBytes: number;
}

export const DEFAULT_LISTENER_LIMITS: ListenerLimits = {
  headBytes: 32 * 1024,
  fieldCount: 128,
  headMs: 10_000,
  requestMs: 300_000,
  idleMs: 60_000,
  connections: 10_000,
  drainBytes: 64 * 1024,
};

export interface ListenerEvents {
  onExchange(client: ClientPort): void;
  /** The parser refused a request, or a connection came above the limit. */
  onRefused(code: FailureCode | 'too-many-connections' | 'underscore-field', detail: string): void;
}

export interface Listener {
  readonly port: number;
  /** Stops accepting, closes idle connections, waits up to `graceMs` for answers in flight, then closes the rest. */
  stop(clock: Clock, graceMs: number): Promise<void>;
}

/** `port` 0 takes any free one. Rejects with a sentence that says what to do when the address cannot be had. */
export function listen(
  address: { readonly host: string; readonly port: number },
  events: ListenerEvents,
  limits: ListenerLimits = DEFAULT_LISTENER_LIMITS,
): Promise<Listener> {
  const server = http.createServer({
    insecureHTTPParser: false,
    requireHostHeader: false,
    maxHeaderSize: limits.headBytes,
    headersTimeout: limits.headMs,
    requestTimeout: limits.requestMs,
    keepAliveTimeout: limits.idleMs,
    keepAliveTimeoutBuffer: Math.min(1_000, limits.idleMs),
    connectionsCheckingInterval: Math.min(1_000, limits.headMs),
    noDelay: true,
  });
  // Node would drop fields beyond its count without a word; ours is checked instead.
  server.maxHeadersCount = 0;
  server.maxConnections = limits.connections;
  const shared: Shared = { limits, events, stopping: false };
  const accept = (expectsContinue: boolean) => (req: http.IncomingMessage, res: http.ServerResponse) => {
    const client = new HttpClient(req, res, expectsContinue, shared);
    // One whose answer had begun before the stop has not said that it will be closed, and is idle only now.
    res.on('close', () => {
      if (shared.stopping) server.closeIdleConnections();
    });
    const unsound = unsoundFraming(req);
    if (req.rawHeaders.length / 2 > limits.fieldCount) {
      client.refuse('fields-too-large', `${req.rawHeaders.length / 2} fields`);
    } else if (unsound !== undefined) {
      client.refuse('malformed-request', unsound);
    } else {
      events.onExchange(client);
    }
  };
  server.on('request', accept(false));
  server.on('checkContinue', accept(true));
  server.on('checkExpectation', (req, res) => {
    new HttpClient(req, res, false, shared).refuse('expectation-failed', 'an expectation other than 100-continue');
  });
  server.on('connect', (_req, socket) => {
    events.onRefused('method-not-allowed', 'CONNECT');
    refuseRaw(socket, 'method-not-allowed');
  });
  server.on('drop', () => events.onRefused('too-many-connections', `more than ${limits.connections} connections`));
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    // A connection that is simply gone cannot be told anything.
    if (error.code === 'ECONNRESET' || !socket.writable) {
      socket.destroy();
      return;
    }
    const code = parserFailure(error.code);
    events.onRefused(code, `${error.code}: ${error.message}`);
    socket.pause();
    refuseInTurn(socket, code);
  });
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, address)));
    server.listen({ host: address.host, port: address.port, backlog: 1_024 }, () => {
      const { port } = server.address() as AddressInfo;
      const stop = (clock: Clock, graceMs: number) => {
        shared.stopping = true;
        return stopServer(server, clock, graceMs);
      };
      resolve({ port, stop });
    });
  });
}

function parserFailure(code: string | undefined): FailureCode {
  if (code === 'HPE_HEADER_OVERFLOW') return 'fields-too-large';
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return 'request-timeout';
  return 'malformed-request';
}

/** What the parser lets pass although servers differ on where such a request ends (RFC 9112 sections 2.3 and 6.1). */
function unsoundFraming(req: http.IncomingMessage): string | undefined {
  if (req.httpVersion !== '1.1' && req.httpVersion !== '1.0') return `HTTP/${req.httpVersion}`;
  const coding = req.headers['transfer-encoding'];
  if (coding === undefined) return undefined;
  if (req.httpVersionMinor === 0) return 'Transfer-Encoding in HTTP/1.0';
  return coding.toLowerCase() === 'chunked' ? undefined : `Transfer-Encoding "${coding.slice(0, 64)}"`;
}

/** Refuses what the parser could not read, after the answers to the requests before it, which the client awaits first. */
function refuseInTurn(socket: Duplex, code: FailureCode): void {
  if (!socket.writable) return;
  const current = (socket as Duplex & { _httpMessage?: http.ServerResponse | null })._httpMessage;
  if (current?.req.complete && !current.writableFinished) current.once('finish', () => refuseInTurn(socket, code));
  else if (current?.headersSent) socket.destroy();
  else refuseRaw(socket, code);
}

/** Answers on a socket whose request never became one, then closes it. */
function refuseRaw(socket: Duplex, code: FailureCode): void {
  const { status, fields, body } = failureResponse(code);
  let head = `HTTP/1.1 ${status} ${http.STATUS_CODES[status]}\r\n`;
  for (let i = 0; i < fields.length; i += 2) head += `${fields[i]}: ${fields[i + 1]}\r\n`;
  socket.end(`${head}content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`, () =>
    socket.destroy(),
  );
}

function listenError(error: NodeJS.ErrnoException, { host, port }: { host: string; port: number }): Error {
  if (error.code === 'EADDRINUSE') {
    return new Error(`cannot listen on ${host}:${port}: the port is in use; stop what uses it or choose another`);
  }
  if (error.code === 'EACCES')
    return new Error(`cannot listen on ${host}:${port}: not permitted; choose a port above 1023`);
  return new Error(`cannot listen on ${host}:${port}: ${error.message}`);
}

async function stopServer(server: http.Server, clock: Clock, graceMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const timer = clock.after(graceMs, () => server.closeAllConnections());
  await closed;
  timer.cancel();
}

interface Shared {
  readonly limits: ListenerLimits;
  readonly events: ListenerEvents;
  /** Answers say that the connection will be closed. */
  stopping: boolean;
}

class HttpClient implements ClientPort {
  readonly request: RequestHead;
  readonly body: RequestBody | undefined;
  readonly #req: http.IncomingMessage;
  readonly #res: http.ServerResponse;
  readonly #shared: Shared;
  onDrain: (() => void) | undefined = undefined;
  onGone: (() => void) | undefined = undefined;

  constructor(req: http.IncomingMessage, res: http.ServerResponse, expectsContinue: boolean, shared: Shared) {
    this.#req = req;
    this.#res = res;
    this.#shared = shared;
    this.body = requestBody(req, res, expectsContinue);
    this.request = {
      method: req.method ?? '',
      target: req.url ?? '',
      fields: requestFields(req.rawHeaders, shared.events),
      minor: req.httpVersionMinor,
      scheme: 'http',
      peer: peerAddress(req.socket),
      hasBody: this.body !== undefined,
    };
    res.on('drain', () => this.onDrain?.());
    res.on('close', () => {
      if (!res.writableFinished) this.onGone?.();
    });
    // Errors of the connection show as 'close'; without a listener they would end the process.
    res.on('error', () => undefined);
    req.on('error', () => undefined);
  }

  answer(status: number, fields: FieldList, body: Buffer | undefined, length: number | undefined): void {
    this.#head(status, fields, length);
    this.#res.end(this.request.method === 'HEAD' ? undefined : body);
  }

  inform(status: number, fields: FieldList): void {
    if (status !== 103 || this.request.minor === 0) return;
    const links: string[] = [];
    for (let i = 0; i < fields.length; i += 2) if (fields[i] === 'link') links.push(fields[i + 1] ?? '');
    try {
      if (links.length > 0) this.#res.writeEarlyHints({ link: links });
    } catch {
      // A hint that is malformed is not worth an answer.
    }
  }

  begin(status: number, fields: FieldList, length: number | undefined): void {
    this.#head(status, fields, length);
    this.#res.flushHeaders();
  }

  write(chunk: Uint8Array): boolean {
    return this.#res.write(chunk);
  }

  end(): void {
    this.#res.end();
  }

  abort(): void {
    this.#res.destroy();
  }

  /** Answers without the pipeline, and closes the connection. */
  refuse(code: FailureCode, detail: string): void {
    this.#shared.events.onRefused(code, detail);
    const { status, fields, body } = failureResponse(code);
    this.#res.shouldKeepAlive = false;
    this.answer(status, fields, Buffer.from(body), Buffer.byteLength(body));
  }

  #head(status: number, fields: FieldList, length: number | undefined): void {
    const lines: string[] = [];
    for (let i = 0; i < fields.length; i += 2) {
      if (fields[i] !== 'content-length') lines.push(fields[i] ?? '', fields[i + 1] ?? '');
    }
    // RFC 9110 section 8.6: none on 1xx and 204; on 304 only what a 200 would have, which is not known here.
    if (length !== undefined && status !== 204 && status !== 304) lines.push('content-length', String(length));
    if (this.#shared.stopping || this.#leavesBodyUnread()) this.#res.shouldKeepAlive = false;
    this.#res.writeHead(status, lines);
  }

  /** Whether a body is still to come that cannot be drained before the next request. */
  #leavesBodyUnread(): boolean {
    const { body } = this;
    if (!body || this.#req.complete) return false;
    return body.consumed || (body.length ?? Number.POSITIVE_INFINITY) > this.#shared.limits.drainBytes;
  }
}

function requestBody(
  req: http.IncomingMessage,
  res: http.ServerResponse,
  expectsContinue: boolean,
): RequestBody | undefined {
  const declared = req.headers['content-length'];
  const chunked = req.headers['transfer-encoding'] !== undefined;
  if (!chunked && (declared === undefined || Number(declared) === 0)) return undefined;
  let consumed = false;
  return {
    length: chunked ? undefined : Number(declared),
    get consumed() {
      return consumed;
    },
    async *chunks() {
      consumed = true;
      if (expectsContinue) res.writeContinue();
      // Whoever stops reading has no say over the connection, which still has an answer to bring.
      yield* req.iterator({ destroyOnReturn: false });
    },
  };
}

/** Lower-cases names; drops fields with "_", which many origins cannot tell from "-" (counted). */
function requestFields(raw: readonly string[], events: ListenerEvents): string[] {
  const fields: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    const name = (raw[i] ?? '').toLowerCase();
    if (name.includes('_')) events.onRefused('underscore-field', `field ${name.slice(0, 64)} dropped`);
    else fields.push(name, raw[i + 1] ?? '');
  }
  return fields;
}

/** IPv4 peers of a dual-stack socket show as IPv6-mapped. */
function peerAddress(socket: Socket): string {
  const address = socket.remoteAddress ?? '';
  return address.startsWith('::ffff:') ? address.slice(7) : address;
}
