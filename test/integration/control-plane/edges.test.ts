// Edges and a control plane, over real streams: introduction, order of first messages, snapshots, refusals, and who is let go.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { Hello } from '../../../proto/gen/meridian/v1/edge.ts';
import { connectEdge, dialEdge, type TestEdge } from '../../support/edge-client.ts';
import { configuration, outcomes, startPlane } from '../../support/plane.ts';
import { poolOf } from '../../support/snapshots.ts';
import { until } from '../../support/until.ts';

const kinds = (edge: TestEdge): string[] => edge.received.map(({ $case }) => $case);

test('an edge first gets purges, even if there are none, then the snapshot, then the health view', async (t) => {
  const plane = await startPlane(t);
  const version = await plane.admin.applied(configuration('london'));
  const edge = connectEdge(t, plane.edgePort, 'london');
  const { snapshot } = await edge.take('snapshot');
  await edge.take('healthView');
  assert.deepEqual(kinds(edge), ['purges', 'snapshot', 'healthView']);
  assert.deepEqual(snapshot?.version, version);
  assert.deepEqual(
    snapshot?.pools[0]?.origins.map(({ name }) => name),
    ['london', 'lagos'],
  );
  assert.deepEqual(await edge.take('purges'), {
    epoch: version.epoch,
    purges: [],
    resetTo: { epoch: version.epoch, sequence: 0 },
  });
});

test('each change is sent to every connected edge, and its acknowledgement is shown', async (t) => {
  const plane = await startPlane(t);
  await plane.admin.applied(configuration('london', 'tokyo'));
  const edges = ['london', 'tokyo'].map((name) => connectEdge(t, plane.edgePort, name));
  await Promise.all(edges.map((edge) => edge.take('snapshot')));
  const version = await plane.admin.applied({ pools: configuration().pools.map((p) => ({ ...p, name: 'other' })) });
  for (const edge of edges) {
    const { snapshot } = await edge.take('snapshot');
    assert.deepEqual(snapshot?.version, version);
    edge.send({ $case: 'snapshotAck', value: { version } });
  }
  await until('both to be shown', async () => {
    const { edges: shown } = await plane.admin.status();
    return shown.every(({ applied }) => applied?.revision === version.revision);
  });
});

test('an edge that has the newest snapshot is not sent it again', async (t) => {
  const plane = await startPlane(t);
  const applied = await plane.admin.applied(configuration('london'));
  const edge = connectEdge(t, plane.edgePort, 'london', { applied });
  await edge.take('healthView');
  assert.deepEqual(kinds(edge), ['purges', 'healthView']);
});

test('a refused snapshot is parked: not sent again until there is a newer one, not even after a reconnect', async (t) => {
  const plane = await startPlane(t);
  const refused = await plane.admin.applied(configuration('london'));
  const edge = connectEdge(t, plane.edgePort, 'london');
  await edge.take('snapshot');
  edge.send({ $case: 'snapshotNack', value: { version: refused, reason: 'no such thing' } });
  await until('the refusal to be shown', async () => {
    return (await plane.admin.status()).edges[0]?.refusedReason === 'no such thing';
  });
  edge.close();

  const again = connectEdge(t, plane.edgePort, 'london', { parked: refused });
  await again.take('healthView');
  assert.deepEqual(kinds(again), ['purges', 'healthView']);
  assert.equal((await plane.admin.status()).edges[0]?.refusedReason, 'no such thing');

  const newer = await plane.admin.applied(configuration('london', 'tokyo'));
  assert.deepEqual((await again.take('snapshot')).snapshot?.version, newer);
  assert.equal((await plane.admin.status()).edges[0]?.refusedReason, '');
});

test('an apply that waits tells who serves it, who refused, who is slow and who is away', async (t) => {
  const plane = await startPlane(t);
  await plane.admin.applied(configuration('good', 'bad', 'slow', 'away'));
  const [good, bad, slow] = ['good', 'bad', 'slow'].map((name) => connectEdge(t, plane.edgePort, name));
  assert.ok(good && bad && slow);
  await Promise.all([good, bad, slow].map((edge) => edge.take('snapshot')));
  const answer = plane.admin.apply({ ...configuration('good', 'bad', 'slow', 'away', 'new'), waitMs: 1000 });
  const { snapshot } = await good.take('snapshot');
  good.send({ $case: 'snapshotAck', value: { version: snapshot?.version } });
  await bad.take('snapshot');
  bad.send({ $case: 'snapshotNack', value: { version: snapshot?.version, reason: 'disk full' } });
  await answer.count(5);
  plane.clock.advance(1000);
  assert.deepEqual(outcomes(await answer.all), ['away GONE', 'bad REFUSED', 'good ACKED', 'new GONE', 'slow LATE']);
  const refusal = answer.events.find(({ event }) => event?.$case === 'edge' && event.value.edge === 'bad');
  assert.equal(refusal?.event?.$case === 'edge' && refusal.event.value.detail, 'disk full');
});

test('an edge that is not declared is turned away with the names of those that are', async (t) => {
  const plane = await startPlane(t);
  const early = await connectEdge(t, plane.edgePort, 'london').ended;
  assert.equal(early.code, status.NOT_FOUND);
  assert.match(early.details, /no edge is declared yet.*apply/);
  await plane.admin.applied(configuration('london', 'tokyo'));
  const { code, details } = await connectEdge(t, plane.edgePort, 'lodnon').ended;
  assert.equal(code, status.NOT_FOUND);
  assert.match(details, /edge "lodnon" is not declared \(declared are: london, tokyo\)/);
});

