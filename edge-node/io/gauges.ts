// What an edge tells of its state at each scrape, beside what it counts.
import type { Metrics } from '../../infra/runtime/metrics.ts';
import type { CompiledSnapshot } from '../decide/compile.ts';
import type { SiteNumbers } from '../decide/site-numbers.ts';
import type { SharedConnections } from './shared/shared-connections.ts';
import type { SharedStore } from './shared/shared-store.ts';
import type { Doors } from './threads/doors.ts';

export interface Gauged {
  readonly cache: SharedStore;
  readonly connections: Pick<SharedConnections, 'total'>;
  readonly doors: Pick<Doors, 'threads'>;
  readonly sites: SiteNumbers;
  /** Undefined: nothing was ever applied. */
  snapshot(): CompiledSnapshot | undefined;
}

export function addGauges(metrics: Metrics, { cache, connections, doors, sites, snapshot }: Gauged): void {
  metrics.gauge('meridian_cache_objects', 'Stored responses.', () => cache.stats().objects);
  metrics.gauge('meridian_cache_bytes', 'Bytes that stored responses take.', () => cache.stats().bytes);
  metrics.gauge('meridian_cache_evictions', 'Stored responses evicted for space.', () => cache.stats().evictions);
  metrics.gauge('meridian_cache_resets', 'Times that the cache was emptied because a thread died in a change.', () => {
    return cache.stats().resets;
  });
  const bySite = (what: keyof ReturnType<SharedStore['owned']>) =>
    function* () {
      for (const [site, number] of sites.labels()) yield [{ site }, cache.owned(number)[what]] as const;
    };
  metrics.gauges('meridian_cache_site_objects', 'Stored responses, by site.', bySite('objects'));
  metrics.gauges('meridian_cache_site_bytes', 'Bytes that stored responses take, by site.', bySite('bytes'));
  metrics.gauges('meridian_cache_site_evictions', 'Stored responses evicted for space, by site.', bySite('evictions'));
  metrics.gauge('meridian_connections', 'Connections of clients.', () => connections.total());
  metrics.gauge('meridian_threads', 'Threads that serve requests.', () => doors.threads);
  metrics.gauge('meridian_snapshot_revision', 'Revision of the snapshot that serves; 0: none.', () => {
    return snapshot()?.version.revision ?? 0;
  });
}
