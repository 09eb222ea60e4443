// `meridian explain`: the edges' answers, told.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ExplainRequest } from '../../../proto/gen/meridian/v1/admin.ts';
import type {
  CacheExplanation,
  Explanation,
  RankedOrigin,
  StoredVariant,
} from '../../../proto/gen/meridian/v1/explain.ts';
import { HealthStatus } from '../../../proto/gen/meridian/v1/health.ts';
import { fakeAdmin, meridian } from './harness.ts';

const URL = 'http://demo.localhost:8081/a?b';
const ASK = ['explain', URL, '--ip', '81.2.69.142'];

const origin = (name: string, distanceKm: number, status: HealthStatus, chosen = false, detail = ''): RankedOrigin => ({
  origin: name,
  address: `http://${name}:1`,
  distanceKm,
  weight: 100,
  status,
  statusSource: 'measured here',
  detail,
  chosen,
});

const cache = (parts: Partial<CacheExplanation> = {}): CacheExplanation => ({
  key: 'k',
  state: 'absent',
  reason: 'nothing stored',
  ageS: 0,
  freshnessLifetimeS: 0,
  variants: 0,
  stored: [],
  purges: 0,
  disk: 'none',
  policy: [],
  notStored: undefined,
  ...parts,
});

const explanation = (parts: Partial<Explanation> = {}): Explanation => ({
  edge: 'frankfurt',
  version: { epoch: 10, revision: 4 },
  client: {
    ip: '81.2.69.142',
    location: { latitude: 51.5142, longitude: -0.0931 },
    source: 'database',
    city: 'London',
    country: 'GB',
    distanceToEdgeKm: 636.4,
  },
  refusalCode: '',
  refusalDetail: '',
  site: 'demo',
  route: '/',
  pool: 'cities',
  cache: cache({ key: 'http://demo.localhost:8081/a?b' }),
  ranking: [origin('london', 2.61, HealthStatus.UP, true), origin('lagos', 5012.3, HealthStatus.UP)],
  ...parts,
});

test('a request is explained from the client to the origin', async (t) => {
  let request: ExplainRequest | undefined;
  const explain = (sent: ExplainRequest) => {
    request = sent;
    return {
      explanations: [
        explanation(),
        explanation({ edge: 'singapore', client: undefined, ranking: [origin('sydney', 1, HealthStatus.UP, true)] }),
        explanation({ edge: 'old', refusalCode: 'unknown-host', ranking: [] }),
      ],
    };
  };
  const address = await fakeAdmin(t, { explain });
  const ended = await meridian([...ASK, '--control-plane', address]);
  assert.deepEqual(ended, {
    code: 0,
    stdout: `http://demo.localhost:8081/a?b asked by 81.2.69.142

At edge frankfurt (version 10.4)
  client  81.2.69.142 in London, GB (51.51, -0.09): by the location database; 636 km from this edge
  site    demo, route /, pool cities
  cache   absent; nothing stored
  key     http://demo.localhost:8081/a?b

  ORIGIN  DISTANCE  HEALTH  MEASURED       WEIGHT  ADDRESS          DETAIL
* london    2.6 km  up      measured here     100  http://london:1
  lagos    5012 km  up      measured here     100  http://lagos:1

The answer would come from london: it is the nearest, at 2.6 km, and is not down.

OTHER EDGE  FROM CLIENT  CACHE                  ORIGIN
singapore   0 km         absent                 sydney
old         636 km       refused: unknown-host  -
`,
    stderr: '',
  });
  assert.deepEqual(request, { url: URL, ip: '81.2.69.142', edge: '' });
});

