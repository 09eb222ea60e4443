// The health of the origins of one snapshot, for all threads: the main thread measures and decides (decide/health.ts), writes down
// one byte for each origin, and every thread reads it. A snapshot has its own memory, made with it and passed on with it, so that
// no thread reads the state of one origin in the place of another while it changes from one snapshot to the next.
import type { CompiledPool } from '../../decide/compile.ts';
import type { EffectiveStatus, HealthTable } from '../../decide/health.ts';

export interface SharedHealthHandles {
  readonly memory: SharedArrayBuffer;
}

/** What a byte says; memory that was never written says the first. Why it is so is known where it was measured. */
const MEANINGS: readonly EffectiveStatus[] = (['up', 'down'] as const).flatMap((status) =>
  (['assumed', 'measured here', 'view', 'operator'] as const).map((source) =>
    Object.freeze({ status, source, detail: source }),
  ),
);
const ASSUMED: EffectiveStatus = Object.freeze({ status: 'up', source: 'assumed', detail: 'assumed' });

/** For the pools of one compiled snapshot. */
export function allocateSharedHealth(pools: readonly CompiledPool[]): SharedHealthHandles {
  const origins = pools.reduce((sum, pool) => sum + pool.origins.length, 0);
  return { memory: new SharedArrayBuffer(origins) };
}

export class SharedHealth implements Pick<HealthTable, 'status'> {
  /** Of an origin that nothing is known of. */
  static readonly assumed: EffectiveStatus = ASSUMED;
  readonly #bytes: Uint8Array;
  /** Pool, origin, place. */
  readonly #places = new Map<string, Map<string, number>>();

  /** `pools`: those that `handles` was made for, in the same order. Throws a RangeError when they are not so many. */
  constructor(handles: SharedHealthHandles, pools: readonly CompiledPool[]) {
    this.#bytes = new Uint8Array(handles.memory);
    let place = 0;
    for (const pool of pools) {
      const origins = new Map<string, number>();
      for (const origin of pool.origins) {
        origins.set(origin.name, place);
        place += 1;
      }
      this.#places.set(pool.name, origins);
    }
    if (place !== this.#bytes.length) {
      throw new RangeError(`the health of ${this.#bytes.length} origins does not fit a snapshot that has ${place}`);
    }
  }

  /** As last published. An origin that the snapshot does not name is taken to be up. */
  status(pool: string, origin: string): EffectiveStatus {
    const place = this.#places.get(pool)?.get(origin);
    return place === undefined ? ASSUMED : (MEANINGS[Atomics.load(this.#bytes, place)] ?? ASSUMED);
  }

  /**
   * On the main thread alone. Writes down what `table` says of every origin at `now`; to be called when it has changed, and from
   * time to time, since what it says also changes as observations and views grow old. True: something was not as before.
   */
  publish(table: Pick<HealthTable, 'status'>, now: number): boolean {
    let changed = false;
    for (const [pool, origins] of this.#places) {
      for (const [origin, place] of origins) {
        const { status, source } = table.status(pool, origin, now);
        const meaning = MEANINGS.findIndex((known) => known.status === status && known.source === source);
        if (Atomics.exchange(this.#bytes, place, meaning) !== meaning) changed = true;
      }
    }
    return changed;
  }
}
