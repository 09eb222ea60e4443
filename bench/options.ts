// What was typed -> what to measure.
import { parseArgs } from 'node:util';

export interface Options {
  /** Ids; undefined: all. */
  readonly rows: readonly string[] | undefined;
  readonly servers: readonly string[] | undefined;
  readonly rounds: number;
  /** Of load, for each measurement. */
  readonly seconds: number;
  /** For waiting until other programs rest, and for measuring again what they disturbed, all in all; seconds. */
  readonly patience: number;
  readonly smoke: boolean;
  readonly json: boolean;
  readonly write: boolean;
}

export class UsageError extends Error {}

/** Undefined: help was asked for. Throws UsageError. */
export function parseOptions(
  argv: readonly string[],
  known: { readonly rows: readonly string[]; readonly servers: readonly string[] },
): Options | undefined {
  const { values } = parse(argv);
  if (values.help) return undefined;
  const smoke = values.smoke ?? false;
  if (smoke && values.write) throw new UsageError('--smoke measures nothing that would be worth --write');
  return {
    rows: names('rows', values.rows, known.rows),
    servers: names('servers', values.servers, known.servers),
    rounds: number('rounds', values.rounds ?? (smoke ? '1' : '5'), 1, 100, true),
    seconds: number('seconds', values.seconds ?? (smoke ? '0.5' : '3'), 0.1, 600, false),
    patience: number('patience', values.patience ?? (smoke ? '0' : '300'), 0, 86_400, false),
    smoke,
    json: values.json ?? false,
    write: values.write ?? false,
  };
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      options: {
        rows: { type: 'string' },
        servers: { type: 'string' },
        rounds: { type: 'string' },
        seconds: { type: 'string' },
        patience: { type: 'string' },
        smoke: { type: 'boolean' },
        json: { type: 'boolean' },
        write: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error));
  }
}

function names(option: string, text: string | undefined, known: readonly string[]): readonly string[] | undefined {
  if (text === undefined) return undefined;
  const given = text.split(',').map((name) => name.trim());
  const unknown = given.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    throw new UsageError(`--${option}: there is no "${unknown.join('", "')}"; there are ${known.join(', ')}`);
  }
  return given;
}

function number(option: string, text: string, least: number, most: number, whole: boolean): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= least && value <= most) || (whole && !Number.isInteger(value))) {
    const kind = whole ? 'a whole number' : 'a number';
    throw new UsageError(`--${option}: expected ${kind} from ${least} to ${most}, found "${text}"`);
  }
  return value;
}

export const HELP = `Compares Meridian with nginx, HAProxy, Varnish and Caddy, one core each, the load on another.

  npm run bench -- [OPTIONS]

  --rows ID,..     measure these rows only
  --servers NAME,..  measure these servers only
  --rounds N       how often each server has its turn in a row (default 5)
  --seconds S      how long each turn lasts (default 3)
  --patience S     how long to wait in all for a quiet machine, and to repeat what was disturbed (default 300)
  --json           print the result as JSON
  --write          write docs/benchmarks.md
  --smoke          one short turn each: checks that everything runs and answers correctly, and measures nothing

On Debian as root it installs what is missing of the other servers and of wrk and h2load; elsewhere it leaves their
columns out. Exits with 1 when a server answered wrongly or not at all.
`;
