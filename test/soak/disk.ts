// The long tests of the disk tier: `node bin/node26.js test/soak/disk.ts kill ROUNDS`, or `... churn SECONDS`.
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { churn, growth } from './disk-churn.ts';
import { killStorers } from './disk-kill.ts';

const [, , what, number] = process.argv;
const folder = mkdtempSync(path.join(tmpdir(), 'meridian-disk-'));
try {
  if (what === 'kill') await kill(Number(number ?? 50));
  else if (what === 'churn') await churnFor(Number(number ?? 180));
  else {
    console.error('usage: disk.ts kill [ROUNDS] | churn [SECONDS]');
    process.exitCode = 2;
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function kill(rounds: number): Promise<void> {
  const reports = await killStorers(folder, rounds, 7);
  console.table(reports);
  const corrupt = reports.reduce((sum, report) => sum + report.corrupt, 0);
  const coldest = Math.min(...reports.slice(2).map(({ found }) => found));
  console.log(`killed ${rounds} times; corrupt: ${corrupt}; found, at least: ${coldest}`);
  if (corrupt > 0 || coldest === 0) process.exitCode = 1;
}

async function churnFor(seconds: number): Promise<void> {
  const samples = await churn(folder, seconds);
  console.table(samples.filter((_, i) => i % Math.ceil(samples.length / 20) === 0));
  const bytes = readdirSync(folder).reduce((sum, name) => sum + statSync(path.join(folder, name)).size, 0);
  console.log(
    `memory grew by ${(growth(samples, 'rss') * 100).toFixed(1)} %; files: ${(bytes / 2 ** 20).toFixed(1)} MiB`,
  );
  if (growth(samples, 'rss') > 0.05) process.exitCode = 1;
}
