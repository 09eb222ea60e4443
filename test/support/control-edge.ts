// The control side of an edge, whole but for the requests of clients: real stream, real file, a barrier that takes notes.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { HealthTable } from '../../edge-node/decide/health.ts';
import { ControlStream } from '../../edge-node/io/control-stream.ts';
import { SnapshotApplier } from '../../edge-node/io/snapshot-applier.ts';
import { SnapshotFile } from '../../edge-node/io/snapshot-file.ts';
import { silentLog } from '../../infra/runtime/log.ts';
import { Metrics } from '../../infra/runtime/metrics.ts';
import { type ConnectResponse, EdgeStatistics } from '../../proto/gen/meridian/v1/edge.ts';
import { Explanation } from '../../proto/gen/meridian/v1/explain.ts';
import type { PurgePosition } from '../../proto/gen/meridian/v1/purge.ts';
import type { Snapshot } from '../../proto/gen/meridian/v1/resources.ts';
import { FakeClock } from './fake-clock.ts';
import { FakeControlPlane, type FakeStream } from './fake-control-plane.ts';
import { until } from './until.ts';

export const at = (sequence: number, epoch = 1): PurgePosition => ({ epoch, sequence });

export function purges(
  sequences: number[],
  resetTo?: PurgePosition,
  epoch = 1,
): NonNullable<ConnectResponse['message']> {
  const batch = { epoch, purges: sequences.map((sequence) => ({ sequence, targets: [], soft: false })), resetTo };
  return { $case: 'purges', value: batch };
}

export const update = (snapshot: Snapshot): NonNullable<ConnectResponse['message']> => ({
  $case: 'snapshot',
  value: { snapshot, delta: undefined },
});

export interface Edge {
  readonly clock: FakeClock;
  readonly health: HealthTable;
  readonly metrics: Metrics;
  readonly snapshots: SnapshotApplier;
  readonly stream: ControlStream;
  /** Snapshots that came to serve, by revision. */
  readonly served: number[];
  /** What happened to the barrier: "reset", or a purge's sequence. */
  readonly barrier: (number | 'reset')[];
  /** Where the barrier was told that it stands. */
  readonly stands: (PurgePosition | undefined)[];
  /** Set to make the next preparation fail. */
  failPrepare: string | undefined;
  /** Sequence of a purge that the barrier chokes on. */
  failPurge: number | undefined;
}

export function folder(t: TestContext): string {
  const made = mkdtempSync(path.join(tmpdir(), 'meridian-control-'));
  t.after(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

export async function planes(t: TestContext, count = 1): Promise<FakeControlPlane[]> {
  const started = await Promise.all(Array.from({ length: count }, () => FakeControlPlane.start()));
  t.after(() => {
    for (const plane of started) plane.kill();
  });
  return started;
}

export async function startEdge(
  t: TestContext,
  at: readonly FakeControlPlane[],
  file?: string,
  purgePosition?: PurgePosition,
): Promise<Edge> {
  const stands: Edge['stands'] = [];
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
    async prepare(snapshot) {
      if (edge.failPrepare !== undefined) throw new Error(edge.failPrepare);
      return async () => {
        served.push(snapshot.version?.revision ?? -1);
        health.setPools(snapshot.pools);
      };
    },
  });
  const stream = new ControlStream(
    {
      edge: 'edge-1',
      instance: 'i-1',
      softwareVersion: '0.0.1',
      controlPlanes: at.map(({ address }) => address),
      purgePosition,
    },
    {
      clock,
      // Below 0.5: the first of two control planes is dialled first.
      random: { next: () => 0.25 },
      log: silentLog,
      metrics,
      snapshots,
      health,
      barrier: {
        apply({ sequence }) {
          if (sequence === edge.failPurge) throw new Error('the barrier failed');
          barrier.push(sequence);
        },
        reset: () => barrier.push('reset'),
        stand: (position) => stands.push(position),
      },
      count: async () => ({ objects: 3, bytes: 300 }),
      statistics: () => EdgeStatistics.fromPartial({ requests: 7 }),
      explain({ url }) {
        if (url === 'http://broken/') throw new Error('secret');
        return Explanation.fromPartial({ edge: 'edge-1', site: url });
      },
    },
  );
  const edge: Edge = {
    clock,
    health,
    metrics,
    snapshots,
    stream,
    served,
    barrier,
    stands,
    failPrepare: undefined,
    failPurge: undefined,
  };
  await snapshots.restore();
  stream.start();
  t.after(async () => {
    stream.stop();
    await snapshots.idle();
  });
  return edge;
}

/** An edge whose stream is open, at position 4 of epoch 1. */
export async function connected(t: TestContext): Promise<{ edge: Edge; plane: FakeControlPlane; control: FakeStream }> {
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
export async function reconnect(edge: Edge, plane: FakeControlPlane): Promise<FakeStream> {
  await until('the stream to end', () => !edge.stream.connected);
  // The wait for the next dial is the only timer; an opening stream has two.
  while (edge.clock.pending === 1) edge.clock.advance(100);
  return plane.accept();
}
