// A change of configuration, planned: from what is stored and what an operator asks to what is written in one transaction.
// Nothing is planned that would leave the resources inconsistent or too big for an edge to receive.
import { checkConsistency, type Resources } from '../../proto/consistency.ts';
import { ChangeAction, type ResourceChange } from '../../proto/gen/meridian/v1/admin.ts';
import { Snapshot, type Version } from '../../proto/gen/meridian/v1/resources.ts';
import { LIMITS } from '../../proto/limits.ts';
import type { Problem } from '../../proto/problems.ts';
import { compareVersions, formatVersion } from '../../proto/version.ts';
import { listInWords } from './audit.ts';
import { KEYS, type Operation, resourceKey, type Transaction } from './keys.ts';
import { encodeResource, groupResources, listResources, type Resource } from './resources.ts';
import { versionOf, type World } from './world.ts';

export interface ChangeRequest extends Resources {
  /** Delete what the request does not name. */
  readonly prune: boolean;
  /** Refuse unless this is still the version; {0, 0} for none yet. */
  readonly expected: Version | undefined;
  /** Plan no operation, only the comparison. */
  readonly dryRun: boolean;
}

export type ChangePlan =
  /** Commit it; without operations (nothing changes, or a dry run) only to learn whether that is still true. */
  | { readonly kind: 'commit'; readonly transaction: Transaction; readonly changes: readonly ResourceChange[] }
  | { readonly kind: 'inconsistent'; readonly problems: readonly Problem[] }
  | { readonly kind: 'too-big'; readonly reason: string }
  | { readonly kind: 'moved'; readonly reason: string };

/** What a snapshot's message may weigh besides the snapshot. */
const ENVELOPE_BYTES = 1024;

/** `nowMs`: the wall clock, Unix milliseconds, for people who read the store. */
export function planChange(world: World, request: ChangeRequest, nowMs: number): ChangePlan {
  const moved = movedSince(world, request.expected);
  if (moved !== undefined) return { kind: 'moved', reason: moved };

  const named = listResources(request);
  const keys = new Set(named.map(({ kind, value }) => resourceKey(kind, value.name)));
  const others = [...world.resources].filter(([key]) => !keys.has(key));
  const kept: Resource[] = request.prune ? [] : others.map(([, resource]) => resource);

  // With the request's own duplicates still in it, so that they are found.
  const result = groupResources([...kept, ...named]);
  const problems = checkConsistency(result);
  if (problems.length > 0) return { kind: 'inconsistent', problems };
  const bytes = Snapshot.encode({ version: versionOf(world), ...result }).finish().length;
  if (bytes > LIMITS.messageBytes - ENVELOPE_BYTES) {
    return {
      kind: 'too-big',
      reason: `the configuration would take ${bytes} bytes, more than the ${LIMITS.messageBytes} that an edge accepts`,
    };
  }

  const operations: Operation[] = [];
  const changes: ResourceChange[] = [];
  for (const resource of named) {
    const { kind, value } = resource;
    const key = resourceKey(kind, value.name);
    const stored = world.resources.get(key);
    const text = encodeResource(resource);
    if (stored && encodeResource(stored) === text) continue;
    operations.push({ kind: 'put', key, value: text });
    changes.push({ kind, name: value.name, action: stored ? ChangeAction.UPDATED : ChangeAction.CREATED });
  }
  for (const [key, { kind, value }] of request.prune ? others : []) {
    operations.push({ kind: 'delete', key });
    changes.push({ kind, name: value.name, action: ChangeAction.DELETED });
  }
  if (changes.length > 0) {
    const value = JSON.stringify({ changedAtMs: nowMs, changes: changes.length });
    operations.push({ kind: 'put', key: KEYS.head, value });
  }
  const compares = [{ key: KEYS.head, modRevision: world.headRevision }];
  return { kind: 'commit', transaction: { compares, operations: request.dryRun ? [] : operations }, changes };
}

/** For the audit log. */
export function describeChanges(changes: readonly ResourceChange[]): string {
  const verb = (action: ChangeAction): string => action.replace('CHANGE_ACTION_', '').toLowerCase();
  return listInWords(changes.map(({ kind, name, action }) => `${kind} ${name} ${verb(action)}`));
}

/** Names of changed resources told at once. */
const TOLD = 10;

/** Undefined: the version is the expected one, or any will do. */
function movedSince(world: World, expected: Version | undefined): string | undefined {
  const version = versionOf(world);
  if (!expected || compareVersions(expected, version ?? { epoch: 0, revision: 0 }) === 0) return undefined;
  const found = `expected version ${formatVersion(expected)}, found ${formatVersion(version)}`;
  if (expected.epoch !== world.epoch) return `${found}: the store has begun another epoch since`;
  const changed = [...world.resources.values()]
    .filter(({ modRevision }) => modRevision > expected.revision)
    .map(({ kind, value }) => `${kind} "${value.name}"`);
  const more = changed.length > TOLD ? ` and ${changed.length - TOLD} more` : '';
  const what = changed.length === 0 ? 'resources were deleted' : `${changed.slice(0, TOLD).join(', ')}${more} changed`;
  return `${found}: ${what} since; look at the present configuration and apply again`;
}
