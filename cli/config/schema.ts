// The configuration: every field of the YAML files, once. What reads and checks files, what prints them (`meridian get`),
// what finds the line of a problem and docs/configuration.md are all made from this table.
import type {
  CacheBypass,
  CacheKey,
  CachePolicy,
  Edge,
  HealthCheck,
  Location,
  Origin,
  OriginTimeouts,
  Pool,
  Route,
  Site,
} from '../../proto/gen/meridian/v1/resources.ts';
import { LIMITS } from '../../proto/limits.ts';
import {
  boolean,
  defaults,
  duration,
  integer,
  list,
  message,
  named,
  number,
  optional,
  required,
  text,
  unset,
} from './types.ts';

/** All that files declare; the shape of proto/consistency.ts's Resources. */
export interface Declared {
  sites: Site[];
  pools: Pool[];
  edges: Edge[];
}

const location = message<Location>('Location', 'A place on Earth (WGS 84).', {
  latitude: required('latitude', number({ min: -90, max: 90 }), 'Degrees; north is positive.'),
  longitude: required('longitude', number({ min: -180, max: 180 }), 'Degrees; east is positive.'),
});

const cookieNames = list('a list of names of cookies', text('the name of a cookie'), LIMITS.cacheNames);
const headerNames = list('a list of names of header fields', text('the name of a header field'), LIMITS.cacheNames);
const parameterNames = list('a list of query parameters', text('the name of a query parameter'), LIMITS.cacheNames);

const cacheKey = message<CacheKey>(
  'Cache key',
  'What of a request chooses among answers, beside scheme, host, port, path, query and what `Vary` names. What does not ' +
    'count of a query is not shown to an origin either.',
  {
    ignoreQuery: optional('ignoreQuery', boolean, () => false, 'The query does not count.'),
    queryAllow: optional('query', parameterNames, () => [], 'Only these parameters count, as they stand in a URL.'),
    sortQuery: optional('sortQuery', boolean, () => false, 'Parameters count in the order of their names.'),
    cookies: optional('cookies', cookieNames, () => [], 'The values of these cookies count.'),
    headers: optional('headers', headerNames, () => [], 'The values of these fields count; lower case.'),
  },
);

const cacheBypass = message<CacheBypass>(
  'Cache bypass',
  'A request that has one of these goes to an origin, and its answer is not stored.',
  {
    cookies: optional('cookies', cookieNames, () => [], 'Cookies, whatever their value.'),
    headers: optional('headers', headerNames, () => [], 'Header fields, lower case, whatever their value.'),
    query: optional(
      'query',
      parameterNames,
      () => [],
      'Query parameters as they stand in a URL, whatever their value.',
    ),
  },
);

const cacheFields = {
  enabled: optional(
    'enabled',
    boolean,
    () => true,
    'With `false` every request goes to an origin and nothing is stored.',
  ),
  defaultTtlMs: optional(
    'defaultTtl',
    duration(LIMITS.ttlMs),
    () => 0,
    'How long an answer is fresh that may be stored and does not say for how long itself. `0s`: the heuristic of ' +
      'RFC 9111, section 4.2.2 (a tenth of the time since Last-Modified).',
  ),
  minTtlMs: unset('minTtl', duration(LIMITS.ttlMs), 'Floor under how long an answer below 400 is fresh.'),
  maxTtlMs: unset('maxTtl', duration(LIMITS.ttlMs), 'Ceiling over how long any answer is fresh.'),
  overrideTtlMs: unset(
    'overrideTtl',
    duration(LIMITS.ttlMs),
    'How long an answer below 400 is fresh that may be stored, whatever it says.',
  ),
  negativeTtlMs: unset(
    'negativeTtl',
    duration(LIMITS.ttlMs),
    'As `defaultTtl`, for answers 404, 405, 410, 414 and 501, and for others of 400 and above that are `public`.',
  ),
  staleWhileRevalidateMs: unset(
    'staleWhileRevalidate',
    duration(LIMITS.ttlMs),
    'How long after it expired an answer is used while it is asked about (RFC 5861), where it does not say itself.',
  ),
  staleIfErrorMs: unset(
    'staleIfError',
    duration(LIMITS.ttlMs),
    'How long after it expired an answer is used when the origin answers with an error (RFC 5861), where it does not say itself.',
  ),
  key: unset('key', cacheKey, 'What of a request is part of the cache key.'),
  bypass: unset('bypass', cacheBypass, 'Requests that bypass the cache.'),
  sliceBytes: unset(
    'sliceBytes',
    integer({ min: 0, max: LIMITS.sliceBytes.max }),
    `Size of the slices in which what a range is asked of, and what is too large to be kept whole, is fetched and kept; at ` +
      `least ${LIMITS.sliceBytes.min}. \`0\`: a range that is not in the cache goes to the origin as it is. Without it: 1 MiB. See ` +
      `[Large answers, and ranges](caching.md).`,
  ),
};
const cache = message<CachePolicy>('Cache policy', "What is kept of a route's answers.", cacheFields);

