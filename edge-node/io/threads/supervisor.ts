// Keeps the workers of an edge: starts them, brings each snapshot to all of them or to none, starts another in the place of one
// that dies, ends one that hangs, and ends all in order.
//
// A worker: loading ──started──▶ live ──stop──▶ stopping ──▶ gone
//           any ──dies──▶ waiting ──▶ loading ...       at once the first time, then after a while that grows
//
// A snapshot is first prepared by all that are live, then committed by all: one that cannot prepare it is a reason to refuse it,
// and nothing has changed anywhere. Whoever dies is waited for no longer, and its successor has what serves by then before it
// says a word to a client; so when `commit` is over, no thread serves anything older.
import { backoff } from '../../../infra/runtime/backoff.ts';
import type { Clock, Timer } from '../../../infra/runtime/clock.ts';
import type { Log } from '../../../infra/runtime/log.ts';
import type { Random } from '../../../infra/runtime/random.ts';
import type { FromWorker, Generation, ToWorker } from './messages.ts';
import { Round } from './round.ts';

/** One worker as its supervisor sees it. */
export interface WorkerPort {
  post(message: ToWorker): void;
  /** Ends it at once; `onExit` follows. */
  terminate(): void;
}

export interface WorkerEvents {
  /** Undefined: it sent what is not of the protocol. */
  onMessage(message: FromWorker | undefined): void;
  /** Once, later than `spawn` returns, when it is gone and touches shared memory no more. */
  onExit(reason: string): void;
}

export interface SupervisorPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  spawn(thread: number, events: WorkerEvents): WorkerPort;
  /** Another number whenever the event loop of that thread has turned since, looked at every {@link PULSE_MS}. */
  pulse(thread: number): number;
  /** A worker died unasked: what it held is to be given back before another takes its number. */
  onDied(thread: number): void;
  /** What workers say beside the protocol of snapshots. */
  onMessage(thread: number, message: FromWorker): void;
}

interface Worker {
  readonly thread: number;
  readonly port: WorkerPort;
  state: 'loading' | 'live' | 'stopping';
  readonly startedAt: number;
  /** Why it is about to end, if it said so. */
  reason: string | undefined;
  /** As it was last seen, and how often in a row it was the same. */
  pulse: number;
  missed: number;
}

/** How long a worker may take to prepare, to commit and to listen, before it is taken to hang, milliseconds; and to load. */
export const ANSWER_MS = 30_000;
const LOAD_MS = 120_000;
/**
 * How often it is looked whether a live worker's event loop still turns, milliseconds; and how often in a row it may not have. They
 * are counted rather than timed, since a process that was stopped as a whole has no thread that hangs.
 */
export const PULSE_MS = 1_000;
export const MISSED_MAX = 10;
/** After the grace of a stop, milliseconds. */
const LAST_MS = 1_000;
/** How long to wait for `closed`, milliseconds: a worker that hangs accepts nothing either. */
const CLOSE_MS = 1_000;
const BACKOFF = { firstMs: 200, maxMs: 10_000 };
/** A worker that lived this long has not died of its start. */
const STABLE_MS = 30_000;

export class Supervisor {
  readonly #ports: SupervisorPorts;
  readonly #workers = new Map<number, Worker>();
  readonly #restarts = new Map<number, Timer>();
  /** Deaths in a row of workers that did not live long, by thread. */
  readonly #failures = new Map<number, number>();
  readonly #rounds = new Set<Round<Worker>>();
  #geo: ToWorker | undefined;
  #disk: ToWorker | undefined;
  #listen: ((thread: number) => ToWorker) | undefined;
  #current: Generation | undefined;
  #offered: Generation | undefined;
  #stopping: Promise<void> | undefined;
  readonly #pulses: Timer;

  constructor(ports: SupervisorPorts) {
    this.#ports = ports;
    this.#pulses = ports.clock.every(PULSE_MS, () => this.#feelPulses());
  }

