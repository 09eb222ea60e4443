// One fill: an exchange that fetches what is to be stored, and those that wait for it instead of asking as well. It outlives the
// client that caused it for as long as others wait. What it may do for whom is decided in decide/cache/fills.ts.

import type { CacheEntry, StoredHead } from '../decide/cache/entry.ts';
import {
  afterFailure,
  isAwaitedElsewhere,
  isShareable,
  isStreamed,
  type Offer,
  receive,
  UNSHARED,
} from '../decide/cache/fills.ts';
import { purgeName } from '../decide/cache/key.ts';
import type { Preparation } from '../decide/cache/prepared.ts';
import { OF_THE_REQUEST } from '../decide/cache/refresh.ts';
import { type Failure, failure } from '../decide/errors.ts';
import type { OriginFailure } from '../decide/retry.ts';
import { askedName, type Exchange, isPurgedFor, required, type Shared, serveStale, useEntry } from './exchange.ts';
import type { AnyFill, FillTable } from './fill-table.ts';
import type { Engine } from './run.ts';
import type { IncomingWatcher } from './slices/incoming.ts';
import { Unattended } from './unattended.ts';
import { type Waiter, Waiters } from './waiters.ts';

export class Fill implements Shared, IncomingWatcher {
  readonly x: Exchange;
  readonly #table: FillTable;
  /** No client has caused it. */
  readonly #isRefresh: boolean;
  /** Slices are asked for. */
  readonly #isPart: boolean;
  #claim: number;
  #waiters: Waiters | undefined;
  /** Of its answer, from when that is being stored. */
  head: StoredHead | undefined = undefined;
  /** What is made ready for those who are answered from it in the same second. */
  prepared: Preparation | undefined = undefined;
  #isStreamed = false;
  #settled = false;
  /** Another for the same key. */
  next: AnyFill | undefined = undefined;

  /** `claim`: what other threads know it by. */
  constructor(x: Exchange, table: FillTable, isRefresh: boolean, claim: number) {
    this.x = x;
    this.#claim = claim;
    this.#table = table;
    this.#isRefresh = isRefresh;
    this.#isPart = wantsPart(x);
  }

  /** Whether what it asks for is what `x` would ask for: slices, or the whole. */
  mayServe(x: Exchange): boolean {
    return wantsPart(x) ? this.#isPart : !this.#isPart || this.#isRefresh;
  }

  /** Whether its end matters to anyone but its own client. */
  get awaited(): boolean {
    return this.#isRefresh || (this.#waiters?.size ?? 0) > 0;
  }

  /** Field names that its answer varies by, as far as is known. */
  get vary(): readonly string[] | undefined {
    return this.head?.vary ?? this.x.stale?.head.vary;
  }

  /** Status of its answer, for Cache-Status. */
  get status(): number | undefined {
    return this.x.answer?.status;
  }

  /** Body bytes that are announced. */
  get length(): number | undefined {
    return this.x.answerLength;
  }

