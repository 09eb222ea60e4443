// Shared by the contract of every cache store: what is put into one, and how it is read back.
import assert from 'node:assert/strict';
import type { CacheEntry, CacheStore, Storable } from '../../../../edge-node/decide/cache/entry.ts';
import { DATE, headOf, named } from './support.ts';

export interface ContractLimits {
  readonly maxBytes?: number;
  readonly maxObjectBytes?: number;
  readonly maxObjects?: number;
  readonly maxVariants?: number;
  readonly maxPendingBytes?: number;
}

export interface StorableOptions {
  readonly accept?: string;
  readonly barrier?: number;
  /** Length of a field of no meaning. */
  readonly padding?: number;
}

/** An answer that varies on Accept. */
export function storable(target: string, body: string | Buffer, options: StorableOptions = {}): Storable {
  const { accept, barrier = 0, padding = 0 } = options;
  const requestFields = accept === undefined ? [] : ['accept', accept];
  const fields = ['date', DATE, 'cache-control', 'max-age=60', 'vary', 'accept', 'x-padding', '.'.repeat(padding)];
  return { ...named(target), head: headOf(fields, { requestFields, barrier }), body: Buffer.from(body) };
}

export function bodies(store: CacheStore, target: string): string[] {
  return store
    .find(named(target).key)
    .map((entry) => entry.body.toString())
    .toSorted();
}

/** Stores what must fit. */
export function put(store: CacheStore, entry: Storable): CacheEntry {
  const stored = store.put(entry);
  assert.ok(stored, 'expected it to be stored');
  return stored;
}
