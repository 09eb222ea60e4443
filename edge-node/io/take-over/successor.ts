// The process that is to take an edge's ports over, as the edge sees it that hands them over and starts it for that: a child can be
// born with the very sockets that its parent listens with, which no other process can get at.
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { Socket } from 'node:net';
import type { Clock } from '../../../infra/runtime/clock.ts';
import { type InheritedPorts, inheritanceOf, VARIABLE } from './inheritance.ts';

/** How the new process is to be started: as whoever asks for the take-over would start it. */
export interface LaunchCommand {
  readonly program: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
}

export interface Successor {
  readonly pid: number;
  /** Nobody accepts any more. Resolves when it knows. */
  go(): Promise<void>;
}

/** From its start until it is ready, milliseconds. */
const READY_MS = 120_000;
/** Standard input, output and error come first. */
const FIRST = 3;
const MAX_WORD = 4_096;

/**
 * Resolves when the new process is ready. Rejects with a sentence that says why it is not; then it is gone. `highest`: of the
 * descriptors that this process was itself born with, and that the new one would otherwise get as they are.
 */
export async function startSuccessor(
  command: LaunchCommand,
  ports: InheritedPorts,
  highest: number,
  clock: Clock,
): Promise<Successor> {
  const { text, descriptors } = inheritanceOf(ports, FIRST);
  const stdio: StdioOptions = ['ignore', 'inherit', 'inherit', 'pipe', ...descriptors];
  while (stdio.length <= highest) stdio.push('ignore');
  const child = spawn(command.program, [...command.args], {
    cwd: command.cwd,
    env: { ...command.env, [VARIABLE]: text },
    // Its log goes where this one's goes.
    stdio,
  });
  const channel = child.stdio[FIRST];
  if (!(channel instanceof Socket)) throw new Error('a new process cannot be given a channel on this system');
  channel.on('error', () => undefined);
  const word = await firstWord(child, channel, clock);
  if (word === 'ready' && child.pid !== undefined) {
    child.unref();
    return { pid: child.pid, go: () => new Promise((resolve) => channel.end('go\n', resolve)) };
  }
  child.kill('SIGKILL');
  throw new Error(word);
}

/** "ready", or why not. */
function firstWord(child: ChildProcess, channel: Socket, clock: Clock): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const timer = clock.after(READY_MS, () => resolve(`the new process was not ready after ${READY_MS / 1_000} s`));
  let text = '';
  channel.setEncoding('utf8').on('data', (piece: string) => {
    text += piece;
    const end = text.indexOf('\n');
    if (end !== -1 || text.length > MAX_WORD)
      resolve(text.slice(0, end === -1 ? MAX_WORD : end).replace('failed: ', ''));
  });
  child.once('error', (error) => resolve(`the new process cannot be started: ${error.message}`));
  // After what it may have said on the channel.
  child.once('exit', (code, signal) => {
    clock.after(100, () =>
      resolve(`the new process ended (${signal ?? `exit code ${code}`}) before it was ready; see its log`),
    );
  });
  return promise.finally(() => timer.cancel());
}
