// A worker thread of an edge that a test can watch, and make fail: it tells of each connection that it accepts, and ends or
// hangs when it is told to. Tests run it in the place of edge-node/worker.ts, around which it is.
import diagnostics from 'node:diagnostics_channel';
import type { Socket } from 'node:net';
import { workerData } from 'node:worker_threads';

/** Name of the BroadcastChannel to the test. */
export const WATCH = 'meridian watched worker';

/** From the worker. */
export interface Accepted {
  readonly thread: number;
  /** The client's. */
  readonly port: number;
}

/** To the worker. */
export interface Fault {
  readonly fault: 'throw' | 'exit' | 'hang' | 'memory';
  readonly of: number;
}

const FAULTS: Readonly<Record<Fault['fault'], () => void>> = {
  exit: () => process.exit(7),
  throw: () =>
    setImmediate(() => {
      throw new Error('a fault of the test');
    }),
  hang: () => {
    for (;;);
  },
  memory: () => leak([]),
};

/** Keeps more and more, event after event. */
function leak(kept: object[]): void {
  for (let i = 0; i < 10_000; i += 1) kept.push({ number: i, list: [i, i, i] });
  setImmediate(leak, kept);
}

if (typeof workerData === 'object' && workerData !== null && 'thread' in workerData) {
  const thread = Number(workerData.thread);
  const channel = new BroadcastChannel(WATCH);
  diagnostics.subscribe('net.server.socket', (message) => {
    const { socket } = message as { socket: Socket };
    // What was refused is gone by now.
    if (socket.destroyed) return;
    channel.postMessage({ thread, port: socket.remotePort ?? 0 } satisfies Accepted);
  });
  channel.onmessage = (event) => {
    const { of, fault } = (event as MessageEvent).data as Fault;
    if (of !== thread) return;
    FAULTS[fault]();
  };
  await import('../../edge-node/worker.ts');
}
