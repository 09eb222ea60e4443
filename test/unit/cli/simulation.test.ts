// The pure parts of a simulation: who asks when for what, what an answer says, what is counted, and what is printed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stylesFor } from '../../../cli/output/table.ts';
import { leftDrained } from '../../../cli/simulation/acts.ts';
import { readAnswer } from '../../../cli/simulation/answer.ts';
import { DEMO } from '../../../cli/simulation/demo.ts';
import { LatencyHistogram } from '../../../cli/simulation/histogram.ts';
import { type Checked, judge, type Placement, place } from '../../../cli/simulation/placing.ts';
import { results, resultTable } from '../../../cli/simulation/report.ts';
import type { Scenario } from '../../../cli/simulation/scenario.ts';
import { type Planned, schedule, Zipf } from '../../../cli/simulation/schedule.ts';
import { Statistics, Tally } from '../../../cli/simulation/statistics.ts';
import { seededRandom } from '../../../infra/runtime/random.ts';
import { Explanation } from '../../../proto/gen/meridian/v1/explain.ts';

const SCENARIO: Scenario = {
  ...DEMO,
  durationMs: 2000,
  clients: [
    { name: 'Lagos', addresses: ['41.203.64.1', '2c0f:f5c0::1'], rate: 10 },
    { name: 'London', addresses: ['81.2.69.142'], rate: 2.5 },
  ],
};

test('requests fall due in order, evenly spaced for each client, until the end', () => {
  const planned = [...schedule(SCENARIO)];
  const times = planned.map(({ atMs }) => atMs);
  assert.deepEqual(
    times,
    times.toSorted((a, b) => a - b),
  );
  const of = (client: number): Planned[] => planned.filter((request) => request.client === client);
  assert.deepEqual([of(0).length, of(1).length], [20, 5]);
  const [first, second] = of(1);
  assert.ok(first && second && first.atMs < 400 && Math.abs(second.atMs - first.atMs - 400) < 1e-6);
  assert.ok(times.every((at) => at >= 0 && at < 2000));
  assert.deepEqual(new Set(of(0).map(({ address }) => address)), new Set([0, 1]), 'from each of its addresses');
});

test('the same seed gives the same requests, another one others', () => {
  assert.deepEqual([...schedule(SCENARIO)], [...schedule(SCENARIO)]);
  assert.notDeepEqual([...schedule({ ...SCENARIO, seed: 2 })], [...schedule(SCENARIO)]);
  const [lagos, london] = [0, 1].map((client) =>
    [...schedule(SCENARIO)].filter((request) => request.client === client).map(({ path }) => path),
  );
  assert.notDeepEqual(lagos?.slice(0, 5), london, 'clients do not draw alike');
});

test('a list of paths is asked for as it is', () => {
  const paths = { ...SCENARIO.paths, list: ['/a', '/b'] };
  const asked = new Set([...schedule({ ...SCENARIO, paths })].map(({ path }) => path));
  assert.deepEqual([...asked].toSorted(), ['/a', '/b']);
});

test('popularity falls as 1 / rank ^ exponent', () => {
  const random = seededRandom(3);
  const count = (exponent: number): number[] => {
    const zipf = new Zipf(10, exponent);
    const drawn = Array.from({ length: 10 }, () => 0);
    for (let i = 0; i < 20_000; i += 1) {
      const rank = zipf.rank(random.next());
      drawn[rank] = (drawn[rank] ?? 0) + 1;
    }
    return drawn;
  };
  const [first = 0, second = 0, , fourth = 0] = count(1);
  assert.ok(Math.abs(first / second - 2) < 0.2 && Math.abs(first / fourth - 4) < 0.5, `${first} ${second} ${fourth}`);
  for (const times of count(0)) assert.ok(Math.abs(times - 2000) < 200, 'with 0 all alike');
  assert.equal(new Zipf(10, 1).rank(0), 0);
  assert.equal(new Zipf(10, 1).rank(1 - 2 ** -32), 9);
  assert.equal(new Zipf(1, 5).rank(0.5), 0);
});

