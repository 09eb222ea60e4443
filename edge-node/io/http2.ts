// HTTP/2 from clients (RFC 9113), on Node's `http2`: one session for each TLS connection that chose "h2", one exchange for each
// stream. Frames, flow control and HPACK are nghttp2's; what bounds a client is set here.
import http2 from 'node:http2';
import type { TLSSocket } from 'node:tls';
import type { Readable } from 'node:stream';
import type { RequestHead } from '../decide/admit.ts';
import { type FailureCode, failureResponse } from '../decide/errors.ts';
import type { FieldList } from '../decide/fields.ts';
import type { ClientPort, RequestBody } from '../ports.ts';

export interface Http2Limits {
  /** Streams open at once on one connection. */
  readonly streams: number;
  /** Header list of a request, bytes as RFC 9113 section 6.5.2 counts them, and fields. */
  readonly headBytes: number;
  readonly fieldCount: number;
  /** Streams that a client may reset: at once, and each second after (CVE-2023-44487). Beyond: GOAWAY. */
  readonly resets: number;
  readonly resetsPerSecond: number;
  /** A connection without a stream is closed after this time, milliseconds. */
  readonly idleMs: number;
  /** Memory that one session may hold, MiB. */
  readonly sessionMiB: number;
  readonly drainBytes: number;
}

export const DEFAULT_HTTP2_LIMITS: Http2Limits = {
  streams: 128,
  headBytes: 32 * 1024,
  fieldCount: 128,
  resets: 200,
  resetsPerSecond: 50,
  idleMs: 60_000,
  sessionMiB: 10,
  drainBytes: 64 * 1024,
};

export interface Http2Events {
  onExchange(client: ClientPort): void;
  onRefused(code: FailureCode | 'http2-session' | 'underscore-field', detail: string): void;
}

/** Serves HTTP/2 on a connection whose ALPN chose it. `peer`: address of the other end. */
export function serveHttp2(socket: TLSSocket, peer: string, events: Http2Events, limits: Http2Limits): http2.ServerHttp2Session {
  const session = http2.performServerHandshake(socket, {
    maxSessionMemory: limits.sessionMiB,
    maxHeaderListPairs: limits.fieldCount + 8,
    maxOutstandingPings: 10,
    maxSettings: 32,
    maxSendHeaderBlockLength: 64 * 1024,
    streamResetBurst: limits.resets,
    streamResetRate: limits.resetsPerSecond,
    settings: {
      enablePush: false,
      maxConcurrentStreams: limits.streams,
      maxHeaderListSize: limits.headBytes,
      initialWindowSize: 256 * 1024,
    },
  });
  session.on('stream', (stream, _headers, _flags, rawHeaders) => {
    const client = new Http2Client(stream, rawHeaders, peer, socket.servername, limits, events);
    if (client.refusal) client.refuse(client.refusal);
    else events.onExchange(client);
  });
  // A flood or a protocol error ends the session alone.
  session.on('error', (error) => events.onRefused('http2-session', error.message));
  session.setTimeout(limits.idleMs, () => session.close());
  return session;
}

class Http2Client implements ClientPort {
  readonly request: RequestHead;
  readonly body: RequestBody | undefined;
  readonly refusal: FailureCode | undefined;
  readonly #stream: http2.ServerHttp2Stream;
  onDrain: (() => void) | undefined = undefined;
  onGone: (() => void) | undefined = undefined;

  constructor(
    stream: http2.ServerHttp2Stream,
    raw: readonly string[],
    peer: string,
    sni: string | false | undefined,
    limits: Http2Limits,
    events: Http2Events,
  ) {
    this.#stream = stream;
    const parsed = parseFields(raw, events);
    this.body = requestBody(stream, parsed.fields);
    this.request = {
      method: parsed.method,
      target: parsed.path,
      fields: parsed.fields,
      version: '2',
      scheme: 'https',
      peer,
      sni: sni || undefined,
      hasBody: this.body !== undefined,
    };
    this.refusal = parsed.refusal ?? (parsed.fields.length / 2 > limits.fieldCount ? 'fields-too-large' : undefined);
    stream.on('drain', () => this.onDrain?.());
    stream.on('close', () => {
      if (!stream.writableFinished) this.onGone?.();
    });
    stream.on('error', () => undefined);
  }

