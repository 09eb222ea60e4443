// What a 304 from an origin makes of the stored response that it validates (RFC 9111 sections 3.2 and 4.3.4).
import type { FieldList } from '../fields.ts';
import { makeHead, type StoredHead } from './entry.ts';
import { decideStore, type SkipReason } from './storable.ts';
import { storedFields } from './stored-fields.ts';
import { speaksOf } from './validation.ts';

/** They describe the body that is kept, which a 304 does not bring (RFC 9111 section 3.2). */
const OF_THE_BODY: ReadonlySet<string> = new Set(['content-length', 'content-encoding', 'content-range']);

/**
 * The fields of `entry`, each that the 304 has replaced by what it says, all lines of it. Its Date goes in any case: unless
 * the 304 states one, `makeHead` gives the time of receipt.
 */
export function merge304(entry: StoredHead, fields304: FieldList): string[] {
  const updates = storedFields(fields304);
  const replaced = new Set(['date']);
  const merged: string[] = [];
  for (let i = 0; i < updates.length; i += 2) if (!OF_THE_BODY.has(updates[i] ?? '')) replaced.add(updates[i] ?? '');
  for (const list of [entry.fields, updates]) {
    for (let i = 0; i < list.length; i += 2) {
      const name = list[i] ?? '';
      const taken = list === updates ? !OF_THE_BODY.has(name) : !replaced.has(name);
      if (taken) merged.push(name, list[i + 1] ?? '');
    }
  }
  return merged;
}

export interface RefreshQuestion {
  readonly entry: StoredHead;
  readonly fields304: FieldList;
  /** Those of the request that was sent to validate. */
  readonly requestFields: FieldList;
  readonly policy: { readonly enabled: boolean; readonly defaultTtlMs: number };
  /** Of the validation: Unix milliseconds, and the barrier as it stood when the request was sent. */
  readonly requestedAt: number;
  readonly receivedAt: number;
  readonly barrier: number;
}

export type RefreshDecision =
  /** Answer with it, and store it in place of the head that was validated. */
  | { readonly kind: 'refresh'; readonly head: StoredHead }
  | {
      /** Answer this request with `head` and the stored body; what is stored stays as it was, or goes if `remove`. */
      readonly kind: 'answer-only';
      readonly reason: SkipReason;
      readonly head: StoredHead;
      readonly remove: boolean;
    }
  /** The 304 speaks of another response: ask again without conditions. */
  | { readonly kind: 'mismatch' };

/** Because of this request, not of the response: others may go on validating what is stored. */
const OF_THE_REQUEST: ReadonlySet<SkipReason> = new Set(['request-no-store', 'authorization', 'policy']);

/** Applies a 304: the merged response is judged for storing just as a new one is. */
export function refreshHead(question: RefreshQuestion): RefreshDecision {
  const { entry, fields304, requestFields, policy, requestedAt, receivedAt, barrier } = question;
  if (!speaksOf(fields304, entry)) return { kind: 'mismatch' };
  // Age is of the 304, and not among the stored fields.
  const fields = merge304(entry, fields304);
  for (let i = 0; i < fields304.length; i += 2) if (fields304[i] === 'age') fields.push('age', fields304[i + 1] ?? '');
  const { status } = entry;
  const decision = decideStore({
    method: 'GET',
    requestFields,
    status,
    responseFields: fields,
    policy,
    requestedAt,
    receivedAt,
  });
  const common = { status, fields, requestFields, requestedAt, receivedAt, barrier };
  if (decision.kind === 'store') return { kind: 'refresh', head: makeHead({ ...common, ...decision }) };
  const head = makeHead({ ...common, lifetimeMs: 0, lifetimeSource: 'none', vary: entry.vary });
  return { kind: 'answer-only', reason: decision.reason, head, remove: !OF_THE_REQUEST.has(decision.reason) };
}
