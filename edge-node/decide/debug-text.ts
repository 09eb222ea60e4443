// What an answer says to an operator who asked to see inside: one field, a structured dictionary (RFC 9651), of how the edge came to
// it. Numbers are seconds.
import type { StoredHead } from './cache/entry.ts';
import { ageMs } from './cache/freshness.ts';
import type { FieldList } from './fields.ts';

/** The name of the field, in requests (with the secret) and in answers. */
export const DEBUG_FIELD = 'meridian-debug';

export interface DebugParts {
  readonly edge: string;
  /** "epoch.revision"; undefined: nothing was ever applied. */
  readonly version: string | undefined;
  readonly client: string;
  readonly site: string | undefined;
  /** Prefix of the path. */
  readonly route: string | undefined;
  readonly pool: string | undefined;
  /** '' before it is known. */
  readonly key: string;
  readonly outcome: string;
  /** Why an origin was asked; undefined: none was. */
  readonly forward: string | undefined;
  /** Where what answers was. */
  readonly tier: 'memory' | 'disk' | undefined;
  /** Of what answers, or is being stored. */
  readonly head: StoredHead | undefined;
  /** Unix milliseconds. */
  readonly now: number;
  readonly origin: string | undefined;
  readonly attempts: number;
  /** Purges applied so far. */
  readonly purges: number;
  /** Code of the failure that is answered. */
  readonly failure: string | undefined;
}

/** Characters of one value. */
const MAX_VALUE = 1000;

export function debugText(parts: DebugParts): string {
  const { head, now } = parts;
  const members: string[] = [];
  const text = (name: string, value: string | undefined) => {
    if (value !== undefined && value !== '') members.push(`${name}=${quoted(value)}`);
  };
  const number = (name: string, value: number) => members.push(`${name}=${value}`);
  text('edge', parts.edge);
  text('version', parts.version);
  text('client', parts.client);
  text('site', parts.site);
  text('route', parts.route);
  text('pool', parts.pool);
  text('key', parts.key);
  text('outcome', parts.outcome);
  text('forward', parts.forward);
  text('tier', parts.tier);
  if (head) {
    const age = ageMs(head, now);
    number('initial-age', seconds(head.initialAgeMs));
    number('resident', seconds(age - head.initialAgeMs));
    number('age', seconds(age));
    number('lifetime', seconds(head.lifetimeMs));
    text('lifetime-source', head.lifetimeSource);
    number('ttl', seconds(head.lifetimeMs - age));
    if (head.staleWhileRevalidateMs > 0) number('stale-while-revalidate', seconds(head.staleWhileRevalidateMs));
    if (head.staleIfErrorMs > 0) number('stale-if-error', seconds(head.staleIfErrorMs));
    text('vary', head.vary.join(', '));
    text('tags', head.tags.join(' '));
    number('requested-after', head.barrier);
  }
  number('purges', parts.purges);
  text('origin', parts.origin);
  if (parts.attempts > 0) number('attempts', parts.attempts);
  text('failure', parts.failure);
  return members.join(', ');
}

/**
 * The fields of an answer with what was asked for, and such that no cache keeps it: neither one that goes by Cache-Control nor
 * one that goes by a field of its own (RFC 9213).
 */
export function withDebug(fields: FieldList, text: string): string[] {
  const out: string[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] ?? '';
    if (name === 'expires' || name === 'surrogate-control' || name.endsWith('-cache-control')) continue;
    out.push(name, fields[i + 1] ?? '');
  }
  out.push('cache-control', 'no-store', DEBUG_FIELD, text);
  return out;
}

/** A structured-field string: what that cannot hold becomes a question mark. */
function quoted(value: string): string {
  const printable = value.slice(0, MAX_VALUE).replace(/[^\x20-\x7e]/g, '?');
  return `"${printable.replace(/["\\]/g, '\\$&')}"`;
}

/** With three decimals at most, as a structured-field decimal has them. */
function seconds(ms: number): number {
  return Math.round(ms) / 1000;
}
