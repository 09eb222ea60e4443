// Surrogate keys: how they are read, how many there may be, and that nobody behind this cache sees them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  consumedFields,
  MAX_TAG_LENGTH,
  MAX_TAGS,
  MAX_TAGS_LENGTH,
  parseTags,
  withoutConsumed,
} from '../../../../edge-node/decide/cache/tags.ts';
import { seededRandom } from '../../../../infra/runtime/random.ts';
import { below, DATE, decide, headOf, pick } from './support.ts';

const tags = (...fields: string[]) => {
  const read = parseTags(fields);
  return read.kind === 'tags' ? read.tags : read.reason;
};

test('spaces separate the tags of Surrogate-Key, commas those of Cache-Tag', () => {
  assert.deepEqual(tags('surrogate-key', ' b  a\tc,d '), ['a', 'b', 'c,d']);
  assert.deepEqual(tags('cache-tag', ' b ,a,, c'), ['a', 'b', 'c']);
});

test('all lines of both count, each tag once; upper and lower case differ', () => {
  assert.deepEqual(tags('surrogate-key', 'a b', 'cache-tag', 'b,A', 'surrogate-key', 'c'), ['A', 'a', 'b', 'c']);
  assert.deepEqual(tags('x', 'a'), []);
  assert.deepEqual(tags('surrogate-key', ' '), []);
});

test('too many, too long, and what is no tag: refused, since it could not be purged', () => {
  const many = Array.from({ length: MAX_TAGS }, (_, i) => `t${i}`);
  assert.equal(tags('surrogate-key', many.join(' ')).length, MAX_TAGS);
  assert.equal(tags('surrogate-key', [...many, 'x'].join(' ')), 'tags');
  assert.equal(tags('cache-tag', 'x'.repeat(MAX_TAG_LENGTH)).length, 1);
  assert.equal(tags('cache-tag', 'x'.repeat(MAX_TAG_LENGTH + 1)), 'tags');
  const long = Array.from({ length: 1 + MAX_TAGS_LENGTH / 200 }, (_, i) => String(i).padStart(200, 'x'));
  assert.equal(tags('surrogate-key', long.join(' ')), 'tags');
  assert.equal(tags('surrogate-key', 'é'), 'tags');
  assert.equal(tags('cache-tag', 'a b'), 'tags');
  assert.deepEqual(decide(['cache-control', 'max-age=60', 'surrogate-key', 'é']), { kind: 'skip', reason: 'tags' });
});

test('a stored head knows its tags and does not send them', () => {
  const head = headOf([
    'date',
    DATE,
    'cache-control',
    'max-age=60',
    'surrogate-key',
    'a b',
    'cache-tag',
    'c',
    'x',
    '1',
  ]);
  assert.deepEqual(head.tags, ['a', 'b', 'c']);
  assert.deepEqual(head.fields, ['date', DATE, 'cache-control', 'max-age=60', 'x', '1']);
});

test('what a private directive names is no tag either', () => {
  const head = headOf(['date', DATE, 'cache-control', 'max-age=60, private="cache-tag"', 'cache-tag', 'c']);
  assert.deepEqual([head.tags, head.consumed], [[], []]);
});

test('fields that have nothing for this cache alone are not copied', () => {
  const plain = ['x', '1'];
  assert.equal(withoutConsumed(plain), plain);
  const mixed = ['x', '1', 'surrogate-key', 'a', 'meridian-cdn-cache-control', 'no-store', 'y', '2'];
  assert.deepEqual(withoutConsumed(mixed), ['x', '1', 'y', '2']);
  assert.deepEqual(consumedFields(mixed), ['surrogate-key', 'a', 'meridian-cdn-cache-control', 'no-store']);
});

test('seeded fuzz: whatever stands there, tags are sorted, single, and such as can be purged', () => {
  const random = seededRandom(9213);
  const pieces = ['a', 'b', 'tag-1', ' ', ',', '\t', '"', 'é', '  ', ';', 'x'.repeat(100)];
  for (let round = 0; round < 5000; round += 1) {
    let value = '';
    for (let i = below(random, 12); i > 0; i -= 1) value += pick(random, pieces);
    const name = pick(random, ['surrogate-key', 'cache-tag']);
    const read = parseTags([name, value]);
    const plain = [...new Set(value.split(name === 'cache-tag' ? ',' : /[ \t]+/).map((tag) => tag.trim()))]
      .filter((tag) => tag !== '')
      .sort();
    assert.deepEqual(
      read,
      plain.every((tag) => /^[!-~]{1,256}$/.test(tag))
        ? { kind: 'tags', tags: plain }
        : { kind: 'refused', reason: 'tags' },
      value,
    );
  }
});
