// The history of the configuration: for each version what changed, why, and how to undo it, so that a former version is the
// present one with the newer changes undone, newest first. A change is written down in the transaction that makes it.
import type { ResourceChange } from '../../proto/gen/meridian/v1/admin.ts';
import { ChangeAction } from '../../proto/gen/meridian/v1/admin.ts';
import type { Version } from '../../proto/gen/meridian/v1/resources.ts';
import { LIMITS } from '../../proto/limits.ts';
import { applyPatch, makePatch, type TextPatch } from '../../proto/text-patch.ts';
import { formatVersion } from '../../proto/version.ts';
import { historyKey, type Operation } from './keys.ts';

/** What stood under a key before: nothing, a text, or the text that came after it but for a piece. */
export type Undo =
  | { readonly key: string; readonly kind: 'absent' }
  | { readonly key: string; readonly kind: 'text'; readonly text: string }
  | { readonly key: string; readonly kind: 'patch'; readonly patch: TextPatch };

export interface HistoryRecord {
  /** 1, 2, 3 ...; restarts with the store. */
  readonly number: number;
  readonly epoch: number;
  /** The version before; undefined for the first. */
  readonly former: Version | undefined;
  readonly changedAtMs: number;
  readonly who: string;
  readonly what: string;
  readonly changes: readonly ResourceChange[];
  readonly undo: readonly Undo[];
}

export interface KeptRecord extends HistoryRecord {
  /** The store's revision of the change, hence of its version. */
  readonly revision: number;
  /** Length of its JSON. */
  readonly characters: number;
}

export const versionOfRecord = ({ epoch, revision }: KeptRecord): Version => ({ epoch, revision });

/** Of a history, characters of JSON; beyond it the oldest records go early. */
const HISTORY_CHARACTERS = 32 * 1024 * 1024;
/** Old records that a new one may push out. */
const TRIMMED_AT_ONCE = 10;
/** Changes that a record names; the rest is counted in `what`. */
const NAMED = 1000;

export interface Note {
  readonly who: string;
  readonly what: string;
  /** Wall clock, Unix milliseconds. */
  readonly nowMs: number;
}

/** The writes that note a change. `texts`: of each changed key before and after; undefined: it did not, does not exist. */
export function recordChange(
  kept: readonly KeptRecord[],
  at: { readonly epoch: number; readonly former: Version | undefined },
  note: Note,
  changes: readonly ResourceChange[],
  texts: readonly { readonly key: string; readonly before: string | undefined; readonly after: string | undefined }[],
): Operation[] {
  const number = (kept.at(-1)?.number ?? 0) + 1;
  const value = encodeRecord({
    number,
    ...at,
    changedAtMs: note.nowMs,
    who: note.who,
    what: changes.length > NAMED ? `${note.what} (${changes.length} changes)` : note.what,
    changes: changes.slice(0, NAMED),
    undo: texts.map(({ key, before, after }) => undo(key, before, after)),
  });
  const operations: Operation[] = [{ kind: 'put', key: historyKey(number), value }];
  let count = kept.length + 1;
  let characters = kept.reduce((sum, record) => sum + record.characters, value.length);
  for (const record of kept) {
    const fits = count <= LIMITS.history && characters <= HISTORY_CHARACTERS;
    if (fits || operations.length > TRIMMED_AT_ONCE) break;
    operations.push({ kind: 'delete', key: historyKey(record.number) });
    count -= 1;
    characters -= record.characters;
  }
  return operations;
}

function undo(key: string, before: string | undefined, after: string | undefined): Undo {
  if (before === undefined) return { key, kind: 'absent' };
  const patch = after === undefined ? undefined : makePatch(after, before);
  return patch && patch.middle.length < before.length / 2
    ? { key, kind: 'patch', patch }
    : { key, kind: 'text', text: before };
}

export type Restored =
  | { readonly kind: 'restored'; readonly texts: ReadonlyMap<string, string> }
  | { readonly kind: 'unknown'; readonly reason: string };

/** `present`: text of each resource, by key, at `version`. What they were at `wanted`. */
export function restore(
  present: ReadonlyMap<string, string>,
  version: Version | undefined,
  kept: readonly KeptRecord[],
  wanted: Version,
): Restored {
  const texts = new Map(present);
  let at = version;
  for (let i = kept.length - 1; ; i -= 1) {
    if (at?.revision === wanted.revision && (at.epoch === wanted.epoch || i === kept.length - 1)) {
      return { kind: 'restored', texts };
    }
    const record = kept[i];
    // A change that nobody noted, by another release, cannot be undone; nor can what lies behind it.
    if (!record || record.revision !== at?.revision) break;
    for (const step of record.undo) {
      const former = undone(step, texts.get(step.key));
      if (former === false) return { kind: 'unknown', reason: `the record of version ${formatVersion(at)} is damaged` };
      if (former === undefined) texts.delete(step.key);
      else texts.set(step.key, former);
    }
    at = record.former;
    if (!at) break;
  }
  return {
    kind: 'unknown',
    reason: `version ${formatVersion(wanted)} is not in the history; "meridian history" lists those that are kept`,
  };
}

/** False: it does not fit. */
function undone(step: Undo, text: string | undefined): string | undefined | false {
  switch (step.kind) {
    case 'absent':
      return undefined;
    case 'text':
      return step.text;
    case 'patch':
      return text === undefined ? false : (applyPatch(text, step.patch) ?? false);
  }
}

function encodeRecord(record: HistoryRecord): string {
  return JSON.stringify(record);
}

/** Throws on a value that is not what {@link recordChange} makes. */
export function decodeRecord(number: number, text: string, revision: number): KeptRecord {
  const json: unknown = JSON.parse(text);
  if (!isObject(json) || json.number !== number || !Array.isArray(json.undo) || !Array.isArray(json.changes)) {
    throw new Error('it is not a record of a change');
  }
  return {
    number,
    epoch: Number(json.epoch),
    former: version(json.former),
    changedAtMs: Number(json.changedAtMs),
    who: String(json.who),
    what: String(json.what),
    changes: json.changes.flatMap((change) => (isObject(change) ? [changeOf(change)] : [])),
    undo: json.undo.map(undoOf),
    revision,
    characters: text.length,
  };
}

function changeOf({ kind, name, action }: Readonly<Record<string, unknown>>): ResourceChange {
  const known = Object.values(ChangeAction).find((candidate) => candidate === action);
  return { kind: String(kind), name: String(name), action: known ?? ChangeAction.UNSPECIFIED };
}

function undoOf(value: unknown): Undo {
  if (isObject(value) && typeof value.key === 'string') {
    const { key, kind, text, patch } = value;
    if (kind === 'absent') return { key, kind };
    if (kind === 'text' && typeof text === 'string') return { key, kind, text };
    if (kind === 'patch' && isObject(patch)) {
      return { key, kind, patch: { head: Number(patch.head), tail: Number(patch.tail), middle: String(patch.middle) } };
    }
  }
  throw new Error('it undoes nothing that is known');
}

function version(value: unknown): Version | undefined {
  return isObject(value) ? { epoch: Number(value.epoch), revision: Number(value.revision) } : undefined;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