/** What an explanation says of the cache or the choice. */
const TOLD: readonly (readonly [string, Partial<Explanation>, readonly RegExp[]])[] = [
  [
    'a fresh answer with its arithmetic',
    { cache: cache({ state: 'fresh', reason: 'max-age', ageS: 12.34, freshnessLifetimeS: 60, variants: 2 }) },
    [
      /cache {3}fresh; age 12\.3 s of a lifetime of 60 s, fresh for 47\.7 s more; max-age; 2 variants/,
      /The answer would come from this edge's cache\. Were it not there, london would be asked: it is the nearest/,
    ],
  ],
  [
    'a stale answer',
    { cache: cache({ state: 'stale', reason: '', ageS: 90, freshnessLifetimeS: 60, variants: 1 }) },
    [/stale; age 90 s of a lifetime of 60 s, stale since 30 s; 1 variant\n/, /The answer would come from london/],
  ],
  [
    'a nearer origin that is down',
    {
      ranking: [
        origin('lagos', 5012, HealthStatus.UP, true),
        origin('london', 3, HealthStatus.DOWN, false, 'connection refused'),
      ],
    },
    [/from lagos: it is the nearest that can be used, at 5012 km; london \(3\.0 km\) is down: connection refused\./],
  ],
  [
    'every origin down',
    { ranking: [origin('london', 3, HealthStatus.DOWN, true), origin('lagos', 5012, HealthStatus.DOWN)] },
    [/every origin is down, and the nearest is tried rather than none/],
  ],
  [
    'several at the same distance',
    { ranking: [origin('a', 3, HealthStatus.UP, true), origin('b', 3, HealthStatus.UP)] },
    [/it is among the nearest, at 3\.0 km, and its turn by weight/],
  ],
  [
    'a request that would be refused',
    { refusalCode: 'unknown-host', refusalDetail: 'no site' },
    [/refused unknown-host: no site\n$/],
  ],
  [
    'an unknown address',
    {
      client: {
        ip: '10.0.0.1',
        location: undefined,
        source: 'private-address',
        city: '',
        country: '',
        distanceToEdgeKm: 0,
      },
    },
    [/client {2}10\.0\.0\.1 in nowhere: the place of this edge, since the address is a private one; 0\.0 km/],
  ],
  ['no origin at all', { ranking: [] }, [/No origin of pool cities would be asked\./]],
];

for (const [what, parts, patterns] of TOLD) {
  test(`it is told in words: ${what}`, async (t) => {
    const address = await fakeAdmin(t, { explain: () => ({ explanations: [explanation(parts)] }) });
    const { stdout } = await meridian([...ASK, '--control-plane', address]);
    for (const pattern of patterns) assert.match(stdout, pattern);
  });
}

const variant = (parts: Partial<StoredVariant>): StoredVariant => ({
  tiers: ['memory'],
  selected: false,
  selectedBy: [],
  status: 200,
  bodyBytes: 5,
  state: 'fresh',
  reason: '',
  freshness: {
    initialAgeS: 1.5,
    residentS: 10,
    ageS: 11.5,
    lifetimeS: 60,
    lifetimeSource: 'max-age',
    ttlS: 48.5,
    staleWhileRevalidateS: 0,
    staleIfErrorS: 0,
    neverStale: false,
  },
  tags: [],
  requestedAfter: 2,
  purge: undefined,
  ...parts,
});

test('what is stored is told variant by variant, with its sums, its tags and what purged it', async (t) => {
  const stored = [
    variant({ tiers: ['memory', 'disk'], selected: true, tags: ['a', 'b'] }),
    variant({
      tiers: ['disk'],
      selectedBy: [
        { name: 'accept-language', value: 'de' },
        { name: 'cookie theme', value: undefined },
      ],
      state: 'purged',
      freshness: undefined,
      purge: { number: 3, soft: false, reach: 'tag', name: 'a' },
    }),
    variant({ bodyBytes: 1, state: 'stale', purge: { number: 4, soft: true, reach: 'everything', name: '' } }),
  ];
  const policy = ['minTtl 5 s', 'the query sorted'];
  const told = explanation({ cache: cache({ state: 'fresh', variants: 3, stored, purges: 4, policy }) });
  const address = await fakeAdmin(t, { explain: () => ({ explanations: [told] }) });
  const { stdout } = await meridian([...ASK, '--control-plane', address]);
  const lines = stdout.split('\n').map((line) => line.trim());
  const from = lines.findIndex((line) => line.startsWith('policy'));
  assert.deepEqual(lines.slice(from, from + 9), [
    'policy  minTtl 5 s; the query sorted',
    'stored  200, 5 bytes, in memory and on disk, for any request; fresh; this one answers',
    'age 11.5 s = 1.5 s when it came + 10 s here; lifetime - age = 60 s (max-age) - 11.5 s = 48.5 s',
    'tags a, b',
    'requested after 2 purges of 4 that this edge has applied',
    'stored  200, 5 bytes, on disk, for accept-language: de, no cookie theme; purged',
    'requested after 2 purges of 4 that this edge has applied; purge 3, of tag a, covers it',
    'stored  200, 1 byte, in memory, for any request; stale',
    'age 11.5 s = 1.5 s when it came + 10 s here; lifetime - age = 60 s (max-age) - 11.5 s = 48.5 s',
  ]);
  assert.match(stdout, /purge 4, a soft one of everything, makes it stale/);
  const json = JSON.parse((await meridian([...ASK, '--json', '--control-plane', address])).stdout);
  const [first, second] = json.explanations[0].cache.stored;
  assert.deepEqual([first.tiers, first.selected, first.purge], [['memory', 'disk'], true, null]);
  assert.equal(first.freshness.ttlS, 48.5);
  assert.deepEqual(second.selectedBy[1], { name: 'cookie theme', value: null });
});

