// A fill that another thread has under way: those who come here wait until it is over, and look up again what it has stored.
import type { Exchange } from './exchange.ts';
import type { AnyFill, FillTable } from './fill-table.ts';
import type { Engine } from './run.ts';
import { Waiters } from './waiters.ts';

export class RemoteFill {
  /** The first that waits for it. */
  readonly x: Exchange;
  readonly #table: FillTable;
  readonly #waiters: Waiters;
  readonly head = undefined;
  /** What it brings is judged when it is looked up. */
  readonly isOutdated = false;
  next: AnyFill | undefined = undefined;

  constructor(x: Exchange, table: FillTable) {
    this.x = x;
    this.#table = table;
    this.#waiters = new Waiters(table.ports, table);
  }

  /** Whatever comes of it is looked up. */
  mayServe(): boolean {
    return true;
  }

  get vary(): readonly string[] | undefined {
    return this.x.stale?.head.vary;
  }

  join(x: Exchange, engine: Engine): 'wait' {
    this.#waiters.add(
      x,
      engine,
      (waiter) => {
        this.#table.onUseless(x.key);
        this.#waiters.resume(waiter, 'choose');
      },
      () => undefined,
    );
    return 'wait';
  }

  /** It is over. `useless`: what came was not for others. */
  onFree(useless: boolean): void {
    this.#table.remove(this);
    if (useless && this.#waiters.size > 0) this.#table.onUseless(this.x.key);
    this.#waiters.each((waiter) => {
      if (useless) this.#waiters.resume(waiter, 'choose');
      else this.#waiters.again(waiter);
    });
  }
}
