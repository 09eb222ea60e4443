// What an edge and its control plane say to each other, over real gRPC, on a clock that the test moves.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { HealthStatus } from '../../../../proto/gen/meridian/v1/health.ts';
import { Snapshot } from '../../../../proto/gen/meridian/v1/resources.ts';
import { snapshotChanges } from '../../../../proto/snapshot-delta.ts';
import { at, connected, planes, purges, reconnect, startEdge, update } from '../../../support/control-edge.ts';
import { poolOf, snapshotOf } from '../../../support/snapshots.ts';
import { until } from '../../../support/until.ts';

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
    whole: false,
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
  assert.match(edge.metrics.render(), /meridian_control_connected 1\n/);
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

test('a change is applied to the snapshot that serves; one that does not fit ends the stream, and the next asks for the whole', async (t) => {
  const { edge, plane, control } = await connected(t);
  const [base, next] = [snapshotOf(5), { ...snapshotOf(6), drained: [{ pool: 'cities', origin: 'london' }] }];
  control.send(update(base));
  await control.take('snapshotAck');
  const sha256 = createHash('sha256').update(Snapshot.encode(next).finish()).digest();
  control.send({
    $case: 'snapshot',
    value: { snapshot: undefined, delta: { ...snapshotChanges(base, next), sha256 } },
  });
  assert.equal((await control.take('snapshotAck')).version?.revision, 6);
  const { serving } = edge.snapshots;
  assert.deepEqual(serving && Snapshot.toJSON(serving), Snapshot.toJSON(next));
  const odd = { ...snapshotChanges(next, snapshotOf(7)), sha256 };
  control.send({ $case: 'snapshot', value: { snapshot: undefined, delta: odd } });
  const again = await reconnect(edge, plane);
  const hello = await again.take('hello');
  assert.deepEqual([hello.whole, hello.applied?.revision], [true, 6]);
});
