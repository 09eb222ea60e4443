// Kills a process that stores on disk, again and again, and has the next one read what it left.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { seededRandom } from '../../infra/runtime/random.ts';
import { below } from '../unit/edge-node/cache/support.ts';
import type { Report } from './disk-storer.ts';

const STORER = fileURLToPath(new URL('disk-storer.ts', import.meta.url));

/** What the processes found, the first of them in an empty folder; each is killed with SIGKILL while it stores. */
export async function killStorers(folder: string, rounds: number, seed: number): Promise<Report[]> {
  const random = seededRandom(seed);
  const reports: Report[] = [];
  for (let round = 0; round <= rounds; round += 1) {
    const child = spawn(process.execPath, [STORER, folder, String(seed + round * 2)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exited = once(child, 'exit');
    // After so many puts, at whatever it is doing then.
    let left = 3 + below(random, 12);
    for await (const line of createInterface(child.stdout)) {
      if (line.startsWith('{')) reports.push(JSON.parse(line) as Report);
      left -= 1;
      if (left === 0) child.kill('SIGKILL');
    }
    const [, signal] = await exited;
    if (signal !== 'SIGKILL') throw new Error(`the process ended by itself in round ${round}`);
  }
  return reports;
}
