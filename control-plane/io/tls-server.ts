// The socket of a gRPC server, plain or TLS 1.3 with certificates of both sides, and what is known of each peer on it. New
// certificate files are taken up by new connections; a connection ends when the peer's certificate does.
import { constants } from 'node:crypto';
import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket, type Server as TlsServer } from 'node:tls';
import { atMostEvery, type Clock } from '../../infra/runtime/clock.ts';
import type { Log } from '../../infra/runtime/log.ts';
import type { TlsMaterial, TlsSource } from '../../infra/runtime/tls-files.ts';

/** Who is at the other end of a connection, as far as the connection shows. */
export type Peer =
  /** Nothing is encrypted or authenticated. */
  | { readonly kind: 'open' }
  /** Encrypted, but it showed no certificate. */
  | { readonly kind: 'anonymous' }
  /** What it showed is not from our authority, or not valid now. */
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'certified'; readonly subjectAltName: string };

export interface TlsOptions {
  readonly source: TlsSource;
  /** `required`: a peer without a certificate that holds is cut off in the handshake. */
  readonly clientCertificate: 'required' | 'optional';
  readonly log: Log;
  /** For a handshake, milliseconds. */
  readonly handshakeMs?: number;
}

export interface PeerServer {
  readonly server: Server;
  /** Undefined: there is no such connection any more. By "address:port". */
  peer(name: string): Peer | undefined;
  /** Breaks the connection. */
  cut(name: string): void;
  /** Of every connection, those in their handshake too. */
  readonly sockets: ReadonlySet<Socket>;
  stop(): void;
}

const HANDSHAKE_MS = 10_000;
/** Between two looks for certificates that have expired. */
const EXPIRY_LOOK_MS = 10_000;
/** Handshakes that failed are logged at most once in this time. */
const LOG_MS = 1000;

interface Connection {
  readonly socket: Socket;
  readonly peer: Peer;
  /** Unix milliseconds at which its certificate expires. */
  readonly until: number;
}

/** `use` gets each connection that may speak. */
export function peerServer(tls: TlsOptions | undefined, clock: Clock, use: (socket: Socket) => void): PeerServer {
  const connections = new Map<string, Connection>();
  const sockets = new Set<Socket>();
  const admit = (socket: Socket, peer: Peer, until = Number.POSITIVE_INFINITY): void => {
    const name = `${socket.remoteAddress}:${socket.remotePort}`;
    connections.set(name, { socket, peer, until });
    socket.on('close', () => connections.delete(name));
    socket.on('error', () => socket.destroy());
    use(socket);
  };
  const server = tls
    ? secureServer(tls, clock, admit)
    : createServer({ noDelay: true }, (socket) => admit(socket, { kind: 'open' }));
  // Beneath TLS, so that a connection is counted from its first byte.
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  const timer =
    tls &&
    clock.every(EXPIRY_LOOK_MS, () => {
      for (const { socket, until } of connections.values()) if (until <= clock.now()) socket.destroy();
    });
  return {
    server,
    sockets,
    peer: (name) => connections.get(name)?.peer,
    cut: (name) => connections.get(name)?.socket.destroy(),
    stop: () => timer?.cancel(),
  };
}

function secureServer(
  { source, clientCertificate, log, handshakeMs = HANDSHAKE_MS }: TlsOptions,
  clock: Clock,
  admit: (socket: Socket, peer: Peer, until?: number) => void,
): TlsServer {
  const logFailure = atMostEvery(clock, LOG_MS, (socket: Socket, reason: string) => {
    // A socket that is gone has forgotten where it was from.
    const { remoteAddress: from, remotePort } = socket;
    log.warn({ peer: from === undefined ? 'gone' : `${from}:${remotePort}`, reason }, 'a TLS handshake failed');
  });
  const server = createTlsServer(
    {
      ...contextOf(source.current),
      ALPNProtocols: ['h2'],
      handshakeTimeout: handshakeMs,
      requestCert: true,
      // Judged below, where there is somebody to say why to.
      rejectUnauthorized: false,
      noDelay: true,
    },
    (socket) => {
      const peer = peerOf(socket);
      if (clientCertificate === 'required' && peer.kind !== 'certified') {
        logFailure(socket, peer.kind === 'refused' ? peer.reason : 'it showed no certificate');
        socket.destroy();
        return;
      }
      admit(socket, peer, peer.kind === 'certified' ? Date.parse(socket.getPeerCertificate().valid_to) : undefined);
    },
  );
  server.on('tlsClientError', (error: NodeJS.ErrnoException & { readonly reason?: string }, socket) => {
    const isPlain = error.code === 'ERR_SSL_WRONG_VERSION_NUMBER' || error.code === 'ERR_SSL_HTTP_REQUEST';
    logFailure(socket, isPlain ? 'it does not speak TLS' : (error.reason ?? error.message));
    // After a time-out Node.js leaves it open.
    socket.destroy();
  });
  source.onChange((material) => server.setSecureContext(contextOf(material)));
  return server;
}

function contextOf({ ca, pair }: TlsMaterial) {
  return {
    ca,
    ...pair,
    minVersion: 'TLSv1.3',
    // A session that is resumed would bring back a certificate that may have expired since.
    secureOptions: constants.SSL_OP_NO_TICKET,
  } as const;
}

function peerOf(socket: TLSSocket): Peer {
  const certificate = socket.getPeerX509Certificate();
  if (!certificate) return { kind: 'anonymous' };
  if (socket.authorized) return { kind: 'certified', subjectAltName: certificate.subjectAltName ?? '' };
  const code = String(socket.authorizationError);
  return { kind: 'refused', reason: REASONS[code] ?? `its certificate does not hold (${code})` };
}

const REASONS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'its certificate has expired; renew it',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet; check the clocks',
  DEPTH_ZERO_SELF_SIGNED_CERT:
    'its certificate is signed by itself, not by the authority that this control plane trusts',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is from an authority that this control plane does not trust',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its certificate is from an authority that this control plane does not trust',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate is from an authority that this control plane does not trust',
  INVALID_PURPOSE: 'its certificate is not made for clients',
};
