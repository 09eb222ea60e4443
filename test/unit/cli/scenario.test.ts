// Scenarios of simulations: what a file means, and what is said where about one that means nothing.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { formatFileProblem } from '../../../cli/config/place.ts';
import { DEMO, localEdges } from '../../../cli/simulation/demo.ts';
import { loadScenario, plainScenario } from '../../../cli/simulation/file.ts';
import { STEERING } from '../../../cli/simulation/reference.ts';
import { layOut } from '../../../cli/stack/layout.ts';
import { defaultFiles, openGeo } from '../../../geo/database.ts';
import { distanceKm } from '../../../geo/distance.ts';
import type { Location } from '../../../geo/location.ts';
import { silentLog } from '../../../infra/runtime/log.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const load = (text: string) => loadScenario('-', () => Promise.resolve(new TextEncoder().encode(text)));

async function problems(text: string): Promise<string[]> {
  const loaded = await load(text);
  return loaded.kind === 'problems' ? loaded.problems.map(formatFileProblem) : [];
}

const LONDON = 'clients: { London: { addresses: [81.2.69.142] } }\n';

test('clients are all that a scenario must have', async () => {
  const loaded = await load(LONDON);
  assert.deepEqual(loaded.kind === 'loaded' && loaded.scenario, {
    name: 'unnamed',
    seed: 1,
    durationMs: 10_000,
    host: 'demo.localhost',
    clients: [{ name: 'London', addresses: ['81.2.69.142'], rate: 20 }],
    paths: { count: 200, zipf: 1, prefix: '/simulation/' },
    connections: 8,
    timeoutMs: 5000,
    originField: 'X-Origin',
    events: [],
  });
});

test('what is wrong is named by line and column', async () => {
  const cases: readonly (readonly [string, string])[] = [
    ['name: x\n', '1:1: the field "clients" is missing: expected a mapping of cities to clients'],
    ['clients: {}\n', '1:1: clients: expected one client or more'],
    ['clients:\n  London: { addresses: [] }\n', '2:24: clients.London.addresses: expected one address or more'],
    [
      'clients:\n  London: { addresses: [81.2.69] }\n',
      '2:25: clients.London.addresses[0]: expected an IPv4 or IPv6 address, found "81.2.69"',
    ],
    [
      'clients:\n  London: { addresses: [::1], rate: 0 }\n',
      '2:37: clients.London.rate: expected a number from 0.1 to 1000, found 0',
    ],
    [`${LONDON}duration: 2h\n`, '2:11: duration: expected a duration from 1s to 10m, found "2h"'],
    [`${LONDON}hots: a\n`, '2:1: hots: unknown field (did you mean "host"?)'],
    [`${LONDON}host: a/b\n`, '2:7: host: expected a hostname, found "a/b"'],
    [
      `${LONDON}edges: { a: 127.0.0.1 }\n`,
      '2:13: edges.a: expected http://HOST:PORT or https://HOST:PORT, found "127.0.0.1"',
    ],
    [`${LONDON}paths: { prefix: a }\n`, '2:18: paths.prefix: expected a path that starts with /, found "a"'],
    [`${LONDON}events: [{ at: 1s }]\n`, '2:10: events[0]: expected one of purge, drain, undrain'],
    [
      `${LONDON}events: [{ at: 1s, purge: tags }]\n`,
      '2:27: events[0].purge: unknown form of purge "tags": expected url, prefix, host, tag or all (did you mean "tag"?)',
    ],
    [
      `${LONDON}events: [{ at: 1s, drain: london }]\n`,
      '2:27: events[0].drain: expected an origin such as cities/london, found "london"',
    ],
    [`${LONDON}events: [{ at: 11s, purge: all }]\n`, '1:1: events[0]: it is to happen after the end'],
    [
      `clients: { A: { addresses: [::1], rate: 1000 }, B: { addresses: [::1], rate: 1000 }, C: { addresses: [::1], rate: 1000 },
  D: { addresses: [::1], rate: 1000 }, E: { addresses: [::1], rate: 1000 }, F: { addresses: [::1], rate: 1 } }\n`,
      '1:1: clients: together they ask 5001 times a second; expected at most 5000',
    ],
    ['# nothing\n', ' declares nothing: expected a mapping with clients'],
    [`${LONDON}---\n${LONDON}`, ' holds more than one document; a scenario is one'],
  ];
  for (const [text, problem] of cases) assert.deepEqual(await problems(text), [`<stdin>:${problem}`], text);
  assert.match((await loadScenario('/nowhere/x.yaml', () => assert.fail())).kind, /problems/);
});

