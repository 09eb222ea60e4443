// Very many clients that ask for one thing at the same time, in a process of their own: one process has not the descriptors for
// both ends of so many connections.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';

export interface HerdResult {
  /** Answers that were received whole, by status and body, such as "200 hello". */
  readonly answers: Readonly<Record<string, number>>;
  /** By Cache-Status, without the name of the cache. */
  readonly cache: Readonly<Record<string, number>>;
  /** Connections that ended before. */
  readonly broken: number;
}

/** Connections that are opened at once: a listener's queue is not long. */
const BATCH = 250;

export class Herd {
  readonly #child: ReturnType<typeof fork>;

  private constructor(child: ReturnType<typeof fork>) {
    this.#child = child;
  }

  /** Resolves when all are connected. */
  static async start(port: number, clients: number): Promise<Herd> {
    const child = fork(fileURLToPath(import.meta.url), [String(port), String(clients)]);
    const [word] = await once(child, 'message');
    if (word !== 'connected') throw new Error(`a herd of ${clients} could not connect: ${word}`);
    return new Herd(child);
  }

  /** Each asks for `target` once, with these lines in its head. Resolves when each has its answer. */
  async ask(target: string, ...lines: readonly string[]): Promise<HerdResult> {
    this.#child.send([`GET ${target} HTTP/1.1`, 'Host: demo.example', ...lines, '', ''].join('\r\n'));
    const [result] = await once(this.#child, 'message');
    return result as HerdResult;
  }

  async stop(): Promise<void> {
    const gone = once(this.#child, 'exit');
    this.#child.kill();
    await gone;
  }
}

/** Undefined: not complete. Only answers with a Content-Length. */
function readAnswer(text: string): { answer: string; cache: string } | undefined {
  const end = text.indexOf('\r\n\r\n');
  if (end === -1) return undefined;
  const head = text.slice(0, end);
  const body = text.slice(end + 4);
  if (body.length < Number(/content-length: (\d+)/i.exec(head)?.[1])) return undefined;
  return { answer: `${head.slice(9, 12)} ${body}`, cache: /cache-status: [^;]*; (.*)/i.exec(head)?.[1] ?? '' };
}

async function run(port: number, clients: number): Promise<void> {
  const sockets: Socket[] = [];
  while (sockets.length < clients) {
    const batch = Array.from({ length: Math.min(BATCH, clients - sockets.length) }, () => connect(port, '127.0.0.1'));
    await Promise.all(batch.map((socket) => once(socket, 'connect')));
    sockets.push(...batch);
  }
  process.on('message', (head: string) => {
    const answers: Record<string, number> = {};
    const cache: Record<string, number> = {};
    let broken = 0;
    let left = clients;
    const count = (into: Record<string, number>, name: string): void => {
      into[name] = (into[name] ?? 0) + 1;
    };
    const over = (): void => {
      left -= 1;
      if (left === 0) process.send?.({ answers, cache, broken } satisfies HerdResult);
    };
    for (const socket of sockets) {
      let received = '';
      const onBroken = (): void => {
        broken += 1;
        over();
      };
      const onData = (chunk: Buffer): void => {
        received += chunk.toString('latin1');
        const answer = readAnswer(received);
        if (answer === undefined) return;
        socket.off('data', onData).off('close', onBroken);
        count(answers, answer.answer);
        count(cache, answer.cache);
        over();
      };
      socket.on('data', onData).once('close', onBroken);
      socket.write(head);
    }
  });
  process.once('disconnect', () => process.exit());
  process.send?.('connected');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [port = 0, clients = 0] = process.argv.slice(2).map(Number);
  run(port, clients).catch((error: Error) => process.send?.(error.message));
}
