// What a request's fields in HTTP/2 say in the terms of HTTP/1.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Http2Request, readRequestFields } from '../../../../edge-node/decide/http2/request-fields.ts';
import { seededRandom } from '../../../../infra/runtime/random.ts';

const LIMITS = { headBytes: 1_000, fieldCount: 10 };
const PSEUDO = [':method', 'GET', ':scheme', 'https', ':authority', 'demo.example', ':path', '/a?b'];

function read(...fields: readonly string[]): Http2Request {
  return readRequestFields([...PSEUDO, ...fields], LIMITS);
}

/** After Host. */
function kept(...fields: readonly string[]): string[] {
  return read(...fields).fields.slice(2);
}

function refusal(raw: readonly string[]): string | undefined {
  return readRequestFields(raw, LIMITS).refusal?.code;
}

test('pseudo-fields become method, target and Host, which comes first', () => {
  assert.deepEqual(read('accept', '*/*'), {
    method: 'GET',
    target: '/a?b',
    fields: ['host', 'demo.example', 'accept', '*/*'],
    contentLength: undefined,
    expectsContinue: false,
    dropped: 0,
    refusal: undefined,
  });
});

test('without :authority there is the Host that was sent, or none', () => {
  const others = [':method', 'GET', ':scheme', 'https', ':path', '/'];
  assert.deepEqual(readRequestFields([...others, 'host', 'a'], LIMITS).fields, ['host', 'a']);
  assert.deepEqual(readRequestFields(others, LIMITS).fields, []);
});

test('a Host beside :authority must name the same, and is left out', () => {
  for (const host of ['demo.example', 'DEMO.example', 'demo.example:443']) {
    assert.deepEqual([read('host', host).fields, read('host', host).refusal], [['host', 'demo.example'], undefined]);
  }
  for (const host of ['other.example', 'demo.example:80', 'demo.example.', '']) {
    assert.equal(read('host', host).refusal?.code, 'malformed-host', host);
  }
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
  const names = ['cookie', 'host', 'x_a', 'expect', 'content-length', 'accept', ':path', ':authority', ':scheme', ''];
  const values = ['', 'a', '5', 'demo.example', 'https', '100-continue', 'é', 'a; b'];
  for (let round = 0; round < 5_000; round += 1) {
    const raw = Array.from({ length: 2 * Math.floor(random.next() * 12) }, (_, i) =>
      pick(i % 2 === 0 ? names : values),
    );
    const { fields, dropped } = readRequestFields(raw, LIMITS);
    const found = fields.filter((_, i) => i % 2 === 0);
    assert.equal(fields.length % 2, 0);
    assert.ok(
      found.every((name) => !name.startsWith(':') && !name.includes('_')),
      JSON.stringify(raw),
    );
    assert.ok(found.filter((name) => name === 'cookie').length <= 1, JSON.stringify(raw));
    assert.equal(dropped, raw.filter((name, i) => i % 2 === 0 && name.includes('_')).length);
  }
});
