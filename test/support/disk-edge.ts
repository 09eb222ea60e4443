// An edge by itself with a small cache in memory and a larger one on disk, in the test's own process.
import http from 'node:http';
import path from 'node:path';
import { type Edge, startEdge } from '../../edge-node/main.ts';
import { systemClock } from '../../infra/runtime/clock.ts';
import { silentLog } from '../../infra/runtime/log.ts';
import { seededRandom } from '../../infra/runtime/random.ts';
import { poolOf, snapshotOf } from './snapshots.ts';

const MIB = 1024 * 1024;

/** `address`: of its origin. */
export function startDiskEdge(folder: string, address: string): Promise<Edge> {
  return startEdge({
    name: 'edge-1',
    control: [],
    listen: '127.0.0.1:0',
    adminListen: '127.0.0.1:0',
    dataDir: path.join(folder, 'data'),
    geoFiles: [],
    // Bodies of more than 1 MiB are on disk alone.
    cacheBytes: 8 * MIB,
    diskCache: { folder: path.join(folder, 'cache'), maxBytes: 512 * MIB },
    accessLog: 'off',
    snapshot: { ...snapshotOf(1), pools: [poolOf({ one: address })] },
    log: silentLog,
    clock: systemClock,
    random: seededRandom(1),
  });
}

/** Of `meridian_disk_cache_NAME`. */
export async function diskMetric(edge: Edge, name: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${edge.adminPort}/metrics`)).text();
  return Number(new RegExp(`^meridian_disk_cache_${name} (\\d+)$`, 'm').exec(text)?.[1]);
}

export interface Got {
  readonly body: Buffer;
  /** Cache-Status. */
  readonly cache: string;
}

/** On a connection of its own. */
export function getOf(edge: Edge, target: string, fields: http.OutgoingHttpHeaders = {}): Promise<Got> {
  return new Promise((resolve, reject) => {
    const headers = { host: 'demo.example', ...fields };
    const request = http.get({ host: '127.0.0.1', port: edge.port, path: target, agent: false, headers }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('end', () => resolve({ body: Buffer.concat(chunks), cache: String(answer.headers['cache-status']) }));
      answer.on('error', reject);
    });
    request.on('error', reject);
  });
}
