// Purges, from the request to the last edge's acknowledgement.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { status } from '@grpc/grpc-js';
import type { PurgeResponse } from '../../../proto/gen/meridian/v1/admin.ts';
import type { PurgeTarget } from '../../../proto/gen/meridian/v1/purge.ts';
import { connectEdge, type TestEdge } from '../../support/edge-client.ts';
import { configuration, outcomes, startPlane } from '../../support/plane.ts';
import { until } from '../../support/until.ts';

const url = (path: string): PurgeTarget => ({ target: { $case: 'url', value: { host: 'demo.example', path } } });

/** Takes the next batch that is not empty and acknowledges it. */
async function acknowledge(edge: TestEdge): Promise<number[]> {
  for (;;) {
    const { epoch, purges } = await edge.take('purges');
    const last = purges.at(-1);
    if (!last) continue;
    edge.send({ $case: 'purgeAck', value: { position: { epoch, sequence: last.sequence } } });
    return purges.map(({ sequence }) => sequence);
  }
}

function accepted(events: readonly PurgeResponse[]) {
  const [first] = events;
  if (first?.event?.$case !== 'accepted') throw new Error('not accepted');
  return first.event.value;
}

const invalid = (details: RegExp) => (error: { code?: unknown; details?: unknown }) =>
  error.code === status.INVALID_ARGUMENT && details.test(String(error.details));

test('a purge is accepted, reaches every connected edge, and is answered edge by edge', async (t) => {
  const plane = await startPlane(t);
  const { epoch } = await plane.admin.applied(configuration('london', 'tokyo', 'away'));
  const edges = ['london', 'tokyo'].map((name) => connectEdge(t, plane.edgePort, name));
  await Promise.all(edges.map((edge) => edge.take('healthView')));
  const answer = plane.admin.purge({ targets: [url('/a')], timeoutMs: 5000 });
  for (const edge of edges) assert.deepEqual(await acknowledge(edge), [1]);
  const events = await answer.all;
  assert.deepEqual(accepted(events), { position: { epoch, sequence: 1 }, repeatedKey: false });
  assert.deepEqual(outcomes(events), ['away GONE', 'london ACKED', 'tokyo ACKED']);
  assert.deepEqual((await plane.admin.status()).purgePosition, { epoch, sequence: 1 });
});

test('the answer says at once that a purge is accepted and who is away, and each acknowledgement as it comes', async (t) => {
  const plane = await startPlane(t);
  await plane.admin.applied(configuration('quick', 'slow', 'away'));
  const [quick, slow] = ['quick', 'slow'].map((name) => connectEdge(t, plane.edgePort, name));
  assert.ok(quick && slow);
  await Promise.all([quick.take('healthView'), slow.take('healthView')]);
  const answer = plane.admin.purge({ targets: [url('/a')], timeoutMs: 5000 });
  await answer.count(2);
  assert.deepEqual(outcomes(answer.events), ['away GONE']);
  plane.clock.advance(10);
  await acknowledge(quick);
  await answer.count(3);
  const line = answer.events[2]?.event;
  assert.ok(line?.$case === 'edge' && line.value.edge === 'quick');
  assert.equal(line.value.elapsedMs, 10);
  plane.clock.advance(4990);
  assert.deepEqual(outcomes(await answer.all), ['away GONE', 'quick ACKED', 'slow LATE']);
});

test('an edge that is lost while it is waited for is gone, unless it comes back and acknowledges in time', async (t) => {
  const plane = await startPlane(t);
  const { epoch } = await plane.admin.applied(configuration('returns', 'stays-away'));
  const [first, lost] = ['returns', 'stays-away'].map((name) => connectEdge(t, plane.edgePort, name));
  assert.ok(first && lost);
  await Promise.all([first.take('healthView'), lost.take('healthView')]);
  const answer = plane.admin.purge({ targets: [url('/a')], timeoutMs: 5000 });
  await answer.count(1);
  first.close();
  lost.close();
  await until('both to be away', async () => (await plane.admin.status()).edges.every((edge) => !edge.connected));
  const again = connectEdge(t, plane.edgePort, 'returns', { purgePosition: { epoch, sequence: 0 } });
  assert.deepEqual(await acknowledge(again), [1]);
  await answer.count(2);
  plane.clock.advance(5000);
  assert.deepEqual(outcomes(await answer.all), ['returns ACKED', 'stays-away GONE']);
});

test('purges are one sequence without gaps, and every edge gets them in order', async (t) => {
  const plane = await startPlane(t);
  await plane.admin.applied(configuration('london'));
  const edge = connectEdge(t, plane.edgePort, 'london');
  await edge.take('healthView');
  const answers = Array.from({ length: 30 }, (_, i) => plane.admin.purge({ targets: [url(`/${i}`)] }));
  const sequences = await Promise.all(answers.map(async ({ all }) => accepted(await all).position?.sequence));
  const expected = Array.from({ length: 30 }, (_, i) => i + 1);
  assert.deepEqual(
    sequences.toSorted((a = 0, b = 0) => a - b),
    expected,
  );
  const got: number[] = [];
  while (got.length < 30) got.push(...(await acknowledge(edge)));
  assert.deepEqual(got, expected);
});

