// A purge, planned: from the log and what an operator asks to the record that is appended in one transaction. Idempotent by
// the client's key for as long as the log keeps the purge. What it names must be in canonical form (proto/canonical-url.ts),
// since edges compare it with what they store as it is.
import { canonicalHost, canonicalTarget } from '../../proto/canonical-url.ts';
import { Purge, type PurgePosition, type PurgeTarget } from '../../proto/gen/meridian/v1/purge.ts';
import { LIMITS } from '../../proto/limits.ts';
import { listInWords } from './audit.ts';
import { KEYS, type Operation, purgeKey, type Transaction } from './keys.ts';
import { encodePurge, type PurgeLog } from './purge-log.ts';

export interface PurgeAsked {
  readonly targets: readonly PurgeTarget[];
  readonly soft: boolean;
  /** Not empty. */
  readonly idempotencyKey: string;
}

export type PurgePlan =
  | { readonly kind: 'commit'; readonly transaction: Transaction; readonly position: PurgePosition }
  | { readonly kind: 'repeated'; readonly position: PurgePosition }
  | { readonly kind: 'invalid'; readonly reason: string };

/** Of the log, characters of JSON; beyond it the oldest purges go early. */
const LOG_CHARACTERS = 64 * 1024 * 1024;
/** Old purges that one new one may push out: more than one, so that a log that became too long shrinks. */
const TRIMMED_AT_ONCE = 20;

/** `nowMs`: the wall clock, Unix milliseconds, for people who read the log. */
export function planPurge(log: PurgeLog, asked: PurgeAsked, nowMs: number): PurgePlan {
  const reason = purgeProblem(asked);
  if (reason !== undefined) return { kind: 'invalid', reason };
  const targets = [...asked.targets];
  const { epoch } = log;
  const { soft } = asked;
  const former = log.records.find((record) => record.idempotencyKey === asked.idempotencyKey)?.purge;
  if (former) {
    if (sameTargets(former, { sequence: former.sequence, targets, soft })) {
      return { kind: 'repeated', position: { epoch, sequence: former.sequence } };
    }
    const used = `purge ${former.sequence} came under the idempotency key "${asked.idempotencyKey}"`;
    return { kind: 'invalid', reason: `${used} with other targets, or not as soft; use another key for another purge` };
  }
  const sequence = log.last + 1;
  const value = encodePurge({
    purge: { sequence, targets, soft },
    idempotencyKey: asked.idempotencyKey,
    acceptedAtMs: nowMs,
  });
  const operations: Operation[] = [
    { kind: 'put', key: purgeKey(sequence), value },
    { kind: 'put', key: KEYS.purgeHead, value: JSON.stringify({ sequence }) },
    ...trim(log, value.length),
  ];
  const compares = [{ key: KEYS.purgeHead, modRevision: log.headRevision }];
  return { kind: 'commit', transaction: { compares, operations }, position: { epoch, sequence } };
}

/** For the audit log. */
export function describePurge({ targets, soft }: Pick<PurgeAsked, 'targets' | 'soft'>): string {
  return (soft ? 'softly: ' : '') + listInWords(targets.map(inWords));
}

function inWords({ target }: PurgeTarget): string {
  switch (target?.$case) {
    case 'url':
      return `url ${target.value.host}${target.value.path}`;
    case 'host':
      return `host ${target.value}`;
    case 'prefix':
      return `prefix ${target.value.host}${target.value.path}`;
    case 'tag': {
      const { tag, hosts } = target.value;
      return `tag ${tag}${hosts.length > 0 ? ` on ${hosts.join(' ')}` : ''}`;
    }
    case 'all':
      return 'all';
    case undefined:
      return 'nothing';
  }
}

function sameTargets(a: Purge, b: Purge): boolean {
  return JSON.stringify(Purge.toJSON(a)) === JSON.stringify(Purge.toJSON(b));
}

