// Whether an origin counts as up: what this edge measured itself, through hysteresis; else what the other edges measured;
// else the assumption that it is up, since never to try an origin is the one way to be surely of no use.
//
// States of one origin as measured here: unknown -> up | down, up <-> down. An unknown origin is up at its first success,
// so that a start is quick, and down only after as many failures in a row as an origin that was up needs: one lost packet
// does not take away an origin that nobody has spoken against.
import {
  type HealthReport,
  HealthStatus,
  type HealthTransition,
  type HealthView,
  type OriginRef,
} from '../../proto/gen/meridian/v1/health.ts';
import type { HealthCheck, Origin, Pool } from '../../proto/gen/meridian/v1/resources.ts';

export type Status = 'up' | 'down';

/** What one probe saw. */
export interface ProbeResult {
  readonly success: boolean;
  /** "status 503", "connection refused", "timed out after 1000 ms". */
  readonly detail: string;
}

export interface OriginState {
  readonly status: Status | 'unknown';
  /** Results in a row that speak against `status`; against "up" while it is unknown. */
  readonly against: number;
  /** When the last result came in, in the caller's milliseconds; undefined before the first. */
  readonly observedAt: number | undefined;
  /** Of the last result. */
  readonly detail: string;
}

export const UNKNOWN: OriginState = { status: 'unknown', against: 0, observedAt: undefined, detail: 'not probed yet' };

/** Results in a row that it takes to change the state, each 1 or more. */
export type Thresholds = Pick<HealthCheck, 'healthyThreshold' | 'unhealthyThreshold'>;

/** The state after one more result, and the status that it changed to, if it did. */
export function observe(
  state: OriginState,
  result: ProbeResult,
  thresholds: Thresholds,
  now: number,
): { readonly state: OriginState; readonly changed: Status | undefined } {
  const said: Status = result.success ? 'up' : 'down';
  const needed =
    said === 'down' ? thresholds.unhealthyThreshold : state.status === 'unknown' ? 1 : thresholds.healthyThreshold;
  const against = said === state.status ? 0 : state.against + 1;
  const changed = said !== state.status && against >= needed ? said : undefined;
  return {
    state: {
      status: changed ?? state.status,
      against: changed ? 0 : against,
      observedAt: now,
      detail: result.detail,
    },
    changed,
  };
}

/** What the control plane's view says of one origin. */
export interface ViewEntry {
  readonly status: Status;
  readonly detail: string;
}

export interface EffectiveStatus {
  readonly status: Status;
  readonly source: 'measured here' | 'view' | 'assumed' | 'operator';
  readonly detail: string;
}

const DRAINED: EffectiveStatus = { status: 'down', source: 'operator', detail: 'drained by an operator' };

/** How long an edge's own observation counts, milliseconds: three probes may go missing before it is stale. */
export function freshForMs(check: Pick<HealthCheck, 'intervalMs' | 'timeoutMs'>): number {
  return 3 * check.intervalMs + check.timeoutMs;
}

/** `view`: undefined when it says nothing of this origin or has expired. */
export function effectiveStatus(
  own: OriginState,
  check: Pick<HealthCheck, 'intervalMs' | 'timeoutMs'>,
  view: ViewEntry | undefined,
  now: number,
): EffectiveStatus {
  if (own.status !== 'unknown' && own.observedAt !== undefined && now - own.observedAt <= freshForMs(check)) {
    return { status: own.status, source: 'measured here', detail: own.detail };
  }
  if (view) return { status: view.status, source: 'view', detail: view.detail };
  return { status: 'up', source: 'assumed', detail: own.detail };
}

/** What decides whether an origin's history still speaks of it: another address or check is another origin. */
export function probeIdentity(origin: Pick<Origin, 'address'>, check: HealthCheck): string {
  const { path, intervalMs, timeoutMs, unhealthyThreshold, healthyThreshold } = check;
  return [origin.address, path, intervalMs, timeoutMs, unhealthyThreshold, healthyThreshold].join(' ');
}

