// What a simulation found, as a table for people and as the file of results for programs. Pure.
import type { Cell, Styles } from '../output/table.ts';
import { table } from '../output/table.ts';
import { count } from '../output/text.ts';
import type { Placement } from './placing.ts';
import type { Ran } from './run.ts';
import type { Tally } from './statistics.ts';

export interface Simulation {
  /** As its file has it, every field. */
  readonly scenario: object;
  /** By the scenario's clients. */
  readonly placements: readonly Placement[];
  readonly ran: Ran;
  /** Unix milliseconds. */
  readonly startedAt: number;
  /** Of the configuration, when it began. */
  readonly version: string;
  readonly warnings: readonly string[];
}

/** Names of other origins that stand beside the one that answered most. */
const MAX_OTHERS = 2;

/** The table and what is to be said below it, ending in a newline. */
export function resultTable({ placements, ran }: Simulation, styles: Styles): string {
  const { statistics, elapsedMs } = ran;
  const rows = placements.map((placement, index) => {
    const { client, country, edge } = placement;
    const tally = statistics.clients[index];
    return [client.name, country, edge.name, ...originCells(placement, tally), ...numberCells(tally, styles)];
  });
  const totals = ['', '', '', '', '', ...numberCells(statistics.total, styles)].map((cell, column) =>
    column === 0 ? { text: 'together', style: styles.strong } : cell,
  );
  const head = ['CITY', 'COUNTRY', 'EDGE', 'ORIGIN', 'KM', 'REQUESTS', 'ERRORS', 'HITS', 'P50 MS', 'P99 MS'];
  const rate = elapsedMs > 0 ? (statistics.total.requests / elapsedMs) * 1000 : 0;
  const notes = [
    `${count(statistics.total.requests, 'request')} in ${(elapsedMs / 1000).toFixed(1)} s, ${rate.toFixed(0)} a second` +
      `${ran.interrupted ? '; ended early' : ''}`,
    ...failureNotes(placements, ran),
    ...unsentNotes(statistics.total),
  ];
  return `${table(head, [...rows, totals])}\n${notes.map((note) => `${note}\n`).join('')}`;
}

function failureNotes(placements: readonly Placement[], { statistics }: Ran): string[] {
  const first = statistics.firstFailure;
  if (!first) return [];
  const where = placements[first.client];
  const kinds = [...statistics.total.reasons].toSorted(([, a], [, b]) => b - a);
  const list = kinds.map(([reason, times]) => `${times} × ${reason}`).join(', ');
  return [
    `${count(statistics.total.failed, 'error')}: ${list}; the first after ${(first.atMs / 1000).toFixed(1)} s, ` +
      `${where?.client.name} at ${where?.edge.name}: ${first.reason}`,
  ];
}

function unsentNotes({ unsent, unanswered }: Tally): string[] {
  const notes: string[] = [];
  if (unsent > 0) notes.push(`${count(unsent, 'request')} not sent: all "connections" of the client were in use`);
  if (unanswered > 0) notes.push(`${count(unanswered, 'request')} without an answer when it ended`);
  return notes;
}

/** The origins that answered, most often first; before any did, the one that the edge would ask. */
function originsOf({ expected }: Placement, tally: Tally | undefined): string[] {
  const answered = [...(tally?.origins ?? [])].toSorted(([, a], [, b]) => b - a).map(([name]) => name);
  return answered.length === 0 && expected !== undefined ? [expected] : answered;
}

function originCells(placement: Placement, tally: Tally | undefined): Cell[] {
  const [most, ...others] = originsOf(placement, tally);
  if (most === undefined) return [{ text: '-' }, right('-')];
  const shown = [most, ...others.slice(0, MAX_OTHERS)].join(', ');
  const more = others.length > MAX_OTHERS ? ` and ${others.length - MAX_OTHERS} more` : '';
  const km = placement.origins.get(most);
  const asked = (tally?.origins.size ?? 0) > 0;
  return [{ text: asked ? shown + more : `(${shown})` }, right(km === undefined ? '-' : String(Math.round(km)))];
}

function numberCells(tally: Tally | undefined, styles: Styles): Cell[] {
  const failed = tally?.failed ?? 0;
  const ratio = tally?.hitRatio;
  return [
    right(String(tally?.requests ?? 0)),
    { ...right(String(failed)), ...(failed > 0 && { style: styles.bad }) },
    right(ratio === undefined ? '-' : `${Math.floor(100 * ratio)}%`),
    right(milliseconds(tally?.latency.quantile(0.5))),
    right(milliseconds(tally?.latency.quantile(0.99))),
  ];
}

function right(text: string): Cell {
  return { text, align: 'right' };
}

function milliseconds(ms: number | undefined): string {
  return ms === undefined ? '-' : ms.toFixed(1);
}

/** The file of results. Times are milliseconds, ratios 0..1, absent numbers null. */
export function results({ scenario, placements, ran, startedAt, version, warnings }: Simulation): object {
  const { statistics, events, elapsedMs, interrupted } = ran;
  const first = statistics.firstFailure;
  const name = (client: number): string => placements[client]?.client.name ?? '';
  return {
    scenario,
    startedAt: new Date(startedAt).toISOString(),
    version,
    elapsedMs: Math.round(elapsedMs),
    interrupted,
    warnings,
    total: numbers(statistics.total),
    firstFailure: first ? { atMs: Math.round(first.atMs), client: name(first.client), reason: first.reason } : null,
    clients: placements.map((placement, index) => ({
      city: placement.client.name,
      country: placement.country,
      edge: placement.edge.name,
      distanceToEdgeKm: Math.round(placement.distanceToEdgeKm),
      expectedOrigin: placement.expected ?? null,
      originsKm: Object.fromEntries([...placement.origins].map(([origin, km]) => [origin, Math.round(km)])),
      ...numbers(statistics.clients[index]),
    })),
    events,
    seconds: statistics.seconds.map(({ total, clients }, second) => ({
      second,
      ...numbers(total),
      clients: Object.fromEntries(clients.map((tally, client) => [name(client), numbers(tally)])),
    })),
  };
}

function numbers(tally: Tally | undefined): object {
  return {
    requests: tally?.requests ?? 0,
    answered: tally?.answered ?? 0,
    errors: tally?.failed ?? 0,
    unsent: tally?.unsent ?? 0,
    unanswered: tally?.unanswered ?? 0,
    hits: tally?.hits ?? 0,
    hitRatio: rounded(tally?.hitRatio, 4),
    p50Ms: rounded(tally?.latency.quantile(0.5), 2),
    p99Ms: rounded(tally?.latency.quantile(0.99), 2),
    origins: Object.fromEntries(tally?.origins ?? []),
    reasons: Object.fromEntries(tally?.reasons ?? []),
  };
}

function rounded(value: number | undefined, digits: number): number | null {
  return value === undefined ? null : Number(value.toFixed(digits));
}
