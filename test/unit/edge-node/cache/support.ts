// Shared by the cache's tests: one moment in time, heads made the way the edge makes them, and a seeded choice.
import { type CacheEntry, makeHead, type StoredHead } from '../../../../edge-node/decide/cache/entry.ts';
import { cacheKey, purgeName } from '../../../../edge-node/decide/cache/key.ts';
import { decideStore, type StoreDecision, type StoreQuestion } from '../../../../edge-node/decide/cache/storable.ts';
import type { FieldList } from '../../../../edge-node/decide/fields.ts';
import type { Random } from '../../../../infra/runtime/random.ts';

/** Sun, 06 Nov 1994 08:49:37 GMT. */
export const NOW = 784_111_777_000;
export const DATE = 'Sun, 06 Nov 1994 08:49:37 GMT';
export const SECOND = 1000;
export const HOUR = 3_600_000;

export const ENABLED = { enabled: true, defaultTtlMs: 0 };

/** A GET at NOW, answered at once with 200. */
export function decide(responseFields: FieldList, over: Partial<StoreQuestion> = {}): StoreDecision {
  return decideStore({
    method: 'GET',
    requestFields: [],
    status: 200,
    responseFields: responseFields.includes('date') ? responseFields : ['date', DATE, ...responseFields],
    policy: ENABLED,
    requestedAt: NOW,
    receivedAt: NOW,
    ...over,
  });
}

export interface HeadOptions {
  readonly status?: number;
  readonly requestFields?: FieldList;
  readonly requestedAt?: number;
  readonly receivedAt?: number;
  readonly barrier?: number;
  readonly defaultTtlMs?: number;
}

/** The head stored for an answer with these fields; throws when it may not be stored. */
export function headOf(fields: FieldList, options: HeadOptions = {}): StoredHead {
  const { status = 200, requestFields = [], requestedAt = NOW, receivedAt = requestedAt, barrier = 0 } = options;
  const policy = { enabled: true, defaultTtlMs: options.defaultTtlMs ?? 0 };
  const question = { method: 'GET', requestFields, status, responseFields: fields, policy, requestedAt, receivedAt };
  const decision = decideStore(question);
  if (decision.kind === 'skip') throw new Error(`not storable: ${decision.reason}`);
  return makeHead({ status, fields, requestFields, requestedAt, receivedAt, barrier, ...decision });
}

/** An entry as a store would hold it, for decisions that need no store. */
export function entryOf(head: StoredHead, body = ''): CacheEntry {
  return { ...named('/'), head, body: Buffer.from(body), size: body.length, prepared: undefined, askedAt: -1 };
}

export function named(target: string): { key: string; host: string; purgeTarget: string } {
  return {
    key: cacheKey('http', 'example.com', target),
    host: 'example.com',
    purgeTarget: purgeName('example.com', target),
  };
}

/** A whole number in 0 ..< `below`. */
export function below(random: Random, limit: number): number {
  return Math.floor(random.next() * limit);
}

export function pick<T>(random: Random, items: readonly T[]): T {
  const item = items[below(random, items.length)];
  if (item === undefined) throw new Error('nothing to pick from');
  return item;
}
