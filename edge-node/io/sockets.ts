// What all listeners need of sockets.

import type { AddressInfo, BoundSocket, Server, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { canonicalHost } from '../../proto/canonical-url.ts';

/** A `net.Socket` or `tls.TLSSocket`, or in tests one end of a pair in memory. */
export type ByteStream = Duplex & { readonly remoteAddress?: string | undefined };

/** IPv4 peers of a dual-stack socket show as IPv6-mapped. */
export function peerAddress(socket: { readonly remoteAddress?: string | undefined }): string {
  const address = socket.remoteAddress ?? '';
  return address.startsWith('::ffff:') ? address.slice(7) : address;
}

/** An address to listen on, and what is there already, if anything: a socket that is bound to it, or one by its descriptor. */
export interface ListenAddress {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** Taken over. */
  readonly socket?: BoundSocket | number | undefined;
}

/** HOST:PORT as it was written. Throws an Error that says of `what` that it is wrong. */
export function parseListen(text: string, what: string): { readonly host: string; readonly port: number } {
  const colon = text.lastIndexOf(':');
  const port = text.slice(colon + 1);
  const host = canonicalHost(text.slice(0, colon));
  if (colon < 1 || host.kind === 'malformed' || !/^\d{1,5}$/.test(port) || Number(port) > 65_535) {
    throw new Error(`"${text}" is not ${what}: expected HOST:PORT, such as 127.0.0.1:8080`);
  }
  return { host: host.host.replace(/^\[|\]$/g, ''), port: Number(port) };
}

/** Decides on a connection that has just come, before anything is read from it. False: it is closed. */
export type Admission = (socket: Socket) => boolean;

const BACKLOG = 1_024;

/** Resolves with the port. Rejects with a sentence that says what to do when the address cannot be had. */
export function listen(server: Server, address: ListenAddress): Promise<number> {
  const { host, port, socket } = address;
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, address)));
    const source =
      socket === undefined ? { host, port } : typeof socket === 'number' ? { fd: socket } : { handle: socket };
    server.listen({ ...source, backlog: BACKLOG }, () => resolve((server.address() as AddressInfo).port));
  });
}

/**
 * Stops accepting. What has come already is accepted first, in one more turn of the event loop: to close would be to reset it.
 * What comes between that turn and the close is lost, and cannot be told from what comes after. `closed` is called when all
 * connections are gone.
 */
export async function stopAccepting(server: Server, closed: () => void): Promise<void> {
  await new Promise<void>((resolve) => setImmediate(() => setImmediate(resolve)));
  server.close(closed);
}

/** Why an address cannot be listened on, and what to do. */
export function listenError(error: NodeJS.ErrnoException, { host, port }: { host: string; port: number }): Error {
  if (error.code === 'EADDRINUSE') {
    return new Error(`cannot listen on ${host}:${port}: the port is in use; stop what uses it or choose another`);
  }
  if (error.code === 'EACCES')
    return new Error(`cannot listen on ${host}:${port}: not permitted; choose a port above 1023`);
  return new Error(`cannot listen on ${host}:${port}: ${error.message}`);
}

/** The name by which a client asked for the certificate (RFC 6066 section 3), as hostnames are compared; else undefined. */
export function serverName(socket: Socket): string | undefined {
  const name = socket instanceof TLSSocket ? socket.servername : undefined;
  return name ? name.toLowerCase() : undefined;
}
