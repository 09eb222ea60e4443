// One request and its answer: what was decided so far. Steps write here and read what steps before them wrote; the table
// guarantees the order. One object for each request, made by the listener, with every member present from the start.
import type { Admitted, RequestHead } from '../decide/admit.ts';
import type { OpenBody } from '../decide/cache/body-source.ts';
import type { CacheDetail } from '../decide/cache/cache-status.ts';
import type { CacheEntry, StoredHead } from '../decide/cache/entry.ts';
import { answerAfterError, type StaleJudgement, type StaleReason } from '../decide/cache/freshness.ts';
import { purgeName } from '../decide/cache/key.ts';
import type { Part } from '../decide/cache/ranges.ts';
import type { BypassReason, RequestClass } from '../decide/cache/request.ts';
import type { Asked } from '../decide/cache/slices.ts';
import { clientAddress } from '../decide/client-address.ts';
import type { CompiledOrigin, CompiledRoute, CompiledSite } from '../decide/compile.ts';
import type { Failure } from '../decide/errors.ts';
import { combinedField, type FieldList } from '../decide/fields.ts';
import { isPurged, type Purgeable } from '../decide/purged.ts';
import type { CacheOutcome, ClientPort, ExchangeEnd, Ports, RequestBody, Serving, Settled } from '../ports.ts';
import type { Fill } from './fill.ts';
import type { Flight } from './slices/flights.ts';
import type { Incoming } from './slices/incoming.ts';
import type { SliceIndex } from './slices/slice-index.ts';
import type { Tee } from './tee.ts';
import type { Share } from './waiters.ts';

/** Why the request goes to an origin. */
export type Forward = 'uri-miss' | 'vary-miss' | 'purged' | 'partial' | StaleReason | BypassReason;

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

/** What of a large answer an origin is asked for. */
export interface Slicing {
  /** In the request that is under way. */
  readonly asked: Asked | undefined;
  /** What is to be asked for of the index. */
  readonly index: SliceIndex | undefined;
  readonly missing: Part | undefined;
  /** Of those who wait for that. */
  readonly flight: Flight | undefined;
  /** The request is to go as the client made it. */
  readonly asItIs: boolean;
  /** Gets the body of the origin's answer, instead of the tee. */
  readonly taker: Incoming | undefined;
  /** What of that body others may wait for: slices, or the whole, which is no longer than one. */
  readonly shared: 'slices' | 'whole' | undefined;
}

/** What others may wait for of what an exchange asks an origin for. */
export interface Shared {
  /** Whether somebody does. */
  readonly awaited: boolean;
  /** The exchange has answered its own client, or would have. May be called more than once. */
  settle(): void;
  /** The client of the exchange has left. */
  onClientGone(): void;
}

export const NOT_SLICED: Slicing = Object.freeze({
  asked: undefined,
  index: undefined,
  missing: undefined,
  flight: undefined,
  asItIs: false,
  taker: undefined,
  shared: undefined,
});

/** Of what is stored for others, all but the bodies: many may wait for an origin. */
export type Variant = Pick<CacheEntry, 'host' | 'purgeTarget' | 'head'>;

export const NO_VARIANTS: readonly Variant[] = Object.freeze([]);

const nobody = (): boolean => false;

