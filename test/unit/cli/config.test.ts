// What a configuration file means, and what is said where about one that means nothing.
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { MAX_FILE_BYTES } from '../../../cli/config/documents.ts';
import { type Loaded, loadConfig, parseConfig } from '../../../cli/config/load.ts';
import { formatFileProblem } from '../../../cli/config/place.ts';
import { toPlain, toYaml } from '../../../cli/config/print.ts';
import type { Declared } from '../../../cli/config/schema.ts';
import { checkConsistency } from '../../../proto/consistency.ts';

const EXAMPLES = new URL('../../../docs/examples/', import.meta.url);

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const parse = (text: string, complete = false): Loaded =>
  parseConfig([{ file: 'a.yaml', bytes: bytes(text) }], complete);

function resources(loaded: Loaded): Declared {
  assert.equal(
    loaded.kind,
    'loaded',
    loaded.kind === 'problems' ? loaded.problems.map(formatFileProblem).join('\n') : '',
  );
  return loaded.resources;
}

function problems(loaded: Loaded): string[] {
  assert.equal(loaded.kind, 'problems');
  return loaded.problems.map(formatFileProblem);
}

const POOL = `pools:
  cities:
    origins:
      london: { address: "http://127.0.0.1:9001", location: { latitude: 51.5, longitude: -0.12 } }
`;

test('a pool of one origin gets every default', () => {
  assert.deepEqual(resources(parse(POOL)), {
    sites: [],
    pools: [
      {
        name: 'cities',
        origins: [
          {
            name: 'london',
            address: 'http://127.0.0.1:9001',
            location: { latitude: 51.5, longitude: -0.12 },
            weight: 100,
          },
        ],
        healthCheck: {
          path: '/healthz',
          intervalMs: 2000,
          timeoutMs: 1000,
          unhealthyThreshold: 3,
          healthyThreshold: 2,
        },
        timeouts: { connectMs: 2000, headMs: 30_000, bodyMs: 30_000 },
      },
    ],
    edges: [],
  });
});

test('what is written replaces the defaults, each by itself', () => {
  const text = `${POOL}    healthCheck: { interval: 250ms, healthyThreshold: 1 }
    timeouts: { head: 1m }
sites:
  demo:
    hostnames: [demo.localhost, 127.0.0.1]
    routes:
      - { path: /, pool: cities }
      - { path: /api, pool: cities, cache: { enabled: false } }
      - { path: /img, pool: cities, cache: { defaultTtl: 1h } }
edges:
  lon: { location: { latitude: 51, longitude: 0 }, trustedProxies: [127.0.0.0/8] }
`;
  const { sites, pools, edges } = resources(parse(text));
  assert.equal(pools[0]?.healthCheck?.intervalMs, 250);
  assert.equal(pools[0]?.healthCheck?.timeoutMs, 1000);
  assert.equal(pools[0]?.timeouts?.headMs, 60_000);
  assert.deepEqual(sites[0]?.routes, [
    { pathPrefix: '/', pool: 'cities', cache: { enabled: true, defaultTtlMs: 0 } },
    { pathPrefix: '/api', pool: 'cities', cache: { enabled: false, defaultTtlMs: 0 } },
    { pathPrefix: '/img', pool: 'cities', cache: { enabled: true, defaultTtlMs: 3_600_000 } },
  ]);
  assert.deepEqual(edges, [{ name: 'lon', location: { latitude: 51, longitude: 0 }, trustedProxies: ['127.0.0.0/8'] }]);
});

const POLICY_ROUTES = `${POOL}sites:
  demo:
    hostnames: [demo.localhost]
    routes:
      - path: /
        pool: cities
        cache:
`;

test('a cache policy sets what is written, and prints no more than that', () => {
  const text = `${POLICY_ROUTES}          minTtl: 10s
          staleIfError: 0s
          sliceBytes: 4194304
          key: { query: [page, "q[]"], cookies: [theme] }
          bypass: { headers: [x-preview] }
`;
  const loaded = resources(parse(text));
  const policy = {
    ...{ enabled: true, defaultTtlMs: 0, minTtlMs: 10_000, staleIfErrorMs: 0, sliceBytes: 4_194_304 },
    key: { ignoreQuery: false, queryAllow: ['page', 'q[]'], sortQuery: false, cookies: ['theme'], headers: [] },
    bypass: { cookies: [], headers: ['x-preview'], query: [] },
  };
  assert.deepEqual(loaded.sites[0]?.routes[0]?.cache, policy);
  const printed = toYaml(loaded);
  assert.ok(
    printed.includes('minTtl: 10s') &&
      printed.includes('staleIfError: 0s') &&
      printed.includes('sliceBytes: 4194304') &&
      !printed.includes('maxTtl'),
  );
  assert.deepEqual(resources(parse(printed)), loaded);
});

