// Exchanges that wait in the step `collapse` for what others ask for: for a while, as long as their clients are there.
import type { Ports } from '../ports.ts';
import { type Exchange, finish, forgetLookUp, required } from './exchange.ts';
import type { Engine } from './run.ts';

/** What an exchange has to do with fills that are not its own. */
export interface Share<Source> {
  /** It was answered by this one. */
  fill: Source | undefined;
  /** How many it has waited for. */
  rounds: number;
  /** Monotonic milliseconds. */
  readonly until: number;
}

export interface Waiter {
  readonly x: Exchange;
  readonly engine: Engine;
  readonly timer: ReturnType<Ports['clock']['after']>;
}

/** How many wait, over all that there is to wait for. */
export interface WaitingCount {
  waiting: number;
}

export class Waiters {
  readonly #ports: Ports;
  readonly #count: WaitingCount;
  /** In the order in which they came. */
  readonly #waiters = new Set<Waiter>();

  constructor(ports: Ports, count: WaitingCount) {
    this.#ports = ports;
    this.#count = count;
  }

  get size(): number {
    return this.#waiters.size;
  }

  /** `onLate`: it has waited for too long. `onLeft`: its client has left; it waits no more. */
  add(x: Exchange, engine: Engine, onLate: (waiter: Waiter) => void, onLeft: () => void): void {
    const { clock } = this.#ports;
    const { until } = required(x.share, 'share');
    const timer = clock.after(Math.max(0, until - clock.monotonic()), () => onLate(waiter));
    const waiter: Waiter = { x, engine, timer };
    this.#waiters.add(waiter);
    this.#count.waiting += 1;
    x.client.onGone = () => {
      this.#release(waiter);
      finish(x, this.#ports, 'client-gone', 0);
      onLeft();
    };
  }

  /** Those who are there now: what one of them does may bring others. */
  each(run: (waiter: Waiter) => void): void {
    for (const waiter of [...this.#waiters]) run(waiter);
  }

  /** Ends the wait. */
  resume(waiter: Waiter, next: 'lookUp' | 'respond' | 'choose' | 'refuse'): void {
    if (this.#release(waiter)) waiter.engine.resume(waiter.x, 'collapse', next);
  }

  /** Ends the wait as if the request had just come, but for how long it has waited. */
  again(waiter: Waiter): void {
    const { x } = waiter;
    forgetLookUp(x);
    this.resume(waiter, 'lookUp');
  }

  #release(waiter: Waiter): boolean {
    if (!this.#waiters.delete(waiter)) return false;
    this.#count.waiting -= 1;
    waiter.timer.cancel();
    waiter.x.client.onGone = undefined;
    return true;
  }
}
