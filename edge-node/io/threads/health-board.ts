// Writes down for all threads what the main thread knows of the origins: when something has changed, and from time to time, since
// observations and views also grow old.
import type { Clock, Timer } from '../../../infra/runtime/clock.ts';
import type { CompiledPool } from '../../decide/compile.ts';
import type { HealthTable } from '../../decide/health.ts';
import { allocateSharedHealth, SharedHealth, type SharedHealthHandles } from '../shared/shared-health.ts';

const PUBLISH_MS = 500;

export class HealthBoard {
  readonly #table: Pick<HealthTable, 'status'>;
  readonly #clock: Clock;
  readonly #timer: Timer;
  #board: SharedHealth | undefined;

  constructor(table: Pick<HealthTable, 'status'>, clock: Clock) {
    this.#table = table;
    this.#clock = clock;
    this.#timer = clock.every(PUBLISH_MS, () => this.publish());
  }

  /** Memory for the pools of a snapshot; `use` writes there from then on. */
  prepare(pools: readonly CompiledPool[]): { readonly handles: SharedHealthHandles; use(): void } {
    const handles = allocateSharedHealth(pools);
    const board = new SharedHealth(handles, pools);
    return {
      handles,
      use: () => {
        this.#board = board;
        this.publish();
      },
    };
  }

  publish(): void {
    this.#board?.publish(this.#table, this.#clock.monotonic());
  }

  stop(): void {
    this.#timer.cancel();
  }
}