test('a cache policy that contradicts itself is refused, at the lines of it', () => {
  const text = `${POLICY_ROUTES}          minTtl: 2m
          maxTtl: 1m
          key:
            ignoreQuery: true
            query: [page]
            headers: [Cookie]
`;
  assert.deepEqual(problems(parse(text, true)), [
    'a.yaml:12:19: sites.demo.routes[0].cache.minTtl: the floor of 120000 ms is above the ceiling of 60000 ms',
    'a.yaml:16:20: sites.demo.routes[0].cache.key.query: a query that is ignored has no parameters to allow: give one of the two',
    'a.yaml:17:23: sites.demo.routes[0].cache.key.headers[0]: expected the lower-case form "cookie"',
  ]);
});

/** Each: what is wrong, the file, and every line that is said about it. */
const WRONG: readonly (readonly [string, string, readonly string[]])[] = [
  [
    'a wrong type',
    'sites:\n  demo:\n    hostnames: [a]\n    routes:\n      - path: /\n        pool: p\n        cache: { defaultTtl: true }\n',
    ['a.yaml:7:30: sites.demo.routes[0].cache.defaultTtl: expected a duration such as 2s, found true'],
  ],
  [
    'an unknown field, with the nearest known one',
    'edges:\n  lon:\n    location: { latitude: 1, longitude: 2 }\n    trusted_proxys: []\n',
    ['a.yaml:4:5: edges.lon.trusted_proxys: unknown field (did you mean "trustedProxies"?)'],
  ],
  [
    'an unknown field that resembles nothing',
    'edgy: {}\nzzz: 1\n',
    [
      'a.yaml:1:1: edgy: unknown field (did you mean "edges"?)',
      'a.yaml:2:1: zzz: unknown field; known are sites, pools, edges',
    ],
  ],
  [
    'a missing field, at the name of what lacks it',
    'edges:\n  lon: {}\n',
    ['a.yaml:2:3: edges.lon: the field "location" is missing: expected a mapping (latitude, longitude)'],
  ],
  [
    'numbers out of range and not numbers',
    'edges:\n  lon: { location: { latitude: 91, longitude: "2" } }\n  par: { location: { latitude: .nan, longitude: .inf } }\n',
    [
      'a.yaml:2:32: edges.lon.location.latitude: expected a number from -90 to 90, found 91',
      'a.yaml:2:47: edges.lon.location.longitude: expected a number from -180 to 180, found "2"',
      'a.yaml:3:32: edges.par.location.latitude: expected a number from -90 to 90, found .nan',
      'a.yaml:3:49: edges.par.location.longitude: expected a number from -180 to 180, found .inf',
    ],
  ],
  [
    'a duration without unit, and one out of range',
    `${POOL}    healthCheck:\n      interval: 2\n      timeout: 1ms\n`,
    [
      'a.yaml:6:17: pools.cities.healthCheck.interval: expected a duration such as 2s, found 2',
      'a.yaml:7:16: pools.cities.healthCheck.timeout: expected a duration from 10ms to 10m, found "1ms"',
    ],
  ],
  [
    'a fraction where whole numbers count',
    `${POOL}    healthCheck: { healthyThreshold: 1.5 }\n`,
    ['a.yaml:5:38: pools.cities.healthCheck.healthyThreshold: expected a whole number from 1 to 100, found 1.5'],
  ],
  [
    'a number where text is meant',
    'sites:\n  demo:\n    hostnames: [1.5]\n    routes: []\n',
    ['a.yaml:3:17: sites.demo.hostnames[0]: expected a hostname, found 1.5 (put it in quotes to make it text)'],
  ],
  [
    'yes, which is text in YAML 1.2',
    'sites:\n  d:\n    hostnames: [a]\n    routes: [{ path: /, pool: p, cache: { enabled: yes } }]\n',
    ['a.yaml:4:52: sites.d.routes[0].cache.enabled: expected true or false, found "yes"'],
  ],
  [
    'a list, a mapping and nothing where others are meant',
    'sites: []\npools:\nedges:\n  lon:\n    location: { latitude: 1, longitude: 2 }\n    trustedProxies: { a: b }\n',
    [
      'a.yaml:1:8: sites: expected a mapping of names to sites, found a list',
      'a.yaml:2:7: pools: expected a mapping of names to pools, found nothing',
      'a.yaml:6:21: edges.lon.trustedProxies: expected a list of CIDR blocks, found a mapping',
    ],
  ],
  [
    'a name that stands twice, and the rest of the file all the same',
    'edges:\n  lon: { location: { latitude: 1, longitude: 2 } }\n  lon: { location: 3 }\n',
    [
      'a.yaml:3:3: edges.lon: this name stands here a second time',
      'a.yaml:3:20: edges.lon.location: expected a mapping, found 3',
    ],
  ],
  [
    'a syntax error, once',
    'edges:\n  lon: { location: [ }\n  par: ]\n',
    ['a.yaml:2:22: not valid YAML: Flow sequence in block collection must be sufficiently indented and end with a ]'],
  ],
  ['a tab', 'edges:\n\tlon: {}\n', ['a.yaml:2:1: not valid YAML: Tabs are not allowed as indentation']],
  [
    'an unknown tag',
    'edges: !!js/function x\n',
    ['a.yaml:1:8: not valid YAML: Unresolved tag: tag:yaml.org,2002:js/function'],
  ],
  ['an alias for nothing', 'edges: *lon\n', ['a.yaml:1:8: there is no anchor "&lon" before this']],
  ['a list as the file', '- edges\n', ['a.yaml:1:1: expected a mapping, found a list']],
  ['nothing at all', '# to do\n', ['a.yaml: declares nothing: expected a mapping with sites, pools or edges']],
  [
    'escape sequences, shown and not sent to the terminal',
    '"\\e[31mred": 1\n',
    ['a.yaml:1:1: \\u001b[31mred: unknown field; known are sites, pools, edges'],
  ],
];

