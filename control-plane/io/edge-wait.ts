// Waits until every declared edge has applied a purge or a version, and says so edge by edge.
import type { Clock } from '../../infra/runtime/clock.ts';
import { type EdgeOutcome, OutcomeKind } from '../../proto/gen/meridian/v1/admin.ts';
import { beginWait, endAway, endWait, type Goal, type Outcome, progress } from '../decide/acks.ts';
import type { Fleet } from './fleet.ts';

export interface EdgeWait {
  readonly goal: Goal;
  /** Names of the declared edges. */
  readonly edges: Iterable<string>;
  /** Monotonic milliseconds at which the purge or version was durable. */
  readonly committedAt: number;
  readonly timeoutMs: number;
  /** Whether edges may be on their way between replicas. */
  readonly replicas: boolean;
  /** Ends the wait without another word. */
  readonly signal: AbortSignal;
}

/** For an edge that has changed replicas to be heard of. */
const AWAY_MS = 1000;

const KINDS = {
  acked: OutcomeKind.ACKED,
  late: OutcomeKind.LATE,
  gone: OutcomeKind.GONE,
  refused: OutcomeKind.REFUSED,
} as const;

/** Calls `say` once for each edge, and resolves when all have an outcome or `timeoutMs` have passed. */
export async function waitForEdges(
  fleet: Fleet,
  clock: Clock,
  { goal, edges, committedAt, timeoutMs, replicas, signal }: EdgeWait,
  say: (outcome: EdgeOutcome) => void,
): Promise<void> {
  const tell = ({ edge, kind, reason }: Outcome): void => {
    const elapsedMs = Math.max(0, clock.monotonic() - committedAt);
    say({ edge, outcome: KINDS[kind], elapsedMs, detail: reason });
  };
  const [wait, known] = beginWait(
    goal,
    Array.from(edges, (edge) => [edge, fleet.get(edge)] as const),
    replicas && timeoutMs > 0,
  );
  known.forEach(tell);
  const done = Promise.withResolvers<void>();
  const ignore = fleet.onChange((edge, standing) => {
    const outcome = progress(wait, edge, standing);
    if (outcome) tell(outcome);
    if (wait.pending.size === 0) done.resolve();
  });
  const timer = clock.after(timeoutMs, done.resolve);
  const away = clock.after(Math.min(AWAY_MS, timeoutMs), () => {
    if (!signal.aborted) endAway(wait).forEach(tell);
    if (wait.pending.size === 0) done.resolve();
  });
  signal.addEventListener('abort', () => done.resolve(), { once: true });
  if (wait.pending.size > 0 && timeoutMs > 0 && !signal.aborted) await done.promise;
  ignore();
  timer.cancel();
  away.cancel();
  if (!signal.aborted) endWait(wait).forEach(tell);
}
