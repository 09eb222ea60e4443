// Lets an event of a scenario happen, as the commands of the same names would, and says what came of it.
import { type EdgeOutcome, OutcomeKind } from '../../proto/gen/meridian/v1/admin.ts';
import type { Admin } from '../commands/client.ts';
import { originArgument } from '../commands/drain.ts';
import { parseTargets } from '../commands/purge.ts';
import { progress } from '../commands/rollback.ts';
import { isServiceError, sentenceFor } from '../output/grpc-errors.ts';
import { count } from '../output/text.ts';
import { purgeWords, type ScenarioEvent } from './scenario.ts';

/** How long edges are waited for, milliseconds. */
const WAIT_MS = 5000;

/** `3 of 3 edges, the last after 12 ms`. Rejects with a sentence when the control plane refuses. */
export async function act(admin: Admin, { purge, drain, undrain }: ScenarioEvent): Promise<string> {
  const outcomes: EdgeOutcome[] = [];
  const answer =
    purge === undefined
      ? progress(
          admin.drain({ origin: originArgument(drain ?? undrain), drained: drain !== undefined, waitMs: WAIT_MS }),
        )
      : admin.purge({
          targets: parseTargets(purgeWords(purge)),
          idempotencyKey: '',
          timeoutMs: WAIT_MS,
          soft: false,
          dryRun: false,
        });
  try {
    for await (const { event } of answer) {
      if (event?.$case === 'edge') outcomes.push(event.value);
      else if (event?.$case === 'edges') outcomes.push(...event.value.outcomes);
    }
  } catch (error) {
    throw isServiceError(error) ? new Error(sentenceFor(error, admin.address), { cause: error }) : error;
  }
  const acked = outcomes.filter(({ outcome }) => outcome === OutcomeKind.ACKED);
  const last = Math.max(0, ...acked.map(({ elapsedMs }) => elapsedMs));
  const when = acked.length === 0 ? '' : `, the last after ${last.toFixed(0)} ms`;
  return `${acked.length} of ${count(outcomes.length, 'edge')}${when}`;
}

/** What the events took out of use and did not give back. */
export function leftDrained(happened: readonly { readonly what: string; readonly done: boolean }[]): string[] {
  const drained = new Set<string>();
  for (const { what, done } of happened) {
    const [action, origin = ''] = what.split(' ');
    if (done && action === 'drain') drained.add(origin);
    if (done && action === 'undrain') drained.delete(origin);
  }
  return [...drained];
}
