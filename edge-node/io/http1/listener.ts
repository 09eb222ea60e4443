// Accepts HTTP/1.1 connections on a port, or takes them over from the listener for TLS, and gives each its handler.
import net, { type AddressInfo, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Clock } from '../../../infra/runtime/clock.ts';
import type { FailureCode } from '../../decide/errors.ts';
import type { ClientPort } from '../../ports.ts';
import { listenError, serverName } from '../sockets.ts';
import { Http1Connection } from './connection.ts';
import { DEFAULT_HTTP1_LIMITS, type Http1Limits, Http1Shared } from './shared.ts';

export interface ListenerEvents {
  onExchange(client: ClientPort): void;
  /** A request was refused before it became an exchange, a field dropped, or a connection came above the limit. */
  onRefused(code: FailureCode | 'too-many-connections' | 'underscore-field', detail: string): void;
}

export interface Listener {
  readonly port: number;
  /** Takes over a connection that another listener accepted, such as one whose ALPN chose HTTP/1.1. */
  serve(socket: Socket): void;
  /** Stops accepting, closes idle connections, waits up to `graceMs` for answers in flight, then closes the rest. */
  stop(clock: Clock, graceMs: number): Promise<void>;
}

export interface Http1Address {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** Several processes or threads accept on the same port. */
  readonly reusePort?: boolean;
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
  const serve = (socket: Socket): void => {
    const scheme = socket instanceof TLSSocket ? 'https' : 'http';
    new Http1Connection(socket, scheme, shared, serverName(socket));
  };
  const server = net.createServer(options, serve);
  server.maxConnections = limits.connections;
  server.on('drop', () => events.onRefused('too-many-connections', `more than ${limits.connections} connections`));
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, address)));
    const { host, port, reusePort = false } = address;
    server.listen({ host, port, reusePort, backlog: 1_024 }, () => {
      resolve({
        port: (server.address() as AddressInfo).port,
        serve,
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
