// All rows, one after the other; in each the servers take turns, A B C A B C, so that what changes on the machine changes for all.
import { CannotError } from './check.ts';
import { type Instance, type Surroundings, startInstance } from './instance.ts';
import { type Measurement, measure } from './measure.ts';
import type { Patience } from './patience.ts';
import type { Peer } from './peers/peer.ts';
import type { Outcome, RowResult } from './result.ts';
import type { Row } from './rows.ts';

export interface Plan {
  readonly rows: readonly Row[];
  readonly peers: readonly Peer[];
  /** Peers that cannot be measured at all, with the reason. */
  readonly missing: ReadonlyMap<Peer, string>;
  readonly rounds: number;
  readonly seconds: number;
  readonly patience: Patience;
}

/** Hears of each measurement; for people who wait. */
export type Progress = (row: Row, peer: Peer, round: number, outcome: Measurement | Error) => void;

/** Rejects only when the benchmark itself breaks; what is wrong with a server is an outcome. */
export async function runAll(plan: Plan, around: Surroundings, progress: Progress): Promise<readonly RowResult[]> {
  const results: RowResult[] = [];
  const kept = new Map<string, Promise<Instance>>();
  for (const row of plan.rows) results.push(await runRow(row, plan, kept, around, progress));
  return results;
}

async function runRow(
  row: Row,
  plan: Plan,
  kept: Map<string, Promise<Instance>>,
  around: Surroundings,
  progress: Progress,
): Promise<RowResult> {
  const outcomes = new Map<Peer, Outcome>();
  for (const peer of plan.peers) outcomes.set(peer, await firstOutcome(row, peer, plan.missing));
  for (let round = 1; round <= plan.rounds; round += 1) {
    for (const [peer, outcome] of outcomes) {
      if (outcome.kind !== 'measured') continue;
      try {
        const measurement = await measureOnce(row, peer, plan, kept, around);
        outcomes.set(peer, { kind: 'measured', rounds: [...outcome.rounds, measurement] });
        progress(row, peer, round, measurement);
      } catch (error) {
        if (!(error instanceof Error)) throw error;
        outcomes.set(peer, { kind: error instanceof CannotError ? 'left-out' : 'failed', reason: error.message });
        progress(row, peer, round, error);
      }
    }
  }
  return { row, outcomes: Object.fromEntries([...outcomes].map(([peer, outcome]) => [peer.name, outcome])) };
}

async function firstOutcome(row: Row, peer: Peer, missing: ReadonlyMap<Peer, string>): Promise<Outcome> {
  const reason =
    missing.get(peer) ?? (row.cached ? peer.cannotCache : undefined) ?? (row.tls ? await peer.cannotTls() : undefined);
  return reason === undefined ? { kind: 'measured', rounds: [] } : { kind: 'left-out', reason };
}

/** Instances are kept for all rows, but for those that are about memory: those have one each time that has done nothing yet. */
async function measureOnce(
  row: Row,
  peer: Peer,
  plan: Plan,
  kept: Map<string, Promise<Instance>>,
  around: Surroundings,
): Promise<Measurement> {
  if (row.load === 'idle') {
    const fresh = await startInstance(peer, row.accessLog, around);
    try {
      await plan.patience.waitForQuiet();
      return await measure(row, fresh, plan.seconds, around);
    } finally {
      await fresh.stop();
    }
  }
  const key = `${peer.name} ${row.accessLog}`;
  // One that does not start is kept as well: it would not start for the next row either.
  const starting = kept.get(key) ?? startInstance(peer, row.accessLog, around);
  kept.set(key, starting);
  const instance = await starting;
  try {
    return await plan.patience.quietest(() => measure(row, instance, plan.seconds, around));
  } catch (error) {
    // What state it is in is not known: the next row has a new one.
    if (!(error instanceof CannotError)) {
      kept.delete(key);
      await instance.stop();
    }
    throw error;
  }
}
