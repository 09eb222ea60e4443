// The record of a stored response: whatever head is put in comes out the same.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type HeadInput, makeHead, type Storable } from '../../../../edge-node/decide/cache/entry.ts';
import { formatHttpDate } from '../../../../edge-node/decide/cache/http-date.ts';
import { LIFETIME_SOURCES } from '../../../../edge-node/decide/cache/lifetime.ts';
import { encodeRecord, RecordReader } from '../../../../edge-node/decide/cache/record.ts';
import { type Random, seededRandom } from '../../../../infra/runtime/random.ts';
import { below, DATE, NOW, named, pick } from './support.ts';

type Content = Omit<Storable, 'body'>;

const PLAIN: HeadInput = {
  status: 200,
  fields: ['date', DATE],
  requestFields: [],
  requestedAt: NOW,
  receivedAt: NOW,
  lifetimeMs: 60_000,
  lifetimeSource: 'max-age',
  vary: [],
  barrier: 0,
};

function content(over: Partial<HeadInput> = {}, names = named('/a?b=c')): Content {
  return { ...names, head: makeHead({ ...PLAIN, ...over }) };
}

function same(reader: RecordReader, entry: Content): void {
  const record = encodeRecord(entry);
  assert.ok(/^[\0-\xff]+$/.test(record), 'every character is one byte');
  // As it comes out of memory.
  const copy = Buffer.from(record, 'latin1').toString('latin1');
  assert.deepEqual(reader.read(copy, entry.key), entry);
  assert.deepEqual(reader.read(copy), entry);
  const { key, host, purgeTarget, head } = entry;
  const { barrier, tags } = head;
  assert.deepEqual(reader.purgeable(copy), { host, purgeTarget, head: { barrier, tags } });
  assert.deepEqual(reader.name(copy), { key, variant: head.variant, barrier });
}

test('a plain head', () => same(new RecordReader(), content()));

test('everything that a head may have', () => {
  const fields = [
    'date',
    DATE,
    'cache-control',
    'public, no-cache, max-age=60, s-maxage=0, must-revalidate, max-stale, immutable, private="x-b, x-c", no-cache="x-d"',
  ];
  fields.push('surrogate-key', 'b a', 'cdn-cache-control', '', 'x-b', '1');
  fields.push('etag', 'W/"x"', 'last-modified', DATE, 'x-unknown', 'abc', 'link', '<a>', 'link', '<b>', 'x-empty', '');
  fields.push('vary', 'accept, x-own', 'age', '30');
  const requestFields = ['accept', 'text/html', 'x-own', '1'];
  const entry = content({ fields, requestFields, vary: ['accept', 'x-own'], barrier: 2 ** 40, status: 404 });
  assert.equal(entry.head.control.maxStaleMs, Number.POSITIVE_INFINITY);
  assert.equal(entry.head.etag, 'W/"x"');
  assert.ok(entry.head.neverStale && entry.head.initialAgeMs >= 30_000);
  assert.deepEqual(
    [entry.head.tags, entry.head.consumed],
    [
      ['a', 'b'],
      ['surrogate-key', 'b a'],
    ],
  );
  same(new RecordReader(), entry);
});

test('how long it may be used while it is stale', () => {
  const fields = ['date', DATE, 'cache-control', 'max-age=1, stale-while-revalidate=60'];
  const entry = content({ fields, staleIfErrorMs: 5000 });
  assert.deepEqual([entry.head.staleWhileRevalidateMs, entry.head.staleIfErrorMs], [60_000, 5000]);
  same(new RecordReader(), entry);
});

test('what an index says of its slices', () => {
  const slices = { bytes: 1024 * 1024, length: 10_000_000_000, generation: 'x1.y2' };
  same(new RecordReader(), content({ slices }));
});

test('directives of a field that is not stored itself', () => {
  const fields = ['date', DATE, 'cache-control', 'max-age=60, private', 'connection', 'cache-control'];
  const entry = content({ fields });
  assert.ok(entry.head.control.private && !entry.head.fields.includes('cache-control'));
  same(new RecordReader(), entry);
});

test('numbers that are negative, fractions, or not to be had', () => {
  const reader = new RecordReader();
  for (const requestedAt of [
    0,
    1,
    125,
    126,
    127,
    128,
    2 ** 31,
    2 ** 53 - 3,
    2 ** 53 - 1,
    2 ** 60,
    0.5,
    -1,
    -0.25,
    NOW + 0.125,
  ]) {
    same(reader, content({ requestedAt, receivedAt: requestedAt }));
  }
  same(reader, content({ fields: ['date', formatHttpDate(-1_000_000)] }));
});

