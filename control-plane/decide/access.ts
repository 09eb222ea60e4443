// Who may do what, and who did, as the store has it; carried on with the world.
import { type AuditLog, type AuditRecord, decodeAudit } from './audit.ts';
import { decodeToken, type TokenRecord, type Tokens } from './tokens.ts';

export interface AccessState {
  readonly tokens: Tokens;
  readonly audit: AuditLog;
}

export const NO_ACCESS: AccessState = { tokens: new Map(), audit: [] };

/** One key written, or deleted (undefined). */
export type AccessChange =
  | { readonly kind: 'token'; readonly id: string; readonly value: TokenRecord | undefined }
  | { readonly kind: 'audit'; readonly id: string; readonly value: AuditRecord | undefined };

/** `text`: undefined for a key that was deleted. Throws on a value that Meridian did not write. */
export function readAccess(
  { kind, id }: { readonly kind: 'token' | 'audit'; readonly id: string },
  text: string | undefined,
  modRevision: number,
): AccessChange {
  return kind === 'token'
    ? { kind, id, value: text === undefined ? undefined : decodeToken(id, text, modRevision) }
    : { kind, id, value: text === undefined ? undefined : decodeAudit(id, text, modRevision) };
}

export function carryAccess(former: AccessState, changes: readonly AccessChange[]): AccessState {
  if (changes.length === 0) return former;
  const tokens = new Map(former.tokens);
  const written: AuditRecord[] = [];
  const replaced = new Set<string>();
  for (const { kind, id, value } of changes) {
    if (kind === 'audit') {
      replaced.add(id);
      if (value) written.push(value);
    } else if (value) tokens.set(id, value);
    else tokens.delete(id);
  }
  const kept = former.audit.filter(({ id }) => !replaced.has(id));
  return { tokens, audit: [...kept, ...written].toSorted((a, b) => a.revision - b.revision) };
}