const answer = (cacheStatus: string, more: Record<string, string> = {}, status = 200) =>
  readAnswer(
    { status, fields: { 'cache-status': cacheStatus, 'x-origin': 'lagos', ...more }, elapsedMs: 1 },
    'x-origin',
  );

test('an answer tells whether the cache answered, and which origin when it did not', () => {
  const nothing = { failure: undefined, client: undefined, edge: 'fra' };
  assert.deepEqual(answer('meridian-fra; hit; ttl=3'), { ...nothing, hit: true, origin: undefined });
  assert.deepEqual(answer('meridian-fra; fwd=uri-miss; stored'), { ...nothing, hit: false, origin: 'lagos' });
  assert.equal(answer('meridian-fra; fwd=uri-miss; collapsed').origin, undefined, "another's way");
  assert.equal(
    answer('origin-cache; hit, meridian-fra; fwd=miss').hit,
    false,
    'the last is the one nearest to the client',
  );
  assert.equal(answer('meridian-fra; hit; key="a, b"').hit, true);
  assert.deepEqual(answer('meridian-fra; hit', {}, 404), {
    ...nothing,
    failure: 'status 404',
    hit: false,
    origin: undefined,
  });
  const bare = readAnswer({ status: 200, fields: {}, elapsedMs: 1 }, 'x-origin');
  assert.deepEqual([bare.origin, bare.edge], [undefined, undefined]);
  assert.equal(answer('meridian-fra; hit, ExampleCDN; fwd=miss').edge, undefined, 'something stands before the edge');
});

test("the edge's own word counts more than the origin's", () => {
  const debug =
    'edge="fra", client="1.1.1.1", key="http://a/b, c=\\"d\\"", initial-age=0.1, origin="sydney", attempts=1';
  const read = answer('meridian-fra; fwd=miss', { 'meridian-debug': debug });
  assert.deepEqual([read.origin, read.client], ['sydney', '1.1.1.1']);
  assert.equal(answer('meridian-fra; hit', { 'meridian-debug': 'edge="fra", outcome="hit"' }).origin, undefined);
});

test('a percentile is right to within 2%', () => {
  const random = seededRandom(5);
  const histogram = new LatencyHistogram();
  assert.equal(histogram.quantile(0.5), undefined);
  const all = Array.from({ length: 5000 }, () => 0.1 + 500 * random.next() ** 4);
  for (const ms of all) histogram.add(ms);
  const sorted = all.toSorted((a, b) => a - b);
  for (const share of [0.01, 0.5, 0.9, 0.99, 1]) {
    const exact = sorted[Math.ceil(share * sorted.length) - 1] ?? 0;
    const found = histogram.quantile(share) ?? 0;
    assert.ok(Math.abs(found - exact) <= 0.02 * exact, `${share}: ${found}, not ${exact}`);
  }
  histogram.add(0);
  assert.ok((histogram.quantile(0) ?? 1) <= 0.01);
});

test('names that answers bring are bounded', () => {
  const tally = new Tally();
  for (let i = 0; i < 1000; i += 1) tally.add({ kind: 'failed', reason: `reason ${i}` });
  assert.equal(tally.reasons.size, 65);
  assert.equal(tally.reasons.get('(other)'), 936);
});

const EDGES = [
  { name: 'fra', url: 'http://127.0.0.1:1' },
  { name: 'sin', url: 'http://127.0.0.1:2' },
];
const explained = (edge: string, km: number, chosen: string, more: object = {}): Explanation =>
  Explanation.fromPartial({
    edge,
    client: {
      source: 'database',
      city: 'Lagos',
      country: 'NG',
      location: { latitude: 6.5, longitude: 3.4 },
      distanceToEdgeKm: km,
    },
    ranking: ['london', 'lagos'].map((origin) => ({
      origin,
      distanceKm: origin === 'lagos' ? 10 : 5000,
      chosen: origin === chosen,
    })),
    ...more,
  });
