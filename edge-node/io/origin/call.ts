// One request to an origin, from its sending to its end: what whoever sent it holds, and what its connection answers to.
import type { OriginTimeouts } from '../../../proto/gen/meridian/v1/resources.ts';
import type { CompiledOrigin } from '../../decide/compile.ts';
import type { OriginFailure } from '../../decide/retry.ts';
import type { OriginCall, OriginHandler, OriginRequest } from '../../ports.ts';

/** What carries a call at present: the queue, then a connection. */
export interface CallCarrier {
  pause(): void;
  resume(): void;
  /** The call is no longer wanted. */
  drop(call: Call): void;
}

export class Call implements OriginCall {
  readonly origin: CompiledOrigin;
  readonly request: OriginRequest;
  readonly handler: OriginHandler;
  readonly timeouts: OriginTimeouts;
  /** The head of the request, as it goes out (latin1). */
  readonly head: string;
  carrier: CallCarrier | undefined = undefined;
  /** Since when it waits for a connection, monotonic milliseconds; undefined: no sweep has seen it. */
  waitingSince: number | undefined = undefined;
  #state: 'open' | 'failing' | 'over' = 'open';

  constructor(
    origin: CompiledOrigin,
    request: OriginRequest,
    handler: OriginHandler,
    timeouts: OriginTimeouts,
    head: string,
  ) {
    this.origin = origin;
    this.request = request;
    this.handler = handler;
    this.timeouts = timeouts;
    this.head = head;
  }

  /** Whether nothing more is to be told to the handler, or only that it failed. */
  get over(): boolean {
    return this.#state !== 'open';
  }

  pause(): void {
    if (this.#state === 'open') this.carrier?.pause();
  }

  resume(): void {
    if (this.#state === 'open') this.carrier?.resume();
  }

  abort(): void {
    const { carrier } = this;
    this.end();
    carrier?.drop(this);
  }

  /** The answer is complete. The caller tells the handler. */
  end(): void {
    this.#state = 'over';
    this.carrier = undefined;
  }

  /** Ends it with a failure. The handler hears of it when the code that runs now is done: whoever sends holds the call by then. */
  fail(phase: OriginFailure['phase'], code: OriginFailure['code'], what: string, stale = false): void {
    if (this.#state !== 'open') return;
    this.#state = 'failing';
    this.carrier = undefined;
    const { pool, name, address } = this.origin;
    const detail = `${what} (origin ${pool}/${name} at ${address})`;
    queueMicrotask(() => {
      if (this.#state === 'over') return;
      this.#state = 'over';
      this.handler.onFailure({ phase, code, detail, stale });
    });
  }
}
