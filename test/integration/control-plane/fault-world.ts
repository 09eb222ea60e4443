// What the fault tests break: an etcd cluster of three, two control planes as processes, two edges with clients that never stop
// asking, and wires between them that can be cut.
//
//   edge-1, edge-2 -> relay -> A, B -> relays (of A) -> etcd 0, 1, 2
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { availableParallelism, loadavg } from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { parseVersion } from '../../../cli/output/changes.ts';
import { type Edge, startEdge } from '../../../edge-node/main.ts';
import { systemClock } from '../../../infra/runtime/clock.ts';
import { silentLog } from '../../../infra/runtime/log.ts';
import { systemRandom } from '../../../infra/runtime/random.ts';
import type { Version } from '../../../proto/gen/meridian/v1/resources.ts';
import { compareVersions, formatVersion } from '../../../proto/version.ts';
import { type Cluster, freePorts, startCluster } from '../../support/etcd-cluster.ts';
import { Admin, configuration, outcomes } from '../../support/plane.ts';
import { type Relay, startRelay } from '../../support/relay.ts';
import { poolOf } from '../../support/snapshots.ts';
import { tempFolder } from '../../support/temp.ts';
import { until } from '../../support/until.ts';

const ROOT = path.join(import.meta.dirname, '../../..');
const JUMPING_CLOCK = path.join(ROOT, 'test/support/jumping-clock.ts');
export const EDGES = ['edge-1', 'edge-2'];
/** After a fault is over, everything agrees within this, milliseconds. */
const CONVERGED_MS = 5_000;
/** Where more processes want to run than there are cores, it takes longer in proportion. */
const slowness = (): number => Math.max(1, (loadavg()[0] ?? 1) / availableParallelism());

export interface Replica {
  readonly admin: Admin;
  /** Between edges and this replica. */
  readonly wire: Relay;
  kill(): Promise<void>;
  start(): Promise<void>;
  /** Somebody sets its wall clock, forward or back, milliseconds. */
  jump(ms: number): void;
}

export class FaultWorld {
  readonly cluster: Cluster;
  readonly a: Replica;
  readonly b: Replica;
  /** Between A and each member of the cluster. */
  readonly wiresOfA: readonly Relay[];
  readonly edges: readonly Edge[];
  readonly #failures: string[] = [];
  readonly #clockOffset: { ms: number };
  readonly #versions = new Map<Edge, Version>();
  #asked = 0;
  #changes = 0;
  #stopped = false;

  private constructor(
    parts: Pick<FaultWorld, 'cluster' | 'a' | 'b' | 'wiresOfA' | 'edges'>,
    clockOffset: { ms: number },
  ) {
    this.#clockOffset = clockOffset;
    this.cluster = parts.cluster;
    this.a = parts.a;
    this.b = parts.b;
    this.wiresOfA = parts.wiresOfA;
    this.edges = parts.edges;
  }

  static async start(t: TestContext): Promise<FaultWorld> {
    const cluster = await startCluster();
    t.after(() => cluster.stop());
    const wiresOfA = await Promise.all(cluster.endpoints.map((endpoint) => startRelay(Number(new URL(endpoint).port))));
    t.after(() => {
      for (const wire of wiresOfA) wire.stop();
    });
    const a = await startReplica(
      t,
      wiresOfA.map(({ port }) => `http://127.0.0.1:${port}`),
    );
    const b = await startReplica(t, cluster.endpoints);
    const origin = createServer((_request, response) => {
      response.setHeader('cache-control', 'max-age=1');
      response.end('hello');
    });
    await once(origin.listen(0, '127.0.0.1'), 'listening');
    t.after(() => {
      origin.close();
      origin.closeAllConnections();
    });
    const address = origin.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    const { sites, edges } = configuration(...EDGES);
    const pools = [poolOf({ near: `http://127.0.0.1:${port}` })];
    await a.admin.applied({ sites: sites.map((site) => ({ ...site, hostnames: ['127.0.0.1'] })), pools, edges });
    const started: Edge[] = [];
    const clockOffset = { ms: 0 };
    const clock = { ...systemClock, now: () => systemClock.now() + clockOffset.ms };
    for (const name of EDGES) {
      const edge = await startEdge({
        name,
        control: [a, b].map(({ wire }) => `127.0.0.1:${wire.port}`),
        ...{ listen: '127.0.0.1:0', adminListen: '127.0.0.1:0', dataDir: tempFolder(t), geoFiles: [] },
        ...{ cacheBytes: 1_000_000, accessLog: 'off', log: silentLog, clock, random: systemRandom },
      });
      t.after(() => edge.stop());
      started.push(edge);
    }
    const world = new FaultWorld({ cluster, a, b, wiresOfA, edges: started }, clockOffset);
    await until('the edges to serve', async () => {
      const answers = await Promise.all(started.map((edge) => ask(edge)));
      return answers.every((answer) => answer === '200 hello');
    });
    for (const edge of started) void world.#keepAsking(edge);
    t.after(() => {
      world.#stopped = true;
    });
    return world;
  }

