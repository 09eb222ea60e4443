// One replica of the control plane, assembled. decide/ says what is to be done; io/ does it:
//
//   store (io/etcd-store.ts | io/sqlite-store.ts) -> io/state.ts (the present World)
//     -> io/edge-service.ts (a stream to each edge) <-> io/fleet.ts (what is known of them) -> io/health-board.ts
//     <- io/writer.ts <- io/admin-service.ts (where the path of a purge is written down)
import type { Clock } from '../infra/runtime/clock.ts';
import { systemClock } from '../infra/runtime/clock.ts';
import { Lifecycle } from '../infra/runtime/lifecycle.ts';
import { createLog, type Log } from '../infra/runtime/log.ts';
import { Metrics } from '../infra/runtime/metrics.ts';
import { type Random, systemRandom } from '../infra/runtime/random.ts';
import { type TlsFiles, TlsSource } from '../infra/runtime/tls-files.ts';
import type { Resources } from '../proto/consistency.ts';
import { formatProblem } from '../proto/problems.ts';
import { formatVersion } from '../proto/version.ts';
import type { Caller } from './decide/audit.ts';
import { describeChanges, planChange } from './decide/change.ts';
import { versionOf, type World } from './decide/world.ts';
import { startAdminService } from './io/admin-service.ts';
import { CanaryKeeper } from './io/canary-keeper.ts';
import { startEdgeService } from './io/edge-service.ts';
import { openEtcdStore } from './io/etcd-store.ts';
import { Fleet } from './io/fleet.ts';
import { checkListen } from './io/grpc-server.ts';
import { HealthBoard } from './io/health-board.ts';
import { startHttpService } from './io/http-service.ts';
import { Peers } from './io/peers.ts';
import { openSqliteStore } from './io/sqlite-store.ts';
import { State } from './io/state.ts';
import { Writer } from './io/writer.ts';
import type { Store } from './ports.ts';

export interface ControlPlaneOptions {
  readonly store:
    | { readonly kind: 'embedded'; readonly file: string }
    /** `http://host:port` of members of one cluster. */
    | { readonly kind: 'etcd'; readonly endpoints: readonly string[] };
  /** `HOST:PORT`, port 0 for any; for the streams of edges. */
  readonly edgeListen: string;
  /** `HOST:PORT`; for the `meridian` command. */
  readonly adminListen: string;
  /** `HOST:PORT`; for /healthz, /readyz and /metrics. Absent: none. */
  readonly httpListen?: string;
  /** Applied when the store holds no configuration yet; ignored otherwise. */
  readonly bootstrap?: Resources;
  /** Certificates for both of these: edges and administrators must then show who they are. Absent: plain text. */
  readonly tls?: TlsFiles & { readonly pair: object };
  /** Allow edges and administrators beyond loopback, although nothing is encrypted or authenticated. */
  readonly insecure?: boolean;
  readonly log?: Log;
  readonly clock?: Clock;
  readonly random?: Random;
}

export interface ControlPlane {
  readonly edgePort: number;
  readonly adminPort: number;
  /** Absent without `httpListen`. */
  readonly httpPort?: number;
  /** Sends edges elsewhere, ends what is being answered, closes the store. Never rejects. */
  stop(): Promise<void>;
}

/** For etcd to answer, milliseconds. */
const PATIENCE_MS = 30_000;

