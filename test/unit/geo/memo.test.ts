import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Memo } from '../../../geo/memo.ts';

function filled(limit: number, count: number): Memo<number, string> {
  const memo = new Memo<number, string>(limit);
  for (let key = 0; key < count; key += 1) memo.set(key, `value ${key}`);
  return memo;
}

test('what was set is found until it is cleared', () => {
  const memo = filled(10, 3);
  assert.equal(memo.get(1), 'value 1');
  assert.equal(memo.get(3), undefined);
  memo.clear();
  assert.equal(memo.get(1), undefined);
});

test('it holds no more than its limit, and no less than the last half of it', () => {
  const memo = filled(10, 1000);
  const held = Array.from({ length: 1000 }, (_, key) => key).filter((key) => memo.get(key) !== undefined);
  assert.ok(held.length <= 10, `${held.length} held`);
  for (let key = 995; key < 1000; key += 1) assert.ok(held.includes(key), `${key} is gone`);
});

test('what is used stays, however much else passes through', () => {
  const memo = filled(10, 1);
  for (let key = 1; key < 1000; key += 1) {
    memo.set(key, `value ${key}`);
    assert.equal(memo.get(0), 'value 0', `gone after ${key}`);
  }
});
