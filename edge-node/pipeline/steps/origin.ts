// choose, fetch: which origin is asked, and the asking. A failure leads back to `choose` as long as the request may be sent
// again and an origin is left that has not failed it.

import type { CacheEntry, StoreWriter } from '../../decide/cache/entry.ts';
import type { Asked } from '../../decide/cache/slices.ts';
import { askedAbout, conditionalFields, tagsField } from '../../decide/cache/validation.ts';
import { failure } from '../../decide/errors.ts';
import type { FieldList } from '../../decide/fields.ts';
import { forwardedFor, forwardRequestFields, responseFields } from '../../decide/forward.ts';
import { DateText } from '../../decide/http1/response-head.ts';
import { decideRetry, type OriginFailure } from '../../decide/retry.ts';
import { passableTrailers, takesTrailers } from '../../decide/trailers.ts';
import { asksForWebSocket, WEBSOCKET } from '../../decide/upgrade.ts';
import type { BodyReceiver, OriginCall, OriginHandler, Ports, RequestBody } from '../../ports.ts';
import { type Exchange, finish, isPurgedFor, NO_VARIANTS, required, serveStale } from '../exchange.ts';
import { originsFor } from '../origins.ts';
import type { Engine, StepFunction } from '../run.ts';
import { isForSlices, partToAsk, withRange } from '../slices/asking.ts';
import type { Next } from '../table.ts';
import { Tee, type TeeOwner } from '../tee.ts';

const NO_CONDITIONS: FieldList = Object.freeze([]);
const date = new DateText();

export const choose: StepFunction<'choose'> = (x, { ports }) => {
  if (!x.candidates) {
    const { up, lastResort } = originsFor(x, ports);
    if (up.length > 0) x.candidates = up;
    else if (serveStale(x, ports, undefined)) return 'respond';
    // Never nothing: what measures as down may yet answer.
    else x.candidates = lastResort ? [lastResort] : [];
  }
  x.origin = x.candidates[x.attempt];
  x.attempt += 1;
  if (x.origin) return 'fetch';
  x.failure = failure('origin-unreachable', 'the pool has no origin');
  return 'refuse';
};

export const fetch: StepFunction<'fetch'> = (x, engine) => {
  const { ports } = engine;
  const { authority } = required(x.admitted, 'admission');
  const origin = required(x.origin, 'origin');
  // A purge since the look-up ends its use: an origin must not even be asked whether it is still good.
  if (x.stale !== undefined && isPurgedFor(x, ports, x.stale)) x.stale = undefined;
  const asked = partToAsk(x, engine);
  if (asked !== undefined) x.slicing = { ...x.slicing, asked };
  // A head alone, or a part that is no slice, is asked for as the client asked: it is of no use to the cache.
  const lookedUp = x.request.method === 'GET' && x.requestClass?.kind === 'lookup' ? x.requestClass : undefined;
  const cacheable = lookedUp !== undefined && (!lookedUp.range || asked !== undefined);
  const own = cacheable ? ownConditions(x, ports, asked) : NO_CONDITIONS;
  x.revalidating = own.length > 0;
  x.conditionsHeld = cacheable;
  const fields = forwardRequestFields(x.request, {
    edge: ports.edge,
    authority,
    forwardedFor: forwardedFor(x.request, required(x.serving, 'snapshot').isTrusted),
    mode: cacheable ? 'cacheable' : 'bypass',
    conditions: withRange(asked, own),
  });
  // The barrier is read before the request leaves: a purge from now on counts against its answer.
  x.barrier = ports.barrier.current;
  x.moment = engine.fills.moment;
  const handler = new Fetch(x, engine, ports.clock.now());
  const mayTunnel = x.requestClass?.kind === 'bypass' && x.client.switchProtocols !== undefined;
  const request = {
    method: x.request.method,
    target: x.target,
    fields,
    body: x.client.body,
    // HTTP/1.0 has no place for them.
    trailers: x.request.version !== '1.0' && takesTrailers(x.request.fields),
    upgrade: mayTunnel && asksForWebSocket(x.request) ? WEBSOCKET : undefined,
    fresh: x.fresh,
  };
  handler.begin(ports.origins.send(origin, request, handler));
  return 'wait';
};