export class Exchange implements Settled {
  #clientAddress: string | undefined = undefined;
  /** One that nobody is behind, from when the client has left and others wait. */
  client: ClientPort;
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
  /** What of the target chooses the answer on this route. An origin sees no more, so that nothing else gets into what is kept. */
  target = '';
  key = '';
  /** What the disk had, when it was asked. */
  found: readonly CacheEntry[] | undefined = undefined;
  /** The body of `entry`, when it is to be read from disk. */
  openBody: OpenBody | undefined = undefined;
  /** What the answer is made from, when it comes from the cache. */
  entry: CacheEntry | undefined = undefined;
  /** Of `entry` when it was judged, milliseconds. */
  ageMs = 0;
  /** What is stored but may not be served without asking the origin. */
  stale: CacheEntry | undefined = undefined;
  /** Of `stale`; undefined: it is not to be served at all. */
  judgement: StaleJudgement | undefined = undefined;
  /** Stored, but for other requests than this one; from `fetch` on, those of them that the origin is asked about. */
  variants = NO_VARIANTS;
  forward: Forward = 'uri-miss';
  forwardDetail: CacheDetail | undefined = undefined;
  /** The conditions in the request to the origin are the cache's own. */
  revalidating = false;
  /** The client's conditions stayed here, to be judged against the origin's answer. */
  conditionsHeld = false;
  // collapse
  /** Others may wait for what this one asks an origin for. */
  fill: Shared | undefined = undefined;
  /** It waits, or has waited, for what others ask for. */
  share: Share<Fill> | undefined = undefined;
  // choose
  candidates: readonly CompiledOrigin[] | undefined = undefined;
  attempt = 0;
  origin: CompiledOrigin | undefined = undefined;
  /** The request has met a connection that the origin had closed: the next one is to be new. */
  fresh = false;
  // fetch
  tee: Tee | undefined = undefined;
  answer: OriginAnswer | undefined = undefined;
  /** Octets of its body, if the origin says; undefined: it comes in chunks or until the connection closes. */
  answerLength: number | undefined = undefined;
  /** The purge barrier as it stood when the request to the origin was sent. */
  barrier = 0;
  /** `FillTable.moment` as it stood then. */
  moment = 0;
  // slice
  slicing = NOT_SLICED;
  // store
  stored = false;
  /** The head made of the origin's answer. */
  freshHead: StoredHead | undefined = undefined;
  // tunnel
  /** What the client sends once its connection is a tunnel. */
  fromClient: RequestBody | undefined = undefined;
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

  /** The client's own address, found when first asked for. */
  addressOfClient(): string {
    if (this.#clientAddress === undefined) {
      const { fields, peer } = this.request;
      const said = {
        xForwardedFor: combinedField(fields, 'x-forwarded-for'),
        forwarded: combinedField(fields, 'forwarded'),
      };
      this.#clientAddress = clientAddress(peer, said, this.serving?.isTrusted ?? nobody);
    }
    return this.#clientAddress;
  }
}

/** Whether `entry` can be answered with: its body is in memory, or on disk still, and will stay there. */
export function useEntry(x: Exchange, entry: CacheEntry): boolean {
  if (entry.source !== undefined) {
    x.openBody = entry.source.open();
    if (x.openBody === undefined) return false;
  }
  x.entry = entry;
  return true;
}

/** What was found, or was not, counts for nothing: the request is to be looked up as if it had just come. */
export function forgetLookUp(x: Exchange): void {
  x.found = undefined;
  x.stale = undefined;
  x.variants = NO_VARIANTS;
  x.judgement = undefined;
}

/** Whether what is stale may be answered with, since an origin has said `status`, or none has answered; then it is. */
export function serveStale(x: Exchange, ports: Pick<Ports, 'barrier'>, status: number | undefined): boolean {
  const { stale, judgement } = x;
  if (stale === undefined || answerAfterError(judgement, status).kind === 'pass') return false;
  if (isPurgedFor(x, ports, stale) || !useEntry(x, stale)) return false;
  x.outcome = 'stale';
  return true;
}

/** Enters the exchange in the ledger, once. `bytes`: of the body; those that went through the tee where left out. */
export function finish(x: Exchange, ports: Ports, end: ExchangeEnd, bytes?: number): void {
  if (x.finished) return;
  x.finished = true;
  ports.ledger.record(x, end, bytes ?? x.tee?.bytes ?? 0);
}

/** What a step before this one must have left; its absence is a defect of the table, not of the request. */
export function required<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`the exchange has no ${what} at this step`);
  return value;
}

/** `purgeName` of the URL as it was asked for, where the route leaves something of it out of the key; else undefined. */
export function askedName(x: Exchange): string | undefined {
  const { host, target } = required(x.admitted, 'admission');
  return x.target === target ? undefined : purgeName(host, target);
}

/** Whether a purge has reached `entry`, by any of the names that it has for this request. */
export function isPurgedFor(x: Exchange, { barrier }: Pick<Ports, 'barrier'>, entry: Purgeable): boolean {
  return isPurged(barrier, entry, askedName(x));
}
