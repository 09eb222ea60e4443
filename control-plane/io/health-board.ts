// The health view, folded anew soon after a report came, and from time to time, so that what expires goes and what stays is
// confirmed. It covers the edges of all replicas: each tells the others what its own edges measured (io/peers.ts).
import type { Clock, Timer } from '../../infra/runtime/clock.ts';
import type { HealthView } from '../../proto/gen/meridian/v1/health.ts';
import { foldHealth, type Held, type Measured, tallyOf } from '../decide/health-view.ts';
import type { Fleet } from './fleet.ts';
import type { Peers } from './peers.ts';
import type { State } from './state.ts';

/** How long an edge may use the view without hearing again, and after which time it hears. */
const VIEW_MS = 15_000;
export const RENEW_MS = VIEW_MS / 3;
/** An edge that was not heard from for so long has no say. */
const REPORT_MS = 30_000;
/** From a report to the view that holds it: what comes meanwhile is folded in too. */
const GATHER_MS = 50;

export class HealthBoard {
  readonly #fleet: Fleet;
  readonly #peers: Peers;
  readonly #state: State;
  readonly #clock: Clock;
  readonly #listeners = new Set<() => void>();
  readonly #refresh: Timer;
  #gathering: Timer | undefined;
  #view: HealthView = { origins: [], expiresInMs: VIEW_MS };
  #count = 1;
  #held: Held = new Map();

  constructor(fleet: Fleet, peers: Peers, state: State, clock: Clock) {
    this.#fleet = fleet;
    this.#peers = peers;
    this.#state = state;
    this.#clock = clock;
    this.#refresh = clock.every(RENEW_MS, () => this.#fold());
    peers.onTally(() => this.reported());
  }

  /**
   * Counts the views that edges are to hear of at once, from 1: those in which an origin is up that was down, or the like. How
   * many edges say so changes with each that comes, and matters to none of the others.
   */
  get count(): number {
    return this.#count;
  }

  get view(): HealthView {
    return this.#view;
  }

  /** `listener` is called after each view that edges are to hear of at once. */
  onView(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** An edge reported something. */
  reported(): void {
    this.#gathering ??= this.#clock.after(GATHER_MS, () => {
      this.#gathering = undefined;
      this.#fold();
    });
  }

  stop(): void {
    this.#refresh.cancel();
    this.#gathering?.cancel();
  }

  #fold(): void {
    const oldest = this.#clock.monotonic() - REPORT_MS;
    const alive: Measured[] = [];
    for (const { measured, heardAt } of this.#fleet.values())
      if (measured && (heardAt ?? oldest) > oldest) alive.push(measured);
    const pools = this.#state.world.snapshot?.pools ?? [];
    const own = tallyOf(pools, alive);
    this.#peers.tell(own);
    const { origins, held } = foldHealth(pools, [own, ...this.#peers.tallies], this.#held, this.#clock.monotonic());
    const same = sameStatuses(held, this.#held);
    this.#held = held;
    this.#view = { origins, expiresInMs: VIEW_MS };
    if (same) return;
    this.#count += 1;
    for (const listener of this.#listeners) listener();
  }
}

function sameStatuses(a: Held, b: Held): boolean {
  if (a.size !== b.size) return false;
  for (const [key, { status }] of a) if (b.get(key)?.status !== status) return false;
  return true;
}
