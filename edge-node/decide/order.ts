// Which origins to try, in which order: geography gives an ordered list, health walks it, and the two never mix.
import { drawOrder, type Measured, measure, type Ranked } from '../../geo/rank.ts';
import type { Location } from '../../proto/gen/meridian/v1/resources.ts';
import type { CompiledOrigin, CompiledPool } from './compile.ts';

/** Distances depend on place and pool alone, so each pair is measured once; the oldest are forgotten at the bound. */
const MEASURED_PER_POOL = 2_000;

export class OriginOrder {
  readonly #measured = new WeakMap<CompiledPool, Map<string, Measured<CompiledOrigin>>>();
  /** What was asked for last: one client mostly asks again, and many are in one place. */
  #last:
    | { readonly pool: CompiledPool; readonly from: Location; readonly measured: Measured<CompiledOrigin> }
    | undefined;

  /** All origins of the pool, nearest first; ties by weight with `draw`, uniform in [0, 1). */
  ranked(pool: CompiledPool, from: Location, draw: number): readonly Ranked<CompiledOrigin>[] {
    const last = this.#last;
    if (last?.pool === pool && last.from === from) return drawOrder(last.measured, draw);
    const measured = this.#measure(pool, from);
    this.#last = { pool, from, measured };
    return drawOrder(measured, draw);
  }

  #measure(pool: CompiledPool, from: Location): Measured<CompiledOrigin> {
    let places = this.#measured.get(pool);
    if (!places) {
      places = new Map();
      this.#measured.set(pool, places);
    }
    const key = `${from.latitude},${from.longitude}`;
    let measured = places.get(key);
    if (!measured) {
      measured = measure(from, pool.origins);
      const oldest = places.size >= MEASURED_PER_POOL ? places.keys().next().value : undefined;
      if (oldest !== undefined) places.delete(oldest);
      places.set(key, measured);
    }
    return measured;
  }
}

export interface Candidates {
  /** Origins that count as up, in the order in which they are tried. */
  readonly up: readonly CompiledOrigin[];
  /** The nearest of all: what is tried when none is up and nothing stale can be served. */
  readonly lastResort: CompiledOrigin | undefined;
}

/** `most`: so many that are up, at most. */
export function candidates(
  ranked: readonly Ranked<CompiledOrigin>[],
  isUp: (origin: CompiledOrigin) => boolean,
  most: number,
): Candidates {
  const up: CompiledOrigin[] = [];
  for (const { candidate } of ranked) {
    if (up.length === most) break;
    if (isUp(candidate)) up.push(candidate);
  }
  return { up, lastResort: ranked[0]?.candidate };
}
