// One request and its answer: what was decided so far. Steps write here and read what steps before them wrote; the table
// guarantees the order. One object for each request, made by the listener, with every member present from the start.
import type { Admission, RequestHead } from '../decide/admit.ts';
import type { CacheDetail } from '../decide/cache/cache-status.ts';
import type { CacheEntry, StoredHead } from '../decide/cache/entry.ts';
import type { StaleReason } from '../decide/cache/freshness.ts';
import type { BypassReason, RequestClass } from '../decide/cache/request.ts';
import type { CompiledOrigin, CompiledRoute, CompiledSite } from '../decide/compile.ts';
import type { Failure } from '../decide/errors.ts';
import type { FieldList } from '../decide/fields.ts';
import type { CacheOutcome, ClientPort, Serving } from '../ports.ts';
import type { Tee } from './tee.ts';

export type Admitted = Extract<Admission, { kind: 'admitted' }>;

/** Why the request goes to an origin. */
export type Forward = 'uri-miss' | 'vary-miss' | 'purged' | StaleReason | BypassReason;

/** An origin's answer, head only: the body flows through the tee. */
export interface OriginAnswer {
  readonly status: number;
  /** As an origin sent them. */
  readonly received: FieldList;
  /** As they may be stored and sent on. */
  readonly fields: FieldList;
  readonly requestedAt: number;
  readonly receivedAt: number;
}

export class Exchange {
  readonly client: ClientPort;
  readonly request: RequestHead;
  /** Monotonic milliseconds. */
  readonly startedAt: number;

  // admit
  serving: Serving | undefined = undefined;
  admitted: Admitted | undefined = undefined;
  // route
  site: CompiledSite | undefined = undefined;
  route: CompiledRoute | undefined = undefined;
  // lookUp
  requestClass: RequestClass | undefined = undefined;
  key = '';
  /** What the answer is made from, when it comes from the cache. */
  entry: CacheEntry | undefined = undefined;
  /** What is stored but may not be served without asking the origin. */
  stale: CacheEntry | undefined = undefined;
  staleAllowed = false;
  forward: Forward = 'uri-miss';
  forwardDetail: CacheDetail | undefined = undefined;
  /** The conditions in the request to the origin are the cache's own. */
  revalidating = false;
  /** The client's conditions stayed here, to be judged against the origin's answer. */
  conditionsHeld = false;
  // choose
  clientAddress: string | undefined = undefined;
  candidates: readonly CompiledOrigin[] | undefined = undefined;
  attempt = 0;
  origin: CompiledOrigin | undefined = undefined;
  // fetch
  tee: Tee | undefined = undefined;
  answer: OriginAnswer | undefined = undefined;
  /** The purge barrier as it stood when the request to the origin was sent. */
  barrier = 0;
  // store
  stored = false;
  /** The head made of the origin's answer. */
  freshHead: StoredHead | undefined = undefined;
  // respond, refuse
  outcome: CacheOutcome = 'none';
  failure: Failure | undefined = undefined;
  status = 0;
  cacheStatus: string | undefined = undefined;
  responded = false;
  finished = false;

  constructor(client: ClientPort, startedAt: number) {
    this.client = client;
    this.request = client.request;
    this.startedAt = startedAt;
  }
}

/** What a step before this one must have left; its absence is a defect of the table, not of the request. */
export function required<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`the exchange has no ${what} at this step`);
  return value;
}
