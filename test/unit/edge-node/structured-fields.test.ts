// Structured field values, RFC 9651: what each type looks like, what is refused, and agreement with a plain reading of the
// grammar.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  type BareItem,
  type Member,
  type Parameters,
  parseDictionary,
  parseItem,
  parseList,
} from '../../../edge-node/decide/structured-fields.ts';
import { seededRandom } from '../../../infra/runtime/random.ts';
import { below, pick } from './cache/support.ts';

const bare = (text: string): BareItem | undefined => parseItem(text)?.value;
const value = (text: string) => bare(text)?.value;

describe('3.3: items', () => {
  test('3.3.1: integers have at most 15 digits', () => {
    assert.deepEqual(bare('42'), { kind: 'integer', value: 42 });
    assert.deepEqual(bare('-0'), { kind: 'integer', value: 0 });
    assert.equal(value('-999999999999999'), -999_999_999_999_999);
    assert.equal(value('0042'), 42);
    for (const bad of ['', '-', '1000000000000000', '+1', '1a', '--1', '1 2', '1e3', '١'])
      assert.equal(bare(bad), undefined, bad);
  });
  test('3.3.2: decimals have at most 12 digits before the point and 1 to 3 behind it', () => {
    assert.deepEqual(bare('4.5'), { kind: 'decimal', value: 4.5 });
    assert.equal(value('-999999999999.999'), -999_999_999_999.999);
    for (const bad of ['1.', '.5', '1.1234', '1000000000000.0', '1.5.', '1.-5'])
      assert.equal(bare(bad), undefined, bad);
  });
  test('3.3.3: strings are printable ASCII; only quote and backslash are escaped', () => {
    assert.deepEqual(bare('"a \\"b\\" \\\\"'), { kind: 'string', value: 'a "b" \\' });
    assert.equal(value('""'), '');
    for (const bad of ['"', '"a', 'a"', '"\\a"', '"\\', '"é"', '"\t"', "'a'"]) assert.equal(bare(bad), undefined, bad);
  });
  test('3.3.4: tokens begin with a letter or a star', () => {
    assert.deepEqual(bare('foo/b:a*r'), { kind: 'token', value: 'foo/b:a*r' });
    assert.equal(value('*'), '*');
    for (const bad of ['_a', ':a', '/a', 'a b', 'a"']) assert.equal(bare(bad), undefined, bad);
  });
  test('3.3.5: byte sequences are base64, padded or not', () => {
    assert.deepEqual(bare(':aGk=:'), { kind: 'bytes', value: Uint8Array.from([104, 105]) });
    assert.deepEqual(value(':aGk:'), Uint8Array.from([104, 105]));
    assert.deepEqual(value('::'), new Uint8Array(0));
    for (const bad of [':', ':a:', ':aGk', ':a=Gk:', ':aG k:', ':-_==:']) assert.equal(bare(bad), undefined, bad);
  });
  test('3.3.6: booleans', () => {
    assert.deepEqual([value('?1'), value('?0')], [true, false]);
    for (const bad of ['?', '?2', '?t', '?10']) assert.equal(bare(bad), undefined, bad);
  });
  test('3.3.7: dates are seconds', () => {
    assert.deepEqual(bare('@784111777'), { kind: 'date', value: 784_111_777 });
    assert.equal(value('@-1'), -1);
    for (const bad of ['@', '@1.5', '@a']) assert.equal(bare(bad), undefined, bad);
  });
  test('3.3.8: display strings are UTF-8 with lower-case escapes', () => {
    assert.deepEqual(bare('%"f%c3%bc %22 %25"'), { kind: 'display', value: 'fü " %' });
    for (const bad of ['%', '%"', '%"%C3%BC"', '%"%c3"', '%"%ff"', '%"%4"', '%"ü"', '%a'])
      assert.equal(bare(bad), undefined, bad);
  });
  test('4.2: spaces around, and nothing else', () => {
    assert.equal(value('  1  '), 1);
    for (const bad of ['\t1', '1\t', '1,', '1;', '\n1']) assert.equal(bare(bad), undefined, JSON.stringify(bad));
  });
  test('3.1.2: parameters; the last of one name counts', () => {
    const item = parseItem('a;b;  c=1;b=?0');
    assert.deepEqual(
      [...(item?.parameters ?? [])],
      [
        ['b', { kind: 'boolean', value: false }],
        ['c', { kind: 'integer', value: 1 }],
      ],
    );
    for (const bad of ['a ;b', 'a;B', 'a;b=', 'a;b =1', 'a;1']) assert.equal(parseItem(bad), undefined, bad);
  });
});

