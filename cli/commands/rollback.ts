// `meridian rollback`: a configuration of the past becomes the present one, as a new version.
import { followChange } from '../output/changes.ts';
import { CLIENT_OPTIONS, withAdmin } from './client.ts';
import type { Command } from './command.ts';
import { durationOption, noMore, versionArgument } from './values.ts';

export const command: Command = {
  name: 'rollback',
  summary: 'Put back the configuration of a former version',
  usage: ['rollback VERSION'],
  description: [
    'All sites, pools and edges become what they were at VERSION, in one transaction, as a new version: edges never go back to ' +
      'an older one. What is drained stays drained. At least the last 100 versions are kept; "meridian history" lists them. While ' +
      'a configuration is on trial (apply --canary), this ends the trial.',
    'Output, with --json too, and exit codes are those of "meridian apply".',
  ],
  options: {
    'dry-run': { type: 'boolean', doc: 'Say what would change; change nothing.' },
    wait: { type: 'boolean', doc: 'Wait until every edge serves it.' },
    timeout: { type: 'string', value: 'DURATION', default: '30s', doc: 'How long to wait with --wait.' },
    ...CLIENT_OPTIONS,
  },
  examples: [{ line: 'meridian rollback 1763953845123.42 --wait', doc: 'As it was, on every edge.' }],

  async run(args, io) {
    const [text, ...rest] = args.positionals;
    noMore(rest);
    const version = versionArgument(text);
    const [wait, dryRun] = [args.flag('wait'), args.flag('dry-run')];
    const waitMs = wait ? durationOption(args, 'timeout') : 0;
    return withAdmin(args, io, (admin) => {
      const following = { json: args.flag('json'), dryRun, wait, address: admin.address };
      return followChange(progress(admin.rollback({ version, dryRun, waitMs })), following, io);
    });
  },
};

/** What is wrapped in an answer of its own. */
export async function* progress<T>(answers: AsyncIterable<{ readonly progress: T | undefined }>): AsyncGenerator<T> {
  for await (const { progress } of answers) if (progress) yield progress;
}
