// What recurs in stored responses, so that a record (record.ts) names it by its place.

/** Field names that take one character. Their order is part of the form. */
export const NAMES: readonly string[] = (
  'date content-type content-length cache-control etag last-modified expires vary server content-encoding ' +
  'content-language content-location content-disposition content-security-policy content-security-policy-report-only ' +
  'accept-ranges access-control-allow-origin access-control-allow-methods access-control-allow-headers ' +
  'access-control-allow-credentials access-control-expose-headers access-control-max-age alt-svc cdn-cache-control ' +
  'cross-origin-embedder-policy cross-origin-opener-policy cross-origin-resource-policy link location nel origin-agent-cluster ' +
  'p3p permissions-policy pragma referrer-policy report-to reporting-endpoints retry-after server-timing set-cookie sourcemap ' +
  'strict-transport-security surrogate-control surrogate-key cache-tag timing-allow-origin upgrade via warning ' +
  'www-authenticate x-cache x-content-type-options x-dns-prefetch-control x-frame-options x-powered-by x-request-id ' +
  'x-robots-tag x-ua-compatible x-xss-protection accept accept-encoding accept-language origin user-agent cookie ' +
  'authorization digest content-digest repr-digest priority'
).split(' ');
export const NAME_CODES: ReadonlyMap<string, string> = new Map(
  NAMES.map((name, code) => [name, String.fromCharCode(code)]),
);

/** Values that take two characters, and values of Vary's fields. As of NAMES. */
export const VALUES: readonly string[] = [
  ...['text/html; charset=utf-8', 'text/html;charset=utf-8', 'text/html; charset=UTF-8', 'text/html', 'text/css'],
  ...['text/css; charset=utf-8', 'text/javascript', 'text/javascript; charset=utf-8', 'application/javascript'],
  ...['application/javascript; charset=utf-8', 'application/json', 'application/json; charset=utf-8'],
  ...['text/plain', 'text/plain; charset=utf-8', 'text/xml; charset=utf-8', 'application/xml', 'application/pdf'],
  ...['image/jpeg', 'image/png', 'image/gif', 'image/webp', 'image/avif', 'image/svg+xml', 'image/x-icon'],
  ...['font/woff2', 'font/woff', 'font/ttf', 'video/mp4', 'video/mp2t', 'video/webm', 'audio/mpeg', 'application/wasm'],
  ...['application/vnd.apple.mpegurl', 'application/dash+xml', 'application/octet-stream', 'application/zip'],
  ...['accept-encoding', 'Accept-Encoding', 'Origin', 'Accept-Encoding, Origin', 'Accept', 'Accept-Language'],
  ...[
    'gzip',
    'br',
    'zstd',
    'deflate',
    'bytes',
    'none',
    'nosniff',
    'SAMEORIGIN',
    'DENY',
    'nginx',
    'Apache',
    'en',
    '*',
    'true',
  ],
  ...['public, max-age=31536000, immutable', 'max-age=31536000, immutable', 'public, max-age=31536000'],
  ...['max-age=31536000', 'public, max-age=86400', 'max-age=86400', 'public, max-age=3600', 'max-age=3600'],
  ...['public, max-age=600', 'max-age=600', 'public, max-age=300', 'max-age=300', 'public, max-age=60', 'max-age=60'],
  ...[
    'public',
    'no-cache',
    'public, max-age=0, must-revalidate',
    'max-age=0, must-revalidate',
    'public, max-age=604800',
  ],
  ...['max-age=604800', 'strict-origin-when-cross-origin', 'no-referrer-when-downgrade', 'same-origin', 'cross-origin'],
  ...['max-age=31536000; includeSubDomains', 'max-age=63072000; includeSubDomains; preload', '1; mode=block', '0'],
  // What requests sent that a response varies by, as `varyValues` has it.
  ...[
    'br, gzip',
    'br, deflate, gzip',
    'br, deflate, gzip, zstd',
    'br, gzip, zstd',
    'deflate, gzip',
    'gzip',
    'identity',
  ].map((codings) => `accept-encoding:${codings}\n`),
  'accept-encoding\n',
];
/** Places that VALUES has not reached are free for others: see record.ts. */
export const MAX_VALUES = 0xf0;
export const VALUE_CODES: ReadonlyMap<string, string> = new Map(
  VALUES.map((value, code) => [value, String.fromCharCode(code)]),
);

if (VALUES.length > MAX_VALUES) throw new Error('values that recur reach into the places of others');