  /** Whether a purge or an unsafe request makes what it brings useless to a request that comes now. */
  get isOutdated(): boolean {
    const { barrier } = this.#table.ports;
    const { head } = this;
    if (this.#table.isInvalid(this.x)) return true;
    const { host, purgeTarget } = this.#names();
    if (head === undefined) return barrier.covers(this.x.barrier, host, purgeTarget);
    return isPurgedFor(this.x, this.#table.ports, { host, purgeTarget, head });
  }

  /** `x` waits for it, or is answered by it at once. */
  join(x: Exchange, engine: Engine): 'wait' | 'respond' | 'choose' {
    const share = required(x.share, 'share');
    if (this.#isStreamed) return this.#take(x) === 'take' ? 'respond' : 'choose';
    share.rounds += 1;
    this.#waiters ??= new Waiters(this.#table.ports, this.#table);
    this.#waiters.add(
      x,
      engine,
      (waiter) => {
        this.#table.onUseless(x.key);
        this.#waiters?.resume(waiter, 'choose');
        this.#stopIfUnwanted();
      },
      () => this.#stopIfUnwanted(),
    );
    return 'wait';
  }

  /** The exchange has answered its own client, or would have. What becomes of those who wait. */
  settle(): void {
    const { x } = this;
    if (this.#settled) return;
    this.#settled = true;
    const { taker, shared } = x.slicing;
    if (x.failure === undefined && shared === 'whole' && taker?.watch(this)) return;
    if (x.entry === undefined && x.failure === undefined && x.stored && x.freshHead !== undefined) {
      this.#onStoring(x.freshHead);
      return;
    }
    this.#table.remove(this);
    if (this.#isRefresh && !(x.stored && x.failure === undefined)) this.#table.onRefreshInVain(x);
    // Of a 304 there is no more to come, and its connection is still good.
    if (x.client instanceof Unattended && x.entry === undefined) x.tee?.abort();
    if (x.failure !== undefined) this.#fail(x.failure);
    else if (x.entry !== undefined && x.outcome === 'revalidated' && x.stored) {
      this.#offer(x.entry, x.freshHead ?? x.entry.head);
    } else if (x.outcome === 'stale') this.#fail(undefined, x.answer?.status);
    // Each takes what it wants of what is there, and waits or asks for the rest.
    else if (shared !== undefined) this.#onOutdated();
    else this.#onNotStored();
  }

  onStored(entry: CacheEntry): void {
    this.#table.remove(this);
    this.#offer(entry, entry.head);
  }

  onLost(cause: OriginFailure | undefined): void {
    this.#table.remove(this);
    if (this.#isRefresh) this.#table.onRefreshInVain(this.x);
    if (cause !== undefined) this.#fail(failure(cause.code, cause.detail));
    else if (this.#table.isInvalid(this.x)) this.#onOutdated();
    else this.#onUseless();
  }

  /** The client of its exchange has left. */
  onClientGone(): void {
    this.x.client = new Unattended(this.x.request);
    if (!this.#settled && !this.awaited) this.#abandon();
  }

  #onStoring(head: StoredHead): void {
    const { x } = this;
    const tee = required(x.tee, 'tee');
    const streamed = isStreamed(x.answerLength);
    // Who wants a part would be given all of it.
    const ready = !streamed || (tee.canBeFollowed && !this.#isPart);
    if (!isShareable(head, this.#table.ports.clock.now()) || !ready) {
      this.#table.remove(this);
      this.#onUseless();
      return;
    }
    this.head = head;
    this.#isStreamed = streamed;
    tee.watch(this);
    // Those whom it will not suit need not wait for its end.
    if (streamed) this.#offer(undefined, head);
    else this.#waiters?.each((waiter) => this.#sendOn(waiter, this.#receive(waiter.x, head).kind));
  }

  #onNotStored(): void {
    const reason = this.x.forwardDetail;
    // What another's request forbids to store may be stored for the next.
    const ofTheRequest = (OF_THE_REQUEST as ReadonlySet<string | undefined>).has(reason);
    if (ofTheRequest) this.#onOutdated();
    else this.#onUseless();
  }

  /** It is of no use to those who wait, but another may be. */
  #onOutdated(): void {
    this.#release(false);
    this.#waiters?.each((waiter) => this.#waiters?.again(waiter));
  }

  /** To wait for it was in vain, and would be again. */
  #onUseless(): void {
    // Of slices that are not to be had, a note is taken elsewhere.
    this.#release(!this.#isPart);
    if ((this.#waiters?.size ?? 0) > 0 && !this.#isPart) this.#table.onUseless(this.x.key);
    this.#waiters?.each((waiter) => this.#waiters?.resume(waiter, 'choose'));
  }

  /** `status`: of an answer that gave way to what is stale. */
  #fail(cause: Failure | undefined, status?: number): void {
    this.#release(false);
    this.#waiters?.each((waiter) => {
      const { x } = waiter;
      if (serveStale(x, this.#table.ports, status)) this.#waiters?.resume(waiter, 'respond');
      else if (afterFailure(x.share?.rounds ?? 0) === 'again') this.#waiters?.again(waiter);
      else if (cause !== undefined) {
        x.failure = cause;
        this.#waiters?.resume(waiter, 'refuse');
      } else this.#waiters?.resume(waiter, 'choose');
    });
  }

  /** `entry` undefined: the body is still coming. */
  #offer(entry: CacheEntry | undefined, head: StoredHead): void {
    this.head = head;
    if (entry !== undefined || !isAwaitedElsewhere(this.length)) this.#release(false);
    this.#waiters?.each((waiter) => {
      const kind = this.#take(waiter.x, entry);
      if (kind === 'take') this.#waiters?.resume(waiter, 'respond');
      else this.#sendOn(waiter, kind);
    });
  }

  /** `x` is to be answered by it, if that suits it. */
  #take(x: Exchange, entry?: CacheEntry): 'take' | 'again' | 'alone' {
    const reception = this.#receive(x, required(this.head, 'head'));
    if (reception.kind !== 'take') return reception.kind;
    if (entry !== undefined && !useEntry(x, entry)) return 'again';
    required(x.share, 'share').fill = this;
    x.freshHead = this.head;
    x.ageMs = reception.ageMs;
    x.outcome = 'collapsed';
    return 'take';
  }

  #receive(x: Exchange, head: StoredHead): ReturnType<typeof receive> | { readonly kind: 'again' } {
    const { ports } = this.#table;
    const { requestClass } = x;
    if (requestClass?.kind !== 'lookup') throw new Error('a request that bypasses the cache waits for it');
    if (this.#table.isInvalid(this.x)) return { kind: 'again' };
    const request = { fields: x.request.fields, directives: requestClass.directives, asked: askedName(x) };
    return receive({ head, ...this.#names() }, request, ports.barrier, ports.clock.now());
  }

  #sendOn(waiter: Waiter, kind: 'take' | 'again' | 'alone'): void {
    if (kind === 'again') this.#waiters?.again(waiter);
    else if (kind === 'alone') this.#waiters?.resume(waiter, 'choose');
  }

  #stopIfUnwanted(): void {
    const { x } = this;
    if (this.awaited || !(x.client instanceof Unattended)) return;
    if (!this.#settled) this.#abandon();
    x.tee?.stopIfUnwanted();
  }

  #abandon(): void {
    this.#table.remove(this);
    this.#release(false);
  }

  /** Other threads look for themselves; `useless`: each of their requests, too. */
  #release(useless: boolean): void {
    if (this.#claim === UNSHARED) return;
    this.#table.release(this.#claim, useless);
    this.#claim = UNSHARED;
  }

  #names(): Omit<Offer, 'head'> {
    const { host } = required(this.x.admitted, 'admission');
    return { host, purgeTarget: purgeName(host, this.x.target) };
  }
}

function wantsPart({ requestClass }: Exchange): boolean {
  return requestClass?.kind === 'lookup' && requestClass.range;
}
