// Resources -> the YAML that `meridian apply` reads back to the same resources.
import { stringify } from 'yaml';
import { configuration, type Declared } from './schema.ts';

/** Every field stands there, so that a later default changes nothing. */
export function toYaml(resources: Declared): string {
  return stringify(configuration.write(sorted(resources)), { lineWidth: 0, aliasDuplicateObjects: false });
}

/** The same document as plain values, for JSON. */
export function toPlain(resources: Declared): object {
  return plain(configuration.write(sorted(resources))) as object;
}

function sorted({ sites, pools, edges }: Declared): Declared {
  const byName = (a: { name: string }, b: { name: string }) => Number(a.name > b.name) - Number(a.name < b.name);
  return { sites: sites.toSorted(byName), pools: pools.toSorted(byName), edges: edges.toSorted(byName) };
}

/** Maps as objects, at every depth. */
export function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  return value instanceof Map ? Object.fromEntries([...value].map(([key, member]) => [key, plain(member)])) : value;
}
