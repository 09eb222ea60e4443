// An edge's control side against control planes that do what the test says, over real gRPC, on a clock that the test moves.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { status as GrpcStatus } from '@grpc/grpc-js';
import { HealthTable } from '../../../../edge-node/decide/health.ts';
import { ControlStream } from '../../../../edge-node/io/control-stream.ts';
import { SnapshotApplier } from '../../../../edge-node/io/snapshot-applier.ts';
import { SnapshotFile } from '../../../../edge-node/io/snapshot-file.ts';
import { silentLog } from '../../../../infra/runtime/log.ts';
import { Metrics } from '../../../../infra/runtime/metrics.ts';
import { seededRandom } from '../../../../infra/runtime/random.ts';
import { ConnectResponse, EdgeStatistics } from '../../../../proto/gen/meridian/v1/edge.ts';
import { Explanation } from '../../../../proto/gen/meridian/v1/explain.ts';
import { HealthStatus } from '../../../../proto/gen/meridian/v1/health.ts';
import type { PurgePosition } from '../../../../proto/gen/meridian/v1/purge.ts';
import type { Snapshot } from '../../../../proto/gen/meridian/v1/resources.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { FakeControlPlane, type FakeStream } from '../../../support/fake-control-plane.ts';
import { poolOf, snapshotOf } from '../../../support/snapshots.ts';
import { until } from '../../../support/until.ts';

const at = (sequence: number, epoch = 1): PurgePosition => ({ epoch, sequence });

function purges(sequences: number[], resetTo?: PurgePosition, epoch = 1): NonNullable<ConnectResponse['message']> {
  const batch = { epoch, purges: sequences.map((sequence) => ({ sequence, targets: [] })), resetTo };
  return { $case: 'purges', value: batch };
}

const update = (snapshot: Snapshot): NonNullable<ConnectResponse['message']> => ({
  $case: 'snapshot',
  value: { snapshot },
});

interface Edge {
  readonly clock: FakeClock;
  readonly health: HealthTable;
  readonly metrics: Metrics;
  readonly snapshots: SnapshotApplier;
  readonly stream: ControlStream;
  /** Snapshots that came to serve, by revision. */
  readonly served: number[];
  /** What happened to the barrier: "reset", or a purge's sequence. */
  readonly barrier: (number | 'reset')[];
  /** Set to make the next preparation fail. */
  failPrepare: string | undefined;
}

