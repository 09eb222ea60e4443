// A change of configuration, planned: from what is stored and what an operator asks to what is written in one transaction.
// Nothing is planned that would leave the resources inconsistent or too big for an edge to receive.
import { checkConsistency, type Resources } from '../../proto/consistency.ts';
import { type CanaryRequest, ChangeAction, type ResourceChange } from '../../proto/gen/meridian/v1/admin.ts';
import type { OriginRef } from '../../proto/gen/meridian/v1/health.ts';
import { Snapshot, type Version } from '../../proto/gen/meridian/v1/resources.ts';
import { LIMITS } from '../../proto/limits.ts';
import type { Problem } from '../../proto/problems.ts';
import { compareVersions, formatVersion } from '../../proto/version.ts';
import { listInWords } from './audit.ts';
import { type Canary, encodeCanary } from './canary.ts';
import { type Note, recordChange, restore } from './history.ts';
import { drainKey, KEYS, type Operation, parseKey, resourceKey, type Transaction } from './keys.ts';
import { encodeResource, groupResources, listResources, type Resource } from './resources.ts';
import { decodeTexts, textsOf, versionOf, type World } from './world.ts';

export interface ChangeRequest extends Resources {
  /** Delete what the request does not name. */
  readonly prune: boolean;
  /** Refuse unless this is still the version; {0, 0} for none yet. */
  readonly expected: Version | undefined;
  /** Plan no operation, only the comparison. */
  readonly dryRun: boolean;
  /** First these edges. */
  readonly canary?: CanaryRequest | undefined;
}

export type ChangePlan =
  /** Commit it; without operations (nothing changes, or a dry run) only to learn whether that is still true. */
  | { readonly kind: 'commit'; readonly transaction: Transaction; readonly changes: readonly ResourceChange[] }
  | { readonly kind: 'inconsistent'; readonly problems: readonly Problem[] }
  | { readonly kind: 'too-big'; readonly reason: string }
  | { readonly kind: 'invalid'; readonly reason: string }
  | { readonly kind: 'moved'; readonly reason: string };

/** What a snapshot's message may weigh besides the snapshot. */
const ENVELOPE_BYTES = 1024;

/** `note`: for the history. */
export function planChange(world: World, request: ChangeRequest, note: Note): ChangePlan {
  const moved = movedSince(world, request.expected);
  if (moved !== undefined) return { kind: 'moved', reason: moved };
  const trial = trialProblem(world);
  if (trial) return trial;
  const named = listResources(request);
  const keys = new Set(named.map(({ kind, value }) => resourceKey(kind, value.name)));
  const others = [...world.resources].filter(([key]) => !keys.has(key));
  const kept: Resource[] = request.prune ? [] : others.map(([, resource]) => resource);
  // With the request's own duplicates still in it, so that they are found.
  const wrong = problemWith(world, [...kept, ...named]) ?? canaryProblem(world, request.canary);
  if (wrong) return wrong;

  const wanted = new Map(request.prune ? [] : others.map(([key, { text }]) => [key, text]));
  for (const resource of named) wanted.set(resourceKey(resource.kind, resource.value.name), encodeResource(resource));
  const { transaction, changes } = writeTexts(world, wanted, note);
  const operations = [...transaction.operations];
  if (request.canary && operations.length > 0) {
    const value = encodeCanary({ edges: request.canary.edges, holdMs: request.canary.holdMs });
    operations.push({ kind: 'put', key: KEYS.canary, value });
  }
  return { kind: 'commit', transaction: { ...transaction, operations: request.dryRun ? [] : operations }, changes };
}

/** Puts back what was at `wanted`, as a new version; ends a canary that is under way. */
export function planRollback(world: World, wanted: Version, dryRun: boolean, note: Note): ChangePlan {
  const restored = restore(textsOf(world), versionOf(world), world.history, wanted);
  if (restored.kind === 'unknown') return { kind: 'invalid', reason: restored.reason };
  const wrong = problemWith(world, decodeTexts(restored.texts));
  if (wrong) return wrong;
  const { transaction, changes } = writeTexts(world, restored.texts, note);
  const operations = [...transaction.operations];
  const compares = [...transaction.compares];
  if (world.trial) {
    operations.push({ kind: 'delete', key: KEYS.canary });
    compares.push({ key: KEYS.canary, modRevision: world.trial.canary.revision });
  }
  return { kind: 'commit', transaction: { compares, operations: dryRun ? [] : operations }, changes };
}

/** The end of the canary that is under way: all edges get the newest configuration. */
export function planPromotion(canary: Canary): Transaction {
  const compares = [{ key: KEYS.canary, modRevision: canary.revision }];
  return { compares, operations: [{ kind: 'delete', key: KEYS.canary }] };
}

