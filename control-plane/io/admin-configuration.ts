// The part of the AdminService that is about the configuration: apply, roll back, drain, history, get. Every change goes the
// same way: decide/change.ts plans it, io/writer.ts commits it, and the answer follows the edges until they serve it.
import { status } from '@grpc/grpc-js';
import type { Clock } from '../../infra/runtime/clock.ts';
import type { Log } from '../../infra/runtime/log.ts';
import type {
  ApplyRequest,
  ApplyResponse,
  DrainRequest,
  EdgeOutcome,
  GetRequest,
  GetResponse,
  HistoryEntry,
  HistoryRequest,
  HistoryResponse,
  RollbackRequest,
} from '../../proto/gen/meridian/v1/admin.ts';
import type { Snapshot, Version } from '../../proto/gen/meridian/v1/resources.ts';
import { formatVersion } from '../../proto/version.ts';
import type { Caller } from '../decide/audit.ts';
import { type ChangePlan, describeChanges, planChange, planDrain, planRollback } from '../decide/change.ts';
import { type Note, versionOfRecord } from '../decide/history.ts';
import { snapshotAt, versionOf, type World } from '../decide/world.ts';
import { checkWait } from './admin-calls.ts';
import { type EdgeWait, eventOf } from './edge-wait.ts';
import { inconsistent, Refusal } from './grpc-errors.ts';
import { ECHO_MS, type State } from './state.ts';
import type { Writer } from './writer.ts';

export interface ConfigurationPorts {
  readonly state: State;
  readonly writer: Writer;
  readonly clock: Clock;
  readonly log: Log;
  count(what: string, result: string): void;
  wait(wait: Omit<EdgeWait, 'replicas'>, say: (outcomes: readonly EdgeOutcome[]) => void): Promise<void>;
}

type Say = (response: ApplyResponse) => void;

interface Change {
  /** For the history. */
  readonly what: string;
  readonly caller: Caller;
  /** For the audit log, with what is said of the changes there. */
  readonly action: string;
  readonly about: (changes: string) => string;
  readonly dryRun: boolean;
  readonly waitMs: number;
  plan(world: World, note: Note): ChangePlan;
}

/** Beyond the hold, for a canary to end; replicas take a moment to agree. */
const CANARY_SLACK_MS = 30_000;

export class ConfigurationAdmin {
  readonly #ports: ConfigurationPorts;

  constructor(ports: ConfigurationPorts) {
    this.#ports = ports;
  }

  apply(request: ApplyRequest, caller: Caller, say: Say, signal: AbortSignal): Promise<void> {
    const { dryRun, waitMs, canary } = request;
    const what = canary ? `apply, first to ${canary.edges.join(', ')}` : 'apply';
    const about = (changes: string) => (canary ? `first to ${canary.edges.join(', ')}: ${changes}` : changes);
    const plan = (world: World, note: Note) => planChange(world, request, note);
    return this.#change({ what, caller, action: 'apply', about, dryRun, waitMs, plan }, say, signal);
  }

  rollback(request: RollbackRequest, caller: Caller, say: Say, signal: AbortSignal): Promise<void> {
    const { version, dryRun, waitMs } = request;
    if (!version) throw new Refusal(status.INVALID_ARGUMENT, 'version: which one is to be put back?');
    const what = `rollback to ${formatVersion(version)}`;
    const plan = (world: World, note: Note) => planRollback(world, version, dryRun, note);
    const about = (changes: string) => `to ${formatVersion(version)}: ${changes}`;
    return this.#change({ what, caller, action: 'rollback', about, dryRun, waitMs, plan }, say, signal);
  }

  drain(request: DrainRequest, caller: Caller, say: Say, signal: AbortSignal): Promise<void> {
    const { origin, drained, waitMs } = request;
    if (!origin) throw new Refusal(status.INVALID_ARGUMENT, 'origin: which one?');
    const action = drained ? 'drain' : 'undrain';
    const name = `${origin.pool}/${origin.origin}`;
    const plan = (world: World, note: Note) => planDrain(world, origin, drained, note);
    const change = { what: `${action} ${name}`, caller, action, about: () => name };
    return this.#change({ ...change, dryRun: false, waitMs, plan }, say, signal);
  }

  history({ limit }: HistoryRequest): HistoryResponse {
    const { history } = this.#ports.state.world;
    const newest = history.toReversed().slice(0, limit === 0 ? undefined : limit);
    const entries = newest.map((record): HistoryEntry => {
      const { former, changedAtMs, who, what, changes } = record;
      return { version: versionOfRecord(record), former, changedAtMs, who, what, changes: [...changes], kept: true };
    });
    return { entries };
  }

