// `meridian history`: which versions there were, what changed with each, and who asked for it.
import type { HistoryEntry } from '../../proto/gen/meridian/v1/admin.ts';
import { formatVersion } from '../../proto/version.ts';
import { changeLine, plainChange } from '../output/changes.ts';
import { printJson } from '../output/outcomes.ts';
import { clip, printable } from '../output/text.ts';
import { CLIENT_OPTIONS, withAdmin } from './client.ts';
import { type Command, EXIT, UsageError } from './command.ts';
import { given, noMore } from './values.ts';

/** Changes named in a line; the rest is counted. */
const NAMED = 4;
const MOST = 100_000;

export const command: Command = {
  name: 'history',
  summary: 'List the versions of the configuration, the newest first',
  usage: ['history'],
  description: [
    'For each version that is kept: when, by whom where that is known, by which command, and what changed. "meridian get --version", ' +
      '"diff" and "rollback" take these versions. At least the last 100 are kept.',
    'With --json: {"versions":[{"version", "former", "changedAt", "who", "what", "changes":[{"kind","name","action"}]}]}.',
  ],
  options: {
    limit: { type: 'string', value: 'NUMBER', default: '20', doc: 'How many.' },
    ...CLIENT_OPTIONS,
  },
  examples: [{ line: 'meridian history --limit 5', doc: 'The last five.' }],

  async run(args, io) {
    noMore(args.positionals);
    const text = given(args, 'limit');
    const limit = Number(text);
    if (!/^\d+$/.test(text) || limit < 1 || limit > MOST) {
      throw new UsageError(`${args.label('limit')}: expected a number from 1 to ${MOST}, found "${clip(text)}"`);
    }
    const { entries } = await withAdmin(args, io, (admin) => admin.history({ limit }));
    if (args.flag('json')) printJson(io, { versions: entries.map(plain) });
    else if (entries.length === 0) io.stdout.write('nothing was applied yet\n');
    else for (const entry of entries) io.stdout.write(lineOf(entry));
    return EXIT.done;
  },
};

function plain({ version, former, changedAtMs, who, what, changes }: HistoryEntry): object {
  return {
    version: formatVersion(version),
    former: former ? formatVersion(former) : null,
    changedAt: new Date(changedAtMs).toISOString(),
    who,
    what,
    changes: changes.map(plainChange),
  };
}

function lineOf({ version, changedAtMs, who, what, changes }: HistoryEntry): string {
  const by = who === '' ? '' : ` by ${printable(who)}`;
  const named = changes.slice(0, NAMED).map((change) => changeLine(change));
  const more = changes.length > NAMED ? ` and ${changes.length - NAMED} more` : '';
  const when = new Date(changedAtMs).toISOString();
  return `${formatVersion(version)}  ${when}  ${printable(what)}${by}\n    ${named.join(', ')}${more}\n`;
}
