// RFC 9111 section 4.1: requests that mean the same select the same response, and no others do.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { acceptEncoding, acceptLanguage } from '../../../../edge-node/decide/cache/negotiation.ts';
import { mergeVary, parseVary, varyValues } from '../../../../edge-node/decide/cache/vary.ts';
import { seededRandom } from '../../../../infra/runtime/random.ts';
import { below, pick } from './support.ts';

const same = (name: string, a: string, b: string) => varyValues([name], [name, a]) === varyValues([name], [name, b]);

describe('4.1: normalising', () => {
  test('4.1: white space around commas means nothing, in known and in unknown lists', () => {
    for (const name of ['accept', 'accept-charset', 'foo', 'x-features']) {
      assert.ok(same(name, '1,2', ' 1 ,\t2 '), name);
      assert.ok(!same(name, '1,2', '12'), name);
    }
  });
  test('4.1: but it may in a field that holds one value', () => {
    for (const name of ['cookie', 'user-agent', 'referer', 'origin']) assert.ok(!same(name, 'a,b', 'a, b'), name);
  });
  test('4.1: several lines are the same as one', () => {
    assert.equal(varyValues(['foo'], ['foo', '1', 'x', 'y', 'foo', '2']), varyValues(['foo'], ['foo', '1, 2']));
  });
  test('4.1: an absent field is not an empty one', () => {
    assert.notEqual(varyValues(['accept-encoding'], []), varyValues(['accept-encoding'], ['accept-encoding', '']));
  });
  test('4.1: the order in other lists may mean something', () => assert.ok(!same('foo', '1, 2', '2, 1')));
});

describe('RFC 9110 12.5.3: Accept-Encoding', () => {
  const equal = (a: string, b: string) => assert.equal(acceptEncoding(a), acceptEncoding(b), `${a} | ${b}`);
  const differ = (a: string, b: string) => assert.notEqual(acceptEncoding(a), acceptEncoding(b), `${a} | ${b}`);
  test('12.5.3: order, case, white space and how a weight is written mean nothing', () => {
    equal('gzip, br', 'br,GZIP');
    equal('gzip;q=1.000, br;q=0.5', 'br ; Q=0.50 ,\tgzip');
    equal('gzip, gzip', 'gzip');
  });
  test('12.5.3: x-gzip and x-compress are other names', () => equal('x-gzip, x-compress', 'compress, gzip'));
  test('12.5.3: to refuse what is not named anyway says nothing', () => {
    equal('gzip, br;q=0', 'gzip');
    equal('br;q=0', '');
  });
  test('12.5.3: but it does beside *, and of identity', () => {
    differ('*, br;q=0', '*');
    differ('gzip, identity;q=0', 'gzip');
    differ('gzip, *;q=0', 'gzip');
  });
  test('12.5.3: weights that differ mean different things', () => {
    differ('gzip, br;q=0.5', 'gzip, br');
    differ('gzip;q=0.5, br', 'gzip, br;q=0.5');
    differ('gzip;q=0.001', 'gzip;q=0.002');
  });
  test('12.5.3: what cannot be read is compared as it is', () => {
    for (const bad of [
      'gzip;q=2',
      'gzip;q=0.1234',
      'gzip;level=1',
      'gz ip',
      'gzip;q=',
      'gzip;q=1, gzip;q=0.5',
      '"gzip"',
    ]) {
      differ(bad, 'gzip');
      equal(bad, ` ${bad.replace(', ', ',')}`);
    }
  });
});

describe('RFC 9110 12.5.4: Accept-Language', () => {
  const equal = (a: string, b: string) => assert.equal(acceptLanguage(a), acceptLanguage(b), `${a} | ${b}`);
  test('12.5.4: case, white space, and the order among equal weights mean nothing', () => {
    equal('en-GB, de;q=0.7', 'DE ;q=0.70,EN-gb');
    equal('en, de', 'de, en');
    equal('de;q=0.5, en', 'en;q=1.0, de;q=0.5');
  });
  test('12.5.4: tags and weights do', () => {
    for (const [a, b] of [
      ['en', 'en-gb'],
      ['en, de;q=0.5', 'de, en;q=0.5'],
      ['en', 'en, *'],
      ['en, de;q=0', 'en'],
    ] as const) {
      assert.notEqual(acceptLanguage(a), acceptLanguage(b), a);
    }
  });
  test('12.5.4: what is no language range is compared as it is', () => {
    for (const bad of ['en_GB', 'en;q=5', 'toolonglanguage', 'en-', '1'])
      assert.notEqual(acceptLanguage(bad), acceptLanguage('en'));
  });
});

/** What each coding is worth to the client that sent `value`: the meaning that normalising must keep. */
function worth(value: string): Map<string, number> | undefined {
  const named = new Map<string, number>();
  for (const member of value.split(',').map((part) => part.trim().toLowerCase())) {
    if (member === '') continue;
    const [name = '', weight] = member.split(/\s*;\s*q=/);
    if (!/^[a-z*-]+$/.test(name) || (weight !== undefined && !/^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/.test(weight)))
      return undefined;
    const known = name === 'x-gzip' ? 'gzip' : name;
    const value = Number(weight ?? 1);
    if (named.has(known) && named.get(known) !== value) return undefined;
    named.set(known, value);
  }
  const rest = named.get('*') ?? 0;
  // -1: not named, and so neither preferred nor refused.
  return new Map([
    ...['gzip', 'br', 'zstd', 'other'].map((name) => [name, named.get(name) ?? rest] as const),
    ['identity', named.get('identity') ?? named.get('*') ?? -1],
  ]);
}

