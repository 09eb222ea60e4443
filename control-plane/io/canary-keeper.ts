// Watches over the configuration that is on trial, if one is, and ends the trial: every replica does, the first one to write
// wins (decide/canary.ts).
import type { Clock, Timer } from '../../infra/runtime/clock.ts';
import type { Log } from '../../infra/runtime/log.ts';
import type { EdgeStatistics } from '../../proto/gen/meridian/v1/edge.ts';
import type { Caller } from '../decide/audit.ts';
import { type Canary, judgeCanary, type Trial } from '../decide/canary.ts';
import { describeChanges, planPromotion, planRollback } from '../decide/change.ts';
import { versionOf, type World } from '../decide/world.ts';
import type { Fleet } from './fleet.ts';
import type { State } from './state.ts';
import type { Writer } from './writer.ts';

/** Between two looks, beside those when something happens. */
const LOOK_MS = 500;

/** On whose behalf a trial is ended: nobody asked for that. */
const KEEPER: Caller = { name: 'control-plane', role: 'operate', proof: 'trial', peer: '' };

interface Watched {
  readonly revision: number;
  /** Monotonic milliseconds. */
  readonly since: number;
  readonly before: ReadonlyMap<string, EdgeStatistics | undefined>;
  ending: boolean;
}

export class CanaryKeeper {
  readonly #state: State;
  readonly #fleet: Fleet;
  readonly #writer: Writer;
  readonly #clock: Clock;
  readonly #log: Log;
  #watched: Watched | undefined;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(state: State, fleet: Fleet, writer: Writer, clock: Clock, log: Log) {
    this.#state = state;
    this.#fleet = fleet;
    this.#writer = writer;
    this.#clock = clock;
    this.#log = log;
    state.onChange(() => this.#look());
    fleet.onChange((edge) => {
      if (this.#state.world.trial?.canary.edges.includes(edge)) this.#look();
    });
    this.#look();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #look(): void {
    const { world } = this.#state;
    const canary = world.trial?.canary;
    if (!canary || this.#stopped) {
      this.#watched = undefined;
      this.#timer?.cancel();
      this.#timer = undefined;
      return;
    }
    if (this.#watched?.revision !== canary.revision) {
      const before = new Map(canary.edges.map((edge) => [edge, this.#fleet.get(edge)?.statistics]));
      this.#watched = { revision: canary.revision, since: this.#clock.monotonic(), before, ending: false };
    }
    this.#timer ??= this.#clock.every(LOOK_MS, () => this.#look());
    this.#judge(world, canary, this.#watched);
  }

  #judge(world: World, canary: Canary, watched: Watched): void {
    const version = versionOf(world);
    if (watched.ending || !version) return;
    const trials = new Map(canary.edges.map((edge) => [edge, this.#trial(edge, watched)]));
    const decision = judgeCanary(canary, version, this.#clock.monotonic() - watched.since, trials);
    if (decision.kind === 'wait') return;
    watched.ending = true;
    const { reason } = decision;
    this.#log.info({ version, kind: decision.kind, reason }, 'the trial of a configuration ends');
    this.#end(canary, decision.kind === 'promote', reason).catch((error: unknown) => {
      this.#log.warn({ err: error }, 'the trial of a configuration could not be ended yet; trying again');
      watched.ending = false;
    });
  }

  #trial(edge: string, { before }: Watched): Trial {
    const known = this.#fleet.get(edge);
    // What another replica's edge counted was counted there.
    return { standing: known, before: before.get(edge), now: known?.connection && known.statistics };
  }

  async #end(canary: Canary, promote: boolean, reason: string): Promise<void> {
    const promotion = { kind: 'commit', transaction: planPromotion(canary), changes: undefined } as const;
    const plan = (world: World) => {
      const { trial } = world;
      // Another replica was faster.
      if (trial?.canary.revision !== canary.revision) return { kind: 'over' } as const;
      if (promote) return promotion;
      const former = world.history.at(-1)?.former;
      if (!former) return promotion;
      const note = { who: KEEPER.name, what: `canary returned: ${reason}`, nowMs: this.#clock.now() };
      return planRollback(world, former, false, note);
    };
    await this.#writer.write(plan, {
      caller: KEEPER,
      note: ({ changes }) =>
        changes
          ? { action: 'rollback', detail: `${reason}: ${describeChanges(changes)}`, changesVersion: true }
          : { action: 'promote', detail: reason },
    });
  }
}
