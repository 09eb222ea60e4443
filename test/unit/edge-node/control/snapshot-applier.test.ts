// How snapshots are applied one after another, with a disk that the test can break or hold.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type SnapshotAnswer, SnapshotApplier } from '../../../../edge-node/io/snapshot-applier.ts';
import { silentLog } from '../../../../infra/runtime/log.ts';
import { Metrics } from '../../../../infra/runtime/metrics.ts';
import type { Snapshot } from '../../../../proto/gen/meridian/v1/resources.ts';
import { snapshotOf } from '../../../support/snapshots.ts';

class FakeDisk {
  content: Snapshot | undefined;
  failure: Error | undefined;
  /** Settles writes only when the test says so. */
  hold: Promise<void> | undefined;
  writing = 0;
  mostWriting = 0;

  async read(): Promise<Snapshot | undefined> {
    return this.content;
  }

  async write(snapshot: Snapshot): Promise<void> {
    this.writing += 1;
    this.mostWriting = Math.max(this.mostWriting, this.writing);
    await this.hold;
    this.writing -= 1;
    if (this.failure) throw this.failure;
    this.content = snapshot;
  }
}

function setUp(prepare?: (snapshot: Snapshot) => () => void) {
  const disk = new FakeDisk();
  const steps: string[] = [];
  const answers: SnapshotAnswer[] = [];
  const applier = new SnapshotApplier({
    edge: 'edge-1',
    log: silentLog,
    metrics: new Metrics(),
    file: disk,
    prepare: async (snapshot) => {
      const serve = prepare?.(snapshot) ?? (() => void steps.push(`serve ${snapshot.version?.revision}`));
      return async () => serve();
    },
  });
  const offer = (snapshot: Snapshot) => applier.offer(snapshot, (answer) => answers.push(answer));
  const summary = () => answers.map(({ kind, version }) => `${kind} ${version.revision}`);
  return { disk, steps, answers, applier, offer, summary };
}

test('a snapshot serves only after it is on disk, and is acknowledged only after it serves', async () => {
  const { disk, steps, applier, offer, summary } = setUp();
  const gate = Promise.withResolvers<void>();
  disk.hold = gate.promise;
  offer(snapshotOf(5));
  await Promise.resolve();
  assert.deepEqual([steps, summary(), applier.applied], [[], [], undefined]);
  gate.resolve();
  await applier.idle();
  assert.deepEqual([steps, summary()], [['serve 5'], ['ack 5']]);
  assert.equal(disk.content?.version?.revision, 5);
});

test('of those that wait only the newest arrival is applied, and no two at once', async () => {
  const { disk, steps, applier, offer, summary } = setUp();
  const gate = Promise.withResolvers<void>();
  disk.hold = gate.promise;
  for (const revision of [5, 6, 7, 8]) offer(snapshotOf(revision));
  gate.resolve();
  await applier.idle();
  assert.deepEqual(steps, ['serve 5', 'serve 8']);
  assert.deepEqual(summary(), ['ack 5', 'ack 8']);
  assert.equal(disk.mostWriting, 1);
  offer(snapshotOf(9));
  await applier.idle();
  assert.deepEqual(summary().at(-1), 'ack 9');
});

test('a disk that fails makes a refusal, and the same version is taken when it comes again', async () => {
  const { disk, steps, answers, applier, offer, summary } = setUp();
  disk.failure = new Error('ENOSPC: no space left on device');
  offer(snapshotOf(5));
  await applier.idle();
  assert.ok(answers[0]?.kind === 'nack');
  assert.match(answers[0].reason, /cannot be written to this edge's disk: ENOSPC/);
  assert.deepEqual([steps, applier.applied, applier.parked], [[], undefined, undefined]);
  disk.failure = undefined;
  offer(snapshotOf(5));
  await applier.idle();
  assert.deepEqual(summary(), ['nack 5', 'ack 5']);
});

test('what was refused is parked until a newer one serves', async () => {
  let broken = true;
  const { applier, offer, summary } = setUp(() => {
    if (broken) throw new Error('no');
    return () => undefined;
  });
  offer(snapshotOf(5));
  await applier.idle();
  assert.equal(applier.parked?.revision, 5);
  offer(snapshotOf(5));
  await applier.idle();
  broken = false;
  offer(snapshotOf(6));
  await applier.idle();
  assert.deepEqual(summary(), ['nack 5', 'ack 6']);
  assert.equal(applier.parked, undefined);
});

test('a swap that fails is a refusal too', async () => {
  const { applier, offer, summary } = setUp(() => () => {
    throw new Error('no');
  });
  offer(snapshotOf(5));
  await applier.idle();
  assert.deepEqual([summary(), applier.applied], [['nack 5'], undefined]);
});

test('a start takes what is on disk, but neither what declares another edge nor what cannot be prepared', async () => {
  const good = setUp();
  good.disk.content = snapshotOf(5);
  await good.applier.restore();
  assert.deepEqual([good.steps, good.applier.applied?.revision], [['serve 5'], 5]);

  const foreign = setUp();
  foreign.disk.content = snapshotOf(5, { edge: 'edge-2' });
  await foreign.applier.restore();
  assert.deepEqual([foreign.steps, foreign.applier.applied], [[], undefined]);

  const broken = setUp(() => {
    throw new Error('no');
  });
  broken.disk.content = snapshotOf(5);
  await broken.applier.restore();
  assert.equal(broken.applier.applied, undefined);
});
