// Runs programs to their end, `meridian` among them, and a local stack until a test is done with it.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { HOST, type Layout, layOut, PORT_SPAN, portsOf } from '../../cli/stack/layout.ts';
import { takenPorts } from '../../cli/stack/ports.ts';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const MAIN = path.join(ROOT, 'cli/main.ts');

export interface Finished {
  /** Null when a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Killed when it takes longer, milliseconds; 60 s where not given. */
  readonly timeoutMs?: number;
}

/** Rejects only when the program cannot be started. */
export function runProgram(program: string, args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const { promise, resolve, reject } = Promise.withResolvers<Finished>();
  const child = spawn(program, args, {
    cwd: ROOT,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: options.timeoutMs ?? 60_000,
    killSignal: 'SIGKILL',
  });
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  child.on('error', reject);
  child.on('close', (code) => resolve({ code, stdout: stdout(), stderr: stderr() }));
  return promise;
}

export function meridian(...args: string[]): Promise<Finished> {
  return runProgram(process.execPath, [MAIN, ...args]);
}

/** A process of Meridian that keeps running, with what it wrote. The caller ends it. */
export function startMeridian(...args: string[]): { readonly child: ChildProcess; readonly output: () => string } {
  const child = spawn(process.execPath, [MAIN, ...args], { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  return { child, output: () => stdout() + stderr() };
}

function collect(stream: NodeJS.ReadableStream): () => string {
  let text = '';
  stream.setEncoding('utf8');
  stream.on('data', (piece: string) => {
    text += piece;
  });
  return () => text;
}

/** A base from which on all ports of a stack are free. Below where systems take ports for outgoing connections from. */
export async function freePortBase(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const base = 10_000 + ((process.pid * 31 + attempt * 17) % 500) * PORT_SPAN;
    if ((await takenPorts(portsOf(layOut(base), true), HOST)).length === 0) return base;
  }
  throw new Error('no free range of ports was found');
}

export interface LocalStack {
  readonly layout: Layout;
  readonly directory: string;
  readonly child: ChildProcess;
  /** `http://127.0.0.1:port` of each edge, in the layout's order. */
  readonly edgeUrls: readonly string[];
  /** HOST:PORT for `--control-plane`. */
  readonly admin: string;
  output(): string;
  /** As the table that it printed, or the line on its return, says. */
  pid(name: string): number;
  /** SIGINT, as Ctrl-C sends it, and waits; gives the exit code. */
  stop(): Promise<number | null>;
}

/** `meridian up` in a directory of its own, on free ports, once it says that everything runs. */
export async function startStack(...args: string[]): Promise<LocalStack> {
  const directory = mkdtempSync(path.join(tmpdir(), 'meridian-up-'));
  const base = await freePortBase();
  const { child, output } = startMeridian('up', '--data', directory, '--port-base', String(base), ...args);
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const layout = layOut(base);
  const stop = async (): Promise<number | null> => {
    child.kill('SIGINT');
    const code = await exited;
    rmSync(directory, { recursive: true, force: true });
    return code;
  };
  const deadline = performance.now() + 40_000;
  while (!output().includes('Ctrl-C ends everything')) {
    if (child.exitCode !== null || performance.now() > deadline) {
      await stop();
      throw new Error(`meridian up did not come up:\n${output()}`);
    }
    await wait(20);
  }
  return {
    layout,
    directory,
    child,
    edgeUrls: layout.edges.map(({ port }) => `http://${HOST}:${port}`),
    admin: `${HOST}:${layout.control.adminPort}`,
    output,
    pid(name) {
      const table = new RegExp(`^${name} .* (\\d+)$`, 'm').exec(output())?.[1];
      const back = [...output().matchAll(new RegExp(`^${name} is back \\(pid (\\d+)\\)$`, 'gm'))].at(-1)?.[1];
      return Number(back ?? table);
    },
    stop,
  };
}

/** Whether a process runs; one that has ended but whose parent has not asked for its exit code does not. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  try {
    return !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return process.platform !== 'linux';
  }
}
