// What was typed -> the arguments of a command: node:util's parseArgs, with the environment and the defaults behind it.
import { parseArgs } from 'node:util';
import { didYouMean } from '../output/suggest.ts';
import { clip } from '../output/text.ts';
import { type Arguments, type Command, type Option, UsageError } from './command.ts';

/** Options that every command has. */
export const COMMON_OPTIONS = {
  help: { type: 'boolean', short: 'h', doc: 'Show this help.' },
} as const satisfies Record<string, Option>;

/** Throws UsageError for unknown options, missing values, and values of an environment variable that cannot be meant. */
export function parseArguments(
  command: Pick<Command, 'options'>,
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Arguments {
  const options: Readonly<Record<string, Option>> = { ...COMMON_OPTIONS, ...command.options };
  const { values, positionals } = parseTyped(options, argv);
  const find = (name: string): Option => {
    const option = options[name];
    if (!option) throw new Error(`the command reads an option "${name}" that it does not declare`);
    return option;
  };
  const fromEnv = (name: string): string | undefined => {
    const variable = find(name).env;
    // An empty variable is one that is not set: that is how compose files and shells leave one out.
    return variable === undefined ? undefined : env[variable] || undefined;
  };
  const typed = (name: string): readonly (string | boolean)[] => {
    const value = values[name];
    return value === undefined ? [] : Array.isArray(value) ? value : [value];
  };
  return {
    positionals,
    text: (name) => typed(name).map(String)[0] ?? fromEnv(name) ?? find(name).default,
    list(name) {
      const given = typed(name).map(String);
      if (given.length > 0) return given;
      const listed = fromEnv(name) ?? find(name).default;
      return listed === undefined ? [] : listed.split(',').map((item) => item.trim());
    },
    flag(name) {
      if (typed(name).length > 0) return true;
      const value = fromEnv(name);
      if (value === undefined || value === '0' || value === 'false') return false;
      if (value === '1' || value === 'true') return true;
      throw new UsageError(`${find(name).env}: expected true or false, found "${clip(value)}"`);
    },
    label: (name) => (typed(name).length === 0 && fromEnv(name) !== undefined ? (find(name).env ?? name) : `--${name}`),
  };
}

function parseTyped(options: Readonly<Record<string, Option>>, argv: readonly string[]) {
  const config = Object.fromEntries(
    Object.entries(options).map(([name, { type, short, multiple = false }]) => [
      name,
      { type, multiple, ...(short !== undefined && { short }) },
    ]),
  );
  try {
    return parseArgs({ args: [...argv], options: config, allowPositionals: true, strict: true });
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error)) throw error;
    const [, name = ''] = /'(?:-., )?(-[^' ]*)/.exec(error.message) ?? [];
    if (error.code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION') {
      const known = Object.keys(options).map((option) => `--${option}`);
      // A single letter is near to everything short.
      throw new UsageError(`unknown option ${clip(name)}${name.startsWith('--') ? didYouMean(name, known) : ''}`);
    }
    if (error.code === 'ERR_PARSE_ARGS_INVALID_OPTION_VALUE') {
      if (error.message.includes('does not take an argument')) throw new UsageError(`${clip(name)} takes no value`);
      throw new UsageError(`${clip(name)} has no value; one that begins with "-" is written ${clip(name)}=VALUE`);
    }
    throw error;
  }
}
