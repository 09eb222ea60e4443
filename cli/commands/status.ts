// `meridian status`, `edges` and `origins`: one answer of the control plane, in three views.
import type { StatusResponse } from '../../proto/gen/meridian/v1/admin.ts';
import { HealthStatus } from '../../proto/gen/meridian/v1/health.ts';
import { formatVersion } from '../../proto/version.ts';
import { printJson } from '../output/outcomes.ts';
import { type Styles, stylesFor } from '../output/table.ts';
import { count, printable } from '../output/text.ts';
import { edgeState, edgeTable, originTable, plainEdge, plainOrigin } from '../output/views.ts';
import { CLIENT_OPTIONS, withAdmin } from './client.ts';
import { type Command, EXIT } from './command.ts';
import { noMore } from './values.ts';

interface View {
  /** For people. */
  text(status: StatusResponse, styles: Styles): string;
  /** For programs. */
  plain(status: StatusResponse): object;
}

const NO_EDGES = 'no edge is declared; add one under "edges" in a configuration file and apply it\n';
const NO_ORIGINS = 'no origin has been measured\n';

const edges: View = {
  text: (status, styles) => (status.edges.length === 0 ? NO_EDGES : edgeTable(status, styles)),
  plain: (status) => ({ edges: status.edges.map((edge) => plainEdge(edge, status)) }),
};

const origins: View = {
  text: (status, styles) => (status.origins.length === 0 ? NO_ORIGINS : originTable(status.origins, styles)),
  plain: (status) => ({ origins: status.origins.map(plainOrigin) }),
};

const overview: View = {
  text(status, styles) {
    const current = status.edges.filter((edge) => edgeState(edge, status).word === 'current').length;
    const connected = status.edges.filter((edge) => edge.connected).length;
    const up = status.origins.filter((origin) => origin.status === HealthStatus.UP).length;
    return (
      `version  ${formatVersion(status.version)} (store: ${printable(status.store)})\n` +
      `purges   ${count(status.purgePosition?.sequence ?? 0, 'purge')} so far\n` +
      `edges    ${connected} of ${status.edges.length} connected, ${current} up to date\n` +
      `origins  ${up} of ${status.origins.length} up${drainedWords(status)}\n${trialWords(status)}\n` +
      `${edges.text(status, styles)}\n${origins.text(status, styles)}`
    );
  },
  plain: (status) => ({
    version: formatVersion(status.version),
    store: status.store,
    purgePosition: status.purgePosition ?? null,
    canary: status.canary
      ? {
          version: formatVersion(status.canary.version),
          former: formatVersion(status.canary.former),
          edges: status.canary.edges,
          holdMs: status.canary.holdMs,
        }
      : null,
    drained: status.drained.map(({ pool, origin }) => `${pool}/${origin}`),
    ...edges.plain(status),
    ...origins.plain(status),
  }),
};

function drainedWords({ drained }: StatusResponse): string {
  if (drained.length === 0) return '';
  return `; drained: ${printable(drained.map(({ pool, origin }) => `${pool}/${origin}`).join(', '))}`;
}

function trialWords({ canary }: StatusResponse): string {
  if (!canary) return '';
  const former = formatVersion(canary.former);
  return `trial    ${printable(canary.edges.join(', '))} alone serve the version; the others ${former}\n`;
}

function statusCommand(view: View, parts: Pick<Command, 'name' | 'summary' | 'description' | 'examples'>): Command {
  return {
    ...parts,
    usage: [parts.name],
    options: CLIENT_OPTIONS,
    async run(args, io) {
      noMore(args.positionals);
      const status = await withAdmin(args, io, (admin) => admin.status());
      if (args.flag('json')) printJson(io, view.plain(status));
      else io.stdout.write(view.text(status, stylesFor(io)));
      return EXIT.done;
    },
  };
}

const EDGE_STATES =
  'STATE of an edge: current (serves this version, has confirmed every purge), behind (connected, not yet), refused (could ' +
  'not apply the version and goes on with its former one), gone (not connected).';

const EDGE_JSON =
  '{"name", "state", "connected", "version", "refusedReason", "purgePosition", "statistics", "lastSeenMsAgo", "elsewhere"}';
const ORIGIN_JSON = '{"pool", "origin", "health":"up|down|unknown", "edgesUp", "edgesDown"}';

export const statusView: Command = statusCommand(overview, {
  name: 'status',
  summary: 'Show the version, the edges and the origins at a glance',
  description: [
    EDGE_STATES,
    'With --json: {"version", "store", "purgePosition", "canary", "drained":[POOL/ORIGIN..], "edges":[...], "origins":[...]}, the lists as "edges --json" and ' +
      '"origins --json" have them.',
  ],
  examples: [{ line: 'meridian status', doc: 'How is everything?' }],
});

export const edgesView: Command = statusCommand(edges, {
  name: 'edges',
  summary: 'List the edges: whether connected, what they serve, how they fare',
  description: [EDGE_STATES, `With --json: {"edges":[${EDGE_JSON}]}.`],
  examples: [
    { line: 'meridian edges', doc: 'All edges.' },
    {
      line: 'meridian edges --json | jq -r ".edges[] | select(.state != \\"current\\").name"',
      doc: 'Those to look at.',
    },
  ],
});

export const originsView: Command = statusCommand(origins, {
  name: 'origins',
  summary: 'List the origins and their health as the edges measure it',
  description: [
    'EDGES UP and EDGES DOWN count the edges whose checks succeed and fail.',
    `With --json: {"origins":[${ORIGIN_JSON}]}.`,
  ],
  examples: [{ line: 'meridian origins', doc: 'All origins.' }],
});
