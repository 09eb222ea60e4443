// Control planes that die, fall silent, skip, or send what nobody can read; and an edge that starts without one.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { status as GrpcStatus } from '@grpc/grpc-js';
import { ControlStream } from '../../../../edge-node/io/control-stream.ts';
import { seededRandom } from '../../../../infra/runtime/random.ts';
import { ConnectResponse } from '../../../../proto/gen/meridian/v1/edge.ts';
import { HealthStatus } from '../../../../proto/gen/meridian/v1/health.ts';
import { at, connected, folder, planes, purges, reconnect, startEdge, update } from '../../../support/control-edge.ts';
import type { FakeStream } from '../../../support/fake-control-plane.ts';
import { snapshotOf } from '../../../support/snapshots.ts';
import { until } from '../../../support/until.ts';

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

test('a purge that cannot be applied is not acknowledged, and comes again', async (t) => {
  const { edge, plane, control } = await connected(t);
  edge.failPurge = 6;
  control.send(purges([5, 6, 7]));
  const again = await reconnect(edge, plane);
  assert.deepEqual((await again.take('hello')).purgePosition, at(5));
  assert.ok(!control.received.some(({ $case, value }) => $case === 'purgeAck' && value.position?.sequence !== 4));
  edge.failPurge = undefined;
  again.send(purges([6, 7]));
  assert.deepEqual((await again.take('purgeAck')).position, at(7));
  assert.deepEqual(edge.barrier, [5, 6, 7]);
});

test('a control plane that leaves a thousand messages unread is left', async (t) => {
  const { edge } = await connected(t);
  const origin = { pool: 'cities', origin: 'london' };
  for (let i = 0; i < 1_001; i += 1) {
    edge.stream.reportTransition({ origin, status: HealthStatus.DOWN, detail: 'connection refused' });
  }
  assert.match(edge.stream.lastError ?? '', /has left 1000 messages unread/);
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
  // Five eighths of 500, 1000, 2000, 4000: the random number is a constant.
  assert.deepEqual(waits, [375, 625, 1_250, 2_500, 2_500, 2_500, 2_500, 2_500]);
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
  assert.match(edge.metrics.render(), /meridian_control_messages_rejected_total 4\n/);
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

test('an edge that knows from disk where it stood says so, and misses nothing that came since', async (t) => {
  const [plane] = await planes(t);
  assert.ok(plane);
  const edge = await startEdge(t, [plane], undefined, at(9));
  const control = await plane.accept();
  assert.deepEqual((await control.take('hello')).purgePosition, at(9));
  control.send(purges([10, 11]));
  assert.deepEqual((await control.take('purgeAck')).position, at(11));
  // No reset: what it has on disk is still good.
  assert.deepEqual(edge.barrier, [10, 11]);
  assert.deepEqual(edge.stands, [at(11)]);
});
