// What a benchmark came to.
import type { Machine } from './machine.ts';
import type { Measurement } from './measure.ts';
import type { Row } from './rows.ts';

export type Outcome =
  | { readonly kind: 'measured'; readonly rounds: readonly Measurement[] }
  /** The server is not here, or lacks what the row is about. */
  | { readonly kind: 'left-out'; readonly reason: string }
  /** It answered wrongly or not at all. */
  | { readonly kind: 'failed'; readonly reason: string };

export interface RowResult {
  readonly row: Row;
  /** By server, in the order of their turns. */
  readonly outcomes: Readonly<Record<string, Outcome>>;
}

export interface ServerInfo {
  readonly name: string;
  readonly title: string;
  /** Undefined: it is not installed. */
  readonly version: string | undefined;
}

export interface Result {
  /** Of its end, ISO 8601. */
  readonly date: string;
  readonly machine: Machine;
  readonly rounds: number;
  readonly seconds: number;
  readonly servers: readonly ServerInfo[];
  /** Versions of the generators of load and of Node.js. */
  readonly tools: Readonly<Record<string, string>>;
  readonly rows: readonly RowResult[];
}

export function hasFailed({ rows }: Pick<Result, 'rows'>): boolean {
  return rows.some(({ outcomes }) => Object.values(outcomes).some(({ kind }) => kind === 'failed'));
}
