// A result -> the tables that people read, in Markdown: ratios to the base first, then what they are ratios of. Pure.
import type { Measurement } from '../measure.ts';
import { DISTURBED } from '../patience.ts';
import type { Outcome, Result, RowResult, ServerInfo } from '../result.ts';
import { isCost } from '../rows.ts';
import { median, type Ratio, ratio } from './statistics.ts';
import { digits, duration, markdownTable } from './table.ts';

/** Below this share of its core a server could have done more, had there been more load. */
const BUSY = 0.9;

/** The medians of a row's rounds; a number that some rounds lack is missing. */
type Numbers = Partial<Record<Exclude<keyof Measurement, 'notes'>, number>>;

/** Ratios of every row and server to `base`, each the median of the rounds with the smallest and the largest. */
export function ratioTable(result: Result, base: string): string {
  const columns = [
    { title: '' },
    { title: 'Unit' },
    ...result.servers.map(({ title }) => ({ title, align: 'right' as const })),
  ];
  const rows = result.rows.map((row) => [
    row.row.title,
    isCost(row.row.unit) ? `${row.row.unit}, less is better` : row.row.unit,
    ...result.servers.map((server) => ratioCell(row, server.name, base)),
  ]);
  return markdownTable(columns, rows);
}

function ratioCell(row: RowResult, server: string, base: string): string {
  const outcome = row.outcomes[server];
  if (!outcome || outcome.kind === 'left-out') return '–';
  if (outcome.kind === 'failed') return 'FAILED';
  const found = ratioOf(row, server, base);
  if (server === base || !found) return found ? '1' : '–';
  const mark = row.row.unit === 'requests/s' && (numbers(outcome).busy ?? 1) < BUSY ? ' *' : '';
  return `${found.median.toFixed(2)} (${found.min.toFixed(2)}–${found.max.toFixed(2)})${mark}`;
}

/** Undefined unless both were measured. */
export function ratioOf(row: RowResult, server: string, base: string): Ratio | undefined {
  const values = row.outcomes[server];
  const bases = row.outcomes[base];
  if (values?.kind !== 'measured' || bases?.kind !== 'measured') return undefined;
  const valuesOf = ({ rounds }: { readonly rounds: readonly Measurement[] }) => rounds.map(({ value }) => value);
  return ratio(valuesOf(values), valuesOf(bases));
}

/** What ran and answered correctly, and what did not. */
export function checkTable(result: Result): string {
  const said = { measured: 'ok', 'left-out': '–', failed: 'FAILED' };
  const rows = result.rows.map(({ row, outcomes }) => [
    row.title,
    ...result.servers.map(({ name }) => said[outcomes[name]?.kind ?? 'left-out']),
  ]);
  return markdownTable([{ title: '' }, ...result.servers.map(({ title }) => ({ title }))], rows);
}

/** A line for each row and server that was measured. */
export function detailTable(result: Result): string {
  const right = (title: string) => ({ title, align: 'right' as const });
  const columns = [
    { title: '' },
    { title: 'Server' },
    right('Value'),
    { title: 'Unit' },
    right('p50'),
    right('p99'),
    right('CPU/request'),
    right('Core busy'),
    right('Memory'),
  ];
  const rows = result.rows.flatMap((row) =>
    result.servers.flatMap((server) => {
      const outcome = row.outcomes[server.name];
      if (outcome?.kind !== 'measured') return [];
      return [[row.row.title, server.title, ...details(row, numbers(outcome))]];
    }),
  );
  // A row's title stands once.
  return markdownTable(
    columns,
    rows.map(([title = '', ...cells], at) => [title === rows[at - 1]?.[0] ? '' : title, ...cells]),
  );
}

function details({ row }: RowResult, found: Numbers): readonly string[] {
  const { value = Number.NaN, p50Us, p99Us, cpuUs, busy, pssBytes = Number.NaN } = found;
  return [
    digits(value),
    row.unit,
    p50Us === undefined ? '–' : duration(p50Us),
    p99Us === undefined ? '–' : duration(p99Us),
    cpuUs === undefined ? '–' : duration(cpuUs),
    busy === undefined ? '–' : `${Math.round(busy * 100)} %`,
    `${digits(pssBytes / 1024 ** 2)} MiB`,
  ];
}

function numbers({ rounds }: { readonly rounds: readonly Measurement[] }): Numbers {
  const found: Numbers = {};
  for (const name of ['value', 'p50Us', 'p99Us', 'cpuUs', 'busy', 'disturbed', 'pssBytes', 'rssBytes'] as const) {
    const values = rounds.map((round) => round[name]).filter((value) => value !== undefined);
    if (values.length === rounds.length && values.length > 0) found[name] = median(values);
  }
  return found;
}

/** Why cells are empty, what failed, and what to know of the rest; each said once. */
export function remarks(result: Result): readonly string[] {
  const left = new Map<string, string[]>();
  const failed = new Map<string, string[]>();
  const notes = new Set<string>();
  let loadBound = false;
  let disturbed = 0;
  for (const { row, outcomes } of result.rows) {
    for (const server of result.servers) {
      const outcome = outcomes[server.name];
      if (outcome?.kind === 'left-out') {
        const said = `${server.title} ${outcome.reason}`;
        left.set(said, [...(left.get(said) ?? []), row.id]);
      }
      if (outcome?.kind === 'failed') {
        const said = `${server.title}: ${outcome.reason}`;
        failed.set(said, [...(failed.get(said) ?? []), row.id]);
      }
      for (const note of notesOf(outcome)) notes.add(`${row.id}: ${server.title} ${note}.`);
      if (outcome?.kind !== 'measured') continue;
      const { busy = 1, disturbed: others = 0 } = numbers(outcome);
      loadBound ||= row.unit === 'requests/s' && busy < BUSY;
      disturbed = Math.max(disturbed, others);
    }
  }
  return [
    ...[...failed].map(([said, rows]) => `FAILED (${rows.join(', ')}): ${said}`),
    ...[...left].map(
      ([said, rows]) => `–: ${said} (${rows.length === result.rows.length ? 'all rows' : rows.join(', ')}).`,
    ),
    ...notes,
    ...(loadBound
      ? [`*: the server used less than ${BUSY * 100} % of its core; compare the CPU time per request.`]
      : []),
    ...(disturbed >= DISTURBED
      ? [`The machine was not quiet: other programs took up to ${disturbed.toFixed(1)} of the benchmark's two cores.`]
      : []),
  ];
}

function notesOf(outcome: Outcome | undefined): ReadonlySet<string> {
  return new Set(outcome?.kind === 'measured' ? outcome.rounds.flatMap(({ notes }) => notes) : []);
}

export function versions(servers: readonly ServerInfo[], tools: Readonly<Record<string, string>>): string {
  const named = servers.map(({ title, version }) => `${title} ${version ?? '(not installed)'}`);
  return [...named, ...Object.entries(tools).map(([name, version]) => `${name} ${version}`)].join(', ');
}
