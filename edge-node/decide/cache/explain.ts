// How the cache would handle a request, in words for an operator: the rule's name and the arithmetic behind it.
import type { StoredHead } from './entry.ts';
import type { Judgement, StaleReason } from './freshness.ts';
import type { LifetimeSource } from './lifetime.ts';
import type { CacheRules } from './policy.ts';
import type { BypassReason } from './request.ts';
import type { SkipReason } from './storable.ts';

export type CacheView =
  | { readonly kind: 'bypass'; readonly reason: BypassReason }
  /** `variants`: how many are stored that answer other requests for the URL; `asked`: about how many of them an origin is asked. */
  | { readonly kind: 'absent'; readonly variants: number; readonly asked: number }
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
          : `vary-miss: ${view.variants} stored, none for the fields of this request that Vary names${also(view.asked)}`;
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

function also(asked: number): string {
  return asked === 0 ? '' : `; an origin would be asked whether one of them is its answer, by entity tags: ${asked}`;
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

/** Why an answer was not stored: it may not be, or it is larger than the store takes. */
export type NotStoredReason = SkipReason | 'too-large';

/** Their order is that of the numbers by which threads know them. */
export const NOT_STORED: Readonly<Record<NotStoredReason, string>> = {
  policy: 'the cache is not enabled for the route',
  method: 'only answers to GET are stored',
  'has-request-body': 'the request had a body, which is not part of the key',
  'method-override': 'the request asked for another method in a field',
  upgrade: 'the request was for a tunnel',
  'bypass-rule': 'the request had what the route lets past the cache',
  'request-no-store': 'the request said no-store',
  partial: 'it was a part, not the whole',
  status: 'its status is not cacheable unless the answer says so, or never',
  'no-store': 'the answer said no-store',
  'must-understand': 'the answer said must-understand, and its status is not understood',
  private: 'the answer said private',
  authorization: 'the request had Authorization, and the answer did not say that others may have it',
  'set-cookie': 'the answer set a cookie, which is for one client',
  'vary-star': 'the answer varies by what no key holds',
  tags: 'it had more surrogate keys than are kept, or one that is none',
  'no-freshness-or-validator': 'it was neither fresh for any time nor could be validated',
  'too-large': 'it was larger than the cache takes, or too much was being stored at once',
};

/** What a route says of caching, in the words of a configuration: `minTtl 1 s`. */
export function policyWords(rules: CacheRules): string[] {
  if (!rules.enabled) return ['not enabled'];
  const words: string[] = [];
  const add = (name: string, value: number | undefined) =>
    value !== undefined && words.push(`${name} ${seconds(value)}`);
  if (rules.defaultTtlMs > 0) add('defaultTtl', rules.defaultTtlMs);
  add('minTtl', rules.minTtlMs);
  add('maxTtl', rules.maxTtlMs);
  add('overrideTtl', rules.overrideTtlMs);
  add('negativeTtl', rules.negativeTtlMs);
  add('staleWhileRevalidate', rules.staleWhileRevalidateMs);
  add('staleIfError', rules.staleIfErrorMs);
  const { key, bypass } = rules;
  if (key?.query === 'none') words.push('the query does not count');
  else if (key && key.query !== 'all') words.push(`of the query only ${[...key.query].join(', ')}`);
  if (key?.sortQuery) words.push('the query sorted');
  if (key && key.vary.length > 0)
    words.push(`also keyed by ${key.vary.map((name) => name.replace(';', ' ')).join(', ')}`);
  const passed = bypass ? [...bypass.cookies, ...bypass.headers, ...bypass.query] : [];
  if (passed.length > 0) words.push(`requests with ${passed.join(', ')} pass the cache`);
  return words;
}

/** At most three decimals: `0.25 s`, `42 s`. */
function seconds(ms: number): string {
  return `${Math.round(ms) / 1000} s`;
}

const SOURCE: Readonly<Record<LifetimeSource, string>> = {
  's-maxage': 's-maxage',
  'max-age': 'max-age',
  expires: 'Expires',
  'default-ttl': 'defaultTtl of the route',
  heuristic: 'a tenth of the age of Last-Modified',
  none: 'none stated',
  'negative-ttl': 'negativeTtl of the route',
  'override-ttl': 'overrideTtl of the route',
  'min-ttl': 'minTtl of the route',
  'max-ttl': 'maxTtl of the route',
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