test('where nothing is stored it is told why, as far as that is known', async (t) => {
  const notStored = { reason: 'set-cookie', detail: 'the answer set a cookie', agoS: 12 };
  const cases = [
    [{ notStored }, /skipped 12 s ago an answer was not stored: set-cookie: the answer set a cookie\n/],
    [{ disk: 'not searched' }, /disk {4}not searched: it is off, held back, or busy/],
  ] as const;
  for (const [parts, pattern] of cases) {
    const address = await fakeAdmin(t, { explain: () => ({ explanations: [explanation({ cache: cache(parts) })] }) });
    assert.match((await meridian([...ASK, '--control-plane', address])).stdout, pattern);
  }
});

test('for programs there is one document', async (t) => {
  const refused = explanation({ edge: 'old', refusalCode: 'unknown-host', refusalDetail: 'no site', ranking: [] });
  const address = await fakeAdmin(t, { explain: () => ({ explanations: [explanation(), refused] }) });
  const document = JSON.parse((await meridian([...ASK, '--json', '--control-plane', address])).stdout);
  assert.deepEqual([document.url, document.ip, document.explanations.length], [URL, '81.2.69.142', 2]);
  const [first, second] = document.explanations;
  assert.deepEqual(first.ranking[0], {
    origin: 'london',
    address: 'http://london:1',
    distanceKm: 2.61,
    weight: 100,
    statusSource: 'measured here',
    detail: '',
    chosen: true,
    health: 'up',
  });
  assert.deepEqual([first.version, first.refusal, first.client.city], ['10.4', null, 'London']);
  assert.deepEqual([second.refusal, second.site], [{ code: 'unknown-host', detail: 'no site' }, null]);
});

test('one edge alone may be asked; where none is connected that is a failure', async (t) => {
  let request: ExplainRequest | undefined;
  const explain = (sent: ExplainRequest) => {
    request = sent;
    return { explanations: [] };
  };
  const address = await fakeAdmin(t, { explain });
  const ended = await meridian([...ASK, '--edge', 'rom', '--json', '--control-plane', address]);
  assert.deepEqual([ended.code, ended.stdout, request?.edge], [1, '', 'rom']);
  assert.match(ended.stderr, /no edge is connected that could answer/);
});

test('a URL or an address that is none is a matter of usage', async () => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [['explain', '--ip', '1.1.1.1'], /expected a URL/],
    [['explain', 'ftp://a/', '--ip', '1.1.1.1'], /"ftp:\/\/a\/": expected http:\/\/HOST\/PATH/],
    [['explain', URL], /--ip is missing/],
    [['explain', URL, '--ip', 'localhost'], /--ip: expected an IPv4 or IPv6 address, found "localhost"/],
    [['explain', URL, 'http://b/', '--ip', '::1'], /unexpected argument "http:\/\/b\/"/],
  ];
  for (const [argv, message] of cases) {
    const ended = await meridian(argv);
    assert.equal(ended.code, 2);
    assert.match(ended.stderr, message);
  }
});
