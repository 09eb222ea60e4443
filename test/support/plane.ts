// A control plane under test with its admin client: on the embedded store and a clock that the test moves, unless told
// otherwise.
import path from 'node:path';
import type { TestContext } from 'node:test';
import { Metadata } from '@grpc/grpc-js';
import { type ControlPlane, type ControlPlaneOptions, startControlPlane } from '../../control-plane/main.ts';
import { grpcDial } from '../../infra/runtime/grpc-dial.ts';
import { silentLog } from '../../infra/runtime/log.ts';
import { seededRandom } from '../../infra/runtime/random.ts';
import type { TlsMaterial } from '../../infra/runtime/tls-files.ts';
import type {
  CreateTokenRequest,
  CreateTokenResponse,
  ListAuditResponse,
  ListTokensResponse,
} from '../../proto/gen/meridian/v1/access.ts';
import {
  AdminServiceClient,
  ApplyRequest,
  type ApplyResponse,
  DrainRequest,
  type EdgeOutcome,
  ExplainRequest,
  type ExplainResponse,
  GetRequest,
  type GetResponse,
  HistoryRequest,
  type HistoryResponse,
  PurgeRequest,
  type PurgeResponse,
  RollbackRequest,
  type StatusResponse,
} from '../../proto/gen/meridian/v1/admin.ts';
import type { Edge, Version } from '../../proto/gen/meridian/v1/resources.ts';
import { FakeClock } from './fake-clock.ts';
import { poolOf, snapshotOf } from './snapshots.ts';
import { tempFolder } from './temp.ts';
import { until } from './until.ts';

export interface Plane extends ControlPlane {
  readonly clock: FakeClock;
  readonly file: string;
  readonly admin: Admin;
}

export async function startPlane(t: TestContext, options: Partial<ControlPlaneOptions> = {}): Promise<Plane> {
  const clock = options.clock instanceof FakeClock ? options.clock : new FakeClock();
  const file = path.join(tempFolder(t), 'meridian.db');
  const plane = await startControlPlane({
    store: { kind: 'embedded', file },
    edgeListen: '127.0.0.1:0',
    adminListen: '127.0.0.1:0',
    log: silentLog,
    clock,
    random: seededRandom(1),
    ...options,
  });
  let stopped: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    let done = false;
    stopped ??= plane.stop();
    stopped.finally(() => {
      done = true;
    });
    await until('the control plane to stop', () => {
      clock.advance(10);
      return done;
    });
  };
  t.after(stop);
  return { ...plane, stop, clock, file, admin: new Admin(t, plane.adminPort) };
}

/** Events of a streamed answer as they come. */
export interface Answer<Event> {
  readonly events: Event[];
  /** All events, once the answer has ended; rejects with its status. */
  readonly all: Promise<Event[]>;
  /** Resolves once there are so many events. */
  count(events: number): Promise<void>;
  cancel(): void;
}

export class Admin {
  readonly #client: AdminServiceClient;
  readonly #metadata = new Metadata();

