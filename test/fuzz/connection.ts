// One connection of the fuzzing run: sends what is planned, reads what comes back, and judges it.
import { connect, type Socket } from 'node:net';
import type { Plan } from './octets.ts';

/** Longer than the edge takes to close a connection whose client has said its last, milliseconds. */
const PATIENCE_MS = 20_000;
/** How long a client that does not read stays. */
const SILENT_MS = 50;
const ANSWER = /^HTTP\/1\.1 ([1-5]\d\d) /;

/** Undefined: as it should be. Otherwise what was wrong. */
export function attempt(port: number, { pieces, ending }: Plan): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
    let first = '';
    const over = (fault?: string): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(fault ?? judge(first));
    };
    const timer = setTimeout(() => over('the connection was not closed'), PATIENCE_MS);
    // A reset is the edge's right: it need not read what follows a request that it refused.
    socket.on('error', () => over());
    socket.on('close', () => over());
    socket.on('connect', () => {
      send(socket, pieces, 0, () => {
        if (ending === 'half-close') socket.end();
        else if (ending === 'reset') socket.resetAndDestroy();
        else setTimeout(() => over(), SILENT_MS);
      });
    });
    if (ending !== 'never-read') {
      socket.on('data', (chunk: Buffer) => {
        if (first.length < 16) first += chunk.toString('latin1', 0, 16);
      });
      socket.on('end', () => socket.end());
    }
  });
}

/** Each piece in a turn of its own, so that the edge may see it by itself; waits while the edge does not read. */
function send(socket: Socket, pieces: readonly Buffer[], at: number, done: () => void): void {
  const piece = pieces[at];
  if (piece === undefined) {
    done();
    return;
  }
  const next = (): void => {
    setImmediate(send, socket, pieces, at + 1, done);
  };
  if (socket.write(piece) || at === pieces.length - 1) next();
  else socket.once('drain', next);
}

function judge(first: string): string | undefined {
  if (first === '') return undefined;
  const status = ANSWER.exec(first)?.[1];
  if (status === undefined) return first.length < 13 ? undefined : `what came back is no response: ${first}`;
  return status === '500' ? 'the edge met a defect (500)' : undefined;
}
