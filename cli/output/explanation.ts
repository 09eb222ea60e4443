// Explanations for people: where the client is taken to be, what the edge would do, and which origin would answer and why.
import type {
  CacheExplanation,
  ClientPlace,
  Explanation,
  RankedOrigin,
  StoredVariant,
} from '../../proto/gen/meridian/v1/explain.ts';
import { HealthStatus } from '../../proto/gen/meridian/v1/health.ts';
import { formatVersion } from '../../proto/version.ts';
import { storedLines } from './stored.ts';
import { type Styles, table } from './table.ts';
import { count, printable } from './text.ts';
import { healthCell, healthWord } from './views.ts';

/** One edge's answer, several lines. */
export function explain(explanation: Explanation, styles: Styles): string {
  const { client, cache, ranking } = explanation;
  const lines = [
    `${styles.strong(`At edge ${printable(explanation.edge)}`)} (version ${formatVersion(explanation.version)})`,
  ];
  const add = (label: string, text: string) => lines.push(`  ${label.padEnd(7)} ${printable(text)}`);
  if (client) add('client', describeClient(client));
  if (explanation.refusalCode !== '') {
    add('refused', `${explanation.refusalCode}: ${explanation.refusalDetail}`);
    return `${lines.join('\n')}\n`;
  }
  add('site', `${explanation.site}, route ${explanation.route}, pool ${explanation.pool}`);
  if (cache) {
    add('cache', describeCache(cache));
    add('key', cache.key);
    for (const [label, text] of storedLines(cache)) add(label, text);
  }
  const list = table(
    ['  ORIGIN', 'DISTANCE', 'HEALTH', 'MEASURED', 'WEIGHT', 'ADDRESS', 'DETAIL'],
    ranking.map((origin) => [
      `${origin.chosen ? '*' : ' '} ${origin.origin}`,
      { text: kilometres(origin.distanceKm), align: 'right' as const },
      healthCell(origin.status, styles),
      origin.statusSource,
      { text: String(origin.weight), align: 'right' as const },
      origin.address,
      origin.detail,
    ]),
  );
  return `${lines.join('\n')}\n\n${list}\n${printable(describeChoice(explanation))}\n`;
}

function kilometres(km: number): string {
  return `${km < 10 ? km.toFixed(1) : Math.round(km)} km`;
}

const SOURCES: Readonly<Record<string, string>> = {
  database: 'by the location database',
  'private-address': 'the place of this edge, since the address is a private one',
  'not-in-database': 'the place of this edge, since the database does not know the address',
  'no-database': 'the place of this edge, since there is no location database',
};

function describeClient({ ip, location, source, city, country, distanceToEdgeKm }: ClientPlace): string {
  const place = [city, country].filter((part) => part !== '').join(', ');
  const degrees = location ? `${location.latitude.toFixed(2)}, ${location.longitude.toFixed(2)}` : 'nowhere';
  const where = place === '' ? degrees : `${place} (${degrees})`;
  return `${ip} in ${where}: ${SOURCES[source] ?? source}; ${kilometres(distanceToEdgeKm)} from this edge`;
}

function describeCache({ state, reason, ageS, freshnessLifetimeS, variants }: CacheExplanation): string {
  const parts = [state];
  if (state === 'fresh' || state === 'stale') {
    const left = freshnessLifetimeS - ageS;
    const rest = left >= 0 ? `fresh for ${seconds(left)} more` : `stale since ${seconds(-left)}`;
    parts.push(`age ${seconds(ageS)} of a lifetime of ${seconds(freshnessLifetimeS)}, ${rest}`);
  }
  if (reason !== '') parts.push(reason);
  if (variants > 0) parts.push(count(variants, 'variant'));
  return parts.join('; ');
}

function seconds(value: number): string {
  return `${Number(value.toFixed(1))} s`;
}

/** A sentence or two: who would answer now, and why this origin and no other. */
function describeChoice({ cache, ranking, pool }: Explanation): string {
  const chosen = ranking.find((origin) => origin.chosen);
  if (!chosen) return `No origin of pool ${pool} would be asked.`;
  const why = describeReason(chosen, ranking);
  if (cache?.state !== 'fresh') return `The answer would come from ${chosen.origin}: ${why}.`;
  return `The answer would come from this edge's cache. Were it not there, ${chosen.origin} would be asked: ${why}.`;
}

function describeReason(chosen: RankedOrigin, ranking: readonly RankedOrigin[]): string {
  const nearer = ranking.filter((origin) => origin.distanceKm < chosen.distanceKm);
  if (chosen.status === HealthStatus.DOWN) {
    return ranking.every((origin) => origin.status === HealthStatus.DOWN)
      ? 'every origin is down, and the nearest is tried rather than none'
      : 'it is down here, and the others are not to be used';
  }
  if (nearer.length > 0) {
    const passed = nearer.slice(0, 5).map((origin) => {
      const detail = origin.detail === '' ? '' : `: ${origin.detail}`;
      return `${origin.origin} (${kilometres(origin.distanceKm)}) is ${healthWord(origin.status)}${detail}`;
    });
    return `it is the nearest that can be used, at ${kilometres(chosen.distanceKm)}; ${passed.join('; ')}`;
  }
  const level = ranking.filter((origin) => origin.distanceKm === chosen.distanceKm && origin !== chosen);
  if (level.length === 0) return `it is the nearest, at ${kilometres(chosen.distanceKm)}, and is not down`;
  return `it is among the nearest, at ${kilometres(chosen.distanceKm)}, and its turn by weight`;
}

/** For programs. */
export function plainExplanation(explanation: Explanation): object {
  const { edge, client, cache, ranking, site, route, pool } = explanation;
  const refused = explanation.refusalCode !== '';
  return {
    edge,
    version: formatVersion(explanation.version),
    client: client ?? null,
    refusal: refused ? { code: explanation.refusalCode, detail: explanation.refusalDetail } : null,
    site: refused ? null : site,
    route: refused ? null : route,
    pool: refused ? null : pool,
    cache: cache ? { ...cache, stored: cache.stored.map(plainVariant), notStored: cache.notStored ?? null } : null,
    ranking: ranking.map(({ status, ...origin }) => ({ ...origin, health: healthWord(status) })),
  };
}

function plainVariant({ selectedBy, purge, ...variant }: StoredVariant): object {
  const fields = selectedBy.map(({ name, value }) => ({ name, value: value ?? null }));
  return { ...variant, selectedBy: fields, purge: purge ?? null };
}
