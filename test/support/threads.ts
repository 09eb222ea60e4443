// A whole edge with worker threads inside the test's process, over a control plane that does what the test says; and clients that
// know which thread they came to.
import type { TestContext } from 'node:test';
import { type Edge, type EdgeOptions, startEdge } from '../../edge-node/main.ts';
import { systemClock } from '../../infra/runtime/clock.ts';
import { silentLog } from '../../infra/runtime/log.ts';
import { seededRandom } from '../../infra/runtime/random.ts';
import type { PurgeTarget } from '../../proto/gen/meridian/v1/purge.ts';
import type { Snapshot } from '../../proto/gen/meridian/v1/resources.ts';
import { at, purges, update } from './control-edge.ts';
import { FakeControlPlane, type FakeStream } from './fake-control-plane.ts';
import { RawClient } from './raw-client.ts';
import { poolOf, snapshotOf } from './snapshots.ts';
import { tempFolder } from './temp.ts';
import { until } from './until.ts';
import { type Accepted, type Fault, WATCH } from './watched-worker.ts';

export class Node {
  readonly edge: Edge;
  readonly control: FakeStream;
  /** Thread by the port of its client. */
  readonly #accepted = new Map<number, number>();
  readonly #watch = new BroadcastChannel(WATCH);
  readonly #clients: RawClient[] = [];
  #purges = 0;

  private constructor(edge: Edge, control: FakeStream) {
    this.edge = edge;
    this.control = control;
    this.#watch.addEventListener('message', (event) => {
      const { thread, port } = (event as MessageEvent).data as Accepted;
      this.#accepted.set(port, thread);
    });
  }

  /** Serves `snapshot` by two threads unless `options` say otherwise. Ends with the test. */
  static async start(t: TestContext, snapshot: Snapshot, options: Partial<EdgeOptions> = {}): Promise<Node> {
    const plane = await FakeControlPlane.start();
    t.after(() => plane.kill());
    const edge = await startEdge({
      name: 'edge-1',
      control: [plane.address],
      listen: '127.0.0.1:0',
      adminListen: '127.0.0.1:0',
      threads: 2,
      dataDir: tempFolder(t),
      geoFiles: [],
      cacheBytes: 16 * 1024 * 1024,
      accessLog: 'off',
      worker: new URL('watched-worker.ts', import.meta.url),
      log: silentLog,
      clock: systemClock,
      random: seededRandom(1),
      ...options,
    });
    const control = await plane.accept();
    const node = new Node(edge, control);
    t.after(async () => {
      node.#watch.close();
      // Else the edge would wait for them to be quiet.
      for (const client of node.#clients) client.destroy();
      await edge.stop();
    });
    control.send(purges([], at(0)));
    await node.apply(snapshot);
    return node;
  }

  /** Resolves with the ACK. */
  async apply(snapshot: Snapshot): Promise<void> {
    this.control.send(update(snapshot));
    await this.control.take('snapshotAck');
  }

  /** Resolves with the ACK. */
  async purge(target: NonNullable<PurgeTarget['target']>): Promise<void> {
    this.#purges += 1;
    const purge = { sequence: this.#purges, targets: [{ target }], soft: false };
    this.control.send({ $case: 'purges', value: { epoch: 1, purges: [purge], resetTo: undefined } });
    await until('the ACK', async () => {
      const { position } = await this.control.take('purgeAck');
      return position?.sequence === this.#purges;
    });
  }

  /** A client of any thread. */
  async client(): Promise<RawClient> {
    const client = await RawClient.connect(this.edge.port);
    this.#clients.push(client);
    return client;
  }

  /** A client of thread `thread`: the system deals connections out, so it takes as many as it takes. */
  async clientOf(thread: number): Promise<RawClient> {
    for (let i = 0; i < 100; i += 1) {
      const client = await this.client();
      const port = client.socket.localPort ?? 0;
      // Refused while those before it are still counted, it is closed without an accept.
      await until('a thread to accept or refuse', () => this.#accepted.has(port) || client.socket.closed);
      if (this.#accepted.get(port) === thread && !client.socket.closed) return client;
      client.destroy();
    }
    throw new Error(`none of 100 connections came to thread ${thread}`);
  }

  /** Which thread accepted the connection of a client, by the client's port. */
  async threadOf(port: number): Promise<number> {
    await until('a thread to accept', () => this.#accepted.has(port));
    return this.#accepted.get(port) ?? 0;
  }

  fail(thread: number, fault: Fault['fault']): void {
    this.#watch.postMessage({ fault, of: thread } satisfies Fault);
  }

  /** The value of a metric, labels and all. */
  async metric(name: string): Promise<number> {
    const text = await (await fetch(`http://127.0.0.1:${this.edge.adminPort}/metrics`)).text();
    const line = text.split('\n').find((candidate) => candidate.startsWith(`${name} `));
    return line === undefined ? 0 : Number(line.slice(name.length + 1));
  }
}

/** One site, demo.example, on one pool of these origins. */
export function demo(revision: number, origins: Record<string, string>, trustedProxies: string[] = []): Snapshot {
  const snapshot = snapshotOf(revision);
  return {
    ...snapshot,
    pools: [poolOf(origins, { intervalMs: 60_000 })],
    edges: snapshot.edges.map((edge) => ({ ...edge, trustedProxies })),
  };
}
