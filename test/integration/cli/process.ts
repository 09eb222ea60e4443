// Programs of the project as processes, in a folder of their own, gone when the test ends.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { until } from '../../support/until.ts';

export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

export interface Started {
  readonly child: ChildProcess;
  readonly output: { stdout: string; stderr: string };
  readonly ended: Promise<number | null>;
  readonly messages: unknown[];
}

/** Runs a program of the project on this Node.js; killed when the test ends, should it still run. */
export async function start(t: TestContext, args: readonly string[], ipc = false): Promise<Started> {
  const folder = await mkdtemp(path.join(tmpdir(), 'meridian-process-'));
  const child = spawn(process.execPath, [...args], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe', ...(ipc ? ['ipc' as const] : [])],
  });
  const output = { stdout: '', stderr: '' };
  const messages: unknown[] = [];
  child.stdout?.on('data', (chunk) => (output.stdout += chunk));
  child.stderr?.on('data', (chunk) => (output.stderr += chunk));
  child.on('message', (message) => messages.push(message));
  // With a channel that this side closes, Node never says 'close'.
  const ended = once(child, ipc ? 'exit' : 'close').then(([code]: unknown[]) =>
    typeof code === 'number' ? code : null,
  );
  t.after(async () => {
    child.kill('SIGKILL');
    await ended;
    await rm(folder, { recursive: true });
  });
  return { child, output, ended, messages };
}

/** The ports that a process of the planes, started with `ipc`, tells when it is ready. */
export async function readyPorts(process: Started): Promise<Readonly<Record<string, number>>> {
  await until('it is ready', () => process.messages.length > 0 || process.child.exitCode !== null);
  const [message] = process.messages;
  if (typeof message !== 'object' || message === null) throw new Error(`it did not start: ${process.output.stderr}`);
  return Object.fromEntries(Object.entries(message).filter((entry): entry is [string, number] => entry[0] !== 'ready'));
}