for (const [what, text, expected] of WRONG) {
  test(`it is said where and how: ${what}`, () => assert.deepEqual(problems(parse(text)), expected));
}

test('what is consistent in no reading is found in a complete set, at its line', () => {
  const text = `sites:
  demo:
    hostnames: [Demo.localhost]
    routes:
      - path: /
        pool: citys
${POOL}      lon_don: { address: "ftp://x", location: { latitude: 1, longitude: 1 } }
`;
  resources(parse(text));
  assert.deepEqual(problems(parse(text, true)), [
    'a.yaml:3:17: sites.demo.hostnames[0]: expected the lower-case form "demo.localhost"',
    'a.yaml:6:15: sites.demo.routes[0].pool: there is no pool "citys"',
    'a.yaml:11:7: pools.cities.origins.lon_don: "lon_don" is not a name: expected 1 to 63 lower-case letters, digits and inner hyphens',
    'a.yaml:11:27: pools.cities.origins.lon_don.address: "ftp://x" is not http://HOST:PORT or https://HOST:PORT',
  ]);
});

test('a problem that a control plane names by proto fields is found in the file', () => {
  const loaded = parse(`${POOL}    healthCheck: { interval: 5s }\n`);
  assert.equal(loaded.kind, 'loaded');
  const at = (steps: readonly (string | number)[], name = 'cities') => {
    const place = loaded.locate({ kind: 'pool', name, path: steps, message: 'no' });
    return place && `${place.line}:${place.column} ${place.path}`;
  };
  assert.equal(at([]), '2:3 pools.cities');
  assert.equal(at(['origins', 0, 'address']), '4:26 pools.cities.origins.london.address');
  assert.equal(at(['origins', 0, 'location', 'longitude']), '4:90 pools.cities.origins.london.location.longitude');
  assert.equal(at(['health_check', 'interval_ms']), '5:30 pools.cities.healthCheck.interval');
  assert.equal(at(['health_check', 'timeout_ms']), '5:5 pools.cities.healthCheck', 'left to its default');
  assert.equal(at(['timeouts', 'head_ms']), '2:3 pools.cities', 'left to its default');
  assert.equal(at([], 'unknown'), undefined, 'not of this file');
});

test('several files and documents are one configuration, in which a resource stands once', () => {
  const edge = (name: string) => `edges: { ${name}: { location: { latitude: 1, longitude: 2 } } }\n`;
  const one = { file: 'one.yaml', bytes: bytes(`${edge('lon')}---\n${edge('par')}---\n# nothing more\n`) };
  const two = { file: 'two.yaml', bytes: bytes(edge('ber')) };
  const loaded = resources(parseConfig([one, two], false));
  assert.deepEqual(
    loaded.edges.map(({ name }) => name),
    ['lon', 'par', 'ber'],
  );
  const again = { file: 'three.yaml', bytes: bytes(`\n${edge('par')}`) };
  assert.deepEqual(problems(parseConfig([one, two, again], false)), [
    'three.yaml:2:10: edges.par: edge "par" is already declared at one.yaml:3:10',
  ]);
});

