// The `meridian` command as a client of a control plane's admin API: options, connection, deadlines.
import { type ClientReadableStream, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import {
  AdminServiceClient,
  type ApplyRequest,
  type ApplyResponse,
  type DrainRequest,
  type DrainResponse,
  type ExplainRequest,
  type ExplainResponse,
  type GetRequest,
  type GetResponse,
  type HistoryRequest,
  type HistoryResponse,
  type PurgeRequest,
  type PurgeResponse,
  type RollbackRequest,
  type RollbackResponse,
  type StatusResponse,
} from '../../proto/gen/meridian/v1/admin.ts';
import { LIMITS } from '../../proto/limits.ts';
import { isServiceError, sentenceFor } from '../output/grpc-errors.ts';
import { type Arguments, Failure, type Io, type Option } from './command.ts';
import { endpoint, given } from './values.ts';

/** Options of every command that asks a control plane. */
export const CLIENT_OPTIONS = {
  'control-plane': {
    type: 'string',
    value: 'HOST:PORT',
    default: '127.0.0.1:7401',
    env: 'MERIDIAN_ADMIN',
    doc: "The control plane's address for administration.",
  },
  json: { type: 'boolean', doc: 'Print JSON, for programs.' },
} as const satisfies Record<string, Option>;

/** What a control plane may take beyond what it was told to wait for, milliseconds. */
const PATIENCE_MS = 10_000;

export interface Admin {
  /** HOST:PORT. */
  readonly address: string;
  status(): Promise<StatusResponse>;
  get(request: GetRequest): Promise<GetResponse>;
  explain(request: ExplainRequest): Promise<ExplainResponse>;
  apply(request: ApplyRequest): AsyncIterable<ApplyResponse>;
  rollback(request: RollbackRequest): AsyncIterable<RollbackResponse>;
  drain(request: DrainRequest): AsyncIterable<DrainResponse>;
  history(request: HistoryRequest): Promise<HistoryResponse>;
  purge(request: PurgeRequest): AsyncIterable<PurgeResponse>;
}

/**
 * Runs `use` with a connection that is closed afterwards. A ServiceError that `use` lets through becomes a Failure with a
 * sentence for people.
 */
export async function withAdmin<T>(args: Arguments, io: Io, use: (admin: Admin) => Promise<T>): Promise<T> {
  const address = endpoint(args, 'control-plane', given(args, 'control-plane'), 'dial');
  const client = new AdminServiceClient(address, credentials.createInsecure(), {
    'grpc.max_receive_message_length': LIMITS.messageBytes,
    'grpc.max_send_message_length': LIMITS.messageBytes,
    // A proxy for web browsing has no business between an operator and the control plane.
    'grpc.enable_http_proxy': 0,
  });
  const options = (waitMs = 0) => ({ deadline: io.clock.now() + waitMs + PATIENCE_MS });
  const admin: Admin = {
    address,
    status: () => unary((done) => client.status({}, new Metadata(), options(), done)),
    get: (request) => unary((done) => client.get(request, new Metadata(), options(), done)),
    explain: (request) => unary((done) => client.explain(request, new Metadata(), options(), done)),
    apply: (request) => messages(() => client.apply(request, options(trialMs(request) + request.waitMs))),
    rollback: (request) => messages(() => client.rollback(request, options(request.waitMs))),
    drain: (request) => messages(() => client.drain(request, options(request.waitMs))),
    history: (request) => unary((done) => client.history(request, new Metadata(), options(), done)),
    purge: (request) => messages(() => client.purge(request, options(request.timeoutMs))),
  };
  try {
    return await use(admin);
  } catch (error) {
    if (isServiceError(error)) throw new Failure(sentenceFor(error, address), { cause: error });
    throw error;
  } finally {
    client.close();
  }
}

/** How long a trial may take: the hold, and for the replicas to agree that it is over. */
function trialMs({ canary }: ApplyRequest): number {
  return canary ? canary.holdMs + 30_000 : 0;
}

function unary<T>(call: (done: (error: ServiceError | null, response: T) => void) => unknown): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  call((error, response) => (error ? reject(error) : resolve(response)));
  return promise;
}

async function* messages<T>(call: () => ClientReadableStream<T>): AsyncGenerator<T> {
  const stream = call();
  try {
    for await (const message of stream) yield message;
  } finally {
    stream.cancel();
  }
}
