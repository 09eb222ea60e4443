// Runs the process that stores more than fits, and reads what it says of itself.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { ChurnSample } from './disk-churner.ts';

/** Space for new objects is fixed: by growing it, at its own time, the collector would be what is measured. */
const CHURNER = fileURLToPath(new URL('disk-churner.ts', import.meta.url));

export async function churn(folder: string, seconds: number): Promise<ChurnSample[]> {
  const child = spawn(process.execPath, ['--expose-gc', '--max-semi-space-size=4', CHURNER, folder, String(seconds)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const samples: ChurnSample[] = [];
  for await (const line of createInterface(child.stdout)) samples.push(JSON.parse(line) as ChurnSample);
  const [code] = await exited;
  if (code !== 0) throw new Error(`the process ended with ${code}`);
  return samples;
}

/** By how much memory grew, from the first half of what was measured after it had settled to the second; 0.01: a hundredth. */
export function growth(samples: readonly ChurnSample[], of: 'rss' | 'used'): number {
  const settled = samples.slice(samples.length >> 2);
  const half = settled.length >> 1;
  const most = (part: readonly ChurnSample[]): number => Math.max(...part.map((sample) => sample[of]));
  return most(settled.slice(half)) / most(settled.slice(0, half)) - 1;
}
