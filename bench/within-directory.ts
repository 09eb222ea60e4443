// Where a comparison works: a folder and processes that are gone when it ends.
import { mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Processes } from './processes.ts';

/** What caches in files and logs may need, bytes. */
const SPACE = 3 * 1024 ** 3;

/** Runs `work` with a folder and processes that are gone when it ends, be it by a signal. */
export async function withinDirectory<T>(work: (directory: string, processes: Processes) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(path.join(temporaryFolder(), 'meridian-bench-'));
  const processes = new Processes(path.join(directory, 'output'));
  const interrupted = Promise.withResolvers<never>();
  const onSignal = (signal: string): void => interrupted.reject(new Error(`ended by ${signal}`));
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, onSignal);
  try {
    return await Promise.race([work(directory, processes), interrupted.promise]);
  } finally {
    await processes.close();
    for (const signal of signals) process.off(signal, onSignal);
    rmSync(directory, { recursive: true, force: true });
  }
}

/** In memory where there is room, so that no server waits for a disk. */
function temporaryFolder(): string {
  try {
    const { bavail, bsize } = statfsSync('/dev/shm');
    if (bavail * bsize >= SPACE) return '/dev/shm';
  } catch {
    // There is none.
  }
  return tmpdir();
}
