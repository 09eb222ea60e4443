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
  type ApplyRequest,
  type ApplyResponse,
  type EdgeOutcome,
  type ExplainRequest,
  type ExplainResponse,
  type GetRequest,
  type GetResponse,
  type PurgeRequest,
  type PurgeResponse,
} from '../../proto/gen/meridian/v1/admin.ts';
import { LIMITS } from '../../proto/limits.ts';
import type { Caller } from '../decide/audit.ts';
import { describeChanges, planChange } from '../decide/change.ts';
import { describeTargets, planPurge } from '../decide/purge.ts';
import { versionOf } from '../decide/world.ts';
import type { Store } from '../ports.ts';
import { Access } from './access.ts';
import { accessCalls } from './access-service.ts';
import { AdminCalls } from './admin-calls.ts';
import { type EdgeWait, waitForEdges } from './edge-wait.ts';
import type { Fleet } from './fleet.ts';
import { inconsistent, Refusal } from './grpc-errors.ts';
import { type GrpcServer, type ListenOptions, serveGrpc } from './grpc-server.ts';
import type { HealthBoard } from './health-board.ts';
import type { State } from './state.ts';
import { reportStatus } from './status.ts';
import type { Writer } from './writer.ts';

export interface AdminPorts {
  readonly store: Store;
  readonly state: State;
  readonly writer: Writer;
  readonly fleet: Fleet;
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
/** For a change to come back from the store, so that what is read next shows it. */
const ECHO_MS = 5000;

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
  const implementation: AdminServiceServer = {
    apply: calls.stream('apply', (request, say, signal, caller) => admin.apply(request, say, signal, caller)),
    get: calls.unary('get', (request) => admin.get(request)),
    status: calls.unary('status', () => reportStatus(ports)),
    purge: calls.stream('purge', (request, say, signal, caller) => admin.purge(request, say, signal, caller)),
    explain: calls.unary('explain', (request) => admin.explain(request)),
    ...accessCalls(calls, ports),
  };
  const { clock } = ports;
  const options = { ...where, purpose: 'the admin API', maxConnections: CONNECTIONS, clock };
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

  constructor(ports: AdminPorts) {
    this.#ports = ports;
  }

