// What edges measured, folded into one view. The rule: an origin is down for all when more of the edges whose report on it
// is alive say down than say up; else it is up, a tie included, since each edge goes by its own fresh observation anyway and
// the view only speaks where it has none. A report lives as long as its edge is heard from. An origin on which no report is
// alive is not in the view: nobody knows.
import {
  type HealthReport,
  HealthStatus,
  type OriginHealth,
  type OriginRef,
} from '../../proto/gen/meridian/v1/health.ts';
import type { Pool } from '../../proto/gen/meridian/v1/resources.ts';
import { LIMITS } from '../../proto/limits.ts';

/** By {@link originKey}: UP or DOWN. */
export type Measured = ReadonlyMap<string, HealthStatus>;

/** Names have no slash. */
const originKey = (ref: OriginRef): string => `${ref.pool}/${ref.origin}`;

/** Origins that one edge may report on. */
const MEASURED = LIMITS.pools * LIMITS.originsPerPool;

/** What an edge says after one more report; undefined before its stream's first, which replaces all, as a full one does. */
export function foldReport(former: Measured | undefined, report: HealthReport): Measured {
  const measured = new Map(report.full ? undefined : former);
  for (const { origin, status } of report.transitions) {
    if (!origin || (status !== HealthStatus.UP && status !== HealthStatus.DOWN)) continue;
    const key = originKey(origin);
    if (measured.size < MEASURED || measured.has(key)) measured.set(key, status);
  }
  return measured;
}

/** `alive`: what each edge whose report has not expired says. One line for each origin of `pools` that any of them measured. */
export function foldHealth(pools: readonly Pool[], alive: readonly Measured[]): OriginHealth[] {
  const view: OriginHealth[] = [];
  for (const pool of pools) {
    for (const { name } of pool.origins) {
      const origin = { pool: pool.name, origin: name };
      const key = originKey(origin);
      let edgesUp = 0;
      let edgesDown = 0;
      for (const measured of alive) {
        const status = measured.get(key);
        if (status === HealthStatus.UP) edgesUp += 1;
        else if (status === HealthStatus.DOWN) edgesDown += 1;
      }
      if (edgesUp + edgesDown === 0) continue;
      view.push({ origin, status: edgesDown > edgesUp ? HealthStatus.DOWN : HealthStatus.UP, edgesUp, edgesDown });
    }
  }
  return view;
}
