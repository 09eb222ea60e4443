// The data path of an edge behind TLS, on certificates that are made for tests, and clients of it.
import http2 from 'node:http2';
import { after } from 'node:test';
import tls from 'node:tls';
import { fileURLToPath } from 'node:url';
import { openCertificates, readCertificates } from '../../edge-node/io/certificates.ts';
import type { Http1Limits } from '../../edge-node/io/http1/shared.ts';
import { DEFAULT_HTTP2_LIMITS, type Http2Limits } from '../../edge-node/io/http2/shared.ts';
import { DEFAULT_TLS_LIMITS, listenTls, type TlsLimits, type TlsListener } from '../../edge-node/io/tls-listener.ts';
import { type Clock, systemClock } from '../../infra/runtime/clock.ts';
import { startEdge, type TestEdge } from './edge.ts';

/** demo.crt for demo.example; other.crt for other.example and *.wild.example. */
export const CERTIFICATES = fileURLToPath(new URL('../fixtures/tls', import.meta.url));

export interface TlsEdge extends TestEdge {
  readonly tls: TlsListener;
}

export interface TlsEdgeOptions {
  readonly limits?: Partial<TlsLimits>;
  readonly http1Limits?: Partial<Http1Limits>;
  readonly http2Limits?: Partial<Http2Limits>;
  readonly clock?: Clock;
  readonly ticketKeys?: Buffer;
}

/** As `startEdge`, with `port` that of the TLS listener. Stopped at the end of the file. */
export async function startTlsEdge(
  origins: Readonly<Record<string, string>>,
  { limits, http1Limits, http2Limits, clock = systemClock, ticketKeys }: TlsEdgeOptions = {},
): Promise<TlsEdge> {
  const edge = await startEdge(origins, http1Limits);
  const listener = await listenTls({
    address: { host: '127.0.0.1', port: 0 },
    certificates: openCertificates(await readCertificates(CERTIFICATES, Date.now())),
    ...(ticketKeys && { ticketKeys }),
    events: {
      onExchange: (client) => edge.events.onExchange(client),
      onRefused: (reason, detail) => edge.refused.push(`${reason}: ${detail}`),
    },
    onHttp1: (socket) => edge.listener.serve(socket),
    clock,
    limits: { ...DEFAULT_TLS_LIMITS, ...limits },
    http2Limits: { ...DEFAULT_HTTP2_LIMITS, ...http2Limits },
  });
  after(async () => {
    // A clock that stands still would never end the grace.
    const stopped = listener.stop(0);
    if ('advance' in clock && typeof clock.advance === 'function') clock.advance(1);
    await stopped;
  });
  return { ...edge, port: listener.port, tls: listener };
}

/** A handshake with `port` as `options` say; rejects when it fails. */
export function connectTls(port: number, options: tls.ConnectionOptions = {}): Promise<tls.TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({
      host: '127.0.0.1',
      port,
      servername: 'demo.example',
      rejectUnauthorized: false,
      ...options,
    });
    socket.once('secureConnect', () => resolve(socket));
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('closed in the handshake')));
  });
}

export interface Http2Answer {
  readonly status: number;
  readonly headers: http2.IncomingHttpHeaders;
  /** Statuses of informational answers before it. */
  readonly informed: number[];
  readonly body: string;
}

/** A client as browsers have it: one connection, many streams. Closed at the end of the file. */
export class Http2User {
  readonly socket: tls.TLSSocket;
  readonly session: http2.ClientHttp2Session;
  /** Code of each GOAWAY. */
  readonly goaways: number[] = [];

  constructor(port: number, servername = 'demo.example') {
    const connection = { host: '127.0.0.1', port, servername, rejectUnauthorized: false, ALPNProtocols: ['h2'] };
    this.socket = tls.connect(connection);
    this.session = http2.connect('https://demo.example', { createConnection: () => this.socket });
    this.session.on('error', () => undefined);
    this.session.on('goaway', (code) => this.goaways.push(code));
    after(() => this.session.destroy());
  }

  /** A stream for GET `path` on demo.example, unless `headers` say otherwise; without a body unless `more` follows. */
  open(path: string, headers: http2.OutgoingHttpHeaders = {}, more = false): http2.ClientHttp2Stream {
    return this.session.request({ ':path': path, ':authority': 'demo.example', ...headers }, { endStream: !more });
  }

  /** The whole answer; rejects when the stream breaks off. */
  async ask(path: string, headers: http2.OutgoingHttpHeaders = {}, body?: string | Buffer): Promise<Http2Answer> {
    const stream = this.open(path, headers, body !== undefined);
    const answer = answerOf(stream);
    if (body !== undefined) stream.end(body);
    return await answer;
  }
}

export function answerOf(stream: http2.ClientHttp2Stream): Promise<Http2Answer> {
  return new Promise((resolve, reject) => {
    const informed: number[] = [];
    let headers: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader = {};
    const chunks: Buffer[] = [];
    let ended = false;
    stream.on('headers', (info) => informed.push(Number(info[':status'])));
    stream.on('response', (received) => {
      headers = received;
    });
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('end', () => {
      ended = true;
    });
    stream.on('error', reject);
    stream.on('close', () => {
      const status = headers[':status'];
      if (!ended || status === undefined || stream.rstCode !== 0) reject(new Error(`broken off: ${stream.rstCode}`));
      else resolve({ status, headers, informed, body: Buffer.concat(chunks).toString('latin1') });
    });
  });
}
