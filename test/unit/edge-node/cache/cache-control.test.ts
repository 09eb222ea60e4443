// Cache-Control, RFC 9111 section 5.2: what is read, what is forgiven, what is never forgiven.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  type CacheControl,
  NO_DIRECTIVES,
  parseCacheControl,
} from '../../../../edge-node/decide/cache/cache-control.ts';
import { seededRandom } from '../../../../infra/runtime/random.ts';
import { below, pick } from './support.ts';

/** Asserts what differs from no directives at all. */
function reads(value: string | undefined, expected: Partial<CacheControl>): void {
  assert.deepEqual({ ...parseCacheControl(value) }, { ...NO_DIRECTIVES, ...expected }, `reading ${value}`);
}

describe('5.2: the syntax', () => {
  test('no field and an empty one say nothing', () => {
    reads(undefined, {});
    reads('', {});
    reads(' , ,\t,', {});
  });

  test('directives are separated by commas, with or without white space', () => {
    reads('no-store,no-cache ,\tmust-revalidate', { noStore: true, noCache: true, mustRevalidate: true });
  });

  test('names are case-insensitive', () => {
    reads('No-Store, MAX-AGE=5', { noStore: true, maxAgeMs: 5000 });
  });

  test('unknown directives are ignored, with any argument', () => {
    reads('no-transform, s-max-age=60, ext="a, no-store", x=y', {});
  });

  test('every directive that the cache obeys is read', () => {
    reads('public, private, proxy-revalidate, must-understand, only-if-cached, immutable', {
      immutable: true,
      public: true,
      private: true,
      proxyRevalidate: true,
      mustUnderstand: true,
      onlyIfCached: true,
    });
  });

  test('common values are read once and give the same as any other', () => {
    assert.equal(parseCacheControl('no-cache'), parseCacheControl('no-cache'));
    reads('max-age=0', { maxAgeMs: 0 });
    reads('public, max-age=31536000, immutable', { public: true, maxAgeMs: 31_536_000_000, immutable: true });
  });

  test('what is read cannot be changed', () => {
    assert.ok(Object.isFrozen(parseCacheControl('max-age=7')));
    assert.ok(Object.isFrozen(NO_DIRECTIVES));
  });
});

describe('5.2.2: arguments', () => {
  test('both the token and the quoted form are accepted', () => {
    reads('max-age=60, s-maxage="90"', { maxAgeMs: 60_000, sMaxAgeMs: 90_000 });
    reads('max-age="6\\0"', { maxAgeMs: 60_000 });
  });

  test('the qualified forms of private and no-cache name fields, in lower case', () => {
    reads('private="X-User, set-cookie"', { privateFields: ['x-user', 'set-cookie'] });
    reads('no-cache="set-cookie", no-cache="x"', { noCacheFields: ['set-cookie', 'x'] });
    reads('private="x", private', { private: true, privateFields: ['x'] });
  });

  test('without quotes, without names or with rubbish they count as the unqualified ones', () => {
    for (const argument of ['x', '""', '" , "', '"a b"', '"x" y', '"x']) {
      reads(`private=${argument}`, { private: true });
      reads(`no-cache=${argument}`, { noCache: true });
    }
  });

  test('commas and directives inside a quoted string do not count', () => {
    reads('ext="no-store, private", max-age=1', { maxAgeMs: 1000 });
    reads('ext="a\\", no-store", max-age=1', { maxAgeMs: 1000 });
  });

  test('a quote that never closes does not hide the directives behind it', () => {
    reads('ext="a, no-store', { noStore: true });
    reads('max-age="5, private', { maxAgeMs: 0, private: true });
    reads('ext="a\\', {});
  });

  test('a restriction counts with rubbish behind it, a permission does not', () => {
    reads('no-store; max-age=60', { noStore: true });
    reads('private=yes', { private: true });
    reads('public; s-maxage=60', {});
    reads('public=1', {});
    reads('must-understand=1', {});
  });
});

describe('1.2.2 and 4.2.1: seconds', () => {
  test('a number too large to hold is 2^31', () => {
    reads('max-age=99999999999999999999', { maxAgeMs: 2 ** 31 * 1000 });
    reads('max-age=2147483648', { maxAgeMs: 2 ** 31 * 1000 });
  });

  test('a freshness that is not a number of seconds is none', () => {
    for (const bad of ['max-age', 'max-age=', 'max-age=-1', 'max-age=1.5', 'max-age=a', 'max-age= 5', 'max-age =5']) {
      reads(bad, { maxAgeMs: 0 });
    }
    reads('s-maxage="5"x', { sMaxAgeMs: 0 });
    reads("max-age='5'", { maxAgeMs: 0 });
  });

  test('two different values are stale, two equal ones are one', () => {
    reads('max-age=5, max-age=6', { maxAgeMs: 0 });
    reads('max-age=5, max-age=5', { maxAgeMs: 5000 });
    reads('s-maxage=5, max-age=6, s-maxage=x', { sMaxAgeMs: 0, maxAgeMs: 6000 });
  });

  test('max-stale without an argument allows any staleness, with a broken one none', () => {
    reads('max-stale', { maxStaleMs: Number.POSITIVE_INFINITY });
    reads('max-stale=10', { maxStaleMs: 10_000 });
    reads('max-stale=10, max-stale', { maxStaleMs: 10_000 });
    reads('max-stale=x', { maxStaleMs: 0 });
  });

  test('RFC 5861: of two windows for stale answers the shorter counts, and a broken one is none', () => {
    reads('stale-while-revalidate=9, stale-while-revalidate=5', { staleWhileRevalidateMs: 5000 });
    reads('stale-if-error="60"', { staleIfErrorMs: 60_000 });
    reads('stale-if-error, stale-while-revalidate=x', { staleIfErrorMs: 0, staleWhileRevalidateMs: 0 });
  });

  test('of two min-fresh the larger counts, and a broken one is met by nothing', () => {
    reads('min-fresh=5, min-fresh=9', { minFreshMs: 9000 });
    reads('min-fresh=0', { minFreshMs: 0 });
    reads('min-fresh=x', { minFreshMs: 2 ** 31 * 1000 });
  });
});