describe('3.1 and 3.2: lists and dictionaries', () => {
  test('3.1: members between commas, white space around those', () => {
    assert.equal(parseList('')?.length, 0);
    assert.equal(parseList('a,b ,\tc')?.length, 3);
    for (const bad of [',', 'a,', 'a,,b', 'a b', ',a']) assert.equal(parseList(bad), undefined, bad);
  });
  test('3.1.1: inner lists', () => {
    const [list] = parseList('( "a";x  b );y') ?? [];
    assert.equal(list?.kind === 'inner-list' && list.items.length, 2);
    assert.ok(list?.parameters.has('y'));
    assert.equal(parseList('()')?.length, 1);
    for (const bad of ['(', ')', '(a', '(a,b)', '("a""b")', '((a))', '(a)b', '(\ta)'])
      assert.equal(parseList(bad), undefined, bad);
  });
  test('3.2: keys are lower case; without a value they are true', () => {
    assert.equal(parseDictionary('')?.size, 0);
    const dictionary = parseDictionary('max-age=60, *x;q=1 , _.-*');
    assert.equal(dictionary, undefined);
    const sound = parseDictionary('max-age=60, *x;q=1 , no-store, l=(1 2)');
    assert.deepEqual([...(sound?.keys() ?? [])], ['max-age', '*x', 'no-store', 'l']);
    for (const bad of ['A=1', 'a=', 'a =1', 'a=1,', 'a=1;', '1=a', 'a=1 b=2', 'a==1', '=1']) {
      assert.equal(parseDictionary(bad), undefined, bad);
    }
  });
  test('4.2.2: of one key the last value counts, in the place of the first', () => {
    const dictionary = parseDictionary('a=1, b=2, a=3');
    assert.deepEqual(
      [...(dictionary ?? [])].map(([key, member]) => [key, member.kind === 'item' && member.value.value]),
      [
        ['a', 3],
        ['b', 2],
      ],
    );
  });
});

