// `meridian purge`: from now on nothing that is stored under these URLs or hosts is served as fresh, on any edge.
import { canonicalHost, canonicalUrl } from '../../proto/canonical-url.ts';
import { OutcomeKind } from '../../proto/gen/meridian/v1/admin.ts';
import type { PurgePosition, PurgeTarget } from '../../proto/gen/meridian/v1/purge.ts';
import { LIMITS } from '../../proto/limits.ts';
import { isServiceError, sentenceFor } from '../output/grpc-errors.ts';
import { OutcomePrinter, printJsonLine } from '../output/outcomes.ts';
import { clip } from '../output/text.ts';
import { CLIENT_OPTIONS, withAdmin } from './client.ts';
import { type Arguments, type Command, EXIT, Failure, type Io, UsageError } from './command.ts';
import { durationOption, noMore, unknownWord } from './values.ts';

export const command: Command = {
  name: 'purge',
  summary: 'Forget stored answers on every edge, and see each edge confirm it',
  usage: ['purge url URL..', 'purge host HOST..', 'purge all'],
  description: [
    'A purge is accepted once it is durable in the control plane, and applied at an edge once that edge confirms it (ACKED). ' +
      'After that, nothing that was stored, or asked from an origin, before the purge is served as fresh there. An edge that ' +
      'is away (GONE) replays the purge before it serves from its cache again; one that is slow (LATE) has yet to apply it.',
    'A URL names host, path and query. Scheme and port do not matter: one purge reaches the URL under all of them. Paths ' +
      'are compared in their canonical form, so /a%7Eb and /a~b are the same.',
    'With --json: one object a line, as it happens. First {"event":"accepted", "position":{"epoch","sequence"}, ' +
      '"repeatedKey"}, then for each edge {"event":"edge", "edge", "outcome":"acked|late|gone", "elapsedMs", "detail"}, ' +
      'last {"event":"summary", "acked", "late", "gone", "refused", "exitCode"}.',
    'Exit code 3: the purge is accepted, but not every edge has confirmed it.',
  ],
  options: {
    timeout: {
      type: 'string',
      value: 'DURATION',
      default: '5s',
      doc: 'How long to wait for the edges to confirm.',
    },
    'idempotency-key': {
      type: 'string',
      value: 'KEY',
      doc: 'Two purges with the same key are one; makes it safe to send a purge again after a failure.',
    },
    ...CLIENT_OPTIONS,
  },
  examples: [
    { line: "meridian purge url 'https://www.example.com/news?page=2'", doc: 'One URL.' },
    { line: 'meridian purge host www.example.com', doc: 'Everything of a host.' },
    { line: 'meridian purge all --timeout 30s', doc: 'Everything, with more patience.' },
  ],

  async run(args, io) {
    const targets = parseTargets(args.positionals);
    const timeoutMs = durationOption(args, 'timeout');
    const idempotencyKey = args.text('idempotency-key') ?? '';
    if (idempotencyKey.length > LIMITS.idempotencyKeyLength) {
      throw new UsageError(`--idempotency-key: expected at most ${LIMITS.idempotencyKeyLength} characters`);
    }
    return withAdmin(args, io, async (admin) => {
      const printer = new OutcomePrinter(io, args.flag('json'));
      let position: PurgePosition | undefined;
      try {
        for await (const { event } of admin.purge({ targets, idempotencyKey, timeoutMs })) {
          if (event?.$case === 'accepted') {
            position = event.value.position ?? { epoch: 0, sequence: 0 };
            printAccepted(position, event.value.repeatedKey, args, io);
          } else if (event?.$case === 'edge') {
            printer.print(event.value);
          }
        }
      } catch (error) {
        if (!position || !isServiceError(error)) throw error;
        io.stderr.write(
          `purge ${position.sequence} is accepted and stays so, but not every edge could be heard: ` +
            `${sentenceFor(error, admin.address)}\n`,
        );
        printer.finish('purged on', REPLAY);
        return EXIT.partial;
      }
      if (!position) throw new Failure(`the control plane at ${admin.address} did not say that it accepted the purge`);
      return printer.finish('purged on', REPLAY);
    });
  },
};

const REPLAY = {
  [OutcomeKind.GONE]: 'not connected, will replay the purge before it serves from its cache',
  [OutcomeKind.LATE]: 'did not confirm in time, will apply the purge before anything that comes after it',
};

function printAccepted(position: PurgePosition, repeatedKey: boolean, args: Arguments, io: Io): void {
  if (args.flag('json')) {
    printJsonLine(io, { event: 'accepted', position, repeatedKey });
    return;
  }
  const repeated = repeatedKey ? ' (the purge that was sent with this key before)' : '';
  io.stdout.write(`accepted as purge ${position.sequence}${repeated}\n`);
}

/** Throws UsageError, which names what is malformed, before anything is sent. */
function parseTargets([form, ...names]: readonly string[]): PurgeTarget[] {
  if (form === undefined) throw new UsageError('expected what to purge: url URL.., host HOST.. or all');
  if (form === 'all') {
    noMore(names);
    return [{ target: { $case: 'all', value: {} } }];
  }
  if (form !== 'url' && form !== 'host') throw unknownWord('form of purge', form, ['url', 'host', 'all']);
  if (names.length === 0)
    throw new UsageError(`expected one ${form === 'url' ? 'URL' : 'host'} or more after "${form}"`);
  if (names.length > LIMITS.purgeTargets) throw new UsageError(`expected at most ${LIMITS.purgeTargets} at once`);
  return names.map((name) => ({ target: form === 'url' ? urlTarget(name) : hostTarget(name) }));
}

function urlTarget(text: string): Exclude<PurgeTarget['target'], undefined> {
  const url = canonicalUrl(text);
  if (url.kind === 'malformed') throw new UsageError(`"${clip(text, 200)}" cannot be purged: ${url.detail}`);
  if (url.target.length > LIMITS.pathLength) {
    throw new UsageError(`"${clip(text)}" cannot be purged: its path is longer than ${LIMITS.pathLength} characters`);
  }
  return { $case: 'url', value: { host: url.host, path: url.target } };
}

function hostTarget(text: string): Exclude<PurgeTarget['target'], undefined> {
  const host = canonicalHost(text);
  if (host.kind === 'malformed') throw new UsageError(`"${clip(text)}" cannot be purged: ${clip(host.detail, 200)}`);
  if (host.port !== undefined) {
    throw new UsageError(`"${clip(text)}" cannot be purged: expected a host without a port, such as ${host.host}`);
  }
  return { $case: 'host', value: host.host };
}
