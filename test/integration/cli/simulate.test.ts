// `meridian simulate`: against a control plane, two edges and two origins; and what it says when it cannot be.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { startDemoOrigin } from '../../../cli/stack/origin.ts';
import { systemClock } from '../../../infra/runtime/clock.ts';
import { StatusResponse } from '../../../proto/gen/meridian/v1/admin.ts';
import { Explanation } from '../../../proto/gen/meridian/v1/explain.ts';
import { tempFolder } from '../../support/temp.ts';
import { until } from '../../support/until.ts';
import { type Ended, fakeAdmin, meridian } from './harness.ts';
import { ROOT, readyPorts, start } from './process.ts';

const MAIN = path.join(ROOT, 'cli/main.ts');
const LOOPBACK = ['--listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0', '--log-level', 'warn'];

async function origin(t: TestContext, name: string): Promise<number> {
  const started = await startDemoOrigin({ name, city: name, host: '127.0.0.1', port: 0, clock: systemClock });
  t.after(() => started.close());
  return started.port;
}

const configuration = (london: number, sydney: number, trusted: string): string => `sites:
  demo: { hostnames: [demo.localhost], routes: [{ path: /, pool: cities }] }
pools:
  cities:
    healthCheck: { interval: 200ms }
    origins:
      london: { address: "http://127.0.0.1:${london}", location: { latitude: 51.5, longitude: -0.1 } }
      sydney: { address: "http://127.0.0.1:${sydney}", location: { latitude: -33.9, longitude: 151.2 } }
edges:
  fra: { location: { latitude: 50.1, longitude: 8.7 }, trustedProxies: ${trusted} }
  sin: { location: { latitude: 1.4, longitude: 103.8 }, trustedProxies: ${trusted} }
`;

const scenario = (edges: string): string => `name: test
duration: 2s
edges: ${edges}
clients:
  London: { addresses: [81.2.69.142, "2a00:23c6::1"], rate: 40 }
  Sydney: { addresses: [1.1.1.1], rate: 40 }
paths: { list: [/a, /private] }
events:
  - { at: 300ms, drain: cities/london }
  - { at: 600ms, purge: url http://demo.localhost/a }
`;