test('values with bytes above 0x7f and characters above 0xff', () => {
  const long = 'é'.repeat(200) + '€'.repeat(200);
  const fields = ['date', DATE, 'x-latin', 'é\xff\x80', 'x-wide', '€\ud83d\ude00', 'x-long', long, 'x-ｗide', 'x'];
  const key = 'http://example.com/€';
  same(new RecordReader(), content({ fields }, { key, host: 'example.com', purgeTarget: 'example.com/€' }));
});

test('values that have a place of their own take two characters, and what resembles them is not taken for one', () => {
  const reader = new RecordReader();
  const known = ['text/html; charset=utf-8', 'public, max-age=31536000, immutable', '0', 'gzip', 'nosniff'];
  const others = ['', '\x01', '\x01\x00', '\u0100', 'Text/html', 'text/htm'];
  for (const value of [...known, ...others])
    same(reader, content({ fields: ['date', DATE, 'x-a', value, 'x-b', value] }));
  const length = (value: string) => encodeRecord(content({ fields: ['date', DATE, 'x-a', value] })).length;
  for (const value of known) assert.equal(length(value), length('') + 1);
});

test('what requests sent that a response varies by takes two characters where it recurs', () => {
  const length = (encodings: string) => {
    const requestFields = ['accept-encoding', encodings];
    const entry = content({ vary: ['accept-encoding'], requestFields });
    same(new RecordReader(), entry);
    return encodeRecord(entry).length;
  };
  assert.equal(length('gzip, deflate, br, zstd'), length('gzip'));
  assert.equal(length('x'), length('gzip') - 2 + 'laccept-encoding:x\n'.length);
});

test('dates as they are usually written take little, and every other text of 29 characters stays as it is', () => {
  const reader = new RecordReader();
  const usual = [
    'date',
    DATE,
    'last-modified',
    'Sat, 05 Nov 1994 08:49:37 GMT',
    'expires',
    'Sun, 06 Nov 1994 08:54:37 GMT',
  ];
  const entry = content({ fields: usual });
  same(reader, entry);
  assert.ok(encodeRecord(entry).length < encodeRecord(content()).length + 20);
  for (const other of [
    'Sun, 06 Nov 1994 08:49:37 gmt',
    'sun, 06 nov 1994 08:49:37 GMT',
    'Mon, 06 Nov 1994 08:49:37 GMT',
    'Sun, 06 Nov 1994 08:49:60 GMT',
    'Sun, 06 Nov 1994 24:00:00 GMT',
    'Sun, 31 Nov 1994 08:49:37 GMT',
    'Sun, 06 Nov 1994 08:49:37 UTC',
    'Sun, 6 Nov 1994 08:49:37  GMT',
    'Sunday, 06-Nov-94 08:49:37 GMT',
    'Monday, 7-Nov-94 08:49:37 GMT',
    'Sun Nov  6 08:49:37 1994',
    'Sun Nov  6 08:49:37 1994     ',
    'Wed, 31 Dec 1969 23:59:59 GMT',
    'Sat, 01 Jan 0000 00:00:00 GMT',
    'Fri, 31 Dec 9999 23:59:59 GMT',
    'Sat, 01 Jan 10000 00:00:00 GMT',
    'Sun, 06 Nov 1994 08:49:37 GMT ',
  ]) {
    for (const name of ['date', 'last-modified', 'expires', 'x-date']) same(reader, content({ fields: [name, other] }));
    same(reader, content({ fields: ['date', DATE, 'last-modified', other, 'expires', other, 'x-date', DATE] }));
  }
});

test('seeded: a letter of a date changed, at any place, stays changed', () => {
  const random = seededRandom(7);
  const reader = new RecordReader();
  const written = (): string => {
    const text = formatHttpDate((below(random, 40_000) - 1000) * 86_400_000 + below(random, 86_400_000));
    if (below(random, 3) === 0) return text;
    const at = below(random, text.length);
    return text.slice(0, at) + pick(random, [...'0123456789 ,:aGnS\xff€']) + text.slice(at + 1);
  };
  for (let i = 0; i < 3000; i += 1) {
    const fields = ['date', written(), 'last-modified', written(), 'expires', written(), 'x-date', written()];
    if (below(random, 4) === 0) fields.push('x-also', fields[below(random, 4) * 2 + 1] ?? '');
    const requestedAt = below(random, 2 ** 41) + pick(random, [0, 0.5]);
    same(reader, content({ fields, requestedAt, receivedAt: requestedAt + below(random, 20_000) - 5000 }));
  }
});

