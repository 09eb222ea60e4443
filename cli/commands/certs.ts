// `meridian certs`: a development authority, and certificates of it for control planes, edges and those who administer.
import { isIP } from 'node:net';
import { canonicalHost } from '../../proto/canonical-url.ts';
import { LIMITS } from '../../proto/limits.ts';
import { CLIENT_NAME, ROLES } from '../../proto/roles.ts';
import type { Made, Wanted } from '../certs/folder.ts';
import { clientHolder, controlPlaneHolder, edgeHolder, LOCAL_HOSTS } from '../certs/holders.ts';
import { printJson } from '../output/outcomes.ts';
import { stylesFor, table } from '../output/table.ts';
import { clip } from '../output/text.ts';
import { type Arguments, type Command, EXIT, Failure, UsageError } from './command.ts';
import { countOption, given, noMore } from './values.ts';

const EDGE_NAME = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/;
/** After which a certificate is worth a mark in the table, milliseconds. */
const SOON_MS = 30 * 24 * 3_600_000;

export const command: Command = {
  name: 'certs',
  summary: 'Make a development authority and certificates for the control channel',
  usage: ['certs [--host HOST..] [--edge NAME..] [--client NAME=ROLE..]'],
  description: [
    'Makes what is missing in the folder: an authority (ca/), a certificate for the control planes (control-plane/), one for ' +
      'each --edge (edge-NAME/) and one for each --client (client-NAME/; "admin=administer" when none is named). Each ' +
      'folder but ca/ holds all that its holder needs: ca.crt, tls.crt and tls.key. Keys can be read by their owner alone.',
    'What is there is kept, and it is an error when it is for other names, from another authority or expired. --force makes ' +
      'what is named by --host, --edge and --client anew, never the authority. Running processes take renewed files up by ' +
      'themselves.',
    'The roles are those of docs/security.md: read, purge, operate, administer. With --json: {"certificates":[{"file", ' +
      '"outcome":"made|replaced|kept", "names", "validTo"}]}.',
  ],
  options: {
    dir: { type: 'string', value: 'DIR', default: '.meridian/certs', doc: 'The folder.' },
    host: {
      type: 'string',
      multiple: true,
      value: 'HOST',
      doc: `Name or address under which control planes are dialled; may be repeated. Default: ${LOCAL_HOSTS.join(', ')}.`,
    },
    edge: { type: 'string', multiple: true, value: 'NAME', doc: 'An edge, as the configuration declares it.' },
    client: {
      type: 'string',
      multiple: true,
      value: 'NAME=ROLE',
      doc: 'Somebody who administers, and what they may do.',
    },
    days: {
      type: 'string',
      value: 'DAYS',
      default: '365',
      doc: 'How long what is made is valid; the authority: ten years.',
    },
    force: { type: 'boolean', doc: 'Make what is named anew, although it is there.' },
    json: { type: 'boolean', doc: 'Print JSON, for programs.' },
  },
  examples: [
    { line: 'meridian certs --edge london --edge tokyo', doc: 'Everything for two edges on this machine.' },
    { line: 'meridian certs --host cp1.example.com --host cp2.example.com', doc: 'For control planes elsewhere.' },
    { line: 'meridian certs --client ci=purge --days 30', doc: 'For a program that may purge, and no more.' },
    { line: 'meridian certs --edge london --force', doc: 'Renew one.' },
  ],

  async run(args, io) {
    noMore(args.positionals);
    const wanted = wantedOf(args);
    const force = args.flag('force');
    if (force && wanted.every(({ byDefault }) => byDefault)) {
      throw new UsageError('--force needs --host, --edge or --client: what to make anew');
    }
    const days = countOption(args, 'days', { min: 1, max: 3650 });
    const now = io.clock.now();
    // Loaded here, since nothing else needs what makes certificates.
    const { makeCertificates } = await import('../certs/folder.ts');
    let made: Made[];
    try {
      made = await makeCertificates(given(args, 'dir'), wanted, { now, days, force });
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      throw new Failure(`${error.message}`, { cause: error });
    }
    if (args.flag('json')) {
      const plain = made.map((each) => ({ ...each, validTo: new Date(each.validTo).toISOString() }));
      printJson(io, { certificates: plain });
      return EXIT.done;
    }
    const styles = stylesFor(io);
    const rows = made.map(({ file, outcome, names, validTo }) => [
      file,
      outcome,
      { text: new Date(validTo).toISOString().slice(0, 10), style: validTo - now < SOON_MS ? styles.bad : styles.good },
      names === '' ? 'authority' : names,
    ]);
    io.stdout.write(table(['CERTIFICATE', '', 'VALID UNTIL', 'FOR'], rows));
    return EXIT.done;
  },
};

function wantedOf(args: Arguments): Wanted[] {
  const hosts = listed(args, 'host');
  const clients = listed(args, 'client');
  return [
    controlPlaneHolder(
      hosts.length === 0 ? LOCAL_HOSTS : hosts.map((host) => checkHost(args, host)),
      hosts.length === 0,
    ),
    ...listed(args, 'edge').map((name): Wanted => {
      if (EDGE_NAME.test(name) && name.length <= LIMITS.nameLength) return edgeHolder(name, false);
      throw new UsageError(`--edge: expected the name of an edge (a-z, 0-9, inner hyphens), found "${clip(name)}"`);
    }),
    ...(clients.length === 0 ? ['admin=administer'] : clients).map((text): Wanted => {
      const [, name = '', word] = /^([^=]*)=(.*)$/.exec(text) ?? [];
      const role = ROLES.find((known) => known === word);
      if (CLIENT_NAME.test(name) && role !== undefined) return clientHolder(name, role, clients.length === 0);
      throw new UsageError(`--client: expected NAME=ROLE, the role one of ${ROLES.join(', ')}, found "${clip(text)}"`);
    }),
  ];
}

function listed(args: Arguments, name: string): string[] {
  return [...new Set(args.list(name).flatMap((text) => text.split(',')))];
}

function checkHost(args: Arguments, text: string): string {
  if (isIP(text) !== 0) return text;
  const host = canonicalHost(text);
  if (host.kind === 'malformed' || host.port !== undefined || host.host !== text) {
    throw new UsageError(`${args.label('host')}: expected a lower-case hostname or an address, found "${clip(text)}"`);
  }
  return text;
}
