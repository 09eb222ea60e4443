// What an edge has stored for a URL, and what that is worth now: every variant with the sum of its freshness, its tags, where it
// is and which purge reaches it; and where nothing is stored, what is remembered of why.
import type { CanonicalUrl } from '../../proto/canonical-url.ts';
import type {
  CacheExplanation,
  Freshness,
  NotStored,
  SelectingValue,
  StoredVariant,
} from '../../proto/gen/meridian/v1/explain.ts';
import { NO_DIRECTIVES } from '../decide/cache/cache-control.ts';
import type { CacheEntry, StoredHead } from '../decide/cache/entry.ts';
import {
  type CacheView,
  explainCache,
  NOT_STORED,
  type NotStoredReason,
  policyWords,
} from '../decide/cache/explain.ts';
import { type Judgement, judge } from '../decide/cache/freshness.ts';
import { cacheKey, purgeName } from '../decide/cache/key.ts';
import { keyTarget } from '../decide/cache/policy.ts';
import { classifyRequest } from '../decide/cache/request.ts';
import { askedAbout } from '../decide/cache/validation.ts';
import { selectVariant } from '../decide/cache/vary.ts';
import type { CompiledRoute } from '../decide/compile.ts';
import { coveringPurge } from '../decide/covering-purge.ts';
import { isPurged, judgedHead } from '../decide/purged.ts';
import type { Ports } from '../ports.ts';

/** What is behind memory. `entries`: under the key; none where `state` is not "searched". */
export interface OnDisk {
  readonly state: 'none' | 'searched' | 'not searched';
  readonly entries: readonly CacheEntry[];
}

export interface StoredWorld extends Pick<Ports, 'clock' | 'cache' | 'barrier'> {
  /** The last reason not to store an answer for a key; `at`: Unix milliseconds. */
  readonly skipped?: (key: string) => { readonly reason: NotStoredReason; readonly at: number } | undefined;
}

export type Asked = Extract<CanonicalUrl, { kind: 'url' }> & { readonly scheme: 'http' | 'https' };

const MAX_VARIANTS = 32;

/** The cache key of a GET for `url`. */
export function askedKey({ scheme, host, port, target }: Asked, route: CompiledRoute): string {
  const ownPort = port === undefined || port === (scheme === 'https' ? 443 : 80);
  const keyed = route.cache.key === undefined ? target : keyTarget(route.cache.key, target);
  return cacheKey(scheme, ownPort ? host : `${host}:${port}`, keyed);
}

/** A plain GET without header fields of its own is assumed. */
export function explainStored(url: Asked, route: CompiledRoute, world: StoredWorld, disk: OnDisk): CacheExplanation {
  const { barrier } = world;
  const key = askedKey(url, route);
  const asked = purgeName(url.host, url.target);
  const now = world.clock.now();
  const inMemory = world.cache.find(key);
  const request = classifyRequest('GET', [], route.cache, url.target);
  const isKnown = ({ head }: CacheEntry) => inMemory.some((other) => other.head.variant === head.variant);
  const entries = [...inMemory, ...disk.entries.filter((entry) => !isKnown(entry))];
  // A request looks on disk only where memory has no variant for it.
  const selected = selectVariant(inMemory, []) ?? selectVariant(disk.entries, []);
  const stored = entries.map((entry) => variant(entry)).toSorted((a, b) => Number(b.selected) - Number(a.selected));
  return {
    key,
    variants: entries.length,
    ...explainCache(view()),
    stored: stored.slice(0, MAX_VARIANTS),
    purges: barrier.current,
    disk: disk.state,
    policy: policyWords(route.cache),
    notStored: lastSkip(),
  };

  function view(): CacheView {
    if (request.kind === 'bypass') return request;
    if (!selected) {
      const current = entries.filter((entry) => !isPurged(barrier, entry, asked));
      return { kind: 'absent', variants: entries.length, asked: askedAbout(current, [], route.cache.key?.vary).length };
    }
    return viewOf(selected);
  }

  function viewOf(entry: CacheEntry): Extract<CacheView, { kind: 'purged' | 'stored' }> {
    if (isPurged(barrier, entry, asked)) return { kind: 'purged', head: entry.head, current: barrier.current };
    const head = judgedHead(barrier, entry, now, asked);
    const directives = request.kind === 'lookup' ? request.directives : NO_DIRECTIVES;
    return { kind: 'stored', head, judgement: judge(head, directives, now) };
  }

  function variant(entry: CacheEntry): StoredVariant {
    const { head } = entry;
    const seen = viewOf(entry);
    const { state, reason } = explainCache(seen);
    const onDisk = disk.entries.some((other) => other.head.variant === head.variant);
    return {
      tiers: [...(inMemory.includes(entry) ? ['memory'] : []), ...(onDisk ? ['disk'] : [])],
      selected: entry === selected,
      selectedBy: selecting(head),
      status: head.status,
      bodyBytes: entry.source?.length ?? entry.body.length,
      state,
      reason,
      freshness: freshness(head, seen.kind === 'stored' ? seen.judgement : judge(head, NO_DIRECTIVES, now)),
      tags: [...head.tags],
      requestedAfter: head.barrier,
      purge: coveringPurge(barrier, entry, asked),
    };
  }

  function lastSkip(): NotStored | undefined {
    const skip = world.skipped?.(key);
    if (!skip || entries.some(({ head }) => head.receivedAt > skip.at + 1000)) return undefined;
    return { reason: skip.reason, detail: NOT_STORED[skip.reason], agoS: Math.max(0, now - skip.at) / 1000 };
  }
}

/** In the order of Vary; see `varyValues` for the form. */
function selecting({ vary, variant }: StoredHead): SelectingValue[] {
  const lines = variant.split('\n');
  return vary.map((name, index) => {
    const line = lines[index] ?? name;
    return { name: name.replace(';', ' '), value: line === name ? undefined : line.slice(name.length + 1) };
  });
}

function freshness(head: StoredHead, { ageMs }: Judgement): Freshness {
  const { initialAgeMs, lifetimeMs } = head;
  return {
    initialAgeS: initialAgeMs / 1000,
    residentS: (ageMs - initialAgeMs) / 1000,
    ageS: ageMs / 1000,
    lifetimeS: lifetimeMs / 1000,
    lifetimeSource: head.lifetimeSource,
    ttlS: (lifetimeMs - ageMs) / 1000,
    staleWhileRevalidateS: head.staleWhileRevalidateMs / 1000,
    staleIfErrorS: head.staleIfErrorMs / 1000,
    neverStale: head.neverStale,
  };
}
