// Fills: what is being fetched from an origin to be stored, who may wait for it instead of asking as well (RFC 9111 section 4: a
// cache may collapse requests), what they get of it, and when stored responses are refreshed behind their clients' backs.
//
//   asking ──head──▶ storing ──end──▶ stored          those who wait are answered from it,
//      │                └──breaks off──▶ failed        or look up again: one of them asks next
//      ├──────▶ not stored                             they all ask for themselves, and so do others, for a while
//      └──────▶ failed
import type { Barrier } from '../barrier.ts';
import type { FieldList } from '../fields.ts';
import { isPurged, judgedHead } from '../purged.ts';
import { type CacheControl, NO_DIRECTIVES } from './cache-control.ts';
import type { StoredHead } from './entry.ts';
import { judge, type StaleReason } from './freshness.ts';
import { OF_THE_REQUEST } from './refresh.ts';
import { varyValues } from './vary.ts';

export interface FillLimits {
  /** Requests that wait in one thread; one more asks for itself. */
  readonly waiters: number;
  /** How long one waits in all, milliseconds; then it asks for itself. */
  readonly waitMs: number;
  /** Fills that one waits for, one after the other. */
  readonly rounds: number;
  /** Fills of one key that others may wait for: variants, mostly. */
  readonly perKey: number;
  /** Keys that are remembered for what came of their last fill. */
  readonly remembered: number;
  /** For how long nobody waits for a key whose answer was of no use to those who waited, milliseconds. */
  readonly uncollapsedMs: number;
  /** For how long a refresh that brought nothing is not tried again behind a client's back, milliseconds. */
  readonly refreshHoldMs: number;
}

export const DEFAULT_FILL_LIMITS: FillLimits = {
  waiters: 50_000,
  waitMs: 30_000,
  rounds: 3,
  perKey: 16,
  remembered: 10_000,
  uncollapsedMs: 60_000,
  refreshHoldMs: 1_000,
};

/** Fills that may fail one request before it is told of the failure: what one client sends must not fail all others. */
const FAILURES = 2;

/** Longer bodies go to those who wait as they come, others when they are complete. Bytes. */
const STREAMED_FROM = 64 * 1024;

/** What is left of a body may be so long, bytes, to be fetched to its end with nobody to wait for it. */
const WORTH_FINISHING = 256 * 1024;

/** Whether a request may be answered by what was asked for before it came. */
export function mayWait(directives: CacheControl): boolean {
  return !directives.noCache && directives.maxAgeMs !== 0;
}

/** Whether two requests choose the same variant, as far as is known what the answer varies by. */
export function looksAlike(vary: readonly string[], a: FieldList, b: FieldList): boolean {
  return vary.length === 0 || a === b || varyValues(vary, a) === varyValues(vary, b);
}

/** Which thread asks for what. Without it there is but one. */
export interface FillClaims {
  /** This thread is about to ask for `key`. What to `release`; else {@link UNSHARED}, or {@link TAKEN} where another asks already. */
  claim(key: string): number;
  /** Whether another thread waits for what was claimed. */
  isAwaited(claim: number): boolean;
  /** `useless`: others who wait for it are to ask for themselves. */
  release(claim: number, useless: boolean): void;
  /** Calls `done`, once and later, when no other thread asks for `key` any more, or `ms` have passed. */
  whenFree(key: string, ms: number, done: (useless: boolean) => void): void;
}

/** It can be asked for, and others will not know. */
export const UNSHARED = -1;
export const TAKEN = -2;

/** Other threads wait for a body up to this, bytes: to wait for the end of a longer one would take longer than to ask as well. */
const AWAITED_ELSEWHERE = 1024 * 1024;

export function isAwaitedElsewhere(length: number | undefined): boolean {
  return length === undefined || length <= AWAITED_ELSEWHERE;
}

/** What a fill has to offer. */
export interface Offer {
  readonly head: StoredHead;
  readonly host: string;
  readonly purgeTarget: string;
}

/** What those who wait for `offer` are to do about it. */
export type Reception =
  | { readonly kind: 'take'; readonly ageMs: number }
  /** Look up again: it is of no use to this request, but another fill may be. */
  | { readonly kind: 'again'; readonly reason: 'variant' | 'purged' }
  /** Ask for itself. */
  | { readonly kind: 'alone'; readonly reason: StaleReason };

