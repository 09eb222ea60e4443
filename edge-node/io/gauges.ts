// What an edge tells of its state at each scrape, beside what it counts: of the memory that its threads share.
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

/** By the value of `reason`. */
const REFUSALS = {
  older: 'refusedOlder',
  'too-large': 'refusedTooLarge',
  'too-much-at-once': 'refusedPending',
  incomplete: 'refusedIncomplete',
  busy: 'refusedBusy',
} as const;

export function addGauges(metrics: Metrics, { cache, connections, doors, sites, snapshot }: Gauged): void {
  metrics.gauge('meridian_cache_objects', 'Stored responses.', () => cache.stats().objects);
  metrics.gauge('meridian_cache_bytes', 'Bytes that stored responses take.', () => cache.stats().bytes);
  metrics.gauge('meridian_cache_pending_bytes', 'Bytes of bodies that are being gathered to be stored.', () => {
    return cache.stats().pendingBytes;
  });
  metrics.total('meridian_cache_evictions_total', 'Stored responses evicted for space.', () => cache.stats().evictions);
  metrics.total(
    'meridian_cache_variant_evictions_total',
    'Stored responses evicted because a URL has too many.',
    () => {
      return cache.stats().variantEvictions;
    },
  );
  metrics.total('meridian_cache_swept_total', 'Stored responses removed because they were purged.', () => {
    return cache.stats().swept;
  });
  metrics.total(
    'meridian_cache_resets_total',
    'Times that the cache was emptied because a thread died in a change.',
    () => {
      return cache.stats().resets;
    },
  );
  for (const [reason, member] of Object.entries(REFUSALS)) {
    const read = () => cache.stats()[member];
    metrics.total('meridian_cache_refused_total', 'Responses that were to be stored and were not, by reason.', read, {
      reason,
    });
  }
  const bySite = (what: keyof ReturnType<SharedStore['owned']>) =>
    function* () {
      for (const [site, number] of sites.labels()) yield [{ site }, cache.owned(number)[what]] as const;
    };
  metrics.gauges('meridian_cache_site_objects', 'Stored responses, by site.', bySite('objects'));
  metrics.gauges('meridian_cache_site_bytes', 'Bytes that stored responses take, by site.', bySite('bytes'));
  metrics.totals(
    'meridian_cache_site_evictions_total',
    'Stored responses evicted for space, by site.',
    bySite('evictions'),
  );
  metrics.gauge('meridian_connections', 'Connections of clients.', () => connections.total());
  metrics.gauge('meridian_threads', 'Threads that serve requests.', () => doors.threads);
  metrics.gauge('meridian_snapshot_revision', 'Revision of the snapshot that serves; 0: none.', () => {
    return snapshot()?.version.revision ?? 0;
  });
}
