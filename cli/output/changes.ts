// What became of a change of configuration, as it happens: the changes, each edge, the end of a trial, and the exit code.
import {
  type ApplyCommitted,
  type ApplyResponse,
  type CanaryResult,
  ChangeAction,
  OutcomeKind,
  type ResourceChange,
} from '../../proto/gen/meridian/v1/admin.ts';
import type { Version } from '../../proto/gen/meridian/v1/resources.ts';
import { formatVersion } from '../../proto/version.ts';
import { EXIT, Failure, type Io } from '../commands/command.ts';
import { isServiceError, sentenceFor } from './grpc-errors.ts';
import { OutcomePrinter, printJsonLine } from './outcomes.ts';
import { count, printable } from './text.ts';

const LATER = {
  [OutcomeKind.GONE]: 'not connected, will take the newest configuration when it is back',
  [OutcomeKind.LATE]: 'did not confirm in time, goes on serving the former configuration until it does',
  [OutcomeKind.REFUSED]: 'goes on serving the former configuration until a newer one is applied',
};

export interface Following {
  readonly json: boolean;
  readonly dryRun: boolean;
  /** Whether the edges are waited for. */
  readonly wait: boolean;
  /** HOST:PORT of the control plane. */
  readonly address: string;
}

/** Prints what comes. The exit code: 3 when not all edges serve it, or a trial was returned. Throws what is not about that. */
export async function followChange(
  events: AsyncIterable<ApplyResponse>,
  { json, dryRun, wait, address }: Following,
  io: Io,
): Promise<number> {
  const printer = new OutcomePrinter(io, json);
  let committed = false;
  let returned = false;
  try {
    for await (const { event } of events) {
      switch (event?.$case) {
        case 'committed':
          committed = true;
          printCommitted(event.value, json, dryRun, io);
          break;
        case 'edge':
          printer.print(event.value);
          break;
        case 'edges':
          for (const outcome of event.value.outcomes) printer.print(outcome);
          break;
        case 'canary':
          returned = !event.value.promoted;
          printCanary(event.value, json, io);
          break;
        case undefined:
          break;
      }
    }
  } catch (error) {
    if (!committed || !isServiceError(error)) throw error;
    io.stderr.write(
      `the configuration is committed, but not every edge could be heard: ${sentenceFor(error, address)}\n`,
    );
    printer.finish('served by', LATER);
    return EXIT.partial;
  }
  if (!committed) throw new Failure(`the control plane at ${address} did not say what it did`);
  const code = wait && !dryRun ? printer.finish('served by', LATER) : EXIT.done;
  return returned ? EXIT.partial : code;
}

const ACTIONS: Readonly<Record<ChangeAction, { readonly done: string; readonly would: string }>> = {
  [ChangeAction.UNSPECIFIED]: { done: 'changed', would: 'would change' },
  [ChangeAction.CREATED]: { done: 'created', would: 'would create' },
  [ChangeAction.UPDATED]: { done: 'updated', would: 'would update' },
  [ChangeAction.DELETED]: { done: 'deleted', would: 'would delete' },
};

/** For programs. */
export function plainChange({ kind, name, action }: ResourceChange): object {
  return { kind, name, action: ACTIONS[action].done };
}

/** `updated site shop`. */
export function changeLine({ kind, name, action }: ResourceChange, dryRun = false): string {
  return `${dryRun ? ACTIONS[action].would : ACTIONS[action].done} ${printable(kind)} ${printable(name)}`;
}

function printCommitted({ version, changes }: ApplyCommitted, json: boolean, dryRun: boolean, io: Io): void {
  if (json) {
    printJsonLine(io, {
      event: 'committed',
      dryRun,
      version: formatVersion(version),
      changes: changes.map(plainChange),
    });
    return;
  }
  for (const change of changes) io.stdout.write(`${changeLine(change, dryRun)}\n`);
  const what = changes.length === 0 ? 'nothing to change' : count(changes.length, 'change');
  const state = dryRun ? 'this was a dry run; the version stays' : 'the version is';
  io.stdout.write(`${what}; ${state} ${formatVersion(version)}\n`);
}

function printCanary({ promoted, reason, version }: CanaryResult, json: boolean, io: Io): void {
  if (json) {
    printJsonLine(io, { event: 'canary', promoted, reason, version: formatVersion(version) });
    return;
  }
  const outcome = promoted ? 'the trial went well' : 'the former configuration is back';
  io.stdout.write(`${outcome}: ${printable(reason)}; the version is ${formatVersion(version)}\n`);
}

/** `1763953845123.42`, as versions are printed. Undefined when it is not one. */
export function parseVersion(text: string): Version | undefined {
  const [, epoch, revision] = /^(\d{1,16})\.(\d{1,16})$/.exec(text) ?? [];
  return epoch === undefined || revision === undefined
    ? undefined
    : { epoch: Number(epoch), revision: Number(revision) };
}