const [LAGOS = { name: '', addresses: [], rate: 1 }] = SCENARIO.clients;

test('a client asks the nearest edge that has a URL, or the one that is pinned', () => {
  const both = [explained('par', 100, 'lagos'), explained('fra', 4800, 'lagos'), explained('sin', 11_000, 'lagos')];
  const placed = place(LAGOS, [both, both], EDGES);
  assert.equal(placed.kind, 'placed');
  const { edge, country, expected, origins, doubts, distanceToEdgeKm } = placed.placement;
  assert.deepEqual([edge.name, country, expected, distanceToEdgeKm, doubts], ['fra', 'NG', 'lagos', 4800, []]);
  assert.deepEqual(
    [...origins],
    [
      ['london', 5000],
      ['lagos', 10],
    ],
  );
  const pinned = place({ ...LAGOS, edge: 'sin' }, [both], EDGES);
  assert.equal(pinned.kind === 'placed' && pinned.placement.edge.name, 'sin');
});

test('why a client cannot ask is said', () => {
  const reason = (client: typeof LAGOS, one: readonly Explanation[]): string => {
    const placing = place(client, [one], EDGES);
    return placing.kind === 'impossible' ? placing.reason : '';
  };
  assert.equal(
    reason(LAGOS, [explained('par', 1, 'lagos')]),
    'Lagos: no edge is both connected and known by a URL; connected: par; by "edges" of the scenario: fra, sin',
  );
  assert.match(reason({ ...LAGOS, edge: 'sin' }, [explained('fra', 1, 'lagos')]), /^Lagos: the edge "sin" is not both/);
  const refusal = { refusalCode: 'unknown-host', refusalDetail: 'no site has it' };
  assert.equal(
    reason(LAGOS, [explained('fra', 1, 'lagos', refusal)]),
    'Lagos: fra would refuse (unknown-host): no site has it',
  );
});

test('an address that is not where its city is, is doubted', () => {
  const far = { source: 'database', city: 'Sydney', location: { latitude: -33.9, longitude: 151.2 } };
  const home = explained('fra', 1, 'lagos');
  const placed = place(LAGOS, [[home], [explained('fra', 1, 'lagos', { client: far })]], EDGES);
  assert.deepEqual(placed.kind === 'placed' && placed.placement.doubts, [
    'Lagos: 2c0f:f5c0::1 is located in Sydney, 15517 km from 41.203.64.1',
  ]);
  const unknown = place(LAGOS, [[explained('fra', 1, 'lagos', { client: { source: 'not-in-database' } })]], EDGES);
  assert.match(
    unknown.kind === 'placed' ? (unknown.placement.doubts[0] ?? '') : '',
    /is not located \(not-in-database\)/,
  );
});

const LAGOS_AT_FRA: Placement = {
  client: LAGOS,
  edge: { name: 'fra', url: 'http://127.0.0.1:1' },
  country: 'NG',
  location: undefined,
  distanceToEdgeKm: 4800,
  origins: new Map([['lagos', 10.4]]),
  expected: 'lagos',
  doubts: [],
};

