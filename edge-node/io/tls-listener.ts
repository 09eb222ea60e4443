// TLS from clients: certificates by SNI, then HTTP/2 or HTTP/1.1 as ALPN chose (RFC 7301). TLS 1.2 and up, with forward secrecy
// and authenticated encryption alone, so that no suite is one that RFC 9113 appendix A forbids to HTTP/2.

import { constants, randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import tls, { type TLSSocket } from 'node:tls';
import type { Clock } from '../../infra/runtime/clock.ts';
import type { Certificates } from './certificates.ts';
import { Http2Connection } from './http2/connection.ts';
import {
  DEFAULT_HTTP2_LIMITS,
  type Http2Events,
  type Http2Limits,
  type Http2Refusal,
  Http2Shared,
} from './http2/shared.ts';
import { type Admission, type ListenAddress, listen, serverName, stopAccepting } from './sockets.ts';

export interface TlsLimits {
  /** From the connection's first byte to the end of its handshake, milliseconds. */
  readonly handshakeMs: number;
  readonly connections: number;
}

export const DEFAULT_TLS_LIMITS: TlsLimits = { handshakeMs: 10_000, connections: 10_000 };

/** For a handshake that is under way when the listener is stopped, milliseconds: many of those will never end. */
const LAST_HANDSHAKE_MS = 1_000;

export interface TlsEvents extends Http2Events {
  onRefused(
    reason: Http2Refusal | 'too-many-connections' | 'tls-handshake' | 'unknown-server-name',
    detail: string,
  ): void;
}

export interface TlsListenerOptions {
  readonly address: ListenAddress;
  readonly admit?: Admission;
  readonly certificates: Certificates;
  /** 48 random bytes, the same for all threads that share a port: a session begun at one is then resumed at any. */
  readonly ticketKeys?: Buffer;
  readonly events: TlsEvents;
  /** Takes over a connection that is to speak HTTP/1.1; half-open as in RFC 9112 section 9.6. */
  onHttp1(socket: TLSSocket): void;
  readonly clock: Clock;
  readonly limits?: TlsLimits;
  readonly http2Limits?: Http2Limits;
}

export interface TlsListener {
  readonly port: number;
  /** Resolves when no further connection is accepted. */
  close(): Promise<void>;
  /**
   * Stops accepting; GOAWAY on HTTP/2 connections, which close after their last answer. Whoever took over the others has to
   * close them. Handshakes have a second more, and what is left after `graceMs` is broken off.
   */
  stop(graceMs: number): Promise<void>;
}

const CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':');

class UnknownServerName extends Error {}

/** Rejects with a sentence that says what to do when the address cannot be had. */
export async function listenTls(options: TlsListenerOptions): Promise<TlsListener> {
  const { address, admit = () => true, certificates, events, clock, limits = DEFAULT_TLS_LIMITS } = options;
  const http2 = new Http2Shared(clock, events, options.http2Limits ?? DEFAULT_HTTP2_LIMITS);
  const sockets = new Set<Socket>();
  /** By their peer, since a socket for TLS does not tell the one that it was made of. */
  const handshakes = new Map<string, Socket>();
  let retiring = false;
  const server = tls.createServer({
    ...certificates.fallback,
    ALPNProtocols: ['h2', 'http/1.1'],
    SNICallback(name, done) {
      const context = certificates.find(name);
      done(context === undefined ? new UnknownServerName(name) : null, context);
    },
    minVersion: 'TLSv1.2',
    ciphers: CIPHERS,
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
    handshakeTimeout: limits.handshakeMs,
    ticketKeys: options.ticketKeys ?? randomBytes(48),
    // By default made of the command line, which differs between threads and versions.
    sessionIdContext: 'meridian',
    allowHalfOpen: true,
    noDelay: true,
  });
  server.maxConnections = limits.connections;
  server.on('drop', () => events.onRefused('too-many-connections', `more than ${limits.connections} connections`));
  server.on('connection', (socket) => {
    if (!admit(socket)) {
      socket.destroy();
      return;
    }
    const peer = peerOf(socket);
    sockets.add(socket);
    handshakes.set(peer, socket);
    socket.on('close', () => {
      sockets.delete(socket);
      if (handshakes.get(peer) === socket) handshakes.delete(peer);
    });
  });
  server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
    if (error instanceof UnknownServerName) events.onRefused('unknown-server-name', error.message);
    // A client that is simply gone is not at fault.
    else if (error.code !== 'ECONNRESET') events.onRefused('tls-handshake', `${error.code}: ${error.message}`);
    socket.destroy();
  });
  server.on('secureConnection', (socket) => {
    handshakes.delete(peerOf(socket));
    if (socket.alpnProtocol !== 'h2') {
      options.onHttp1(socket);
      return;
    }
    const connection = new Http2Connection(socket, http2, serverName(socket));
    if (retiring) connection.retire();
  });
  const port = await listen(server, address).catch((error: unknown) => {
    http2.stop();
    throw error;
  });
  const gone = Promise.withResolvers<void>();
  let closing: Promise<void> | undefined;
  return { port, close, stop };

  function close(): Promise<void> {
    closing ??= stopAccepting(server, gone.resolve);
    return closing;
  }

  async function stop(graceMs: number): Promise<void> {
    const timer = clock.after(graceMs, () => {
      for (const connection of http2.connections) connection.break();
      for (const socket of sockets) socket.destroy();
    });
    await close();
    retiring = true;
    for (const connection of http2.connections) connection.retire();
    const handshakesTimer = clock.after(LAST_HANDSHAKE_MS, () => {
      for (const socket of handshakes.values()) socket.destroy();
    });
    await gone.promise;
    timer.cancel();
    handshakesTimer.cancel();
    http2.stop();
  }
}

/** One connection of those that a listener has at once. */
function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
