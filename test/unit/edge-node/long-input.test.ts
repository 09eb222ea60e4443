// What a client or an origin may write at length is read in time that grows with its length and no faster: there is no pattern
// that goes back over what it has seen. Measured in processor time, with a bound that a machine of any speed meets, and that a
// parser which takes the square of the length misses by far.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCacheControl } from '../../../edge-node/decide/cache/cache-control.ts';
import { parseHttpDate } from '../../../edge-node/decide/cache/http-date.ts';
import { compileCachePolicy, cookieValue, isBypassed, keyTarget } from '../../../edge-node/decide/cache/policy.ts';
import { parseRange } from '../../../edge-node/decide/cache/ranges.ts';
import { parseTags } from '../../../edge-node/decide/cache/tags.ts';
import { isUnchanged } from '../../../edge-node/decide/cache/validation.ts';
import { parseVary, varyValues } from '../../../edge-node/decide/cache/vary.ts';
import { findRoute } from '../../../edge-node/decide/compile.ts';
import { listMembers } from '../../../edge-node/decide/fields.ts';
import { somePrefix } from '../../../edge-node/decide/purge-names.ts';
import { parseDictionary, parseItem, parseList } from '../../../edge-node/decide/structured-fields.ts';
import { canonicalHost, canonicalTarget, canonicalUrl } from '../../../proto/canonical-url.ts';
import { headOf, NOW } from './cache/support.ts';

const LENGTH = 128 * 1024;
/** Milliseconds of processor time for one text; a square of the length would take ten times as long at the least. */
const MOST_MS = 2_000;
const HEAD = headOf(['cache-control', 'max-age=60', 'etag', '"a"']);
const POLICY = compileCachePolicy({
  enabled: true,
  defaultTtlMs: 0,
  key: { ignoreQuery: false, queryAllow: ['a', 'b'], sortQuery: true, cookies: [], headers: [] },
  bypass: { cookies: ['id'], headers: ['x-a'], query: ['q'] },
});
const SITE = { name: 'a', number: 0, tally: undefined, routes: [] };

const READERS: Readonly<Record<string, (text: string) => unknown>> = {
  'Cache-Control': parseCacheControl,
  'a date': (text) => parseHttpDate(text, NOW),
  Range: (text) => parseRange(`bytes=${text}`, 1_000_000),
  Vary: parseVary,
  'a field that Vary names': (text) => varyValues(['accept', 'cookie'], ['accept', text, 'cookie', text]),
  'Accept-Encoding': (text) => varyValues(['accept-encoding'], ['accept-encoding', text]),
  'Accept-Language': (text) => varyValues(['accept-language'], ['accept-language', text]),
  'If-None-Match': (text) => isUnchanged({ ifNoneMatch: text, ifModifiedSince: undefined }, HEAD),
  'surrogate keys': (text) => parseTags(['surrogate-key', text, 'cache-tag', text]),
  'a list': listMembers,
  'a dictionary': parseDictionary,
  'a structured list': parseList,
  'a structured item': parseItem,
  'a host': canonicalHost,
  'a target': (text) => canonicalTarget(`/${text}`),
  'a URL': (text) => canonicalUrl(`http://a/${text}`),
  'a route': (text) => findRoute(SITE, `/${text}`),
  'a prefix': (text) => somePrefix('a', `a/${text}`, () => false),
  'a cookie': (text) => cookieValue(text, 'id'),
  'the key of a query': (text) => POLICY.key && keyTarget(POLICY.key, `/?${text}`),
  'a rule of a query': (text) => POLICY.bypass && isBypassed(POLICY.bypass, ['cookie', text], `/?${text}`),
};

const UNITS = [
  ...['a', '0', ' ', '\t', ',', ', ', ';', '=', '"', '\\', '\\"', '"\\\\', '(', '()', '-', '0-0,', '%', '%41', '%2f'],
  ...[
    '/',
    '/../',
    '/.',
    '//',
    '&',
    'a=&',
    '?',
    '.',
    ':',
    '*',
    'a;q=0.5,',
    'W/"',
    'W/"a",',
    'max-age=1,',
    'x="',
    '?0;',
    'é',
  ],
];

for (const [name, read] of Object.entries(READERS)) {
  test(`${name} of ${LENGTH} characters`, () => {
    for (const unit of UNITS) {
      const text = unit.repeat(Math.ceil(LENGTH / unit.length));
      const before = process.cpuUsage();
      read(text);
      read(`${text}!`);
      const { user, system } = process.cpuUsage(before);
      const took = (user + system) / 1000;
      assert.ok(took < MOST_MS, `${Math.round(took)} ms for ${JSON.stringify(unit)} over and over`);
    }
  });
}
