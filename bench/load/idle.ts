// A program that opens connections, has one request answered on each, and then does nothing with them:
// `idle.ts PORT PATH COUNT`. Over the IPC channel it says {open} when that is done, and again whenever it is asked.
import { connect, type Socket } from 'node:net';

/** Connections being opened at a time: less than any server's queue of those not yet accepted. */
const AT_ONCE = 100;

const [port = '', path = '', count = ''] = process.argv.slice(2);
const open = new Set<Socket>();
const request = `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`;
let left = Number(count);

/** Resolves when the answer has come whole, or the connection is gone. */
function openOne(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const socket = connect({ port: Number(port), host: '127.0.0.1' });
  let received = '';
  socket.on('connect', () => {
    open.add(socket);
    socket.write(request);
  });
  socket.on('data', (piece) => {
    received += piece.toString('latin1');
    const end = received.indexOf('\r\n\r\n');
    const length = Number(/^content-length: (\d+)\r$/im.exec(received)?.[1]);
    if (end < 0 || received.length < end + 4 + length) return;
    if (!received.startsWith('HTTP/1.1 200 ')) socket.destroy();
    received = '';
    resolve();
  });
  socket.on('error', () => socket.destroy());
  socket.on('close', () => {
    open.delete(socket);
    resolve();
  });
  return promise;
}

async function openSome(): Promise<void> {
  while (left > 0) {
    left -= 1;
    await openOne();
  }
}

const report = (): void => void process.send?.({ open: open.size });
process.on('disconnect', () => process.exit());
await Promise.all(Array.from({ length: AT_ONCE }, openSome));
report();
process.on('message', report);
