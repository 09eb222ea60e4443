// The world as the store has it, at one revision: read whole once, then carried on by what each transaction changed.
import { checkConsistency } from '../../proto/consistency.ts';
import type { SnapshotUpdate } from '../../proto/gen/meridian/v1/edge.ts';
import type { OriginRef } from '../../proto/gen/meridian/v1/health.ts';
import type { Snapshot, Version } from '../../proto/gen/meridian/v1/resources.ts';
import { formatProblem, type Problem } from '../../proto/problems.ts';
import { type AccessChange, type AccessState, carryAccess, NO_ACCESS, readAccess } from './access.ts';
import { type Canary, decodeCanary } from './canary.ts';
import { decodeEpoch } from './epoch.ts';
import { decodeRecord, type KeptRecord, type Restored, restore } from './history.ts';
import { type Batch, type Entry, parseKey } from './keys.ts';
import { decodePurge, type PurgeLog, type PurgeRecord } from './purge-log.ts';
import { decodeResource, groupResources, type Resource } from './resources.ts';

export type StoredResource = Resource & { readonly modRevision: number /** As it is stored. */; readonly text: string };

export interface World {
  /** Everything up to here is in it. */
  readonly revision: number;
  readonly epoch: number;
  readonly epochRevision: number;
  /** 0 before the first configuration. */
  readonly headRevision: number;
  /** By key in the store. */
  readonly resources: ReadonlyMap<string, StoredResource>;
  /** Undefined before the first configuration. */
  readonly snapshot: Snapshot | undefined;
  /** The same as a message. */
  readonly update: SnapshotUpdate | undefined;
  /** The configuration before, while some edges try the newest. */
  readonly trial: { readonly canary: Canary; readonly others: SnapshotUpdate | undefined } | undefined;
  /** Origins that are out of use, by key in the store. */
  readonly drains: ReadonlyMap<string, OriginRef>;
  /** The newest last. */
  readonly history: readonly KeptRecord[];
  /** Names of the edges that the snapshot declares, sorted. */
  readonly edges: ReadonlySet<string>;
  readonly purges: PurgeLog;
  readonly access: AccessState;
}

export type WorldResult =
  | { readonly kind: 'world'; readonly world: World }
  /** A value that Meridian did not write, or a set of resources that it would not have. */
  | { readonly kind: 'unreadable'; readonly reason: string };

export const versionOf = (world: World): Version | undefined => world.snapshot?.version;

const EMPTY: World = {
  revision: 0,
  epoch: 0,
  epochRevision: 0,
  headRevision: 0,
  resources: new Map(),
  snapshot: undefined,
  update: undefined,
  trial: undefined,
  drains: new Map(),
  history: [],
  edges: new Set(),
  purges: { epoch: 0, last: 0, headRevision: 0, records: [] },
  access: NO_ACCESS,
};

/** From everything under the prefix, read at `revision`. */
export function readWorld(revision: number, entries: readonly Entry[]): WorldResult {
  return change(EMPTY, revision, entries);
}

/** The world after one more transaction. */
export function advanceWorld(world: World, batch: Batch): WorldResult {
  const changes = batch.events.map((event) => ({
    key: event.key,
    value: event.kind === 'put' ? event.value : undefined,
    modRevision: batch.revision,
  }));
  return change(world, batch.revision, changes);
}

interface Change {
  readonly key: string;
  /** Undefined: deleted. */
  readonly value: string | undefined;
  readonly modRevision: number;
}

