// What a command of `meridian` is: its name, its help and how it runs. The registry, the help texts and docs/cli.md are all
// made from this one description.
import type { Clock } from '../../infra/runtime/clock.ts';
import type { Random } from '../../infra/runtime/random.ts';

export interface Output {
  write(text: string): unknown;
}

/** The few parts of a process that a command that keeps running needs; a test brings its own. */
export interface ProcessPort {
  on(event: string, listener: (...args: unknown[]) => void): unknown;
  removeListener(event: string, listener: (...args: unknown[]) => void): unknown;
  /** Present in a child of `meridian up`: how it says that it is ready. */
  readonly send?: ((message: object) => unknown) | undefined;
  exit(code: number): void;
}

/** Everything that a command touches of the outside world. */
export interface Io {
  /** Data: what a pipe would read. */
  readonly stdout: Output;
  /** Messages: what a person reads. */
  readonly stderr: Output;
  /** Reads standard input to its end; for `-f -`. */
  readonly stdin: () => Promise<Uint8Array>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Whether stdout may carry colours: a terminal, and NO_COLOR is not set. */
  readonly colour: boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly process: ProcessPort;
}

export interface Option {
  readonly type: 'string' | 'boolean';
  readonly short?: string;
  /** May be given more than once; in an environment variable separated by commas. */
  readonly multiple?: boolean;
  /** Name of the value in the help: FILE, HOST:PORT. Absent for a boolean. */
  readonly value?: string;
  readonly default?: string;
  /** Environment variable that stands in for the option. */
  readonly env?: string;
  /** A sentence or two. */
  readonly doc: string;
}

/** What parsing gives: the options as typed, as the environment has them, or their defaults; absent ones left out. */
export interface Arguments {
  readonly positionals: readonly string[];
  /** The value of an option of type string that is not `multiple`. */
  text(name: string): string | undefined;
  /** The values of a `multiple` option; empty when not given. */
  list(name: string): readonly string[];
  flag(name: string): boolean;
  /** What to call the option in a message: `--listen`, or `MERIDIAN_LISTEN` when the environment set it. */
  label(name: string): string;
}

export interface Example {
  readonly line: string;
  readonly doc: string;
}

export interface Command {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** After `meridian `: `purge url URL..`. One line for each form. */
  readonly usage: readonly string[];
  /** Paragraphs: what it does, what comes out with --json, what can go wrong. */
  readonly description: readonly string[];
  readonly options: Readonly<Record<string, Option>>;
  readonly examples: readonly Example[];
  /** Gives the exit code. Throws UsageError for what was typed wrong and Failure for what did not work. */
  run(args: Arguments, io: Io): Promise<number>;
}

export const EXIT = { done: 0, failed: 1, usage: 2, partial: 3 } as const;

/** What was typed cannot be meant: exit code 2. The message says what was wrong and what was expected. */
export class UsageError extends Error {}

/** It did not work: exit code 1. The message is for people: what, where, what to do. */
export class Failure extends Error {}
