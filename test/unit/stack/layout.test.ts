// What the local stack consists of.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig } from '../../../cli/config/load.ts';
import { localConfiguration } from '../../../cli/stack/config.ts';
import { layOut, PORT_BASE, PORT_SPAN, portsOf } from '../../../cli/stack/layout.ts';
import { describeStack } from '../../../cli/stack/report.ts';

test('three edges in three regions and four origins in four cities, each on its own port', () => {
  const layout = layOut();
  assert.equal(new Set(layout.edges.map((edge) => edge.city)).size, 3);
  assert.equal(new Set(layout.origins.map((origin) => origin.city)).size, 4);
  const ports = portsOf(layout, true).map((use) => use.port);
  assert.equal(new Set(ports).size, ports.length);
});

test('without a port base the ports are those that the documentation names', () => {
  const { control, edges, origins } = layOut();
  assert.deepEqual(control, { edgePort: 7400, adminPort: 7401, httpPort: 7402 });
  assert.deepEqual(
    edges.map(({ port, adminPort }) => [port, adminPort]),
    [
      [8081, 8091],
      [8082, 8092],
      [8083, 8093],
    ],
  );
  assert.deepEqual(
    origins.map(({ port }) => port),
    [9001, 9002, 9003, 9004],
  );
});

test('with a port base every port lies within its span, at both ends of the range', () => {
  for (const base of [PORT_BASE.min, 20_000, PORT_BASE.max]) {
    const ports = portsOf(layOut(base), true).map((use) => use.port);
    assert.equal(new Set(ports).size, ports.length);
    assert.ok(
      ports.every((port) => port >= base && port < base + PORT_SPAN && port <= 65_535),
      `base ${base}`,
    );
  }
});

test('ports for etcd are needed only when the stack starts it', () => {
  const without = portsOf(layOut(), false);
  assert.ok(without.every((use) => !use.need.startsWith('etcd')));
  assert.equal(portsOf(layOut(), true).length, without.length + 2);
});

test('what is printed names every process with its pid, and only the commands that need it say where the control plane is', () => {
  const text = describeStack({
    layout: layOut(20_000),
    pid: (name) => (name === 'etcd' ? undefined : 1000 + name.length),
    command: './bin/meridian.js',
    controlFlag: ' --control 127.0.0.1:20001',
    portFlag: ' --port-base 20000',
    store: 'embedded',
    logs: '.meridian/logs',
    restartAfterMs: 15_000,
  });
  assert.match(text, /^edge-sao-paulo +edge +São Paulo +http:\/\/127\.0\.0\.1:20012 +\d+$/m);
  assert.match(text, /^lagos +origin +Lagos +http:\/\/127\.0\.0\.1:20033 +\d+$/m);
  assert.doesNotMatch(text, /etcd/);
  assert.match(text, /purge url http:\/\/127\.0\.0\.1:20011\/hello --control 127\.0\.0\.1:20001$/m);
  assert.match(text, /curl -i -H 'X-Forwarded-For: 1\.1\.1\.1' http:\/\/127\.0\.0\.1:20011\/hello$/m);
  assert.match(text, /meridian\.js simulate --control 127\.0\.0\.1:20001 --port-base 20000; /);
  assert.match(text, /comes back after 15 s/);
});

test('the configuration that it writes is a whole one, and holds the layout', () => {
  const layout = layOut(20_000);
  const loaded = parseConfig([{ file: 'local.yaml', bytes: Buffer.from(localConfiguration(layout)) }], true);
  assert.ok(loaded.kind === 'loaded');
  const { sites, pools, edges } = loaded.resources;
  assert.deepEqual(
    sites.map((site) => site.name),
    ['demo'],
  );
  assert.deepEqual(
    pools[0]?.origins.map(({ name, address }) => [name, address]),
    layout.origins.map(({ name, port }) => [name, `http://127.0.0.1:${port}`]),
  );
  assert.deepEqual(
    edges.map(({ name, location }) => [name, location]),
    layout.edges.map(({ name, latitude, longitude }) => [name, { latitude, longitude }]),
  );
});