/** The cache's own, by which an origin is asked about what is stored. */
function ownConditions(x: Exchange, ports: Ports, asked: Asked | undefined): FieldList {
  if (x.stale !== undefined) return conditionalFields(x.stale.head);
  if (x.variants.length === 0) return NO_CONDITIONS;
  const current = x.variants.filter((entry) => !isPurgedFor(x, ports, entry));
  const ofRoute = required(x.route, 'route').cache.key?.vary;
  x.variants = asked === undefined ? askedAbout(current, x.request.fields, ofRoute) : NO_VARIANTS;
  return tagsField(x.variants);
}

/** One attempt at one origin. */
class Fetch implements OriginHandler, TeeOwner {
  readonly #x: Exchange;
  readonly #engine: Engine;
  readonly #ports: Ports;
  readonly #requestedAt: number;
  #tee: Tee | undefined;
  #headSeen = false;

  constructor(x: Exchange, engine: Engine, requestedAt: number) {
    this.#x = x;
    this.#engine = engine;
    this.#ports = engine.ports;
    this.#requestedAt = requestedAt;
  }

  begin(call: OriginCall): void {
    const x = this.#x;
    const tee = new Tee(call, x.client, this);
    this.#tee = tee;
    x.tee = tee;
    x.client.onGone = () => tee.onClientGone();
  }

  onOver(end: 'complete' | 'origin-failed' | 'client-gone', cause?: OriginFailure): void {
    const x = this.#x;
    if (end === 'origin-failed' && cause) {
      x.failure = failure(cause.code, cause.detail);
      this.#ports.log.warn(
        { origin: x.origin?.name, detail: cause.detail },
        'an origin broke off in the middle of an answer',
      );
    }
    finish(x, this.#ports, end);
    if (end === 'client-gone') x.fill?.onClientGone();
  }

  get awaited(): boolean {
    return this.#x.fill?.awaited === true;
  }

  commit(writer: StoreWriter): CacheEntry | undefined {
    return this.#engine.fills.commit(this.#x, writer);
  }

  onInformation(status: number, fields: FieldList): void {
    if (!this.#x.responded) this.#x.client.inform(status, fields);
  }

  onHead(status: number, received: FieldList): void {
    const x = this.#x;
    this.#answer(status, received);
    if (serveStale(x, this.#ports, status)) {
      this.#tee?.abort();
      this.#engine.resume(x, 'fetch', 'respond');
      return;
    }
    if (isForSlices(x, status)) this.#engine.resume(x, 'fetch', 'slice');
    else this.#engine.resume(x, 'fetch', status === 304 && x.revalidating ? 'refresh' : 'store');
  }

  onSwitch(received: FieldList): RequestBody {
    const x = this.#x;
    this.#answer(101, received);
    this.#engine.resume(x, 'fetch', 'tunnel');
    return required(x.fromClient, 'tunnel');
  }

  #answer(status: number, received: FieldList): void {
    this.#headSeen = true;
    const receivedAt = this.#ports.clock.now();
    this.#x.answer = {
      status,
      received,
      fields: responseFields(received, date.at(receivedAt)),
      requestedAt: this.#requestedAt,
      receivedAt,
    };
  }

  onData(chunk: Buffer): void {
    this.#receiver?.onData(chunk);
  }

  get retains(): boolean {
    return this.#receiver?.retains ?? false;
  }

  get #receiver(): BodyReceiver | undefined {
    return this.#x.slicing.taker ?? this.#tee;
  }

  onEnd(trailers: FieldList): void {
    this.#receiver?.onEnd(passableTrailers(trailers, this.#x.answer?.received ?? []));
  }

  onFailure(cause: OriginFailure): void {
    const x = this.#x;
    if (x.origin && !cause.stale) this.#ports.origins.suspect(x.origin);
    if (this.#headSeen) this.#receiver?.onFailure(cause);
    else this.#engine.resume(x, 'fetch', this.#afterFailure(x, cause));
  }

  #afterFailure(x: Exchange, cause: OriginFailure): Next<'fetch'> {
    const left = (x.candidates?.length ?? 0) - x.attempt;
    const decision = decideRetry(cause, x.request.method, x.client.body?.consumed === true, left);
    this.#ports.log.warn({ origin: x.origin?.name, detail: cause.detail, decision }, 'an origin failed a request');
    if (decision.kind === 'retry') {
      if (decision.origin === 'same') {
        x.attempt -= 1;
        x.fresh = true;
      }
      return 'choose';
    }
    if (serveStale(x, this.#ports, undefined)) return 'respond';
    x.failure = failure(cause.code, cause.detail);
    return 'refuse';
  }
}
