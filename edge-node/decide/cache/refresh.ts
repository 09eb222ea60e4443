// What a 304 from an origin makes of the stored response that it validates, and a 200 to HEAD of what GET has stored (RFC 9111
// sections 3.2, 4.3.4 and 4.3.5).
import { type FieldList, field } from '../fields.ts';
import { makeHead, type StoredHead } from './entry.ts';
import type { CacheRules } from './policy.ts';
import { decideStore, type SkipReason } from './storable.ts';
import { storedFields } from './stored-fields.ts';
import { effectiveControl } from './targeted.ts';
import { speaksOf } from './validation.ts';

/** They describe the body that is kept, which a 304 does not bring (RFC 9111 section 3.2). */
const OF_THE_BODY: ReadonlySet<string> = new Set(['content-length', 'content-encoding', 'content-range']);

/**
 * The fields of `entry`, each that the 304 has replaced by what it says, all lines of it. Its Date goes in any case: unless
 * the 304 states one, `makeHead` gives the time of receipt.
 */
export function merge304(entry: StoredHead, fields304: FieldList): string[] {
  const updates = storedFields(fields304, effectiveControl(fields304).control);
  const replaced = new Set(['date']);
  const merged: string[] = [];
  for (let i = 0; i < updates.length; i += 2) if (!OF_THE_BODY.has(updates[i] ?? '')) replaced.add(updates[i] ?? '');
  for (const list of [entry.fields, entry.consumed, updates]) {
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
  readonly policy: CacheRules;
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
export const OF_THE_REQUEST: ReadonlySet<SkipReason> = new Set([
  'request-no-store',
  'authorization',
  'policy',
  'has-request-body',
  'method-override',
  'bypass-rule',
]);

/**
 * Whether what is stored, with the head `there`, is what had the head `former`, and no other response that has taken its place since:
 * the head of one must not get to the body of the other.
 */
export function isStillThat(there: StoredHead, former: StoredHead): boolean {
  return (
    there.receivedAt <= former.receivedAt && there.etag === former.etag && there.lastModified === former.lastModified
  );
}

/** Applies a 304: the merged response is judged for storing just as a new one is. */
export function refreshHead(question: RefreshQuestion): RefreshDecision {
  return speaksOf(question.fields304, question.entry) ? update(question) : { kind: 'mismatch' };
}

function update(question: RefreshQuestion): Exclude<RefreshDecision, { kind: 'mismatch' }> {
  const { entry, fields304, requestFields, policy, requestedAt, receivedAt, barrier } = question;
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
  const { slices } = entry;
  const common = { status, fields, requestFields, requestedAt, receivedAt, barrier, slices };
  if (decision.kind === 'store') return { kind: 'refresh', head: makeHead({ ...common, ...decision }) };
  const head = makeHead({ ...common, lifetimeMs: 0, lifetimeSource: 'none', vary: entry.vary });
  return { kind: 'answer-only', reason: decision.reason, head, remove: !OF_THE_REQUEST.has(decision.reason) };
}

export interface HeadQuestion extends Omit<RefreshQuestion, 'fields304'> {
  /** Of the answer to HEAD. */
  readonly status: number;
  readonly fields: FieldList;
  /** Of the stored body, bytes. */
  readonly bodyLength: number;
}

export type HeadDecision =
  /** Store it in place of the head that HEAD spoke of. */
  | { readonly kind: 'update'; readonly head: StoredHead }
  /** What is stored is not what GET would answer now: remove it. */
  | { readonly kind: 'invalidate'; readonly reason: 'status' | 'validator' | 'length' | SkipReason }
  /** Says nothing on what is stored. */
  | { readonly kind: 'keep'; readonly reason: 'status' | SkipReason };

/** Section 4.3.5: what an answer to HEAD makes of the response to GET that could have been chosen for it. */
export function updateByHead(question: HeadQuestion): HeadDecision {
  const { entry, status, fields, bodyLength } = question;
  if (status !== 200) return { kind: 'keep', reason: 'status' };
  if (entry.status !== 200) return { kind: 'invalidate', reason: 'status' };
  for (const [name, stored] of [
    ['etag', entry.etag],
    ['last-modified', entry.lastModified],
  ] as const) {
    const received = field(fields, name);
    if (received !== undefined && received !== stored) return { kind: 'invalidate', reason: 'validator' };
  }
  const length = field(fields, 'content-length');
  if (length !== undefined && Number(length) !== bodyLength) return { kind: 'invalidate', reason: 'length' };
  const decision = update({ ...question, fields304: fields });
  if (decision.kind === 'refresh') return { kind: 'update', head: decision.head };
  const { reason } = decision;
  return decision.remove ? { kind: 'invalidate', reason } : { kind: 'keep', reason };
}
