// Asks for a part of what an index stands for, in the middle of an answer: of the origin that answered before, then of the others.
// The request has no condition. What comes counts only if it is of the index's version, which every 206 says itself, and what does
// not is one part of another version; under If-Range it would be all of it.

import { formatHttpDate } from '../../decide/cache/http-date.ts';
import type { Part } from '../../decide/cache/ranges.ts';
import { bodyLength, rangeValue, readAsked } from '../../decide/cache/slices.ts';
import type { CompiledOrigin } from '../../decide/compile.ts';
import type { FieldList } from '../../decide/fields.ts';
import { forwardedFor, forwardRequestFields, responseFields } from '../../decide/forward.ts';
import { decideRetry, type OriginFailure } from '../../decide/retry.ts';
import type { OriginCall, OriginHandler, Ports } from '../../ports.ts';
import { type Exchange, required } from '../exchange.ts';
import { MAX_ATTEMPTS, originsFor } from '../origins.ts';
import { type Flight, OVER } from './flights.ts';
import { Incoming } from './incoming.ts';
import type { SliceIndex } from './slice-index.ts';

export type PartOutcome =
  | { readonly kind: 'part'; readonly incoming: Incoming }
  /** The origin has another version, or none any more. */
  | { readonly kind: 'changed'; readonly detail: string }
  | { readonly kind: 'failed'; readonly failure: OriginFailure };

/** What an origin answers that has no longer what it had. */
const CHANGED: ReadonlySet<number> = new Set([200, 206, 404, 410, 412, 416]);

export class PartFetch implements OriginHandler {
  readonly #x: Exchange;
  readonly #ports: Ports;
  readonly #index: SliceIndex;
  readonly #part: Part;
  readonly #flight: Flight | undefined;
  readonly #done: (outcome: PartOutcome) => void;
  readonly #origins: CompiledOrigin[];
  #call: OriginCall | undefined;
  #incoming: Incoming | undefined;
  #requestedAt = 0;
  #barrier = 0;
  #fresh = false;
  #closed = false;

  /** `flight`: of those who wait for it. `done` is called once, unless it is closed before and nobody waits. */
  constructor(
    x: Exchange,
    ports: Ports,
    index: SliceIndex,
    part: Part,
    flight: Flight | undefined,
    done: (outcome: PartOutcome) => void,
  ) {
    this.#x = x;
    this.#ports = ports;
    this.#index = index;
    this.#part = part;
    this.#flight = flight;
    this.#done = done;
    this.#origins = inOrder(x, ports);
  }

  /** Sends the request to the next origin. */
  send(): void {
    const x = this.#x;
    const ports = this.#ports;
    const [origin] = this.#origins;
    if (origin === undefined) {
      this.#fail({ phase: 'connect', code: 'origin-unreachable', detail: 'the pool has no origin' });
      return;
    }
    const fields = forwardRequestFields(x.request, {
      edge: ports.edge,
      authority: required(x.admitted, 'admission').authority,
      forwardedFor: forwardedFor(x.request, required(x.serving, 'snapshot').isTrusted),
      mode: 'cacheable',
      conditions: ['range', rangeValue(this.#part)],
    });
    x.origin = origin;
    this.#barrier = ports.barrier.current;
    this.#requestedAt = ports.clock.now();
    const request = { method: 'GET', target: x.target, fields, body: undefined, fresh: this.#fresh };
    this.#call = ports.origins.send(origin, request, this);
  }

  close(): void {
    if (this.#flight?.awaited) return;
    this.#closed = true;
    this.#call?.abort();
    this.#flight?.end(OVER);
  }

  onInformation(): void {
    // The answer has begun.
  }

  onHead(status: number, received: FieldList): void {
    const receivedAt = this.#ports.clock.now();
    const fields = responseFields(received, formatHttpDate(receivedAt));
    const answer = { status, received, fields, requestedAt: this.#requestedAt, receivedAt };
    const asked = readAsked(fields, this.#part);
    const index = this.#index;
    const call = required(this.#call, 'call');
    if (status === 206 && asked.kind === 'part' && index.isOf(answer, asked.length)) {
      index.join(answer, this.#barrier);
      const writer = index.writer(asked.part.from, this.#barrier, answer, this.#flight);
      this.#incoming = new Incoming(call, this.#x.client, asked.part, writer, this.#flight);
      this.#done({ kind: 'part', incoming: this.#incoming });
      return;
    }
    call.abort();
    const detail = `status ${status} where a part of ${bodyLength(index.entry)} bytes was to come`;
    if (CHANGED.has(status)) this.#end({ kind: 'changed', detail });
    else this.onFailure({ phase: 'head', code: 'origin-malformed', detail });
  }

  onData(chunk: Buffer): void {
    this.#incoming?.onData(chunk);
  }

  get retains(): boolean {
    return this.#incoming?.retains ?? false;
  }

  onEnd(): void {
    this.#incoming?.onEnd();
  }

  onFailure(failure: OriginFailure): void {
    if (this.#closed) return;
    if (this.#incoming) {
      this.#incoming.onFailure(failure);
      return;
    }
    const [origin] = this.#origins;
    if (origin && !failure.stale) this.#ports.origins.suspect(origin);
    const decision = decideRetry(failure, 'GET', false, this.#origins.length - 1);
    if (decision.kind === 'give-up') {
      this.#fail(failure);
      return;
    }
    this.#fresh = decision.origin === 'same';
    if (decision.origin === 'next') this.#origins.shift();
    this.send();
  }

  #fail(failure: OriginFailure): void {
    this.#end({ kind: 'failed', failure });
  }

  #end(outcome: Exclude<PartOutcome, { kind: 'part' }>): void {
    this.#done(outcome);
    this.#flight?.end(outcome);
  }
}

/** The one that answered first. */
function inOrder(x: Exchange, ports: Ports): CompiledOrigin[] {
  const { up, lastResort } = originsFor(x, ports);
  const known = x.origin ?? up[0] ?? lastResort;
  return known === undefined ? [] : [known, ...up.filter((origin) => origin !== known)].slice(0, MAX_ATTEMPTS);
}
