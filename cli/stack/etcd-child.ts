// Runs etcd as a child of `meridian up`: etcd itself knows nothing of the IPC channel, so this process reports when it is
// healthy and ends it when the channel closes. Arguments: the URL for clients, then etcd's own.
import { spawn } from 'node:child_process';
import { sleep, systemClock } from '../../infra/runtime/clock.ts';

const POLL_MS = 50;
const [url = '', ...args] = process.argv.slice(2);

const etcd = spawn('etcd', args, { stdio: ['ignore', 'inherit', 'inherit'] });
etcd.on('error', (error) => {
  console.error(`etcd cannot be run: ${error.message}`);
  process.exit(1);
});
etcd.on('exit', (code) => process.exit(code ?? 1));
for (const event of ['SIGTERM', 'SIGINT', 'disconnect']) process.on(event, () => etcd.kill('SIGTERM'));

while (!(await isHealthy())) await sleep(systemClock, POLL_MS);
process.send?.({ ready: true });

async function isHealthy(): Promise<boolean> {
  try {
    const response = await fetch(`${url}/health`);
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false;
  }
}
