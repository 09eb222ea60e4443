// A configuration on trial: some edges serve the newest version while the others stay with the one before it. States, all in
// the store, so that any replica carries on where another was killed:
//
//   (none) -> on trial        one transaction: the change, its record, and the key of the canary
//   on trial -> promoted      the key is deleted, the head stays
//   on trial -> returned      the key is deleted and the change undone, as a new version
//
// Every replica judges, by the edges that hang on it and the clock since it saw the trial begin; whichever is first writes, and
// the comparison with the canary's key makes that happen once. The stated bounds: an edge refuses the version, does not confirm
// it before the hold is over, answers with errors of its own or its origins in 5 of 100 requests more than it did before, or
// takes on average more than twice as long as it did and 50 ms more, each over at least 20 requests.
import type { EdgeStatistics } from '../../proto/gen/meridian/v1/edge.ts';
import type { Version } from '../../proto/gen/meridian/v1/resources.ts';
import { compareVersions } from '../../proto/version.ts';
import type { Standing } from './acks.ts';

export interface Canary {
  /** Of the canary's key: that of the change, too. */
  readonly revision: number;
  readonly edges: readonly string[];
  readonly holdMs: number;
}

export const encodeCanary = ({ edges, holdMs }: Pick<Canary, 'edges' | 'holdMs'>): string =>
  JSON.stringify({ edges, holdMs });

/** Throws on a value that is not what {@link encodeCanary} makes. */
export function decodeCanary(text: string, revision: number): Canary {
  const json: unknown = JSON.parse(text);
  if (typeof json !== 'object' || json === null || !('edges' in json) || !('holdMs' in json)) {
    throw new Error('it is not a canary');
  }
  const { edges, holdMs } = json;
  if (!Array.isArray(edges) || !edges.every((edge) => typeof edge === 'string') || !Number.isSafeInteger(holdMs)) {
    throw new Error('it is not a canary');
  }
  return { revision, edges, holdMs: Number(holdMs) };
}

/** What is known of one edge of a canary. */
export interface Trial {
  /** Undefined: no replica has heard of it. */
  readonly standing: Standing | undefined;
  /** At the last report before the trial, and now; undefined where it hangs on another replica, which judges it. */
  readonly before: EdgeStatistics | undefined;
  readonly now: EdgeStatistics | undefined;
}

export type CanaryDecision =
  | { readonly kind: 'wait'; readonly reason: 'hold' }
  | { readonly kind: 'promote'; readonly reason: string }
  | { readonly kind: 'return'; readonly reason: string };

const REQUESTS = 20;
const ERRORS_MORE = 0.05;
const SLOWER_TIMES = 2;
const SLOWER_MS = 50;
/** After the hold, for a replica that has just seen something wrong. */
const GRACE_MS = 1000;

/** `elapsedMs`: since this replica saw the trial begin. */
export function judgeCanary(
  canary: Canary,
  version: Version,
  elapsedMs: number,
  trials: ReadonlyMap<string, Trial>,
): CanaryDecision {
  const unconfirmed: string[] = [];
  for (const edge of canary.edges) {
    const trial = trials.get(edge);
    const { applied, refused } = trial?.standing ?? {};
    if (compareVersions(applied, version) < 0) {
      if (refused && compareVersions(refused.version, version) >= 0) {
        return { kind: 'return', reason: `edge "${edge}" refused it: ${refused.reason}` };
      }
      unconfirmed.push(edge);
    }
    const worse = trial && worsened(trial);
    if (worse !== undefined) return { kind: 'return', reason: `edge "${edge}": ${worse}` };
  }
  if (elapsedMs < canary.holdMs) return { kind: 'wait', reason: 'hold' };
  if (unconfirmed.length > 0) {
    return { kind: 'return', reason: `edge "${unconfirmed[0]}" did not confirm it within ${canary.holdMs} ms` };
  }
  if (elapsedMs < canary.holdMs + GRACE_MS) return { kind: 'wait', reason: 'hold' };
  return {
    kind: 'promote',
    reason: `${canary.edges.length} edges served it for ${canary.holdMs} ms within the bounds`,
  };
}

/** What got worse beyond the bounds, in words. */
function worsened({ before, now }: Trial): string | undefined {
  if (!before || !now) return undefined;
  // A process that started anew counts from zero.
  const restarted = now.uptimeS < before.uptimeS || now.requests < before.requests;
  const requests = restarted ? now.requests : now.requests - before.requests;
  const errors = restarted ? now.errors : now.errors - before.errors;
  const answerMs = restarted ? now.answerMs : now.answerMs - before.answerMs;
  if (requests < REQUESTS) return undefined;
  const rate = errors / requests;
  const formerRate = before.requests === 0 ? 0 : before.errors / before.requests;
  if (rate > formerRate + ERRORS_MORE) return `${percent(rate)} of its requests failed, ${percent(formerRate)} before`;
  if (before.requests < REQUESTS) return undefined;
  const mean = answerMs / requests;
  const formerMean = before.answerMs / before.requests;
  if (mean <= formerMean * SLOWER_TIMES + SLOWER_MS) return undefined;
  return `an answer took ${mean.toFixed(1)} ms on average, ${formerMean.toFixed(1)} ms before`;
}

const percent = (share: number): string => `${(share * 100).toFixed(1)}%`;
