// Where a running edge is asked to hand its ports over: a socket in its data folder, which only its own user can reach. It also
// keeps a second edge from using the folder. One line of JSON each way:
//
//   {"program": "node", "args": [...], "cwd": "/", "env": {...}}    how to start the new process
//   {"pid": 123}, or {"failed": "why"}                              which has taken over, or not
import { chmodSync, rmSync } from 'node:fs';
import net, { type Server, type Socket } from 'node:net';
import path from 'node:path';
import type { Log } from '../../../infra/runtime/log.ts';
import type { LaunchCommand } from './successor.ts';

const NAME = 'take-over.sock';
/** Longer paths do not fit the system's address of a socket, bytes. */
const MAX_PATH = 100;
const MAX_LINE = 1024 * 1024;
/** How long an asker may take to say what it wants, milliseconds. */
const ASK_MS = 5_000;
/** ... and to be answered: longer than a new process may take to become ready. */
const ANSWER_MS = 150_000;

/** Resolves with the new process's identifier; rejects with a sentence that says why there is none. */
export type HandOver = (command: LaunchCommand) => Promise<number>;

export interface Desk {
  close(): void;
}

/** Rejects when another edge uses the folder. A desk that cannot be opened is logged: then ports cannot be handed over. */
export async function openDesk(dataDir: string, handOver: HandOver, log: Log): Promise<Desk> {
  const closed: Desk = { close: () => undefined };
  const place = placeOf(dataDir);
  if (place === undefined) {
    const fields = { dataDir };
    log.warn(fields, 'the path of the data folder is too long for a socket in it: this edge cannot be taken over');
    return closed;
  }
  const other = await connect(place);
  if (other !== undefined) {
    other.destroy();
    throw new Error(
      `an edge uses the data folder ${dataDir} already; stop it, take it over (--take-over), or use another`,
    );
  }
  // What a process that was killed has left.
  rmSync(place, { force: true });
  const server = net.createServer((socket) => void attend(socket, handOver, log));
  try {
    await listen(server, place);
  } catch (err) {
    log.warn({ err, place }, 'no socket can be made in the data folder: this edge cannot be taken over');
    return closed;
  }
  server.unref();
  return { close: () => server.close() };
}

/** Asks the edge of a data folder. Resolves with the new process's identifier; rejects with a sentence for people. */
export async function askForTakeOver(dataDir: string, command: LaunchCommand): Promise<number> {
  const place = placeOf(dataDir);
  const socket = place && (await connect(place));
  if (!socket) throw new Error(`no edge runs on the data folder ${dataDir}; start one without --take-over`);
  socket.setTimeout(ANSWER_MS, () => socket.destroy());
  socket.write(`${JSON.stringify(command)}\n`);
  const answer: unknown = JSON.parse((await readLine(socket)) ?? '{}');
  socket.destroy();
  const { pid, failed } = answer as { pid?: unknown; failed?: unknown };
  if (typeof pid === 'number') return pid;
  throw new Error(typeof failed === 'string' ? failed : 'the running edge gave no answer; see its log');
}

async function attend(socket: Socket, handOver: HandOver, log: Log): Promise<void> {
  socket.on('error', () => undefined);
  socket.setTimeout(ASK_MS, () => socket.destroy());
  try {
    const command = readCommand(await readLine(socket));
    socket.setTimeout(0);
    const pid = await handOver(command);
    socket.end(`${JSON.stringify({ pid })}\n`);
  } catch (error) {
    const failed = error instanceof Error ? error.message : String(error);
    log.warn({ reason: failed }, 'the ports are not handed over');
    socket.end(`${JSON.stringify({ failed })}\n`);
  }
}

function readCommand(line: string | undefined): LaunchCommand {
  const wrong = new Error('the take-over was asked for in a form that this edge does not understand');
  let value: unknown;
  try {
    value = JSON.parse(line ?? '');
  } catch {
    throw wrong;
  }
  const { program, args, cwd, env } = (value ?? {}) as Partial<Record<keyof LaunchCommand, unknown>>;
  const strings = (list: unknown): list is string[] =>
    Array.isArray(list) && list.every((item) => typeof item === 'string');
  if (typeof program !== 'string' || typeof cwd !== 'string' || !strings(args)) throw wrong;
  if (typeof env !== 'object' || env === null || !strings(Object.values(env))) throw wrong;
  return { program, args, cwd, env: env as Record<string, string> };
}

/** Undefined: nobody is there. */
function connect(place: string): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = net.connect(place);
    socket.once('connect', () => resolve(socket));
    socket.on('error', () => resolve(undefined));
  });
}

function listen(server: Server, place: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(place, resolve);
    // Whoever may write to it may run programs as this user.
    chmodSync(place, 0o600);
  });
}

/** Undefined: the other is gone, or says too much. */
function readLine(socket: Socket): Promise<string | undefined> {
  return new Promise((resolve) => {
    let text = '';
    socket.setEncoding('utf8').on('data', (piece: string) => {
      text += piece;
      const end = text.indexOf('\n');
      if (end !== -1) resolve(text.slice(0, end));
      else if (text.length > MAX_LINE) resolve(undefined);
    });
    socket.once('close', () => resolve(undefined));
  });
}

/** The shorter of two ways to say where. Undefined: too long either way. */
function placeOf(dataDir: string): string | undefined {
  const full = path.resolve(dataDir, NAME);
  const relative = path.relative('', full);
  const place = relative.length < full.length ? relative : full;
  return Buffer.byteLength(place) > MAX_PATH ? undefined : place;
}
