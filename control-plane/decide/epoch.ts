// Epochs: what makes versions and purge positions of a store that was restored from a backup newer than those that edges
// still hold from before.
import type { PurgePosition } from '../../proto/gen/meridian/v1/purge.ts';
import type { Version } from '../../proto/gen/meridian/v1/resources.ts';
import { comparePositions, compareVersions } from '../../proto/version.ts';

export interface EpochRecord {
  /** Unix milliseconds. */
  readonly epoch: number;
  /** Of the store that the epoch was begun in. */
  readonly identity: string;
}

/** Throws on a value that is not an epoch's. */
export function decodeEpoch(text: string): EpochRecord {
  const json: unknown = JSON.parse(text);
  if (typeof json !== 'object' || json === null || !('epoch' in json) || !('identity' in json)) {
    throw new Error('it is not an epoch');
  }
  if (!Number.isSafeInteger(json.epoch) || typeof json.identity !== 'string') throw new Error('it is not an epoch');
  return { epoch: Number(json.epoch), identity: json.identity };
}

export type EpochDecision =
  | { readonly kind: 'keep'; readonly epoch: number }
  | { readonly kind: 'begin'; readonly reason: 'new-store' | 'other-store'; readonly record: EpochRecord };

/** `nowMs`: the wall clock, which may be behind the one that began the former epoch. */
export function decideEpoch(stored: EpochRecord | undefined, identity: string, nowMs: number): EpochDecision {
  if (stored?.identity === identity) return { kind: 'keep', epoch: stored.epoch };
  const epoch = nextEpoch(nowMs, stored?.epoch ?? 0);
  return { kind: 'begin', reason: stored ? 'other-store' : 'new-store', record: { epoch, identity } };
}

/** Later than now and than every epoch in `known`. */
export function nextEpoch(nowMs: number, ...known: number[]): number {
  return Math.max(Math.floor(nowMs), ...known.map((epoch) => epoch + 1));
}

/** What an edge says that it holds, and what the store held when it was asked after that. */
export interface Held {
  readonly applied: Version | undefined;
  readonly parked: Version | undefined;
  readonly position: PurgePosition | undefined;
}

/**
 * Whether an edge holds what the store does not know of any more. Edges only get what is durable, so the store went back in
 * time without changing its identity, or the edge came from another store. Undefined: it does not; else the highest epoch
 * that it holds.
 */
export function aheadOf(held: Held, version: Version, end: PurgePosition): number | undefined {
  const ahead =
    compareVersions(held.applied, version) > 0 ||
    compareVersions(held.parked, version) > 0 ||
    comparePositions(held.position, end) > 0;
  if (!ahead) return undefined;
  return Math.max(held.applied?.epoch ?? 0, held.parked?.epoch ?? 0, held.position?.epoch ?? 0);
}
