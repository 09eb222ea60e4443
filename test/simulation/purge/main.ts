// `npm run simulate:purge -- [HISTORIES] [FIRST SEED]`: many histories, on every core; one million by default. Prints the seed of
// the first that lies, which `npm run simulate:purge -- 1 SEED` runs again.
import { availableParallelism } from 'node:os';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { runHistory } from './history.ts';
import { Violation } from './rules.ts';

interface Slice {
  readonly first: number;
  readonly count: number;
}

interface Result {
  readonly ran: number;
  readonly lie: string | undefined;
}

function runSlice({ first, count }: Slice): Result {
  for (let seed = first; seed < first + count; seed += 1) {
    try {
      runHistory(seed, undefined);
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      return { ran: seed - first + 1, lie: `seed ${seed}: ${error.message}` };
    }
  }
  return { ran: count, lie: undefined };
}

async function main([histories = '1000000', first = '1']: readonly string[]): Promise<void> {
  const [count, seed] = [Number(histories), Number(first)];
  if (!Number.isSafeInteger(count) || !Number.isSafeInteger(seed) || count < 1) {
    console.error('expected how many histories, and the seed of the first: npm run simulate:purge -- 1000000 1');
    process.exitCode = 2;
    return;
  }
  const started = performance.now();
  const cores = Math.min(availableParallelism(), count);
  const share = Math.ceil(count / cores);
  const slices = Array.from({ length: cores }, (_, i) => ({
    first: seed + i * share,
    count: Math.max(0, Math.min(share, count - i * share)),
  }));
  const results = await Promise.all(slices.map(inWorker));
  const ran = results.reduce((sum, result) => sum + result.ran, 0);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const lies = results.flatMap(({ lie }) => lie ?? []);
  console.log(`${ran} histories in ${seconds} s: ${lies.length === 0 ? 'no purge lied' : lies.join('; ')}`);
  if (lies.length > 0) process.exitCode = 1;
}

function inWorker(slice: Slice): Promise<Result> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: slice });
    worker.on('message', resolve);
    worker.on('error', reject);
  });
}

if (isMainThread) await main(process.argv.slice(2));
else parentPort?.postMessage(runSlice(workerData));
