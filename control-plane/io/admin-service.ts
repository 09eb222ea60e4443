// AdminService: what the `meridian` command asks for. The path of a purge begins and ends here:
//
//   purge() -> decide/purge.ts plans it -> io/writer.ts commits it (from here on it is accepted) -> io/state.ts hears of it
//   by the store's watch -> io/edge-service.ts -> each io/edge-stream.ts sends what decide/outbox.ts chooses -> an edge's
//   PurgeAck comes back on its stream -> io/fleet.ts -> decide/acks.ts -> io/edge-wait.ts -> a line of the answer
import { randomUUID } from 'node:crypto';
import { isIP } from 'node:net';
import { status } from '@grpc/grpc-js';
import type { Clock } from '../../infra/runtime/clock.ts';
import type { Log } from '../../infra/runtime/log.ts';
import type { Metrics } from '../../infra/runtime/metrics.ts';
import { canonicalUrl } from '../../proto/canonical-url.ts';
import {
  type AdminServiceServer,
  AdminServiceService,
  type EdgeOutcome,
  type ExplainRequest,
  type ExplainResponse,
  type PurgeRequest,
  type PurgeResponse,
} from '../../proto/gen/meridian/v1/admin.ts';
import { LIMITS } from '../../proto/limits.ts';
import type { Caller } from '../decide/audit.ts';
import { describePurge, type PurgeAsked, planPurge, purgeProblem } from '../decide/purge.ts';
import type { Reach } from '../decide/questions.ts';
import type { Store } from '../ports.ts';
import { Access } from './access.ts';
import { accessCalls } from './access-service.ts';
import { AdminCalls, checkWait } from './admin-calls.ts';
import { ConfigurationAdmin } from './admin-configuration.ts';
import { EdgeAsking, nearestFirst } from './edge-asking.ts';
import { type EdgeWait, eventOf, waitForEdges } from './edge-wait.ts';
import type { Fleet } from './fleet.ts';
import { Refusal } from './grpc-errors.ts';
import { type GrpcServer, type ListenOptions, serveGrpc } from './grpc-server.ts';
import type { HealthBoard } from './health-board.ts';
import type { Peers } from './peers.ts';
import type { State } from './state.ts';
import { reportStatus } from './status.ts';
import type { Writer } from './writer.ts';

export interface AdminPorts {
  readonly store: Store;
  readonly state: State;
  readonly writer: Writer;
  readonly fleet: Fleet;
  readonly peers: Peers;
  readonly health: HealthBoard;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

export interface AdminService {
  readonly port: number;
  stop(): Promise<void>;
}

const CONNECTIONS = 1000;
/** For an edge to explain. */
const EXPLAIN_MS = 3000;
/** In one answer, the nearest: as many as fit into a message even if each is as long as it may be. */
const EXPLANATIONS = 60;
/** For an edge to walk its cache and count. */
const COUNT_MS = 10_000;

const NOTHING: Reach = { objects: 0, bytes: 0 };

type Say<Response> = (response: Response) => void;

/** Throws a ListenError. */
export async function startAdminService(
  ports: AdminPorts,
  where: Pick<ListenOptions, 'listen' | 'insecure' | 'tls'>,
): Promise<AdminService> {
  let server: GrpcServer | undefined;
  const access = new Access(ports, (peer) => server?.peer(peer));
  const calls = new AdminCalls(access, ports.log);
  const admin = new Admin(ports);
  const configuration = new ConfigurationAdmin({
    ...ports,
    count: (what, result) => admin.count(what, result),
    wait: (wait, say) => admin.wait(wait, say),
  });
  const implementation: AdminServiceServer = {
    apply: calls.stream('apply', (request, say, signal, caller) => configuration.apply(request, caller, say, signal)),
    rollback: calls.stream('rollback', (request, say, signal, caller) => {
      return configuration.rollback(request, caller, (progress) => say({ progress }), signal);
    }),
    drain: calls.stream('drain', (request, say, signal, caller) => {
      return configuration.drain(request, caller, (progress) => say({ progress }), signal);
    }),
    history: calls.unary('history', (request) => configuration.history(request)),
    get: calls.unary('get', (request) => configuration.get(request)),
    status: calls.unary('status', () => reportStatus(ports)),
    purge: calls.stream('purge', (request, say, signal, caller) => admin.purge(request, say, signal, caller)),
    explain: calls.unary('explain', (request) => admin.explain(request)),
    ...accessCalls(calls, ports),
  };
  const { clock, state } = ports;
  const ready = () => state.lost === undefined;
  const options = { ...where, purpose: 'the admin API', maxConnections: CONNECTIONS, clock, ready };
  server = await serveGrpc(AdminServiceService, implementation, { ...options, interceptors: [access.interceptor] });
  return {
    port: server.port,
    async stop() {
      calls.stop();
      await server?.stop();
    },
  };
}

class Admin {
  readonly #ports: AdminPorts;
  readonly #asking: EdgeAsking;