  async purge(request: PurgeRequest, say: Say<PurgeResponse>, signal: AbortSignal, caller: Caller): Promise<void> {
    const { state, writer, clock, log } = this.#ports;
    checkWait('timeout_ms', request.timeoutMs);
    const asked = { targets: request.targets, idempotencyKey: request.idempotencyKey || randomUUID() };
    const { plan, committedAt } = await writer.write((world) => planPurge(world.purges, asked, clock.now()), {
      caller,
      note: ({ position: purge }) => ({ action: 'purge', detail: describeTargets(asked.targets), purge }),
    });
    if (plan.kind === 'invalid') throw new Refusal(status.INVALID_ARGUMENT, `nothing was purged: ${plan.reason}`);
    const { position } = plan;
    this.#count('purges', plan.kind);
    log.info(
      { position, targets: asked.targets.length, idempotencyKey: asked.idempotencyKey, kind: plan.kind },
      'purge',
    );
    say({ event: { $case: 'accepted', value: { position, repeatedKey: plan.kind === 'repeated' } } });
    const { edges } = state.world;
    const goal = { kind: 'purge', position } as const;
    await this.#wait({ goal, edges, committedAt, timeoutMs: request.timeoutMs, signal }, (edge) => {
      say({ event: { $case: 'edge', value: edge } });
    });
  }

  async apply(request: ApplyRequest, say: Say<ApplyResponse>, signal: AbortSignal, caller: Caller): Promise<void> {
    const { state, writer, clock, log } = this.#ports;
    checkWait('wait_ms', request.waitMs);
    const { plan, revision, committedAt } = await writer.write((world) => planChange(world, request, clock.now()), {
      caller,
      note: ({ changes }) => ({ action: 'apply', detail: describeChanges(changes), changesVersion: true }),
    });
    switch (plan.kind) {
      case 'inconsistent':
        throw inconsistent(plan.problems);
      case 'too-big':
        throw new Refusal(status.INVALID_ARGUMENT, `nothing was changed: ${plan.reason}`);
      case 'moved':
        throw new Refusal(status.ABORTED, plan.reason);
      case 'commit':
        break;
    }
    if (revision !== undefined) await state.reached(revision, ECHO_MS);
    const { world } = state;
    const version = revision === undefined ? versionOf(world) : { epoch: world.epoch, revision };
    const changes = [...plan.changes];
    if (!request.dryRun) {
      this.#count('applies', revision === undefined ? 'unchanged' : 'changed');
      log.info({ version, changes: changes.length }, 'configuration applied');
    }
    say({ event: { $case: 'committed', value: { version, changes } } });
    if (request.waitMs === 0 || request.dryRun || !version) return;
    const goal = { kind: 'version', version } as const;
    await this.#wait({ goal, edges: world.edges, committedAt, timeoutMs: request.waitMs, signal }, (edge) => {
      say({ event: { $case: 'edge', value: edge } });
    });
  }

  get({ kind, name }: GetRequest): GetResponse {
    const { snapshot } = this.#ports.state.world;
    if (!['', 'site', 'pool', 'edge'].includes(kind)) {
      throw new Refusal(status.INVALID_ARGUMENT, `kind: expected site, pool or edge, found "${kind}"`);
    }
    if (name !== '' && kind === '') throw new Refusal(status.INVALID_ARGUMENT, 'name: of which kind?');
    const pick = <T extends { readonly name: string }>(of: string, all: readonly T[] = []): T[] =>
      kind === '' || kind === of ? all.filter((resource) => name === '' || resource.name === name) : [];
    const found = {
      version: snapshot?.version,
      sites: pick('site', snapshot?.sites),
      pools: pick('pool', snapshot?.pools),
      edges: pick('edge', snapshot?.edges),
    };
    if (name !== '' && found.sites.length + found.pools.length + found.edges.length === 0) {
      throw new Refusal(status.NOT_FOUND, `there is no ${kind} "${name}"`);
    }
    return { snapshot: found };
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
    const asked = [...(edge === '' ? edges : [edge])].flatMap((name) => fleet.connection(name) ?? []);
    if (asked.length === 0) {
      const who = edge === '' ? 'no edge is' : `edge "${edge}" is not`;
      throw new Refusal(status.UNAVAILABLE, `${who} connected to this control plane, and only an edge can explain`);
    }
    const answers = await Promise.all(asked.map((connection) => connection.explain(url, ip, EXPLAIN_MS)));
    const explanations = answers.filter((answer) => answer !== undefined);
    if (explanations.length === 0) {
      throw new Refusal(status.DEADLINE_EXCEEDED, `no edge answered within ${EXPLAIN_MS} ms`);
    }
    // An edge that does not know where the client is knows no distance either.
    const distance = (i: number): number => explanations[i]?.client?.distanceToEdgeKm ?? Number.POSITIVE_INFINITY;
    const nearest = [...explanations.keys()].toSorted((a, b) => distance(a) - distance(b) || a - b);
    return { explanations: nearest.flatMap((i) => explanations[i] ?? []).slice(0, EXPLANATIONS) };
  }

  #wait(wait: EdgeWait, say: (outcome: EdgeOutcome) => void): Promise<void> {
    const { fleet, clock } = this.#ports;
    return waitForEdges(fleet, clock, wait, (outcome) => {
      this.#count(`${wait.goal.kind}_outcomes`, outcome.outcome);
      say(outcome);
    });
  }

  #count(what: string, result: string): void {
    const help = 'Requests of the admin API and what edges made of them, by result.';
    this.#ports.metrics.counter(`meridian_control_${what}_total`, help, { result }).add();
  }
}

function checkWait(field: string, ms: number): void {
  if (ms <= LIMITS.timeoutMs.max) return;
  throw new Refusal(status.INVALID_ARGUMENT, `${field}: expected at most ${LIMITS.timeoutMs.max}, found ${ms}`);
}
