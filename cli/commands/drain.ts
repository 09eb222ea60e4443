// `meridian drain` and `undrain`: an operator's word on an origin, which counts whatever the edges measure.
import type { OriginRef } from '../../proto/gen/meridian/v1/health.ts';
import { followChange } from '../output/changes.ts';
import { clip } from '../output/text.ts';
import { CLIENT_OPTIONS, withAdmin } from './client.ts';
import { type Command, UsageError } from './command.ts';
import { progress } from './rollback.ts';
import { durationOption, noMore } from './values.ts';

function drainCommand(
  drained: boolean,
  parts: Pick<Command, 'name' | 'summary' | 'description' | 'examples'>,
): Command {
  return {
    ...parts,
    usage: [`${parts.name} POOL/ORIGIN`],
    options: {
      wait: { type: 'boolean', doc: 'Wait until every edge has it.' },
      timeout: { type: 'string', value: 'DURATION', default: '30s', doc: 'How long to wait with --wait.' },
      ...CLIENT_OPTIONS,
    },
    async run(args, io) {
      const [text, ...rest] = args.positionals;
      noMore(rest);
      const origin = originArgument(text);
      const wait = args.flag('wait');
      const waitMs = wait ? durationOption(args, 'timeout') : 0;
      return withAdmin(args, io, (admin) => {
        const following = { json: args.flag('json'), dryRun: false, wait, address: admin.address };
        return followChange(progress(admin.drain({ origin, drained, waitMs })), following, io);
      });
    },
  };
}

/** `POOL/ORIGIN`. Throws UsageError. */
export function originArgument(text: string | undefined): OriginRef {
  const [pool, origin, more] = text?.split('/') ?? [];
  if (pool && origin && more === undefined) return { pool, origin };
  throw new UsageError(
    `expected an origin such as cities/london${text === undefined ? '' : `, found "${clip(text)}"`}`,
  );
}

const OUTPUT = 'Output, with --json too, and exit codes are those of "meridian apply".';

export const drain: Command = drainCommand(true, {
  name: 'drain',
  summary: 'Take an origin out of use on every edge',
  description: [
    'Edges send it nothing new, as if it were down, unless all other origins of its pool are down too; requests under way are ' +
      'not broken off. The edges go on measuring it. It stays so, over restarts and other changes, until "meridian undrain".',
    OUTPUT,
  ],
  examples: [{ line: 'meridian drain cities/london --wait', doc: 'When this returns 0, London may be switched off.' }],
});

export const undrain: Command = drainCommand(false, {
  name: 'undrain',
  summary: 'Give a drained origin back',
  description: ['From now on what the edges measure counts again.', OUTPUT],
  examples: [{ line: 'meridian undrain cities/london', doc: 'London is back.' }],
});
