// The `meridian` command as a client of a control plane's admin API: options, connection, deadlines.
import { readFileSync } from 'node:fs';
import { type ClientReadableStream, Metadata, type ServiceError } from '@grpc/grpc-js';
import { grpcDial } from '../../infra/runtime/grpc-dial.ts';
import type {
  CreateTokenRequest,
  CreateTokenResponse,
  ListAuditRequest,
  ListAuditResponse,
  ListTokensResponse,
  RevokeTokenRequest,
  RevokeTokenResponse,
} from '../../proto/gen/meridian/v1/access.ts';
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
import { type Arguments, Failure, type Io, type Option, UsageError } from './command.ts';
import { readTls, tlsFiles, tlsOptions } from './tls.ts';
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
  ...tlsOptions('MERIDIAN_ADMIN_', 'the control plane', 'Certificate that says who asks'),
  'token-file': {
    type: 'string',
    value: 'FILE',
    env: 'MERIDIAN_TOKEN_FILE',
    doc:
      'File of a bearer token, in place of --cert; or put the token itself into MERIDIAN_TOKEN. It cannot be given as an ' +
      'option, since other users of the machine could read it there. Needs --ca.',
  },
  json: { type: 'boolean', doc: 'Print JSON, for programs.' },
} as const satisfies Record<string, Option>;

/** What a control plane may take beyond what it was told to wait for, milliseconds. */
const PATIENCE_MS = 10_000;

/** Longest time between two attempts to connect, milliseconds. */
const RECONNECT_MS = 2000;

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
  audit(request: ListAuditRequest): Promise<ListAuditResponse>;
  createToken(request: CreateTokenRequest): Promise<CreateTokenResponse>;
  listTokens(): Promise<ListTokensResponse>;
  revokeToken(request: RevokeTokenRequest): Promise<RevokeTokenResponse>;
}

/**
 * Runs `use` with a connection that is closed afterwards. A ServiceError that `use` lets through becomes a Failure with a
 * sentence for people.
 */
export async function withAdmin<T>(args: Arguments, io: Io, use: (admin: Admin) => Promise<T>): Promise<T> {
  const address = endpoint(args, 'control-plane', given(args, 'control-plane'), 'dial');
  const material = await readTls(tlsFiles(args), io.clock.now());
  const token = tokenOf(args, io);
  if (token !== undefined && !material) {
    throw new UsageError('a token needs --ca: without TLS anyone on the way could read it');
  }
  const dial = grpcDial(address, material);
  const metadata = new Metadata();
  if (token !== undefined) metadata.set('authorization', `Bearer ${token}`);
  const client = new AdminServiceClient(address, dial.credentials, {
    ...dial.options,
    'grpc.max_receive_message_length': LIMITS.messageBytes,
    'grpc.max_send_message_length': LIMITS.messageBytes,
    // A proxy for web browsing has no business between an operator and the control plane.
    'grpc.enable_http_proxy': 0,
    // For commands that stay: one that comes back after an hour is found as soon as one after a minute.
    'grpc.max_reconnect_backoff_ms': RECONNECT_MS,
  });
  const options = (waitMs = 0) => ({ deadline: io.clock.now() + waitMs + PATIENCE_MS });
  const admin: Admin = {
    address,
    status: () => unary((done) => client.status({}, metadata, options(), done)),
    get: (request) => unary((done) => client.get(request, metadata, options(), done)),
    explain: (request) => unary((done) => client.explain(request, metadata, options(), done)),
    apply: (request) => messages(() => client.apply(request, metadata, options(trialMs(request) + request.waitMs))),
    rollback: (request) => messages(() => client.rollback(request, metadata, options(request.waitMs))),
    drain: (request) => messages(() => client.drain(request, metadata, options(request.waitMs))),
    history: (request) => unary((done) => client.history(request, metadata, options(), done)),
    purge: (request) => messages(() => client.purge(request, metadata, options(request.timeoutMs))),
    audit: (request) => unary((done) => client.listAudit(request, metadata, options(), done)),
    createToken: (request) => unary((done) => client.createToken(request, metadata, options(), done)),
    listTokens: () => unary((done) => client.listTokens({}, metadata, options(), done)),
    revokeToken: (request) => unary((done) => client.revokeToken(request, metadata, options(), done)),
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

/** A token's file is long when it is another's. */
const TOKEN_CHARACTERS = 1000;

/** Without it being said anywhere, in errors neither. */
function tokenOf(args: Arguments, io: Io): string | undefined {
  const file = args.text('token-file');
  const given = io.env.MERIDIAN_TOKEN || undefined;
  if (file === undefined && given === undefined) return undefined;
  if (args.text('cert') !== undefined) {
    throw new UsageError('expected a certificate (--cert) or a token (--token-file, MERIDIAN_TOKEN), not both');
  }
  let text = given ?? '';
  if (file !== undefined) {
    try {
      text = readFileSync(file, 'utf8');
    } catch (error) {
      const reason = error instanceof Error && 'code' in error ? error.code : error;
      throw new Failure(`${args.label('token-file')}: ${file} cannot be read (${reason})`, { cause: error });
    }
  }
  const token = text.trim();
  if (/^[\x21-\x7e]+$/.test(token) && token.length <= TOKEN_CHARACTERS) return token;
  throw new Failure(`${file ?? 'MERIDIAN_TOKEN'} holds no token: expected one line such as mrd_0123456789abcdef_...`);
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
