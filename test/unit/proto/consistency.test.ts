// What a set of resources must be before anyone sees it: for each rule one way to break it, and exactly where that is said.
import assert from 'node:assert/strict';
import { isIPv6 } from 'node:net';
import { test } from 'node:test';
import { seededRandom } from '../../../infra/runtime/random.ts';
import { checkConsistency, isCidr, type Resources } from '../../../proto/consistency.ts';
import type { Edge, Origin, Pool, Route, Site } from '../../../proto/gen/meridian/v1/resources.ts';
import { LIMITS } from '../../../proto/limits.ts';
import { formatProblem } from '../../../proto/problems.ts';

const LONDON = { latitude: 51.5, longitude: -0.1 };
const ROUTE: Route = { pathPrefix: '/', pool: 'cities', cache: { enabled: true, defaultTtlMs: 0 } };
const SITE: Site = { name: 'demo', hostnames: ['demo.example'], routes: [ROUTE] };
const ORIGIN: Origin = { name: 'london', address: 'http://127.0.0.1:9000', location: LONDON, weight: 100 };
const HEALTH_CHECK = { path: '/health', intervalMs: 1_000, timeoutMs: 500, unhealthyThreshold: 2, healthyThreshold: 2 };
const TIMEOUTS = { connectMs: 1_000, headMs: 1_000, bodyMs: 1_000 };
const POOL: Pool = { name: 'cities', origins: [ORIGIN], healthCheck: HEALTH_CHECK, timeouts: TIMEOUTS };
const EDGE: Edge = { name: 'edge-1', location: LONDON, trustedProxies: ['10.0.0.0/8', 'fd00::/8'] };
const SOUND: Resources = { sites: [SITE], pools: [POOL], edges: [EDGE] };

/** Every problem, as an operator reads it. */
function problems(change: Partial<Resources>): string[] {
  return checkConsistency({ ...SOUND, ...change }).map(formatProblem);
}

function ofSite(change: Partial<Site>): string[] {
  return problems({ sites: [{ ...SITE, ...change }] });
}

function ofRoute(change: Partial<Route>): string[] {
  return ofSite({ routes: [{ ...ROUTE, ...change }] });
}

function ofPool(change: Partial<Pool>): string[] {
  return problems({ pools: [{ ...POOL, ...change }] });
}

function ofOrigin(change: Partial<Origin>): string[] {
  return ofPool({ origins: [{ ...ORIGIN, ...change }] });
}

function ofEdge(change: Partial<Edge>): string[] {
  return problems({ edges: [{ ...EDGE, ...change }] });
}

function assertEach<T>(cases: readonly (readonly [T, string])[], check: (value: T) => string[]): void {
  for (const [value, expected] of cases) assert.deepEqual(check(value), [expected]);
}

const NAME_RULE = 'expected 1 to 63 lower-case letters, digits and inner hyphens';

test('a sound set has no problem, and neither has an empty one', () => {
  assert.deepEqual(checkConsistency(SOUND), []);
  assert.deepEqual(checkConsistency({ sites: [], pools: [], edges: [] }), []);
});

test('a problem says of which resource it is and where in it', () => {
  assert.deepEqual(checkConsistency({ ...SOUND, pools: [] }), [
    { kind: 'site', name: 'demo', path: ['routes', 0, 'pool'], message: 'there is no pool "cities"' },
  ]);
});

test('names are short, of lower-case letters, digits and inner hyphens', () => {
  const long = 'a'.repeat(64);
  for (const name of ['', 'Demo', '-a', 'a-', 'a.b', 'a_b', 'é', 'a\n', long]) {
    assert.deepEqual(ofSite({ name }), [`site "${name}": "${name}" is not a name: ${NAME_RULE}`]);
    assert.deepEqual(ofEdge({ name }), [`edge "${name}": "${name}" is not a name: ${NAME_RULE}`]);
    assert.deepEqual(ofOrigin({ name }), [`pool "cities", origins[0].name: "${name}" is not a name: ${NAME_RULE}`]);
  }
  assert.deepEqual(ofEdge({ name: 'a'.repeat(63) }), []);
});

