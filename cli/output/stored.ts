// What an edge has stored for a URL, for people: each variant with the sum of its freshness, or what is known of why there is none.
import type { CacheExplanation, Freshness, PurgeMark, StoredVariant } from '../../proto/gen/meridian/v1/explain.ts';
import { count } from './text.ts';

/** Lines of a label and a text each; where the label is empty the text belongs to the line before. */
export type Lines = readonly (readonly [label: string, text: string])[];

export function storedLines(cache: CacheExplanation): Lines {
  const lines: (readonly [string, string])[] = [];
  if (cache.policy.length > 0) lines.push(['policy', cache.policy.join('; ')]);
  for (const variant of cache.stored) lines.push(...variantLines(variant, cache.purges));
  if (cache.disk === 'not searched') lines.push(['disk', 'not searched: it is off, held back, or busy; try again']);
  const { notStored } = cache;
  if (notStored) {
    lines.push([
      'skipped',
      `${seconds(notStored.agoS)} ago an answer was not stored: ${notStored.reason}: ${notStored.detail}`,
    ]);
  }
  return lines;
}

function* variantLines(variant: StoredVariant, purges: number): Generator<readonly [string, string]> {
  const { tiers, selected, selectedBy, status, bodyBytes, state, freshness, tags, requestedAfter, purge } = variant;
  const places = tiers.map((tier) => (tier === 'disk' ? 'on disk' : `in ${tier}`)).join(' and ');
  const fields = selectedBy.map(({ name, value }) => (value === undefined ? `no ${name}` : `${name}: ${value}`));
  const chosen = fields.length === 0 ? 'for any request' : `for ${fields.join(', ')}`;
  const answers = selected ? '; this one answers' : '';
  yield ['stored', `${status}, ${count(bodyBytes, 'byte')}, ${places}, ${chosen}; ${state}${answers}`];
  if (freshness) yield* freshnessLines(freshness);
  if (tags.length > 0) yield ['', `tags ${tags.join(', ')}`];
  const since = `requested after ${count(requestedAfter, 'purge')} of ${purges} that this edge has applied`;
  yield ['', purge ? `${since}; ${describePurge(purge)}` : since];
}

function* freshnessLines(freshness: Freshness): Generator<readonly [string, string]> {
  const { initialAgeS, residentS, ageS, lifetimeS, lifetimeSource, ttlS } = freshness;
  const age = `age ${seconds(ageS)} = ${seconds(initialAgeS)} when it came + ${seconds(residentS)} here`;
  const left = `${seconds(lifetimeS)} (${lifetimeSource}) - ${seconds(ageS)} = ${seconds(ttlS)}`;
  yield ['', `${age}; lifetime - age = ${left}`];
  const { staleWhileRevalidateS, staleIfErrorS, neverStale } = freshness;
  const windows: string[] = [];
  if (staleWhileRevalidateS > 0) windows.push(`for ${seconds(staleWhileRevalidateS)} while it is validated`);
  if (staleIfErrorS > 0) windows.push(`for ${seconds(staleIfErrorS)} when the origin fails`);
  if (windows.length > 0) yield ['', `stale it may be used ${windows.join(', ')}`];
  else if (neverStale) yield ['', 'stale it may not be used'];
}

function describePurge({ number, soft, reach, name }: PurgeMark): string {
  const what = reach === 'everything' ? 'of everything' : `of ${reach} ${name}`;
  const effect = soft ? 'makes it stale' : 'covers it';
  return `purge ${number}, ${soft ? 'a soft one ' : ''}${what}, ${effect}`;
}

function seconds(value: number): string {
  return `${Number(value.toFixed(1))} s`;
}
