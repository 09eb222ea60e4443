// Probes every origin of the snapshot that serves, each at its own interval. Starts are spread at random, and each later
// probe is moved by a tenth, so that neither one edge's probes nor all the edges' at one origin fall into step.
import type { Clock, Timer } from '../../infra/runtime/clock.ts';
import type { Log } from '../../infra/runtime/log.ts';
import type { Random } from '../../infra/runtime/random.ts';
import { HealthStatus, type HealthTransition } from '../../proto/gen/meridian/v1/health.ts';
import type { HealthCheck, Pool } from '../../proto/gen/meridian/v1/resources.ts';
import { type HealthTable, type ProbeResult, probeIdentity } from '../decide/health.ts';
import type { Probe } from './probe.ts';

/** The first probe comes within this time, or within the interval if that is shorter. */
const FIRST_SPREAD_MS = 2_000;
/** Shortest time from one probe's start to the next that a suspicion asks for. */
const SUSPECT_GAP_MS = 250;
/** Probes in flight at once over all origins; what is due beyond is put off. */
const MAX_IN_FLIGHT = 500;
const PUT_OFF_MS = 100;

export interface ProberPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly table: HealthTable;
  readonly probe: Probe;
  /** An origin changed state. */
  onTransition(transition: HealthTransition): void;
}

interface Watch {
  readonly pool: string;
  readonly origin: string;
  readonly address: string;
  readonly check: HealthCheck;
  readonly identity: string;
  timer: Timer | undefined;
  /** When `timer` fires; times are of the monotonic clock. */
  dueAt: number;
  startedAt: number;
  running: AbortController | undefined;
}

export class Prober {
  readonly #ports: ProberPorts;
  #watches = new Map<string, Watch>();
  #inFlight = 0;

  constructor(ports: ProberPorts) {
    this.#ports = ports;
  }

  /** Takes the pools of a snapshot, here and in the table. Probes of origins that are as before go on undisturbed. */
  setPools(pools: readonly Pool[]): void {
    this.#ports.table.setPools(pools);
    const next = new Map<string, Watch>();
    for (const pool of pools) {
      const check = pool.healthCheck;
      if (!check) continue;
      for (const origin of pool.origins) {
        const key = keyOf(pool.name, origin.name);
        const identity = probeIdentity(origin, check);
        const former = this.#watches.get(key);
        if (former?.identity === identity) {
          next.set(key, former);
          this.#watches.delete(key);
        } else next.set(key, newWatch(pool.name, origin.name, origin.address, check, identity));
      }
    }
    for (const gone of this.#watches.values()) end(gone);
    this.#watches = next;
    for (const watch of next.values()) {
      if (watch.timer || watch.running) continue;
      this.#schedule(watch, this.#ports.random.next() * Math.min(watch.check.intervalMs, FIRST_SPREAD_MS));
    }
  }

  /** A request failed at this origin: probe it early. At most one probe of an origin is in flight, and not in a burst. */
  suspect(pool: string, origin: string): void {
    const watch = this.#watches.get(keyOf(pool, origin));
    if (!watch || watch.running) return;
    const now = this.#ports.clock.monotonic();
    const dueAt = Math.max(now, watch.startedAt + SUSPECT_GAP_MS);
    if (dueAt < watch.dueAt) this.#schedule(watch, dueAt - now);
  }

  /** Ends all probing; probes in flight are given up and their results dropped. */
  stop(): void {
    for (const watch of this.#watches.values()) end(watch);
    this.#watches = new Map();
  }

  #schedule(watch: Watch, ms: number): void {
    watch.timer?.cancel();
    watch.dueAt = this.#ports.clock.monotonic() + ms;
    watch.timer = this.#ports.clock.after(ms, () => this.#start(watch));
  }

  #start(watch: Watch): void {
    watch.timer = undefined;
    if (this.#inFlight >= MAX_IN_FLIGHT) {
      this.#schedule(watch, PUT_OFF_MS * (1 + this.#ports.random.next()));
      return;
    }
    const running = new AbortController();
    watch.running = running;
    watch.startedAt = this.#ports.clock.monotonic();
    this.#inFlight += 1;
    void this.#ports.probe(watch.address, watch.check, running.signal).then((result) => {
      this.#inFlight -= 1;
      watch.running = undefined;
      if (!running.signal.aborted) this.#finish(watch, result);
    });
  }

  #finish(watch: Watch, result: ProbeResult): void {
    const { clock, random, log, table, onTransition } = this.#ports;
    const now = clock.monotonic();
    const period = watch.check.intervalMs * (0.9 + 0.2 * random.next());
    this.#schedule(watch, Math.max(0, watch.startedAt + period - now));
    const transition = table.observe(watch.pool, watch.origin, result, now);
    if (!transition) return;
    const fields = { pool: watch.pool, origin: watch.origin, address: watch.address, detail: result.detail };
    if (transition.status === HealthStatus.UP) log.info(fields, 'origin is up');
    else log.warn(fields, 'origin is down');
    onTransition(transition);
  }
}

/** Names have no "/". */
function keyOf(pool: string, origin: string): string {
  return `${pool}/${origin}`;
}

function newWatch(pool: string, origin: string, address: string, check: HealthCheck, identity: string): Watch {
  return {
    pool,
    origin,
    address,
    check,
    identity,
    timer: undefined,
    dueAt: Number.POSITIVE_INFINITY,
    startedAt: Number.NEGATIVE_INFINITY,
    running: undefined,
  };
}

function end(watch: Watch): void {
  watch.timer?.cancel();
  watch.running?.abort();
}
