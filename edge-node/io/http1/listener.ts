// Accepts HTTP/1.1 connections on a port, or takes them over from the listener for TLS, and gives each its handler.
import net, { type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Clock } from '../../../infra/runtime/clock.ts';
import type { FailureCode } from '../../decide/errors.ts';
import type { ClientPort } from '../../ports.ts';
import { type Admission, type ListenAddress, listen, serverName, stopAccepting } from '../sockets.ts';
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
  /** Resolves when no further connection is accepted. */
  close(): Promise<void>;
  /**
   * Stops accepting, closes connections as they are idle for a while, waits up to `graceMs` for answers in flight, then closes
   * the rest. `others`: settles when nobody has connections of which this took over some.
   */
  stop(clock: Clock, graceMs: number, others?: Promise<unknown>): Promise<void>;
}

/** Rejects with a sentence that says what to do when the address cannot be had. */
export async function listenHttp1(
  address: ListenAddress,
  events: ListenerEvents,
  clock: Clock,
  limits: Http1Limits = DEFAULT_HTTP1_LIMITS,
  admit: Admission = () => true,
): Promise<Listener> {
  const shared = new Http1Shared(clock, events, limits);
  const options = { allowHalfOpen: true, noDelay: true };
  const serve = (socket: Socket): void => {
    const scheme = socket instanceof TLSSocket ? 'https' : 'http';
    const connection = new Http1Connection(socket, scheme, shared, serverName(socket));
    if (shared.retiring) connection.retire();
  };
  const server = net.createServer(options, (socket) => {
    if (admit(socket)) serve(socket);
    else socket.destroy();
  });
  server.maxConnections = limits.connections;
  server.on('drop', () => events.onRefused('too-many-connections', `more than ${limits.connections} connections`));
  const port = await listen(server, address).catch((error: unknown) => {
    shared.stop();
    throw error;
  });
  const gone = Promise.withResolvers<void>();
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closing ??= stopAccepting(server, gone.resolve);
    return closing;
  };
  return {
    port,
    serve,
    close,
    async stop(stopClock, graceMs, others) {
      const timer = stopClock.after(graceMs, () => {
        for (const connection of shared.connections) connection.break();
      });
      await close();
      shared.retiring = true;
      for (const connection of shared.connections) connection.retire();
      await gone.promise;
      // Until then they are looked after here.
      await others;
      timer.cancel();
      shared.stop();
    },
  };
}
