// The calls of AdminService about access: tokens are made, listed and revoked; the audit log is read.
import { randomBytes } from 'node:crypto';
import { status } from '@grpc/grpc-js';
import type { Clock } from '../../infra/runtime/clock.ts';
import type {
  AuditRecord as AuditMessage,
  CreateTokenRequest,
  CreateTokenResponse,
  ListAuditRequest,
  ListAuditResponse,
  ListTokensResponse,
  RevokeTokenRequest,
  RevokeTokenResponse,
  Token,
} from '../../proto/gen/meridian/v1/access.ts';
import type { AdminServiceServer } from '../../proto/gen/meridian/v1/admin.ts';
import { LIMITS } from '../../proto/limits.ts';
import { roleFromWire, roleToWire } from '../../proto/roles.ts';
import { type AuditRecord, type Caller, newestAudit } from '../decide/audit.ts';
import { planCreateToken, planRevokeToken, type TokenPlan, type TokenRecord, tokenText } from '../decide/tokens.ts';
import type { World } from '../decide/world.ts';
import { hashSecret } from './access.ts';
import type { AdminCalls } from './admin-calls.ts';
import { Refusal } from './grpc-errors.ts';
import { ECHO_MS, type State } from './state.ts';
import type { Writer } from './writer.ts';

export interface AccessServicePorts {
  readonly state: State;
  readonly writer: Writer;
  readonly clock: Clock;
}

export function accessCalls(
  calls: AdminCalls,
  ports: AccessServicePorts,
): Pick<AdminServiceServer, 'createToken' | 'listTokens' | 'revokeToken' | 'listAudit'> {
  const { state } = ports;
  return {
    createToken: calls.unary('createToken', (request, caller) => createToken(ports, request, caller)),
    revokeToken: calls.unary('revokeToken', (request, caller) => revokeToken(ports, request, caller)),
    listTokens: calls.unary('listTokens', (): ListTokensResponse => {
      const tokens = [...state.world.access.tokens.values()].toSorted((a, b) => a.createdAtMs - b.createdAtMs);
      return { tokens: tokens.map(tokenMessage) };
    }),
    listAudit: calls.unary('listAudit', ({ limit, beforeRevision }: ListAuditRequest): ListAuditResponse => {
      const most = limit === 0 ? LIMITS.auditRecords : Math.min(limit, LIMITS.auditRecords);
      return { records: newestAudit(state.world.access.audit, most, beforeRevision).map(auditMessage) };
    }),
  };
}

async function createToken(
  ports: AccessServicePorts,
  { name, role, lifetimeMs }: CreateTokenRequest,
  caller: Caller,
): Promise<CreateTokenResponse> {
  const secret = randomBytes(32).toString('base64url');
  const id = randomBytes(8).toString('hex');
  const asked = { id, hash: hashSecret(secret), name, role: roleFromWire(role), lifetimeMs };
  const token = await write(ports, caller, 'create-token', (world) =>
    planCreateToken(world.access.tokens, asked, ports.clock.now()),
  );
  return { token: tokenMessage(token), text: tokenText(id, secret) };
}

async function revokeToken(
  ports: AccessServicePorts,
  { id }: RevokeTokenRequest,
  caller: Caller,
): Promise<RevokeTokenResponse> {
  const plan = (world: World): TokenPlan => planRevokeToken(world.access.tokens, id);
  return { token: tokenMessage(await write(ports, caller, 'revoke-token', plan)) };
}

async function write(
  { state, writer }: AccessServicePorts,
  caller: Caller,
  action: string,
  planToken: (world: World) => TokenPlan,
): Promise<TokenRecord> {
  const { plan, revision } = await writer.write(planToken, {
    caller,
    note: ({ token }) => ({ action, detail: `token ${token.id} of "${token.name}", role ${token.role}` }),
  });
  switch (plan.kind) {
    case 'invalid':
      throw new Refusal(status.INVALID_ARGUMENT, plan.reason);
    case 'absent':
      throw new Refusal(status.NOT_FOUND, plan.reason);
    case 'commit':
      if (revision !== undefined) await state.reached(revision, ECHO_MS);
      return plan.token;
  }
}

function tokenMessage({ id, name, role, createdAtMs, expiresAtMs }: TokenRecord): Token {
  return { id, name, role: roleToWire(role), createdAtMs, expiresAtMs };
}

function auditMessage(record: AuditRecord): AuditMessage {
  const { caller, epoch, fromRevision, revision, changesVersion = false } = record;
  return {
    revision,
    atMs: record.atMs,
    actor: caller.name,
    proof: caller.proof,
    role: roleToWire(caller.role),
    peer: caller.peer,
    action: record.action,
    detail: record.detail,
    from: changesVersion && fromRevision > 0 ? { epoch, revision: fromRevision } : undefined,
    to: changesVersion ? { epoch, revision } : undefined,
    purge: record.purge,
  };
}
