// What a request's fields in HTTP/2 say in the terms of HTTP/1.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  checkTrailers,
  type Http2Request,
  readRequestFields,
} from '../../../../edge-node/decide/http2/request-fields.ts';
import { seededRandom } from '../../../../infra/runtime/random.ts';

const LIMITS = { headBytes: 1_000, fieldCount: 10 };
const PSEUDO = [':method', 'GET', ':scheme', 'https', ':authority', 'demo.example', ':path', '/a?b'];

function readAll(raw: readonly string[]): Http2Request {
  const read = readRequestFields(raw, LIMITS);
  return read.kind === 'request' ? read : assert.fail(read.detail);
}

function read(...fields: readonly string[]): Http2Request {
  return readAll([...PSEUDO, ...fields]);
}

function assertMalformed(raw: readonly string[]): void {
  assert.equal(readRequestFields(raw, LIMITS).kind, 'malformed', JSON.stringify(raw));
}

/** After Host. */
function kept(...fields: readonly string[]): string[] {
  return read(...fields).fields.slice(2);
}

function refusal(raw: readonly string[]): string | undefined {
  return readAll(raw).refusal?.code;
}

test('pseudo-fields become method, target and Host, which comes first', () => {
  assert.deepEqual(read('accept', '*/*'), {
    kind: 'request',
    method: 'GET',
    target: '/a?b',
    fields: ['host', 'demo.example', 'accept', '*/*'],
    contentLength: undefined,
    expectsContinue: false,
    dropped: 0,
    refusal: undefined,
  });
});

test('without :authority there is the Host that was sent; without either the request is malformed', () => {
  const others = [':method', 'GET', ':scheme', 'https', ':path', '/'];
  assert.deepEqual(readAll([...others, 'accept', 'b', 'host', 'a']).fields, ['host', 'a', 'accept', 'b']);
  assertMalformed(others);
});

test('pseudo-fields that are missing, doubled, late, unknown or empty make a request malformed', () => {
  const pairs = [
    [':method', 'GET'],
    [':scheme', 'https'],
    [':authority', 'a'],
    [':path', '/'],
  ] as const;
  for (const [name, value] of pairs) {
    const others = pairs.filter((pair) => pair[0] !== name).flat();
    assertMalformed(others);
    assertMalformed([...others, name, value, name, value]);
    assertMalformed([...others, 'accept', 'a', name, value]);
    assertMalformed([...others, name, '']);
    assertMalformed([...others, name, `${value}\0`]);
  }
  for (const name of [':status', ':protocol', ':', ':Method']) assertMalformed([...pairs.flat(), name, '1']);
  assertMalformed([]);
});

test('CONNECT has a method and an authority, and nothing else of the kind', () => {
  const { method, target, fields } = readAll([':method', 'CONNECT', ':authority', 'a:443']);
  assert.deepEqual([method, target, fields], ['CONNECT', '', ['host', 'a:443']]);
  assertMalformed([':method', 'CONNECT', ':scheme', 'https', ':path', '/', ':authority', 'a:443']);
  assertMalformed([':method', 'CONNECT', 'host', 'a:443']);
});

test('names in upper case, fields of a connection, and characters that no field has make a request malformed', () => {
  for (const name of ['Accept', 'x a', 'x:', '', '\0', 'x\x7f', 'x\xe9']) assertMalformed([...PSEUDO, name, '1']);
  for (const value of [' a', 'a ', 'a\t', 'a\nb', 'a\rb', 'a\0b', '\x1f', '\x7f'])
    assertMalformed([...PSEUDO, 'a', value]);
  for (const name of ['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade'])
    assertMalformed([...PSEUDO, name, 'a']);
  assertMalformed([...PSEUDO, 'te', 'gzip']);
  assert.deepEqual(kept('te', 'trailers', 'a', 'b\tc \xe9'), ['te', 'trailers', 'a', 'b\tc \xe9']);
});

test('trailers have ordinary fields alone', () => {
  assert.equal(checkTrailers(['x-a', '1']), undefined);
  for (const raw of [
    [':path', '/'],
    ['X-A', '1'],
    ['x-a', 'a\nb'],
  ])
    assert.equal(checkTrailers(raw)?.kind, 'malformed');
});

