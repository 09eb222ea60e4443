// Counts every exchange, by site and by what the cache had to do with it, and hands it to the access log.

import type { Clock } from '../../infra/runtime/clock.ts';
import type { Counter, Metrics } from '../../infra/runtime/metrics.ts';
import type { EdgeStatistics } from '../../proto/gen/meridian/v1/edge.ts';
import type { CacheStore } from '../decide/cache/entry.ts';
import type { CompiledSite } from '../decide/compile.ts';
import { FAILURES, type FailureCode } from '../decide/errors.ts';
import { siteLabel } from '../decide/site-numbers.ts';
import type { CacheOutcome, ExchangeEnd, Ledger, Settled } from '../ports.ts';

const OUTCOMES: readonly CacheOutcome[] = ['hit', 'stale', 'revalidated', 'collapsed', 'miss', 'bypass', 'none'];
const REQUESTS = 'meridian_requests_total';
/** The label of what came to no site. */
const NO_SITE = '';

/** Receives each exchange when it is over; must return at once. `share`: that it stands for, if it was drawn from others. */
export type AccessSink = (exchange: Settled, bytes: number, durationMs: number, share?: number) => void;

export class CountingLedger implements Ledger {
  readonly #clock: Clock;
  readonly #sink: AccessSink | undefined;
  readonly #startedAt: number;
  readonly #metrics: Metrics;
  readonly #siteless: Readonly<Record<string, Counter>>;
  readonly #failures: Readonly<Record<string, Counter>>;
  readonly #bytes: Counter;
  /** Without an access log a hit counts as none: it takes microseconds. */
  readonly #answerSeconds: Counter;
  readonly #brokenOff: Readonly<Record<Exclude<ExchangeEnd, 'complete'>, Counter>>;

  constructor(metrics: Metrics, clock: Clock, sink: AccessSink | undefined) {
    this.#clock = clock;
    this.#sink = sink;
    this.#startedAt = clock.monotonic();
    this.#metrics = metrics;
    this.#siteless = this.#tally(NO_SITE);
    const failures = 'Requests that failed, by stable code and who is at fault.';
    this.#failures = Object.fromEntries(
      Object.entries(FAILURES).map(([code, { source }]) => [
        code,
        metrics.counter('meridian_failures_total', failures, { code, source }),
      ]),
    );
    this.#bytes = metrics.counter('meridian_body_bytes_total', 'Bytes of bodies sent to clients.');
    this.#answerSeconds = metrics.counter(
      'meridian_answer_seconds_total',
      'Seconds from requests to the ends of their answers; without an access log those of hits are left out.',
    );
    const broken = 'Answers that did not reach their end, by who broke them off.';
    this.#brokenOff = {
      'origin-failed': metrics.counter('meridian_broken_answers_total', broken, { by: 'origin' }),
      'client-gone': metrics.counter('meridian_broken_answers_total', broken, { by: 'client' }),
      'edge-failed': metrics.counter('meridian_broken_answers_total', broken, { by: 'edge' }),
    };
  }

  record(exchange: Settled, end: ExchangeEnd, bytes: number): void {
    const { site } = exchange;
    const tally = site === undefined ? this.#siteless : (site.tally ?? this.#tallyOf(site));
    tally[exchange.outcome]?.add();
    this.#bytes.add(bytes);
    if (exchange.failure) this.#failures[exchange.failure.code]?.add();
    if (end !== 'complete') this.#brokenOff[end].add();
    // To read the clock costs a quarter of what a hit does.
    if (this.#sink === undefined && exchange.outcome === 'hit') return;
    const durationMs = this.#clock.monotonic() - exchange.startedAt;
    this.#answerSeconds.add(durationMs / 1000);
    this.#sink?.(exchange, bytes, durationMs);
  }

  /** What a heartbeat tells the control plane. */
  statistics(cache: CacheStore): EdgeStatistics {
    const count = (...outcomes: CacheOutcome[]) =>
      outcomes.reduce((sum, cache) => sum + this.#metrics.sum(REQUESTS, { cache }), 0);
    const { objects, bytes } = cache.stats();
    const failed = (Object.keys(FAILURES) as FailureCode[]).filter((code) => FAILURES[code].status >= 500);
    return {
      requests: count(...OUTCOMES),
      hits: count('hit', 'stale', 'revalidated', 'collapsed'),
      misses: count('miss'),
      errors: failed.reduce((sum, code) => sum + (this.#failures[code]?.value() ?? 0), 0),
      cacheObjects: objects,
      cacheBytes: bytes,
      answerMs: Math.round(this.#answerSeconds.value() * 1000),
      uptimeS: Math.floor((this.#clock.monotonic() - this.#startedAt) / 1000),
    };
  }

  /** Kept with the site, so that the next one of it need not look for it. */
  #tallyOf(site: CompiledSite): NonNullable<CompiledSite['tally']> {
    site.tally = this.#tally(siteLabel(site.name, site.number));
    return site.tally;
  }

  #tally(site: string): Record<string, Counter> {
    const help = 'Requests answered, by site and by what the cache had to do with it.';
    return Object.fromEntries(OUTCOMES.map((cache) => [cache, this.#metrics.counter(REQUESTS, help, { cache, site })]));
  }
}
