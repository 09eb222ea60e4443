// What the benchmark knows of a server: how to start one instance of it on given ports, and what it cannot do at all.
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Command } from '../processes.ts';

/** Where one instance lives. Ports are free ones of 127.0.0.1. */
export interface Place {
  /** Its own; empty, and removed at the end. */
  readonly directory: string;
  readonly originPort: number;
  readonly httpPort: number;
  readonly tlsPort: number;
  /** Undefined: no access log. */
  readonly accessLog: string | undefined;
  readonly certificate: Certificate;
}

/** For "localhost", in PEM. */
export interface Certificate {
  /** Holds localhost.crt, localhost.key, and both in localhost.pem. */
  readonly directory: string;
  readonly certificate: string;
  readonly key: string;
  readonly both: string;
}

export interface Peer {
  readonly name: string;
  readonly title: string;
  /** What must be on the PATH, and the Debian package that brings it; undefined for Meridian, which is here. */
  readonly program: string | undefined;
  readonly package: string | undefined;
  /** Prints its version; the first number with two dots or more is taken, else the first with one. */
  readonly version: readonly string[];
  /** Why it cannot, if so. */
  readonly cannotCache?: string;
  cannotTls(): Promise<string | undefined>;
  /** Writes its configuration into the place's directory. The commands are to be started in this order. */
  prepare(place: Place): Promise<readonly Command[]>;
}

/**
 * Writes bench/peers/TEMPLATE with its `${NAME}`s replaced; resolves with the new file's path. Lines between `#if NAME` and
 * `#end` stay only when NAME has a value. Throws for a name without one elsewhere.
 */
export async function fillIn(
  template: string,
  directory: string,
  values: Readonly<Record<string, string | number | undefined>>,
): Promise<string> {
  const text = await readFile(new URL(template, import.meta.url), 'utf8');
  const kept = text.replaceAll(/^ *#if (\w+)\n(.*?)^ *#end\n/gms, (_, name: string, lines: string) =>
    values[name] === undefined ? '' : lines,
  );
  const filled = kept.replaceAll(/\$\{([A-Z_]+)\}/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`${template} names \${${name}}, which has no value`);
    return String(value);
  });
  const file = path.join(directory, template);
  await writeFile(file, filled);
  return file;
}
