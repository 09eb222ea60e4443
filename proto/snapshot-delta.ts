// What changed between two snapshots, and what a snapshot becomes with that: each resource that differs, as the piece of its
// JSON that does, so that one route among thousands costs one route.
import type { ResourcePatch, SnapshotDelta } from './gen/meridian/v1/edge.ts';
import { Edge, Pool, Site, type Snapshot } from './gen/meridian/v1/resources.ts';
import { applyPatch, makePatch } from './text-patch.ts';

/** All of a delta but the hash of the whole. */
export type Changes = Omit<SnapshotDelta, 'sha256'>;

export function snapshotChanges(base: Snapshot, next: Snapshot): Changes {
  const [before, after] = [textsOf(base), textsOf(next)];
  const changes: ResourcePatch[] = [];
  for (const [key, text] of after) {
    const former = before.get(key) ?? '';
    if (former !== text) changes.push({ ...named(key), removed: false, ...makePatch(former, text) });
  }
  for (const key of before.keys()) {
    if (!after.has(key)) changes.push({ ...named(key), removed: true, head: 0, tail: 0, middle: '' });
  }
  return { base: base.version, version: next.version, changes, drained: next.drained };
}

/** Undefined when it was made for another base; else a snapshot whose hash is to be compared. */
export function changedSnapshot(base: Snapshot, delta: Changes): Snapshot | undefined {
  const texts = textsOf(base);
  for (const { kind, name, removed, head, tail, middle } of delta.changes) {
    const key = `${kind}/${name}`;
    const text = applyPatch(texts.get(key) ?? '', { head, tail, middle });
    if (text === undefined) return undefined;
    if (removed) texts.delete(key);
    else texts.set(key, text);
  }
  const next: Snapshot = { version: delta.version, sites: [], pools: [], edges: [], drained: delta.drained };
  for (const [key, text] of texts) {
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch {
      return undefined;
    }
    const { kind } = named(key);
    if (kind === 'site') next.sites.push(Site.fromJSON(json));
    else if (kind === 'pool') next.pools.push(Pool.fromJSON(json));
    else if (kind === 'edge') next.edges.push(Edge.fromJSON(json));
  }
  for (const group of [next.sites, next.pools, next.edges]) group.sort((a, b) => (a.name < b.name ? -1 : 1));
  return next;
}

/** By kind and name. */
function textsOf({ sites, pools, edges }: Snapshot): Map<string, string> {
  return new Map([
    ...sites.map((site) => [`site/${site.name}`, JSON.stringify(Site.toJSON(site))] as const),
    ...pools.map((pool) => [`pool/${pool.name}`, JSON.stringify(Pool.toJSON(pool))] as const),
    ...edges.map((edge) => [`edge/${edge.name}`, JSON.stringify(Edge.toJSON(edge))] as const),
  ]);
}

function named(key: string): { readonly kind: string; readonly name: string } {
  const slash = key.indexOf('/');
  return { kind: key.slice(0, slash), name: key.slice(slash + 1) };
}
