// `meridian apply`: configuration files become the state that the control plane keeps, in one transaction or not at all.
import { type ApplyCommitted, ChangeAction, OutcomeKind } from '../../proto/gen/meridian/v1/admin.ts';
import { formatProblem } from '../../proto/problems.ts';
import { formatVersion } from '../../proto/version.ts';
import { type Loaded, loadConfig } from '../config/load.ts';
import { formatFileProblem } from '../config/place.ts';
import { isServiceError, problemsOf, sentenceFor } from '../output/grpc-errors.ts';
import { OutcomePrinter, printJsonLine } from '../output/outcomes.ts';
import { count, printable } from '../output/text.ts';
import { CLIENT_OPTIONS, withAdmin } from './client.ts';
import { type Arguments, type Command, EXIT, Failure, type Io, UsageError } from './command.ts';
import { durationOption } from './values.ts';

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
    'Exit code 3 (with --wait): the configuration is committed, but not every edge serves it yet.',
  ],
  options: {
    file: { type: 'string', short: 'f', multiple: true, value: 'FILE', doc: 'A YAML file; "-" is standard input.' },
    'dry-run': { type: 'boolean', doc: 'Check, and say what would change; change nothing.' },
    prune: { type: 'boolean', doc: 'Delete the resources that the files do not declare.' },
    wait: { type: 'boolean', doc: 'Wait until every edge serves the new configuration.' },
    timeout: { type: 'string', value: 'DURATION', default: '30s', doc: 'How long to wait with --wait.' },
    ...CLIENT_OPTIONS,
  },
  examples: [
    { line: 'meridian apply -f meridian.yaml --dry-run', doc: 'What would change.' },
    { line: 'meridian apply -f meridian.yaml --wait', doc: 'Change it, and see each edge take it.' },
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
      const printer = new OutcomePrinter(io, args.flag('json'));
      let committed = false;
      try {
        for await (const { event } of admin.apply({
          ...config.resources,
          prune: args.flag('prune'),
          dryRun: args.flag('dry-run'),
          waitMs,
          expected: undefined,
          canary: undefined,
        })) {
          if (event?.$case === 'committed') {
            committed = true;
            printCommitted(event.value, args, io);
          } else if (event?.$case === 'edge') {
            printer.print(event.value);
          }
        }
      } catch (error) {
        const problems = problemsOf(error);
        if (problems) {
          const lines = problems.map((problem) => {
            const place = config.locate(problem);
            return place ? formatFileProblem(place) : printable(formatProblem(problem));
          });
          io.stderr.write(`${lines.join('\n')}\nnothing was changed\n`);
          return EXIT.failed;
        }
        if (!committed || !isServiceError(error)) throw error;
        io.stderr.write(
          `the configuration is committed, but not every edge could be heard: ${sentenceFor(error, admin.address)}\n`,
        );
        printer.finish('served by', LATER);
        return EXIT.partial;
      }
      if (!committed) throw new Failure(`the control plane at ${admin.address} did not say what it did`);
      return waitMs > 0 && !args.flag('dry-run') ? printer.finish('served by', LATER) : EXIT.done;
    });
  },
};

const LATER = {
  [OutcomeKind.GONE]: 'not connected, will take the newest configuration when it is back',
  [OutcomeKind.LATE]: 'did not confirm in time, goes on serving the former configuration until it does',
  [OutcomeKind.REFUSED]: 'goes on serving the former configuration until a newer one is applied',
};

/** The problems line by line, and what follows from them. */
export function describeProblems(config: Extract<Loaded, { kind: 'problems' }>, consequence: string): string {
  const lines = config.problems.map(formatFileProblem);
  if (config.omitted > 0) lines.push(`and ${count(config.omitted, 'more problem')}`);
  return `${lines.join('\n')}\n${consequence}\n`;
}

const ACTIONS: Readonly<Record<ChangeAction, { readonly done: string; readonly would: string }>> = {
  [ChangeAction.UNSPECIFIED]: { done: 'changed', would: 'would change' },
  [ChangeAction.CREATED]: { done: 'created', would: 'would create' },
  [ChangeAction.UPDATED]: { done: 'updated', would: 'would update' },
  [ChangeAction.DELETED]: { done: 'deleted', would: 'would delete' },
};

function printCommitted({ version, changes }: ApplyCommitted, args: Arguments, io: Io): void {
  const dryRun = args.flag('dry-run');
  if (args.flag('json')) {
    const plain = changes.map(({ kind, name, action }) => ({ kind, name, action: ACTIONS[action].done }));
    printJsonLine(io, { event: 'committed', dryRun, version: formatVersion(version), changes: plain });
    return;
  }
  for (const { kind, name, action } of changes) {
    io.stdout.write(`${dryRun ? ACTIONS[action].would : ACTIONS[action].done} ${kind} ${printable(name)}\n`);
  }
  const what = changes.length === 0 ? 'nothing to change' : count(changes.length, 'change');
  const state = dryRun ? 'this was a dry run; the version stays' : 'the version is';
  io.stdout.write(`${what}; ${state} ${formatVersion(version)}\n`);
}
