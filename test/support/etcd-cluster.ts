// A real etcd cluster of three members on loopback, any of which a test may kill and start again.
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { startRelay } from './relay.ts';
import { until } from './until.ts';

export interface Cluster {
  /** `http://127.0.0.1:port` of each member. */
  readonly endpoints: readonly string[];
  /** Index of the member that leads now. */
  leader(): Promise<number>;
  kill(member: number): Promise<void>;
  start(member: number): void;
  /** Nothing gets through between the members, until none of them knows a leader; and through again. */
  part(): Promise<void>;
  join(): void;
  /** Until a majority answers. */
  healthy(): Promise<void>;
  /** Forgets all revisions but the newest. */
  compact(): Promise<void>;
  /** Kills all members, and starts them anew over what `file`, a snapshot, holds: another cluster with the same addresses. */
  restore(file: string): Promise<void>;
  stop(): Promise<void>;
}

const MEMBERS = [0, 1, 2];

export const hasProgram = (name: string): boolean => {
  try {
    execFileSync(name, [name === 'etcd' ? '--version' : 'version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
};

/** Not synchronously: what is tested meanwhile lives in this process. Rejects when it fails. */
export async function etcdctl(...args: string[]): Promise<void> {
  await promisify(execFile)('etcdctl', args, { env: { ...process.env, ETCDCTL_API: '3' } });
}

export async function startCluster(): Promise<Cluster> {
  const folder = mkdtempSync(path.join(tmpdir(), 'meridian-cluster-'));
  const ports = await freePorts(MEMBERS.length * 2);
  const client = (member: number) => `http://127.0.0.1:${ports[member]}`;
  const wires = await Promise.all(MEMBERS.map((member) => startRelay(ports[MEMBERS.length + member] ?? 0)));
  const peer = (member: number) => `http://127.0.0.1:${wires[member]?.port}`;
  const peerListen = (member: number) => `http://127.0.0.1:${ports[MEMBERS.length + member]}`;
  const cluster = MEMBERS.map((member) => `m${member}=${peer(member)}`).join(',');
  const children: (ChildProcess | undefined)[] = MEMBERS.map(() => undefined);
  let generation = 0;
  const data = (member: number) => path.join(folder, `data-${generation}-${member}`);

  const start = (member: number): void => {
    const urls = ['--listen-client-urls', client(member), '--advertise-client-urls', client(member)];
    const peers = ['--listen-peer-urls', peerListen(member), '--initial-advertise-peer-urls', peer(member)];
    const timing = ['--heartbeat-interval', '50', '--election-timeout', '500', '--log-level', 'error'];
    children[member] = spawn(
      'etcd',
      ['--name', `m${member}`, '--data-dir', data(member), ...urls, ...peers, '--initial-cluster', cluster, ...timing],
      { stdio: 'ignore' },
    );
  };
  const kill = async (member: number): Promise<void> => {
    const child = children[member];
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  };
  const ask = async (member: number, what: string, body: object): Promise<Record<string, unknown> | undefined> => {
    try {
      const init = { method: 'POST', body: JSON.stringify(body), signal: AbortSignal.timeout(2000) };
      const response = await fetch(`${client(member)}/v3/${what}`, init);
      return response.ok ? ((await response.json()) as Record<string, unknown>) : undefined;
    } catch {
      return undefined;
    }
  };
  const statusOf = async (member: number) => ask(member, 'maintenance/status', {});
  const healthy = () =>
    until('etcd to answer', async () => {
      for (const member of MEMBERS) if (await ask(member, 'kv/range', { key: 'YQ==' })) return true;
      return false;
    });
  const killAll = () => Promise.all(MEMBERS.map(kill));
  const stop = async (): Promise<void> => {
    await killAll();
    for (const wire of wires) wire.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  for (const member of MEMBERS) start(member);
  try {
    await healthy();
  } catch (error) {
    await stop();
    throw error;
  }
  const leader = async (): Promise<number> => {
    for (const member of MEMBERS) {
      const status = await statusOf(member);
      const header = status?.header;
      if (typeof header !== 'object' || header === null || !('member_id' in header)) continue;
      if (header.member_id === status?.leader) return member;
    }
    return 0;
  };
  return {
    endpoints: MEMBERS.map(client),
    leader,
    kill,
    start,
    async part() {
      for (const wire of wires) wire.cut();
      await until('no member to know a leader', async () => {
        const statuses = await Promise.all(MEMBERS.map(statusOf));
        return statuses.every((status) => (status?.leader ?? '0') === '0');
      });
    },
    join() {
      for (const wire of wires) wire.heal();
    },
    healthy,
    stop,
    async compact() {
      const answer = await ask(await leader(), 'kv/range', { key: 'YQ==' });
      const header = answer?.header;
      const revision = typeof header === 'object' && header !== null && 'revision' in header ? header.revision : '1';
      await ask(await leader(), 'kv/compaction', { revision, physical: true });
    },
    async restore(file) {
      await killAll();
      generation += 1;
      const restores = MEMBERS.map((member) =>
        etcdctl(
          ...['snapshot', 'restore', file, '--name', `m${member}`, '--data-dir', data(member)],
          ...['--initial-cluster', cluster, '--initial-advertise-peer-urls', peer(member)],
          ...['--initial-cluster-token', `generation-${generation}`],
        ),
      );
      await Promise.all(restores);
      for (const member of MEMBERS) start(member);
      await healthy();
    },
  };
}

/** That were free a moment ago, held at the same time so that they differ. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
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
  return ports;
}