/** Throws an Error whose message says what is wrong, where, and what to do; nothing is left running then. */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const { edgeListen, adminListen, httpListen, insecure = false, bootstrap, tls: files } = options;
  const { clock = systemClock, random = systemRandom, log = createLog('control-plane', 'info') } = options;
  checkListen({ purpose: 'edges', listen: edgeListen, insecure, tls: files });
  checkListen({ purpose: 'the admin API', listen: adminListen, insecure, tls: files });

  const lifecycle = new Lifecycle(clock, log);
  try {
    const source = files && (await TlsSource.open(files, clock, log));
    if (source) lifecycle.onStop('certificates', () => source.stop());
    const tls = (clientCertificate: 'required' | 'optional') => source && { source, clientCertificate, log };
    const store = openStore(options, clock);
    lifecycle.onStop('store', () => store.close());
    const state = await State.open({ store, clock, random, log }, PATIENCE_MS);
    lifecycle.onStop('state', () => state.stop());
    const writer = new Writer(store, state, clock);
    if (bootstrap) await applyFirst(bootstrap, state, writer, clock, log);

    const fleet = new Fleet();
    const peers = await Peers.open({ store, fleet, clock, random, log });
    lifecycle.onStop('peers', () => peers.stop());
    const canaries = new CanaryKeeper(state, fleet, writer, clock, log);
    lifecycle.onStop('canary', () => canaries.stop());
    const health = new HealthBoard(fleet, peers, state, clock);
    lifecycle.onStop('health', () => health.stop());
    const metrics = measure(state, fleet, peers);
    const edges = await startEdgeService(
      { state, fleet, health, clock, log },
      { listen: edgeListen, insecure, tls: tls('required') },
    );
    lifecycle.onStop('edges', () => edges.stop());
    const ports = { store, state, writer, fleet, peers, health, clock, log, metrics };
    const admin = await startAdminService(ports, { listen: adminListen, insecure, tls: tls('optional') });
    lifecycle.onStop('admin', () => admin.stop());
    const http = httpListen === undefined ? undefined : await startHttpService(httpListen, metrics, () => state.lost);
    if (http) lifecycle.onStop('http', () => http.stop());

    const version = formatVersion(versionOf(state.world));
    const bound = { edgePort: edges.port, adminPort: admin.port, ...(http && { httpPort: http.port }) };
    log.info({ ...bound, store: store.kind, place: store.place, version }, 'control plane started');
    return { ...bound, stop: () => lifecycle.stop() };
  } catch (error) {
    await lifecycle.stop();
    throw error;
  }
}

function openStore({ store }: ControlPlaneOptions, clock: Clock): Store {
  switch (store.kind) {
    case 'embedded':
      return openSqliteStore(store.file);
    case 'etcd':
      return openEtcdStore(store.endpoints, clock);
  }
}

const BOOTSTRAP: Caller = { name: 'control-plane', role: 'administer', proof: 'bootstrap', peer: '' };

async function applyFirst(resources: Resources, state: State, writer: Writer, clock: Clock, log: Log): Promise<void> {
  const request = { ...resources, prune: false, dryRun: false, expected: undefined };
  const what = 'first configuration';
  const { plan, revision } = await writer.write(
    (world: World) =>
      world.headRevision > 0 || world.resources.size > 0
        ? ({ kind: 'present' } as const)
        : planChange(world, request, { who: BOOTSTRAP.name, what, nowMs: clock.now() }),
    {
      caller: BOOTSTRAP,
      note: ({ changes }) => ({ action: 'apply', detail: describeChanges(changes), changesVersion: true }),
    },
  );
  switch (plan.kind) {
    case 'present':
      log.info({}, 'the store holds a configuration already; the one to begin with is ignored');
      break;
    case 'commit':
      if (revision !== undefined) await state.reached(revision, PATIENCE_MS);
      log.info({ changes: plan.changes.length }, 'applied the configuration to begin with');
      break;
    case 'inconsistent':
      throw new Error(
        `the configuration to begin with is inconsistent: ${plan.problems.map(formatProblem).join('; ')}`,
      );
    case 'too-big':
    case 'invalid':
    case 'moved':
      throw new Error(`the configuration to begin with cannot be applied: ${plan.reason}`);
  }
}

function measure(state: State, fleet: Fleet, peers: Peers): Metrics {
  const metrics = new Metrics();
  const gauge = (name: string, help: string, read: () => number) =>
    metrics.gauge(`meridian_control_${name}`, help, read);
  gauge('store_up', 'Whether the store is in sight.', () => Number(state.lost === undefined));
  gauge('edges_declared', 'Edges in the configuration.', () => state.world.edges.size);
  gauge('edges_connected', 'Edges with a stream to this control plane.', () => fleet.own.length);
  gauge('replicas_seen', 'Other replicas that are alive.', () => peers.count);
  gauge('epoch', 'Epoch of the store, Unix milliseconds.', () => state.world.epoch);
  gauge('version_revision', 'Revision of the newest configuration.', () => state.world.headRevision);
  gauge('purge_sequence', 'Sequence number of the newest purge.', () => state.world.purges.last);
  return metrics;
}
