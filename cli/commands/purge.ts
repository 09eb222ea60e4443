// `meridian purge`: from now on nothing that is stored under these URLs or hosts is served as fresh, on any edge.
import { canonicalHost, canonicalUrl } from '../../proto/canonical-url.ts';
import { OutcomeKind, type PurgeRequest } from '../../proto/gen/meridian/v1/admin.ts';
import type { PurgePosition, PurgeTarget } from '../../proto/gen/meridian/v1/purge.ts';
import { LIMITS } from '../../proto/limits.ts';
import { isServiceError, sentenceFor } from '../output/grpc-errors.ts';
import { OutcomePrinter, printJsonLine } from '../output/outcomes.ts';
import { clip, count, printable } from '../output/text.ts';
import { bytes } from '../output/views.ts';
import { type Admin, CLIENT_OPTIONS, withAdmin } from './client.ts';
import { type Arguments, type Command, EXIT, Failure, type Io, UsageError } from './command.ts';
import { durationOption, noMore, unknownWord } from './values.ts';

export const command: Command = {
  name: 'purge',
  summary: 'Forget stored answers on every edge, and see each edge confirm it',
  usage: ['purge url URL..', 'purge prefix URL..', 'purge host HOST..', 'purge tag TAG.. [--site NAME]', 'purge all'],
  description: [
    'A purge is accepted once it is durable in the control plane, and applied at an edge once that edge confirms it (ACKED). ' +
      'After that, nothing that was stored, or asked from an origin, before the purge is served as fresh there. An edge that ' +
      'is away (GONE) replays the purge before it serves from its cache again; one that is slow (LATE) has yet to apply it.',
    'A URL names host, path and query. Scheme and port do not matter: one purge reaches the URL under all of them. Paths ' +
      'are compared in their canonical form, so /a%7Eb and /a~b are the same.',
    'A prefix covers whole path segments: /a covers /a, /a?x and /a/b, not /ab. A tag is one that the origin gave its answer ' +
      '(Surrogate-Key, Cache-Tag).',
    'With --soft, what is purged becomes stale instead: it is validated before it is served again, and still serves where that ' +
      'takes time or no origin answers, as far as it allows that.',
    'With --dry-run nothing is purged; each edge says how much it would be, {"event":"count", "edge", "counted", "objects", ' +
      '"bytes", "detail"} with --json.',
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
    soft: { type: 'boolean', doc: 'Make stale instead of taking away.' },
    'dry-run': { type: 'boolean', doc: 'Purge nothing; say how much it would be on each edge.' },
    site: { type: 'string', value: 'NAME', doc: 'With "tag": only on the hosts of this site.' },
    'idempotency-key': {
      type: 'string',
      value: 'KEY',
      doc: 'Two purges with the same key are one; makes it safe to send a purge again after a failure.',
    },
    ...CLIENT_OPTIONS,
  },
  examples: [
    { line: "meridian purge url 'https://www.example.com/news?page=2'", doc: 'One URL.' },
    { line: 'meridian purge prefix https://www.example.com/img --soft', doc: 'All under /img, gently.' },
    { line: 'meridian purge tag article-17 --site shop', doc: 'What carries a tag.' },
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
    const [soft, dryRun] = [args.flag('soft'), args.flag('dry-run')];
    return withAdmin(args, io, async (admin) => {
      const within = await onSite(admin, args, targets);
      const request = { targets: within, idempotencyKey, timeoutMs, soft, dryRun };
      if (dryRun) return countAll(admin, request, args, io);
      const printer = new OutcomePrinter(io, args.flag('json'));
      let position: PurgePosition | undefined;
      try {
        for await (const { event } of admin.purge(request)) {
          if (event?.$case === 'accepted') {
            position = event.value.position ?? { epoch: 0, sequence: 0 };
            printAccepted(position, event.value.repeatedKey, args, io);
          } else if (event?.$case === 'edge') {
            printer.print(event.value);
          } else if (event?.$case === 'edges') {
            for (const outcome of event.value.outcomes) printer.print(outcome);
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

/** A dry run: a line for each edge. Exit code 3 when one could not be asked. */
async function countAll(admin: Admin, request: PurgeRequest, args: Arguments, io: Io): Promise<number> {
  let [objects, size, missing] = [0, 0, 0];
  for await (const { event } of admin.purge(request)) {
    if (event?.$case !== 'count') continue;
    const { edge, counted, detail } = event.value;
    objects += event.value.objects;
    size += event.value.bytes;
    missing += Number(!counted);
    if (args.flag('json')) {
      printJsonLine(io, {
        event: 'count',
        edge,
        counted,
        objects: event.value.objects,
        bytes: event.value.bytes,
        detail,
      });
      continue;
    }
    const what = counted ? `${count(event.value.objects, 'object')}, ${bytes(event.value.bytes)}` : printable(detail);
    io.stdout.write(`  ${printable(edge).padEnd(20)}  ${what}\n`);
  }
  const exitCode = missing > 0 ? EXIT.partial : EXIT.done;
  if (args.flag('json')) printJsonLine(io, { event: 'summary', objects, bytes: size, missing, exitCode });
  else io.stdout.write(`would reach ${count(objects, 'object')}, ${bytes(size)}; this was a dry run\n`);
  return exitCode;
}

/** Tags count on the hosts of `--site` alone, if that is given. */
async function onSite(admin: Admin, args: Arguments, targets: readonly PurgeTarget[]): Promise<PurgeTarget[]> {
  const name = args.text('site');
  if (name === undefined) return [...targets];
  if (targets.some(({ target }) => target?.$case !== 'tag')) throw new UsageError('--site is for "purge tag"');
  const { snapshot } = await admin.get({ kind: 'site', name, version: undefined });
  const hosts = snapshot?.sites[0]?.hostnames;
  if (!hosts) throw new Failure(`there is no site "${clip(name)}"`);
  return targets.map(({ target }) =>
    target?.$case === 'tag' ? { target: { $case: 'tag', value: { ...target.value, hosts } } } : { target },
  );
}

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

const FORMS = ['url', 'prefix', 'host', 'tag', 'all'] as const;

/** The words after "meridian purge". Throws UsageError, which names what is malformed, before anything is sent. */
export function parseTargets([word, ...names]: readonly string[]): PurgeTarget[] {
  if (word === undefined) {
    throw new UsageError('expected what to purge: url URL.., prefix URL.., host HOST.., tag TAG.. or all');
  }
  const form = FORMS.find((known) => known === word);
  if (form === undefined) throw unknownWord('form of purge', word, FORMS);
  if (form === 'all') {
    noMore(names);
    return [{ target: { $case: 'all', value: {} } }];
  }
  if (names.length === 0) {
    const what = { url: 'URL', prefix: 'URL', host: 'host', tag: 'tag' }[form];
    throw new UsageError(`expected one ${what} or more after "${form}"`);
  }
  if (names.length > LIMITS.purgeTargets) throw new UsageError(`expected at most ${LIMITS.purgeTargets} at once`);
  const parse = { url: urlTarget, prefix: prefixTarget, host: hostTarget, tag: tagTarget }[form];
  return names.map((name) => ({ target: parse(name) }));
}

function prefixTarget(text: string): Exclude<PurgeTarget['target'], undefined> {
  const target = urlTarget(text);
  if (target.$case !== 'url') return target;
  const { host } = target.value;
  if (target.value.path.includes('?'))
    throw new UsageError(`"${clip(text, 200)}" cannot be purged: a prefix has no query`);
  const path = target.value.path.replace(/\/+$/, '');
  if (path.split('/').length - 1 > LIMITS.prefixSegments) {
    throw new UsageError(
      `"${clip(text, 200)}" cannot be purged: a prefix has at most ${LIMITS.prefixSegments} segments`,
    );
  }
  return path === '' ? { $case: 'host', value: host } : { $case: 'prefix', value: { host, path } };
}

function tagTarget(tag: string): Exclude<PurgeTarget['target'], undefined> {
  if (tag.length > LIMITS.tagLength || !/^[!-~]+$/.test(tag)) {
    const expected = `expected 1 to ${LIMITS.tagLength} visible ASCII characters without spaces`;
    throw new UsageError(`"${clip(tag)}" is not a tag: ${expected}`);
  }
  return { $case: 'tag', value: { tag, hosts: [] } };
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