/** An operator's word on an origin: a version of its own, since edges keep it on disk and confirm it. */
export function planDrain(world: World, origin: OriginRef, drained: boolean, note: Note): ChangePlan {
  const trial = trialProblem(world);
  if (trial) return trial;
  const name = `${origin.pool}/${origin.origin}`;
  const pool = world.snapshot?.pools.find((candidate) => candidate.name === origin.pool);
  if (drained && !pool?.origins.some((candidate) => candidate.name === origin.origin)) {
    return { kind: 'invalid', reason: `there is no origin "${name}"` };
  }
  const key = drainKey(origin);
  const compares = [{ key: KEYS.head, modRevision: world.headRevision }];
  if (world.drains.has(key) === drained)
    return { kind: 'commit', transaction: { compares, operations: [] }, changes: [] };
  const changes = [{ kind: 'drain', name, action: drained ? ChangeAction.CREATED : ChangeAction.DELETED }];
  const at = { epoch: world.epoch, former: versionOf(world) };
  const operations: Operation[] = [
    drained ? { kind: 'put', key, value: JSON.stringify({ drainedAtMs: note.nowMs }) } : { kind: 'delete', key },
    headWritten(note, 1),
    ...recordChange(world.history, at, note, changes, []),
  ];
  return { kind: 'commit', transaction: { compares, operations }, changes };
}

function headWritten({ nowMs }: Note, changes: number): Operation {
  return { kind: 'put', key: KEYS.head, value: JSON.stringify({ changedAtMs: nowMs, changes }) };
}

/** What makes the stored resources these texts, by key. */
function writeTexts(
  world: World,
  wanted: ReadonlyMap<string, string>,
  note: Note,
): { readonly transaction: Transaction; readonly changes: readonly ResourceChange[] } {
  const compares = [{ key: KEYS.head, modRevision: world.headRevision }];
  const operations: Operation[] = [];
  const changes: ResourceChange[] = [];
  const texts: { key: string; before: string | undefined; after: string | undefined }[] = [];
  for (const key of new Set([...wanted.keys(), ...world.resources.keys()])) {
    const before = world.resources.get(key)?.text;
    const after = wanted.get(key);
    const parsed = parseKey(key);
    if (before === after || parsed.kind !== 'resource') continue;
    operations.push(after === undefined ? { kind: 'delete', key } : { kind: 'put', key, value: after });
    const written = before === undefined ? ChangeAction.CREATED : ChangeAction.UPDATED;
    changes.push({ kind: parsed.of, name: parsed.name, action: after === undefined ? ChangeAction.DELETED : written });
    texts.push({ key, before, after });
  }
  if (changes.length > 0) {
    const at = { epoch: world.epoch, former: versionOf(world) };
    operations.push(headWritten(note, changes.length), ...recordChange(world.history, at, note, changes, texts));
  }
  return { transaction: { compares, operations }, changes };
}

/** While a version is on trial there is none newer that the other edges could be given. */
function trialProblem(world: World): ChangePlan | undefined {
  if (!world.trial) return undefined;
  const edges = world.trial.canary.edges.join(', ');
  const reason = `${edges} are trying version ${formatVersion(versionOf(world))}; wait for the end of that, or end it`;
  return { kind: 'moved', reason: `${reason} with "meridian rollback"` };
}

function problemWith(world: World, resources: Resource[]): ChangePlan | undefined {
  const result = groupResources(resources);
  const problems = checkConsistency(result);
  if (problems.length > 0) return { kind: 'inconsistent', problems };
  const drained = [...world.drains.values()];
  const bytes = Snapshot.encode({ version: versionOf(world), ...result, drained }).finish().length;
  if (bytes <= LIMITS.messageBytes - ENVELOPE_BYTES) return undefined;
  const most = `more than the ${LIMITS.messageBytes} that an edge accepts`;
  return { kind: 'too-big', reason: `the configuration would take ${bytes} bytes, ${most}` };
}

function canaryProblem(world: World, canary: CanaryRequest | undefined): ChangePlan | undefined {
  if (!canary) return undefined;
  const invalid = (reason: string) => ({ kind: 'invalid', reason: `canary: ${reason}` }) as const;
  const { edges, holdMs } = canary;
  const { min, max } = LIMITS.canaryHoldMs;
  if (edges.length === 0) return invalid('name at least one edge');
  if (edges.length > LIMITS.canaryEdges) return invalid(`more than ${LIMITS.canaryEdges} edges`);
  const unknown = edges.find((edge) => !world.edges.has(edge));
  if (unknown !== undefined) return invalid(`there is no edge "${unknown}"`);
  if (holdMs < min || holdMs > max) return invalid(`hold_ms: expected ${min}..${max}, found ${holdMs}`);
  return world.update ? undefined : invalid('there is no configuration yet that the other edges could keep');
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