function folder(t: TestContext): string {
  const made = mkdtempSync(path.join(tmpdir(), 'meridian-control-'));
  t.after(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

async function planes(t: TestContext, count = 1): Promise<FakeControlPlane[]> {
  const started = await Promise.all(Array.from({ length: count }, () => FakeControlPlane.start()));
  t.after(() => {
    for (const plane of started) plane.kill();
  });
  return started;
}

async function startEdge(t: TestContext, at: readonly FakeControlPlane[], file?: string): Promise<Edge> {
  const clock = new FakeClock();
  const metrics = new Metrics();
  const health = new HealthTable();
  const served: number[] = [];
  const barrier: Edge['barrier'] = [];
  const snapshots = new SnapshotApplier({
    edge: 'edge-1',
    log: silentLog,
    metrics,
    file: new SnapshotFile(file ?? path.join(folder(t), 'snapshot'), silentLog),
    prepare(snapshot) {
      if (edge.failPrepare !== undefined) throw new Error(edge.failPrepare);
      return () => {
        served.push(snapshot.version?.revision ?? -1);
        health.setPools(snapshot.pools);
      };
    },
  });
  const stream = new ControlStream(
    { edge: 'edge-1', instance: 'i-1', softwareVersion: '0.0.1', controlPlanes: at.map(({ address }) => address) },
    {
      clock,
      // Below 0.5: the first of two control planes is dialled first.
      random: { next: () => 0.25 },
      log: silentLog,
      metrics,
      snapshots,
      health,
      barrier: { apply: ({ sequence }) => barrier.push(sequence), reset: () => barrier.push('reset') },
      statistics: () => EdgeStatistics.fromPartial({ requests: 7 }),
      explain({ url }) {
        if (url === 'http://broken/') throw new Error('secret');
        return Explanation.fromPartial({ edge: 'edge-1', site: url });
      },
    },
  );
  const edge: Edge = { clock, health, metrics, snapshots, stream, served, barrier, failPrepare: undefined };
  await snapshots.restore();
  stream.start();
  t.after(async () => {
    stream.stop();
    await snapshots.idle();
  });
  return edge;
}

/** An edge whose stream is open, at position 4 of epoch 1. */
async function connected(t: TestContext): Promise<{ edge: Edge; plane: FakeControlPlane; control: FakeStream }> {
  const [plane] = await planes(t);
  assert.ok(plane);
  const edge = await startEdge(t, [plane]);
  const control = await plane.accept();
  control.send(purges([], at(4)));
  await control.take('purgeAck');
  edge.barrier.length = 0;
  return { edge, plane, control };
}

/** Lets the edge notice the end of its stream and dial again. */
async function reconnect(edge: Edge, plane: FakeControlPlane): Promise<FakeStream> {
  await until('the stream to end', () => !edge.stream.connected);
  // The wait for the next dial is the only timer; an opening stream has two.
  while (edge.clock.pending === 1) edge.clock.advance(100);
  return plane.accept();
}

test('an edge says what it has: Hello, then all it measured, then its statistics', async (t) => {
  const [plane] = await planes(t);
  assert.ok(plane);
  const edge = await startEdge(t, [plane]);
  const control = await plane.accept();
  await control.take('heartbeat');
  assert.deepEqual(
    control.received.map(({ $case }) => $case),
    ['hello', 'healthReport', 'heartbeat'],
  );
  assert.deepEqual(control.received[0]?.value, {
    protocolVersion: 1,
    edge: 'edge-1',
    instance: 'i-1',
    softwareVersion: '0.0.1',
    applied: undefined,
    parked: undefined,
    purgePosition: undefined,
  });
  assert.deepEqual(control.received[1]?.value, { full: true, transitions: [] });
  edge.clock.advance(5_000);
  assert.equal((await control.take('heartbeat')).statistics?.requests, 7);
});

test('the stream is open from the first purge batch on', async (t) => {
  const [plane] = await planes(t);
  assert.ok(plane);
  const edge = await startEdge(t, [plane]);
  const control = await plane.accept();
  await control.take('hello');
  assert.deepEqual([edge.stream.connected, edge.stream.synced], [false, false]);
  control.send(purges([], at(41)));
  assert.deepEqual((await control.take('purgeAck')).position, at(41));
  assert.deepEqual([edge.stream.connected, edge.stream.synced], [true, true]);
  assert.deepEqual(edge.barrier, ['reset']);
  assert.match(edge.metrics.render(), /meridian_edge_control_connected 1\n/);
});

test('a purge is acknowledged after the barrier was raised', async (t) => {
  const { edge, control } = await connected(t);
  control.send(purges([5, 6]));
  assert.deepEqual((await control.take('purgeAck')).position, at(6));
  assert.deepEqual(edge.barrier, [5, 6]);
  control.send(purges([6]));
  assert.deepEqual((await control.take('purgeAck')).position, at(6));
  assert.deepEqual(edge.barrier, [5, 6]);
});

test('a gap in the purges ends the stream, and the next one begins from where the edge stands', async (t) => {
  const { edge, plane, control } = await connected(t);
  control.send(purges([6]));
  const again = await reconnect(edge, plane);
  assert.deepEqual((await again.take('hello')).purgePosition, at(4));
  assert.match(edge.stream.lastError ?? '', /purge 6 came after 4/);
  again.send(purges([5, 6]));
  assert.deepEqual((await again.take('purgeAck')).position, at(6));
  assert.deepEqual(edge.barrier, [5, 6]);
});

test('a reset raises the barrier over everything and moves the edge to the position that it names', async (t) => {
  const { edge, control } = await connected(t);
  control.send(purges([1], at(0, 2), 2));
  assert.deepEqual((await control.take('purgeAck')).position, at(1, 2));
  assert.deepEqual(edge.barrier, ['reset', 1]);
});

test('a snapshot is on disk and serves when it is acknowledged, and all that was measured is told anew', async (t) => {
  const { edge, control } = await connected(t);
  await control.take('healthReport');
  control.send(update(snapshotOf(5)));
  assert.deepEqual((await control.take('snapshotAck')).version, { epoch: 1, revision: 5 });
  assert.deepEqual(edge.served, [5]);
  assert.equal((await control.take('healthReport')).full, true);
});

test('an inconsistent snapshot is refused with the reason, never served, and parked', async (t) => {
  const { edge, plane, control } = await connected(t);
  control.send(update(snapshotOf(5)));
  await control.take('snapshotAck');
  control.send(update(snapshotOf(6, { pool: 'nowhere' })));
  const nack = await control.take('snapshotNack');
  assert.deepEqual(nack.version, { epoch: 1, revision: 6 });
  assert.match(nack.reason, /there is no pool "nowhere"/);
  assert.deepEqual(edge.served, [5]);
  control.end();
  const hello = await (await reconnect(edge, plane)).take('hello');
  assert.deepEqual([hello.applied?.revision, hello.parked?.revision], [5, 6]);
});

test('a snapshot that cannot be prepared is refused with the reason', async (t) => {
  const { edge, control } = await connected(t);
  edge.failPrepare = 'no memory';
  control.send(update(snapshotOf(5)));
  assert.match((await control.take('snapshotNack')).reason, /cannot be prepared: no memory/);
  assert.deepEqual(edge.served, []);
});

test('an older snapshot is ignored, and the same one acknowledged again', async (t) => {
  const { edge, control } = await connected(t);
  control.send(update(snapshotOf(5)));
  await control.take('snapshotAck');
  control.send(update(snapshotOf(4)));
  control.send({ $case: 'explain', value: { id: 1, url: 'http://demo.example/', ip: '' } });
  await control.take('explainAnswer');
  await edge.snapshots.idle();
  control.send(update(snapshotOf(5)));
  await control.take('snapshotAck');
  assert.deepEqual(edge.served, [5]);
  assert.deepEqual(
    control.received.filter(({ $case }) => $case === 'snapshotNack'),
    [],
  );
});

test('a control plane that dies is replaced by the next of the list', async (t) => {
  const [first, second] = await planes(t, 2);
  assert.ok(first && second);
  const edge = await startEdge(t, [first, second]);
  const control = await first.accept();
  control.send(purges([], at(4)));
  await control.take('purgeAck');
  control.send(update(snapshotOf(5)));
  await control.take('snapshotAck');
  first.kill();
  const other = await reconnect(edge, second);
  const hello = await other.take('hello');
  assert.deepEqual([hello.applied?.revision, hello.purgePosition], [5, at(4)]);
  assert.equal(edge.stream.synced, true);
});

test('while no control plane answers the waits grow, up to a limit', async (t) => {
  const [plane] = await planes(t);
  assert.ok(plane);
  plane.kill();
  const edge = await startEdge(t, [plane]);
  const waits: number[] = [];
  for (let attempt = 0; attempt < 8; attempt += 1) {
    await until('the attempt to fail', () => edge.clock.pending === 1);
    const before = edge.clock.monotonic();
    while (edge.clock.pending === 1) edge.clock.advance(125);
    waits.push(edge.clock.monotonic() - before);
  }
  // Five eighths of 500, 1000, 2000 ... 15000: the random number is a constant.
  assert.deepEqual(waits, [375, 625, 1_250, 2_500, 5_000, 9_375, 9_375, 9_375]);
  assert.match(edge.stream.lastError ?? '', /^127\.0\.0\.1:\d+: UNAVAILABLE/);
});

test('a control plane that says nothing is given up after ten seconds', async (t) => {
  const [plane] = await planes(t);
  assert.ok(plane);
  const edge = await startEdge(t, [plane]);
  const control = await plane.accept();
  await control.take('hello');
  edge.clock.advance(9_999);
  assert.equal(edge.stream.lastError, undefined);
  edge.clock.advance(1);
  assert.match(edge.stream.lastError ?? '', /said nothing within 10000 ms/);
  await until('the control plane to see the end', () => control.ended);
});

test('messages that no edge can take end the stream, are counted, and the edge comes back', async (t) => {
  const unknown = Buffer.from([0xfa, 0x01, 0x00]);
  const truncated = Buffer.from([0x12, 0x05, 0x01]);
  const cases: [string, (control: FakeStream) => void, RegExp][] = [
    ['unknown', (control) => control.sendBytes(unknown), /a kind that this release does not know/],
    ['empty', (control) => control.sendBytes(Buffer.alloc(0)), /a kind that this release does not know/],
    ['truncated', (control) => control.sendBytes(truncated), /INTERNAL/],
    ['no version', (control) => control.send(update({ ...snapshotOf(5), version: undefined })), /without a version/],
    ['another epoch', (control) => control.send(purges([5], undefined, 9)), /a batch of epoch 9/],
  ];
  const { edge, plane, control } = await connected(t);
  let current = control;
  for (const [name, send, reason] of cases) {
    send(current);
    await until(name, () => !edge.stream.connected);
    assert.match(edge.stream.lastError ?? '', reason, name);
    current = await reconnect(edge, plane);
    current.send(purges([]));
    await current.take('purgeAck');
  }
  assert.match(edge.metrics.render(), /meridian_edge_control_messages_rejected_total 4\n/);
});

test('anything but purges as the first message ends the stream', async (t) => {
  const [plane] = await planes(t);
  assert.ok(plane);
  const edge = await startEdge(t, [plane]);
  (await plane.accept()).send(update(snapshotOf(5)));
  await until('the end', () => edge.stream.lastError !== undefined);
  assert.match(edge.stream.lastError ?? '', /began with snapshot, not with purges/);
  assert.deepEqual(edge.served, []);
});

test('random bytes never bring an edge down', async (t) => {
  const { edge, plane, control } = await connected(t);
  const random = seededRandom(5);
  let current = control;
  for (let round = 0; round < 40; round += 1) {
    const whole = Buffer.from(ConnectResponse.encode({ message: update(snapshotOf(5)) }).finish());
    for (let flips = 0; flips < 1 + round / 4; flips += 1) {
      whole[Math.floor(random.next() * whole.length)] = Math.floor(random.next() * 256);
    }
    current.sendBytes(whole.subarray(0, Math.ceil(random.next() * whole.length)));
    current.send({ $case: 'explain', value: { id: round, url: 'http://x/', ip: '' } });
    await until('an answer or the end', () => {
      const answered = current.received.some(({ $case, value }) => $case === 'explainAnswer' && value.id === round);
      return answered || !edge.stream.connected;
    });
    await edge.snapshots.idle();
    if (edge.stream.connected) continue;
    current = await reconnect(edge, plane);
    current.send(purges([], at(4)));
    await current.take('purgeAck');
  }
});

test('the statuses of a control plane reach the operator with a hint', async (t) => {
  const { edge, control } = await connected(t);
  control.end(GrpcStatus.NOT_FOUND, 'there is no edge "edge-1"');
  await until('the end', () => !edge.stream.connected);
  assert.match(edge.stream.lastError ?? '', /NOT_FOUND: there is no edge "edge-1" \(declare this edge with/);
  assert.match(edge.metrics.render(), /streams_ended_total\{code="not-found"\} 1\n/);
});

test('the health view counts for origins that the edge has not measured itself', async (t) => {
  const { edge, control } = await connected(t);
  edge.health.setPools([poolOf({ london: 'http://127.0.0.1:9' })]);
  const origin = { pool: 'cities', origin: 'london' };
  const entry = { origin, status: HealthStatus.DOWN, edgesUp: 0, edgesDown: 3 };
  control.send({ $case: 'healthView', value: { origins: [entry], expiresInMs: 1_000 } });
  const status = () => edge.health.status('cities', 'london', edge.clock.monotonic());
  await until('the view', () => status().source === 'view');
  assert.equal(status().status, 'down');
  edge.clock.advance(1_000);
  assert.equal(status().source, 'assumed');
});

test('a transition goes up as it happens, and a stream that begins later has it in its full report', async (t) => {
  const { edge, plane, control } = await connected(t);
  edge.health.setPools([poolOf({ london: 'http://127.0.0.1:9' })]);
  const transition = edge.health.observe('cities', 'london', { success: true, detail: 'status 200' }, 0);
  assert.ok(transition);
  await control.take('healthReport');
  edge.stream.reportTransition(transition);
  assert.deepEqual(await control.take('healthReport'), { full: false, transitions: [transition] });
  control.end();
  await until('the end', () => !edge.stream.connected);
  edge.stream.reportTransition(transition);
  const again = await reconnect(edge, plane);
  assert.deepEqual(await again.take('healthReport'), { full: true, transitions: [transition] });
});

test('a question is answered, and one that breaks the explainer gets no more than "internal"', async (t) => {
  const { control } = await connected(t);
  control.send({ $case: 'explain', value: { id: 1, url: 'http://demo.example/', ip: '192.0.2.1' } });
  const answer = await control.take('explainAnswer');
  assert.deepEqual([answer.id, answer.explanation?.site], [1, 'http://demo.example/']);
  control.send({ $case: 'explain', value: { id: 2, url: 'http://broken/', ip: '' } });
  const refused = await control.take('explainAnswer');
  assert.deepEqual([refused.id, refused.explanation?.refusalCode], [2, 'internal']);
  assert.ok(!JSON.stringify(refused).includes('secret'));
});

test('an edge that starts again with every control plane down serves what is on disk', async (t) => {
  const [plane] = await planes(t);
  assert.ok(plane);
  const file = path.join(folder(t), 'snapshot');
  const before = await startEdge(t, [plane], file);
  const control = await plane.accept();
  control.send(purges([], at(4)));
  control.send(update(snapshotOf(5)));
  await control.take('snapshotAck');
  before.stream.stop();
  plane.kill();
  const after = await startEdge(t, [plane], file);
  assert.deepEqual(after.served, [5]);
  assert.deepEqual(after.snapshots.applied, { epoch: 1, revision: 5 });
  assert.equal(after.stream.synced, false);
});

test('an edge that was stopped dials no more', async (t) => {
  const { edge, plane, control } = await connected(t);
  edge.stream.stop();
  await until('the end', () => control.ended);
  edge.clock.advance(60_000);
  assert.equal(edge.clock.pending, 0);
  assert.equal(plane.streams.length, 1);
});

test('addresses that are none are refused at the start', () => {
  for (const address of ['nowhere', 'http://a:1', 'a:99999', '']) {
    const options = { edge: 'e', instance: 'i', softwareVersion: '0', controlPlanes: [address] };
    assert.throws(() => new ControlStream(options, {} as never), /is not the address of a control plane/, address);
  }
});
