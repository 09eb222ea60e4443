// The command, run in this process against an admin service that answers what a test tells it to.

import type { TestContext } from 'node:test';
import {
  type Metadata,
  Server,
  ServerCredentials,
  type ServerWritableStream,
  type ServiceError,
  type StatusObject,
  status,
} from '@grpc/grpc-js';
import type { Io, ProcessPort } from '../../../cli/commands/command.ts';
import { run } from '../../../cli/main.ts';
import { systemClock } from '../../../infra/runtime/clock.ts';
import { seededRandom } from '../../../infra/runtime/random.ts';
import type {
  CreateTokenRequest,
  CreateTokenResponse,
  ListAuditRequest,
  ListAuditResponse,
  ListTokensResponse,
  RevokeTokenRequest,
  RevokeTokenResponse,
} from '../../../proto/gen/meridian/v1/access.ts';
import {
  type AdminServiceServer,
  AdminServiceService,
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
} from '../../../proto/gen/meridian/v1/admin.ts';

export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Surroundings {
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  readonly colour?: boolean;
  readonly io?: Partial<Io>;
}

const noProcess: ProcessPort = {
  on: () => undefined,
  removeListener: () => undefined,
  exit: () => undefined,
};

/** Runs `meridian ARGV`. */
export async function meridian(argv: readonly string[], around: Surroundings = {}): Promise<Ended> {
  let stdout = '';
  let stderr = '';
  const code = await run(argv, {
    stdout: { write: (text) => (stdout += text) },
    stderr: { write: (text) => (stderr += text) },
    stdin: () => Promise.resolve(new TextEncoder().encode(around.stdin ?? '')),
    env: around.env ?? {},
    colour: around.colour ?? false,
    clock: systemClock,
    random: seededRandom(1),
    process: noProcess,
    ...around.io,
  });
  return { code, stdout, stderr };
}

/** An answer, or the error that the call ends with. */
export type Answer<T> = T | Partial<StatusObject>;

/** What the admin service answers. A list is a stream; one that ends in an error is broken off there. */
export interface Script {
  apply?: (request: ApplyRequest) => readonly Answer<ApplyResponse>[];
  get?: (request: GetRequest) => Answer<GetResponse>;
  status?: () => Answer<StatusResponse>;
  purge?: (request: PurgeRequest) => readonly Answer<PurgeResponse>[];
  rollback?: (request: RollbackRequest) => readonly Answer<RollbackResponse>[];
  drain?: (request: DrainRequest) => readonly Answer<DrainResponse>[];
  history?: (request: HistoryRequest) => Answer<HistoryResponse>;
  explain?: (request: ExplainRequest) => Answer<ExplainResponse>;
  listAudit?: (request: ListAuditRequest) => Answer<ListAuditResponse>;
  createToken?: (request: CreateTokenRequest) => Answer<CreateTokenResponse>;
  listTokens?: () => Answer<ListTokensResponse>;
  revokeToken?: (request: RevokeTokenRequest) => Answer<RevokeTokenResponse>;
}

export function failure(code: status, details: string, metadata?: Metadata): Partial<StatusObject> {
  return { code, details, ...(metadata && { metadata }) };
}

const UNSCRIPTED = failure(status.UNIMPLEMENTED, 'the test did not expect this call');

/** Starts it; gives `HOST:PORT`. It is stopped when the test ends. */
export async function fakeAdmin(t: TestContext, script: Script): Promise<string> {
  const service: AdminServiceServer = {
    apply: (call) => stream(call, script.apply?.(call.request) ?? [UNSCRIPTED]),
    purge: (call) => stream(call, script.purge?.(call.request) ?? [UNSCRIPTED]),
    get: (call, done) => answer(script.get?.(call.request) ?? UNSCRIPTED, done),
    status: (_call, done) => answer(script.status?.() ?? UNSCRIPTED, done),
    rollback: (call) => stream(call, script.rollback?.(call.request) ?? [UNSCRIPTED]),
    drain: (call) => stream(call, script.drain?.(call.request) ?? [UNSCRIPTED]),
    history: (call, done) => answer(script.history?.(call.request) ?? UNSCRIPTED, done),
    explain: (call, done) => answer(script.explain?.(call.request) ?? UNSCRIPTED, done),
    listAudit: (call, done) => answer(script.listAudit?.(call.request) ?? UNSCRIPTED, done),
    createToken: (call, done) => answer(script.createToken?.(call.request) ?? UNSCRIPTED, done),
    listTokens: (_call, done) => answer(script.listTokens?.() ?? UNSCRIPTED, done),
    revokeToken: (call, done) => answer(script.revokeToken?.(call.request) ?? UNSCRIPTED, done),
  };
  const server = new Server();
  server.addService(AdminServiceService, service);
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) =>
    error ? reject(error) : resolve(port),
  );
  const port = await promise;
  t.after(() => server.forceShutdown());
  return `127.0.0.1:${port}`;
}

function isError(value: object): value is Partial<StatusObject> {
  return 'code' in value;
}

function answer<T extends object>(
  value: Answer<T>,
  done: (error: Partial<ServiceError> | null, value?: T) => void,
): void {
  if (isError(value)) done({ ...value, name: 'Error', message: value.details ?? '' });
  else done(null, value);
}

function stream<Q, T extends object>(call: ServerWritableStream<Q, T>, values: readonly Answer<T>[]): void {
  for (const value of values) {
    if (!isError(value)) {
      call.write(value);
      continue;
    }
    call.emit('error', { ...value, name: 'Error', message: value.details ?? '' });
    return;
  }
  call.end();
}
