// One running server under test, and the origin that all of them share.
import { mkdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ask } from './check.ts';
import type { Cores } from './machine.ts';
import type { Certificate, Peer } from './peers/peer.ts';
import type { Processes, Running } from './processes.ts';

export interface Instance {
  readonly peer: Peer;
  readonly httpPort: number;
  readonly tlsPort: number;
  readonly accessLog: string | undefined;
  /** Roots of its process trees. */
  readonly pids: readonly number[];
  /** Names of those that are no longer running, with what they last wrote; undefined while all are. */
  broken(): string | undefined;
  stop(): Promise<void>;
}

export interface Origin {
  readonly port: number;
  /** How many requests it has had that count. */
  requests(): Promise<number>;
}

export interface Surroundings {
  readonly processes: Processes;
  readonly cores: Cores;
  readonly directory: string;
  readonly certificate: Certificate;
  readonly origin: Origin;
}

const START_MS = 30_000;
const REPLY_MS = 60_000;
const POLL_MS = 20;

const ORIGIN = fileURLToPath(new URL('origin.ts', import.meta.url));

export async function startOrigin(processes: Processes, core: number): Promise<Origin> {
  const { child, tail } = processes.start('origin', { args: [process.execPath, ORIGIN] }, core, true);
  const next = (name: string): Promise<number> => nextNumber(child, name, tail);
  const port = await next('port');
  return {
    port,
    requests() {
      const reply = next('requests');
      if (child.connected) child.send({});
      return reply;
    },
  };
}

/** The field `name` of the next message that has it. Rejects after some time, and when the process ends. */
export async function nextNumber(child: Running['child'], name: string, tail: () => string): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const onMessage = (message: unknown): void => {
    const value = typeof message === 'object' && message !== null ? Reflect.get(message, name) : undefined;
    if (typeof value === 'number') resolve(value);
  };
  if (!child.connected) throw new Error(`${child.spawnargs.join(' ')} has ended: ${tail()}`);
  const fail = (): void => reject(new Error(`no "${name}" came from ${child.spawnargs.join(' ')}: ${tail()}`));
  const timer = setTimeout(fail, REPLY_MS);
  child.on('message', onMessage).once('disconnect', fail);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    child.off('message', onMessage).off('disconnect', fail);
  }
}

let count = 0;

/** Resolves when it answers. Rejects with what it wrote when it ends or does not. */
export async function startInstance(peer: Peer, accessLog: boolean, around: Surroundings): Promise<Instance> {
  count += 1;
  const directory = path.join(around.directory, `${count}-${peer.name}`);
  await mkdir(directory, { recursive: true });
  const [httpPort = 0, tlsPort = 0] = await freePorts(2);
  const log = accessLog ? path.join(directory, 'access.log') : undefined;
  const commands = await peer.prepare({
    directory,
    originPort: around.origin.port,
    httpPort,
    tlsPort,
    accessLog: log,
    certificate: around.certificate,
  });
  const running = commands.map((command) => around.processes.start(peer.name, command, around.cores.server));
  const instance: Instance = {
    peer,
    httpPort,
    tlsPort,
    accessLog: log,
    pids: running.map(({ pid }) => pid),
    broken() {
      const over = running.filter((one) => one.ended() !== undefined);
      return over.length === 0 ? undefined : over.map((one) => `${one.ended()}: ${one.tail()}`).join('\n');
    },
    async stop() {
      await Promise.all(running.toReversed().map((one) => one.stop()));
    },
  };
  const deadline = performance.now() + START_MS;
  for (;;) {
    const broken = instance.broken();
    if (broken !== undefined) {
      await instance.stop();
      throw new Error(`${peer.title} does not start: ${broken}`);
    }
    const status = await ask({ port: httpPort, path: '/ready' }).then(
      (answer) => answer.status,
      () => 0,
    );
    if (status === 200) return instance;
    if (performance.now() > deadline) {
      const tails = running.map((one) => one.tail()).join('\n');
      await instance.stop();
      throw new Error(
        `${peer.title} does not answer ${START_MS / 1_000} s after its start (status ${status}): ${tails}`,
      );
    }
    await wait(POLL_MS);
  }
}

/** Ports of 127.0.0.1 that nobody listens on at this moment. */
export async function freePorts(wanted: number): Promise<readonly number[]> {
  const servers = Array.from({ length: wanted }, () => createServer());
  const ports: number[] = [];
  for (const server of servers) {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(0, '127.0.0.1', resolve);
    });
    const address = server.address();
    ports.push(typeof address === 'object' && address !== null ? address.port : 0);
  }
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
