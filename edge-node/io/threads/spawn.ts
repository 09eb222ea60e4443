// A worker as a thread of this process (node:worker_threads), with bounds on its memory.
import { setFlagsFromString } from 'node:v8';
import { Worker } from 'node:worker_threads';
import { readFromWorker, type WorkerSetup } from './messages.ts';
import type { WorkerEvents, WorkerPort } from './supervisor.ts';

/**
 * Of the JavaScript heap, MiB: what connections, requests in flight and remembered entries take as objects. Bodies, buffers and the
 * cache itself are not in it. A thread that needs more ends, and another takes its place.
 */
const HEAP_MIB = 1024;

/**
 * Of the heap's young part, where what a request needs lives and dies, MiB: V8's own greatest size, had from the start. By itself it
 * grows only as objects survive, which those of a hit do not; so it would stay small, and every request that is under way when
 * it is collected, far too often then, waits for that.
 */
const SEMI_SPACE_MIB = 16;
// Holds for threads that are started from now on.
setFlagsFromString(`--min-semi-space-size=${SEMI_SPACE_MIB}`);

/** Starts `module` in a thread, with `setup` as its `workerData`. */
export function spawnWorker(module: URL, setup: WorkerSetup, events: WorkerEvents): WorkerPort {
  const worker = new Worker(module, {
    workerData: setup,
    name: `serve-${setup.thread}`,
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MIB },
  });
  let reason: string | undefined;
  worker.on('message', (message) => events.onMessage(readFromWorker(message)));
  worker.on('messageerror', () => events.onMessage(undefined));
  worker.on('error', (error) => {
    reason ??= error instanceof Error ? (error.stack ?? error.message) : String(error);
  });
  worker.on('exit', (code) => events.onExit(reason ?? `it ended with exit code ${code}`));
  return {
    post: (message) => worker.postMessage(message),
    terminate: () => void worker.terminate(),
  };
}
