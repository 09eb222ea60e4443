// What all listeners need of sockets.
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';

/** IPv4 peers of a dual-stack socket show as IPv6-mapped. */
export function peerAddress(socket: { readonly remoteAddress?: string | undefined }): string {
  const address = socket.remoteAddress ?? '';
  return address.startsWith('::ffff:') ? address.slice(7) : address;
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
