// Values of options: text -> what is meant, or a UsageError that names the option, what it expects and what it found.
import type { Version } from '../../proto/gen/meridian/v1/resources.ts';
import { LIMITS } from '../../proto/limits.ts';
import { formatDuration, parseDuration, parseSize } from '../config/duration.ts';
import type { Bounds } from '../config/types.ts';
import { parseVersion } from '../output/changes.ts';
import { didYouMean } from '../output/suggest.ts';
import { clip } from '../output/text.ts';
import { type Arguments, UsageError } from './command.ts';

function refuse(args: Arguments, name: string, expected: string, found: string): UsageError {
  return new UsageError(`${args.label(name)}: expected ${expected}, found "${clip(found)}"`);
}

/** The value of an option that has a default. */
export function given(args: Arguments, name: string): string {
  const value = args.text(name);
  if (value === undefined) throw new UsageError(`${args.label(name)} is missing`);
  return value;
}

/** `HOST:PORT`, the host a name or an address (IPv6 in brackets). `listen`: port 0 (any free one) is accepted. */
export function endpoint(args: Arguments, name: string, text: string, use: 'dial' | 'listen'): string {
  const match = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})$/.exec(text);
  const port = Number(match?.[2] ?? -1);
  if (port < (use === 'listen' ? 0 : 1) || port > 65_535) {
    throw refuse(args, name, 'HOST:PORT such as 127.0.0.1:7401', text);
  }
  return text;
}

/** Milliseconds. */
export function durationOption(args: Arguments, name: string, bounds: Bounds = LIMITS.timeoutMs): number {
  const text = given(args, name);
  const ms = parseDuration(text);
  if (ms === undefined) throw refuse(args, name, 'a duration such as 5s', text);
  if (ms < bounds.min || ms > bounds.max) {
    throw refuse(args, name, `a duration from ${formatDuration(bounds.min)} to ${formatDuration(bounds.max)}`, text);
  }
  return ms;
}

/** A whole number. */
export function countOption(args: Arguments, name: string, { min, max }: Bounds): number {
  const text = given(args, name);
  const count = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (!(count >= min && count <= max)) throw refuse(args, name, `a whole number from ${min} to ${max}`, text);
  return count;
}

/** The first of the ports of a local stack; undefined when the option is not given. */
export function portBaseOption(args: Arguments, name: string, { min, max }: Bounds): number | undefined {
  const text = args.text(name);
  if (text === undefined) return undefined;
  const base = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(base >= min && base <= max)) throw refuse(args, name, `a port from ${min} to ${max}`, text);
  return base;
}

/** Bytes. */
export function sizeOption(args: Arguments, name: string): number {
  const text = given(args, name);
  const bytes = parseSize(text);
  if (bytes === undefined || bytes < 1 || bytes > Number.MAX_SAFE_INTEGER) {
    throw refuse(args, name, 'a size such as 256MiB', text);
  }
  return bytes;
}

/** 0..1, written as a decimal or as 1/N. */
export function shareOption(args: Arguments, name: string): number {
  const text = given(args, name);
  const [, parts] = /^1\/(\d{1,15})$/.exec(text) ?? [];
  const share =
    parts !== undefined ? 1 / Number(parts) : /^[01](?:\.\d{1,15})?$/.test(text) ? Number(text) : Number.NaN;
  if (!(share <= 1)) throw refuse(args, name, 'a share from 0 to 1, such as 0.01 or 1/100', text);
  return share;
}

export function choiceOption<T extends string>(args: Arguments, name: string, choices: readonly T[]): T {
  const text = given(args, name);
  const choice = choices.find((candidate) => candidate === text);
  if (choice === undefined) throw refuse(args, name, `one of ${choices.join(', ')}`, text);
  return choice;
}

/** `1763953845123.42`; undefined when the option is not given. */
export function versionOption(args: Arguments, name: string): Version | undefined {
  const text = args.text(name);
  if (text === undefined) return undefined;
  const version = parseVersion(text);
  if (!version) throw refuse(args, name, 'a version such as 1763953845123.42', text);
  return version;
}

/** A version among the positional arguments. */
export function versionArgument(text: string | undefined): Version {
  const version = text === undefined ? undefined : parseVersion(text);
  if (version) return version;
  const found = text === undefined ? '' : `, found "${clip(text)}"`;
  throw new UsageError(`expected a version such as 1763953845123.42, as "meridian history" prints them${found}`);
}

/** No positional arguments but those that the command has taken. */
export function noMore(positionals: readonly string[]): void {
  const [first] = positionals;
  if (first !== undefined) throw new UsageError(`unexpected argument "${clip(first)}"`);
}

/** "expected site, pool or edge", with a suggestion. */
export function unknownWord(what: string, word: string, known: readonly string[]): UsageError {
  const list = `${known.slice(0, -1).join(', ')} or ${known.at(-1)}`;
  return new UsageError(`unknown ${what} "${clip(word)}": expected ${list}${didYouMean(word, known)}`);
}
