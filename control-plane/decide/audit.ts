// The audit log: who changed what, written in the transaction that makes the change, so that neither is there without the other.
// Records have keys of their own and no counter in common, so that two replicas that write at the same time do not collide; what
// orders them is the revision of their transactions. The oldest go as new ones come.
import type { PurgePosition } from '../../proto/gen/meridian/v1/purge.ts';
import { LIMITS } from '../../proto/limits.ts';
import type { RoleName } from '../../proto/roles.ts';
import { auditKey, type Operation, type Transaction } from './keys.ts';
import { isRole } from './roles.ts';

/** Who asks, as far as it was proven. */
export interface Caller {
  /** Empty where nobody is asked who they are. */
  readonly name: string;
  readonly role: RoleName;
  /** "certificate", "token ID", "nobody asked"; of the control plane itself "bootstrap", "trial". */
  readonly proof: string;
  /** Address and port; empty when it is the control plane itself. */
  readonly peer: string;
}

/** What was changed. */
export interface AuditNote {
  /** "apply", "rollback", "drain", "undrain", "promote", "purge", "create-token", "revoke-token". */
  readonly action: string;
  readonly detail: string;
  /** The change makes a new version of the configuration. */
  readonly changesVersion?: boolean;
  readonly purge?: PurgePosition;
}

export interface AuditRecord extends AuditNote {
  /** Unique, in the order of time as far as clocks agree. */
  readonly id: string;
  readonly caller: Caller;
  readonly atMs: number;
  readonly epoch: number;
  /** Revision of the configuration before it; 0: there was none. */
  readonly fromRevision: number;
  /** Revision of the transaction; for a change of configuration, that of the new version. */
  readonly revision: number;
}

/** By rising revision. */
export type AuditLog = readonly AuditRecord[];

/** Of a record's detail. */
const DETAIL_CHARACTERS = 500;
/** Old records that one new one may push out: more than one, so that a log that became too long shrinks. */
const TRIMMED_AT_ONCE = 2;

export interface Audited {
  readonly audit: AuditLog;
  readonly epoch: number;
  readonly headRevision: number;
}

/** `transaction` with the record of it. `unique`: random characters, so that no two records share a key. */
export function withAudit(
  transaction: Transaction,
  world: Audited,
  caller: Caller,
  note: AuditNote,
  nowMs: number,
  unique: string,
): Transaction {
  const id = `${String(nowMs).padStart(16, '0')}-${unique}`;
  const value = JSON.stringify({
    ...note,
    detail: clip(note.detail),
    caller,
    atMs: nowMs,
    epoch: world.epoch,
    fromRevision: world.headRevision,
  });
  const excess = Math.max(0, world.audit.length + 1 - LIMITS.auditLog);
  const trimmed = world.audit.slice(0, Math.min(excess, TRIMMED_AT_ONCE));
  const operations: Operation[] = [
    ...transaction.operations,
    { kind: 'put', key: auditKey(id), value },
    ...trimmed.map((record): Operation => ({ kind: 'delete', key: auditKey(record.id) })),
  ];
  return { ...transaction, operations };
}

/** `items`, as many as a record's detail takes: "site demo created, pool cities updated and 3 more". */
export function listInWords(items: readonly string[]): string {
  const told: string[] = [];
  let characters = 0;
  for (const item of items) {
    characters += item.length + 2;
    if (characters > DETAIL_CHARACTERS - 40 && told.length > 0) break;
    told.push(item);
  }
  const more = items.length - told.length;
  return told.join(', ') + (more > 0 ? ` and ${more} more` : '');
}

function clip(detail: string): string {
  const text = detail.length > DETAIL_CHARACTERS ? `${detail.slice(0, DETAIL_CHARACTERS - 1)}…` : detail;
  return text.toWellFormed();
}

/** Throws on a value that {@link withAudit} did not make. */
export function decodeAudit(id: string, text: string, revision: number): AuditRecord {
  const json: unknown = JSON.parse(text);
  if (typeof json !== 'object' || json === null) throw new Error('it is not an audit record');
  const fields: Readonly<Record<string, unknown>> = { ...json };
  const caller: Readonly<Record<string, unknown>> = { ...Object(fields.caller) };
  const role = String(caller.role);
  const [atMs, epoch, fromRevision] = [Number(fields.atMs), Number(fields.epoch), Number(fields.fromRevision)];
  if (!isRole(role) || ![atMs, epoch, fromRevision].every(Number.isSafeInteger)) {
    throw new Error('it is not an audit record');
  }
  const purge: Readonly<Record<string, unknown>> | undefined = fields.purge ? { ...Object(fields.purge) } : undefined;
  return {
    id,
    revision,
    caller: { name: String(caller.name), role, proof: String(caller.proof), peer: String(caller.peer) },
    action: String(fields.action),
    detail: String(fields.detail),
    atMs,
    epoch,
    fromRevision,
    ...(fields.changesVersion === true && { changesVersion: true }),
    ...(purge && { purge: { epoch: Number(purge.epoch), sequence: Number(purge.sequence) } }),
  };
}

/** At most `limit` records, newest first, all older than `beforeRevision` (0: from the newest on). */
export function newestAudit(log: AuditLog, limit: number, beforeRevision: number): AuditRecord[] {
  const end = beforeRevision === 0 ? log.length : log.findIndex(({ revision }) => revision >= beforeRevision);
  const until = end < 0 ? log.length : end;
  return log.slice(Math.max(0, until - limit), until).toReversed();
}