  /** Starts workers 1 ..= `count`. Resolves when all have loaded; rejects, for good, when one cannot. */
  async start(count: number): Promise<void> {
    const round = this.#round('started', 'fail', undefined, LOAD_MS);
    for (let thread = 1; thread <= count; thread += 1) round.add(this.#spawn(thread));
    await round.promise;
  }

  /** Where addresses are looked up, from now on and by whoever comes later. */
  useGeo(message: ToWorker & { kind: 'geo' }): void {
    this.#geo = message;
    for (const { port } of this.#live()) port.post(message);
  }

  /** The cache goes on behind the memory, or soon will, from now on and for whoever comes later. Once each. */
  useDisk(message: ToWorker & { kind: 'disk' | 'disk-awaited' }): void {
    this.#disk = message;
    for (const { port } of this.#live()) port.post(message);
  }

  /** The access log was moved away. */
  reopenLogs(): void {
    for (const { port } of this.#live()) port.post({ kind: 'reopen' });
  }

  /** Lets all workers accept, and whoever comes later. Rejects, for good, when one of them cannot. */
  async listen(make: (thread: number) => ToWorker & { kind: 'listen' }): Promise<void> {
    this.#listen = make;
    const round = this.#round('listening', 'fail');
    for (const worker of this.#live()) round.ask(worker, make(worker.thread));
    await round.promise;
  }

  /** Brings a snapshot to all. Rejects when a worker cannot take it; else gives the swap, which is to follow or not. */
  async prepare(generation: Generation): Promise<() => Promise<void>> {
    this.#offered = generation;
    const round = this.#round('prepared', 'forget', generation.id);
    for (const worker of this.#live()) round.ask(worker, { kind: 'prepare', generation });
    try {
      await round.promise;
    } catch (error) {
      this.#offered = undefined;
      throw error;
    }
    return () => this.#commit(generation);
  }

  /** No further connections. Resolves when no worker accepts any more, or after a while. */
  async close(): Promise<void> {
    this.#listen = undefined;
    const round = this.#round('closed', 'forget', undefined, CLOSE_MS);
    for (const worker of this.#live()) round.ask(worker, { kind: 'close' });
    await round.promise;
  }

  /** Answers in flight have `graceMs`. Resolves when all workers are gone. */
  stop(graceMs: number): Promise<void> {
    this.#stopping ??= this.#stop(graceMs);
    return this.#stopping;
  }

  async #commit(generation: Generation): Promise<void> {
    this.#offered = undefined;
    this.#current = generation;
    const { id } = generation;
    const round = this.#round('committed', 'forget', id);
    for (const worker of this.#live()) round.ask(worker, { kind: 'commit', id });
    await round.promise;
  }

  async #stop(graceMs: number): Promise<void> {
    this.#pulses.cancel();
    for (const timer of this.#restarts.values()) timer.cancel();
    this.#restarts.clear();
    const gone = this.#round('gone', 'forget', undefined, graceMs + LAST_MS);
    for (const worker of this.#workers.values()) {
      gone.add(worker);
      const { state } = worker;
      worker.state = 'stopping';
      if (state === 'loading') worker.port.terminate();
      else worker.port.post({ kind: 'stop', graceMs });
    }
    await gone.promise;
  }

  #live(): Worker[] {
    return [...this.#workers.values()].filter(({ state }) => state === 'live');
  }

  #round(answer: string, onDeath: 'fail' | 'forget', id?: number, ms = ANSWER_MS): Round<Worker> {
    const { clock, log } = this.#ports;
    const round = new Round<Worker>(answer, id, onDeath);
    this.#rounds.add(round);
    const timer = clock.after(ms, () => {
      for (const worker of round.waiting) {
        if (answer === 'closed') round.forget(worker);
        else {
          log.error({ thread: worker.thread, answer, ms }, 'a thread does not answer; ending it');
          worker.port.terminate();
        }
      }
    });
    void round.promise
      .catch(() => undefined)
      .then(() => {
        timer.cancel();
        this.#rounds.delete(round);
      });
    return round;
  }

  #feelPulses(): void {
    const { log, pulse } = this.#ports;
    for (const worker of this.#live()) {
      const { thread } = worker;
      const seen = pulse(thread);
      worker.missed = seen === worker.pulse ? worker.missed + 1 : 0;
      worker.pulse = seen;
      if (worker.missed !== MISSED_MAX) continue;
      log.error({ thread, ms: MISSED_MAX * PULSE_MS }, 'a thread hangs; ending it');
      worker.port.terminate();
    }
  }

  #spawn(thread: number): Worker {
    const { clock, spawn, pulse } = this.#ports;
    const port = spawn(thread, {
      onMessage: (message) => this.#receive(worker, message),
      onExit: (reason) => this.#exited(worker, reason),
    });
    const worker: Worker = {
      thread,
      port,
      state: 'loading',
      startedAt: clock.monotonic(),
      reason: undefined,
      pulse: pulse(thread),
      missed: 0,
    };
    this.#workers.set(thread, worker);
    return worker;
  }

  #receive(worker: Worker, message: FromWorker | undefined): void {
    if (this.#workers.get(worker.thread) !== worker) return;
    if (message === undefined) {
      this.#ports.log.error({ thread: worker.thread }, 'a thread sent what is not of the protocol; ending it');
      worker.port.terminate();
      return;
    }
    switch (message.kind) {
      case 'failed':
        worker.reason = message.reason;
        return;
      case 'started':
        if (worker.state === 'loading') this.#join(worker);
        break;
      case 'refused':
        for (const round of this.#rounds) {
          if (round.answer === 'prepared' && round.id === message.id) round.fail(new Error(message.reason));
        }
        return;
      default:
        break;
    }
    const id = 'id' in message ? message.id : undefined;
    for (const round of this.#rounds) if (round.answer === message.kind && round.id === id) round.settle(worker);
    this.#ports.onMessage(worker.thread, message);
  }

  /** Tells a newcomer all that the others know. */
  #join(worker: Worker): void {
    worker.state = 'live';
    const { port, thread } = worker;
    if (this.#geo) port.post(this.#geo);
    if (this.#disk) port.post(this.#disk);
    if (this.#current) {
      port.post({ kind: 'prepare', generation: this.#current });
      port.post({ kind: 'commit', id: this.#current.id });
    }
    const offered = this.#offered;
    if (offered) {
      for (const round of this.#rounds) if (round.answer === 'prepared' && round.id === offered.id) round.add(worker);
      port.post({ kind: 'prepare', generation: offered });
    }
    // One that comes while others commit is as far as they are before it is heard of.
    for (const round of this.#rounds) {
      if (round.answer === 'committed' && round.id === this.#current?.id) round.add(worker);
    }
    if (this.#listen) port.post(this.#listen(thread));
  }

  #exited(worker: Worker, exit: string): void {
    if (this.#workers.get(worker.thread) !== worker) return;
    this.#workers.delete(worker.thread);
    const reason = worker.reason ?? exit;
    const { clock, log, onDied } = this.#ports;
    const { thread } = worker;
    onDied(thread);
    let failed = false;
    for (const round of this.#rounds) failed = round.died(worker, reason) || failed;
    if (worker.state === 'stopping' || this.#stopping || failed) return;
    const lasted = clock.monotonic() - worker.startedAt >= STABLE_MS;
    const failures = lasted ? 0 : (this.#failures.get(thread) ?? 0);
    this.#failures.set(thread, failures + 1);
    const waitMs = failures === 0 ? 0 : Math.round(backoff(failures - 1, BACKOFF, this.#ports.random));
    log.error({ thread, reason, waitMs }, 'a thread has died, and its connections with it; another takes its place');
    this.#restarts.set(
      thread,
      clock.after(waitMs, () => {
        this.#restarts.delete(thread);
        this.#spawn(thread);
      }),
    );
  }
}
