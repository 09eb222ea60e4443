// Where things lie in the store. All under one prefix, JSON values, so that `etcdctl get --prefix /meridian/` reads them.
//
//   /meridian/epoch                   {"epoch": Unix ms, "identity": the store's}
//   /meridian/head                    written by every change of configuration; its revision is the version's
//   /meridian/resources/KIND/NAME     one resource
//   /meridian/drains/POOL/ORIGIN      an operator took this origin out of use
//   /meridian/canary                  while some edges serve the newest version and the others the one before it
//   /meridian/history/NUMBER          one change of configuration, and how to undo it
//   /meridian/purges/head             {"sequence": the last one}; written by every purge
//   /meridian/purges/log/SEQUENCE     one purge, with the idempotency key that it came under
//   /meridian/tokens/ID               a bearer token: whose, which role, the hash of its secret
//   /meridian/audit/TIME-RANDOM       who changed what; written with each change
//
// docs/data-model.md says what each transaction compares and why. What replicas tell each other lies elsewhere (peers.ts).
import type { OriginRef } from '../../proto/gen/meridian/v1/health.ts';
import type { ResourceKind } from '../../proto/problems.ts';

export const PREFIX = '/meridian/';

export const KEYS = {
  epoch: `${PREFIX}epoch`,
  head: `${PREFIX}head`,
  canary: `${PREFIX}canary`,
  purgeHead: `${PREFIX}purges/head`,
} as const;

const RESOURCES = `${PREFIX}resources/`;
const DRAINS = `${PREFIX}drains/`;
const HISTORY = `${PREFIX}history/`;
const PURGE_LOG = `${PREFIX}purges/log/`;

export const resourceKey = (kind: ResourceKind, name: string): string => `${RESOURCES}${kind}/${name}`;

export const drainKey = ({ pool, origin }: OriginRef): string => `${DRAINS}${pool}/${origin}`;

/** Padded, as those of purges are. */
export const historyKey = (number: number): string => `${HISTORY}${String(number).padStart(16, '0')}`;

/** Padded, so that the order of keys is the order of purges. */
export const purgeKey = (sequence: number): string => `${PURGE_LOG}${String(sequence).padStart(16, '0')}`;

const TOKENS = `${PREFIX}tokens/`;
const AUDIT = `${PREFIX}audit/`;

export const tokenKey = (id: string): string => TOKENS + id;
export const auditKey = (id: string): string => AUDIT + id;

export type ParsedKey =
  | { readonly kind: 'epoch' | 'head' | 'canary' | 'purge-head' }
  | { readonly kind: 'resource'; readonly of: ResourceKind; readonly name: string }
  | { readonly kind: 'drain'; readonly origin: OriginRef }
  | { readonly kind: 'history'; readonly number: number }
  | { readonly kind: 'purge'; readonly sequence: number }
  | { readonly kind: 'token' | 'audit'; readonly id: string }
  /** Not ours, or of a later release: left alone. */
  | { readonly kind: 'other' };

export function parseKey(key: string): ParsedKey {
  if (key === KEYS.epoch) return { kind: 'epoch' };
  if (key === KEYS.head) return { kind: 'head' };
  if (key === KEYS.canary) return { kind: 'canary' };
  if (key === KEYS.purgeHead) return { kind: 'purge-head' };
  if (key.startsWith(RESOURCES)) {
    const [of, name, more] = key.slice(RESOURCES.length).split('/');
    if ((of === 'site' || of === 'pool' || of === 'edge') && name && more === undefined) {
      return { kind: 'resource', of, name };
    }
  }
  if (key.startsWith(DRAINS)) {
    const [pool, origin, more] = key.slice(DRAINS.length).split('/');
    if (pool && origin && more === undefined) return { kind: 'drain', origin: { pool, origin } };
  }
  if (key.startsWith(HISTORY)) {
    const digits = key.slice(HISTORY.length);
    if (/^\d{16}$/.test(digits)) return { kind: 'history', number: Number(digits) };
  }
  if (key.startsWith(PURGE_LOG)) {
    const digits = key.slice(PURGE_LOG.length);
    if (/^\d{16}$/.test(digits)) return { kind: 'purge', sequence: Number(digits) };
  }
  if (key.startsWith(TOKENS)) return { kind: 'token', id: key.slice(TOKENS.length) };
  if (key.startsWith(AUDIT)) return { kind: 'audit', id: key.slice(AUDIT.length) };
  return { kind: 'other' };
}

/** What the store holds under a key. */
export interface Entry {
  readonly key: string;
  /** JSON. */
  readonly value: string;
  /** The store's revision at which it was last written. */
  readonly modRevision: number;
}

export type Operation =
  | { readonly kind: 'put'; readonly key: string; readonly value: string }
  | { readonly kind: 'delete'; readonly key: string };

export interface Compare {
  readonly key: string;
  /** The revision at which the key must have been written last; 0: it must not exist. */
  readonly modRevision: number;
}

/** All operations, if every comparison holds; else none. */
export interface Transaction {
  readonly compares: readonly Compare[];
  /** No key twice. None at all: only ask whether the comparisons hold. */
  readonly operations: readonly Operation[];
}

/** What one transaction changed. */
export interface Batch {
  readonly revision: number;
  readonly events: readonly Operation[];
}
