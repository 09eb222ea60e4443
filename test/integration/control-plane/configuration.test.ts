// The life of a configuration: tried by some edges, promoted or returned, put back; origins drained; purges counted.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { status } from '@grpc/grpc-js';
import type { ApplyResponse } from '../../../proto/gen/meridian/v1/admin.ts';
import { EdgeStatistics } from '../../../proto/gen/meridian/v1/edge.ts';
import { formatVersion } from '../../../proto/version.ts';
import { connectEdge, type TestEdge } from '../../support/edge-client.ts';
import { configuration, edgeOf, outcomes, type Plane, startPlane } from '../../support/plane.ts';
import { until } from '../../support/until.ts';

const refused = (code: status, details: RegExp) => (error: { code?: unknown; details?: unknown }) =>
  error.code === code && details.test(String(error.details));

/** Takes the next snapshot and confirms it. */
async function serve(edge: TestEdge): Promise<number> {
  const version = (await edge.take('snapshot')).snapshot?.version;
  edge.send({ $case: 'snapshotAck', value: { version } });
  return version?.revision ?? 0;
}

async function served(plane: Plane, name: string, revision: number): Promise<void> {
  await until(`${name} to serve ${revision}`, async () => {
    const { edges } = await plane.admin.status();
    return edges.find((edge) => edge.name === name)?.applied?.revision === revision;
  });
}

/** Two edges that serve the first configuration. */
async function two(t: TestContext) {
  const plane = await startPlane(t);
  const version = await plane.admin.applied(configuration('first', 'other'));
  const first = connectEdge(t, plane.edgePort, 'first');
  const other = connectEdge(t, plane.edgePort, 'other');
  for (const [name, edge] of [
    ['first', first],
    ['other', other],
  ] as const) {
    assert.equal(await serve(edge), version.revision);
    await served(plane, name, version.revision);
  }
  return { plane, version, first, other };
}

const verdict = (events: readonly ApplyResponse[]) => {
  const found = events.find(({ event }) => event?.$case === 'canary')?.event;
  assert.ok(found?.$case === 'canary', JSON.stringify(events));
  return found.value;
};

const canary = { edges: ['first'], holdMs: 5000 };

test('some edges try a configuration alone; when the hold is over all get it', async (t) => {
  const { plane, version, first, other } = await two(t);
  const answer = plane.admin.apply({ edges: [edgeOf('third')], canary, waitMs: 10_000 });
  const revision = await serve(first);
  assert.ok(revision > version.revision);
  await answer.count(2);
  const during = await plane.admin.status();
  assert.deepEqual([during.canary?.edges, during.canary?.former], [['first'], version]);
  await assert.rejects(
    plane.admin.apply({ edges: [edgeOf('fourth')] }).all,
    refused(status.ABORTED, /first are trying/),
  );
  assert.ok(
    !other.received.some(
      (message) => message.$case === 'snapshot' && message.value.snapshot?.version?.revision === revision,
    ),
  );
  // Replicas look from time to time, and give each other a moment.
  plane.clock.advance(6500);
  assert.equal(await serve(other), revision);
  const events = await answer.all;
  assert.deepEqual([verdict(events).promoted, verdict(events).version?.revision], [true, revision]);
  assert.deepEqual(outcomes(events), ['first ACKED', 'other ACKED', 'third GONE']);
  const [end, begin] = (await plane.admin.audit()).records;
  assert.deepEqual([end?.actor, end?.proof, end?.action, end?.to], ['control-plane', 'trial', 'promote', undefined]);
  assert.deepEqual([begin?.action, begin?.detail], ['apply', 'first to first: edge third created']);
});

test('an edge that refuses what it tries brings the former configuration back, with its reason', async (t) => {
  const { plane, version, first, other } = await two(t);
  const answer = plane.admin.apply({ edges: [edgeOf('third')], canary });
  const refusedVersion = (await first.take('snapshot')).snapshot?.version;
  first.send({ $case: 'snapshotNack', value: { version: refusedVersion, reason: 'no such thing' } });
  const events = await answer.all;
  const { promoted, reason } = verdict(events);
  assert.equal(promoted, false);
  assert.equal(reason, 'canary returned: edge "first" refused it: no such thing');
  const back = await serve(other);
  assert.ok(back > (refusedVersion?.revision ?? 0));
  assert.equal(await serve(first), back);
  assert.deepEqual(
    (await plane.admin.get()).snapshot?.edges.map(({ name }) => name),
    ['first', 'other'],
  );
  const { entries } = await plane.admin.history();
  assert.deepEqual(
    entries.map(({ what, former }) => [what, formatVersion(former)]),
    [
      [reason, formatVersion(refusedVersion)],
      ['apply, first to first', formatVersion(version)],
      ['apply', 'none'],
    ],
  );
  const [record] = (await plane.admin.audit()).records;
  assert.deepEqual([record?.actor, record?.proof, record?.action], ['control-plane', 'trial', 'rollback']);
  assert.match(record?.detail ?? '', /refused it: no such thing: edge third deleted$/);
});

