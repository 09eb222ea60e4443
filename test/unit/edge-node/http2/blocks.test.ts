// Field blocks: of responses, as any decoder reads them; of requests, as they are remembered.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CODE } from '../../../../edge-node/decide/http2/codes.ts';
import { HpackDecoder } from '../../../../edge-node/decide/http2/hpack-decoder.ts';
import { type ReadRequest, RequestReader } from '../../../../edge-node/decide/http2/request-reader.ts';
import { responseBlock } from '../../../../edge-node/decide/http2/response-block.ts';
import { seededRandom } from '../../../../infra/runtime/random.ts';
import { block } from '../../../support/http2-frames.ts';

const DATE = 'Mon, 21 Oct 2013 20:13:21 GMT';

function encoded(status: number, fields: readonly string[], length?: number, date = DATE): Buffer {
  const made = responseBlock(status, fields, length, date);
  return made.kind === 'block' ? Buffer.from(made.octets, 'latin1') : assert.fail(made.name);
}

function decoded(octets: Buffer): string[] {
  const decoder = new HpackDecoder();
  const fields = decoder.decode(octets, 0, octets.length, { fieldCount: 1_000, fieldBytes: 1_000_000 });
  assert.equal(decoder.version, 0, 'the table was touched');
  return fields;
}

test('a response is its status, its fields, Date where it has none, and its length', () => {
  const fields = ['content-type', 'text/plain', 'x-odd', '\xe9', 'set-cookie', 'a=1', 'set-cookie', 'b=2', 'empty', ''];
  assert.deepEqual(decoded(encoded(200, fields, 5)), [
    ':status',
    '200',
    ...fields,
    'date',
    DATE,
    'content-length',
    '5',
  ]);
  assert.deepEqual(decoded(encoded(418, ['date', 'then'])), [':status', '418', 'date', 'then']);
  assert.deepEqual(decoded(encoded(103, ['link', '</a>'], undefined, '')), [':status', '103', 'link', '</a>']);
  for (const status of [204, 304]) assert.deepEqual(decoded(encoded(status, [], 5, '')), [':status', String(status)]);
});

test('the same comes back however often it is sent, among others', () => {
  const random = seededRandom(4);
  const pick = (of: readonly string[]) => of[Math.floor(random.next() * of.length)] ?? '';
  const names = ['etag', 'x-a', 'vary', 'age', 'cache-control', `x-${'long'.repeat(50)}`];
  const values = ['', '1', 'a value of some length', 'v'.repeat(3_000), '\xff\xfe', 'no-store'];
  for (let round = 0; round < 2_000; round += 1) {
    const fields = Array.from({ length: 2 * Math.floor(random.next() * 8) }, (_, i) => pick(i % 2 ? values : names));
    const status = 200 + Math.floor(random.next() * 400);
    assert.deepEqual(decoded(encoded(status, fields, undefined, '')), [':status', String(status), ...fields]);
  }
});

test('fields that HTTP/2 does not have are left out', () => {
  const gone = ['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade', 'te', 'http2-settings'];
  const fields = [...gone, 'content-length'].flatMap((name) => [name, '1']);
  for (let i = 0; i < 3; i += 1)
    assert.deepEqual(decoded(encoded(200, [...fields, 'x', '1'], undefined, '')).slice(2), ['x', '1']);
});

test('a field that cannot be sent is named; blanks around a value are not sent', () => {
  for (const [name, value] of [
    ['X-A', '1'],
    ['', '1'],
    ['a b', '1'],
    ['x', 'a\r\nb: c'],
    ['x', '\0'],
    ['x', '€'],
  ] as const) {
    assert.deepEqual(responseBlock(200, [name, value], undefined, DATE), { kind: 'malformed-field', name });
  }
  assert.deepEqual(decoded(encoded(200, ['x', ' a\t', 'x', ' a\t'], undefined, '')).slice(2), ['x', 'a', 'x', 'a']);
  assert.throws(() => responseBlock(99, [], undefined, ''), RangeError);
});

