// EdgeControlService: takes the streams of edges in and tells them when there is something new.
import { status } from '@grpc/grpc-js';
import type { Clock } from '../../infra/runtime/clock.ts';
import type { Log } from '../../infra/runtime/log.ts';
import {
  ConnectResponse,
  type EdgeControlServiceServer,
  EdgeControlServiceService,
} from '../../proto/gen/meridian/v1/edge.ts';
import { LIMITS } from '../../proto/limits.ts';
import { readIdentity } from '../decide/identity.ts';
import type { World } from '../decide/world.ts';
import { type EdgeCall, EdgeStream, type EdgeStreamPorts } from './edge-stream.ts';
import type { Fleet } from './fleet.ts';
import { serviceError } from './grpc-errors.ts';
import { type GrpcServer, type ListenOptions, serveGrpc } from './grpc-server.ts';
import { type HealthBoard, RENEW_MS } from './health-board.ts';
import { SnapshotDeltas } from './snapshot-deltas.ts';
import type { State } from './state.ts';
import type { Peer } from './tls-server.ts';

export interface EdgeServicePorts {
  readonly state: State;
  readonly fleet: Fleet;
  readonly health: HealthBoard;
  readonly clock: Clock;
  readonly log: Log;
}

export interface EdgeService {
  readonly port: number;
  /** Tells every edge to go elsewhere, and stops listening. */
  stop(): Promise<void>;
}

/** More than there can be edges, since each may connect again before its former stream is known to be dead. */
const STREAMS = LIMITS.edges * 2;

/** How often it is looked whether the store is in sight, and after how many looks in vain edges are sent elsewhere. */
const LOOK_MS = 1000;
const LOST_LOOKS = 4;

/** Health views are renewed for so many parts of the edges in turn, so that a purge never waits behind those of all. */
const PARTS = 20;

/** Throws a ListenError. */
export async function startEdgeService(
  ports: EdgeServicePorts,
  where: Pick<ListenOptions, 'listen' | 'insecure' | 'tls'>,
): Promise<EdgeService> {
  const { state, fleet, health, clock } = ports;
  /** With the part that each belongs to. */
  const streams = new Map<EdgeStream, number>();
  let opened = 0;
  let server: GrpcServer | undefined;

  const deltas = new SnapshotDeltas();
  const remember = ({ update, trial }: World): void => {
    deltas.remember(trial?.others);
    deltas.remember(update);
  };
  remember(state.world);
  const messages = new WeakMap<object, ConnectResponse>();
  const streamPorts: EdgeStreamPorts = {
    ...ports,
    deltas,
    cut: (peer) => server?.cut(peer),
    shared(message) {
      const known = messages.get(message.value);
      if (known) return known;
      const fresh: ConnectResponse = { message };
      messages.set(message.value, fresh);
      return fresh;
    },
    ended: (stream) => streams.delete(stream),
  };
  const implementation: EdgeControlServiceServer = {
    connect(call: EdgeCall) {
      const proven = provenEdge(server?.peer(call.getPeer()));
      if (proven.kind === 'nobody') call.emit('error', serviceError(proven.code, proven.reason));
      else if (streams.size < STREAMS) streams.set(new EdgeStream(call, streamPorts, proven.name), opened++ % PARTS);
      else
        call.emit(
          'error',
          serviceError(status.RESOURCE_EXHAUSTED, `this control plane has ${STREAMS} streams already`),
        );
    },
  };
  server = await serveGrpc(encodingOnce(), implementation, {
    ...where,
    purpose: 'edges',
    maxConnections: STREAMS,
    clock: ports.clock,
    ready: () => state.lost === undefined,
  });

  const update = (): void => {
    for (const stream of streams.keys()) stream.update();
  };
  state.onChange((world) => {
    fleet.keep(world.edges);
    remember(world);
    update();
  });
  health.onView(update);
  let part = 0;
  const renewal = clock.every(RENEW_MS / PARTS, () => {
    part = (part + 1) % PARTS;
    for (const [stream, of] of streams) if (of === part) stream.renewHealth();
  });
  // A replica that alone lost sight of the store would keep its edges from what the others know. Once for each loss, so that
  // edges do not wander about when the store is lost to all.
  let lostFor = 0;
  const watch = clock.every(LOOK_MS, () => {
    lostFor = state.lost === undefined ? 0 : lostFor + 1;
    if (lostFor === LOST_LOOKS) for (const stream of streams.keys()) stream.sendElsewhere('lost sight of the store');
  });
  return {
    port: server.port,
    async stop() {
      watch.cancel();
      renewal.cancel();
      for (const stream of streams.keys()) stream.end(status.UNAVAILABLE, 'this control plane is stopping');
      await server.stop();
    },
  };
}

type Proven =
  /** `name`: undefined where nobody is asked who they are. */
  | { readonly kind: 'edge'; readonly name: string | undefined }
  | { readonly kind: 'nobody'; readonly code: status; readonly reason: string };

/** Which edge the connection is from, by its certificate. */
function provenEdge(peer: Peer | undefined): Proven {
  if (peer?.kind === 'open') return { kind: 'edge', name: undefined };
  if (peer?.kind !== 'certified') {
    const reason = peer?.kind === 'refused' ? peer.reason : 'an edge needs a certificate';
    return { kind: 'nobody', code: status.UNAUTHENTICATED, reason };
  }
  const identity = readIdentity(peer.subjectAltName);
  if (identity.kind === 'edge') return identity;
  const whose = identity.kind === 'none' ? identity.reason : `it is of "${identity.name}", who may administer`;
  const reason = `the certificate is not of an edge: ${whose}; "meridian certs --edge NAME" makes one`;
  return { kind: 'nobody', code: status.PERMISSION_DENIED, reason };
}

/** The service, encoding a message that is sent to many edges for the first of them alone. */
function encodingOnce(): typeof EdgeControlServiceService {
  const encoded = new WeakMap<ConnectResponse, Buffer>();
  const responseSerialize = (message: ConnectResponse): Buffer => {
    let bytes = encoded.get(message);
    if (!bytes) {
      bytes = Buffer.from(ConnectResponse.encode(message).finish());
      encoded.set(message, bytes);
    }
    return bytes;
  };
  return { connect: { ...EdgeControlServiceService.connect, responseSerialize } };
}