  /** Somebody sets the wall clock of the edges, forward or back, milliseconds. */
  jump(ms: number): void {
    this.#clockOffset.ms += ms;
  }

  async #keepAsking(edge: Edge): Promise<void> {
    while (!this.#stopped) {
      const answer = await ask(edge);
      if (this.#asked % 4 === 0) await this.#noteVersion(edge).catch(() => undefined);
      this.#asked += 1;
      if (answer !== '200 hello' && !this.#stopped) this.#failures.push(answer);
      await pause(25);
    }
  }

  /** What an edge itself says to serve is never older than what it said before. */
  async #noteVersion(edge: Edge): Promise<void> {
    const response = await fetch(`http://127.0.0.1:${edge.adminPort}/readyz`);
    const version = parseVersion(/"version":\s*"([\d.]+)"/.exec(await response.text())?.[1] ?? '');
    if (!version) return;
    const former = this.#versions.get(edge);
    if (compareVersions(version, former) < 0) this.#failures.push(`an edge went back to ${formatVersion(version)}`);
    this.#versions.set(edge, version);
  }

  /**
   * A change and a purge reach both edges, whichever replica is told, within the time that is promised, and no client noticed
   * anything.
   */
  async converges(...replicas: readonly Replica[]): Promise<void> {
    const began = performance.now();
    for (const { admin } of replicas) {
      this.#changes += 1;
      const { edges } = configuration(...EDGES);
      const moved = edges.map((edge) => ({ ...edge, location: { latitude: 1, longitude: this.#changes } }));
      await until('both edges to serve a change and to have a purge', async () => {
        try {
          const applied = outcomes(await admin.apply({ edges: moved, waitMs: 2000 }).all);
          const purged = outcomes(await admin.purge({ targets: [EVERYTHING], timeoutMs: 2000 }).all);
          return [applied, purged].every((lines) => lines.join() === 'edge-1 ACKED,edge-2 ACKED');
        } catch {
          return false;
        }
      });
    }
    const took = performance.now() - began;
    if (process.env.FAULTS_TOLD) console.log(`converged in ${Math.round(took)} ms, slowness ${slowness().toFixed(1)}`);
    assert.ok(took < CONVERGED_MS * slowness(), `it took ${Math.round(took)} ms until all agreed`);
    // It may all be quicker than they ask.
    await until('clients to have asked both edges', () => this.#asked > 0 && this.#versions.size === EDGES.length);
    assert.deepEqual(this.#failures, [], 'no client saw a failure');
    this.#asked = 0;
  }
}

export const EVERYTHING = { target: { $case: 'all', value: {} } } as const;

async function ask(edge: Edge): Promise<string> {
  try {
    const response = await fetch(`http://127.0.0.1:${edge.port}/`, { signal: AbortSignal.timeout(5000) });
    return `${response.status} ${await response.text()}`;
  } catch (error) {
    return String(error);
  }
}

async function startReplica(t: TestContext, etcd: readonly string[]): Promise<Replica> {
  const [listen = 0, adminListen = 0] = await freePorts(2);
  let child: ChildProcess | undefined;
  const kill = async (): Promise<void> => {
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  };
  const start = async (): Promise<void> => {
    const listeners = ['--listen', `127.0.0.1:${listen}`, '--admin-listen', `127.0.0.1:${adminListen}`];
    const args = ['control-plane', '--store', 'etcd', '--etcd', etcd.join(), ...listeners];
    child = spawn(process.execPath, ['--import', JUMPING_CLOCK, path.join(ROOT, 'cli/main.ts'), ...args], {
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    await once(child, 'message');
  };
  t.after(kill);
  await start();
  const wire = await startRelay(listen);
  t.after(() => wire.stop());
  return { admin: new Admin(t, adminListen), wire, kill, start, jump: (jumpMs) => child?.send({ jumpMs }) };
}
