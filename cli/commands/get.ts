// `meridian get`: the configuration as it is, in the form that `meridian apply` accepts.
import { formatVersion } from '../../proto/version.ts';
import { toPlain, toYaml } from '../config/print.ts';
import { printJson } from '../output/outcomes.ts';
import { clip } from '../output/text.ts';
import { CLIENT_OPTIONS, withAdmin } from './client.ts';
import { type Command, EXIT, Failure } from './command.ts';
import { noMore, unknownWord, versionOption } from './values.ts';

const KINDS = ['site', 'pool', 'edge'] as const;

export const command: Command = {
  name: 'get',
  summary: 'Print the configuration, or a part of it, as YAML that "apply" accepts',
  usage: ['get [KIND [NAME]]'],
  description: [
    'KIND is site, pool or edge (sites, pools and edges are understood too). Every field is printed, those left to their ' +
      'defaults as well.',
    'With --json: one document of the same structure, with "version" beside sites, pools and edges.',
  ],
  options: {
    version: { type: 'string', value: 'VERSION', doc: 'As it was at this version; "meridian history" lists them.' },
    ...CLIENT_OPTIONS,
  },
  examples: [
    { line: 'meridian get > meridian.yaml', doc: 'Everything, to edit and apply again.' },
    { line: 'meridian get --version 1763953845123.42', doc: 'Everything, as it was.' },
    { line: 'meridian get pool cities', doc: 'One pool.' },
  ],

  async run(args, io) {
    const [word, name = '', ...rest] = args.positionals;
    noMore(rest);
    const kind = KINDS.find((known) => word === known || word === `${known}s`);
    if (word !== undefined && kind === undefined) throw unknownWord('kind of resource', word, KINDS);
    return withAdmin(args, io, async (admin) => {
      const { snapshot } = await admin.get({ kind: kind ?? '', name, version: versionOption(args, 'version') });
      const { sites = [], pools = [], edges = [], version } = snapshot ?? {};
      if (name !== '' && sites.length + pools.length + edges.length === 0) {
        throw new Failure(`there is no ${kind} "${clip(name)}"; "meridian get ${kind}" prints those that there are`);
      }
      const resources = { sites, pools, edges };
      if (args.flag('json')) printJson(io, { version: formatVersion(version), ...toPlain(resources) });
      else io.stdout.write(`# version ${formatVersion(version)}\n${toYaml(resources)}`);
      return EXIT.done;
    });
  },
};
