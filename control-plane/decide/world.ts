// The world as the store has it, at one revision: read whole once, then carried on by what each transaction changed.
import { checkConsistency } from '../../proto/consistency.ts';
import type { Snapshot, Version } from '../../proto/gen/meridian/v1/resources.ts';
import { formatProblem } from '../../proto/problems.ts';
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
  /** Names of the edges that the snapshot declares, sorted. */
  readonly edges: ReadonlySet<string>;
  readonly purges: PurgeLog;
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
  edges: new Set(),
  purges: { epoch: 0, last: 0, headRevision: 0, records: [] },
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
  let records: Map<number, PurgeRecord> | undefined;
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
          records ??= bySequence(world);
          if (value === undefined) records.delete(parsed.sequence);
          else records.set(parsed.sequence, decodePurge(parsed.sequence, value));
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
  const log = records || last !== world.purges.last ? tail(records ?? bySequence(world), last) : world.purges.records;
  const purges = { epoch, last, headRevision: purgeHeadRevision, records: log };
  return withSnapshot({ ...carried, purges }, world);
}

/** The configuration changes when the head does, and not before: resources without a head are nobody's word. */
function withSnapshot(next: World, former: World): WorldResult {
  if (next.headRevision === former.headRevision && next.epoch === former.epoch) return { kind: 'world', world: next };
  if (next.headRevision === 0) return { kind: 'world', world: { ...next, snapshot: undefined, edges: new Set() } };
  const version = { epoch: next.epoch, revision: next.headRevision };
  const resources = groupResources(next.resources.values());
  const [problem] = checkConsistency(resources);
  if (problem) return { kind: 'unreadable', reason: `the resources do not fit together: ${formatProblem(problem)}` };
  const edges = new Set(resources.edges.map(({ name }) => name));
  return { kind: 'world', world: { ...next, snapshot: { version, ...resources }, edges } };
}

function bySequence(world: World): Map<number, PurgeRecord> {
  return new Map(world.purges.records.map((record) => [record.purge.sequence, record]));
}

/** The records that reach up to `last` without a gap. */
function tail(records: ReadonlyMap<number, PurgeRecord>, last: number): PurgeRecord[] {
  const reversed: PurgeRecord[] = [];
  for (let record = records.get(last); record; record = records.get(record.purge.sequence - 1)) reversed.push(record);
  return reversed.toReversed();
}

/** `/meridian/purges/head`'s value. Throws when it is something else. */
export function decodeSequence(text: string): number {
  const json: unknown = JSON.parse(text);
  if (typeof json === 'object' && json !== null && 'sequence' in json && Number.isSafeInteger(json.sequence)) {
    return Number(json.sequence);
  }
  throw new Error('it has no sequence');
}
