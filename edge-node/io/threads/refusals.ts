// What becomes of connections, requests and fields that the listener refuses by itself: counted by reason, and told at level debug;
// limits of connections at level warn, now and then, since whoever runs the edge should know that they are met.
import type { Clock } from '../../../infra/runtime/clock.ts';
import type { Log } from '../../../infra/runtime/log.ts';
import type { Metrics } from '../../../infra/runtime/metrics.ts';

export interface RefusalPorts {
  readonly metrics: Metrics;
  readonly log: Log;
  readonly clock: Clock;
}

const HELP = 'Connections, requests and fields that the listener refused, by reason.';
const REMEDIES: ReadonlyMap<string, string> = new Map([
  ['too-many-connections', 'connections are refused: there are as many as --max-connections allows'],
  [
    'too-many-connections-of-client',
    'connections of a client are refused: it has as many as --max-client-connections allows; declare it in trustedProxies if it is a proxy',
  ],
]);
const WARN_MS = 60_000;

export class Refusals {
  readonly #ports: RefusalPorts;
  readonly #warnedAt = new Map<string, number>();

  constructor(ports: RefusalPorts) {
    this.#ports = ports;
  }

  note(reason: string, detail: string): void {
    const { metrics, log, clock } = this.#ports;
    metrics.counter('meridian_listener_refused_total', HELP, { reason }).add();
    const remedy = REMEDIES.get(reason);
    const now = clock.monotonic();
    if (remedy === undefined || now - (this.#warnedAt.get(reason) ?? Number.NEGATIVE_INFINITY) < WARN_MS) {
      log.debug({ reason, detail }, 'refused by the listener');
      return;
    }
    this.#warnedAt.set(reason, now);
    log.warn({ reason, detail }, remedy);
  }
}