  /** Over TLS with `tls`, and with `token` if it is given. */
  constructor(t: TestContext, port: number, tls?: TlsMaterial, token?: string) {
    const address = `127.0.0.1:${port}`;
    const dial = grpcDial(address, tls);
    // A connection of its own, as another process would have.
    const options = { ...dial.options, 'grpc.use_local_subchannel_pool': 1, 'grpc.max_send_message_length': -1 };
    this.#client = new AdminServiceClient(address, dial.credentials, options);
    if (token !== undefined) this.#metadata.set('authorization', token);
    t.after(() => this.#client.close());
  }

  createToken(request: CreateTokenRequest): Promise<CreateTokenResponse> {
    return answered((done) => this.#client.createToken(request, this.#metadata, done));
  }

  listTokens(): Promise<ListTokensResponse> {
    return answered((done) => this.#client.listTokens({}, this.#metadata, done));
  }

  async revokeToken(id: string): Promise<void> {
    await answered((done) => this.#client.revokeToken({ id }, this.#metadata, done));
  }

  audit(limit = 0, beforeRevision = 0): Promise<ListAuditResponse> {
    return answered((done) => this.#client.listAudit({ limit, beforeRevision }, this.#metadata, done));
  }

  rollback(request: Partial<RollbackRequest>): Answer<ApplyResponse> {
    const stream = this.#client.rollback(RollbackRequest.fromPartial(request), this.#metadata);
    return gather(stream, ({ progress }) => (progress ? eachEdge(progress) : []));
  }

  drain(request: Partial<DrainRequest>): Answer<ApplyResponse> {
    const stream = this.#client.drain(DrainRequest.fromPartial(request), this.#metadata);
    return gather(stream, ({ progress }) => (progress ? eachEdge(progress) : []));
  }

  history(request: Partial<HistoryRequest> = {}): Promise<HistoryResponse> {
    return answered((done) => this.#client.history(HistoryRequest.fromPartial(request), this.#metadata, done));
  }

  apply(request: Partial<ApplyRequest>): Answer<ApplyResponse> {
    return gather(this.#client.apply(ApplyRequest.fromPartial(request), this.#metadata), eachEdge);
  }

  /** Applies and returns the version. */
  async applied(request: Partial<ApplyRequest>): Promise<Version> {
    const [first] = await this.apply(request).all;
    const version = first?.event?.$case === 'committed' ? first.event.value.version : undefined;
    if (!version) throw new Error('nothing was committed');
    return version;
  }

  purge(request: Partial<PurgeRequest>): Answer<PurgeResponse> {
    return gather(this.#client.purge(PurgeRequest.fromPartial(request), this.#metadata), eachEdge);
  }

  get(request: Partial<GetRequest> = {}): Promise<GetResponse> {
    return answered((done) => this.#client.get(GetRequest.fromPartial(request), this.#metadata, done));
  }

  status(): Promise<StatusResponse> {
    return answered((done) => this.#client.status({}, this.#metadata, done));
  }

  explain(request: Partial<ExplainRequest>): Promise<ExplainResponse> {
    return answered((done) => this.#client.explain(ExplainRequest.fromPartial(request), this.#metadata, done));
  }
}

function answered<T>(call: (done: (error: Error | null, response: T) => void) => unknown): Promise<T> {
  return new Promise((resolve, reject) => {
    call((error, response) => (error ? reject(error) : resolve(response)));
  });
}

/** Edges that answered at the same moment one by one. */
function eachEdge<Response extends ApplyResponse | PurgeResponse>(response: Response): readonly Response[] {
  if (response.event?.$case !== 'edges') return [response];
  return response.event.value.outcomes.map((value) => ({ ...response, event: { $case: 'edge', value } }));
}

interface Stream<Event> {
  on(name: 'data', listener: (event: Event) => void): unknown;
  on(name: 'error', listener: (error: Error) => void): unknown;
  on(name: 'end', listener: () => void): unknown;
  cancel(): void;
}

function gather<Message, Event>(
  stream: Stream<Message>,
  unwrap: (message: Message) => readonly Event[],
): Answer<Event> {
  const events: Event[] = [];
  const all = Promise.withResolvers<Event[]>();
  // It may reject before the test looks.
  all.promise.catch(() => undefined);
  stream.on('data', (message) => {
    events.push(...unwrap(message));
  });
  stream.on('error', all.reject);
  stream.on('end', () => all.resolve(events));
  return {
    events,
    all: all.promise,
    count: (wanted) => until(`${wanted} events`, () => events.length >= wanted),
    cancel: () => stream.cancel(),
  };
}

/** "edge outcome" for each line of an answer, sorted. */
export function outcomes(events: readonly (ApplyResponse | PurgeResponse)[]): string[] {
  const lines: EdgeOutcome[] = [];
  for (const { event } of events) if (event?.$case === 'edge') lines.push(event.value);
  return lines.map(({ edge, outcome }) => `${edge} ${outcome.replace('OUTCOME_KIND_', '')}`).toSorted();
}

export const edgeOf = (name: string): Edge => ({
  name,
  location: { latitude: 51.5, longitude: -0.1 },
  trustedProxies: [],
});

/** A site on a pool of two origins, and these edges. */
export function configuration(...edges: string[]): Pick<ApplyRequest, 'sites' | 'pools' | 'edges'> {
  const { sites } = snapshotOf(0);
  const pools = [poolOf({ london: 'http://127.0.0.1:9', lagos: 'http://127.0.0.1:10' })];
  return { sites, pools, edges: edges.map(edgeOf) };
}
