// Which of the ports that the local stack needs are in use: asked before anything starts.
import { createServer } from 'node:net';
import type { PortUse } from './layout.ts';

/** Those that cannot be listened on, each with the system's reason ("EADDRINUSE", "EACCES"). */
export async function takenPorts(uses: readonly PortUse[], host: string): Promise<(PortUse & { reason: string })[]> {
  const answers = await Promise.all(
    uses.map(async (use) => {
      const reason = await probe(use.port, host);
      return reason === undefined ? [] : [{ ...use, reason }];
    }),
  );
  return answers.flat();
}

function probe(port: number, host: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}
