// Counts what becomes of waiting for one another's answers (pipeline/fill-table.ts).
import type { Counter, Metrics } from '../../infra/runtime/metrics.ts';
import type { FillEvent } from '../ports.ts';

export class FillCounters {
  readonly #counters: Readonly<Record<FillEvent, Counter>>;

  constructor(metrics: Metrics) {
    this.#counters = {
      refused: metrics.counter(
        'meridian_fill_waiters_refused_total',
        'Requests that asked an origin themselves because too many others waited already.',
      ),
      useless: metrics.counter(
        'meridian_fills_useless_total',
        'Answers that were of no use to who waited for them: nobody waits for the next.',
      ),
      refresh: metrics.counter('meridian_fill_refreshes_total', 'Stored responses refreshed behind their clients.'),
    };
  }

  note(event: FillEvent): void {
    this.#counters[event].add();
  }
}
