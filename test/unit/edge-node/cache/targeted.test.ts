// Targeted cache control, RFC 9213: which field decides, and what it takes to be read.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { NO_DIRECTIVES, parseCacheControl } from '../../../../edge-node/decide/cache/cache-control.ts';
import { formatHttpDate } from '../../../../edge-node/decide/cache/http-date.ts';
import { effectiveControl } from '../../../../edge-node/decide/cache/targeted.ts';
import { seededRandom } from '../../../../infra/runtime/random.ts';
import { below, DATE, decide, headOf, NOW, pick, SECOND } from './support.ts';

const cdn = (value: string, ...more: string[]) => ['cdn-cache-control', value, ...more];
const read = (value: string) => effectiveControl(cdn(value, 'cache-control', 'no-store'));

describe('2.2: which field decides', () => {
  test('2.2: the most specific that is there, before Cache-Control', () => {
    const fields = [
      'cache-control',
      'max-age=1',
      'cdn-cache-control',
      'max-age=2',
      'meridian-cdn-cache-control',
      'max-age=3',
    ];
    assert.equal(effectiveControl(fields).control.maxAgeMs, 3 * SECOND);
    assert.equal(effectiveControl(fields.slice(0, 4)).control.maxAgeMs, 2 * SECOND);
    assert.equal(effectiveControl(fields.slice(0, 2)).control.maxAgeMs, SECOND);
  });
  test('2.2: Cache-Control and Expires then count for nothing', () => {
    const expires = ['expires', formatHttpDate(NOW + 90 * SECOND), 'etag', '"a"'];
    const lifetime = (fields: string[]) => {
      const decision = decide(fields);
      return decision.kind === 'store' ? decision.lifetimeMs : decision.reason;
    };
    assert.equal(lifetime(cdn('max-age=60', 'cache-control', 'no-store')), 60 * SECOND);
    assert.equal(lifetime(cdn('no-store', 'cache-control', 'max-age=60')), 'no-store');
    assert.equal(lifetime(cdn('private', 'cache-control', 'max-age=60')), 'private');
    assert.equal(lifetime(cdn('frob', ...expires)), 0);
  });
  test('2.1: an empty field, or one that is not a dictionary, is as if it were not there', () => {
    for (const bad of ['', ' ', 'max-age=60, &&&&&', 'Max-Age=60', 'max-age=60,', 'max-age', 'no-store;']) {
      const { targeted } = read(bad);
      assert.equal(targeted, bad === 'max-age', bad);
    }
  });
  test('2.1: one bad line spoils the field, but not the next field of the list', () => {
    const fields = ['meridian-cdn-cache-control', 'max-age=3', 'meridian-cdn-cache-control', '&', ...cdn('max-age=2')];
    assert.equal(effectiveControl(fields).control.maxAgeMs, 2 * SECOND);
  });
});

describe('2.1: types', () => {
  test('2.1: what is well typed means what it means in Cache-Control', () => {
    for (const same of [
      'max-age=60, must-revalidate, public',
      's-maxage=0, stale-while-revalidate=5, stale-if-error=6, immutable',
      'no-cache="set-cookie", private="x, y"',
      'no-cache, no-store, private, proxy-revalidate, must-understand',
      'frob, frob2=1, frob3="x"',
    ]) {
      assert.deepEqual(read(same), { control: parseCacheControl(same), targeted: true });
    }
  });
  test('2.1: seconds that are no integer are no freshness', () => {
    for (const bad of [
      'max-age="60"',
      'max-age=60.0',
      'max-age=sixty',
      'max-age=-1',
      'max-age=?1',
      'max-age=(60)',
      'max-age',
    ]) {
      assert.equal(read(bad).control.maxAgeMs, 0, bad);
    }
  });
  test('2.1: a restriction counts whatever its type, unless it is false; a permission only as true', () => {
    for (const odd of ['no-store=1', 'no-store="x"', 'no-store=yes', 'no-store=()'])
      assert.ok(read(odd).control.noStore, odd);
    assert.deepEqual(read('no-store=?0').control, { ...NO_DIRECTIVES });
    for (const odd of ['public=1', 'public="x"', 'public=?0']) assert.ok(!read(odd).control.public, odd);
  });
  test('2.1: parameters mean nothing, and the last of one name counts', () => {
    assert.equal(read('max-age=60;x=1, max-age=5;y').control.maxAgeMs, 5 * SECOND);
  });
});

describe('2.3: beside other caches', () => {
  test('3.1: CDN-Cache-Control goes on to the next cache; our own field does not', () => {
    const head = headOf(['date', DATE, ...cdn('max-age=5'), 'meridian-cdn-cache-control', 'max-age=9']);
    assert.deepEqual(head.fields, ['date', DATE, 'cdn-cache-control', 'max-age=5']);
    assert.deepEqual(head.consumed, ['meridian-cdn-cache-control', 'max-age=9']);
    assert.equal(head.control.maxAgeMs, 9 * SECOND);
  });
  test('3.1: without s-maxage nothing forbids stale answers', () => {
    const head = headOf(['date', DATE, ...cdn('max-age=5', 'cache-control', 's-maxage=1, must-revalidate')]);
    assert.equal(head.neverStale, false);
  });
});

test('seeded fuzz: what is well typed decides as it would in Cache-Control, in whatever order and with whatever parameters', () => {
  const random = seededRandom(9213);
  const flags = [
    'no-store',
    'no-cache',
    'private',
    'public',
    'must-revalidate',
    'proxy-revalidate',
    'must-understand',
    'immutable',
  ];
  const seconds = ['max-age', 's-maxage', 'stale-while-revalidate', 'stale-if-error'];
  for (let round = 0; round < 6_000; round += 1) {
    const plain = new Map<string, string>();
    let text = '';
    for (let i = 1 + below(random, 5); i > 0; i -= 1) {
      const name = pick(random, random.next() < 0.5 ? flags : [...seconds, 'x']);
      const number = String(below(random, random.next() < 0.2 ? 10_000_000_000 : 1_000));
      const value = flags.includes(name) ? '' : `=${number}`;
      // The last of one name counts, where Cache-Control has rules of its own for that.
      plain.set(name, value);
      text += `${text === '' ? '' : pick(random, [', ', ',', ' ,\t'])}${name}${value}${pick(random, ['', ';a', ';b=1', ';c="x, y"'])}`;
    }
    const same = [...plain].map(([name, value]) => name + value).join(', ');
    assert.deepEqual(read(text), { control: parseCacheControl(same), targeted: true }, text);
  }
});
