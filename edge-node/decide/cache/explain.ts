// How the cache would handle a request, in words for an operator: the rule's name and the arithmetic behind it.
import type { StoredHead } from './entry.ts';
import type { Judgement, StaleReason } from './freshness.ts';
import type { LifetimeSource } from './lifetime.ts';
import type { BypassReason } from './request.ts';

export type CacheView =
  | { readonly kind: 'bypass'; readonly reason: BypassReason }
  /** `variants`: how many are stored that answer other requests for the URL. */
  | { readonly kind: 'absent'; readonly variants: number }
  | { readonly kind: 'purged'; readonly head: StoredHead; readonly current: number }
  | { readonly kind: 'stored'; readonly head: StoredHead; readonly judgement: Judgement };

/** The fields of proto `CacheExplanation` that a view decides; seconds, 0 where nothing is stored. */
export interface CacheWords {
  readonly state: 'fresh' | 'stale' | 'purged' | 'absent' | 'bypass';
  readonly reason: string;
  readonly ageS: number;
  readonly freshnessLifetimeS: number;
}

export function explainCache(view: CacheView): CacheWords {
  switch (view.kind) {
    case 'bypass':
      return { state: 'bypass', reason: `${view.reason}: ${BYPASS[view.reason]}`, ageS: 0, freshnessLifetimeS: 0 };
    case 'absent': {
      const reason =
        view.variants === 0
          ? 'uri-miss: nothing is stored for the URL'
          : `vary-miss: ${view.variants} stored, none for the fields of this request that Vary names`;
      return { state: 'absent', reason, ageS: 0, freshnessLifetimeS: 0 };
    }
    case 'purged': {
      const since = view.current - view.head.barrier;
      const reason = `purged: covered by one of the ${since} purges applied since it was requested from the origin`;
      return { state: 'purged', reason, ageS: 0, freshnessLifetimeS: view.head.lifetimeMs / 1000 };
    }
    case 'stored':
      return stored(view.head, view.judgement);
  }
}

function stored(head: StoredHead, judgement: Judgement): CacheWords {
  const kept = inSlices(head);
  const sum = `lifetime ${seconds(head.lifetimeMs)} (${SOURCE[head.lifetimeSource]}) - age ${seconds(judgement.ageMs)}`;
  const numbers = { ageS: judgement.ageMs / 1000, freshnessLifetimeS: head.lifetimeMs / 1000 };
  if (judgement.kind === 'fresh') {
    const reason =
      judgement.ttlMs > 0
        ? `fresh for ${seconds(judgement.ttlMs)} more: ${sum}`
        : `stale for ${seconds(-judgement.ttlMs)}, which max-stale of the request allows: ${sum}`;
    return { state: judgement.ttlMs > 0 ? 'fresh' : 'stale', reason: reason + kept, ...numbers };
  }
  const fallback = judgement.mayServeStale
    ? 'would be served all the same if no origin answered'
    : 'not served even if no origin answered';
  const words = `${judgement.reason}: ${STALE[judgement.reason]}: ${sum}; ${fallback}${kept}`;
  return { state: 'stale', reason: words, ...numbers };
}

function inSlices({ slices }: StoredHead): string {
  if (slices === undefined) return '';
  const { bytes, length } = slices;
  return `; kept in slices: ${length} bytes in ${Math.ceil(length / bytes)} of ${bytes}, of which some may be missing`;
}

/** At most three decimals: `0.25 s`, `42 s`. */
function seconds(ms: number): string {
  return `${Math.round(ms) / 1000} s`;
}

const SOURCE: Readonly<Record<LifetimeSource, string>> = {
  's-maxage': 's-maxage',
  'max-age': 'max-age',
  expires: 'Expires',
  'default-ttl': 'default_ttl_ms of the route',
  heuristic: 'a tenth of the age of Last-Modified',
  none: 'none stated',
  'negative-ttl': 'negative_ttl_ms of the route',
  'override-ttl': 'override_ttl_ms of the route',
  'min-ttl': 'min_ttl_ms of the route',
  'max-ttl': 'max_ttl_ms of the route',
};

const STALE: Readonly<Record<StaleReason, string>> = {
  expired: 'its lifetime has passed',
  'no-cache': 'no-cache in the response asks for validation before each use',
  'clock-set-back': 'it was received later than the clock says it is',
  'request-no-cache': 'no-cache in the request asks for validation',
  'request-max-age': 'older than max-age in the request allows',
  'request-min-fresh': 'not fresh for as long as min-fresh in the request asks',
};

const BYPASS: Readonly<Record<BypassReason, string>> = {
  policy: 'the cache is not enabled for the route',
  method: 'only GET and HEAD are answered from the cache',
  'has-request-body': 'a body is not part of the key',
  'method-override': 'the request asks for another method in a field',
  upgrade: 'the request is for a tunnel',
  'bypass-rule': 'the route lets requests with this cookie, field or parameter past the cache',
  precondition: 'If-Match and If-Unmodified-Since are for an origin to judge',
};