// The grammar, one regular expression for each piece: what may follow is cut off the front of the text.
const KEY = /^[a-z*][a-z0-9_.*-]*/;
const PARAMETER = /^; *([a-z*][a-z0-9_.*-]*)/;
const FORMS: readonly (readonly [RegExp, (match: RegExpExecArray) => BareItem | undefined])[] = [
  [/^-?\d{1,12}\.\d{1,3}(?![\d.])/, ([text]) => ({ kind: 'decimal', value: Number(text) + 0 })],
  [/^-?\d{1,15}(?![\d.])/, ([text]) => ({ kind: 'integer', value: Number(text) + 0 })],
  [
    /^"((?:[ !#-[\]-~]|\\[\\"])*)"/,
    (match) => ({ kind: 'string', value: (match[1] ?? '').replaceAll(/\\(.)/g, '$1') }),
  ],
  [/^[a-zA-Z*][\w!#$%&'*+.^`|~:/-]*/, ([text]) => ({ kind: 'token', value: text })],
  [/^\?([01])/, (match) => ({ kind: 'boolean', value: match[1] === '1' })],
  [/^@(-?\d{1,15})(?![\d.])/, (match) => ({ kind: 'date', value: Number(match[1]) + 0 })],
  [
    /^:([A-Za-z0-9+/]*={0,2}):/,
    (match) => {
      const text = match[1] ?? '';
      const sound = text.includes('=') ? text.length % 4 === 0 : text.length % 4 !== 1;
      return sound ? { kind: 'bytes', value: new Uint8Array(Buffer.from(text, 'base64')) } : undefined;
    },
  ],
];

class Cursor {
  text: string;
  constructor(text: string) {
    this.text = text;
  }
  take(pattern: RegExp): RegExpExecArray | undefined {
    const match = pattern.exec(this.text);
    if (match) this.text = this.text.slice(match[0].length);
    return match ?? undefined;
  }
}

const fail = (): never => {
  throw new SyntaxError();
};

function plainBare(cursor: Cursor): BareItem {
  for (const [pattern, make] of FORMS) {
    const match = cursor.take(pattern);
    if (match) return make(match) ?? fail();
  }
  return fail();
}

function plainParameters(cursor: Cursor): Parameters {
  const parameters = new Map<string, BareItem>();
  for (let key = cursor.take(PARAMETER); key; key = cursor.take(PARAMETER)) {
    parameters.set(key[1] ?? '', cursor.take(/^=/) ? plainBare(cursor) : { kind: 'boolean', value: true });
  }
  return parameters;
}

function plainMember(cursor: Cursor): Member {
  if (!cursor.take(/^\(/)) {
    const bareItem = plainBare(cursor);
    return { kind: 'item', value: bareItem, parameters: plainParameters(cursor) };
  }
  const items = [];
  while (!cursor.take(/^ *\)/)) {
    if (items.length > 0 && !cursor.take(/^ +/)) fail();
    cursor.take(/^ */);
    const bareItem = plainBare(cursor);
    items.push({ kind: 'item' as const, value: bareItem, parameters: plainParameters(cursor) });
  }
  return { kind: 'inner-list', items, parameters: plainParameters(cursor) };
}

function plainDictionary(text: string): Map<string, Member> | undefined {
  const cursor = new Cursor(text.replace(/^ +/, '').replace(/ +$/, ''));
  const members = new Map<string, Member>();
  try {
    while (cursor.text !== '') {
      const key = cursor.take(KEY)?.[0] ?? fail();
      if (cursor.take(/^=/)) members.set(key, plainMember(cursor));
      else
        members.set(key, {
          kind: 'item',
          value: { kind: 'boolean', value: true },
          parameters: plainParameters(cursor),
        });
      cursor.take(/^[ \t]*/);
      if (cursor.text !== '' && !cursor.take(/^,[ \t]*(?=.)/)) fail();
    }
    return members;
  } catch (error) {
    assert.ok(error instanceof SyntaxError);
    return undefined;
  }
}

test('seeded fuzz: a dictionary is read as the grammar reads it, or by neither', () => {
  const random = seededRandom(9651);
  const pieces = 'a|b=|max-age|no-store|=|=|=|, |, |,|;|;q| |\t|(|)|(1 2)|"x"|"|\\|1|60|-|.|1.5|12345678901234'.split(
    '|',
  );
  pieces.push(...'?1|?0|?|@5|:aGk=:|:aGk:|:|tok/en|A|*|é'.split('|'));
  const noise = (text: string, count: number) => {
    let noisy = text;
    for (let i = count; i > 0; i -= 1) {
      const at = below(random, noisy.length + 1);
      noisy = noisy.slice(0, at) + pick(random, pieces) + noisy.slice(at + below(random, 2));
    }
    return noisy;
  };
  const values = [
    '',
    '=1',
    '=-1.25',
    '="a, b"',
    '=?0',
    '=tok/en;p="x"',
    '=:aGk=:',
    '=@5',
    '=(1 "b";x)',
    '=()',
    ';a;b=?1',
  ];
  let sound = 0;
  for (let round = 0; round < 12_000; round += 1) {
    let text = '';
    for (let i = below(random, 4); i > 0; i -= 1) {
      text += (text === '' ? '' : ', ') + pick(random, ['a', 'b-c', '*', 'max-age']) + pick(random, values);
    }
    text = noise(text, below(random, 4));
    const read = parseDictionary(text);
    assert.deepEqual(read, plainDictionary(text), JSON.stringify(text));
    if (read !== undefined && read.size > 0) sound += 1;
  }
  assert.ok(sound > 2000, `only ${sound} were dictionaries`);
});
