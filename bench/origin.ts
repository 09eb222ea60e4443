// The origin behind every server: a process of its own that answers from memory as fast as it can and counts what it is asked.
//
//   /keep/BYTES/ID    may be kept for an hour, with validators
//   /forward/BYTES    may not be kept
//   anything else     200, not counted: what health checks and probes for being ready ask for
//
// It reads as much of HTTP/1.1 as the servers under test write: GET and HEAD without a body, one connection for many requests.
// Over the IPC channel it says {port}, and answers any message with {requests}, the number of those counted.
import { createServer, type Socket } from 'node:net';
import { bodyOf } from './body.ts';
import { etagOf } from './rows.ts';

/** A head that grows beyond this is not one of ours, characters. */
const MAX_HEAD = 64 * 1024;
/** Answers up to this are kept whole, head and body in one piece, bytes. */
const MAX_PREPARED = 64 * 1024;
const MAX_PREPARED_COUNT = 64;
const PIECE = 256 * 1024;
const MAX_BYTES = 1024 ** 3;
/** Names what is asked for, so that no path is a prefix of another answer's. */
const PATH = /^\/(keep|forward)\/(\d{1,10})(?:\/\d{1,10})?$/;
const MODIFIED = new Date('2026-01-01T00:00:00Z').toUTCString();

let requests = 0;
const prepared = new Map<string, Buffer>();

function accept(socket: Socket): void {
  socket.setNoDelay(true);
  let pending = '';
  // Answers go out in the order of their requests: one that takes several writes holds the next ones back.
  let busy = false;
  let looping = false;
  const done = (): void => {
    busy = false;
    if (!looping) next();
  };
  const next = (): void => {
    looping = true;
    for (let end = pending.indexOf('\r\n\r\n'); end >= 0 && !busy; end = pending.indexOf('\r\n\r\n')) {
      const [, method, target] = /^(GET|HEAD) (\S+) HTTP\/1\.1\r\n/.exec(pending) ?? [];
      pending = pending.slice(end + 4);
      busy = true;
      if (method !== undefined && target !== undefined) answer(socket, method, target, done);
      else socket.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
    }
    looping = false;
  };
  socket.on('data', (piece) => {
    pending += piece.toString('latin1');
    if (!busy) next();
    if (pending.length > MAX_HEAD) socket.destroy();
  });
  socket.on('error', () => socket.destroy());
}

/** Calls `done` when the last byte is written, be it at once or later. */
function answer(socket: Socket, method: string, target: string, done: () => void): void {
  const [, kind, size] = PATH.exec(target) ?? [];
  const bytes = Number(size ?? 2);
  if (bytes > MAX_BYTES) {
    socket.destroy();
    return;
  }
  if (kind !== undefined) requests += 1;
  if (method === 'GET' && bytes > MAX_PREPARED) {
    socket.write(head(target, kind, bytes));
    stream(socket, bodyOf(target, Math.min(bytes, PIECE)), bytes, done);
    return;
  }
  socket.write(method === 'HEAD' ? head(target, kind, bytes) : prepare(target, kind, bytes));
  done();
}

function prepare(target: string, kind: string | undefined, bytes: number): Buffer {
  let whole = prepared.get(target);
  if (whole === undefined) {
    whole = Buffer.concat([Buffer.from(head(target, kind, bytes)), bodyOf(target, bytes)]);
    if (prepared.size >= MAX_PREPARED_COUNT) prepared.clear();
    prepared.set(target, whole);
  }
  return whole;
}

function head(target: string, kind: string | undefined, bytes: number): string {
  const validators =
    kind === 'keep'
      ? `Cache-Control: public, max-age=3600\r\nETag: ${etagOf(target)}\r\nLast-Modified: ${MODIFIED}\r\n`
      : 'Cache-Control: no-store\r\n';
  const date = new Date().toUTCString();
  return `HTTP/1.1 200 OK\r\nDate: ${date}\r\nContent-Type: text/plain\r\nContent-Length: ${bytes}\r\n${validators}\r\n`;
}

/** The body repeats with each piece, see bodyOf(). Waits for the other side after each piece that the kernel does not take. */
function stream(socket: Socket, piece: Buffer, bytes: number, done: () => void): void {
  let left = bytes;
  const write = (): void => {
    while (left > 0) {
      const length = Math.min(left, piece.length);
      left -= length;
      if (!socket.write(length === piece.length ? piece : piece.subarray(0, length)) && left > 0) {
        socket.once('drain', write);
        return;
      }
    }
    done();
  };
  write();
}

const server = createServer(accept);
server.listen({ host: '127.0.0.1', port: 0, backlog: 4_096 }, () => {
  const address = server.address();
  process.send?.({ port: typeof address === 'object' ? address?.port : undefined });
});
process.on('message', () => process.send?.({ requests }));
process.on('disconnect', () => process.exit());
// Prepared heads carry a date.
setInterval(() => prepared.clear(), 60_000).unref();
