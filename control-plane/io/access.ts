// Who makes a call of the admin API, and whether they may: by the certificate of the connection, or by a bearer token on a
// connection without one. Asked twice of each call: before its message is read, so that strangers cannot fill memory with
// messages, and when it is answered, so that a token that was revoked meanwhile does not count.
import { createHash, timingSafeEqual } from 'node:crypto';
import { type Metadata, ServerInterceptingCall, type ServerInterceptor, status } from '@grpc/grpc-js';
import { atMostEvery, type Clock } from '../../infra/runtime/clock.ts';
import type { Log } from '../../infra/runtime/log.ts';
import type { Metrics } from '../../infra/runtime/metrics.ts';
import { AdminServiceService } from '../../proto/gen/meridian/v1/admin.ts';
import type { RoleName } from '../../proto/roles.ts';
import type { Caller } from '../decide/audit.ts';
import { readIdentity } from '../decide/identity.ts';
import { type AdminRpc, includes, ROLE_NEEDED, RPCS } from '../decide/roles.ts';
import { isExpired, parseTokenText } from '../decide/tokens.ts';
import { Refusal, toServiceError } from './grpc-errors.ts';
import type { State } from './state.ts';
import type { Peer } from './tls-server.ts';

export interface AccessPorts {
  readonly state: State;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** Refusals are logged at most once in this time. */
const LOG_MS = 1000;

const PATHS = new Map<string, AdminRpc>(RPCS.map((rpc) => [AdminServiceService[rpc].path, rpc] as const));

const WAYS = 'show a client certificate (--cert, --key) or a token (--token-file, MERIDIAN_TOKEN)';

export class Access {
  readonly #ports: AccessPorts;
  /** Who is at the other end of a connection; undefined once it is gone. */
  readonly #peer: (name: string) => Peer | undefined;
  readonly #logRefusal: (rpc: AdminRpc, peer: string, reason: string) => void;

  constructor(ports: AccessPorts, peer: (name: string) => Peer | undefined) {
    this.#ports = ports;
    this.#peer = peer;
    this.#logRefusal = atMostEvery(ports.clock, LOG_MS, (rpc, from, reason) =>
      ports.log.warn({ rpc, peer: from, reason }, 'a call was refused'),
    );
  }

  /** Throws a Refusal: UNAUTHENTICATED when it is not known who calls, PERMISSION_DENIED when they may not. */
  caller(rpc: AdminRpc, peer: string, metadata: Metadata): Caller {
    try {
      const caller = this.#identify(peer, metadata);
      const needed = ROLE_NEEDED[rpc];
      if (includes(caller.role, needed)) return caller;
      throw new Refusal(
        status.PERMISSION_DENIED,
        `${rpc} needs the role ${needed}, but "${caller.name}" (${caller.proof}) has the role ${caller.role}`,
      );
    } catch (error) {
      if (error instanceof Refusal) this.#note(error, rpc, peer);
      throw error;
    }
  }

  /** Refuses a call before its message is read. */
  readonly interceptor: ServerInterceptor = (method, call) =>
    new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata: (metadata, pass) => {
            try {
              const rpc = PATHS.get(method.path);
              if (rpc !== undefined) this.caller(rpc, call.getPeer(), metadata);
              pass(metadata);
            } catch (error) {
              call.sendStatus(toServiceError(error, this.#ports.log));
            }
          },
        }),
    });

  #identify(name: string, metadata: Metadata): Caller {
    const peer = this.#peer(name);
    switch (peer?.kind) {
      case undefined:
        throw new Refusal(status.UNAUTHENTICATED, 'the connection is gone');
      case 'open':
        return { name: '', role: 'administer', proof: 'nobody asked', peer: name };
      case 'refused':
        throw new Refusal(status.UNAUTHENTICATED, `the client is not known: ${peer.reason}`);
      case 'certified':
        return { ...certified(peer.subjectAltName), proof: 'certificate', peer: name };
      case 'anonymous':
        return { ...this.#bearer(metadata), peer: name };
    }
  }

  #bearer(metadata: Metadata): Omit<Caller, 'peer'> {
    const given = metadata.get('authorization');
    const [header] = given;
    if (header === undefined) throw new Refusal(status.UNAUTHENTICATED, `the client is not known: ${WAYS}`);
    const [, text = ''] = /^Bearer +(\S+)$/i.exec(String(header)) ?? [];
    const parsed = parseTokenText(text);
    if (given.length > 1 || !parsed) {
      throw new Refusal(status.UNAUTHENTICATED, 'what the client sent is not a token: expected "Bearer mrd_..."');
    }
    const token = this.#ports.state.world.access.tokens.get(parsed.id);
    // Compared in any case, so that the time taken does not tell which tokens there are.
    const holds = timingSafeEqual(digest(parsed.secret), Buffer.from(token?.hash ?? NO_HASH, 'hex'));
    if (!token || !holds) throw new Refusal(status.UNAUTHENTICATED, 'the token is not known here, or was revoked');
    if (isExpired(token, this.#ports.clock.now())) {
      const when = new Date(token.expiresAtMs).toISOString();
      throw new Refusal(status.UNAUTHENTICATED, `the token of "${token.name}" expired at ${when}`);
    }
    return { name: token.name, role: token.role, proof: `token ${token.id}` };
  }

  #note(refusal: Refusal, rpc: AdminRpc, peer: string): void {
    const { metrics } = this.#ports;
    const help = 'Calls of the admin API that were refused to who made them, by why.';
    const result = refusal.code === status.PERMISSION_DENIED ? 'permission-denied' : 'unauthenticated';
    metrics.counter('meridian_control_denied_total', help, { result }).add();
    this.#logRefusal(rpc, peer, refusal.message);
  }
}

/** SHA-256 of a token's secret, as the store keeps it. */
export const hashSecret = (secret: string): string => digest(secret).toString('hex');

const digest = (secret: string): Buffer => createHash('sha256').update(secret).digest();
const NO_HASH = '0'.repeat(64);

function certified(subjectAltName: string): { readonly name: string; readonly role: RoleName } {
  const identity = readIdentity(subjectAltName);
  switch (identity.kind) {
    case 'client':
      return { name: identity.name, role: identity.role };
    case 'edge': {
      const reason = `the certificate is of the edge "${identity.name}", which has no role in the admin API`;
      throw new Refusal(status.PERMISSION_DENIED, reason);
    }
    case 'none':
      throw new Refusal(
        status.UNAUTHENTICATED,
        `the client's certificate does not say who it is for: ${identity.reason}`,
      );
  }
}