test('the same idempotency key is the same purge, also after a restart', async (t) => {
  const plane = await startPlane(t);
  const { epoch } = await plane.admin.applied(configuration('london'));
  const request = { targets: [url('/a')], idempotencyKey: 'deploy 7/é' };
  const expected = { position: { epoch, sequence: 1 }, repeatedKey: true };
  const both = await Promise.all([plane.admin.purge(request).all, plane.admin.purge(request).all]);
  assert.deepEqual(both.map((events) => accepted(events).repeatedKey).toSorted(), [false, true]);
  assert.deepEqual(accepted(await plane.admin.purge(request).all), expected);
  await plane.stop();
  const again = await startPlane(t, { store: { kind: 'embedded', file: plane.file } });
  assert.deepEqual(accepted(await again.admin.purge(request).all), expected);
  await assert.rejects(
    again.admin.purge({ ...request, targets: [url('/b')] }).all,
    invalid(/purge 1 came under .* other targets/),
  );
  assert.equal(accepted(await again.admin.purge({ targets: [url('/b')] }).all).position?.sequence, 2);
});

test('an edge that was away first gets all that it missed, in one batch', async (t) => {
  const plane = await startPlane(t);
  const { epoch } = await plane.admin.applied(configuration('london'));
  for (let i = 1; i <= 5; i += 1) await plane.admin.purge({ targets: [url(`/${i}`)] }).all;
  const edge = connectEdge(t, plane.edgePort, 'london', { purgePosition: { epoch, sequence: 2 } });
  const first = await edge.take('purges');
  assert.deepEqual(edge.received[0]?.$case, 'purges');
  assert.equal(first.resetTo, undefined);
  assert.deepEqual(
    first.purges.map(({ sequence, targets }) => [sequence, targets]),
    [3, 4, 5].map((i) => [i, [url(`/${i}`)]]),
  );
});

test('an edge without a position, or with one of another epoch, starts at the end and drops what it holds', async (t) => {
  const plane = await startPlane(t);
  const { epoch } = await plane.admin.applied(configuration('london'));
  for (let i = 1; i <= 3; i += 1) await plane.admin.purge({ targets: [url(`/${i}`)] }).all;
  for (const purgePosition of [undefined, { epoch: epoch - 1, sequence: 3 }]) {
    const edge = connectEdge(t, plane.edgePort, 'london', { purgePosition });
    assert.deepEqual(await edge.take('purges'), { epoch, purges: [], resetTo: { epoch, sequence: 3 } });
  }
});

test('what is not in canonical form is refused with the place and what was expected, and nothing is purged', async (t) => {
  const plane = await startPlane(t);
  await plane.admin.applied(configuration('london'));
  const host = (value: string): PurgeTarget => ({ target: { $case: 'host', value } });
  const cases: [PurgeTarget[], RegExp][] = [
    [[], /targets: a purge needs at least one/],
    [[{ target: undefined }], /targets\[0\]: names nothing/],
    [[url('/a'), url('/b/../c')], /targets\[1\]\.url\.path: expected the canonical form "\/c"/],
    [[url('a')], /targets\[0\]\.url\.path: the path does not start/],
    [[url(`/${'a'.repeat(9000)}`)], /targets\[0\]\.url\.path: longer than 8000/],
    [[host('Demo.example')], /targets\[0\]\.host: expected the canonical form "demo\.example"/],
    [[host('demo.example:80')], /targets\[0\]\.host: .* has a port/],
    [[host('')], /targets\[0\]\.host: "" is not a hostname/],
    [Array.from({ length: 1001 }, () => url('/a')), /targets: more than 1000/],
  ];
  for (const [targets, details] of cases) await assert.rejects(plane.admin.purge({ targets }).all, invalid(details));
  await assert.rejects(
    plane.admin.purge({ targets: [url('/a')], idempotencyKey: 'k'.repeat(129) }).all,
    invalid(/idempotency_key: longer than 128/),
  );
  await assert.rejects(
    plane.admin.purge({ targets: [url('/a')], timeoutMs: 700_000 }).all,
    invalid(/timeout_ms: expected at most/),
  );
  assert.equal((await plane.admin.status()).purgePosition?.sequence, 0);
});

test('a caller who leaves ends the wait; the purge goes on', async (t) => {
  const plane = await startPlane(t);
  await plane.admin.applied(configuration('london'));
  const edge = connectEdge(t, plane.edgePort, 'london');
  await edge.take('healthView');
  const answer = plane.admin.purge({ targets: [url('/a')], timeoutMs: 5000 });
  await answer.count(1);
  answer.cancel();
  assert.deepEqual(await acknowledge(edge), [1]);
  await until('the acknowledgement to be shown', async () => {
    return (await plane.admin.status()).edges[0]?.purgePosition?.sequence === 1;
  });
});