interface Entry {
  readonly identity: string;
  readonly check: HealthCheck;
  state: OriginState;
}

type ByOrigin<T> = Map<string, Map<string, T>>;

/** The health of every origin of the snapshot that serves. Times are milliseconds of one monotonic clock. */
export class HealthTable {
  #entries: ByOrigin<Entry> = new Map();
  #view: ByOrigin<ViewEntry> = new Map();
  #viewExpiresAt = Number.NEGATIVE_INFINITY;
  #drained: ReadonlySet<string> = new Set();

  /** Takes the origins of a snapshot. Those whose address and check are the same keep their state; the rest start anew. */
  setPools(pools: readonly Pool[]): void {
    const entries: ByOrigin<Entry> = new Map();
    for (const pool of pools) {
      const check = pool.healthCheck;
      if (!check) continue;
      const known = this.#entries.get(pool.name);
      const origins = new Map<string, Entry>();
      for (const origin of pool.origins) {
        const identity = probeIdentity(origin, check);
        const former = known?.get(origin.name);
        origins.set(origin.name, former?.identity === identity ? former : { identity, check, state: UNKNOWN });
      }
      entries.set(pool.name, origins);
    }
    this.#entries = entries;
  }

  /** Origins that an operator has taken out of use: down, whatever is measured, which goes on. */
  setDrained(origins: readonly OriginRef[]): void {
    this.#drained = new Set(origins.map(({ pool, origin }) => `${pool}/${origin}`));
  }

  /** Notes one probe's result. Returns what to report when the origin changed state; an unknown origin is left alone. */
  observe(pool: string, origin: string, result: ProbeResult, now: number): HealthTransition | undefined {
    const entry = this.#entries.get(pool)?.get(origin);
    if (!entry) return undefined;
    const { state, changed } = observe(entry.state, result, entry.check, now);
    entry.state = state;
    return changed ? transition(pool, origin, changed, state.detail) : undefined;
  }

  /** Replaces the whole view; it counts for the time that it states. What is malformed in it is left out. */
  setView(view: HealthView, now: number): void {
    const next: ByOrigin<ViewEntry> = new Map();
    for (const { origin, status, edgesUp, edgesDown } of view.origins) {
      if (!origin || status === HealthStatus.UNSPECIFIED) continue;
      const origins = next.get(origin.pool) ?? new Map<string, ViewEntry>();
      const detail = `up on ${edgesUp} and down on ${edgesDown} edges`;
      origins.set(origin.origin, { status: status === HealthStatus.UP ? 'up' : 'down', detail });
      next.set(origin.pool, origins);
    }
    this.#view = next;
    this.#viewExpiresAt = now + view.expiresInMs;
  }

  status(pool: string, origin: string, now: number): EffectiveStatus {
    if (this.#drained.size > 0 && this.#drained.has(`${pool}/${origin}`)) return DRAINED;
    const view = now < this.#viewExpiresAt ? this.#view.get(pool)?.get(origin) : undefined;
    const entry = this.#entries.get(pool)?.get(origin);
    if (!entry) return view ? { ...view, source: 'view' } : { status: 'up', source: 'assumed', detail: UNKNOWN.detail };
    return effectiveStatus(entry.state, entry.check, view, now);
  }

  /** All that this edge has measured: replaces whatever it reported before. */
  report(): HealthReport {
    const transitions: HealthTransition[] = [];
    for (const [pool, origins] of this.#entries) {
      for (const [origin, { state }] of origins) {
        if (state.status !== 'unknown') transitions.push(transition(pool, origin, state.status, state.detail));
      }
    }
    return { full: true, transitions };
  }
}

function transition(pool: string, origin: string, status: Status, detail: string): HealthTransition {
  return { origin: { pool, origin }, status: status === 'up' ? HealthStatus.UP : HealthStatus.DOWN, detail };
}