function change(world: World, revision: number, changes: readonly Change[]): WorldResult {
  let { epoch, epochRevision, headRevision } = world;
  let { last, headRevision: purgeHeadRevision } = world.purges;
  let canary = world.trial?.canary;
  // Copied when first written to.
  let resources: Map<string, StoredResource> | undefined;
  let drains: Map<string, OriginRef> | undefined;
  /** By number; undefined: deleted. */
  const recorded = new Map<number, KeptRecord | undefined>();
  /** By sequence number; undefined: deleted. */
  const purged = new Map<number, PurgeRecord | undefined>();
  const accessChanges: AccessChange[] = [];
  for (const { key, value, modRevision } of changes) {
    const parsed = parseKey(key);
    try {
      switch (parsed.kind) {
        case 'epoch':
          // Without the key the next control plane to start begins a new epoch; until then this one goes on.
          if (value !== undefined) epoch = decodeEpoch(value).epoch;
          epochRevision = value === undefined ? 0 : modRevision;
          break;
        case 'head':
          headRevision = value === undefined ? 0 : modRevision;
          break;
        case 'resource':
          resources ??= new Map(world.resources);
          if (value === undefined) resources.delete(key);
          else resources.set(key, { ...decodeResource(parsed.of, parsed.name, value), modRevision, text: value });
          break;
        case 'canary':
          canary = value === undefined ? undefined : decodeCanary(value, modRevision);
          break;
        case 'drain':
          drains ??= new Map(world.drains);
          if (value === undefined) drains.delete(key);
          else drains.set(key, parsed.origin);
          break;
        case 'history':
          recorded.set(
            parsed.number,
            value === undefined ? undefined : decodeRecord(parsed.number, value, modRevision),
          );
          break;
        case 'purge-head':
          last = value === undefined ? 0 : decodeSequence(value);
          purgeHeadRevision = value === undefined ? 0 : modRevision;
          break;
        case 'purge':
          purged.set(parsed.sequence, value === undefined ? undefined : decodePurge(parsed.sequence, value));
          break;
        case 'token':
        case 'audit':
          accessChanges.push(readAccess(parsed, value, modRevision));
          break;
        case 'other':
          break;
      }
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error);
      return { kind: 'unreadable', reason: `the value of ${key} cannot be read: ${detail}` };
    }
  }
  const history = recorded.size > 0 ? carryHistory(world.history, recorded) : world.history;
  const carried = {
    ...world,
    ...{ revision, epoch, epochRevision, headRevision, history },
    resources: resources ?? world.resources,
    drains: drains ?? world.drains,
  };
  const former = world.purges;
  const records = purged.size > 0 || last !== former.last ? carryLog(former.records, purged, last) : former.records;
  const purges = { epoch, last, headRevision: purgeHeadRevision, records };
  const access = carryAccess(world.access, accessChanges);
  return withSnapshot({ ...carried, purges, access }, world, canary);
}

function carryHistory(
  former: readonly KeptRecord[],
  changed: ReadonlyMap<number, KeptRecord | undefined>,
): readonly KeptRecord[] {
  const kept = former.filter(({ number }) => !changed.has(number));
  const added = [...changed.values()].filter((record) => record !== undefined);
  return [...kept, ...added].toSorted((a, b) => a.number - b.number);
}

/** The configuration changes when the head does, and not before: resources without a head are nobody's word. */
function withSnapshot(next: World, former: World, canary: Canary | undefined): WorldResult {
  const sameConfiguration = next.headRevision === former.headRevision && next.epoch === former.epoch;
  if (sameConfiguration && canary === former.trial?.canary) return { kind: 'world', world: next };
  if (next.headRevision === 0) {
    const none = { snapshot: undefined, update: undefined, trial: undefined, edges: new Set<string>() };
    return { kind: 'world', world: { ...next, ...none } };
  }
  const version = { epoch: next.epoch, revision: next.headRevision };
  const { snapshot, problem } = compose(version, next.resources.values(), next.drains.values());
  if (problem) return { kind: 'unreadable', reason: `the resources do not fit together: ${formatProblem(problem)}` };
  const edges = new Set(snapshot.edges.map(({ name }) => name));
  const world = {
    ...next,
    snapshot,
    update: sameConfiguration ? former.update : { snapshot, delta: undefined },
    edges,
    trial: undefined,
  };
  // A key that a later change left behind speaks of nothing.
  if (canary?.revision !== next.headRevision) return { kind: 'world', world };
  return { kind: 'world', world: { ...world, trial: { canary, others: formerUpdate(world, version) } } };
}

