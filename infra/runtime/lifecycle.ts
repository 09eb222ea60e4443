// What was started is stopped in reverse order, once, each step within a bound.
import type { Clock } from './clock.ts';
import type { Log } from './log.ts';

interface Step {
  readonly name: string;
  readonly stop: () => void | Promise<void>;
  readonly ms: number;
}

export class Lifecycle {
  readonly #steps: Step[] = [];
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #stepMs: number;
  #stopping: Promise<void> | undefined;

  /** `stepMs`: how long one step may take before the next begins, milliseconds. */
  constructor(clock: Clock, log: Log, stepMs = 5000) {
    this.#clock = clock;
    this.#log = log;
    this.#stepMs = stepMs;
  }

  /** Registers how to stop what was just started. Call right after starting it. `ms`: how long this step may take, milliseconds. */
  onStop(name: string, stop: () => void | Promise<void>, ms = this.#stepMs): void {
    this.#steps.push({ name, stop, ms });
  }

  /** Stops everything; every call returns the same promise, which never rejects: failures are logged. */
  stop(): Promise<void> {
    this.#stopping ??= this.#run();
    return this.#stopping;
  }

  async #run(): Promise<void> {
    for (const step of this.#steps.toReversed()) {
      const bound = Promise.withResolvers<'late'>();
      const timer = this.#clock.after(step.ms, () => bound.resolve('late'));
      try {
        const outcome = await Promise.race([Promise.resolve(step.stop()), bound.promise]);
        if (outcome === 'late') this.#log.warn({ step: step.name, ms: step.ms }, 'did not stop in time; going on');
      } catch (error) {
        this.#log.error({ step: step.name, err: error }, 'failed to stop cleanly');
      } finally {
        timer.cancel();
      }
    }
  }
}