  constructor(ports: AdminPorts) {
    this.#ports = ports;
    this.#asking = new EdgeAsking(ports);
  }

  async purge(request: PurgeRequest, say: Say<PurgeResponse>, signal: AbortSignal, caller: Caller): Promise<void> {
    const { state, writer, clock, log } = this.#ports;
    checkWait('timeout_ms', request.timeoutMs);
    const { targets, soft } = request;
    const asked = { targets, soft, idempotencyKey: request.idempotencyKey || randomUUID() };
    if (request.dryRun) {
      await this.#countPurge(asked, say);
      return;
    }
    const { plan, committedAt } = await writer.write((world) => planPurge(world.purges, asked, clock.now()), {
      caller,
      note: ({ position: purge }) => ({ action: 'purge', detail: describePurge(asked), purge }),
    });
    if (plan.kind === 'invalid') throw new Refusal(status.INVALID_ARGUMENT, `nothing was purged: ${plan.reason}`);
    const { position } = plan;
    this.count('purges', plan.kind);
    const { idempotencyKey } = asked;
    log.info({ position, targets: targets.length, soft, idempotencyKey, kind: plan.kind }, 'purge');
    say({ event: { $case: 'accepted', value: { position, repeatedKey: plan.kind === 'repeated' } } });
    const { edges } = state.world;
    const goal = { kind: 'purge', position } as const;
    await this.wait({ goal, edges, committedAt, timeoutMs: request.timeoutMs, signal }, (outcomes) => {
      say({ event: eventOf(outcomes) });
    });
  }

  /** A dry run: each edge counts. */
  async #countPurge(asked: PurgeAsked, say: Say<PurgeResponse>): Promise<void> {
    const { state, fleet } = this.#ports;
    const reason = purgeProblem(asked);
    if (reason !== undefined) throw new Refusal(status.INVALID_ARGUMENT, `nothing to count: ${reason}`);
    const pending = new Set(state.world.edges);
    const tell = (edge: string, counted: boolean, { objects, bytes }: Reach, detail: string): void => {
      if (pending.delete(edge)) say({ event: { $case: 'count', value: { edge, counted, objects, bytes, detail } } });
    };
    const away = [...pending].filter((edge) => !fleet.get(edge)?.connected);
    for (const edge of away) tell(edge, false, NOTHING, 'it is not connected');
    await this.#asking.count([...pending], asked.targets, COUNT_MS, (edge, reach) => tell(edge, true, reach, ''));
    for (const edge of pending) tell(edge, false, NOTHING, `it did not count within ${COUNT_MS} ms`);
  }

  async explain({ url, ip, edge }: ExplainRequest): Promise<ExplainResponse> {
    const { state, fleet } = this.#ports;
    if (url.length > LIMITS.pathLength) {
      throw new Refusal(status.INVALID_ARGUMENT, `url: longer than ${LIMITS.pathLength} characters`);
    }
    const canonical = canonicalUrl(url);
    if (canonical.kind === 'malformed') throw new Refusal(status.INVALID_ARGUMENT, `url: ${canonical.detail}`);
    if (isIP(ip) === 0) throw new Refusal(status.INVALID_ARGUMENT, `ip: "${ip}" is not an IPv4 or IPv6 address`);
    const { edges } = state.world;
    if (edge !== '' && !edges.has(edge)) throw new Refusal(status.NOT_FOUND, `there is no edge "${edge}"`);
    const asked = (edge === '' ? [...edges] : [edge]).filter((name) => fleet.get(name)?.connected);
    if (asked.length === 0) {
      const who = edge === '' ? 'no edge is' : `edge "${edge}" is not`;
      throw new Refusal(status.UNAVAILABLE, `${who} connected to a control plane, and only an edge can explain`);
    }
    const explanations = await this.#asking.explain(asked, { url, ip, edge }, EXPLAIN_MS);
    if (explanations.length === 0) {
      throw new Refusal(status.DEADLINE_EXCEEDED, `no edge answered within ${EXPLAIN_MS} ms`);
    }
    return { explanations: nearestFirst(explanations).slice(0, EXPLANATIONS) };
  }

  wait(wait: Omit<EdgeWait, 'replicas'>, say: (outcomes: readonly EdgeOutcome[]) => void): Promise<void> {
    const { fleet, peers, clock } = this.#ports;
    return waitForEdges(fleet, clock, { ...wait, replicas: peers.count > 0 }, (outcomes) => {
      for (const { outcome } of outcomes) this.count(`${wait.goal.kind}_outcomes`, outcome);
      say(outcomes);
    });
  }

  count(what: string, result: string): void {
    const help = 'Requests of the admin API and what edges made of them, by result.';
    this.#ports.metrics.counter(`meridian_control_${what}_total`, help, { result }).add();
  }
}
