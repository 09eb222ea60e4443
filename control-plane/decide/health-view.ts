// What edges measured, folded into one view. The rule: an origin is down for all when more of the edges that judge it (their
// report on it is alive) say down than say up, and at least two say so, or the only one that reports at all does. Else it is up,
// a tie included: one that only some cannot reach is down only for them, since each edge goes by its own fresh observation, and
// the view speaks only where it has none. A report lives as long as its edge is heard from. An origin on which no report is
// alive is not in the view: nobody knows.
import {
  type HealthReport,
  HealthStatus,
  type OriginHealth,
  type OriginRef,
} from '../../proto/gen/meridian/v1/health.ts';
import type { Pool } from '../../proto/gen/meridian/v1/resources.ts';
import { LIMITS } from '../../proto/limits.ts';
import type { Tally } from './peers.ts';

/** By {@link originKey}: UP or DOWN. */
export type Measured = ReadonlyMap<string, HealthStatus>;

/** Names have no slash. */
const originKey = (ref: OriginRef): string => `${ref.pool}/${ref.origin}`;

/** Edges that must say so, where there are so many, before an origin is down for all. */
const QUORUM = 2;
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

/** What the edges of one replica say. `alive`: what each edge whose report has not expired says. */
export function tallyOf(pools: readonly Pool[], alive: readonly Measured[]): Tally {
  const origins = new Map<string, readonly [number, number]>();
  for (const pool of pools) {
    for (const { name } of pool.origins) {
      const key = originKey({ pool: pool.name, origin: name });
      let up = 0;
      let down = 0;
      for (const measured of alive) {
        const status = measured.get(key);
        if (status === HealthStatus.UP) up += 1;
        else if (status === HealthStatus.DOWN) down += 1;
      }
      if (up < alive.length) origins.set(key, [up, down]);
    }
  }
  return { edges: alive.length, origins };
}

/** How long an origin keeps the status that the view gave it, milliseconds: one that flaps changes no more often for all. */
export const HOLD_DOWN_MS = 10_000;

/** By {@link originKey}: the status in the view, and since when, monotonic milliseconds. */
export type Held = ReadonlyMap<string, { readonly status: HealthStatus; readonly since: number }>;

/** `tallies`: of this replica and of each other. One line for each origin of `pools` that any edge measured. */
export function foldHealth(
  pools: readonly Pool[],
  tallies: readonly Tally[],
  former: Held,
  now: number,
): { readonly origins: OriginHealth[]; readonly held: Held } {
  const origins: OriginHealth[] = [];
  const held = new Map<string, { readonly status: HealthStatus; readonly since: number }>();
  const edges = tallies.reduce((sum, tally) => sum + tally.edges, 0);
  for (const pool of pools) {
    for (const { name } of pool.origins) {
      const origin = { pool: pool.name, origin: name };
      const key = originKey(origin);
      let edgesUp = 0;
      let edgesDown = 0;
      for (const tally of tallies) {
        const [up, down] = tally.origins.get(key) ?? [tally.edges, 0];
        edgesUp += up;
        edgesDown += down;
      }
      if (edgesUp + edgesDown === 0) continue;
      const before = former.get(key);
      let status: HealthStatus = hasQuorum(edgesUp, edgesDown, edges) ? HealthStatus.DOWN : HealthStatus.UP;
      const changed = before?.status !== status;
      if (before && changed && now - before.since < HOLD_DOWN_MS) status = before.status;
      held.set(key, before?.status === status ? before : { status, since: now });
      origins.push({ origin, status, edgesUp, edgesDown });
    }
  }
  return { origins, held };
}

/** `edges`: all that report at all. */
function hasQuorum(up: number, down: number, edges: number): boolean {
  return down > up && down >= Math.min(QUORUM, edges);
}