/** Deletes what would make the log too long once `added` characters more are in it. */
function trim(log: PurgeLog, added: number): Operation[] {
  let count = log.records.length + 1;
  let characters = log.records.reduce((sum, record) => sum + record.bytes, added);
  const deletes: Operation[] = [];
  for (const record of log.records) {
    const fits = count <= LIMITS.purgeLog && characters <= LOG_CHARACTERS;
    if (fits || deletes.length === TRIMMED_AT_ONCE) break;
    deletes.push({ kind: 'delete', key: purgeKey(record.purge.sequence) });
    count -= 1;
    characters -= record.bytes;
  }
  return deletes;
}

/** Undefined when it may be accepted; else a sentence with the place. */
export function purgeProblem(asked: PurgeAsked): string | undefined {
  const { targets, idempotencyKey } = asked;
  if (idempotencyKey.length > LIMITS.idempotencyKeyLength) {
    return `idempotency_key: longer than ${LIMITS.idempotencyKeyLength} characters`;
  }
  if (targets.length === 0) return 'targets: a purge needs at least one';
  if (targets.length > LIMITS.purgeTargets) {
    return `targets: more than ${LIMITS.purgeTargets}; send them as several purges`;
  }
  for (const [index, { target }] of targets.entries()) {
    const problem = targetProblem(target);
    if (problem !== undefined) return `targets[${index}]${problem}`;
  }
  return undefined;
}

function targetProblem(target: PurgeTarget['target']): string | undefined {
  switch (target?.$case) {
    case 'all':
      return undefined;
    case 'host':
      return prefixed('.host: ', hostProblem(target.value));
    case 'url':
      return (
        prefixed('.url.host: ', hostProblem(target.value.host)) ??
        prefixed('.url.path: ', pathProblem(target.value.path))
      );
    case 'prefix':
      return (
        prefixed('.prefix.host: ', hostProblem(target.value.host)) ??
        prefixed('.prefix.path: ', prefixProblem(target.value.path))
      );
    case 'tag':
      return (
        prefixed('.tag.tag: ', tagProblem(target.value.tag)) ?? prefixed('.tag.hosts', hostsProblem(target.value.hosts))
      );
    case undefined:
      return ': names nothing; expected url, prefix, host, tag or all';
  }
}

function prefixed(prefix: string, problem: string | undefined): string | undefined {
  return problem === undefined ? undefined : prefix + problem;
}

function hostProblem(host: string): string | undefined {
  const canonical = canonicalHost(host);
  if (canonical.kind === 'malformed') return canonical.detail;
  if (canonical.port !== undefined) return `"${host}" has a port; a purge reaches a host under all of its ports`;
  return canonical.host === host ? undefined : `expected the canonical form "${canonical.host}"`;
}

function pathProblem(path: string): string | undefined {
  if (path.length > LIMITS.pathLength) return `longer than ${LIMITS.pathLength} characters`;
  const canonical = canonicalTarget(path);
  if (canonical.kind === 'malformed') return canonical.detail;
  return canonical.target === path ? undefined : `expected the canonical form "${canonical.target}"`;
}

function prefixProblem(path: string): string | undefined {
  if (path.includes('?')) return 'a prefix has no query';
  if (path.endsWith('/')) return `expected no slash at the end; purge the host instead of "/"`;
  if (path.split('/').length - 1 > LIMITS.prefixSegments) return `more than ${LIMITS.prefixSegments} segments`;
  return pathProblem(path);
}

function tagProblem(tag: string): string | undefined {
  if (tag.length > LIMITS.tagLength) return `longer than ${LIMITS.tagLength} characters`;
  return /^[!-~]+$/.test(tag) ? undefined : 'expected visible ASCII characters without spaces';
}

function hostsProblem(hosts: readonly string[]): string | undefined {
  if (hosts.length > LIMITS.hostnamesPerSite) return `: more than ${LIMITS.hostnamesPerSite}`;
  for (const [index, host] of hosts.entries()) {
    const problem = hostProblem(host.startsWith('*.') ? host.slice(2) : host);
    if (problem !== undefined) return `[${index}]: ${problem}`;
  }
  return undefined;
}
