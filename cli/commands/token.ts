// `meridian token`: bearer tokens of the admin API, made, listed and revoked.
import type { Token } from '../../proto/gen/meridian/v1/access.ts';
import { ROLES, roleFromWire, roleToWire } from '../../proto/roles.ts';
import { printJson } from '../output/outcomes.ts';
import { stylesFor, table } from '../output/table.ts';
import { CLIENT_OPTIONS, withAdmin } from './client.ts';
import { type Arguments, type Command, EXIT, type Io, UsageError } from './command.ts';
import { choiceOption, countOption, noMore, unknownWord } from './values.ts';

const DAY_MS = 24 * 3_600_000;
const ACTIONS = ['create', 'list', 'revoke'] as const;

export const command: Command = {
  name: 'token',
  summary: 'Make, list and revoke the tokens by which programs use the admin API',
  usage: ['token create NAME --role ROLE [--days DAYS]', 'token list', 'token revoke ID'],
  description: [
    'A token stands in for a client certificate. "create" prints it on standard output, once: only a hash of it is kept. Put ' +
      'it into a file that nobody else can read, and name that with --token-file. Needs the role administer.',
    'With --json: create prints {"token", "id", "name", "role", "createdAt", "expiresAt"}; list prints {"tokens":[...]} ' +
      'of the same but for "token"; revoke prints what was revoked.',
  ],
  options: {
    role: {
      type: 'string',
      value: 'ROLE',
      doc: `What its holder may do: ${ROLES.join(', ')}; each includes those before it.`,
    },
    days: { type: 'string', value: 'DAYS', default: '90', doc: 'How long it is valid; 0: until it is revoked.' },
    ...CLIENT_OPTIONS,
  },
  examples: [
    { line: 'meridian token create ci --role purge > ci.token', doc: 'For a program that purges.' },
    { line: 'meridian token list', doc: 'Which there are.' },
    { line: 'meridian token revoke 0123456789abcdef', doc: 'From now on it opens nothing.' },
  ],

  async run(args, io) {
    const [word, subject, ...rest] = args.positionals;
    noMore(rest);
    switch (ACTIONS.find((action) => action === word)) {
      case 'create':
        if (subject === undefined) throw new UsageError('expected a name: token create NAME --role ROLE');
        return create(args, io, subject);
      case 'list':
        noMore(subject === undefined ? [] : [subject]);
        return list(args, io);
      case 'revoke':
        if (subject === undefined)
          throw new UsageError('expected the ID of a token, as "meridian token list" shows it');
        return revoke(args, io, subject);
      case undefined:
        if (word === undefined) throw new UsageError('expected create, list or revoke');
        throw unknownWord('action', word, ACTIONS);
    }
  },
};

async function create(args: Arguments, io: Io, name: string): Promise<number> {
  if (args.text('role') === undefined) throw new UsageError(`--role is missing: ${ROLES.join(', ')}`);
  const role = roleToWire(choiceOption(args, 'role', ROLES));
  const lifetimeMs = countOption(args, 'days', { min: 0, max: 3650 }) * DAY_MS;
  const { token, text } = await withAdmin(args, io, (admin) => admin.createToken({ name, role, lifetimeMs }));
  if (args.flag('json')) printJson(io, { token: text, ...(token && plain(token)) });
  else {
    io.stdout.write(`${text}\n`);
    io.stderr.write(`token ${token?.id} of "${name}", ${expiry(token)}; it is not shown again\n`);
  }
  return EXIT.done;
}

async function list(args: Arguments, io: Io): Promise<number> {
  const { tokens } = await withAdmin(args, io, (admin) => admin.listTokens());
  if (args.flag('json')) printJson(io, { tokens: tokens.map(plain) });
  else if (tokens.length === 0) io.stdout.write('there is no token\n');
  else {
    const styles = stylesFor(io);
    const now = io.clock.now();
    const rows = tokens.map((token) => {
      const expired = token.expiresAtMs !== 0 && token.expiresAtMs <= now;
      const { id, name, role, createdAt, expiresAt } = plain(token);
      return [id, name, role, createdAt, { text: expiresAt ?? 'never', ...(expired && { style: styles.bad }) }];
    });
    io.stdout.write(table(['ID', 'NAME', 'ROLE', 'CREATED', 'EXPIRES'], rows));
  }
  return EXIT.done;
}

async function revoke(args: Arguments, io: Io, id: string): Promise<number> {
  const { token } = await withAdmin(args, io, (admin) => admin.revokeToken({ id }));
  if (args.flag('json')) printJson(io, token ? plain(token) : {});
  else io.stdout.write(`token ${id} of "${token?.name}" is revoked\n`);
  return EXIT.done;
}

function plain({ id, name, role, createdAtMs, expiresAtMs }: Token) {
  return {
    id,
    name,
    role: roleFromWire(role) ?? '',
    createdAt: new Date(createdAtMs).toISOString(),
    expiresAt: expiresAtMs === 0 ? null : new Date(expiresAtMs).toISOString(),
  };
}

function expiry(token: Token | undefined): string {
  return token && token.expiresAtMs !== 0
    ? `until ${new Date(token.expiresAtMs).toISOString()}`
    : 'until it is revoked';
}