test('a head that a 304 has refreshed mostly takes as much as before, so that it fits where it was', () => {
  const lengths = new Set<number>();
  for (let i = 0; i < 500; i += 1) {
    const requestedAt = NOW + i * 61_337;
    const receivedAt = requestedAt + i;
    const [date, expires] = [receivedAt - (i % 7) * 400, receivedAt + 300_000];
    const fields = ['date', formatHttpDate(date), 'last-modified', DATE, 'expires', formatHttpDate(expires)];
    lengths.add(encodeRecord(content({ fields, requestedAt, receivedAt })).length);
  }
  assert.equal(lengths.size, 1);
});

test('names that are parts of the key, and names that are not', () => {
  const reader = new RecordReader();
  for (const [key, host, purgeTarget] of [
    ['https://example.com/', 'example.com', 'example.com/'],
    ['https://example.com:8443/a', 'example.com', 'example.com/a'],
    ['http://[::1]:80/a', '[::1]', '[::1]/a'],
    ['http://[::1]/a', '::1', '::1/a'],
    ['http://a.example/x', 'b.example', 'b.example/x'],
    ['http://a.example/x', 'a.example', 'a.example/y'],
    ['http://a.example/x', '', ''],
    ['a.example/x', 'a.example', 'a.example/x'],
    ['', '', ''],
  ] as const) {
    same(reader, content({}, { key, host, purgeTarget }));
  }
});

test('the record of another key is not read, also where one key begins like the other', () => {
  const reader = new RecordReader();
  const record = encodeRecord(content());
  for (const key of ['', 'x', named('/a?b=').key, named('/a?b=cd').key, named('/a?b=€').key]) {
    assert.equal(reader.read(record, key), undefined);
  }
});

test('entries with the same directives share one object for them', () => {
  const reader = new RecordReader();
  const fields = ['date', DATE, 'cache-control', 'max-age=61, must-revalidate'];
  const records = ['/1', '/2'].map((target) => encodeRecord(content({ fields }, named(target))));
  const [one, two] = records.map((record) => reader.read(record)?.head.control);
  assert.equal(one, two);
});

test('a usual head takes a third of what it takes as JSON', () => {
  const fields = ['date', DATE, 'content-type', 'text/html', 'content-length', '100', 'etag', '"abcdef"'];
  fields.push('cache-control', 'public, max-age=600', 'last-modified', DATE, 'server', 'x');
  const entry = content({ fields });
  assert.ok(encodeRecord(entry).length * 3 < JSON.stringify(entry).length);
});

const NAMES = [
  'date',
  'etag',
  'last-modified',
  'cache-control',
  'x-a',
  'vary',
  'expires',
  'x-é',
  'content-type',
  'age',
  'surrogate-key',
];
const DIRECTIVES = [
  'no-store',
  'no-cache',
  'private',
  'public',
  'max-age=5',
  's-maxage=9',
  'min-fresh=1',
  'only-if-cached',
  'immutable',
  'stale-if-error=7',
  'stale-while-revalidate=8',
  'private="x-a"',
  'no-cache="etag, x"',
];

function value(random: Random): string {
  const kind = below(random, 6);
  if (kind === 0) return formatHttpDate(below(random, 2 ** 40));
  if (kind === 1) return Array.from({ length: below(random, 4) }, () => pick(random, DIRECTIVES)).join(', ');
  const limit = pick(random, [0x7f, 0x100, 0x100, 0x3000]);
  const length = below(random, pick(random, [4, 70, 300, 20_000]));
  return Array.from({ length }, () => String.fromCharCode(below(random, limit))).join('');
}

test('seeded: heads of all kinds come out as they went in', () => {
  const random = seededRandom(42);
  const reader = new RecordReader();
  for (let i = 0; i < 400; i += 1) {
    const fields = Array.from({ length: below(random, 12) }, () => [pick(random, NAMES), value(random)]).flat();
    const requestedAt = below(random, 2 ** 42);
    const head: Partial<HeadInput> = {
      fields,
      status: 100 + below(random, 500),
      requestFields: ['accept', value(random)],
      requestedAt,
      receivedAt: requestedAt + below(random, 5000),
      lifetimeMs: below(random, pick(random, [2, 1000, 2 ** 42])),
      lifetimeSource: pick(random, LIFETIME_SOURCES),
      vary: pick(random, [[], ['accept'], ['accept', 'x-b']]),
      barrier: below(random, pick(random, [2, 1000, 2 ** 50])),
    };
    same(reader, content(head, named(`/${value(random).slice(0, 300)}`)));
  }
});
