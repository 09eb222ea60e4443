// Resources between the forms that they take: a request's lists, the store's JSON, a snapshot.
import type { Resources } from '../../proto/consistency.ts';
import { Edge, Pool, Site } from '../../proto/gen/meridian/v1/resources.ts';
import type { ResourceKind } from '../../proto/problems.ts';

export type Resource =
  | { readonly kind: 'site'; readonly value: Site }
  | { readonly kind: 'pool'; readonly value: Pool }
  | { readonly kind: 'edge'; readonly value: Edge };

export function listResources(resources: Resources): Resource[] {
  return [
    ...resources.sites.map((value) => ({ kind: 'site', value }) as const),
    ...resources.pools.map((value) => ({ kind: 'pool', value }) as const),
    ...resources.edges.map((value) => ({ kind: 'edge', value }) as const),
  ];
}

/** By kind, each sorted by name, so that equal sets make equal snapshots. */
export function groupResources(resources: Iterable<Resource>): { sites: Site[]; pools: Pool[]; edges: Edge[] } {
  const groups: { sites: Site[]; pools: Pool[]; edges: Edge[] } = { sites: [], pools: [], edges: [] };
  for (const resource of resources) {
    switch (resource.kind) {
      case 'site':
        groups.sites.push(resource.value);
        break;
      case 'pool':
        groups.pools.push(resource.value);
        break;
      case 'edge':
        groups.edges.push(resource.value);
        break;
    }
  }
  for (const group of [groups.sites, groups.pools, groups.edges]) group.sort((a, b) => (a.name < b.name ? -1 : 1));
  return groups;
}

/** The same text for the same resource. */
export function encodeResource(resource: Resource): string {
  switch (resource.kind) {
    case 'site':
      return JSON.stringify(Site.toJSON(resource.value));
    case 'pool':
      return JSON.stringify(Pool.toJSON(resource.value));
    case 'edge':
      return JSON.stringify(Edge.toJSON(resource.value));
  }
}

/** Throws on a value that is not what {@link encodeResource} makes. */
export function decodeResource(kind: ResourceKind, name: string, text: string): Resource {
  const json: unknown = JSON.parse(text);
  const resource = fromJson(kind, json);
  if (resource.value.name !== name) throw new Error(`it is a ${kind} named "${resource.value.name}"`);
  return resource;
}

function fromJson(kind: ResourceKind, json: unknown): Resource {
  switch (kind) {
    case 'site':
      return { kind, value: Site.fromJSON(json) };
    case 'pool':
      return { kind, value: Pool.fromJSON(json) };
    case 'edge':
      return { kind, value: Edge.fromJSON(json) };
  }
}
