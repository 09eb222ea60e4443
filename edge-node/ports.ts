// What the pipeline needs of the world: types only. io/ implements them, main.ts joins them, tests replace them.
import type { Place } from '../geo/location.ts';
import type { Clock } from '../infra/runtime/clock.ts';
import type { Log } from '../infra/runtime/log.ts';
import type { Random } from '../infra/runtime/random.ts';
import type { Admitted, RequestHead } from './decide/admit.ts';
import type { Barrier } from './decide/barrier.ts';
import type { CacheEntry, CacheStore } from './decide/cache/entry.ts';
import type { CompiledOrigin, CompiledSite, CompiledSnapshot } from './decide/compile.ts';
import type { Failure } from './decide/errors.ts';
import type { FieldList } from './decide/fields.ts';
import type { HealthTable } from './decide/health.ts';
import type { OriginOrder } from './decide/order.ts';
import type { OriginFailure } from './decide/retry.ts';

/** The client's end of one exchange: where the answer goes. One of `answer` and `begin` is called, once, unless it throws. */
export interface ClientPort {
  readonly request: RequestHead;
  /** The request's body. Reading it more than once is not possible. */
  readonly body: RequestBody | undefined;
  /** The whole answer. `fields` has no framing fields; `length` is that of the body even where HEAD leaves it out. */
  answer(status: number, fields: FieldList, body: Buffer | undefined, length: number | undefined): void;
  /** Passes an informational (1xx) answer on. */
  inform(status: number, fields: FieldList): void;
  /** Begins an answer whose body follows by `write`. `length` undefined: not known, so chunked or until close. */
  begin(status: number, fields: FieldList, length: number | undefined): void;
  /** False: the client is slow; wait for `onDrain`. */
  write(chunk: Uint8Array): boolean;
  end(): void;
  /** Breaks the connection, so that nobody takes what was sent so far for the whole. */
  abort(): void;
  /** Called when `write` may go on. */
  onDrain: (() => void) | undefined;
  /** Called once when the connection went away before the answer was complete. */
  onGone: (() => void) | undefined;
}

export interface RequestBody {
  /** Content-Length; undefined when chunked. */
  readonly length: number | undefined;
  /** Whether the first piece was asked for; until then `chunks` may be called again. */
  readonly consumed: boolean;
  /** The body, piece by piece. Throws when the client breaks off. */
  chunks(): AsyncIterable<Uint8Array>;
}

/** One request to one origin. */
export interface OriginRequest {
  readonly method: string;
  readonly target: string;
  readonly fields: FieldList;
  readonly body: RequestBody | undefined;
}

/** What comes back: any number of `onInformation`, then `onHead`, `onData` ..., `onEnd`; `onFailure` may end it anywhere. */
export interface OriginHandler {
  onInformation(status: number, fields: FieldList): void;
  onHead(status: number, fields: FieldList): void;
  /** The chunk is the receiver's to keep. */
  onData(chunk: Buffer): void;
  onEnd(): void;
  onFailure(failure: OriginFailure): void;
}

export interface OriginCall {
  pause(): void;
  resume(): void;
  /** No handler method is called afterwards. */
  abort(): void;
}

export interface OriginPort {
  send(origin: CompiledOrigin, request: OriginRequest, handler: OriginHandler): OriginCall;
  /** A request failed at this origin: measure it soon. */
  suspect(origin: CompiledOrigin): void;
}

/** What an edge serves by; replaced as a whole when a snapshot is applied. */
export interface Serving {
  readonly snapshot: CompiledSnapshot;
  /** Whether an address may speak for others in X-Forwarded-For and Forwarded. */
  isTrusted(address: string): boolean;
  /** Distances measured under this snapshot. */
  readonly order: OriginOrder;
}

/** How an exchange went, for metrics and access log. */
export type CacheOutcome = 'hit' | 'stale' | 'revalidated' | 'miss' | 'bypass' | 'none';

/** What the ledger reads of an exchange. Times are monotonic milliseconds. */
export interface Settled {
  readonly request: RequestHead;
  readonly startedAt: number;
  readonly serving: Serving | undefined;
  readonly site: CompiledSite | undefined;
  readonly origin: CompiledOrigin | undefined;
  readonly admitted: Admitted | undefined;
  addressOfClient(): string;
  readonly outcome: CacheOutcome;
  readonly cacheStatus: string | undefined;
  readonly status: number;
  readonly failure: Failure | undefined;
}

/** How an answer ended: whole, or broken off and by whom. */
export type ExchangeEnd = 'complete' | 'origin-failed' | 'client-gone' | 'edge-failed';

/** Told once of each exchange, when its answer is complete or broken off. It must not keep `exchange`. */
export interface Ledger {
  /** `bytes`: of the body that went to the client. */
  record(exchange: Settled, end: ExchangeEnd, bytes: number): void;
}

/** What a store may have beside what it has at once. */
export interface SlowStore {
  /**
   * All variants under `key` from where reading takes time. True: `done` will be called, once and not before this returns; false:
   * there are none.
   */
  findStored?(key: string, done: (found: readonly CacheEntry[]) => void): boolean;
}

export interface Ports {
  readonly edge: string;
  /** In Cache-Status. */
  readonly cacheName: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Undefined: nothing was ever applied. */
  serving(): Serving | undefined;
  locate(address: string): Place;
  readonly cache: CacheStore & SlowStore;
  readonly barrier: Barrier;
  readonly health: Pick<HealthTable, 'status'>;
  readonly origins: OriginPort;
  readonly ledger: Ledger;
}
