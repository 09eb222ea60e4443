// Connects to origins, but never to an address that decide/address-guard.ts denies. The check runs on what a name resolves
// to, at every new connection, so that a name that is re-pointed later is caught too; literal addresses, which are never
// looked up, are checked as they are.
import { type LookupAddress, type LookupOptions, lookup as systemLookup } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { buildConnector } from 'undici';
import { judgeAddress } from '../decide/address-guard.ts';

/** Thrown instead of connecting. `message` names the host, the address and the reason; it is not for clients. */
export class DeniedAddressError extends Error {
  readonly code = 'ERR_ADDRESS_DENIED';
  override readonly name = 'DeniedAddressError';

  constructor(host: string, address: string, reason: string) {
    super(
      `${host === address ? address : `${host} (${address})`} is a ${reason} address, to which an edge never connects`,
    );
  }
}

type Answer = (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void;
export type Resolve = (hostname: string, options: LookupOptions & { all: true }, answer: Answer) => void;

/**
 * A `lookup` for `net.connect`. Denied addresses are left out; when no other remains, the error is a
 * {@link DeniedAddressError}. Connections that want the same name at the same time share one query, so that a resolver that
 * hangs holds one thread of Node's small pool for each name, not one for each connection.
 */
export function guardedLookup(resolve: Resolve = systemLookup): LookupFunction {
  const running = new Map<string, Answer[]>();
  return (hostname, options, callback) => {
    const answer: Answer = (error, addresses) => {
      if (error) return callback(error, '', 0);
      const allowed = addresses.filter(({ address }) => judgeAddress(address).kind === 'allowed');
      const [first] = allowed;
      if (first === undefined) return callback(denial(hostname, addresses), '', 0);
      if (options.all) callback(null, allowed);
      else callback(null, first.address, first.family);
    };
    const key = `${hostname} ${options.family ?? 0} ${options.hints ?? 0} ${options.order ?? ''}`;
    const waiting = running.get(key);
    if (waiting) {
      waiting.push(answer);
      return;
    }
    const answers = [answer];
    running.set(key, answers);
    resolve(hostname, { ...options, all: true }, (error, addresses) => {
      running.delete(key);
      for (const each of answers) each(error, addresses);
    });
  };
}

function denial(hostname: string, addresses: readonly LookupAddress[]): Error {
  for (const { address } of addresses) {
    const verdict = judgeAddress(address);
    if (verdict.kind === 'denied') return new DeniedAddressError(hostname, address, verdict.reason);
  }
  return Object.assign(new Error(`${hostname} resolves to no address`), { code: 'ENOTFOUND' });
}

/** Why `host` is never connected to; undefined when it may be, or when it is a name, which the look-up judges. No brackets. */
export function deniedLiteral(host: string): DeniedAddressError | undefined {
  if (isIP(host) === 0) return undefined;
  const verdict = judgeAddress(host);
  return verdict.kind === 'denied' ? new DeniedAddressError(host, host, verdict.reason) : undefined;
}

/** What undici takes as `connect`. */
export type Connector = buildConnector.connector;

/** undici's own connector with both checks. `options` as for its `buildConnector`; `lookup`: from {@link guardedLookup}. */
export function guardedConnector(options: buildConnector.BuildOptions, lookup: LookupFunction): Connector {
  const connect = buildConnector({ ...options, lookup });
  return (target, callback) => {
    const denied = deniedLiteral(target.hostname.replace(/^\[|\]$/g, ''));
    if (denied !== undefined) callback(denied, null);
    else connect(target, callback);
  };
}
