// A real etcd server of one member, on loopback ports that the system chose, in a folder that goes away with it.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';

export interface Etcd {
  /** `http://127.0.0.1:port`. */
  readonly endpoint: string;
  /** Kills it as a crash would. The data stays. */
  kill(): Promise<void>;
  /** Starts it again on the same port, over the same data. */
  restart(): Promise<void>;
  /** Deletes every key. */
  clear(): Promise<void>;
  /** Forgets what was before `revision`. */
  compact(revision: number): Promise<void>;
}

const START_MS = 20_000;

/**
 * Undefined, and the test skipped, when this machine has no etcd; in CI that is a failure instead. `after` registers what
 * stops it: with the test's end, when not given.
 */
export async function startEtcd(
  t: TestContext,
  after: (stop: () => Promise<void>) => void = (stop) => t.after(stop),
): Promise<Etcd | undefined> {
  try {
    execFileSync('etcd', ['--version'], { stdio: 'ignore' });
  } catch (error) {
    if (process.env.CI) throw new Error('CI needs an etcd server: install the package etcd-server', { cause: error });
    t.skip('no etcd binary in PATH; install the package etcd-server to run this test');
    return undefined;
  }
  const folder = mkdtempSync(path.join(tmpdir(), 'meridian-etcd-'));
  const [clientPort, peerPort] = await freePorts();
  const client = `http://127.0.0.1:${clientPort}`;
  const peer = `http://127.0.0.1:${peerPort}`;
  let child: ChildProcess | undefined;
  let output = '';

  const start = async (): Promise<void> => {
    child = spawn(
      'etcd',
      [
        ...['--name', 'test', '--data-dir', path.join(folder, 'data'), '--log-level', 'error'],
        ...['--listen-client-urls', client, '--advertise-client-urls', client],
        ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer, '--initial-cluster', `test=${peer}`],
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    child.stderr?.on('data', (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-4000);
    });
    const deadline = Date.now() + START_MS;
    while (!(await healthy(client))) {
      if (child.exitCode !== null || Date.now() > deadline) throw new Error(`etcd did not start:\n${output}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  const kill = async (): Promise<void> => {
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  };
  const stop = async (): Promise<void> => {
    await kill();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await start();
  } catch (error) {
    await stop();
    throw error;
  }
  after(stop);
  const ask = async (method: string, body: object): Promise<void> => {
    const response = await fetch(`${client}/v3/kv/${method}`, { method: 'POST', body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`etcd answered ${method} with ${await response.text()}`);
  };
  return {
    endpoint: client,
    kill,
    restart: start,
    clear: () => ask('deleterange', EVERY_KEY),
    compact: (revision) => ask('compaction', { revision: String(revision) }),
  };
}

/** From the zero byte to the end, in base64 as etcd's JSON gateway wants it. */
const EVERY_KEY = { key: 'AA==', range_end: 'AA==' };

async function healthy(endpoint: string): Promise<boolean> {
  try {
    const response = await fetch(`${endpoint}/health`, { signal: AbortSignal.timeout(1000) });
    return response.ok && (await response.text()).includes('true');
  } catch {
    return false;
  }
}

/** Two ports that were free a moment ago, held at the same time so that they differ. */
async function freePorts(): Promise<[number, number]> {
  const servers = [createServer(), createServer()] as const;
  const ports: number[] = [];
  for (const server of servers) {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    ports.push(typeof address === 'object' && address ? address.port : 0);
  }
  for (const server of servers) {
    server.close();
    await once(server, 'close');
  }
  return [ports[0] ?? 0, ports[1] ?? 0];
}