test('two resources of one kind do not share a name', () => {
  assert.deepEqual(problems({ edges: [EDGE, EDGE] }), ['edge "edge-1": there are two edges of this name']);
  assert.deepEqual(problems({ pools: [POOL, POOL] }), ['pool "cities": there are two pools of this name']);
  const other = { ...SITE, hostnames: ['other.example'] };
  assert.deepEqual(problems({ sites: [SITE, other] }), ['site "demo": there are two sites of this name']);
  assert.deepEqual(ofPool({ origins: [ORIGIN, ORIGIN] }), [
    'pool "cities", origins[1].name: there are two origins "london"',
  ]);
});

test('a site has hostnames in their canonical form, a wildcard only as the first label', () => {
  assert.deepEqual(ofSite({ hostnames: ['demo.example', '*.demo.example', '127.0.0.1', '[::1]'] }), []);
  assert.deepEqual(ofSite({ hostnames: [] }), ['site "demo", hostnames: a site needs at least one hostname']);
  assertEach(
    [
      ['a..b', 'site "demo", hostnames[0]: "a..b" is not a hostname or an address'],
      ['*', 'site "demo", hostnames[0]: "*" is not a hostname or an address'],
      ['*.', 'site "demo", hostnames[0]: "" is not a hostname or an address'],
      ['a.*.b', 'site "demo", hostnames[0]: "a.*.b" is not a hostname or an address'],
      ['*.*.b', 'site "demo", hostnames[0]: "*.b" is not a hostname or an address'],
      ['demo.example:80', 'site "demo", hostnames[0]: a hostname is given without a port'],
      ['Demo.example', 'site "demo", hostnames[0]: expected the lower-case form "demo.example"'],
      ['demo.example.', 'site "demo", hostnames[0]: expected the lower-case form "demo.example"'],
      ['*.Demo.example', 'site "demo", hostnames[0]: expected the lower-case form "demo.example"'],
    ],
    (hostname) => ofSite({ hostnames: [hostname] }),
  );
});

test('a hostname belongs to one site', () => {
  const second = { ...SITE, name: 'second', hostnames: ['second.example', 'demo.example'] };
  assert.deepEqual(problems({ sites: [SITE, second] }), [
    'site "second", hostnames[1]: "demo.example" is also a hostname of site "demo"',
  ]);
  assert.deepEqual(problems({ sites: [SITE, { ...second, hostnames: ['*.demo.example'] }] }), []);
});

test('a site has routes, each for its own canonical path', () => {
  assert.deepEqual(ofSite({ routes: [] }), ['site "demo", routes: a site needs at least one route']);
  assert.deepEqual(ofSite({ routes: [ROUTE, ROUTE] }), [
    'site "demo", routes[1].path_prefix: there are two routes for "/"',
  ]);
  const where = 'site "demo", routes[0].path_prefix:';
  const canonical = 'expected a canonical path without a query, such as';
  const unseen = 'routing does not see "//" and ";": the route would never be taken';
  assertEach(
    [
      ['', `${where} the path does not start with "/"`],
      ['a', `${where} the path does not start with "/"`],
      ['/a b', `${where} the URL has a character that must be percent-encoded`],
      ['/a/../b', `${where} ${canonical} "/b"`],
      ['/%61', `${where} ${canonical} "/a"`],
      ['/a?b', `${where} ${canonical} "/a"`],
      ['/a//b', `${where} ${unseen}`],
      ['/a;b', `${where} ${unseen}`],
      [`/${'a'.repeat(LIMITS.pathLength)}`, `${where} longer than 8000 characters`],
    ],
    (pathPrefix) => ofRoute({ pathPrefix }),
  );
});

test('a route names a pool that exists and has a cache policy', () => {
  assert.deepEqual(ofRoute({ pool: 'towns' }), ['site "demo", routes[0].pool: there is no pool "towns"']);
  assert.deepEqual(ofRoute({ cache: undefined }), ['site "demo", routes[0].cache: a cache policy is missing']);
});

