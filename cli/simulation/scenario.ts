// A scenario of `meridian simulate`: which clients ask which edges for what, how often and for how long, and what happens
// meanwhile. Every field of its file, once: what reads files, what writes the example and docs/simulate.md are made from this.
import { isIP } from 'node:net';
import { canonicalHost } from '../../proto/canonical-url.ts';
import { UsageError } from '../commands/command.ts';
import { originArgument } from '../commands/drain.ts';
import { parseTargets } from '../commands/purge.ts';
import {
  defaults,
  duration,
  integer,
  list,
  message,
  named,
  number,
  optional,
  refined,
  required,
  type Type,
  text,
  unset,
} from '../config/types.ts';
import { clip } from '../output/text.ts';

export const BOUNDS = {
  clients: 100,
  addresses: 16,
  /** Requests a second. */
  rate: { min: 0.1, max: 1000 },
  totalRate: 5000,
  /** Milliseconds. */
  duration: { min: 1000, max: 600_000 },
  timeout: { min: 100, max: 60_000 },
  paths: { min: 1, max: 100_000 },
  zipf: { min: 0, max: 5 },
  listed: 10_000,
  connections: { min: 1, max: 100 },
  edges: 1000,
  events: 100,
  seed: { min: 0, max: 2 ** 32 - 1 },
} as const;

export interface EdgeUrl {
  readonly name: string;
  /** `http://HOST:PORT` or `https://HOST:PORT`. */
  readonly url: string;
}

export interface Client {
  /** A city, as the table names it. */
  readonly name: string;
  readonly addresses: string[];
  /** Requests a second. */
  readonly rate: number;
  readonly edge?: string;
}

export interface Paths {
  readonly count: number;
  /** Exponent: the n-th path is asked for in proportion to 1 / n^zipf. */
  readonly zipf: number;
  readonly prefix: string;
  /** In place of `count` paths under `prefix`. */
  readonly list?: string[];
}

export interface ScenarioEvent {
  readonly atMs: number;
  readonly purge?: string;
  readonly drain?: string;
  readonly undrain?: string;
}

export interface Scenario {
  readonly name: string;
  readonly seed: number;
  readonly durationMs: number;
  readonly host: string;
  readonly edges?: EdgeUrl[];
  readonly clients: Client[];
  readonly paths: Paths;
  readonly connections: number;
  readonly timeoutMs: number;
  readonly originField: string;
  readonly events: ScenarioEvent[];
}

/** What `parse` throws a UsageError for is wrong, for that reason. */
function parsed(what: string, parse: (value: string) => unknown): Type<string> {
  return refined(text(what), (value) => {
    try {
      parse(value);
      return undefined;
    } catch (error) {
      if (error instanceof UsageError) return error.message;
      throw error;
    }
  });
}

/** Text that a predicate accepts. */
function textThat(what: string, accepts: (value: string) => boolean): Type<string> {
  return refined(text(what), (value) => (accepts(value) ? undefined : `expected ${what}, found "${clip(value)}"`));
}

/** The words after "meridian purge", as they are typed. */
export const purgeWords = (words: string): string[] => words.trim().split(/\s+/);

