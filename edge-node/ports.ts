// What the pipeline needs of the world: types only. io/ implements them, main.ts joins them, tests replace them.
import type { Place } from '../geo/location.ts';
import type { Clock } from '../infra/runtime/clock.ts';
import type { Log } from '../infra/runtime/log.ts';
import type { Random } from '../infra/runtime/random.ts';
import type { Admitted, RequestHead } from './decide/admit.ts';
import type { Barrier } from './decide/barrier.ts';
import type { CacheEntry, CacheStore } from './decide/cache/entry.ts';
import type { NotStoredReason } from './decide/cache/explain.ts';
import type { FillClaims } from './decide/cache/fills.ts';
import type { Invalidations } from './decide/cache/invalidation.ts';
import type { PreparedAnswer } from './decide/cache/prepared.ts';
import type { CompiledOrigin, CompiledSite, CompiledSnapshot } from './decide/compile.ts';
import type { Failure } from './decide/errors.ts';
import type { FieldList } from './decide/fields.ts';
import type { HealthTable } from './decide/health.ts';
import type { OriginOrder } from './decide/order.ts';
import type { OriginFailure } from './decide/retry.ts';

/** The client's end of one exchange: where the answer goes. One of the answering methods is called, once, unless it throws. */
export interface ClientPort {
  readonly request: RequestHead;
  /** The request's body. Reading it more than once is not possible. */
  readonly body: RequestBody | undefined;
  /** The whole answer. `fields` has no framing fields; `length` is that of the body even where HEAD leaves it out. */
  answer(status: number, fields: FieldList, body: Buffer | undefined, length: number | undefined): void;
  /**
   * As `answer`, for an answer that others get as well: what is made of it may be kept with it and used again. Left out where
   * there is nothing to gain by that.
   */
  answerPrepared?(prepared: PreparedAnswer): void;
  /** Passes an informational (1xx) answer on. */
  inform(status: number, fields: FieldList): void;
  /** Begins an answer whose body follows by `write`. `length` undefined: not known, so chunked or until close. */
  begin(status: number, fields: FieldList, length: number | undefined): void;
  /** False: the client is slow; wait for `onDrain`. */
  write(chunk: Uint8Array): boolean;
  /** Whether what was given to `write` is still in use, and must stay as it is. Undefined: always to be taken for so. */
  readonly retains?: boolean;
  /** `trailers`: may be sent behind the body where the client can take them. */
  end(trailers?: FieldList): void;
  /**
   * In place of an answer: 101, from which on the connection carries octets both ways, those to the client by `write` and `end`.
   * What comes back are those from it. Undefined: the client's protocol has no such thing.
   */
  switchProtocols?(protocol: string, fields: FieldList): RequestBody;
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
  /** The client waits for 100 (Continue), which it gets when the first piece is asked for. */
  readonly continueDue?: boolean;
  /** The body, piece by piece. Throws when the client breaks off. */
  chunks(): AsyncIterable<Uint8Array>;
  /** What came behind it, as far as it may be sent on; there when the last piece has been given. */
  readonly trailers?: FieldList;
}

/** One request to one origin. */
export interface OriginRequest {
  readonly method: string;
  readonly target: string;
  readonly fields: FieldList;
  readonly body: RequestBody | undefined;
  /** Whether the client takes trailers. */
  readonly trailers?: boolean;
  /** The protocol that the client would switch to, if the handler has `onSwitch`. */
  readonly upgrade?: string | undefined;
  /** Not on a connection that has stood idle. */
  readonly fresh?: boolean;
}

/** What comes back: any number of `onInformation`, then `onHead`, `onData` ..., `onEnd`; `onFailure` may end it anywhere. */
export interface OriginHandler {
  onInformation(status: number, fields: FieldList): void;
  onHead(status: number, fields: FieldList): void;
  /** Instead of `onHead`, and only where `upgrade` was asked for: the origin's 101. What comes back goes to the origin. */
  onSwitch?(fields: FieldList): RequestBody;
  /** The chunk stays as it is while `retains` is true; where that is undefined, for good. */
  onData(chunk: Buffer): void;
  readonly retains?: boolean;
  /** `trailers`: as the origin sent them. */
  onEnd(trailers: FieldList): void;
  onFailure(failure: OriginFailure): void;
}

/** To whom the body of an origin's answer goes. */
export type BodyReceiver = Pick<OriginHandler, 'onData' | 'onEnd' | 'onFailure' | 'retains'>;

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
export type CacheOutcome = 'hit' | 'stale' | 'revalidated' | 'collapsed' | 'miss' | 'bypass' | 'none';

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

/** A request did not wait because too many did; an answer was of no use to those who waited; something is refreshed unasked. */
export type FillEvent = 'refused' | 'useless' | 'refresh';

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
  /** To be counted. */
  readonly fillEvents?: { note(event: FillEvent): void };
  /** Remembers why an answer for a key was not stored, for who asks; `now`: Unix milliseconds. */
  readonly skips?: { note(key: string, reason: NotStoredReason, now: number): void };
  /** What other threads ask for, and have made invalid; undefined: there are none. */
  readonly claims?: FillClaims | undefined;
  readonly invalidations?: Invalidations | undefined;
}
