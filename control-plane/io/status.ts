// The answer to `meridian status`: what is stored, and what this control plane knows of the edges and origins.
import type { Clock } from '../../infra/runtime/clock.ts';
import type { EdgeStatus, StatusResponse } from '../../proto/gen/meridian/v1/admin.ts';
import { HealthStatus, type OriginHealth } from '../../proto/gen/meridian/v1/health.ts';
import { compareVersions } from '../../proto/version.ts';
import { endOf } from '../decide/purge-log.ts';
import { versionOf, type World } from '../decide/world.ts';
import type { Store } from '../ports.ts';
import type { Fleet } from './fleet.ts';
import type { HealthBoard } from './health-board.ts';
import type { State } from './state.ts';

export interface StatusPorts {
  readonly store: Store;
  readonly state: State;
  readonly fleet: Fleet;
  readonly health: HealthBoard;
  readonly clock: Clock;
}

export function reportStatus({ store, state, fleet, health, clock }: StatusPorts): StatusResponse {
  const { world } = state;
  const version = versionOf(world);
  const { trial } = world;
  const edges = [...world.edges].map((name): EdgeStatus => {
    const known = fleet.get(name);
    const refused = known?.refused && compareVersions(known.refused.version, version) >= 0;
    return {
      name,
      connected: known?.connected === true,
      elsewhere: known?.connected === true && !known.connection,
      applied: known?.applied,
      refusedReason: refused ? (known.refused?.reason ?? '') : '',
      purgePosition: known?.position,
      statistics: known?.statistics,
      lastSeenMsAgo: known?.heardAt === undefined ? 0 : Math.round(clock.monotonic() - known.heardAt),
    };
  });
  return {
    version,
    purgePosition: endOf(world.purges),
    store: store.kind,
    edges,
    origins: everyOrigin(world, health.view.origins),
    canary: trial && {
      version,
      former: trial.others?.snapshot?.version,
      edges: [...trial.canary.edges],
      holdMs: trial.canary.holdMs,
    },
    drained: world.snapshot?.drained ?? [],
  };
}

/** Also those that nobody measured, with no status. */
function everyOrigin(world: World, measured: readonly OriginHealth[]): OriginHealth[] {
  const known = new Map(measured.map((health) => [`${health.origin?.pool}/${health.origin?.origin}`, health]));
  return (world.snapshot?.pools ?? []).flatMap((pool) =>
    pool.origins.map(
      ({ name }): OriginHealth =>
        known.get(`${pool.name}/${name}`) ?? {
          origin: { pool: pool.name, origin: name },
          status: HealthStatus.UNSPECIFIED,
          edgesUp: 0,
          edgesDown: 0,
        },
    ),
  );
}
