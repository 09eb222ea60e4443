// Opens the sockets of one origin: TCP, or TLS with the origin's certificate verified by name. No address is connected to that
// decide/address-guard.ts denies.
import net, { isIP, type LookupFunction } from 'node:net';
import tls from 'node:tls';
import { deniedLiteral } from '../guarded-lookup.ts';

/** Whom a socket tells. */
export interface SocketEvents {
  onConnected(): void;
  /** Where the next octets are to be read into. */
  readTarget(): Uint8Array;
  /** So many have been read into it. */
  onRead(octets: number): void;
  onDrain(): void;
  /** The origin sends no more. */
  onEnd(): void;
  /** Always comes last; `error`: why, unless it closed properly. */
  onClosed(error: Error | undefined): void;
}

/** What a connection needs of a `net.Socket` or `tls.TLSSocket`. */
export interface OriginSocket {
  readonly writableNeedDrain: boolean;
  write(octets: Uint8Array): boolean;
  write(text: string, encoding: 'latin1'): boolean;
  cork(): void;
  uncork(): void;
  /** Sends no more. */
  end(): unknown;
  destroy(): unknown;
  pause(): unknown;
  resume(): unknown;
}

/** `onread` does for TLS what it does for TCP, which the types do not say. */
type TlsOptions = tls.ConnectionOptions & { readonly onread: net.OnReadOpts; readonly allowHalfOpen: boolean };

export type Connect = (events: SocketEvents) => OriginSocket;

export interface ConnectorOptions {
  /** From `guardedLookup`. */
  readonly lookup: LookupFunction;
  /** Authorities, in PEM, in place of those that Node.js trusts. */
  readonly ca?: string;
}

/** Idle connections are probed by TCP, so that one whose other end has vanished is not kept for ever, milliseconds. */
const PROBE_AFTER_MS = 30_000;

/** For `address`: "http://host:port" or "https://host:port". */
export function connector(address: string, { lookup, ca }: ConnectorOptions): Connect {
  const { protocol, hostname, port } = new URL(address);
  const secure = protocol === 'https:';
  const host = hostname.replace(/^\[|\]$/g, '');
  const common = {
    host,
    port: Number(port || (secure ? 443 : 80)),
    lookup,
    // That the origin has closed its side is for the connection to judge.
    allowHalfOpen: true,
  };
  const denied = deniedLiteral(host);
  if (denied !== undefined) return (events) => attach(failed(denied), 'connect', events);
  if (!secure) {
    return (events) => attach(net.connect({ ...common, onread: onRead(events) }), 'connect', events);
  }
  // One for all: making it reads the authorities.
  const secureContext = tls.createSecureContext({ ...(ca !== undefined && { ca }) });
  const servername = isIP(host) === 0 ? { servername: host } : {};
  let session: Buffer | undefined;
  return (events) => {
    const options: TlsOptions = {
      ...common,
      ...servername,
      secureContext,
      ALPNProtocols: ['http/1.1'],
      ...(session !== undefined && { session }),
      onread: onRead(events),
    };
    const socket = tls.connect(options);
    socket.on('session', (next) => {
      session = next;
    });
    // It may be the session that the origin did not like.
    socket.on('error', () => {
      session = undefined;
    });
    return attach(socket, 'secureConnect', events);
  };
}

function onRead(events: SocketEvents): net.OnReadOpts {
  return {
    buffer: () => events.readTarget(),
    callback: (octets) => {
      events.onRead(octets);
      return true;
    },
  };
}

function attach(socket: net.Socket, connected: 'connect' | 'secureConnect', events: SocketEvents): OriginSocket {
  let failure: Error | undefined;
  socket.setNoDelay(true);
  socket.setKeepAlive(true, PROBE_AFTER_MS);
  socket.once(connected, () => events.onConnected());
  socket.on('drain', () => events.onDrain());
  socket.on('end', () => events.onEnd());
  socket.on('error', (error) => {
    failure = error;
  });
  socket.on('close', () => events.onClosed(failure));
  return socket;
}

function failed(error: Error): net.Socket {
  const socket = new net.Socket();
  process.nextTick(() => socket.destroy(error));
  return socket;
}
