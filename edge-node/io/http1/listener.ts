// Accepts HTTP/1.1 connections on a port, in clear or over TLS, and gives each its handler.
import net, { type AddressInfo, type Socket } from 'node:net';
import tls from 'node:tls';
import type { Clock } from '../../../infra/runtime/clock.ts';
import type { FailureCode } from '../../decide/errors.ts';
import type { ClientPort } from '../../ports.ts';
import { Http1Connection } from './connection.ts';
import { DEFAULT_HTTP1_LIMITS, type Http1Limits, Http1Shared } from './shared.ts';

export interface ListenerEvents {
  onExchange(client: ClientPort): void;
  /** A request was refused before it became an exchange, a field dropped, or a connection came above the limit. */
  onRefused(code: FailureCode | 'too-many-connections' | 'underscore-field', detail: string): void;
}

export interface Listener {
  readonly port: number;
  /** Stops accepting, closes idle connections, waits up to `graceMs` for answers in flight, then closes the rest. */
  stop(clock: Clock, graceMs: number): Promise<void>;
}

export interface Http1Address {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** Several processes or threads accept on the same port. */
  readonly reusePort?: boolean;
  /** Certificates; absent: in clear. */
  readonly tls?: tls.TlsOptions;
}

/** Rejects with a sentence that says what to do when the address cannot be had. */
export function listenHttp1(
  address: Http1Address,
  events: ListenerEvents,
  clock: Clock,
  limits: Http1Limits = DEFAULT_HTTP1_LIMITS,
): Promise<Listener> {
  const shared = new Http1Shared(clock, events, limits);
  const options = { allowHalfOpen: true, noDelay: true };
  const server =
    address.tls === undefined
      ? net.createServer(options, (socket) => new Http1Connection(socket, 'http', shared))
      : tls.createServer(
          { handshakeTimeout: limits.headMs, ...address.tls, ...options },
          (socket) => new Http1Connection(socket, 'https', shared),
        );
  server.maxConnections = limits.connections;
  server.on('drop', () => events.onRefused('too-many-connections', `more than ${limits.connections} connections`));
  server.on('tlsClientError', (_error: Error, socket: Socket) => socket.destroy());
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, address)));
    const { host, port, reusePort = false } = address;
    server.listen({ host, port, reusePort, backlog: 1_024 }, () => {
      resolve({
        port: (server.address() as AddressInfo).port,
        stop: (stopClock, graceMs) => stop(server, shared, stopClock, graceMs),
      });
    });
  });
}

/** Idle connections close at once, others after their answer; what is left after `graceMs` is broken off. */
async function stop(server: net.Server, shared: Http1Shared, clock: Clock, graceMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  for (const connection of shared.connections) connection.retire();
  const timer = clock.after(graceMs, () => {
    for (const connection of shared.connections) connection.break();
  });
  await closed;
  timer.cancel();
  shared.stop();
}

function listenError(error: NodeJS.ErrnoException, { host, port }: { host: string; port: number }): Error {
  if (error.code === 'EADDRINUSE') {
    return new Error(`cannot listen on ${host}:${port}: the port is in use; stop what uses it or choose another`);
  }
  if (error.code === 'EACCES')
    return new Error(`cannot listen on ${host}:${port}: not permitted; choose a port above 1023`);
  return new Error(`cannot listen on ${host}:${port}: ${error.message}`);
}
