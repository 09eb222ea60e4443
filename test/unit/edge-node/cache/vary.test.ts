// Which stored response answers a request (RFC 9111 section 4.1).
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { CacheEntry } from '../../../../edge-node/decide/cache/entry.ts';
import { formatHttpDate } from '../../../../edge-node/decide/cache/http-date.ts';
import { selectVariant, varyValues } from '../../../../edge-node/decide/cache/vary.ts';
import { type FieldList, listMembers } from '../../../../edge-node/decide/fields.ts';
import { seededRandom } from '../../../../infra/runtime/random.ts';
import { below, entryOf, headOf, NOW, pick, SECOND } from './support.ts';

const same = (vary: string[], a: FieldList, b: FieldList) => varyValues(vary, a) === varyValues(vary, b);

describe('4.1: the secondary key', () => {
  test('is empty without Vary', () => assert.equal(varyValues([], ['accept', 'x']), ''));

  test('takes in only what Vary names', () => {
    assert.ok(same(['accept'], ['accept', 'a', 'x', '1'], ['x', '2', 'accept', 'a']));
    assert.ok(!same(['accept'], ['accept', 'a'], ['accept', 'b']));
  });

  test('an absent field matches only an absent one', () => {
    assert.ok(same(['accept'], [], ['x', '1']));
    assert.ok(!same(['accept'], [], ['accept', '']));
  });

  test('several lines are one list', () => {
    assert.ok(same(['accept'], ['accept', 'a', 'accept', 'b'], ['accept', 'a, b']));
  });

  test('white space around the commas of a list means nothing', () => {
    assert.ok(same(['accept-encoding'], ['accept-encoding', 'gzip,br'], ['accept-encoding', ' gzip ,\t br,']));
    assert.ok(same(['accept-encoding'], ['accept-encoding', 'gzip\t, br'], ['accept-encoding', 'gzip, br']));
    assert.ok(!same(['accept-encoding'], ['accept-encoding', 'gzip,br'], ['accept-encoding', 'gzipbr']));
  });

  test('in a field that is not known to be a list it may', () => {
    assert.ok(!same(['cookie'], ['cookie', 'a=1,2'], ['cookie', 'a=1, 2']));
  });

  test('values cannot pass for one another across names', () => {
    assert.ok(!same(['a', 'b'], ['a', 'x', 'b', ''], ['a', '', 'b', 'x']));
    assert.ok(!same(['a', 'b'], ['a', 'x:b', 'b', ''], ['a', 'x', 'b', 'b:']));
  });
});

test('seeded: a list that needs no normalising is told from one that does', () => {
  const random = seededRandom(41);
  const pieces = ['a', 'b;q=0.5', 'c d', ',', ', ', ' ', '\t', '"x, y"', '"', ',,'];
  for (let round = 0; round < 20_000; round += 1) {
    let value = '';
    for (let i = below(random, 8); i > 0; i -= 1) value += pick(random, pieces);
    const expected = `accept:${listMembers(value).join(', ')}\n`;
    assert.equal(varyValues(['accept'], ['accept', value]), expected, JSON.stringify(value));
  }
});

describe('4.1: selecting', () => {
  const stored = (vary: string, requestFields: FieldList, seconds = 0, receivedAt = NOW) =>
    entryOf(
      headOf(['date', formatHttpDate(NOW + seconds * SECOND), 'cache-control', 'max-age=60', 'vary', vary], {
        requestFields,
        receivedAt,
      }),
    );

  test('nothing from nothing', () => assert.equal(selectVariant([], []), undefined));

  test('what has no Vary answers everything', () => {
    const entry = stored('', ['accept', 'a']);
    assert.equal(selectVariant([entry], ['accept', 'b']), entry);
  });

  test('the variant whose fields match', () => {
    const one = stored('accept', ['accept', 'a']);
    const two = stored('accept', ['accept', 'b']);
    assert.equal(selectVariant([one, two], ['accept', 'a']), one);
    assert.equal(selectVariant([one, two], ['accept', 'b']), two);
    assert.equal(selectVariant([one, two], ['accept', 'c']), undefined);
    assert.equal(selectVariant([one, two], []), undefined);
  });

  test('variants may differ in what they vary on', () => {
    const byAccept = stored('accept', ['accept', 'a', 'x', '1']);
    const byX = stored('x', ['accept', 'a', 'x', '1']);
    assert.equal(selectVariant([byAccept, byX], ['accept', 'b', 'x', '1']), byX);
    assert.equal(selectVariant([byX, byAccept], ['accept', 'a', 'x', '2']), byAccept);
  });

  test('of several that match, the one with the most recent Date', () => {
    const older = stored('accept', [], 5);
    const newer = stored('', [], 9);
    assert.equal(selectVariant([older, newer], []), newer);
    assert.equal(selectVariant([newer, older], []), newer);
  });

  test('and with the same Date, the one received last', () => {
    const first = stored('accept', [], 0, NOW);
    const second = stored('', [], 0, NOW + 10);
    assert.equal(selectVariant([first, second], []), second);
    assert.equal(selectVariant([second, first], []), second);
  });
});

/** Whether the request has what the entry was stored for, name by name; of such entries the newest Date, then the last received. */
function plainSelect(entries: readonly CacheEntry[], stored: readonly FieldList[], fields: FieldList) {
  const lines = (of: FieldList, name: string) => {
    const values = of.filter((_, i) => i % 2 === 1 && of[i - 1] === name);
    return values.length === 0 ? undefined : values.flatMap((value) => listMembers(value)).join(', ');
  };
  const matching = entries.filter((entry, i) =>
    entry.head.vary.every((name) => lines(stored[i] ?? [], name) === lines(fields, name)),
  );
  const rank = ({ head }: CacheEntry) => [head.dateMs, head.receivedAt, entries.findIndex((one) => one.head === head)];
  return matching.toSorted((a, b) => {
    const [x, y] = [rank(a), rank(b)];
    return (y[0] ?? 0) - (x[0] ?? 0) || (y[1] ?? 0) - (x[1] ?? 0) || (y[2] ?? 0) - (x[2] ?? 0);
  })[0];
}

test('seeded fuzz: of variants of any kind the one is selected that looking at each field of each gives', () => {
  const random = seededRandom(41);
  const names = ['accept', 'x-a', 'x-b'];
  const values = ['a', 'b', 'a, b', 'a,b', '', ',', 'b, a'];
  const someFields = () => {
    const fields: string[] = [];
    for (let i = below(random, 4); i > 0; i -= 1) fields.push(pick(random, names), pick(random, values));
    return fields;
  };
  const counts = { none: 0, some: 0 };
  for (let round = 0; round < 8_000; round += 1) {
    const stored: string[][] = [];
    const entries: CacheEntry[] = [];
    for (let i = below(random, 5); i > 0; i -= 1) {
      const requestFields = someFields();
      const vary = names.filter(() => random.next() < 0.4).join(', ');
      const date = formatHttpDate(NOW + below(random, 2) * SECOND);
      const fields = ['date', date, 'cache-control', 'max-age=60', 'vary', vary];
      entries.push(entryOf(headOf(fields, { requestFields, receivedAt: NOW + 2 * SECOND + below(random, 2) })));
      stored.push(requestFields);
    }
    const fields = someFields();
    const selected = selectVariant(entries, fields);
    assert.equal(selected, plainSelect(entries, stored, fields), JSON.stringify({ stored, fields }));
    counts[selected === undefined ? 'none' : 'some'] += 1;
  }
  assert.ok(counts.none > 1_000 && counts.some > 1_000, JSON.stringify(counts));
});
