// What is measured: control planes as processes, over etcd or, alone, over a file; and in another process the simulated edges.
import { mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { credentials } from '@grpc/grpc-js';
import {
  AdminServiceClient,
  ApplyRequest,
  type ApplyResponse,
  PurgeRequest,
  type PurgeResponse,
} from '../../proto/gen/meridian/v1/admin.ts';
import { freePorts, nextNumber } from '../instance.ts';
import { Processes, type Running } from '../processes.ts';
import { cpuSeconds, memory } from '../usage.ts';
import { edgesOf, POOL, sitesOf } from './names.ts';

const START_MS = 20_000;
const CLI = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));
const EDGES = fileURLToPath(new URL('edges.ts', import.meta.url));
/** For an answer, milliseconds. */
const ANSWER_MS = 30_000;
/** Configurations of thousands of resources are one transaction: more than etcd takes unless it is told. */
const ETCD_LIMITS = ['--max-txn-ops', '20000', '--max-request-bytes', '33554432'];

export interface WorldOptions {
  readonly replicas: number;
  readonly edges: number;
  readonly routes: number;
  readonly etcd: boolean;
  /** Arguments to node for the first replica. */
  readonly nodeArguments: readonly string[];
}

/** From what began until each edge's line of the answer, milliseconds, rising; and what was wrong. */
export interface Timed {
  readonly lines: readonly number[];
  readonly problem: string | undefined;
}

export class ControlWorld {
  readonly #processes: Processes;
  readonly #folder: string;
  #replicas: Running[] = [];
  #edges: Running | undefined;
  #admin: AdminServiceClient | undefined;
  readonly #ended: string[] = [];
  /** Of the replicas, for each edge, from before any connected to when all were there. */
  bytesPerEdge = 0;
  connectMs = 0;

  private constructor(folder: string) {
    this.#folder = mkdtempSync(path.join(folder, 'world-'));
    this.#processes = new Processes(this.#folder);
  }

  /** Resolves when all edges are connected and have the configuration. */
  static async start(folder: string, options: WorldOptions): Promise<ControlWorld> {
    const world = new ControlWorld(folder);
    try {
      await world.#start(options);
      return world;
    } catch (error) {
      await world.stop();
      throw error;
    }
  }

  async #start({ replicas, edges, routes, etcd, nodeArguments }: WorldOptions): Promise<void> {
    const store = etcd ? await this.#etcd() : ['--store', 'embedded', '--data', this.#folder];
    const ports: number[] = [];
    for (let i = 0; i < replicas; i += 1) {
      const listen = ['--listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0', '--log-level', 'warn'];
      const node = i === 0 ? nodeArguments : [];
      const args = [process.execPath, ...node, CLI, 'control-plane', ...store, ...listen];
      const running = this.#processes.start('control-plane', { args }, undefined, true);
      this.#replicas.push(running);
      const [edgePort, adminPort] = await Promise.all(
        ['edgePort', 'adminPort'].map((name) => nextNumber(running.child, name, running.tail)),
      );
      ports.push(edgePort ?? 0);
      this.#admin ??= new AdminServiceClient(`127.0.0.1:${adminPort}`, credentials.createInsecure(), {
        'grpc.max_send_message_length': -1,
      });
    }
    await this.apply({ sites: sitesOf(routes), pools: [POOL], edges: edgesOf(edges) });
    const before = this.#memory();
    const began = performance.now();
    const args = [process.execPath, EDGES, String(edges), ...ports.map(String)];
    this.#edges = this.#processes.start('edges', { args }, undefined, true);
    this.#edges.child.on('message', (message: { readonly ended?: string }) => {
      if (message.ended !== undefined) this.#ended.push(message.ended);
    });
    await nextNumber(
      this.#edges.child,
      'connected',
      () => `${this.#edges?.tail()}${this.#ended.slice(0, 3).join('; ')}`,
    );
    this.connectMs = performance.now() - began;
    this.bytesPerEdge = (this.#memory() - before) / edges;
  }

  async #etcd(): Promise<string[]> {
    const [client = 0, peer = 0] = await freePorts(2);
    const url = `http://127.0.0.1:${client}`;
    const urls = ['--listen-client-urls', url, '--advertise-client-urls', url];
    const peers = ['--listen-peer-urls', `http://127.0.0.1:${peer}`];
    const data = ['--data-dir', path.join(this.#folder, 'etcd'), '--log-level', 'error'];
    const running = this.#processes.start(
      'etcd',
      { args: ['etcd', ...urls, ...peers, ...data, ...ETCD_LIMITS] },
      undefined,
    );
    const deadline = performance.now() + START_MS;
    while (!(await isHealthy(url))) {
      if (running.ended() !== undefined || performance.now() > deadline) throw new Error(`no etcd: ${running.tail()}`);
      await wait(20);
    }
    return ['--store', 'etcd', '--etcd', url];
  }

  #memory(): number {
    return memory(this.#replicas.map(({ pid }) => pid)).rssBytes;
  }

  /** CPU time of the replicas since they started, milliseconds. */
  cpuMs(): number {
    return cpuSeconds(this.#replicas.map(({ pid }) => pid)) * 1_000;
  }

  /** Bytes that all edges have received. */
  received(): Promise<number> {
    if (!this.#edges) throw new Error('there are no edges');
    const { child, tail } = this.#edges;
    const reply = nextNumber(child, 'received', tail);
    if (child.connected) child.send({});
    return reply;
  }

  /** Everything is purged. From when it was accepted. */
  purge(): Promise<Timed> {
    const request = { targets: [{ target: { $case: 'all', value: {} } as const }], timeoutMs: ANSWER_MS };
    return this.#timed(this.#client.purge(PurgeRequest.fromPartial(request)));
  }

  /** From when it was committed. */
  apply(request: Partial<ApplyRequest>): Promise<Timed> {
    return this.#timed(this.#client.apply(ApplyRequest.fromPartial(request)));
  }

  get #client(): AdminServiceClient {
    if (!this.#admin) throw new Error('there is no control plane');
    return this.#admin;
  }

  #timed(stream: NodeJS.EventEmitter): Promise<Timed> {
    const lines: number[] = [];
    let began = Number.NaN;
    let problem: string | undefined;
    const done = Promise.withResolvers<Timed>();
    stream.on('data', ({ event }: PurgeResponse | ApplyResponse) => {
      if (event?.$case === 'accepted' || event?.$case === 'committed') began = performance.now();
      const outcomes = event?.$case === 'edges' ? event.value.outcomes : event?.$case === 'edge' ? [event.value] : [];
      for (const { edge, outcome, detail } of outcomes) {
        lines.push(performance.now() - began);
        if (outcome !== 'OUTCOME_KIND_ACKED') problem ??= `${edge}: ${outcome} ${detail}`;
      }
    });
    stream.on('error', (error: Error) => done.reject(error));
    stream.on('end', () => done.resolve({ lines, problem: problem ?? this.#ended[0] }));
    return done.promise;
  }

  async stop(): Promise<void> {
    this.#admin?.close();
    await this.#processes.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

async function isHealthy(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/health`, { signal: AbortSignal.timeout(1_000) })).ok;
  } catch {
    return false;
  }
}