test('the examples are scenarios, and the one on the page changes what it should', async () => {
  const steering = await load(STEERING);
  assert.equal(steering.kind, 'loaded');
  assert.deepEqual(
    steering.scenario.events.map(({ atMs, drain, purge, undrain }) => [atMs, drain ?? purge ?? undrain]),
    [
      [3000, 'cities/london'],
      [6000, 'all'],
      [9000, 'cities/london'],
    ],
  );
  const file = await readFile(new URL('../../../docs/examples/simulation.yaml', import.meta.url), 'utf8');
  const example = await load(file);
  assert.deepEqual(example, { kind: 'loaded', scenario: { ...DEMO, edges: localEdges(layOut()) } });
});

test('a scenario as plain values is what its file says', async () => {
  const loaded = await load(`${LONDON}edges: { lon: "http://127.0.0.1:1" }\nevents: [{ at: 1s, purge: all }]\n`);
  assert.equal(loaded.kind, 'loaded');
  assert.deepEqual(plainScenario(loaded.scenario), {
    name: 'unnamed',
    seed: 1,
    duration: '10s',
    host: 'demo.localhost',
    edges: { lon: 'http://127.0.0.1:1' },
    clients: { London: { addresses: ['81.2.69.142'], rate: 20 } },
    paths: { count: 200, zipf: 1, prefix: '/simulation/' },
    connections: 8,
    timeout: '5s',
    originField: 'X-Origin',
    events: [{ at: '1s', purge: 'all' }],
  });
});

const PLACES: Readonly<Record<string, readonly [latitude: number, longitude: number]>> = {
  'New York': [40.71, -74.01],
  'Los Angeles': [34.05, -118.24],
  'Mexico City': [19.43, -99.13],
  'Rio de Janeiro': [-22.91, -43.17],
  'Buenos Aires': [-34.6, -58.38],
  London: [51.51, -0.13],
  Berlin: [52.52, 13.41],
  Cairo: [30.04, 31.24],
  Lagos: [6.52, 3.38],
  Johannesburg: [-26.2, 28.05],
  Mumbai: [19.08, 72.88],
  Singapore: [1.35, 103.82],
  Tokyo: [35.68, 139.69],
  Sydney: [-33.87, 151.21],
  Auckland: [-36.85, 174.76],
};

test('the cities that ask without a scenario are where the database says that their addresses are', async (t) => {
  const antipode: Location = { latitude: 0, longitude: -160 };
  const geo = await openGeo({
    files: defaultFiles(),
    clock: new FakeClock(),
    log: silentLog,
    own: antipode,
    watchMs: 0,
  });
  t.after(() => geo.close());
  assert.deepEqual(DEMO.clients.map(({ name }) => name).toSorted(), Object.keys(PLACES).toSorted());
  for (const { name, addresses } of DEMO.clients) {
    const [latitude = 0, longitude = 0] = PLACES[name] ?? [];
    for (const address of addresses) {
      const { source, location } = geo.locate(address);
      const km = distanceKm({ latitude, longitude }, location);
      assert.ok(source === 'database' && km < 300, `${address} is ${Math.round(km)} km from ${name}`);
    }
  }
});
