// `meridian audit`: who changed what, and when.
import type { AuditRecord } from '../../proto/gen/meridian/v1/access.ts';
import { LIMITS } from '../../proto/limits.ts';
import { roleFromWire } from '../../proto/roles.ts';
import { formatVersion } from '../../proto/version.ts';
import { printJson } from '../output/outcomes.ts';
import { table } from '../output/table.ts';
import { CLIENT_OPTIONS, withAdmin } from './client.ts';
import { type Command, EXIT } from './command.ts';
import { countOption, noMore } from './values.ts';

export const command: Command = {
  name: 'audit',
  summary: 'Show who changed what, newest first',
  usage: ['audit'],
  description: [
    'Every change of the configuration, every purge, and every token that was made or revoked, written together with the ' +
      `change itself. The newest ${LIMITS.auditLog} records are kept.`,
    'WHO is the name of a certificate or a token, "-" where the control plane asks nobody who they are (without TLS).',
    'With --json: {"records":[{"revision", "at", "actor", "proof", "role", "peer", "action", "detail", "from", "to", ' +
      '"purge"}]}; "from" and "to" are versions, null where the action makes none.',
  ],
  options: {
    limit: { type: 'string', value: 'NUMBER', default: '50', doc: 'How many records.' },
    before: {
      type: 'string',
      value: 'REVISION',
      default: '0',
      doc: 'Only older ones than the record of this revision; 0: from the newest on.',
    },
    ...CLIENT_OPTIONS,
  },
  examples: [
    { line: 'meridian audit', doc: 'What happened lately?' },
    { line: 'meridian audit --json --limit 1000', doc: 'To keep elsewhere.' },
  ],

  async run(args, io) {
    noMore(args.positionals);
    const limit = countOption(args, 'limit', { min: 1, max: LIMITS.auditRecords });
    const beforeRevision = countOption(args, 'before', { min: 0, max: 999_999_999 });
    const { records } = await withAdmin(args, io, (admin) => admin.audit({ limit, beforeRevision }));
    if (args.flag('json')) printJson(io, { records: records.map(plain) });
    else if (records.length === 0) io.stdout.write('no change is recorded\n');
    else io.stdout.write(table(['WHEN', 'WHO', 'HOW', 'REVISION', 'ACTION', 'DETAIL'], records.map(row)));
    return EXIT.done;
  },
};

function row(record: AuditRecord): string[] {
  const { atMs, actor, proof, revision, action, detail, from, to, purge } = record;
  const versions = to ? `${formatVersion(from)} -> ${formatVersion(to)}: ` : '';
  const place = purge ? `purge ${purge.sequence}: ` : '';
  return [new Date(atMs).toISOString(), actor || '-', proof, String(revision), action, versions + place + detail];
}

function plain(record: AuditRecord): object {
  const { revision, atMs, actor, proof, role, peer, action, detail, from, to, purge } = record;
  return {
    revision,
    at: new Date(atMs).toISOString(),
    actor: actor === '' ? null : actor,
    proof,
    role: roleFromWire(role) ?? '',
    peer,
    action,
    detail,
    from: from ? formatVersion(from) : null,
    to: to ? formatVersion(to) : null,
    purge: purge ?? null,
  };
}
