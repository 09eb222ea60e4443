// Small consistent configurations to apply.
import type { Pool, Snapshot } from '../../proto/gen/meridian/v1/resources.ts';

/** A pool "cities" with one origin per entry, name to address. */
export function poolOf(origins: Record<string, string>, check: Partial<Pool['healthCheck']> = {}): Pool {
  return {
    name: 'cities',
    origins: Object.entries(origins).map(([name, address]) => ({
      name,
      address,
      location: { latitude: 51.5, longitude: -0.1 },
      weight: 100,
    })),
    healthCheck: {
      path: '/health',
      intervalMs: 1_000,
      timeoutMs: 500,
      unhealthyThreshold: 2,
      healthyThreshold: 2,
      ...check,
    },
    timeouts: { connectMs: 1_000, headMs: 1_000, bodyMs: 1_000 },
  };
}

/** One site on one pool, declaring one edge. */
export function snapshotOf(revision: number, { epoch = 1, edge = 'edge-1', pool = 'cities' } = {}): Snapshot {
  return {
    version: { epoch, revision },
    sites: [
      {
        name: 'demo',
        hostnames: ['demo.example'],
        routes: [{ pathPrefix: '/', pool, cache: { enabled: true, defaultTtlMs: 0 } }],
      },
    ],
    pools: [poolOf({ london: 'http://127.0.0.1:9' })],
    edges: [{ name: edge, location: { latitude: 51.5, longitude: -0.1 }, trustedProxies: [] }],
    drained: [],
  };
}
