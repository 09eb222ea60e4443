// The purge log as a control plane holds it in memory, and what one edge is to be sent of it.
import { Purge, type PurgeBatch, type PurgePosition } from '../../proto/gen/meridian/v1/purge.ts';

export interface PurgeRecord {
  readonly purge: Purge;
  readonly idempotencyKey: string;
  readonly acceptedAtMs: number;
  /** Length of its JSON, which is about what it weighs anywhere. */
  readonly bytes: number;
}

export interface PurgeLog {
  readonly epoch: number;
  /** The last sequence number; 0 before the first purge. */
  readonly last: number;
  /** The revision of the key that says so; 0 when there is none yet. */
  readonly headRevision: number;
  /** Rising without gaps, and ending at `last`; may be empty. */
  readonly records: readonly PurgeRecord[];
}

export function encodePurge(record: Omit<PurgeRecord, 'bytes'>): string {
  const { purge, idempotencyKey, acceptedAtMs } = record;
  return JSON.stringify({ purge: Purge.toJSON(purge), idempotencyKey, acceptedAtMs });
}

/** Throws on a value that is not what {@link encodePurge} makes. */
export function decodePurge(sequence: number, text: string): PurgeRecord {
  const json: unknown = JSON.parse(text);
  if (typeof json !== 'object' || json === null || !('purge' in json)) throw new Error('it is not a purge');
  const purge = Purge.fromJSON(json.purge);
  if (purge.sequence !== sequence) throw new Error(`it is purge ${purge.sequence}`);
  return {
    purge,
    idempotencyKey: 'idempotencyKey' in json ? String(json.idempotencyKey) : '',
    acceptedAtMs: 'acceptedAtMs' in json ? Number(json.acceptedAtMs) : 0,
    bytes: text.length,
  };
}

export const endOf = (log: PurgeLog): PurgePosition => ({ epoch: log.epoch, sequence: log.last });

/** The log's first sequence number; one past its end when it is empty. */
export const firstOf = (log: PurgeLog): number => log.last - log.records.length + 1;

export type Replay =
  | { readonly kind: 'none'; readonly reason: 'at-the-end' | 'ahead' }
  | { readonly kind: 'replay'; readonly reason: 'missed'; readonly batch: PurgeBatch; readonly to: PurgePosition }
  | {
      readonly kind: 'reset';
      readonly reason: 'no-position' | 'other-epoch' | 'log-too-short' | 'too-much';
      readonly batch: PurgeBatch;
      readonly to: PurgePosition;
    };

/**
 * What brings an edge that stands at `position` (undefined: nowhere) to the log's end. A batch is at most `maxBytes`, or one
 * purge. With `whole`, it must reach the end (an edge may serve from its cache again once it has applied the first batch), so
 * that an edge that missed more is reset instead; without, the rest follows in further batches.
 */
export function decideReplay(
  log: PurgeLog,
  position: PurgePosition | undefined,
  maxBytes: number,
  whole: boolean,
): Replay {
  const end = endOf(log);
  const reset = (reason: (Replay & { kind: 'reset' })['reason']): Replay => ({
    kind: 'reset',
    reason,
    batch: { epoch: log.epoch, purges: [], resetTo: end },
    to: end,
  });
  if (!position) return reset('no-position');
  if (position.epoch !== log.epoch) return reset('other-epoch');
  if (position.sequence === log.last) return { kind: 'none', reason: 'at-the-end' };
  if (position.sequence > log.last) return { kind: 'none', reason: 'ahead' };
  const first = firstOf(log);
  if (position.sequence + 1 < first) return reset('log-too-short');
  const purges: Purge[] = [];
  let bytes = 0;
  for (let i = position.sequence + 1 - first; i < log.records.length; i += 1) {
    const record = log.records[i];
    if (!record) break;
    bytes += record.bytes;
    if (bytes > maxBytes && purges.length > 0) {
      if (whole) return reset('too-much');
      break;
    }
    purges.push(record.purge);
  }
  const to = { epoch: log.epoch, sequence: position.sequence + purges.length };
  return { kind: 'replay', reason: 'missed', batch: { epoch: log.epoch, purges, resetTo: undefined }, to };
}
