// `meridian explain`: why a request of this client for this URL would go where it goes. The edges themselves are asked, since
// only they know their cache and what they measured.
import { isIP } from 'node:net';
import { canonicalUrl } from '../../proto/canonical-url.ts';
import { explain, plainExplanation } from '../output/explanation.ts';
import { printJson } from '../output/outcomes.ts';
import { stylesFor, table } from '../output/table.ts';
import { clip, printable } from '../output/text.ts';
import { CLIENT_OPTIONS, withAdmin } from './client.ts';
import { type Command, EXIT, Failure, UsageError } from './command.ts';
import { noMore } from './values.ts';

export const command: Command = {
  name: 'explain',
  summary: 'Say why a request would go where it goes',
  usage: ['explain URL --ip IP'],
  description: [
    'Shows where the client is taken to be, which site, route and pool the URL falls to, whether the answer is in the ' +
      "edge's cache, and the origins in the order in which they would be tried, with distance and health. Nothing is " +
      'fetched and nothing changes.',
    'Of the cache it shows the key; what the policy of the route says; everything that is stored under the key, in memory ' +
      'and on disk: which fields chose it, how its freshness adds up (age = age when it came + time here; what is left = ' +
      'lifetime - age), how long it may be used stale, its tags, after how many purges it was requested and the purge that ' +
      'reaches it, if one does; and why the last answer was not stored, where the edge remembers that. Purges are counted ' +
      'by each edge since it started. The answer is that to a GET without header fields: "this one answers" marks it.',
    'The edge nearest to the client answers at length, the others in a line each; --edge asks one of them.',
    'With --json: {"url", "ip", "explanations":[{"edge", "version", "client", "refusal", "site", "route", "pool", "cache", ' +
      '"ranking":[...]}]}, nearest edge first; in "cache": "key", "state", "reason", "policy", "purges", "disk", "notStored" and ' +
      '"stored":[{"tiers", "selected", "selectedBy", "status", "bodyBytes", "state", "reason", "freshness", "tags", ' +
      '"requestedAfter", "purge"}]; times are seconds.',
  ],
  options: {
    ip: { type: 'string', value: 'IP', doc: "The client's IPv4 or IPv6 address. Required." },
    edge: { type: 'string', value: 'NAME', doc: 'Ask this edge alone.' },
    ...CLIENT_OPTIONS,
  },
  examples: [
    { line: 'meridian explain http://demo.localhost:8081/ --ip 81.2.69.142', doc: 'As a client in London.' },
    { line: 'meridian explain http://demo.localhost:8081/ --ip 2001:4860:4860::8888', doc: 'Over IPv6.' },
  ],

  async run(args, io) {
    const [url, ...rest] = args.positionals;
    noMore(rest);
    if (url === undefined) throw new UsageError('expected a URL');
    const canonical = canonicalUrl(url);
    if (canonical.kind === 'malformed') throw new UsageError(`"${clip(url, 200)}": ${clip(canonical.detail, 200)}`);
    const ip = args.text('ip');
    if (ip === undefined) throw new UsageError("--ip is missing: expected the client's IPv4 or IPv6 address");
    if (isIP(ip) === 0) throw new UsageError(`--ip: expected an IPv4 or IPv6 address, found "${clip(ip)}"`);
    const edge = args.text('edge') ?? '';
    const { explanations } = await withAdmin(args, io, (admin) => admin.explain({ url, ip, edge }));
    const [nearest, ...others] = explanations;
    if (!nearest) throw new Failure('no edge is connected that could answer; "meridian edges" lists them');
    if (args.flag('json')) {
      printJson(io, { url, ip, explanations: explanations.map(plainExplanation) });
      return EXIT.done;
    }
    const styles = stylesFor(io);
    io.stdout.write(`${printable(url)} asked by ${ip}\n\n${explain(nearest, styles)}`);
    if (others.length > 0) {
      const rows = others.map((other) => [
        other.edge,
        `${Math.round(other.client?.distanceToEdgeKm ?? 0)} km`,
        other.refusalCode === '' ? (other.cache?.state ?? '') : `refused: ${other.refusalCode}`,
        other.ranking.find((origin) => origin.chosen)?.origin ?? '-',
      ]);
      io.stdout.write(`\n${table(['OTHER EDGE', 'FROM CLIENT', 'CACHE', 'ORIGIN'], rows)}`);
    }
    return EXIT.done;
  },
};
