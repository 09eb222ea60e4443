// The interpreter of the table: runs steps until one waits or the exchange is done. A step that waits continues by `resume`.
// Nothing here allocates: a cache hit passes from `admit` to `respond` in one synchronous call.
import { RecentKeys } from '../decide/cache/recent-keys.ts';
import { failure } from '../decide/errors.ts';
import type { Ports } from '../ports.ts';
import { type Exchange, finish } from './exchange.ts';
import { FillTable } from './fill-table.ts';
import { RequestMemo } from './request-memo.ts';
import type { Next, Outcome, Step, TABLE } from './table.ts';

export type StepFunction<S extends Step> = (x: Exchange, engine: Engine) => Outcome<S>;

/** One function for each step of the table. */
export type Steps = { readonly [S in Step]: StepFunction<S> };

type WaitingStep = { [S in Step]: (typeof TABLE)[S] extends { readonly waits: true } ? S : never }[Step];

export interface Engine {
  readonly ports: Ports;
  readonly memo: RequestMemo;
  readonly fills: FillTable;
  /** Of which nothing in slices was to be had. */
  readonly unsliced: RecentKeys;
  /** Begins an exchange. */
  start(x: Exchange): void;
  /** Continues an exchange after step `from`, which waited. */
  resume<S extends WaitingStep>(x: Exchange, from: S, next: Next<S>): void;
}

/** So many are remembered, and for so long, milliseconds. */
const UNSLICED_KEYS = 1000;
const UNSLICED_MS = 60_000;

/** One for each thread. */
export function createEngine(
  ports: Ports,
  steps: Steps,
  memo = new RequestMemo(),
  fills = new FillTable(ports),
): Engine {
  const engine: Engine = {
    ports,
    memo,
    fills,
    unsliced: new RecentKeys(UNSLICED_KEYS, UNSLICED_MS),
    start: (x) => advance(x, 'admit'),
    resume: (x, _from, next) => advance(x, next),
  };

  function advance(x: Exchange, from: Step): void {
    let step: Step | 'wait' | 'done' = from;
    try {
      while (step !== 'wait' && step !== 'done') step = take(step, x);
    } catch (error) {
      fail(x, step, error);
    }
  }

  /** `steps[step](x, engine)`, with each step called from a place of its own, which the compiler turns into a plain call. */
  function take(step: Step, x: Exchange): Step | 'wait' | 'done' {
    switch (step) {
      case 'admit':
        return steps.admit(x, engine);
      case 'route':
        return steps.route(x, engine);
      case 'lookUp':
        return steps.lookUp(x, engine);
      case 'respond':
        return steps.respond(x, engine);
      default:
        return steps[step](x, engine);
    }
  }

  /** A defect: the client gets an answer if none was begun, the log gets the rest. */
  function fail(x: Exchange, step: string, error: unknown): void {
    ports.log.error({ err: error, step, target: x.request.target }, 'a step failed; this is a defect of Meridian');
    x.failure = failure('internal', `step ${step} failed`);
    x.tee?.abort();
    x.openBody?.close();
    try {
      if (!x.responded) {
        steps.refuse(x, engine);
        return;
      }
    } catch (second) {
      ports.log.error({ err: second, step: 'refuse' }, 'and the failure could not be answered');
    }
    x.client.abort();
    finish(x, ports, 'edge-failed');
    x.fill?.settle();
  }

  return engine;
}
