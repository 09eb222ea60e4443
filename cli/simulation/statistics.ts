// Counts what became of requests, for each client, each second and all together, in bounded memory. Pure.
import { LatencyHistogram } from './histogram.ts';

export type Outcome =
  | {
      readonly kind: 'answered';
      readonly hit: boolean;
      readonly origin: string | undefined;
      readonly elapsedMs: number;
    }
  | { readonly kind: 'failed'; readonly reason: string }
  /** All connections of the client were in use. */
  | { readonly kind: 'unsent' }
  /** The simulation ended first. */
  | { readonly kind: 'unanswered' };

/** Names of origins and reasons that are told apart; the rest is counted under {@link OTHER}. */
const MAX_NAMES = 64;
const OTHER = '(other)';

export class Tally {
  requests = 0;
  answered = 0;
  failed = 0;
  hits = 0;
  unsent = 0;
  unanswered = 0;
  readonly origins = new Map<string, number>();
  readonly reasons = new Map<string, number>();
  readonly latency = new LatencyHistogram();

  add(outcome: Outcome): void {
    this.requests += 1;
    switch (outcome.kind) {
      case 'answered':
        this.answered += 1;
        this.hits += Number(outcome.hit);
        if (outcome.origin !== undefined) increment(this.origins, outcome.origin);
        this.latency.add(outcome.elapsedMs);
        return;
      case 'failed':
        this.failed += 1;
        increment(this.reasons, outcome.reason);
        return;
      case 'unsent':
        this.unsent += 1;
        return;
      case 'unanswered':
        this.unanswered += 1;
    }
  }

  /** 0..1; undefined without answers. */
  get hitRatio(): number | undefined {
    return this.answered === 0 ? undefined : this.hits / this.answered;
  }
}

function increment(counts: Map<string, number>, name: string): void {
  const key = counts.has(name) || counts.size < MAX_NAMES ? name : OTHER;
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

export interface FirstFailure {
  readonly reason: string;
  /** Milliseconds after the start. */
  readonly atMs: number;
  readonly client: number;
}

/** All that is counted. Clients are known by their index. */
export class Statistics {
  readonly total = new Tally();
  readonly clients: readonly Tally[];
  /** By the second in which a request fell due; those in which none did may be absent. */
  readonly seconds: { readonly total: Tally; readonly clients: readonly Tally[] }[] = [];
  /** The one that fell due first, of those that failed. */
  firstFailure: FirstFailure | undefined;

  constructor(clients: number) {
    this.clients = tallies(clients);
  }

  add(client: number, atMs: number, outcome: Outcome): void {
    const index = Math.floor(atMs / 1000);
    while (this.seconds.length <= index) {
      this.seconds.push({ total: new Tally(), clients: tallies(this.clients.length) });
    }
    const second = this.seconds[index];
    for (const tally of [this.total, this.clients[client], second?.total, second?.clients[client]]) tally?.add(outcome);
    if (outcome.kind !== 'failed' || atMs >= (this.firstFailure?.atMs ?? Number.POSITIVE_INFINITY)) return;
    this.firstFailure = { reason: outcome.reason, atMs, client };
  }
}

function tallies(count: number): Tally[] {
  return Array.from({ length: count }, () => new Tally());
}
