// The compose file and the configuration that it starts with agree with each other and with the local stack: what a reader
// learned of one holds for the other.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parse } from 'yaml';
import { parseConfig } from '../../../cli/config/load.ts';
import { layOut } from '../../../cli/stack/layout.ts';

const read = (file: string): Buffer => readFileSync(new URL(`../../../${file}`, import.meta.url));

interface Service {
  readonly command: readonly string[];
  readonly ports?: readonly string[];
  readonly healthcheck?: object;
}

const composed = parse(read('docker-compose.yml').toString(), { merge: true }) as { services: Record<string, Service> };
const services = new Map(Object.entries(composed.services));
const bytes = read('infra/docker/compose.yaml');
const layout = layOut();

test('every edge and origin that the configuration declares is a service, and stands where the local stack has it', () => {
  const loaded = parseConfig([{ file: 'compose.yaml', bytes }], true);
  assert.ok(loaded.kind === 'loaded');
  const { edges, pools } = loaded.resources;
  assert.deepEqual(
    edges.map(({ name, location }) => ({ name, ...location })),
    layout.edges.map(({ name, latitude, longitude }) => ({ name, latitude, longitude })),
  );
  for (const { name } of edges) assert.deepEqual(services.get(name)?.command, ['edge', '--name', name]);
  assert.deepEqual(
    pools[0]?.origins.map(({ name, location }) => ({ name, ...location })),
    layout.origins.map(({ name, latitude, longitude }) => ({ name, latitude, longitude })),
  );
  for (const { name, address } of pools[0]?.origins ?? []) {
    assert.equal(address, `http://origin-${name}:9000`);
    assert.equal(services.get(`origin-${name}`)?.command[2], name);
  }
});

test('ports are published on loopback only, by default those of the local stack', () => {
  const published = [...services].flatMap(([name, { ports = [] }]) => ports.map((text) => [name, text] as const));
  for (const [name, text] of published) assert.match(text, /^127\.0\.0\.1:\$\{[A-Z_]+-\d+\}:\d+$/, name);
  const defaults = published.map(([, text]) => Number(/-(\d+)\}/.exec(text)?.[1]));
  assert.deepEqual(defaults, [
    layout.control.adminPort,
    ...layout.edges.flatMap(({ port, adminPort }) => [port, adminPort]),
  ]);
});

test('every service has a health check', () => {
  for (const [name, { healthcheck }] of services) assert.ok(healthcheck, name);
});