test('a cookie is never indexed, not even by others on its way', () => {
  // RFC 7541 section 6.2.3: 0001, and the name's index 55 in the static table.
  assert.ok(encoded(200, ['set-cookie', 'a=1'], undefined, '').includes(Buffer.from([0x1f, 55 - 15])));
});

const GET = [':method', 'GET', ':scheme', 'https', ':authority', 'a', ':path', '/'];
const LIMITS = { headBytes: 1_000, fieldCount: 10 };

function read(reader: RequestReader, octets: Buffer): ReadRequest {
  const request = reader.read(octets, 0, octets.length);
  return request.kind === 'request' ? request : assert.fail(request.detail);
}

test('the same octets are the same request, as long as the table is the same', () => {
  const reader = new RequestReader(LIMITS, '192.0.2.1', 'a');
  const first = read(reader, block(GET));
  assert.deepEqual(first.head, {
    ...{ method: 'GET', target: '/', fields: ['host', 'a'], recurring: true, version: '2', scheme: 'https' },
    ...{ peer: '192.0.2.1', sni: 'a', hasBody: false },
  });
  assert.equal(read(reader, block(GET)), first);
  // Another connection shares the list of fields, and nothing that is of the connection.
  const other = read(new RequestReader(LIMITS, '192.0.2.2', 'a'), block(GET));
  assert.deepEqual([other.head.fields === first.head.fields, other.head.peer], [true, '192.0.2.2']);
  reader.rest();
  assert.notEqual(read(reader, block(GET)), first);
});

test('references are read anew once the table has changed', () => {
  const reader = new RequestReader(LIMITS, '', undefined);
  const entry = (value: string) => Buffer.concat([block(GET), Buffer.from('40017801', 'hex'), Buffer.from(value)]);
  const reference = Buffer.concat([block(GET), Buffer.from('be', 'hex')]);
  for (const value of ['1', '2']) {
    assert.deepEqual(read(reader, entry(value)).head.fields, ['host', 'a', 'x', value]);
    for (let i = 0; i < 3; i += 1) assert.deepEqual(read(reader, reference).head.fields, ['host', 'a', 'x', value]);
  }
});

test('many different requests are each read as themselves', () => {
  const reader = new RequestReader(LIMITS, '', undefined);
  const random = seededRandom(6);
  for (let i = 0; i < 1_000; i += 1) {
    const path = `/${Math.floor(random.next() * 6)}`;
    assert.equal(read(reader, block([...GET.slice(0, 6), ':path', path])).head.target, path);
  }
});

test('what is malformed, or far too much, says how its stream is to be reset', () => {
  const reader = new RequestReader(LIMITS, '', undefined);
  const code = (fields: readonly string[]) => {
    const octets = block(fields);
    const outcome = reader.read(octets, 0, octets.length);
    return outcome.kind === 'unreadable' ? outcome.code : outcome.refusal?.code;
  };
  assert.equal(code([...GET, 'X', '1']), CODE.protocolError);
  assert.equal(code([...GET, 'x', 'v'.repeat(900)]), 'fields-too-large');
  assert.equal(code([...GET, 'x', 'v'.repeat(2_000)]), CODE.enhanceYourCalm);
  const trailers = block(['x', '1']);
  assert.deepEqual(reader.readTrailers(trailers, 0, trailers.length), { kind: 'trailers', fields: ['x', '1'] });
  const long = block(['x', '1', 'y', 'v'.repeat(2_000)]);
  assert.deepEqual(reader.readTrailers(long, 0, long.length), { kind: 'trailers', fields: [] });
  const pseudo = reader.readTrailers(block([':path', '/']), 0, block([':path', '/']).length);
  assert.equal(pseudo.kind === 'unreadable' && pseudo.code, CODE.protocolError);
});
