// `meridian get`, `status`, `edges` and `origins`: the same answer for people and for programs.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { status } from '@grpc/grpc-js';
import { parseConfig } from '../../../cli/config/load.ts';
import type { ApplyRequest, EdgeStatus, GetRequest, StatusResponse } from '../../../proto/gen/meridian/v1/admin.ts';
import { HealthStatus } from '../../../proto/gen/meridian/v1/health.ts';
import type { Snapshot } from '../../../proto/gen/meridian/v1/resources.ts';
import { failure, fakeAdmin, meridian } from './harness.ts';

const version = { epoch: 10, revision: 4 };

async function example(): Promise<Snapshot> {
  const bytes = await readFile(new URL('../../../docs/examples/cities.yaml', import.meta.url));
  const loaded = parseConfig([{ file: 'cities.yaml', bytes }], true);
  assert.equal(loaded.kind, 'loaded');
  return { version, ...loaded.resources, drained: [] };
}

test('what get prints, apply sends back unchanged', async (t) => {
  const snapshot = await example();
  let applied: ApplyRequest | undefined;
  const env = {
    MERIDIAN_ADMIN: await fakeAdmin(t, {
      get: () => ({ snapshot }),
      apply(request) {
        applied = request;
        return [{ event: { $case: 'committed', value: { version, changes: [] } } }];
      },
    }),
  };
  const got = await meridian(['get'], { env });
  assert.deepEqual([got.code, got.stderr, got.stdout.split('\n')[0]], [0, '', '# version 10.4']);
  const back = await meridian(['apply', '-f', '-'], { env, stdin: got.stdout });
  assert.deepEqual([back.code, back.stdout], [0, 'nothing to change; the version is 10.4\n']);
  // In JSON a field that is not set is the same as one that is undefined.
  assert.deepEqual(JSON.parse(JSON.stringify(applied?.sites)), snapshot.sites);
  assert.deepEqual(applied?.pools, snapshot.pools);
  assert.deepEqual(applied?.edges, snapshot.edges);
});

test('get asks for a kind and a name, understands plurals, and says what it does not know', async (t) => {
  const requests: GetRequest[] = [];
  const snapshot = await example();
  const get = (request: GetRequest) => {
    requests.push(request);
    return { snapshot: { ...snapshot, sites: [], pools: [], edges: request.name === 'nowhere' ? [] : snapshot.edges } };
  };
  const env = { MERIDIAN_ADMIN: await fakeAdmin(t, { get }) };
  const json = await meridian(['get', 'edges', 'singapore', '--json'], { env });
  assert.deepEqual(Object.keys(JSON.parse(json.stdout)), ['version', 'sites', 'pools', 'edges']);
  assert.deepEqual(JSON.parse(json.stdout).edges.singapore, {
    location: { latitude: 1.35, longitude: 103.82 },
    trustedProxies: [],
  });
  const none = await meridian(['get', 'edge', 'nowhere'], { env });
  assert.deepEqual(none, {
    code: 1,
    stdout: '',
    stderr: 'meridian: there is no edge "nowhere"; "meridian get edge" prints those that there are\n',
  });
  assert.deepEqual(requests, [
    { kind: 'edge', name: 'singapore', version: undefined },
    { kind: 'edge', name: 'nowhere', version: undefined },
  ]);
  const wrong = await meridian(['get', 'pol'], { env });
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /unknown kind of resource "pol": expected site, pool or edge \(did you mean "pool"\?\)/);
});

const statistics = {
  requests: 200,
  hits: 151,
  misses: 49,
  errors: 0,
  cacheObjects: 12,
  cacheBytes: 3_000_000,
  uptimeS: 7300,
  answerMs: 0,
};
const edge = (name: string, parts: Partial<EdgeStatus>): EdgeStatus => ({
  name,
  connected: true,
  applied: version,
  refusedReason: '',
  purgePosition: { epoch: 1, sequence: 5 },
  statistics: undefined,
  lastSeenMsAgo: 1000,
  elsewhere: false,
  ...parts,
});
const STATUS: StatusResponse = {
  version,
  purgePosition: { epoch: 1, sequence: 5 },
  store: 'embedded',
  edges: [
    edge('lon', { statistics }),
    edge('par', { applied: { epoch: 10, revision: 3 }, purgePosition: { epoch: 1, sequence: 4 } }),
    edge('rom', { refusedReason: 'no such pool\u001b[2J' }),
    edge('ber', { connected: false, lastSeenMsAgo: 300_000 }),
    edge('new', { connected: false, applied: undefined, purgePosition: undefined, lastSeenMsAgo: 0 }),
  ],
  origins: [
    { origin: { pool: 'cities', origin: 'london' }, status: HealthStatus.UP, edgesUp: 2, edgesDown: 1 },
    { origin: { pool: 'cities', origin: 'sydney' }, status: HealthStatus.DOWN, edgesUp: 0, edgesDown: 3 },
    { origin: { pool: 'cities', origin: 'lagos' }, status: HealthStatus.UNSPECIFIED, edgesUp: 0, edgesDown: 0 },
  ],
  canary: undefined,
  drained: [],
};

