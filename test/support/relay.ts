// A wire between two processes that a test may cut: what is sent over it then goes nowhere, and nobody is told.
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

export interface Relay {
  readonly port: number;
  /** From now on nothing gets through; connections stay open. */
  cut(): void;
  /** From now on nothing gets through from who dialled; what comes the other way does. */
  mute(): void;
  /** Breaks the connections that were cut, and lets new ones through. */
  heal(): void;
  stop(): void;
}

export async function startRelay(target: number): Promise<Relay> {
  const sockets = new Set<Socket>();
  let isCut = false;
  let isMute = false;
  const server = createServer((near) => {
    const far = connect(target, '127.0.0.1');
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on('data', (chunk) => {
        if (!isCut && !(isMute && from === near)) to.write(chunk);
      });
      from.on('error', () => undefined);
      from.on('close', () => {
        sockets.delete(from);
        if (!isCut && !isMute) to.destroy();
      });
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const breakAll = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: typeof address === 'object' && address ? address.port : 0,
    cut() {
      isCut = true;
    },
    mute() {
      isMute = true;
    },
    heal() {
      breakAll();
      isCut = false;
      isMute = false;
    },
    stop() {
      breakAll();
      server.close();
    },
  };
}
