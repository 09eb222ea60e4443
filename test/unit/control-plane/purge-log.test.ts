// The purge log: what is appended, what is trimmed, and what an edge is sent of it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KEYS, purgeKey } from '../../../control-plane/decide/keys.ts';
import { planPurge } from '../../../control-plane/decide/purge.ts';
import {
  decideReplay,
  decodePurge,
  encodePurge,
  endOf,
  type PurgeLog,
  type PurgeRecord,
} from '../../../control-plane/decide/purge-log.ts';
import type { PurgeTarget } from '../../../proto/gen/meridian/v1/purge.ts';
import { LIMITS } from '../../../proto/limits.ts';

const EPOCH = 7;
const host = (value: string): PurgeTarget => ({ target: { $case: 'host', value } });
const ask = (idempotencyKey: string, ...hosts: string[]) => ({ targets: hosts.map(host), soft: false, idempotencyKey });

/** Purges `first` to `last`, each of `bytes`. */
function logOf(first: number, last: number, bytes = 100): PurgeLog {
  const records: PurgeRecord[] = [];
  for (let sequence = first; sequence <= last; sequence += 1) {
    const purge = { sequence, targets: [host('a.example')], soft: false };
    records.push({ purge, idempotencyKey: `key-${sequence}`, acceptedAtMs: 0, bytes });
  }
  return { epoch: EPOCH, last, headRevision: 40, records };
}

test('a purge is appended with the next number, if nobody appended meanwhile', () => {
  const plan = planPurge(logOf(1, 4), ask('k', 'a.example'), 99);
  assert.ok(plan.kind === 'commit');
  assert.deepEqual(plan.position, { epoch: EPOCH, sequence: 5 });
  assert.deepEqual(plan.transaction.compares, [{ key: KEYS.purgeHead, modRevision: 40 }]);
  const [record, head] = plan.transaction.operations;
  assert.ok(record?.kind === 'put' && head?.kind === 'put');
  assert.equal(record.key, '/meridian/purges/log/0000000000000005');
  assert.deepEqual(JSON.parse(head.value), { sequence: 5 });
  const { bytes, ...stored } = decodePurge(5, record.value);
  assert.equal(bytes, record.value.length);
  const purge = { sequence: 5, targets: [host('a.example')], soft: false };
  assert.deepEqual(stored, { purge, idempotencyKey: 'k', acceptedAtMs: 99 });
});

test('a key that is in the log is that purge again; with other targets it is refused', () => {
  const log = logOf(1, 4);
  assert.deepEqual(planPurge(log, ask('key-2', 'a.example'), 0), {
    kind: 'repeated',
    position: { epoch: EPOCH, sequence: 2 },
  });
  assert.equal(planPurge(log, ask('key-2', 'b.example'), 0).kind, 'invalid');
});

test('a full log loses its oldest purge with each new one; one that is too long loses more', () => {
  const deleted = (log: PurgeLog) => {
    const plan = planPurge(log, ask('k', 'a.example'), 0);
    assert.ok(plan.kind === 'commit');
    return plan.transaction.operations.filter(({ kind }) => kind === 'delete').map(({ key }) => key);
  };
  assert.deepEqual(deleted(logOf(1, LIMITS.purgeLog - 1)), []);
  assert.deepEqual(deleted(logOf(1, LIMITS.purgeLog)), [purgeKey(1)]);
  assert.equal(deleted(logOf(1, LIMITS.purgeLog + 100)).length, 20);
  assert.deepEqual(deleted(logOf(3, 12, 8 * 1024 * 1024)), [purgeKey(3), purgeKey(4), purgeKey(5)]);
});

test('a value that is not a purge, or another one, is not read as one', () => {
  const text = encodePurge({ purge: { sequence: 5, targets: [], soft: false }, idempotencyKey: 'k', acceptedAtMs: 0 });
  assert.throws(() => decodePurge(6, text), /it is purge 5/);
  for (const other of ['', '{', '[]', 'null', '7', '{}']) assert.throws(() => decodePurge(5, other));
});

const at = (sequence: number, epoch = EPOCH) => ({ epoch, sequence });
const summary = (...[log, position, maxBytes = 10_000, whole = true]: Partial<Parameters<typeof decideReplay>>) => {
  assert.ok(log);
  const replay = decideReplay(log, position, maxBytes, whole);
  if (replay.kind === 'none') return [replay.kind, replay.reason];
  const sequences = replay.batch.purges.map(({ sequence }) => sequence);
  return [replay.kind, replay.reason, replay.kind === 'reset' ? replay.batch.resetTo : sequences, replay.to];
};

test('an edge at the end is sent nothing; nor is one that knows more than this replica', () => {
  assert.deepEqual(summary(logOf(1, 4), at(4)), ['none', 'at-the-end']);
  assert.deepEqual(summary(logOf(1, 4), at(6)), ['none', 'ahead']);
  assert.deepEqual(summary(logOf(1, 0), at(0)), ['none', 'at-the-end']);
});

test('an edge is sent what it missed, as long as the log reaches back to it', () => {
  assert.deepEqual(summary(logOf(1, 4), at(2)), ['replay', 'missed', [3, 4], at(4)]);
  assert.deepEqual(summary(logOf(1, 4), at(0)), ['replay', 'missed', [1, 2, 3, 4], at(4)]);
  assert.deepEqual(summary(logOf(3, 4), at(2)), ['replay', 'missed', [3, 4], at(4)]);
  assert.deepEqual(summary(logOf(3, 4), at(1)), ['reset', 'log-too-short', at(4), at(4)]);
  assert.deepEqual(summary(logOf(5, 4), at(3)), ['reset', 'log-too-short', at(4), at(4)]);
});

test('an edge without a position, or with one of another epoch, is reset to the end', () => {
  assert.deepEqual(summary(logOf(1, 4), undefined), ['reset', 'no-position', at(4), at(4)]);
  assert.deepEqual(summary(logOf(1, 4), at(4, 6)), ['reset', 'other-epoch', at(4), at(4)]);
});

test('what does not fit into one batch follows in more, except at first, when the edge is reset', () => {
  const log = logOf(1, 10);
  assert.deepEqual(summary(log, at(2), 350, false), ['replay', 'missed', [3, 4, 5], at(5)]);
  assert.deepEqual(summary(log, at(2), 10, false), ['replay', 'missed', [3], at(3)]);
  assert.deepEqual(summary(log, at(2), 350, true), ['reset', 'too-much', at(10), at(10)]);
  assert.deepEqual(summary(log, at(9), 10, true), ['replay', 'missed', [10], at(10)]);
  assert.deepEqual(endOf(log), at(10));
});