test('an edge whose requests fail while it tries one brings the former configuration back', async (t) => {
  const { plane, first } = await two(t);
  const beat = (requests: number, errors: number) =>
    first.send({
      $case: 'heartbeat',
      value: { statistics: EdgeStatistics.fromPartial({ requests, errors, uptimeS: requests }) },
    });
  beat(100, 1);
  await until('it to be known', async () => (await plane.admin.status()).edges[0]?.statistics?.requests === 100);
  const answer = plane.admin.apply({ edges: [edgeOf('third')], canary });
  await serve(first);
  beat(200, 51);
  assert.match(verdict(await answer.all).reason, /edge "first": 50\.0% of its requests failed, 1\.0% before/);
});

test('a former version is put back, as a newer one, and what it was can be read', async (t) => {
  const { plane, version, first } = await two(t);
  await plane.admin.applied({ ...configuration('only'), prune: true });
  await first.ended;
  const former = (await plane.admin.get({ version })).snapshot;
  assert.deepEqual(
    former?.edges.map(({ name }) => name),
    ['first', 'other'],
  );
  const dry = await plane.admin.rollback({ version, dryRun: true }).all;
  assert.ok(dry[0]?.event?.$case === 'committed' && dry[0].event.value.changes.length === 3);
  const events = await plane.admin.rollback({ version }).all;
  assert.ok(events[0]?.event?.$case === 'committed');
  assert.ok((events[0].event.value.version?.revision ?? 0) > version.revision);
  assert.deepEqual((await plane.admin.get()).snapshot?.edges, former?.edges);
  await assert.rejects(
    plane.admin.rollback({ version: { epoch: 1, revision: 1 } }).all,
    refused(status.INVALID_ARGUMENT, /version 1\.1 is not in the history/),
  );
  await assert.rejects(plane.admin.rollback({}).all, refused(status.INVALID_ARGUMENT, /which one/));
});

test('an origin that is drained is so on every edge, and for those that come later', async (t) => {
  const { plane, first } = await two(t);
  const origin = { pool: 'cities', origin: 'london' };
  const answer = plane.admin.drain({ origin, drained: true, waitMs: 5000 });
  assert.deepEqual((await first.take('snapshot')).snapshot?.drained, [origin]);
  answer.cancel();
  assert.deepEqual((await plane.admin.status()).drained, [origin]);
  await plane.stop();
  const again = await startPlane(t, { store: { kind: 'embedded', file: plane.file } });
  const late = connectEdge(t, again.edgePort, 'first');
  assert.deepEqual((await late.take('snapshot')).snapshot?.drained, [origin]);
  await again.admin.drain({ origin, drained: false }).all;
  assert.deepEqual((await late.take('snapshot')).snapshot?.drained, []);
  await assert.rejects(
    again.admin.drain({ origin: { pool: 'cities', origin: 'none' }, drained: true }).all,
    refused(status.INVALID_ARGUMENT, /there is no origin "cities\/none"/),
  );
});

test('a purge can be counted instead of done: each edge says how much it would be', async (t) => {
  const { plane, first } = await two(t);
  const targets = [{ target: { $case: 'prefix', value: { host: 'demo.example', path: '/a' } } } as const];
  const answer = plane.admin.purge({ targets, dryRun: true });
  const question = await first.take('count');
  assert.deepEqual(question.targets, targets);
  first.send({ $case: 'countAnswer', value: { id: question.id, objects: 3, bytes: 300 } });
  await answer.count(1);
  plane.clock.advance(10_000);
  const events = (await answer.all).map(({ event }) => event?.$case === 'count' && event.value);
  assert.deepEqual(events, [
    { edge: 'first', counted: true, objects: 3, bytes: 300, detail: '' },
    { edge: 'other', counted: false, objects: 0, bytes: 0, detail: 'it did not count within 10000 ms' },
  ]);
  assert.equal((await plane.admin.status()).purgePosition?.sequence, 0);
});
