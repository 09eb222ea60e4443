// What is made ready of a stored response, and when it is made anew.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { preparation, unchangedAnswer, wholeAnswer } from '../../../../edge-node/decide/cache/prepared.ts';
import { MemoryStore } from '../../../../edge-node/io/memory-store.ts';
import { entryOf, headOf, named } from './support.ts';

const FIELDS = ['cache-control', 'max-age=60', 'etag', '"v1"', 'content-type', 'text/plain'];

test('from the second who asks in a second on it is the same, while neither Age nor the time to live changes', () => {
  const entry = entryOf(headOf(FIELDS));
  const alone = preparation(entry, 1_000, 59_000, 'name');
  assert.deepEqual([alone.kept, entry.prepared], [false, undefined]);
  const first = preparation(entry, 1_000, 59_000, 'name');
  assert.ok(first.kept);
  assert.equal(preparation(entry, 1_000, 59_999, 'name'), first);
  assert.equal(preparation(entry, 1_999, 59_000, 'name'), first);
  assert.notEqual(preparation(entry, 1_999, 58_999, 'name'), first);
  const second = preparation(entry, 2_000, 58_999, 'name');
  assert.deepEqual([second.age, second.ttl, second.cacheStatus], [2, 58, 'name; hit; ttl=58']);
  assert.deepEqual([second.kept, preparation(entry, 2_500, 58_500, 'name').kept], [false, true]);
});

test('a refreshed head makes it anew, and what has left the store takes it along', () => {
  const store = new MemoryStore();
  const entry = store.put({ ...named('/'), head: headOf(FIELDS), body: Buffer.from('x') }) ?? assert.fail();
  preparation(entry, 0, 60_000, 'name');
  const before = preparation(entry, 0, 60_000, 'name');
  assert.equal(preparation(entry, 0, 60_000, 'name'), before);
  store.refresh(entry, headOf([...FIELDS, 'x-new', '1']));
  const after = preparation(entry, 0, 60_000, 'name');
  assert.notEqual(after, before);
  assert.ok(wholeAnswer(after, entry.body).fields.includes('x-new'));
  const other = store.put({ ...named('/'), head: headOf(FIELDS), body: Buffer.from('y') });
  assert.equal(other?.prepared, undefined);
});

test('the whole says all that is stored, 304 what it has to repeat, both Age and Cache-Status', () => {
  const entry = entryOf(headOf(FIELDS), 'body');
  const ready = preparation(entry, 3_500, 56_500, 'name');
  const whole = wholeAnswer(ready, entry.body);
  assert.deepEqual([whole.status, whole.length, whole.body], [200, 4, entry.body]);
  const added = ['accept-ranges', 'bytes', 'age', '3', 'cache-status', 'name; hit; ttl=56'];
  assert.deepEqual(whole.fields, [...entry.head.fields, ...added]);
  const unchanged = unchangedAnswer(ready);
  assert.deepEqual([unchanged.status, unchanged.length, unchanged.body], [304, undefined, undefined]);
  const repeated = ['cache-control', 'max-age=60', 'etag', '"v1"', 'date', 'Sun, 06 Nov 1994 08:49:37 GMT'];
  assert.deepEqual(unchanged.fields, [...repeated, 'age', '3', 'cache-status', 'name; hit; ttl=56']);
});