test('a Host beside :authority must name the same, and is left out', () => {
  for (const host of ['demo.example', 'DEMO.example', 'demo.example:443']) {
    assert.deepEqual([read('host', host).fields, read('host', host).refusal], [['host', 'demo.example'], undefined]);
  }
  for (const host of ['other.example', 'demo.example:80', 'demo.example.']) {
    assert.equal(read('host', host).refusal?.code, 'malformed-host', host);
  }
  for (const host of ['', 'a b', 'user@demo.example']) assertMalformed([...PSEUDO, 'host', host]);
  assertMalformed([...PSEUDO, 'host', 'demo.example', 'host', 'demo.example']);
});

test('the crumbs of a cookie become one field, where the first was', () => {
  assert.deepEqual(kept('cookie', 'a=1', 'accept', '*/*', 'cookie', 'b=2', 'cookie', 'c=3'), [
    'cookie',
    'a=1; b=2; c=3',
    'accept',
    '*/*',
  ]);
});

test('other repeated fields stay as they came, in order', () => {
  const fields = ['accept', 'a', 'via', '2 x', 'accept', 'b'];
  assert.deepEqual(kept(...fields), fields);
});

test('fields with "_" are dropped and counted', () => {
  const { fields, dropped } = read('x_forwarded_for', '1', 'x-a', '2', 'content_length', '5');
  assert.deepEqual([fields.slice(2), dropped], [['x-a', '2'], 2]);
});

test('Content-Length and Expect are read', () => {
  assert.equal(read('content-length', '42').contentLength, 42);
  assert.deepEqual(
    [read('expect', '100-Continue').expectsContinue, read('expect', '100-continue').refusal],
    [true, undefined],
  );
  assert.equal(read('expect', 'tea').refusal?.code, 'expectation-failed');
  for (const value of ['', '+5', '-1', '0x5', '5, 5', '1'.repeat(16)])
    assertMalformed([...PSEUDO, 'content-length', value]);
  assertMalformed([...PSEUDO, 'content-length', '5', 'content-length', '5']);
});

test('too many fields, and too many bytes of them, are too large', () => {
  const six = ['a', '', 'a', '', 'a', '', 'a', '', 'a', '', 'a', ''];
  assert.equal(refusal([...PSEUDO, ...six]), undefined);
  assert.equal(refusal([...PSEUDO, ...six, 'a', '']), 'fields-too-large');
  const bytes = PSEUDO.join('').length + 4 * 32;
  assert.equal(refusal([...PSEUDO, 'a', 'x'.repeat(1_000 - bytes - 33)]), undefined);
  assert.equal(refusal([...PSEUDO, 'a', 'x'.repeat(1_000 - bytes - 32)]), 'fields-too-large');
});

test('a URL of another scheme than the connection’s is misdirected', () => {
  assert.equal(refusal([':method', 'GET', ':scheme', 'http', ':authority', 'a', ':path', '/']), 'misdirected');
  // CONNECT has no scheme.
  assert.equal(refusal([':method', 'CONNECT', ':authority', 'a:443']), undefined);
});

test('whatever comes, what goes on has no pseudo-field, no "_", one cookie, and as many names as values', () => {
  const random = seededRandom(7);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random.next() * list.length)] ?? assert.fail();
  const names = ['cookie', 'host', 'x_a', 'expect', 'content-length', 'accept', 'x-a', 'x-b', ':path', ''];
  const values = ['', 'a', '5', 'demo.example', 'https', '100-continue', 'é', 'a; b'];
  let understood = 0;
  for (let round = 0; round < 5_000; round += 1) {
    const pseudo = random.next() < 0.9 ? PSEUDO : [];
    const others = Array.from({ length: 2 * Math.floor(random.next() * 6) }, (_, i) =>
      pick(i % 2 === 0 ? names : values),
    );
    const raw = [...pseudo, ...others];
    const read = readRequestFields(raw, LIMITS);
    if (read.kind === 'malformed') continue;
    understood += 1;
    const { fields, dropped } = read;
    const found = fields.filter((_, i) => i % 2 === 0);
    assert.equal(fields.length % 2, 0);
    assert.ok(
      found.every((name) => !name.startsWith(':') && !name.includes('_')),
      JSON.stringify(raw),
    );
    assert.ok(found.filter((name) => name === 'cookie').length <= 1, JSON.stringify(raw));
    assert.equal(dropped, raw.filter((name, i) => i % 2 === 0 && name.includes('_')).length);
  }
  assert.ok(understood > 1_000);
});