/**
 * Whether `request`, which waits, is answered by `offer`: as if that were stored already. `asked`: as of `isPurged`; `now`: Unix
 * milliseconds.
 */
export function receive(
  offer: Offer,
  request: { readonly fields: FieldList; readonly directives: CacheControl; readonly asked: string | undefined },
  barrier: Barrier,
  now: number,
): Reception {
  const { head } = offer;
  if (varyValues(head.vary, request.fields) !== head.variant) return { kind: 'again', reason: 'variant' };
  if (isPurged(barrier, offer, request.asked)) return { kind: 'again', reason: 'purged' };
  const judgement = judge(judgedHead(barrier, offer, now, request.asked), request.directives, now);
  if (judgement.kind === 'fresh') return { kind: 'take', ageMs: judgement.ageMs };
  return { kind: 'alone', reason: judgement.reason };
}

/** Whether a plain request may be answered by it: not, for one, what says no-cache. */
export function isShareable(head: StoredHead, now: number): boolean {
  return judge(head, NO_DIRECTIVES, now).kind === 'fresh';
}

/** Whether a body that is gathered in memory goes to those who wait while it comes. `length`: undefined where not known. */
export function isStreamed(length: number | undefined): boolean {
  return length !== undefined && length > STREAMED_FROM;
}

/** Whether one whose fill has failed, `rounds` in all, is told so, or looks up again: then one of those who do asks. */
export function afterFailure(rounds: number): 'again' | 'refuse' {
  return rounds < FAILURES ? 'again' : 'refuse';
}

export type Abandoned =
  | { readonly kind: 'finish'; readonly reason: 'little-left' | 'half-done' }
  | { readonly kind: 'abort'; readonly reason: 'length-unknown' | 'much-left' };

/** What becomes of a body that is being stored when nobody is left to take it. `length`: announced; `left`: of that. */
export function whenAbandoned(length: number | undefined, left: number): Abandoned {
  if (length === undefined) return { kind: 'abort', reason: 'length-unknown' };
  if (left <= WORTH_FINISHING) return { kind: 'finish', reason: 'little-left' };
  return left * 2 <= length ? { kind: 'finish', reason: 'half-done' } : { kind: 'abort', reason: 'much-left' };
}

/** A share of the lifetime, at its end, in which a hit may set off a refresh. */
const EARLY_SHARE = 0.1;
/** How long a refresh is taken to last at least, milliseconds: what a busy thread adds to it counts too. */
const LEAST_REFRESH_MS = 50;
/** So many times that long before the end the chance is nothing: e^-10. */
const EARLY_REACH = 10;

/** Whether {@link refreshesEarly} could be true: cheap, since every hit asks it. `ttlMs`: lifetime less age. */
export function nearsExpiry(head: StoredHead, ttlMs: number): boolean {
  return ttlMs <= head.lifetimeMs * EARLY_SHARE && ttlMs <= refreshMs(head) * EARLY_REACH && ttlMs > 0;
}

/**
 * Whether a hit refreshes what it found before that expires: probabilistic early expiration (A. Vattani, F. Chierichetti, K.
 * Lowenstein: Optimal Probabilistic Cache Stampede Prevention, VLDB 2015), with a beta of 1. What is asked for often is refreshed
 * in time, and most likely once; what is not, hardly ever. `draw`: uniform in [0, 1).
 */
export function refreshesEarly(head: StoredHead, ttlMs: number, draw: number): boolean {
  return -refreshMs(head) * Math.log(1 - draw) >= ttlMs;
}

/** How long the last one took. */
function refreshMs(head: StoredHead): number {
  return Math.max(LEAST_REFRESH_MS, head.receivedAt - head.requestedAt);
}

/**
 * Whether an answer that is not stored, for `reason`, ends what is stored and was asked about: that would else be served stale, for a
 * while or when no origin answers (RFC 9111 section 4.3.3: it is not what the origin has). What one request forbids to store
 * says nothing of what others would get.
 */
export function supersedes(status: number, reason: string | undefined): boolean {
  if ((OF_THE_REQUEST as ReadonlySet<string | undefined>).has(reason)) return false;
  return (status < 400 && status !== 206) || status === 404 || status === 410;
}
