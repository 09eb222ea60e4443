// The world as the store has it, at one revision: read whole once, then carried on by what each transaction changed.
import { checkConsistency } from '../../proto/consistency.ts';
import type { SnapshotUpdate } from '../../proto/gen/meridian/v1/edge.ts';
import type { Snapshot, Version } from '../../proto/gen/meridian/v1/resources.ts';
import { formatProblem } from '../../proto/problems.ts';
import { type AccessChange, type AccessState, carryAccess, NO_ACCESS, readAccess } from './access.ts';
import { decodeEpoch } from './epoch.ts';
import { type Batch, type Entry, parseKey } from './keys.ts';
import { decodePurge, type PurgeLog, type PurgeRecord } from './purge-log.ts';
import { decodeResource, groupResources, type Resource } from './resources.ts';

export type StoredResource = Resource & { readonly modRevision: number };

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
  // Copied when first written to.
  let resources: Map<string, StoredResource> | undefined;
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
          else resources.set(key, { ...decodeResource(parsed.of, parsed.name, value), modRevision });
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
  const carried = { ...world, revision, epoch, epochRevision, headRevision, resources: resources ?? world.resources };
  const former = world.purges;
  const records = purged.size > 0 || last !== former.last ? carryLog(former.records, purged, last) : former.records;
  const purges = { epoch, last, headRevision: purgeHeadRevision, records };
  const access = carryAccess(world.access, accessChanges);
  return withSnapshot({ ...carried, purges, access }, world);
}

/** The configuration changes when the head does, and not before: resources without a head are nobody's word. */
function withSnapshot(next: World, former: World): WorldResult {
  if (next.headRevision === former.headRevision && next.epoch === former.epoch) return { kind: 'world', world: next };
  if (next.headRevision === 0)
    return { kind: 'world', world: { ...next, snapshot: undefined, update: undefined, edges: new Set() } };
  const version = { epoch: next.epoch, revision: next.headRevision };
  const resources = groupResources(next.resources.values());
  const [problem] = checkConsistency(resources);
  if (problem) return { kind: 'unreadable', reason: `the resources do not fit together: ${formatProblem(problem)}` };
  const edges = new Set(resources.edges.map(({ name }) => name));
  const snapshot = { version, ...resources };
  return { kind: 'world', world: { ...next, snapshot, update: { snapshot }, edges } };
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
