// `meridian diff`: what applying files would change, or what changed between versions, line by line.
import type { Version } from '../../proto/gen/meridian/v1/resources.ts';
import { formatVersion } from '../../proto/version.ts';
import { loadConfig } from '../config/load.ts';
import { toYaml } from '../config/print.ts';
import type { Declared } from '../config/schema.ts';
import { diffLines, formatDiff } from '../output/diff.ts';
import { printJson } from '../output/outcomes.ts';
import { count, printable } from '../output/text.ts';
import { describeProblems } from './apply.ts';
import { type Admin, CLIENT_OPTIONS, withAdmin } from './client.ts';
import { type Command, EXIT, UsageError } from './command.ts';
import { noMore, versionArgument } from './values.ts';

export const command: Command = {
  name: 'diff',
  summary: 'Show what applying files would change, or what changed between versions',
  usage: ['diff -f FILE..', 'diff VERSION [VERSION]'],
  description: [
    'With files: the configuration as it is against what "meridian apply" of these files would make of it. With one version: that ' +
      'one against the present one; with two, the first against the second. Lines that go are marked "-", lines that come "+". At ' +
      'the end: which edges would be touched.',
    'With --json: {"from", "to", "lines":[{"kind":"same|removed|added", "text"}], "edges":[NAME..]}.',
    'Nothing is changed. Exit code 0 whether or not something differs.',
  ],
  options: {
    file: { type: 'string', short: 'f', multiple: true, value: 'FILE', doc: 'A YAML file; "-" is standard input.' },
    prune: { type: 'boolean', doc: 'As "meridian apply --prune" would: what the files do not declare goes.' },
    ...CLIENT_OPTIONS,
  },
  examples: [
    { line: 'meridian diff -f meridian.yaml', doc: 'Before applying it.' },
    { line: 'meridian diff 1763953845123.42', doc: 'What has changed since then.' },
  ],

  async run(args, io) {
    const files = args.list('file');
    const all = [...files, ...(files.length > 0 ? args.positionals : [])];
    const config = files.length > 0 ? await loadConfig(all, { stdin: io.stdin }) : undefined;
    if (config?.kind === 'problems') {
      io.stderr.write(describeProblems(config, 'nothing was compared'));
      return EXIT.failed;
    }
    const versions = files.length > 0 ? [] : args.positionals.slice(0, 2).map(versionArgument);
    if (files.length === 0) noMore(args.positionals.slice(2));
    if (files.length === 0 && versions.length === 0) throw new UsageError('expected -f FILE, or one or two versions');
    return withAdmin(args, io, async (admin) => {
      const before = await read(admin, versions[0]);
      const after = config
        ? { version: 'the files', resources: merged(before.resources, config.resources, args.flag('prune')) }
        : await read(admin, versions[1]);
      const lines = diffLines(linesOf(before.resources), linesOf(after.resources));
      const edges = touched(before.resources, after.resources);
      if (args.flag('json')) {
        printJson(io, { from: before.version, to: after.version, lines, edges });
        return EXIT.done;
      }
      const shown = formatDiff(lines);
      if (shown.length === 0) {
        io.stdout.write('nothing differs\n');
        return EXIT.done;
      }
      io.stdout.write(
        `--- ${before.version}\n+++ ${after.version}\n${shown.map((line) => `${printable(line)}\n`).join('')}`,
      );
      const names =
        edges.length > 20 ? `${edges.slice(0, 20).join(', ')} and ${edges.length - 20} more` : edges.join(', ');
      io.stdout.write(`${count(edges.length, 'edge')} touched${edges.length > 0 ? `: ${printable(names)}` : ''}\n`);
      return EXIT.done;
    });
  },
};

async function read(admin: Admin, version: Version | undefined) {
  const { snapshot } = await admin.get({ kind: '', name: '', version });
  const { sites = [], pools = [], edges = [] } = snapshot ?? {};
  return { version: formatVersion(snapshot?.version), resources: { sites, pools, edges } };
}

function linesOf(resources: Declared): string[] {
  return toYaml(resources).trimEnd().split('\n');
}

/** What an apply makes of both: resources of the same name are replaced. Sorted as the control plane sorts. */
function merged(before: Declared, files: Declared, prune: boolean): Declared {
  const merge = <T extends { readonly name: string }>(old: readonly T[], fresh: readonly T[]): T[] => {
    const named = new Map([...(prune ? [] : old), ...fresh].map((resource) => [resource.name, resource]));
    return [...named.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  };
  return {
    sites: merge(before.sites, files.sites),
    pools: merge(before.pools, files.pools),
    edges: merge(before.edges, files.edges),
  };
}

/** Every edge serves every site and pool; what is declared of an edge matters to that one. */
function touched(before: Declared, after: Declared): string[] {
  const text = (value: object) => JSON.stringify(value);
  const edges = after.edges.map(({ name }) => name);
  if (text([before.sites, before.pools]) !== text([after.sites, after.pools])) return edges;
  const former = new Map(before.edges.map((edge) => [edge.name, text(edge)]));
  return after.edges.filter((edge) => former.get(edge.name) !== text(edge)).map(({ name }) => name);
}