test('a pool has origins, a health check and timeouts', () => {
  assert.deepEqual(ofPool({ origins: [] }), ['pool "cities", origins: a pool needs at least one origin']);
  assert.deepEqual(ofPool({ healthCheck: undefined }), ['pool "cities", health_check: a health check is missing']);
  assert.deepEqual(ofPool({ timeouts: undefined }), ['pool "cities", timeouts: timeouts are missing']);
});

test('an origin has an address without a path, a place and a weight', () => {
  for (const address of ['http://a', 'https://a:1', 'http://[::1]:80']) assert.deepEqual(ofOrigin({ address }), []);
  for (const address of ['', 'a:80', 'ftp://a', 'http://', 'http://a/', 'http://a:0', 'http://a?b', 'http://u@a:1']) {
    assert.deepEqual(ofOrigin({ address }), [
      `pool "cities", origins[0].address: "${address}" is not http://HOST:PORT or https://HOST:PORT`,
    ]);
  }
  assert.deepEqual(ofOrigin({ location: undefined }), ['pool "cities", origins[0].location: a location is missing']);
  assert.deepEqual(ofOrigin({ location: { latitude: 91, longitude: 0 } }), [
    'pool "cities", origins[0].location.latitude: expected -90..90, found 91',
  ]);
  assert.deepEqual(ofOrigin({ weight: 1_001 }), ['pool "cities", origins[0].weight: expected 0..1000, found 1001']);
  for (const weight of [0, 1_000]) assert.deepEqual(ofOrigin({ weight }), []);
});

test('health checks and timeouts keep within their ranges', () => {
  const healthCheck = (change: Partial<typeof HEALTH_CHECK>) => ofPool({ healthCheck: { ...HEALTH_CHECK, ...change } });
  const timeouts = (change: Partial<typeof TIMEOUTS>) => ofPool({ timeouts: { ...TIMEOUTS, ...change } });
  const check = 'pool "cities", health_check';
  assert.deepEqual(healthCheck({ path: 'health' }), [`${check}.path: the path does not start with "/"`]);
  assert.deepEqual(healthCheck({ intervalMs: 99 }), [`${check}.interval_ms: expected 100..3600000, found 99`]);
  assert.deepEqual(healthCheck({ timeoutMs: 600_001 }), [`${check}.timeout_ms: expected 10..600000, found 600001`]);
  assert.deepEqual(healthCheck({ unhealthyThreshold: 0 }), [`${check}.unhealthy_threshold: expected 1..100, found 0`]);
  assert.deepEqual(healthCheck({ healthyThreshold: 101 }), [`${check}.healthy_threshold: expected 1..100, found 101`]);
  const waits = 'pool "cities", timeouts';
  assert.deepEqual(timeouts({ connectMs: 0 }), [`${waits}.connect_ms: expected 10..600000, found 0`]);
  assert.deepEqual(timeouts({ headMs: Number.NaN }), [`${waits}.head_ms: expected 10..600000, found NaN`]);
  assert.deepEqual(timeouts({ bodyMs: 9 }), [`${waits}.body_ms: expected 10..600000, found 9`]);
});

test('an edge has a place on Earth and trusts blocks of addresses', () => {
  assert.deepEqual(ofEdge({ location: undefined }), ['edge "edge-1", location: a location is missing']);
  assert.deepEqual(ofEdge({ location: { latitude: -90.1, longitude: 180.1 } }), [
    'edge "edge-1", location.latitude: expected -90..90, found -90.1',
    'edge "edge-1", location.longitude: expected -180..180, found 180.1',
  ]);
  assert.deepEqual(ofEdge({ location: { latitude: Number.NaN, longitude: 180 } }), [
    'edge "edge-1", location.latitude: expected -90..90, found NaN',
  ]);
  assert.deepEqual(ofEdge({ trustedProxies: ['10.0.0.0/8', '10.0.0.1'] }), [
    'edge "edge-1", trusted_proxies[1]: "10.0.0.1" is not a CIDR block such as 10.0.0.0/8 or fd00::/8',
  ]);
});