const isEdgeUrl = (value: string): boolean => /^https?:\/\/[^/?#@\s]+$/.test(value) && URL.canParse(value);
const pathWords = 'a path that starts with /';
const isPath = (value: string): boolean => /^\/[\x21-\x7e]{0,2000}$/.test(value) && !value.includes('#');

const url = textThat('http://HOST:PORT or https://HOST:PORT', isEdgeUrl);
const edgeUrl: Type<Omit<EdgeUrl, 'name'>> = {
  expected: url.expected,
  shape: url.shape,
  read(node, place) {
    const value = url.read(node, place);
    return value === undefined ? undefined : { url: value };
  },
  write: (value) => value.url,
};

const address = textThat('an IPv4 or IPv6 address', (value) => isIP(value) !== 0);

const client = message<Omit<Client, 'name'>>('Client', 'Everyone who asks from one city.', {
  addresses: required(
    'addresses',
    refined(list('a list of IP addresses', address, BOUNDS.addresses), (value) =>
      value.length === 0 ? 'expected one address or more' : undefined,
    ),
    'Each request comes from one of them, by X-Forwarded-For; IPv4 and IPv6.',
  ),
  rate: optional('rate', number(BOUNDS.rate), () => 20, 'Requests a second.'),
  edge: unset('edge', text('the name of an edge'), 'The edge that is asked. Without it: the nearest.'),
});

const pathFields = {
  count: optional('count', integer(BOUNDS.paths), () => 200, 'How many paths there are: `prefix` and a number each.'),
  zipf: optional(
    'zipf',
    number(BOUNDS.zipf),
    () => 1,
    'How much more popular the first is than the last: the n-th is asked for in proportion to 1/n^zipf. `0`: all alike.',
  ),
  prefix: optional('prefix', textThat(pathWords, isPath), () => '/simulation/', 'What the paths begin with.'),
  list: unset(
    'list',
    refined(list('a list of paths', textThat(pathWords, isPath), BOUNDS.listed), (value) =>
      value.length === 0 ? 'expected one path or more' : undefined,
    ),
    'These paths, the most popular first, in place of `count` and `prefix`.',
  ),
};
const paths = message<Paths>('Paths', 'What is asked for.', pathFields);

const event = refined(
  message<ScenarioEvent>('Event', 'Something that happens meanwhile. One thing for each.', {
    atMs: required('at', duration({ min: 0, max: BOUNDS.duration.max }), 'How long after the start.'),
    purge: unset(
      'purge',
      parsed('what to purge, such as "all"', (words) => parseTargets(purgeWords(words))),
      'What to purge, in the words of `meridian purge`: `all`, `tag article-17`, `url http://demo.localhost/a`.',
    ),
    drain: unset('drain', parsed('an origin such as cities/london', originArgument), 'The origin to take out of use.'),
    undrain: unset('undrain', parsed('an origin such as cities/london', originArgument), 'The origin to give back.'),
  }),
  ({ purge, drain, undrain }) =>
    [purge, drain, undrain].filter((action) => action !== undefined).length === 1
      ? undefined
      : 'expected one of purge, drain, undrain',
);

/** What is wrong with a scenario whose parts are right. */
function contradiction({ clients, durationMs, events }: Scenario): string | undefined {
  if (clients.length === 0) return 'clients: expected one client or more';
  const rate = clients.reduce((sum, each) => sum + each.rate, 0);
  if (rate > BOUNDS.totalRate) {
    return `clients: together they ask ${rate} times a second; expected at most ${BOUNDS.totalRate}`;
  }
  const late = events.findIndex(({ atMs }) => atMs > durationMs);
  return late < 0 ? undefined : `events[${late}]: it is to happen after the end`;
}

export const scenario: Type<Scenario> = refined(
  message<Scenario>('Scenario', 'Who asks whom for what.', {
    name: optional('name', text('a name'), () => 'unnamed', 'What results are filed under.'),
    seed: optional(
      'seed',
      integer(BOUNDS.seed),
      () => 1,
      'Same seed, same sequence of requests: when, from where, for what.',
    ),
    durationMs: optional('duration', duration(BOUNDS.duration), () => 10_000, 'How long.'),
    host: optional(
      'host',
      textThat('a hostname', (value) => canonicalHost(value).kind !== 'malformed'),
      () => 'demo.localhost',
      'Which site is asked for: the Host field.',
    ),
    edges: unset(
      'edges',
      named<EdgeUrl>('a mapping of edges to their URLs', edgeUrl, BOUNDS.edges),
      'Where each edge is reached, `http://HOST:PORT` or `https://HOST:PORT`. Without it: where `meridian up` and ' +
        'docker-compose.yml have theirs. An edge that is not named here is asked nothing.',
    ),
    clients: required(
      'clients',
      named<Client>('a mapping of cities to clients', client, BOUNDS.clients),
      'Who asks, by city.',
    ),
    paths: optional('paths', paths, () => defaults<Paths>(pathFields), 'What is asked for.'),
    connections: optional(
      'connections',
      integer(BOUNDS.connections),
      () => 8,
      'Connections of each client, kept alive. A request that falls due while all are in use is not sent, and counted.',
    ),
    timeoutMs: optional('timeout', duration(BOUNDS.timeout), () => 5000, 'An answer that takes longer has failed.'),
    originField: optional(
      'originField',
      textThat('the name of a header field', (value) => /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}$/.test(value)),
      () => 'X-Origin',
      'The header field by which an origin says its name, the one that it has in its pool.',
    ),
    events: optional('events', list('a list of events', event, BOUNDS.events), () => [], 'What happens meanwhile.'),
  }),
  contradiction,
);

/** What an event does, in words: `drain cities/london`. */
export function eventWords({ purge, drain, undrain }: ScenarioEvent): string {
  if (purge !== undefined) return `purge ${purge}`;
  return drain === undefined ? `undrain ${undrain}` : `drain ${drain}`;
}