test('anchors are for sharing, not for growing', () => {
  const shared = 'edges: { a: { location: &l { latitude: 1, longitude: 2 } }, b: { location: *l } }\n';
  assert.deepEqual(resources(parse(shared)).edges[1]?.location, { latitude: 1, longitude: 2 });
  const many = `edges:\n  a: { location: &l { latitude: 1, longitude: 2 } }\n${Array.from({ length: 101 }, (_, i) => `  a${i}: { location: *l }\n`).join('')}`;
  assert.deepEqual(problems(parse(many)), ['a.yaml:103:21: more than 100 uses of anchors']);
  const bomb = `a: &a [x, x]\n${'bcdefghij'.replace(/./g, (c) => `${c}: &${c} [*${String.fromCharCode(c.charCodeAt(0) - 1)}, *${String.fromCharCode(c.charCodeAt(0) - 1)}]\n`)}`;
  assert.equal(problems(parse(bomb)).length, 10);
  assert.deepEqual(problems(parse('edges: &e { a: *e }\n')), [
    'a.yaml:1:13: edges.a.a: unknown field; known are location, trustedProxies',
    'a.yaml:1:13: edges.a: the field "location" is missing: expected a mapping (latitude, longitude)',
  ]);
});

test('problems are listed up to a bound and counted beyond it', () => {
  const loaded = parse(`edges:\n${Array.from({ length: 70 }, (_, i) => `  e${i}: 1\n`).join('')}`);
  assert.equal(loaded.kind === 'problems' && loaded.problems.length, 50);
  assert.equal(loaded.kind === 'problems' && loaded.omitted, 20);
});

test('files that cannot be read are all named, with the reason', async (t) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'meridian-config-'));
  t.after(() => rm(folder, { recursive: true }));
  const file = (name: string) => path.join(folder, name);
  await writeFile(file('large.yaml'), Buffer.alloc(MAX_FILE_BYTES + 1, '#'));
  await writeFile(file('latin1.yaml'), Buffer.from([0x23, 0xe9]));
  await writeFile(file('deep.yaml'), '['.repeat(200_000));
  assert.deepEqual(problems(await loadConfig([file('none.yaml'), folder])), [
    `${file('none.yaml')}: cannot be read: there is no such file`,
    `${folder}: cannot be read: it is a folder; name the files in it`,
  ]);
  const [large, latin1, deep, ...rest] = problems(
    await loadConfig([file('large.yaml'), file('latin1.yaml'), file('deep.yaml')]),
  );
  assert.equal(large, `${file('large.yaml')}: is larger than 8 MiB`);
  assert.equal(latin1, `${file('latin1.yaml')}: is not UTF-8 text`);
  assert.match(deep ?? '', /deep\.yaml:1:\d+: is nested too deeply to be read$/);
  assert.deepEqual(rest, []);
  const stdin = () => Promise.resolve(bytes('nonsense'));
  assert.deepEqual(problems(await loadConfig(['-'], { stdin })), ['<stdin>:1:1: expected a mapping, found "nonsense"']);
});

for (const example of ['cities.yaml', 'shop.yaml']) {
  test(`the example ${example} is consistent, and printed it reads back as the same`, async () => {
    const text = await readFile(new URL(example, EXAMPLES), 'utf8');
    const first = resources(parse(text, true));
    assert.deepEqual(checkConsistency(first), []);
    const printed = toYaml(first);
    const second = resources(parse(printed, true));
    assert.equal(toYaml(second), printed);
    const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1);
    assert.deepEqual(second.pools, first.pools.toSorted(byName));
    assert.deepEqual(second.sites, first.sites.toSorted(byName));
    assert.deepEqual(second.edges, first.edges.toSorted(byName));
    assert.deepEqual(resources(parse(JSON.stringify(toPlain(first)))), second, 'JSON is YAML too');
  });
}

test('names that YAML would take for numbers or truth survive being printed', () => {
  const names = ['1', '007', 'true', 'null', '1e3', 'no', '0x1f'];
  const location = { latitude: 0, longitude: 0 };
  const edges = names.map((name) => ({ name, location, trustedProxies: [] }));
  const printed = toYaml({ sites: [], pools: [], edges });
  assert.deepEqual(
    resources(parse(printed)).edges.map(({ name }) => name),
    names.toSorted(),
  );
});
