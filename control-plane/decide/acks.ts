// Waiting for edges to apply a purge or a version. States of an edge while it is waited for:
//
//   waiting <-> lost      (its stream ended; it may come back in time)
//   waiting, lost, away -> acked | refused
//   when time is up: waiting -> late, lost -> gone
//
// An edge that is away when the wait begins is gone at once: nobody knows whether it will come back at all. With other replicas
// it has a moment (away -> waiting, or gone at `endAway`), since it may have gone over to one of them, which has yet to say so.
import type { PurgePosition } from '../../proto/gen/meridian/v1/purge.ts';
import type { Version } from '../../proto/gen/meridian/v1/resources.ts';
import { comparePositions, compareVersions } from '../../proto/version.ts';

export type Goal =
  | { readonly kind: 'purge'; readonly position: PurgePosition }
  | { readonly kind: 'version'; readonly version: Version };

/** What is known of an edge. */
export interface Standing {
  readonly connected: boolean;
  readonly applied: Version | undefined;
  readonly refused: { readonly version: Version; readonly reason: string } | undefined;
  readonly position: PurgePosition | undefined;
}

export interface Outcome {
  readonly edge: string;
  readonly kind: 'acked' | 'late' | 'gone' | 'refused';
  readonly reason: string;
}

export interface Wait {
  readonly goal: Goal;
  /** Edges without an outcome. Changed in place. */
  readonly pending: Map<string, 'waiting' | 'lost' | 'away'>;
}

/**
 * `edges`: all that are declared; `undefined` for one that never connected. Returns what is known at once. `patient`: those that
 * are away are waited for, until `endAway`.
 */
export function beginWait(
  goal: Goal,
  edges: Iterable<readonly [string, Standing | undefined]>,
  patient = false,
): [Wait, Outcome[]] {
  const wait: Wait = { goal, pending: new Map() };
  const outcomes: Outcome[] = [];
  for (const [edge, standing] of edges) {
    const outcome = settle(goal, edge, standing);
    if (outcome) outcomes.push(outcome);
    else if (standing?.connected || patient) wait.pending.set(edge, standing?.connected ? 'waiting' : 'away');
    else outcomes.push({ edge, kind: 'gone', reason: standing ? AWAY : NEVER });
  }
  return [wait, outcomes];
}

const WHEN_BACK = 'it will catch up when it connects';
const NEVER = `it has not connected to a control plane; ${WHEN_BACK}`;
const AWAY = `it is not connected to a control plane; ${WHEN_BACK}`;

/** What is known of `edge` changed; undefined: it is not declared any more. Returns its outcome, if that settles it. */
export function progress(wait: Wait, edge: string, standing: Standing | undefined): Outcome | undefined {
  if (!wait.pending.has(edge)) return undefined;
  const outcome: Outcome | undefined = standing
    ? settle(wait.goal, edge, standing)
    : { edge, kind: 'gone', reason: 'it is not declared any more' };
  if (outcome) wait.pending.delete(edge);
  else if (standing?.connected) wait.pending.set(edge, 'waiting');
  else if (wait.pending.get(edge) === 'waiting') wait.pending.set(edge, 'lost');
  return outcome;
}

/** Those that were not there at any time since the beginning are gone. */
export function endAway(wait: Wait): Outcome[] {
  const away = [...wait.pending].filter(([, state]) => state === 'away');
  for (const [edge] of away) wait.pending.delete(edge);
  return away.map(([edge]) => ({ edge, kind: 'gone', reason: AWAY }));
}

/** Time is up: the outcome of every edge that has none. */
export function endWait(wait: Wait): Outcome[] {
  const outcomes = [...wait.pending].map(
    ([edge, state]): Outcome =>
      state === 'waiting'
        ? { edge, kind: 'late', reason: 'it is connected, but did not answer in time' }
        : { edge, kind: 'gone', reason: `its connection was lost meanwhile; ${WHEN_BACK}` },
  );
  wait.pending.clear();
  return outcomes;
}

function settle(goal: Goal, edge: string, standing: Standing | undefined): Outcome | undefined {
  if (!standing) return undefined;
  switch (goal.kind) {
    case 'purge':
      if (comparePositions(standing.position, goal.position) < 0) return undefined;
      return { edge, kind: 'acked', reason: '' };
    case 'version':
      if (compareVersions(standing.applied, goal.version) >= 0) return { edge, kind: 'acked', reason: '' };
      if (!standing.refused || compareVersions(standing.refused.version, goal.version) < 0) return undefined;
      return { edge, kind: 'refused', reason: standing.refused.reason };
  }
}
