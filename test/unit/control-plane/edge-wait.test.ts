// An answer that follows many edges: those that answer at the same moment come in one message, and none is missing.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventOf, waitForEdges } from '../../../control-plane/io/edge-wait.ts';
import { type Connection, Fleet } from '../../../control-plane/io/fleet.ts';
import type { EdgeOutcome } from '../../../proto/gen/meridian/v1/admin.ts';
import { Hello } from '../../../proto/gen/meridian/v1/edge.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const connection: Connection = {
  replaced() {},
  sendElsewhere() {},
  explain: async () => undefined,
  countPurge: async () => undefined,
};

test('edges that answer at the same moment are told together, the rest as they answer or when time is up', async () => {
  const fleet = new Fleet();
  const clock = new FakeClock();
  const edges = Array.from({ length: 100 }, (_, i) => `edge-${i}`);
  for (const edge of edges) fleet.connect(connection, Hello.fromPartial({ edge }), 0);
  const position = { epoch: 1, sequence: 1 };
  const ack = (from: number, to: number): void => {
    for (const edge of edges.slice(from, to)) fleet.note(edge, connection, { position });
  };
  const told: EdgeOutcome[][] = [];
  const wait = waitForEdges(
    fleet,
    clock,
    {
      goal: { kind: 'purge', position },
      ...{ edges, committedAt: 0, timeoutMs: 5000, replicas: false, signal: new AbortController().signal },
    },
    (outcomes) => told.push([...outcomes]),
  );
  ack(0, 98);
  await new Promise(setImmediate);
  ack(98, 99);
  await new Promise(setImmediate);
  clock.advance(5000);
  await wait;
  assert.deepEqual(
    told.map((outcomes) => outcomes.length),
    [98, 1, 1],
  );
  assert.deepEqual(
    told.flat().map(({ edge, outcome }) => `${edge} ${outcome}`),
    edges.map((edge, i) => `${edge} OUTCOME_KIND_${i === 99 ? 'LATE' : 'ACKED'}`),
  );
  assert.deepEqual(
    told.map((outcomes) => eventOf(outcomes)?.$case),
    ['edges', 'edge', 'edge'],
  );
});