/** What edges that are not among the canary's get. Undefined: there was nothing, or nobody knows. */
function formerUpdate(world: World, version: Version): SnapshotUpdate | undefined {
  const former = world.history.at(-1)?.former;
  const restored = former && restore(textsOf(world), version, world.history, former);
  if (restored?.kind !== 'restored') return undefined;
  const { snapshot, problem } = compose(former, decodeTexts(restored.texts), world.drains.values());
  return problem ? undefined : { snapshot, delta: undefined };
}

function compose(
  version: Version | undefined,
  from: Iterable<Resource>,
  drains: Iterable<OriginRef>,
): { readonly snapshot: Snapshot; readonly problem: Problem | undefined } {
  const resources = groupResources(from);
  const declared = new Set(
    resources.pools.flatMap(({ name, origins }) => origins.map((origin) => `${name}/${origin.name}`)),
  );
  const drained = [...drains].filter(({ pool, origin }) => declared.has(`${pool}/${origin}`));
  drained.sort((a, b) => (`${a.pool}/${a.origin}` < `${b.pool}/${b.origin}` ? -1 : 1));
  const [problem] = checkConsistency(resources);
  return { snapshot: { version, ...resources, drained }, problem };
}

/** By key. */
export function textsOf(world: World): Map<string, string> {
  return new Map([...world.resources].map(([key, { text }]) => [key, text]));
}

/** Throws on a text that is no resource's. */
export function decodeTexts(texts: ReadonlyMap<string, string>): Resource[] {
  return [...texts].flatMap(([key, text]) => {
    const parsed = parseKey(key);
    return parsed.kind === 'resource' ? [decodeResource(parsed.of, parsed.name, text)] : [];
  });
}

/** The configuration as it was at `wanted`. */
export function snapshotAt(world: World, wanted: Version): Restored & { readonly snapshot?: Snapshot } {
  const restored = restore(textsOf(world), versionOf(world), world.history, wanted);
  if (restored.kind === 'unknown') return restored;
  return { ...restored, snapshot: { version: wanted, ...groupResources(decodeTexts(restored.texts)), drained: [] } };
}

/** What `edge` is to serve. */
export function updateFor(world: World, edge: string): SnapshotUpdate | undefined {
  const { trial } = world;
  return trial && !trial.canary.edges.includes(edge) ? trial.others : world.update;
}

/** The records that reach up to `last` without a gap. */
function carryLog(
  former: readonly PurgeRecord[],
  changed: ReadonlyMap<number, PurgeRecord | undefined>,
  last: number,
): PurgeRecord[] {
  const kept = former.filter(({ purge }) => !changed.has(purge.sequence));
  const added = [...changed.values()].filter((record) => record !== undefined);
  const all = [...kept, ...added]
    .filter(({ purge }) => purge.sequence <= last)
    .toSorted((a, b) => a.purge.sequence - b.purge.sequence);
  let start = all.length;
  while (all[start - 1]?.purge.sequence === last - (all.length - start)) start -= 1;
  return all.slice(start);
}

/** `/meridian/purges/head`'s value. Throws when it is something else. */
function decodeSequence(text: string): number {
  const json: unknown = JSON.parse(text);
  if (typeof json === 'object' && json !== null && 'sequence' in json && Number.isSafeInteger(json.sequence)) {
    return Number(json.sequence);
  }
  throw new Error('it has no sequence');
}

/** The same for the same state, whether it was read whole or carried on: which keys there are, and when each was last written. */
export function fingerprint(world: World): string {
  const { epochRevision, headRevision, purges, trial, access } = world;
  return JSON.stringify([
    ...[epochRevision, headRevision, purges.headRevision, purges.last, trial?.canary.revision],
    [...world.resources].map(([key, { modRevision }]) => `${key} ${modRevision}`).sort(),
    [...world.drains.keys()].sort(),
    world.history.map(({ number, revision }) => `${number} ${revision}`),
    purges.records.map(({ purge, bytes }) => `${purge.sequence} ${bytes}`),
    [...access.tokens].map(([id, { modRevision }]) => `${id} ${modRevision}`).sort(),
    access.audit.map(({ id, revision }) => `${id} ${revision}`),
  ]);
}