const route = message<Route>('Route', 'Where the answers for a part of a site come from.', {
  pathPrefix: required(
    'path',
    text('a path that starts with /'),
    'Matches whole path segments: `/a` covers `/a` and `/a/b`, not `/ab`. The longest route that matches decides.',
  ),
  pool: required('pool', text('the name of a pool'), 'The pool that answers.'),
  cache: optional('cache', cache, () => defaults<CachePolicy>(cacheFields), 'What is kept.'),
});

const site = message<Omit<Site, 'name'>>('Site', 'A web site: the hostnames it answers for, and routes to pools.', {
  hostnames: required(
    'hostnames',
    list('a list of hostnames', text('a hostname'), LIMITS.hostnamesPerSite),
    'Lower case, without a port. `*.example.com` covers exactly one more label on the left. A request for a host that ' +
      'no site names is answered with 421.',
  ),
  routes: required('routes', list('a list of routes', route, LIMITS.routes), 'One or more; each path once.'),
});

const healthCheckFields = {
  path: optional('path', text('a path that starts with /'), () => '/healthz', 'What is asked for with GET.'),
  intervalMs: optional('interval', duration(LIMITS.intervalMs), () => 2000, 'Time between two checks of one origin.'),
  timeoutMs: optional('timeout', duration(LIMITS.timeoutMs), () => 1000, 'A check that takes longer has failed.'),
  unhealthyThreshold: optional(
    'unhealthyThreshold',
    integer(LIMITS.threshold),
    () => 3,
    'Failures in a row before an origin counts as down.',
  ),
  healthyThreshold: optional(
    'healthyThreshold',
    integer(LIMITS.threshold),
    () => 2,
    'Successes in a row before it counts as up again.',
  ),
};
const healthCheck = message<HealthCheck>(
  'Health check',
  'How each edge checks each origin. An answer with status 200 to 399 within the timeout is a success.',
  healthCheckFields,
);

const timeoutFields = {
  connectMs: optional('connect', duration(LIMITS.timeoutMs), () => 2000, 'To connect.'),
  headMs: optional('head', duration(LIMITS.timeoutMs), () => 30_000, "From the request's end to the answer's head."),
  bodyMs: optional('body', duration(LIMITS.timeoutMs), () => 30_000, 'Between two pieces of the body.'),
};
const timeouts = message<OriginTimeouts>('Timeouts', 'How long an edge waits for an origin.', timeoutFields);

const origin = message<Omit<Origin, 'name'>>('Origin', 'A server that holds the content.', {
  address: required(
    'address',
    text('http://HOST:PORT or https://HOST:PORT'),
    '`http://HOST:PORT` or `https://HOST:PORT`, without a path.',
  ),
  location: required('location', location, 'Where it stands. A request goes to the nearest origin that is up.'),
  weight: optional(
    'weight',
    integer({ min: 0, max: LIMITS.weight }),
    () => 100,
    'Share among origins at the same distance. `0`: only when no other origin there is up.',
  ),
});

const pool = message<Omit<Pool, 'name'>>('Pool', 'Origins that hold the same content.', {
  origins: required(
    'origins',
    named<Origin>('a mapping of names to origins', origin, LIMITS.originsPerPool),
    'One or more.',
  ),
  healthCheck: optional(
    'healthCheck',
    healthCheck,
    () => defaults<HealthCheck>(healthCheckFields),
    'How they are checked.',
  ),
  timeouts: optional('timeouts', timeouts, () => defaults<OriginTimeouts>(timeoutFields), 'How long to wait for them.'),
});

const edge = message<Omit<Edge, 'name'>>(
  'Edge',
  'An edge node that may join. Where it listens is said by the flags of its process.',
  {
    location: required(
      'location',
      location,
      'Where it stands; also where a client whose place is unknown is taken to be.',
    ),
    trustedProxies: optional(
      'trustedProxies',
      list('a list of CIDR blocks', text('a CIDR block such as 10.0.0.0/8'), LIMITS.trustedProxiesPerEdge),
      () => [],
      'CIDR blocks of the peers whose X-Forwarded-For and Forwarded fields are believed.',
    ),
  },
);

/** A configuration file. */
export const configuration = message<Declared>(
  'Configuration file',
  'A file may hold some of the resources; several files, and several documents in one file, are put together. A ' +
    'resource is declared once. Names are 1 to 63 lower-case letters, digits and inner hyphens.',
  {
    sites: optional(
      'sites',
      named<Site>('a mapping of names to sites', site, LIMITS.sites),
      () => [],
      'What is served.',
    ),
    pools: optional(
      'pools',
      named<Pool>('a mapping of names to pools', pool, LIMITS.pools),
      () => [],
      'Where content comes from.',
    ),
    edges: optional('edges', named<Edge>('a mapping of names to edges', edge, LIMITS.edges), () => [], 'Who may join.'),
  },
);
