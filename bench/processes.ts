// The processes of a benchmark: pinned to a core, their output kept, all of them ended by their ids. Linux.
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

export interface Command {
  /** The program first. */
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Where its standard output goes; default: with its errors. */
  readonly stdout?: string;
}

export interface Running {
  readonly pid: number;
  readonly child: ChildProcess;
  /** Undefined while it runs. */
  ended(): string | undefined;
  /** The end of what it wrote. */
  tail(): string;
  stop(): Promise<void>;
}

export interface Finished {
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** It is killed, and the run has failed, after so many milliseconds. */
  readonly limitMs: number;
  /** SIGINT is sent after so many milliseconds: how some programs are told to come to an end. */
  readonly interruptMs?: number;
}

const STOP_MS = 3_000;
const TAIL_CHARACTERS = 2_000;

export class Processes {
  readonly #directory: string;
  readonly #running = new Set<Running>();
  readonly #children = new Set<ChildProcess>();
  #count = 0;
  #closed = false;

  /** `directory`: for the programs' output. */
  constructor(directory: string) {
    this.#directory = directory;
    mkdirSync(directory, { recursive: true });
  }

  /** Starts what keeps running, on any core where `core` is undefined. It may be over at once: see `ended()`. `ipc`: with a channel for messages. */
  start(name: string, command: Command, core: number | undefined, ipc = false): Running {
    this.#count += 1;
    const file = path.join(this.#directory, `${this.#count}-${name}.log`);
    const errors = openSync(file, 'a');
    const output = command.stdout === undefined ? errors : openSync(command.stdout, 'a');
    let end: string | undefined;
    const child = this.#spawn(command, core, ['ignore', output, errors, ...(ipc ? (['ipc'] as const) : [])]);
    closeSync(errors);
    if (output !== errors) closeSync(output);
    const exited = Promise.withResolvers<void>();
    child.once('error', (error) => {
      end = error.message;
      exited.resolve();
    });
    child.once('exit', (code, signal) => {
      end = signal ? `ended by ${signal}` : `ended with exit code ${code}`;
      exited.resolve();
    });
    const running: Running = {
      pid: child.pid ?? 0,
      child,
      ended: () => end,
      tail: () => (existsSync(file) ? readFileSync(file, 'utf8').slice(-TAIL_CHARACTERS).trim() : ''),
      stop: async () => {
        if (end === undefined) {
          child.kill('SIGTERM');
          await Promise.race([exited.promise, wait(STOP_MS, undefined, { ref: false })]);
        }
        endGroup(child);
        await exited.promise;
        this.#running.delete(running);
      },
    };
    this.#running.add(running);
    return running;
  }

  /** Runs `command` to its end. Rejects when it fails or takes too long, with what it wrote on standard error. */
  async run(command: Command, core: number | undefined, options: RunOptions): Promise<Finished> {
    const child = this.#spawn(command, core, ['ignore', 'pipe', 'pipe']);
    const stdout = collect(child.stdout);
    const stderr = collect(child.stderr);
    const closed = Promise.withResolvers<string | undefined>();
    child.once('error', (error) => closed.resolve(error.message));
    child.once('close', (code, signal) => closed.resolve(code === 0 ? undefined : `ended with ${signal ?? code}`));
    let late = false;
    const limit = setTimeout(() => {
      late = true;
      endGroup(child);
    }, options.limitMs);
    const interrupt =
      options.interruptMs === undefined ? undefined : setTimeout(() => child.kill('SIGINT'), options.interruptMs);
    const failure = await closed.promise;
    clearTimeout(limit);
    clearTimeout(interrupt);
    const name = path.basename(command.args[0] ?? '');
    if (late) throw new Error(`${name} took longer than ${options.limitMs} ms`);
    if (failure !== undefined) throw new Error(`${name} ${failure}: ${stderr().slice(-TAIL_CHARACTERS).trim()}`);
    return { stdout: stdout(), stderr: stderr() };
  }

  /** Ends everything; nothing can be started afterwards. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const child of this.#children) if (![...this.#running].some((one) => one.child === child)) endGroup(child);
    await Promise.all([...this.#running].map((running) => running.stop()));
  }

  #spawn(command: Command, core: number | undefined, stdio: ('ignore' | 'pipe' | 'ipc' | number)[]): ChildProcess {
    if (this.#closed) throw new Error('the benchmark is ending');
    // A killed benchmark leaves no server behind: setpriv has the kernel tell them that their parent is gone.
    const pinned = core === undefined ? [] : ['setpriv', '--pdeathsig', 'TERM', 'taskset', '-c', String(core)];
    const [program = '', ...args] = [...pinned, ...command.args];
    // A group of its own: a program's own children go with it, and Ctrl-C at the terminal is the benchmark's alone.
    const child = spawn(program, args, { stdio, detached: true, env: { ...process.env, ...command.env } });
    this.#children.add(child);
    child.once('exit', () => this.#children.delete(child));
    return child;
  }
}

function endGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // Nothing was left of it.
  }
}

function collect(stream: NodeJS.ReadableStream | null): () => string {
  let text = '';
  stream?.setEncoding('utf8');
  stream?.on('data', (piece: string) => {
    text += piece;
  });
  return () => text;
}
