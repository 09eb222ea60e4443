// Waits until every declared edge has applied a purge or a version, and says so edge by edge.
import type { Clock } from '../../infra/runtime/clock.ts';
import {
  type ApplyResponse,
  type EdgeOutcome,
  OutcomeKind,
  type PurgeResponse,
} from '../../proto/gen/meridian/v1/admin.ts';
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

/** As an event of an answer: a thousand edges that answer at the same moment are a few messages, not a thousand. */
export function eventOf(
  outcomes: readonly EdgeOutcome[],
): NonNullable<ApplyResponse['event'] & PurgeResponse['event']> {
  const [first] = outcomes;
  if (first && outcomes.length === 1) return { $case: 'edge', value: first };
  return { $case: 'edges', value: { outcomes: [...outcomes] } };
}

/**
 * Calls `say` with the outcomes of edges, each once and together with those of the same moment, and resolves when all have one
 * or `timeoutMs` have passed.
 */
export async function waitForEdges(
  fleet: Fleet,
  clock: Clock,
  { goal, edges, committedAt, timeoutMs, replicas, signal }: EdgeWait,
  say: (outcomes: readonly EdgeOutcome[]) => void,
): Promise<void> {
  let untold: EdgeOutcome[] = [];
  let telling: NodeJS.Immediate | undefined;
  const flush = (): void => {
    clearImmediate(telling);
    telling = undefined;
    if (untold.length > 0) say(untold);
    untold = [];
  };
  const tell = ({ edge, kind, reason }: Outcome): void => {
    const elapsedMs = Math.max(0, clock.monotonic() - committedAt);
    untold.push({ edge, outcome: KINDS[kind], elapsedMs, detail: reason });
    // After what else has come over the sockets by now.
    telling ??= setImmediate(flush);
  };
  const [wait, known] = beginWait(
    goal,
    Array.from(edges, (edge) => [edge, fleet.get(edge)] as const),
    replicas && timeoutMs > 0,
  );
  known.forEach(tell);
  flush();
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
  flush();
}
