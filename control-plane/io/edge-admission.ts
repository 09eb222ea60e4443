// Whether an edge that said Hello is taken in: it speaks our protocol, is declared, and holds nothing that the store does not
// know of. Decided once this control plane knows all that was durable when the Hello came, so that an edge that comes over
// from another replica is neither turned away for being new nor told that it missed nothing.
import { status } from '@grpc/grpc-js';
import type { Clock } from '../../infra/runtime/clock.ts';
import type { Hello } from '../../proto/gen/meridian/v1/edge.ts';
import { PROTOCOL_VERSION } from '../../proto/version.ts';
import { aheadOf } from '../decide/epoch.ts';
import { endOf } from '../decide/purge-log.ts';
import { versionOf, type World } from '../decide/world.ts';
import type { State } from './state.ts';

export type Admission =
  /** `current`: false when the store was out of sight, so that what is known may be old. */
  | { readonly kind: 'admitted'; readonly current: boolean }
  | { readonly kind: 'refused'; readonly code: status; readonly reason: string };

const CATCH_UP_MS = 2000;
/** Of what an edge says of itself. */
const CHARACTERS = 200;
/** An edge whose epoch lies further ahead has a broken state, or comes from a machine with a broken clock. */
const FUTURE_MS = 24 * 3_600_000;
const NAMES_TOLD = 10;

/**
 * Undefined when nothing is wrong with it in itself. `proven`: the edge that the certificate of the connection names;
 * undefined where there are no certificates.
 */
export function refuseHello(
  hello: Hello,
  proven: string | undefined,
): (Admission & { readonly kind: 'refused' }) | undefined {
  const { edge, instance, softwareVersion, protocolVersion } = hello;
  if (Math.max(edge.length, instance.length, softwareVersion.length) > CHARACTERS) {
    return refuse(status.INVALID_ARGUMENT, `a field of Hello is longer than ${CHARACTERS} characters`);
  }
  if (proven !== undefined && proven !== edge) {
    const detail = `the certificate is of the edge "${proven}", but it says that it is "${edge}"`;
    return refuse(status.PERMISSION_DENIED, `${detail}; an edge speaks for itself alone`);
  }
  if (protocolVersion === PROTOCOL_VERSION) return undefined;
  const versions = `it speaks version ${protocolVersion} of the protocol, this control plane ${PROTOCOL_VERSION}`;
  const detail = `edge "${edge}" (release ${softwareVersion}): ${versions}; run the same release on both`;
  return refuse(status.FAILED_PRECONDITION, detail);
}

/** For a Hello that {@link refuseHello} found nothing wrong with. Rejects with a StoreError. */
export async function admitEdge(hello: Hello, state: State, clock: Clock): Promise<Admission> {
  const { edge, applied, parked, purgePosition: position } = hello;
  const current = await state.catchUp(CATCH_UP_MS);
  const { world } = state;
  if (!world.edges.has(edge)) return refuse(status.NOT_FOUND, undeclared(world, edge));
  const version = versionOf(world) ?? { epoch: world.epoch, revision: 0 };
  const seen = current ? aheadOf({ applied, parked, position }, version, endOf(world.purges)) : undefined;
  if (seen !== undefined && seen > clock.now() + FUTURE_MS) {
    const detail = `edge "${edge}" holds a configuration of epoch ${seen}, which is in the future`;
    return refuse(status.FAILED_PRECONDITION, `${detail}; check the clocks, or empty the edge's state folder`);
  }
  if (seen !== undefined) await state.renewEpoch(seen);
  return { kind: 'admitted', current };
}

/** A sentence for an edge that is not declared. */
export function undeclared(world: World, edge: string): string {
  const names = [...world.edges];
  const told = names.slice(0, NAMES_TOLD).join(', ') + (names.length > NAMES_TOLD ? ', ...' : '');
  const declared = names.length === 0 ? 'no edge is declared yet' : `declared are: ${told}`;
  return `edge "${edge}" is not declared (${declared}); declare it in the configuration and apply that`;
}

function refuse(code: status, reason: string): Admission & { readonly kind: 'refused' } {
  return { kind: 'refused', code, reason };
}