  get({ kind, name, version }: GetRequest): GetResponse {
    if (!['', 'site', 'pool', 'edge'].includes(kind)) {
      throw new Refusal(status.INVALID_ARGUMENT, `kind: expected site, pool or edge, found "${kind}"`);
    }
    if (name !== '' && kind === '') throw new Refusal(status.INVALID_ARGUMENT, 'name: of which kind?');
    const snapshot = this.#snapshot(version);
    const pick = <T extends { readonly name: string }>(of: string, all: readonly T[] = []): T[] =>
      kind === '' || kind === of ? all.filter((resource) => name === '' || resource.name === name) : [];
    const found = {
      version: snapshot?.version,
      sites: pick('site', snapshot?.sites),
      pools: pick('pool', snapshot?.pools),
      edges: pick('edge', snapshot?.edges),
      drained: snapshot?.drained ?? [],
    };
    if (name !== '' && found.sites.length + found.pools.length + found.edges.length === 0) {
      throw new Refusal(status.NOT_FOUND, `there is no ${kind} "${name}"`);
    }
    return { snapshot: found };
  }

  #snapshot(wanted: Version | undefined): Snapshot | undefined {
    const { world } = this.#ports.state;
    if (!wanted) return world.snapshot;
    const restored = snapshotAt(world, wanted);
    if (restored.kind === 'unknown') throw new Refusal(status.NOT_FOUND, restored.reason);
    return restored.snapshot;
  }

  async #change(
    { what, caller, action, about, dryRun, waitMs, plan }: Change,
    say: Say,
    signal: AbortSignal,
  ): Promise<void> {
    const { state, writer, clock, log, count, wait } = this.#ports;
    checkWait('wait_ms', waitMs);
    const who = caller.name;
    const written = await writer.write((world) => plan(world, { who, what, nowMs: clock.now() }), {
      caller,
      note: ({ changes }) => ({ action, detail: about(describeChanges(changes)), changesVersion: true }),
    });
    const { revision, committedAt } = written;
    const { changes } = accepted(written.plan);
    if (revision !== undefined) await state.reached(revision, ECHO_MS);
    const { world } = state;
    const version = revision === undefined ? versionOf(world) : { epoch: world.epoch, revision };
    if (!dryRun) {
      count('applies', revision === undefined ? 'unchanged' : 'changed');
      log.info({ version, changes: changes.length, what, who }, 'configuration changed');
    }
    say({ event: { $case: 'committed', value: { version, changes: [...changes] } } });
    if (dryRun || !version) return;
    const tell = (outcomes: readonly EdgeOutcome[]): void => say({ event: eventOf(outcomes) });
    const goal = { kind: 'version', version } as const;
    const trial = world.trial?.canary.revision === revision ? world.trial?.canary : undefined;
    if (!trial) {
      if (waitMs > 0) await wait({ goal, edges: world.edges, committedAt, timeoutMs: waitMs, signal }, tell);
      return;
    }
    await wait({ goal, edges: trial.edges, committedAt, timeoutMs: trial.holdMs, signal }, tell);
    const after = await this.#trialEnd(version, trial.holdMs + CANARY_SLACK_MS, signal);
    if (signal.aborted) return;
    const now = versionOf(after);
    const promoted = now?.revision === version.revision && !after.trial;
    const reason = promoted ? 'all edges get it now' : (after.history.at(-1)?.what ?? 'it did not end in time');
    say({ event: { $case: 'canary', value: { promoted, reason, version: now } } });
    if (waitMs === 0 || !now) return;
    const edges = promoted ? [...after.edges].filter((edge) => !trial.edges.includes(edge)) : after.edges;
    const next = { kind: 'version', version: now } as const;
    await wait({ goal: next, edges, committedAt: clock.monotonic(), timeoutMs: waitMs, signal }, tell);
  }

  /** The world in which `version` is not on trial any more, or the present one after `ms` milliseconds. */
  async #trialEnd(version: Version, ms: number, signal: AbortSignal): Promise<World> {
    const { state, clock } = this.#ports;
    const over = (): boolean => state.world.trial?.canary.revision !== version.revision;
    const { promise, resolve } = Promise.withResolvers<void>();
    const ignore = state.onChange(() => {
      if (over()) resolve();
    });
    const timer = clock.after(ms, resolve);
    signal.addEventListener('abort', () => resolve(), { once: true });
    if (!over() && !signal.aborted) await promise;
    ignore();
    timer.cancel();
    return state.world;
  }
}

function accepted(plan: ChangePlan): ChangePlan & { readonly kind: 'commit' } {
  switch (plan.kind) {
    case 'commit':
      return plan;
    case 'inconsistent':
      throw inconsistent(plan.problems);
    case 'too-big':
    case 'invalid':
      throw new Refusal(status.INVALID_ARGUMENT, `nothing was changed: ${plan.reason}`);
    case 'moved':
      throw new Refusal(status.ABORTED, plan.reason);
  }
}
