// What is declared: edges by number, and a configuration of so many routes.
import type { Edge, Pool, Site } from '../../proto/gen/meridian/v1/resources.ts';

export const edgeName = (number: number): string => `edge-${number}`;

export function edgesOf(count: number): Edge[] {
  return Array.from({ length: count }, (_, i) => ({
    name: edgeName(i),
    location: { latitude: 51.5, longitude: -0.1 },
    trustedProxies: [],
  }));
}

export const POOL: Pool = {
  name: 'cities',
  origins: [
    { name: 'london', address: 'http://127.0.0.1:9', location: { latitude: 51.5, longitude: -0.1 }, weight: 100 },
  ],
  healthCheck: { path: '/health', intervalMs: 1_000, timeoutMs: 500, unhealthyThreshold: 2, healthyThreshold: 2 },
  timeouts: { connectMs: 1_000, headMs: 1_000, bodyMs: 1_000 },
};

const ROUTES_PER_SITE = 100;

/** The last route of the first site caches for `ttlMs`. */
export function sitesOf(routes: number, ttlMs = 0): Site[] {
  return Array.from({ length: Math.ceil(routes / ROUTES_PER_SITE) }, (_, site) => {
    const many = Math.min(ROUTES_PER_SITE, routes - site * ROUTES_PER_SITE);
    return {
      name: `site-${site}`,
      hostnames: [`site-${site}.example`],
      routes: Array.from({ length: many }, (_, route) => ({
        pathPrefix: route === 0 ? '/' : `/section-${route}`,
        pool: POOL.name,
        cache: { enabled: true, defaultTtlMs: site === 0 && route === many - 1 ? ttlMs : 0 },
      })),
    };
  });
}
