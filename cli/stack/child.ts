// One child process of the local stack: started with its output appended to a log file, ready when it says so over the IPC
// channel, and ending by itself when that channel closes, so that nothing outlives a killed `meridian up`.
import { spawn } from 'node:child_process';
import { closeSync, fstatSync, mkdirSync, openSync, readSync, renameSync, statSync } from 'node:fs';
import path from 'node:path';

export interface ChildSpec {
  /** Unique in the stack; also names the log file. */
  readonly name: string;
  /** Arguments of this Node.js: a program and its own arguments. */
  readonly args: readonly string[];
  readonly logFile: string;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: string | null;
}

export interface Child {
  /** Undefined: it could not be started; `exited` says so. */
  readonly pid: number | undefined;
  /** Resolves when the child reports `{ready: true}`; stays pending when it never does. */
  readonly ready: Promise<void>;
  /** Resolves once, when the process is gone. */
  readonly exited: Promise<Exit>;
  signal(signal: 'SIGTERM' | 'SIGKILL'): void;
  /** The last lines of its log, of those that it wrote itself. */
  lastLines(): string[];
}

/** A log that is longer at a start is put aside as NAME.log.1, bytes. */
const LOG_BYTES = 10 * 1024 * 1024;
/** How much of a log's end is shown, bytes and lines. */
const TAIL = { bytes: 4096, lines: 5 } as const;

export function spawnChild(spec: ChildSpec): Child {
  const log = openLog(spec.logFile);
  const start = fstatSync(log).size;
  // A process group of its own: Ctrl-C at the terminal is for `meridian up`, which then ends its children in order.
  const child = spawn(process.execPath, [...spec.args], { stdio: ['ignore', log, log, 'ipc'], detached: true });
  closeSync(log);
  const ready = Promise.withResolvers<void>();
  child.on('message', (message: unknown) => {
    if (typeof message === 'object' && message !== null && 'ready' in message && message.ready === true) {
      ready.resolve();
    }
  });
  const exited = Promise.withResolvers<Exit>();
  child.once('exit', (code, signal) => {
    killGroup(child.pid);
    exited.resolve({ code, signal });
  });
  child.on('error', () => {
    if (child.pid === undefined) exited.resolve({ code: null, signal: null });
  });
  return {
    pid: child.pid,
    ready: ready.promise,
    exited: exited.promise,
    signal: (signal) => child.kill(signal),
    lastLines: () => lastLines(spec.logFile, start),
  };
}

/** What a child leaves behind when it is killed (etcd, under its wrapper) goes with it. */
function killGroup(pid: number | undefined): void {
  if (pid === undefined || process.platform === 'win32') return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Nothing was left.
  }
}

function openLog(file: string): number {
  mkdirSync(path.dirname(file), { recursive: true });
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  if (size > LOG_BYTES) renameSync(file, `${file}.1`);
  return openSync(file, 'a');
}

/** The last whole lines of a log from the byte `from` on; empty when there is none. */
function lastLines(file: string, from: number): string[] {
  let log: number;
  try {
    log = openSync(file, 'r');
  } catch {
    return [];
  }
  try {
    const start = Math.max(from, fstatSync(log).size - TAIL.bytes);
    const buffer = Buffer.alloc(TAIL.bytes);
    const length = readSync(log, buffer, 0, TAIL.bytes, start);
    const lines = buffer.toString('utf8', 0, length).split('\n');
    // The first line may have lost its beginning.
    if (start > from) lines.shift();
    return lines.filter((line) => line !== '').slice(-TAIL.lines);
  } finally {
    closeSync(log);
  }
}
