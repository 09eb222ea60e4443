// `meridian apply`: configuration files become the state that the control plane keeps, in one transaction or not at all.
import type { CanaryRequest } from '../../proto/gen/meridian/v1/admin.ts';
import { LIMITS } from '../../proto/limits.ts';
import { formatProblem } from '../../proto/problems.ts';
import { type Loaded, loadConfig } from '../config/load.ts';
import { formatFileProblem } from '../config/place.ts';
import { followChange } from '../output/changes.ts';
import { problemsOf } from '../output/grpc-errors.ts';
import { count, printable } from '../output/text.ts';
import { CLIENT_OPTIONS, withAdmin } from './client.ts';
import { type Arguments, type Command, EXIT, UsageError } from './command.ts';
import { durationOption, versionOption } from './values.ts';

export const command: Command = {
  name: 'apply',
  summary: 'Make configuration files the desired state, whole or not at all',
  usage: ['apply -f FILE..'],
  description: [
    'What the files declare is created or replaced; what they do not mention stays, unless --prune is given. The result is ' +
      'checked as a whole; with any problem (each is named by file, line and column) nothing is changed. The fields are ' +
      'described in docs/configuration.md.',
    'With --json: one object a line. First {"event":"committed", "dryRun", "version", "changes":[{"kind","name","action"}]}; ' +
      'with --wait then {"event":"edge", "edge", "outcome":"acked|late|gone|refused", "elapsedMs", "detail"} for each edge ' +
      'and {"event":"summary", "acked", "late", "gone", "refused", "exitCode"}. Problems go to stderr as text.',
    'With --canary, the named edges serve it alone for the time of --hold. When one of them refuses it, fails in 5 of 100 ' +
      'requests more than before, or takes more than twice as long and 50 ms more on average, the former configuration comes ' +
      'back by itself; else all edges get it. It is announced by {"event":"canary", "promoted", "reason", "version"}.',
    'Exit code 3: the configuration is committed, but not every edge serves it yet (--wait), or it was put back (--canary).',
  ],
  options: {
    file: { type: 'string', short: 'f', multiple: true, value: 'FILE', doc: 'A YAML file; "-" is standard input.' },
    'dry-run': { type: 'boolean', doc: 'Check, and say what would change; change nothing.' },
    prune: { type: 'boolean', doc: 'Delete the resources that the files do not declare.' },
    wait: { type: 'boolean', doc: 'Wait until every edge serves the new configuration.' },
    canary: {
      type: 'string',
      multiple: true,
      value: 'EDGE,..',
      doc: 'Give it to these edges first, and to the others when it proves good.',
    },
    hold: { type: 'string', value: 'DURATION', default: '30s', doc: 'How long the edges of --canary serve it alone.' },
    expect: { type: 'string', value: 'VERSION', doc: 'Refuse when the configuration is another one by now.' },
    timeout: { type: 'string', value: 'DURATION', default: '30s', doc: 'How long to wait with --wait.' },
    ...CLIENT_OPTIONS,
  },
  examples: [
    { line: 'meridian apply -f meridian.yaml --dry-run', doc: 'What would change.' },
    { line: 'meridian apply -f meridian.yaml --wait', doc: 'Change it, and see each edge take it.' },
    {
      line: 'meridian apply -f meridian.yaml --canary lon,par --hold 2m',
      doc: 'Two edges try it; it comes back by itself if they fare worse.',
    },
    { line: 'meridian apply -f sites.yaml -f pools.yaml --prune', doc: 'These files are all there is.' },
  ],

  async run(args, io) {
    // `-f *.yaml` leaves all but the first file as positional arguments.
    const files = [...args.list('file'), ...args.positionals];
    if (args.list('file').length === 0) throw new UsageError('expected a file: -f FILE, or -f - for standard input');
    const waitMs = args.flag('wait') ? durationOption(args, 'timeout') : 0;
    const config = await loadConfig(files, { stdin: io.stdin });
    if (config.kind === 'problems') {
      io.stderr.write(describeProblems(config, 'nothing was changed'));
      return EXIT.failed;
    }
    return withAdmin(args, io, async (admin) => {
      const request = {
        ...config.resources,
        prune: args.flag('prune'),
        dryRun: args.flag('dry-run'),
        waitMs,
        expected: versionOption(args, 'expect'),
        canary: canaryOptions(args),
      };
      const { address } = admin;
      const following = {
        json: args.flag('json'),
        dryRun: request.dryRun,
        wait: waitMs > 0 || request.canary !== undefined,
      };
      try {
        return await followChange(admin.apply(request), { ...following, address }, io);
      } catch (error) {
        const problems = problemsOf(error);
        if (!problems) throw error;
        const lines = problems.map((problem) => {
          const place = config.locate(problem);
          return place ? formatFileProblem(place) : printable(formatProblem(problem));
        });
        io.stderr.write(`${lines.join('\n')}\nnothing was changed\n`);
        return EXIT.failed;
      }
    });
  },
};

function canaryOptions(args: Arguments): CanaryRequest | undefined {
  const edges = args.list('canary').flatMap((listed) => listed.split(','));
  return edges.length === 0 ? undefined : { edges, holdMs: durationOption(args, 'hold', LIMITS.canaryHoldMs) };
}

/** The problems line by line, and what follows from them. */
export function describeProblems(config: Extract<Loaded, { kind: 'problems' }>, consequence: string): string {
  const lines = config.problems.map(formatFileProblem);
  if (config.omitted > 0) lines.push(`and ${count(config.omitted, 'more problem')}`);
  return `${lines.join('\n')}\n${consequence}\n`;
}