test('an edge whose declaration is deleted is let go', async (t) => {
  const plane = await startPlane(t);
  await plane.admin.applied(configuration('london', 'tokyo'));
  const edge = connectEdge(t, plane.edgePort, 'tokyo');
  await edge.take('snapshot');
  await plane.admin.applied({ ...configuration('london'), prune: true });
  assert.equal((await edge.ended).code, status.NOT_FOUND);
});

test('a newer stream of the same edge takes over, and the older one is told', async (t) => {
  const plane = await startPlane(t);
  await plane.admin.applied(configuration('london'));
  const older = connectEdge(t, plane.edgePort, 'london', { instance: 'first' });
  await older.take('snapshot');
  const newer = connectEdge(t, plane.edgePort, 'london', { instance: 'second' });
  await newer.take('snapshot');
  const { code, details } = await older.ended;
  assert.equal(code, status.ALREADY_EXISTS);
  assert.match(details, /another process \(second\)/);
  assert.equal((await plane.admin.status()).edges[0]?.connected, true);
});

test('an edge of another protocol is refused with both versions', async (t) => {
  const plane = await startPlane(t);
  await plane.admin.applied(configuration('london'));
  const { code, details } = await connectEdge(t, plane.edgePort, 'london', { protocolVersion: 99 }).ended;
  assert.equal(code, status.FAILED_PRECONDITION);
  assert.match(details, /version 99 .* this control plane 1/);
});

test('a stream that does not begin with Hello is ended, and so is one that never speaks', async (t) => {
  const plane = await startPlane(t);
  const rude = dialEdge(t, plane.edgePort);
  rude.send({ $case: 'heartbeat', value: { statistics: undefined } });
  assert.deepEqual(await rude.ended, { code: status.INVALID_ARGUMENT, details: 'the first message must be Hello' });
  const silent = dialEdge(t, plane.edgePort);
  let ended = false;
  void silent.ended.then(() => {
    ended = true;
  });
  await until('the deadline', () => {
    plane.clock.advance(1000);
    return ended;
  });
  assert.equal((await silent.ended).code, status.DEADLINE_EXCEEDED);
});

test('an edge that acknowledges what it was never sent is cut short', async (t) => {
  const plane = await startPlane(t);
  const { epoch, revision } = await plane.admin.applied(configuration('london'));
  const forged = [
    { $case: 'snapshotAck', value: { version: { epoch, revision: revision + 1 } } },
    { $case: 'snapshotNack', value: { version: undefined, reason: '' } },
    { $case: 'purgeAck', value: { position: { epoch, sequence: 7 } } },
    { $case: 'hello', value: Hello.create({ protocolVersion: 1, edge: 'london' }) },
  ] as const;
  for (const message of forged) {
    const edge = connectEdge(t, plane.edgePort, 'london');
    await edge.take('healthView');
    edge.send(message);
    assert.equal((await edge.ended).code, status.INVALID_ARGUMENT);
  }
});

/** Some 80 kB as a message: beyond the 16 that a client's stream holds, one or two fill what the connection does. */
function largeConfiguration(...edges: string[]): ReturnType<typeof configuration> {
  const large = configuration(...edges);
  for (let i = 0; i < 500; i += 1) large.pools.push({ ...poolOf({ london: 'http://127.0.0.1:9' }), name: `pool-${i}` });
  return large;
}

test('an edge that reads slowly skips snapshots, and gets the newest when it reads again', async (t) => {
  const plane = await startPlane(t);
  await plane.admin.applied(largeConfiguration('slow', 'quick'));
  const slow = connectEdge(t, plane.edgePort, 'slow');
  const quick = connectEdge(t, plane.edgePort, 'quick');
  await slow.take('healthView');
  slow.pause();
  for (let i = 0; i < 30; i += 1) {
    await quick.take('snapshot');
    await plane.admin.applied({ edges: configuration(`edge-${i}`).edges });
  }
  const { snapshot } = await quick.take('snapshot');
  const before = slow.received.length;
  slow.resume();
  await until('the newest snapshot', () => {
    const last = slow.received.findLast(({ $case }) => $case === 'snapshot');
    return last?.$case === 'snapshot' && last.value.snapshot?.version?.revision === snapshot?.version?.revision;
  });
  const snapshots = slow.received.slice(before).filter(({ $case }) => $case === 'snapshot');
  assert.ok(snapshots.length < 25, `${snapshots.length} of 30 were sent`);
});

test('an edge that goes on reading nothing is cut off, alone', async (t) => {
  const plane = await startPlane(t);
  await plane.admin.applied(largeConfiguration('slow', 'quick'));
  const slow = connectEdge(t, plane.edgePort, 'slow');
  const quick = connectEdge(t, plane.edgePort, 'quick');
  await Promise.all([slow.take('healthView'), quick.take('healthView')]);
  slow.pause();
  let cut = false;
  void slow.ended.then(() => {
    cut = true;
  });
  for (let i = 0; i < 20; i += 1) {
    await plane.admin.applied({ edges: configuration(`edge-${i}`).edges });
    await quick.take('snapshot');
  }
  await until('the slow edge to be cut off', () => {
    plane.clock.advance(1000);
    return cut;
  });
  const connected = (await plane.admin.status()).edges.filter((edge) => edge.connected);
  assert.deepEqual(
    connected.map(({ name }) => name),
    ['quick'],
  );
});

test('a control plane that stops sends its edges elsewhere, and after a restart goes on where it was', async (t) => {
  const plane = await startPlane(t);
  const version = await plane.admin.applied(configuration('london'));
  const edge = connectEdge(t, plane.edgePort, 'london');
  await edge.take('snapshot');
  await plane.stop();
  const { code, details } = await edge.ended;
  assert.equal(code, status.UNAVAILABLE);
  assert.match(details, /stopping/);
  const again = await startPlane(t, { store: { kind: 'embedded', file: plane.file } });
  assert.deepEqual((await again.admin.get()).snapshot?.version, version);
});