test('each city asks its edge and gets its origin, until that is drained', async (t) => {
  const plane = await start(t, [MAIN, 'control-plane', ...LOOPBACK], true);
  const { edgePort, adminPort } = await readyPorts(plane);
  const env = { MERIDIAN_ADMIN: `127.0.0.1:${adminPort}` };
  const [london, sydney] = [await origin(t, 'london'), await origin(t, 'sydney')];
  const apply = (trusted: string): Promise<Ended> =>
    meridian(['apply', '-f', '-', '--wait'], { env, stdin: configuration(london, sydney, trusted) });
  await apply('[127.0.0.0/8]');
  const secret = path.join(tempFolder(t), 'secret');
  await writeFile(secret, 'x'.repeat(32));
  const debug = ['--debug-token-file', secret];
  const join = ['--control', `127.0.0.1:${edgePort}`, '--access-log', 'off', '--threads', '1', ...debug];
  const edges = await Promise.all(
    ['fra', 'sin'].map((name) => start(t, [MAIN, 'edge', '--name', name, ...join, ...LOOPBACK], true)),
  );
  const [fra, sin] = await Promise.all(edges.map(async (edge) => (await readyPorts(edge)).port));
  const healthy = async (): Promise<boolean> => {
    const { origins } = JSON.parse((await meridian(['origins', '--json'], { env })).stdout);
    return origins.length === 2 && origins.every((each: { edgesUp: number }) => each.edgesUp === 2);
  };
  await until('both edges found both origins up', healthy);

  const stdin = scenario(`{ fra: "http://127.0.0.1:${fra}", sin: "http://127.0.0.1:${sin}" }`);
  const out = path.join(tempFolder(t), 'results.json');
  const argv = ['simulate', '-f', '-', '--out', out];
  const ended = await meridian(argv, { env, stdin });
  assert.equal(ended.code, 0, ended.stderr);
  assert.match(ended.stdout, /^London {4}GB {7}fra {3}(?:london, sydney|sydney, london) +\d+ +80 +0 /m);
  assert.match(ended.stdout, /^Sydney {4}AU {7}sin {3}sydney +\d+ +80 +0 /m);
  assert.match(ended.stdout, /^together +160 +0 /m);
  assert.match(ended.stderr, /^after 0\.3 s: drain cities\/london: 2 of 2 edges, the last after \d+ ms$/m);
  assert.match(ended.stderr, /^cities\/london is still drained: "meridian undrain cities\/london" gives it back$/m);
  assert.ok(ended.stderr.endsWith(`the results are in ${out}\n`));

  const results = JSON.parse(await readFile(out, 'utf8'));
  assert.equal(results.scenario.clients.London.rate, 40);
  assert.deepEqual(
    results.clients.map((client: { city: string; edge: string; expectedOrigin: string }) => [
      client.city,
      client.edge,
      client.expectedOrigin,
    ]),
    [
      ['London', 'fra', 'london'],
      ['Sydney', 'sin', 'sydney'],
    ],
  );
  assert.deepEqual(results.seconds.length, 2);
  const { hits, requests, origins } = results.clients[0];
  assert.ok(
    hits > 0 && hits < requests && origins.london > 0 && origins.sydney > 0,
    JSON.stringify(results.clients[0]),
  );
  assert.deepEqual(
    results.events.map((event: { what: string; done: boolean }) => [event.what, event.done]),
    [
      ['drain cities/london', true],
      ['purge url http://demo.localhost/a', true],
    ],
  );

  const swapped = scenario(`{ fra: "http://127.0.0.1:${sin}", sin: "http://127.0.0.1:${fra}" }`);
  const elsewhere = await meridian(argv, { env, stdin: swapped });
  assert.equal(elsewhere.code, 1);
  assert.match(elsewhere.stderr, /fra: http:\/\/127\.0\.0\.1:\d+ is where sin answers$/m);

  // Asked from the wrong end of the world, an edge that takes everyone to be where it is chooses another origin.
  await meridian(['undrain', 'cities/london', '--wait'], { env });
  await apply('[]');
  const disbelieved = await meridian([...argv, '--edge', 'fra'], { env, stdin });
  assert.deepEqual([disbelieved.code, disbelieved.stdout], [1, '']);
  assert.match(
    disbelieved.stderr,
    /^meridian: fra does not believe X-Forwarded-For: it sent a client in Sydney \(1\.1\.1\.1\) to london rather than sydney, as if/,
  );
  assert.match(disbelieved.stderr, /"trustedProxies" of the edge/);
  const told = await meridian([...argv, ...debug], { env, stdin });
  assert.match(told.stderr, /^meridian: fra .*: it took a client in London \(81\.2\.69\.142\) to be at 127\.0\.0\.1$/m);
});

/** An admin service whose one edge says that it would answer everyone. */
async function plainAdmin(t: TestContext, more: object = {}): Promise<Readonly<Record<string, string>>> {
  const explanation = Explanation.fromPartial({ edge: 'fra', client: { source: 'database', country: 'GB' }, ...more });
  const address = await fakeAdmin(t, {
    status: () => StatusResponse.fromPartial({ version: { epoch: 1, revision: 2 } }),
    explain: () => ({ explanations: [explanation] }),
  });
  return { MERIDIAN_ADMIN: address };
}

const small = (url: string): string =>
  `duration: 1s\nedges: { fra: "${url}" }\nclients: { London: { addresses: [81.2.69.142], rate: 10 } }\n`;

