// Which purge it is that reaches a stored answer. A barrier remembers numbers, not purges, and answers yes or no: so it is asked
// until the number is found, then about less and less of the answer. For explanations alone; a request asks once.
import type { Barrier } from './barrier.ts';
import { purgeName } from './cache/key.ts';
import { somePrefix } from './purge-names.ts';
import type { Purgeable } from './purged.ts';

export interface CoveringPurge {
  /** As counted by the barrier. */
  readonly number: number;
  readonly soft: boolean;
  readonly reach: 'everything' | 'host' | 'prefix' | 'url' | 'tag';
  /** Of the host, prefix, URL or tag; '' for everything. */
  readonly name: string;
}

type Test = (host: string, target: string, tags: readonly string[]) => boolean;

const NO_TAGS: readonly string[] = [];

/**
 * The newest purge that reaches `entry`, a hard one before a soft one; undefined when there is none. `asked`: `purgeName` of
 * the URL that is asked for, where the key is not made of all of it.
 */
export function coveringPurge(
  barrier: Barrier,
  entry: Purgeable,
  asked = entry.purgeTarget,
): CoveringPurge | undefined {
  return newest(barrier, entry, asked, false) ?? newest(barrier, entry, asked, true);
}

function newest(barrier: Barrier, entry: Purgeable, asked: string, soft: boolean): CoveringPurge | undefined {
  const { host, purgeTarget, head } = entry;
  const above =
    (level: number): Test =>
    (ofHost, target, tags) =>
      soft ? barrier.stales(level, ofHost, target, tags) : barrier.covers(level, ofHost, target, tags);
  const targets = asked === purgeTarget ? [purgeTarget] : [purgeTarget, asked];
  const isReached = (level: number) => targets.some((target) => above(level)(host, target, head.tags));
  if (!isReached(head.barrier)) return undefined;
  // The highest number below which it is reached: it is reached below `low`, and not below `high`.
  let low = head.barrier;
  let high = barrier.current;
  while (high - low > 1) {
    const middle = low + Math.floor((high - low) / 2);
    if (isReached(middle)) low = middle;
    else high = middle;
  }
  return { number: low + 1, soft, ...reachOf(above(low), host, targets, head.tags) };
}

function reachOf(
  test: Test,
  host: string,
  targets: readonly string[],
  tags: readonly string[],
): Pick<CoveringPurge, 'reach' | 'name'> {
  if (test('', '', NO_TAGS)) return { reach: 'everything', name: '' };
  if (test(host, '', NO_TAGS)) return { reach: 'host', name: host };
  const tag = tags.find((one) => test(host, '', [one]));
  if (tag !== undefined) return { reach: 'tag', name: tag };
  for (const target of targets) {
    let prefix: string | undefined;
    // No URL has a dot for its last segment: what reaches that is a purge of what comes before it.
    const found = somePrefix(host, target, (name) => {
      prefix = name;
      return test(host, `${name}/.`, NO_TAGS);
    });
    if (found && prefix !== undefined) return { reach: 'prefix', name: `${prefix}/` };
  }
  return { reach: 'url', name: targets.find((target) => test(host, target, NO_TAGS)) ?? purgeName(host, '') };
}