  answer(status: number, fields: FieldList, body: Buffer | undefined, length: number | undefined): void {
    if (this.#stream.destroyed) return;
    const headers = responseHeaders(status, fields, length);
    if (body === undefined || body.length === 0 || this.request.method === 'HEAD') {
      this.#stream.respond(headers, { endStream: true });
    } else {
      this.#stream.respond(headers);
      this.#stream.end(body);
    }
  }

  inform(status: number, fields: FieldList): void {
    if (status !== 103 || this.#stream.destroyed) return;
    const links: string[] = [];
    for (let i = 0; i < fields.length; i += 2) if (fields[i] === 'link') links.push(fields[i + 1] ?? '');
    if (links.length > 0) this.#stream.additionalHeaders({ ':status': 103, link: links });
  }

  begin(status: number, fields: FieldList, length: number | undefined): void {
    if (!this.#stream.destroyed) this.#stream.respond(responseHeaders(status, fields, length));
  }

  write(chunk: Uint8Array): boolean {
    return this.#stream.write(chunk);
  }

  end(): void {
    this.#stream.end();
  }

  /** RST_STREAM, so that the other streams of the connection go on. */
  abort(): void {
    this.#stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
  }

  refuse(code: FailureCode): void {
    const { status, fields, body } = failureResponse(code);
    this.answer(status, fields, Buffer.from(body), Buffer.byteLength(body));
  }
}

interface ParsedFields {
  readonly method: string;
  readonly path: string;
  readonly fields: string[];
  readonly refusal: FailureCode | undefined;
}

/** nghttp2 has checked names and values; pseudo-fields become what HTTP/1 has in their place (RFC 9113 section 8.3.1). */
function parseFields(raw: readonly string[], events: Http2Events): ParsedFields {
  let method = '';
  let path = '';
  let authority: string | undefined;
  let refusal: FailureCode | undefined;
  const fields: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] ?? '';
    const value = raw[i + 1] ?? '';
    if (name === ':method') method = value;
    else if (name === ':path') path = value;
    else if (name === ':authority') authority = value;
    else if (name.startsWith(':')) continue;
    else if (name.includes('_')) events.onRefused('underscore-field', `field ${name.slice(0, 64)} dropped`);
    else fields.push(name, value);
  }
  if (authority !== undefined) {
    // Host repeats :authority or contradicts it; who contradicts is refused (RFC 9113 section 8.3.1).
    const host = fields.indexOf('host');
    if (host === -1 || host % 2 === 1) fields.unshift('host', authority);
    else if (fields[host + 1] !== authority) refusal = 'malformed-host';
  }
  joinCookies(fields);
  return { method, path, fields, refusal };
}

/** RFC 9113 section 8.2.3: cookie crumbs become one field again before they go to HTTP/1. */
function joinCookies(fields: string[]): void {
  let first = -1;
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i] !== 'cookie') continue;
    if (first === -1) {
      first = i;
    } else {
      fields[first + 1] = `${fields[first + 1]}; ${fields[i + 1]}`;
      fields.splice(i, 2);
      i -= 2;
    }
  }
}

function responseHeaders(status: number, fields: FieldList, length: number | undefined): string[] {
  const headers = [':status', String(status)];
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i] !== 'content-length') headers.push(fields[i] ?? '', fields[i + 1] ?? '');
  }
  if (length !== undefined && status !== 204 && status !== 304) headers.push('content-length', String(length));
  return headers;
}

function requestBody(stream: http2.ServerHttp2Stream, fields: FieldList): RequestBody | undefined {
  if (stream.endAfterHeaders) return undefined;
  const at = fields.indexOf('content-length');
  const declared = at % 2 === 0 ? Number(fields[at + 1]) : undefined;
  let consumed = false;
  return {
    length: declared,
    get consumed() {
      return consumed;
    },
    stream(): Readable {
      consumed = true;
      return stream;
    },
  };
}