test('answers that all fail, and origins that do not name themselves, are told', async (t) => {
  const server = createServer((request, response) => {
    // The check before it began came past the cache.
    response.writeHead(request.headers['cache-control'] === undefined ? 503 : 200).end();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const ended = await meridian(['simulate', '-f', '-', '--out', 'none', '--json'], {
    env: await plainAdmin(t),
    stdin: small(`http://127.0.0.1:${port}`),
  });
  assert.equal(ended.code, 1);
  assert.match(ended.stderr, /^fra: answers do not say which origin they are from \(X-Origin\)/);
  assert.match(ended.stderr, /^all requests failed$/m);
  const { total, version } = JSON.parse(ended.stdout);
  assert.deepEqual([total.reasons, version], [{ 'status 503': 10 }, '1.2']);
});

test('an event that fails is told, stops nothing, and makes the exit code 1', async (t) => {
  const server = createServer((_request, response) => response.setHeader('x-origin', 'london').end());
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const ended = await meridian(['simulate', '-f', '-', '--out', 'none'], {
    env: await plainAdmin(t, { ranking: [{ origin: 'london', distanceKm: 3, chosen: true }] }),
    stdin: `${small(`http://127.0.0.1:${port}`)}events: [{ at: 100ms, drain: cities/london }]\n`,
  });
  assert.equal(ended.code, 1);
  assert.match(
    ended.stderr,
    /^after 0\.1 s: drain cities\/london: failed: the control plane at .* does not know this request/m,
  );
  assert.match(ended.stdout, /^London {4}GB {7}fra {3}london {3}3 +10 +0 +0% /m);
});

test('without an edge that can be reached nothing is simulated', async (t) => {
  const env = await plainAdmin(t);
  const ended = await meridian(['simulate', '-f', '-', '--out', 'none'], { env, stdin: small('http://127.0.0.1:1') });
  assert.deepEqual([ended.code, ended.stdout], [1, '']);
  assert.match(
    ended.stderr,
    /^meridian: no edge can be reached: fra at http:\/\/127\.0\.0\.1:1: ECONNREFUSED\. "meridian up"/,
  );
});

test('clients whom no edge would answer are told, each with the reason', async (t) => {
  const env = await plainAdmin(t, { refusalCode: 'unknown-host', refusalDetail: 'no site has this host' });
  const refused = await meridian(['simulate', '-f', '-', '--out', 'none'], { env, stdin: small('http://127.0.0.1:1') });
  assert.equal(refused.stderr, 'meridian: London: fra would refuse (unknown-host): no site has this host\n');
  const local = await meridian(['simulate', '--out', 'none'], { env });
  assert.equal(local.code, 1);
  assert.match(
    local.stderr,
    /^meridian: New York: no edge is both connected and known by a URL; connected: fra; by "edges"/,
  );
});

test('what cannot be meant asks nobody', async (t) => {
  const folder = tempFolder(t);
  const secret = path.join(folder, 'secret');
  await writeFile(secret, 'x'.repeat(32));
  const far = small('http://192.0.2.1');
  const cases: readonly (readonly [readonly string[], number, RegExp])[] = [
    [['now'], 2, /unexpected argument "now"/],
    [['--duration', '1h'], 2, /--duration: expected a duration from 1s to 10m, found "1h"/],
    [['--seed', 'x'], 2, /--seed: expected a whole number from 0/],
    [['--port-base', '80'], 2, /--port-base: expected a port from 1024 to/],
    [['-f', '-', '--port-base', '20000'], 2, /the scenario names its own/],
    [
      ['-f', path.join(folder, 'none.yaml')],
      1,
      /none\.yaml: cannot be read: there is no such file\nnothing was simulated/,
    ],
    [['--out', path.join(folder, 'a/b.json')], 1, /--out: .*b\.json cannot be written \(ENOENT\)/],
    [['--debug-token-file', path.join(folder, 'none')], 1, /--debug-token-file: .* cannot be read \(ENOENT\)/],
    [['-f', '-', '--debug-token-file', secret], 1, /others could read the secret on the way to fra at http:\/\/192/],
  ];
  for (const [argv, code, message] of cases) {
    const ended = await meridian(['simulate', ...argv], { stdin: far });
    assert.deepEqual([ended.code, ended.stdout], [code, ''], argv.join(' '));
    assert.match(ended.stderr, message);
  }
});
