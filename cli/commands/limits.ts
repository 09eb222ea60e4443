// `--limit NAME=VALUE`: the limits of an edge that have no option of their own, and the page that lists them.
import type { Limit, LimitUnit } from '../../edge-node/main.ts';
import { formatDuration, formatSize, parseDuration, parseSize } from '../config/duration.ts';
import { didYouMean } from '../output/suggest.ts';
import { clip } from '../output/text.ts';
import { type Arguments, type Option, UsageError } from './command.ts';

export const LIMIT_OPTION: Option = {
  type: 'string',
  multiple: true,
  value: 'NAME=VALUE',
  env: 'MERIDIAN_LIMIT',
  doc: 'A limit that is not to be the default, such as fill.waiters=1000, client.idle-time=5s or cache.object-bytes=1MiB. All: limits.md.',
};

const EXPECTED: Readonly<Record<LimitUnit, string>> = {
  bytes: 'a size such as 64KiB',
  ms: 'a duration such as 5s',
  count: 'a whole number',
};

const PARSE: Readonly<Record<LimitUnit, (text: string) => number | undefined>> = {
  bytes: parseSize,
  ms: parseDuration,
  count: (text) => (/^\d{1,15}$/.test(text) ? Number(text) : undefined),
};

const FORMAT: Readonly<Record<LimitUnit, (value: number) => string>> = {
  bytes: formatSize,
  ms: formatDuration,
  count: String,
};

/** What was given, by name; of several values of one limit the last. Throws UsageError for what cannot be meant. */
export function limitValues(args: Arguments, limits: ReadonlyMap<string, Limit>): ReadonlyMap<string, number> {
  const values = new Map<string, number>();
  for (const text of args.list('limit')) {
    const equals = text.indexOf('=');
    const name = text.slice(0, Math.max(0, equals));
    const limit = limits.get(name);
    if (equals < 0) throw new UsageError(`${args.label('limit')}: expected NAME=VALUE, found "${clip(text)}"`);
    if (limit === undefined) {
      const hint = didYouMean(name, limits.keys());
      throw new UsageError(`${args.label('limit')}: there is no limit "${clip(name)}"${hint}`);
    }
    const given = text.slice(equals + 1);
    const value = PARSE[limit.unit](given);
    if (value === undefined || value < limit.min || value > limit.max) {
      const range = `${FORMAT[limit.unit](limit.min)} to ${FORMAT[limit.unit](limit.max)}`;
      const expected = `${EXPECTED[limit.unit]}, from ${range}`;
      throw new UsageError(`${args.label('limit')}: ${name}: expected ${expected}, found "${clip(given)}"`);
    }
    values.set(name, value);
  }
  return values;
}

/** docs/limits.md. */
export function limitReference(limits: ReadonlyMap<string, Limit>): string {
  const rows = [...limits].map(([name, { unit, default: standard, min, max, doc, told }]) =>
    [
      `\`${name}\``,
      standard === undefined ? 'by size' : FORMAT[unit](standard),
      `${FORMAT[unit](min)} to ${FORMAT[unit](max)}`,
      doc,
      told,
    ].join(' | '),
  );
  return `<!-- Generated from edge-node/io/limits.ts by "npm run generate"; do not edit. -->
# Limits of an edge

Whatever an edge keeps, lets wait or waits for has a limit. These are set by \`meridian edge --limit NAME=VALUE\`, which may be repeated (or
\`MERIDIAN_LIMIT=NAME=VALUE,NAME=VALUE\`); \`--cache-bytes\`, \`--cache-disk-bytes\`, \`--threads\`, \`--max-connections\` and
\`--max-client-connections\` are options of their own. Those of sites and pools (time-outs, lifetimes, slices) are in the
[configuration](configuration.md). The last column says what counts, or shows, that a limit was met.

| Limit | Default | Range | What it bounds | Told by |
|---|---|---|---|---|
${rows.map((row) => `| ${row} |\n`).join('')}`;
}