test('a CIDR block is an address and a length that fits it', () => {
  for (const block of ['0.0.0.0/0', '1.2.3.4/32', '::/0', '::1/128', '2001:db8::/32', '::ffff:1.2.3.4/96']) {
    assert.equal(isCidr(block), true, block);
  }
  const broken = [
    '',
    '/8',
    '1.2.3/8',
    '1.2.3.4/33',
    '1.2.3.4/',
    '1.2.3.4/-1',
    '01.2.3.4/8',
    '1.2.3.256/8',
    '1.2.3.4.5/8',
  ];
  for (const block of [
    ...broken,
    '::/129',
    ':::/8',
    '1::2::3/8',
    'g::/8',
    '12345::/8',
    '1:2:3/8',
    '1.2.3.4::/8',
    '::/1 ',
  ]) {
    assert.equal(isCidr(block), false, block);
  }
});

test('an IPv6 block is one exactly when Node takes its address for one', () => {
  const random = seededRandom(4291);
  const pieces = ['::', ':', ':', 'a', '1', 'ffff', '0', '12345', '1.2.3.4', '1.2.3', '::', '1:2:3:4:5:6', ':7:8'];
  let sound = 0;
  for (let round = 0; round < 20_000; round += 1) {
    let address = ':';
    for (let left = Math.floor(random.next() * 8); left > 0; left -= 1) {
      address += pieces[Math.floor(random.next() * pieces.length)] ?? '';
    }
    address = random.next() < 0.7 ? address.slice(1) : address;
    if (!address.includes(':')) continue;
    assert.equal(isCidr(`${address}/64`), isIPv6(address), address);
    sound += Number(isIPv6(address));
  }
  assert.ok(sound > 1_000, `only ${sound} sound addresses were tried`);
});

test('there are bounds on how many there may be of everything', () => {
  const many = <T>(count: number, make: (index: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i));
  assert.deepEqual(problems({ edges: many(LIMITS.edges + 1, (i) => ({ ...EDGE, name: `e${i}` })) }), [
    'edge "e5000": there are more than 5000 edges',
  ]);
  const pools = many(LIMITS.pools + 1, (i) => ({ ...POOL, name: i === 0 ? 'cities' : `p${i}` }));
  assert.deepEqual(problems({ pools }), ['pool "p1000": there are more than 1000 pools']);
  const sites = many(LIMITS.sites + 1, (i) => ({ ...SITE, name: `s${i}`, hostnames: [`s${i}.example`] }));
  assert.deepEqual(problems({ sites }), ['site "s1000": there are more than 1000 sites']);
  assert.deepEqual(ofSite({ hostnames: many(LIMITS.hostnamesPerSite + 1, (i) => `h${i}.example`) }), [
    'site "demo", hostnames: more than 100 hostnames',
  ]);
  assert.deepEqual(ofSite({ routes: many(LIMITS.routes + 1, (i) => ({ ...ROUTE, pathPrefix: `/${i}` })) }), [
    'site "demo", routes: more than 20000 routes in all',
  ]);
  assert.deepEqual(ofPool({ origins: many(LIMITS.originsPerPool + 1, (i) => ({ ...ORIGIN, name: `o${i}` })) }), [
    'pool "cities", origins: more than 100 origins',
  ]);
  assert.deepEqual(ofEdge({ trustedProxies: many(LIMITS.trustedProxiesPerEdge + 1, () => '10.0.0.0/8') }), [
    'edge "edge-1", trusted_proxies: more than 100 blocks',
  ]);
});

test('every problem is told at once, up to a bound', () => {
  assert.equal(ofSite({ name: 'A', hostnames: ['a b'], routes: [] }).length, 3);
  const broken = Array.from({ length: 100 }, (_, i) => ({ ...EDGE, name: `E${i}` }));
  assert.equal(problems({ edges: broken }).length, LIMITS.problems);
});