// The grammar as one regular expression: what the scanner must agree with.
const DIRECTIVE = /[ \t,]*([!#$%&'*+.^_`|~0-9A-Za-z-]*)(?:="((?:[^"\\]|\\.)*)"|=([^,]*))?([^,]*)/sy;

function plainly(value: string): CacheControl {
  const read: Record<string, boolean | number | readonly string[] | undefined> = { ...NO_DIRECTIVES };
  const fieldNames = (text: string | undefined): string[] | undefined => {
    const names = (text ?? '')
      .toLowerCase()
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== '');
    return names.length > 0 && names.every((name) => /^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(name)) ? names : undefined;
  };
  const seconds = (text: string | undefined) =>
    text !== undefined && /^\d+$/.test(text) ? Math.min(Number(text), 2 ** 31) * 1000 : undefined;
  DIRECTIVE.lastIndex = 0;
  while (DIRECTIVE.lastIndex < value.length) {
    const [, name = '', quoted, bare, tail = ''] = DIRECTIVE.exec(value) ?? [];
    const clean = tail.trim() === '';
    const given = quoted?.replace(/\\(.)/gs, '$1') ?? bare?.trimEnd();
    const argument = clean ? given : undefined;
    const property = name.toLowerCase().replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
    if (['noStore', 'mustRevalidate', 'proxyRevalidate', 'onlyIfCached'].includes(property)) {
      read[property] = true;
    } else if (property === 'private' || property === 'noCache') {
      const names = clean && quoted !== undefined ? fieldNames(given) : undefined;
      const at = property === 'private' ? 'privateFields' : 'noCacheFields';
      if (names) read[at] = [...(read[at] as string[]), ...names];
      else read[property] = true;
    } else if (property === 'staleWhileRevalidate' || property === 'staleIfError') {
      const before = Number(read[`${property}Ms`] ?? Number.POSITIVE_INFINITY);
      read[`${property}Ms`] = Math.min(before, seconds(argument) ?? 0);
    } else if (['public', 'mustUnderstand', 'immutable'].includes(property)) {
      if (clean && given === undefined) read[property] = true;
    } else if (property === 'maxAge' || property === 'sMaxage') {
      const at = property === 'maxAge' ? 'maxAgeMs' : 'sMaxAgeMs';
      const now = seconds(argument);
      read[at] = now !== undefined && (read[at] === undefined || read[at] === now) ? now : 0;
    } else if (property === 'minFresh') {
      read.minFreshMs = Math.max(Number(read.minFreshMs ?? 0), seconds(argument) ?? 2 ** 31 * 1000);
    } else if (property === 'maxStale') {
      const now = clean && given === undefined ? Number.POSITIVE_INFINITY : (seconds(argument) ?? 0);
      read.maxStaleMs = Math.min(Number(read.maxStaleMs ?? Number.POSITIVE_INFINITY), now);
    }
  }
  return { ...NO_DIRECTIVES, ...read };
}

test('seeded fuzz: the scanner reads what the grammar says, and never throws', () => {
  const random = seededRandom(9111);
  const pieces = [
    ...[
      'no-store',
      'no-cache',
      'private',
      'public',
      'max-age',
      's-maxage',
      'max-stale',
      'min-fresh',
      'must-revalidate',
    ],
    ...['immutable', 'stale-if-error', 'stale-while-revalidate', '"x-a"', '"x, y"'],
    ...['proxy-revalidate', 'must-understand', 'only-if-cached', 'x', 'Max-Age', 'NO-STORE'],
    ...[
      '=',
      '=',
      '=',
      ',',
      ',',
      ', ',
      '"',
      '"',
      '\\',
      ' ',
      '\t',
      ';',
      '5',
      '60',
      '"5"',
      '99999999999',
      '-',
      '\u00e9',
      '(',
    ],
  ];
  for (let round = 0; round < 30_000; round += 1) {
    let value = '';
    const length = below(random, 14);
    for (let i = 0; i < length; i += 1) value += pick(random, pieces);
    assert.deepEqual({ ...parseCacheControl(value) }, plainly(value), JSON.stringify(value));
  }
});