test('an edge that sends everyone where it would send itself does not believe who they are', () => {
  const at = (origin: string | undefined, expected = 'lagos', client?: string): Checked => ({
    placement: { ...LAGOS_AT_FRA, expected },
    reading: { failure: undefined, hit: false, origin, client, edge: 'fra' },
  });
  assert.equal(judge([at('lagos')], 'london').kind, 'believed');
  assert.equal(judge([at('london', 'london')], 'london').kind, 'no-difference');
  assert.equal(judge([at(undefined)], 'london').kind, 'unknown');
  assert.equal(judge([at('sydney')], 'london').kind, 'surprised');
  assert.equal(
    judge([at('london'), at('lagos')], 'london').kind,
    'surprised',
    'an origin that failed just then is no proof',
  );
  assert.deepEqual(judge([at('london', 'london'), at('london')], 'london'), {
    kind: 'refused',
    evidence: 'it sent a client in Lagos (41.203.64.1) to london rather than lagos, as if the client were at the edge',
  });
  assert.equal(judge([at('london', 'lagos', '41.203.64.1')], 'london').kind, 'believed', 'it says so itself');
  assert.deepEqual(
    judge([{ ...at('lagos'), placement: { ...LAGOS_AT_FRA, edge: EDGES[1] ?? LAGOS_AT_FRA.edge } }], 'london'),
    {
      kind: 'elsewhere',
      evidence: 'http://127.0.0.1:2 is where fra answers',
    },
  );
  assert.deepEqual(judge([at('lagos', 'lagos', '127.0.0.1')], 'london'), {
    kind: 'refused',
    evidence: 'it took a client in Lagos (41.203.64.1) to be at 127.0.0.1',
  });
});

test('an origin that was drained and not given back is named', () => {
  const done = (what: string, worked = true) => ({ what, done: worked });
  assert.deepEqual(leftDrained([done('drain a/b'), done('drain a/c'), done('undrain a/b'), done('purge all')]), [
    'a/c',
  ]);
  assert.deepEqual(leftDrained([done('drain a/b', false)]), []);
});

test('the table names who answered, how far away, what failed first', () => {
  const statistics = new Statistics(2);
  for (let i = 0; i < 4; i += 1) {
    statistics.add(0, i * 100, { kind: 'answered', hit: i > 0, origin: i > 0 ? undefined : 'lagos', elapsedMs: 2 });
  }
  statistics.add(1, 1500, { kind: 'failed', reason: 'status 502' });
  statistics.add(1, 1200, { kind: 'failed', reason: 'ECONNREFUSED' });
  statistics.add(1, 1600, { kind: 'failed', reason: 'status 502' });
  statistics.add(1, 1700, { kind: 'unsent' });
  const london = {
    ...LAGOS_AT_FRA,
    client: { name: 'London', addresses: [], rate: 1 },
    country: 'GB',
    expected: 'london',
  };
  const found = {
    scenario: {},
    placements: [LAGOS_AT_FRA, london],
    ran: { statistics, events: [], elapsedMs: 2000, interrupted: false },
    startedAt: 0,
    version: '1.2',
    warnings: [],
  };
  assert.equal(
    resultTable(found, stylesFor({ colour: false })),
    `CITY      COUNTRY  EDGE  ORIGIN    KM  REQUESTS  ERRORS  HITS  P50 MS  P99 MS
Lagos     NG       fra   lagos     10         4       0   75%     2.0     2.0
London    GB       fra   (london)   -         4       3     -       -       -
together                                      8       3   75%     2.0     2.0

8 requests in 2.0 s, 4 a second
3 errors: 2 × status 502, 1 × ECONNREFUSED; the first after 1.2 s, London at fra: ECONNREFUSED
1 request not sent: all "connections" of the client were in use
`,
  );
  const plain = JSON.parse(JSON.stringify(results(found)));
  assert.deepEqual(plain.firstFailure, { atMs: 1200, client: 'London', reason: 'ECONNREFUSED' });
  assert.deepEqual([plain.startedAt, plain.version, plain.elapsedMs], ['1970-01-01T00:00:00.000Z', '1.2', 2000]);
  assert.deepEqual(
    plain.seconds.map((second: { requests: number; errors: number }) => [second.requests, second.errors]),
    [
      [4, 0],
      [4, 3],
    ],
  );
  assert.deepEqual(plain.seconds[0].clients.Lagos.origins, { lagos: 1 });
  assert.deepEqual([plain.clients[0].hitRatio, plain.clients[1].p50Ms], [0.75, null]);
});
