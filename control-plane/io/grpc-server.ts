// A gRPC server on a socket of our own: bounded in connections and in what a message may hold, with errors that say what to
// do, and with a way to cut off a peer that does not read what it is sent (gRPC itself can only ask it to leave, in a message
// that such a peer does not read either).
import {
  Server,
  ServerCredentials,
  type ServerInterceptor,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import type { Clock } from '../../infra/runtime/clock.ts';
import { LIMITS } from '../../proto/limits.ts';
import { parseListen } from '../decide/listen.ts';
import { GrpcHealth } from './grpc-health.ts';
import { type Peer, peerServer, type TlsOptions } from './tls-server.ts';

export interface GrpcServer {
  readonly port: number;
  /** Who is at the other end of a call, as `call.getPeer()` names it; undefined once it is gone. */
  peer(name: string): Peer | undefined;
  /** Breaks the connection of `peer`, as `call.getPeer()` names it. */
  cut(peer: string): void;
  /** Stops listening, lets calls that have ended say so, then breaks all connections. */
  stop(): Promise<void>;
}

export interface ListenOptions {
  /** For people: "edges", "the admin API". */
  readonly purpose: string;
  /** `HOST:PORT`. */
  readonly listen: string;
  /** Listen beyond loopback, although nothing is encrypted or authenticated. */
  readonly insecure: boolean;
  /** Absent: plain text. */
  readonly tls?: TlsOptions | undefined;
  readonly interceptors?: ServerInterceptor[];
  readonly maxConnections: number;
  readonly clock: Clock;
  /** For who asks by the health service whether calls are of use now. */
  readonly ready: () => boolean;
}

/** A peer that does not answer a ping within the time is gone. */
const KEEPALIVE_MS = 15_000;
const KEEPALIVE_ANSWER_MS = 5000;
/** From asking peers to leave to breaking their connections. */
const STOP_MS = 1000;
/** Calls at the same time over one connection. */
const CALLS = 100;

/** What keeps a control plane from starting, said so that it can be mended. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
}

type CheckedOptions = Pick<ListenOptions, 'purpose' | 'listen' | 'insecure'> & { readonly tls?: object | undefined };

/** Throws a ListenError. */
export function checkListen({ purpose, listen, insecure, tls }: CheckedOptions) {
  const address = parseListen(listen);
  if (address.kind === 'malformed') throw new ListenError(`where to listen for ${purpose}: ${address.reason}`);
  if (!address.loopback && !insecure && !tls) {
    throw new ListenError(
      `refusing to listen on ${listen} for ${purpose}: nothing there is encrypted or authenticated. Give certificates ` +
        '("meridian certs" makes some), listen on 127.0.0.1, or set "insecure" if the network lets in none but those who may',
    );
  }
  return address;
}

/** A sentence for an error of `listen`. */
export function listenError(purpose: string, listen: string, error: unknown): ListenError {
  const detail = error instanceof Error ? error.message : String(error);
  if (detail.includes('EADDRINUSE')) {
    return new ListenError(
      `cannot listen on ${listen} for ${purpose}: the address is in use. Stop what listens there, perhaps another control ` +
        'plane, or choose another port',
    );
  }
  return new ListenError(`cannot listen on ${listen} for ${purpose}: ${detail}`);
}

/** Throws a ListenError. */
export async function serveGrpc(
  definition: ServiceDefinition,
  implementation: UntypedServiceImplementation,
  options: ListenOptions,
): Promise<GrpcServer> {
  const { host, port } = checkListen(options);
  const server = new Server({
    'grpc.max_receive_message_length': LIMITS.messageBytes,
    'grpc.max_send_message_length': LIMITS.messageBytes,
    'grpc.max_concurrent_streams': CALLS,
    'grpc.keepalive_time_ms': KEEPALIVE_MS,
    'grpc.keepalive_timeout_ms': KEEPALIVE_ANSWER_MS,
    'grpc.enable_channelz': 0,
    interceptors: options.interceptors ?? [],
  });
  server.addService(definition, implementation);
  const health = new GrpcHealth(server, namesOf(definition), options.ready, options.clock);
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  // What is encrypted is decrypted before it comes to gRPC.
  const peers = peerServer(options.tls, options.clock, (socket) => injector.injectConnection(socket));
  const { server: listener, sockets } = peers;
  listener.maxConnections = options.maxConnections;
  const bound = await new Promise<number>((resolve, reject) => {
    listener.once('error', (error) => {
      peers.stop();
      reject(listenError(options.purpose, options.listen, error));
    });
    listener.listen({ host, port }, () => {
      const address = listener.address();
      resolve(typeof address === 'object' && address ? address.port : port);
    });
  });
  return {
    port: bound,
    peer: peers.peer,
    cut: peers.cut,
    async stop() {
      peers.stop();
      health.stop();
      listener.close();
      // Its callback comes before calls have told how they ended; their connections close once they have.
      server.tryShutdown(() => undefined);
      const done = Promise.withResolvers<void>();
      const timer = options.clock.after(STOP_MS, done.resolve);
      for (const socket of sockets) {
        socket.on('close', () => {
          if (sockets.size === 0) done.resolve();
        });
      }
      if (sockets.size > 0) await done.promise;
      timer.cancel();
      server.forceShutdown();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** Full names of services, out of paths such as "/meridian.v1.AdminService/Get". */
function namesOf(definition: ServiceDefinition): string[] {
  return Object.values(definition).map(({ path }) => path.slice(1, path.lastIndexOf('/')));
}
