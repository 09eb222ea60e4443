// Keeps the children of the local stack running: groups start one after another, a child that dies unasked is reported and
// started again after a while, and everything ends in reverse order.
import type { Clock, Timer } from '../../infra/runtime/clock.ts';
import type { Child, ChildSpec, Exit } from './child.ts';

export interface SupervisorOptions {
  readonly clock: Clock;
  readonly spawn: (spec: ChildSpec) => Child;
  /** Milliseconds from a death to the next start; undefined: never. */
  readonly restartAfterMs: number | undefined;
  /** How long a child may take until it is ready, milliseconds. */
  readonly startMs: number;
  /** From SIGTERM to SIGKILL, milliseconds. */
  readonly stopMs: number;
  /** One line for people. */
  readonly report: (line: string) => void;
}

/** A child did not become ready. */
export class StartFailure extends Error {
  readonly logFile: string;
  /** The end of what it wrote there. */
  readonly lastLines: readonly string[];

  constructor(message: string, logFile: string, lastLines: readonly string[]) {
    super(message);
    this.logFile = logFile;
    this.lastLines = lastLines;
  }
}

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #groups: ChildSpec[][] = [];
  /** Those that run, by name. */
  readonly #running = new Map<string, Child>();
  readonly #restarts = new Set<Timer>();
  #stopping: Promise<void> | undefined;

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  /** Resolves when all are ready. Rejects with StartFailure as soon as one cannot be; `stop` ends the others. */
  async start(specs: readonly ChildSpec[]): Promise<void> {
    this.#groups.push([...specs]);
    await Promise.all(specs.map((spec) => this.#start(spec)));
  }

  /** The process identifier of a child that runs. */
  pid(name: string): number | undefined {
    return this.#running.get(name)?.pid;
  }

  /** Ends everything, the groups in reverse order, each within `stopMs`. Every call returns the same promise. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #start(spec: ChildSpec): Promise<void> {
    if (this.#stopping) return;
    const { clock, startMs } = this.#options;
    const child = this.#options.spawn(spec);
    this.#running.set(spec.name, child);
    const gone = child.exited.then((exit) => {
      this.#running.delete(spec.name);
      return exit;
    });
    const late = Promise.withResolvers<'late'>();
    const timer = clock.after(startMs, () => late.resolve('late'));
    const first = await Promise.race([child.ready.then(() => 'ready' as const), gone, late.promise]);
    timer.cancel();
    if (this.#stopping) return;
    const fail = (what: string) => new StartFailure(`${spec.name} ${what}`, spec.logFile, child.lastLines());
    if (first === 'late') {
      child.signal('SIGKILL');
      throw fail(`was not ready within ${startMs / 1000} s`);
    }
    if (first !== 'ready') throw fail(`ended while starting: ${describeExit(first)}`);
    void gone.then((exit) => this.#died(spec, child.pid, exit));
  }

  #died(spec: ChildSpec, pid: number | undefined, exit: Exit): void {
    if (this.#stopping) return;
    this.#again(spec, `${spec.name} (pid ${pid}) ended: ${describeExit(exit)}`);
  }

  /** Reports `event` with what follows from it, and starts the child again when its time comes. */
  #again(spec: ChildSpec, event: string): void {
    const { clock, restartAfterMs, report } = this.#options;
    if (restartAfterMs === undefined) {
      report(`${event}; it is not started again`);
      return;
    }
    report(`${event}; starting it again in ${restartAfterMs / 1000} s`);
    const timer = clock.after(restartAfterMs, () => {
      this.#restarts.delete(timer);
      this.#start(spec).then(
        () => this.#stopping || report(`${spec.name} is back (pid ${this.pid(spec.name)})`),
        (error: unknown) => this.#again(spec, error instanceof Error ? error.message : String(error)),
      );
    });
    this.#restarts.add(timer);
  }

  async #stop(): Promise<void> {
    for (const timer of this.#restarts) timer.cancel();
    for (const group of this.#groups.toReversed()) {
      await Promise.all(group.map(({ name }) => this.#end(this.#running.get(name))));
    }
  }

  async #end(child: Child | undefined): Promise<void> {
    if (!child) return;
    const timer = this.#options.clock.after(this.#options.stopMs, () => child.signal('SIGKILL'));
    child.signal('SIGTERM');
    await child.exited;
    timer.cancel();
  }
}

function describeExit({ code, signal }: Exit): string {
  if (signal !== null) return `killed by ${signal}`;
  return code === null ? 'it could not be run' : `exit code ${code}`;
}
