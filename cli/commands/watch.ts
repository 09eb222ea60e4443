// `meridian watch`: what changes, as it changes. The control plane is asked again and again, and the differences are printed.
import { status as code } from '@grpc/grpc-js';
import { sleep } from '../../infra/runtime/clock.ts';
import type { AuditRecord } from '../../proto/gen/meridian/v1/access.ts';
import type { HistoryEntry, StatusResponse } from '../../proto/gen/meridian/v1/admin.ts';
import { comparePositions, compareVersions } from '../../proto/version.ts';
import { isServiceError } from '../output/grpc-errors.ts';
import { printJsonLine } from '../output/outcomes.ts';
import { stylesFor } from '../output/table.ts';
import { changesBetween, type Seen, startOf, type WatchEvent, watchLine } from '../output/watching.ts';
import { type Admin, CLIENT_OPTIONS, withAdmin } from './client.ts';
import { type Command, EXIT, type Io } from './command.ts';
import { listenForInterrupt } from './interrupt.ts';
import { durationOption, noMore } from './values.ts';

const INTERVAL = { min: 100, max: 60_000 };
const FOR = { min: 100, max: 7 * 86_400_000 };
/** Versions and purges between two looks that are told with what they change. */
const DETAILS = 50;
/** Answers that asking again does not change. */
const FINAL: readonly number[] = [code.UNAUTHENTICATED, code.PERMISSION_DENIED, code.UNIMPLEMENTED];

export const command: Command = {
  name: 'watch',
  summary: 'Follow what changes: versions, purges, edges and origins, a line each',
  usage: ['watch'],
  description: [
    'Prints a line, with the time, for each new version and what it changes; each purge, and each edge that confirms it; edges ' +
      'that connect, go, restart, serve another version or refuse one; origins that come up, go down or are drained. Ctrl-C ends it.',
    'The control plane is asked once in each interval: what comes and goes in between is not seen. When it is away a line says ' +
      'so, and another one when it is back, with what changed meanwhile.',
    'With --json: one object a line, {"at", "event", ...}. Events: start {"version", "edges", "connected", "origins", "up"}; version ' +
      '{"version", "who", "what", "changes"}; trial-began {"version", "edges"}, trial-ended {"version"}; purge {"sequence", "who", ' +
      '"what"}, or of many at once purges {"from", "to"}; edge-declared, edge-removed, edge-connected, edge-gone, edge-restarted ' +
      '{"edge"}; edge-serves {"edge", "version"}; edge-refused {"edge", "reason"}; edge-purged {"edge", "sequence", "behind"}; ' +
      'origin-health {"origin", "health", "former", "edgesUp", "edgesDown"}; origin-drained, origin-undrained {"origin"}; away ' +
      '{"reason"}, back.',
  ],
  options: {
    interval: { type: 'string', value: 'DURATION', default: '1s', doc: 'How often the control plane is asked.' },
    for: { type: 'string', value: 'DURATION', doc: 'End after so long. Without it: when it is ended.' },
    ...CLIENT_OPTIONS,
  },
  examples: [
    { line: 'meridian watch', doc: 'In a second terminal, while something is tried in the first.' },
    {
      line: 'meridian watch --json --for 1h | jq -r "select(.event == \\"edge-gone\\").edge"',
      doc: 'Which edges are lost within an hour?',
    },
  ],

  async run(args, io) {
    noMore(args.positionals);
    const intervalMs = durationOption(args, 'interval', INTERVAL);
    const forMs = args.text('for') === undefined ? undefined : durationOption(args, 'for', FOR);
    const json = args.flag('json');
    const styles = stylesFor(io);
    const tell = (event: WatchEvent): void => {
      const at = new Date(io.clock.now()).toISOString();
      if (json) printJsonLine(io, { at, ...event });
      else io.stdout.write(`${at}  ${watchLine(event, styles)}\n`);
    };
    return withAdmin(args, io, (admin) => watch(admin, intervalMs, forMs, tell, io));
  },
};

async function watch(
  admin: Admin,
  intervalMs: number,
  forMs: number | undefined,
  tell: (event: WatchEvent) => void,
  io: Io,
): Promise<number> {
  let last = await admin.status();
  tell(startOf(last));
  const interrupt = listenForInterrupt(io);
  const over = Promise.race([interrupt.asked, ...(forMs === undefined ? [] : [sleep(io.clock, forMs)])]).then(
    () => 'over' as const,
  );
  let away = false;
  try {
    while ((await Promise.race([over, sleep(io.clock, intervalMs)])) !== 'over') {
      const looked = await Promise.race([over, look(admin, last)]);
      if (looked === 'over') break;
      if ('reason' in looked) {
        if (!away) tell({ event: 'away', reason: looked.reason });
        away = true;
        continue;
      }
      if (away) tell({ event: 'back' });
      away = false;
      for (const event of changesBetween(last, looked)) tell(event);
      last = looked.status;
    }
    return EXIT.done;
  } finally {
    interrupt.close();
  }
}

/** Why it could not: to be tried again. Rejects with what trying again does not change. */
async function look(admin: Admin, last: StatusResponse): Promise<Seen | { readonly reason: string }> {
  try {
    const status = await admin.status();
    const [history, audit] = await Promise.all([versionsSince(admin, last, status), purgesSince(admin, last, status)]);
    return { status, history, audit };
  } catch (error) {
    if (!isServiceError(error) || FINAL.includes(error.code)) throw error;
    return { reason: error.details };
  }
}

async function versionsSince(admin: Admin, last: StatusResponse, next: StatusResponse): Promise<HistoryEntry[]> {
  if (compareVersions(last.version, next.version) === 0) return [];
  return (await admin.history({ limit: DETAILS })).entries;
}

async function purgesSince(admin: Admin, last: StatusResponse, next: StatusResponse): Promise<AuditRecord[]> {
  if (comparePositions(last.purgePosition, next.purgePosition) === 0) return [];
  return (await admin.audit({ limit: DETAILS, beforeRevision: 0 })).records;
}