test('seeded fuzz: two Accept-Encoding are one variant only if they mean the same, and reading one twice changes nothing', () => {
  const random = seededRandom(1253);
  const pieces = [
    'gzip',
    'br',
    'x-gzip',
    'GZIP',
    '*',
    'identity',
    'zstd',
    ';q=0',
    ';q=0.5',
    ';q=0.50',
    ' ; q=1',
    ', ',
    ',',
    ' ',
    ';',
    'q',
  ];
  const seen = new Map<string, string>();
  for (let round = 0; round < 30_000; round += 1) {
    let value = '';
    for (let i = below(random, 7); i > 0; i -= 1) value += pick(random, pieces);
    const form = acceptEncoding(value);
    assert.equal(acceptEncoding(form), form, value);
    const meaning = worth(value);
    const other = seen.get(form);
    if (meaning === undefined) assert.equal(form.replaceAll(/[ \t,]/g, ''), value.replaceAll(/[ \t,]/g, ''), value);
    else if (other !== undefined) assert.deepEqual(meaning, worth(other), `${value} | ${other}`);
    else seen.set(form, value);
  }
});

/** Accept-Language in one form, by the grammar of RFC 9110 section 12.5.4 written as one expression. */
function plainLanguages(value: string): string {
  const members = value
    .split(',')
    .map((member) => member.replace(/^[ \t]+|[ \t]+$/g, ''))
    .filter((member) => member !== '');
  const weights = new Map<string, number>();
  for (const member of members) {
    const [, range = '', , , , weight = '1'] =
      /^(\*|[a-z]{1,8}(-([a-z0-9]{1,8}|\*))*)([ \t]*;[ \t]*q=(0|0\.\d{0,3}|1|1\.0{0,3}))?$/i.exec(member) ?? [];
    const name = range.toLowerCase();
    if (name === '' || (weights.get(name) ?? Number(weight)) !== Number(weight)) return members.join(', ');
    weights.set(name, Number(weight));
  }
  const sorted = [...weights].sort(([a, x], [b, y]) => (x === y ? (a < b ? -1 : 1) : y - x));
  return sorted.map(([name, weight]) => (weight === 1 ? name : `${name};q=${weight}`)).join(', ');
}

test('seeded fuzz: Accept-Language has the form that the grammar gives it, and reading that changes nothing', () => {
  const random = seededRandom(1254);
  const pieces = [
    'de',
    'DE-ch',
    'en',
    'en-*',
    '*',
    'zh-hant-tw',
    ';q=0',
    ';q=0.50',
    ' ; q=0.5',
    ';q=1',
    ';Q=1.000',
    ';q=2',
  ];
  pieces.push(', ', ', ', ',', ',', ' ', ';', 'q', '-', '9', 'é', 'toolonglanguage');
  let sound = 0;
  for (let round = 0; round < 30_000; round += 1) {
    let value = '';
    for (let i = below(random, 8); i > 0; i -= 1) value += pick(random, pieces);
    const form = acceptLanguage(value);
    assert.equal(form, plainLanguages(value), value);
    assert.equal(acceptLanguage(form), form, value);
    if (/;q=/.test(form) && form.includes(', ')) sound += 1;
  }
  assert.ok(sound > 1_000, `only ${sound} had weights`);
});

/** The names of a Vary, by a regular expression for the whole. */
function plainVary(value: string): string[] | 'any' {
  const names = value
    .split(',')
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== '');
  if (names.some((name) => name === '*' || !/^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(name))) return 'any';
  return [...new Set(names)].sort();
}

test('seeded fuzz: Vary is a list of names or matches nothing', () => {
  const random = seededRandom(41);
  const pieces = ['accept', 'Accept', 'x-a', '*', ',', ', ', ' ', '\t', ';', 'é', '(', 'cookie', ',,'];
  for (let round = 0; round < 20_000; round += 1) {
    let value = '';
    for (let i = below(random, 8); i > 0; i -= 1) value += pick(random, pieces);
    assert.deepEqual(parseVary(value), plainVary(value), JSON.stringify(value));
  }
});

describe('names that the route adds', () => {
  test('one cookie counts, whatever the others say', () => {
    const vary = mergeVary(['accept'], ['cookie;theme', 'x-country']);
    assert.deepEqual(vary, ['accept', 'cookie;theme', 'x-country']);
    const values = (...fields: string[]) => varyValues(vary, fields);
    assert.equal(values('cookie', 'id=1; theme=dark'), values('cookie', 'theme=dark;id=2'));
    assert.equal(values('cookie', 'id=1', 'cookie', 'theme=dark'), values('cookie', 'theme=dark'));
    assert.notEqual(values('cookie', 'theme=dark'), values('cookie', 'theme=light'));
    assert.notEqual(values('cookie', 'theme='), values('cookie', 'xtheme=1'));
    assert.equal(values(), values('cookie', 'id=1'));
    assert.notEqual(values('x-country', 'de'), values());
  });
  test('nothing added costs nothing', () => {
    const vary = ['accept'];
    assert.equal(mergeVary(vary, []), vary);
  });
});