const EDGES = `EDGE  STATE    VERSION  PURGES  REQUESTS  HITS  OBJECTS    CACHE  UP  DETAIL
lon   current  10.4          5       200   75%       12  2.9 MiB  2h
par   behind   10.3          4         -     -        -        -   -  has not confirmed: configuration, purges
rom   refused  10.4          5         -     -        -        -   -  no such pool\\u001b[2J
ber   gone     10.4          5         -     -        -        -   -  last seen 5m ago
new   gone     none          -         -     -        -        -   -  never seen by this control plane
`;
const ORIGINS = `POOL    ORIGIN  HEALTH   EDGES UP  EDGES DOWN
cities  london  up              2           1
cities  sydney  down            0           3
cities  lagos   unknown         0           0
`;

test('status gives the sums and both tables; edges and origins give one', async (t) => {
  const env = { MERIDIAN_ADMIN: await fakeAdmin(t, { status: () => STATUS }) };
  assert.deepEqual(await meridian(['status'], { env }), {
    code: 0,
    stdout:
      'version  10.4 (store: embedded)\npurges   5 purges so far\nedges    3 of 5 connected, 1 up to date\n' +
      `origins  1 of 3 up\n\n${EDGES}\n${ORIGINS}`,
    stderr: '',
  });
  assert.equal((await meridian(['edges'], { env })).stdout, EDGES);
  assert.equal((await meridian(['origins'], { env })).stdout, ORIGINS);
});

test('colours are there when asked for, and do not shift the columns', async (t) => {
  const env = { MERIDIAN_ADMIN: await fakeAdmin(t, { status: () => STATUS }) };
  const { stdout } = await meridian(['edges'], { env, colour: true });
  assert.ok(stdout.includes('\u001b[32mcurrent\u001b[0m'));
  assert.ok(stdout.includes('\u001b[31mgone\u001b[0m'));
  assert.equal(stripVTControlCharacters(stdout), EDGES);
});

test('for programs there is one document', async (t) => {
  const env = { MERIDIAN_ADMIN: await fakeAdmin(t, { status: () => STATUS }) };
  const whole = JSON.parse((await meridian(['status', '--json'], { env })).stdout);
  assert.deepEqual(Object.keys(whole), ['version', 'store', 'purgePosition', 'canary', 'drained', 'edges', 'origins']);
  assert.deepEqual(whole.edges[0], {
    name: 'lon',
    state: 'current',
    connected: true,
    version: '10.4',
    refusedReason: null,
    purgePosition: { epoch: 1, sequence: 5 },
    statistics,
    lastSeenMsAgo: 1000,
    elsewhere: false,
  });
  assert.deepEqual(
    whole.edges.map(({ state }: { state: string }) => state),
    ['current', 'behind', 'refused', 'gone', 'gone'],
  );
  assert.deepEqual(JSON.parse((await meridian(['edges', '--json'], { env })).stdout), { edges: whole.edges });
  assert.deepEqual(JSON.parse((await meridian(['origins', '--json'], { env })).stdout), {
    origins: [
      { pool: 'cities', origin: 'london', health: 'up', edgesUp: 2, edgesDown: 1 },
      { pool: 'cities', origin: 'sydney', health: 'down', edgesUp: 0, edgesDown: 3 },
      { pool: 'cities', origin: 'lagos', health: 'unknown', edgesUp: 0, edgesDown: 0 },
    ],
  });
});

test('an empty installation says how to go on', async (t) => {
  const nothing = { ...STATUS, edges: [], origins: [] };
  const env = { MERIDIAN_ADMIN: await fakeAdmin(t, { status: () => nothing }) };
  assert.match((await meridian(['edges'], { env })).stdout, /^no edge is declared; add one under "edges"/);
  assert.match((await meridian(['origins'], { env })).stdout, /^no origin has been measured/);
});

const READING = [
  ['get'],
  ['status'],
  ['edges'],
  ['origins'],
  ['explain', 'http://a/', '--ip', '::1'],
  ['purge', 'all'],
];

test('a control plane that cannot be reached is named, with what to do: exit code 1', async () => {
  for (const argv of READING) {
    const ended = await meridian([...argv, '--control-plane', '127.0.0.1:1']);
    assert.deepEqual([ended.code, ended.stdout], [1, ''], argv.join(' '));
    assert.match(
      ended.stderr,
      /^meridian: the control plane at 127\.0\.0\.1:1 cannot be reached \(connection refused\)\. Is it running\? "meridian up" .*--control-plane HOST:PORT names another\.\n$/,
    );
  }
});

test('each error of a control plane becomes a sentence without a stack trace', async (t) => {
  const cases: readonly (readonly [status, RegExp])[] = [
    [status.DEADLINE_EXCEEDED, /did not answer in time/],
    [status.UNIMPLEMENTED, /of another version than this command/],
    [status.RESOURCE_EXHAUSTED, /^meridian: a bound was reached: because/],
    [status.CANCELLED, /broke the request off: because/],
    [status.NOT_FOUND, /^meridian: because$/m],
    [status.INTERNAL, /failed: because\. Its log says more\./],
    [status.UNKNOWN, /failed: because/],
  ];
  for (const [code, message] of cases) {
    const address = await fakeAdmin(t, { status: () => failure(code, 'because') });
    const ended = await meridian(['status', '--control-plane', address]);
    assert.equal(ended.code, 1);
    assert.match(ended.stderr, message);
    assert.doesNotMatch(ended.stderr, /^ +at /m);
    const debug = await meridian(['status', '--control-plane', address], { env: { MERIDIAN_DEBUG: '1' } });
    assert.match(debug.stderr, /^ +at /m);
  }
});
