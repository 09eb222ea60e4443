// Requests over HTTP/2 that are malformed or that HTTP/1 would refuse, over real sockets: each is refused or reset, and the edge
// goes on answering others.
import assert from 'node:assert/strict';
import type http from 'node:http';
import { test } from 'node:test';
import { countField, field } from '../../../edge-node/decide/fields.ts';
import { startOrigin } from '../../support/edge.ts';
import { block, CODE, FLAG, FrameClient, frame, get, TYPE } from '../../support/http2-frames.ts';
import { Http2User, startTlsEdge, type TlsEdge } from '../../support/tls-edge.ts';

/** Requests under /hold that wait for their answer. */
const held: http.ServerResponse[] = [];
let _gone = 0;

const origin = await startOrigin((req, res) => {
  const path = req.url ?? '';
  req.on('error', () => undefined);
  res.on('close', () => {
    if (!res.writableFinished) _gone += 1;
  });
  if (path.startsWith('/hold')) {
    held.push(res);
    req.resume();
  } else if (path.startsWith('/cached')) {
    res.setHeader('cache-control', 'max-age=60').end('x'.repeat(Number(path.split('/')[2] ?? 5)));
  } else if (path.startsWith('/endless')) {
    const more = (): void => {
      while (res.write('x'.repeat(16_384)));
    };
    res.on('drain', more);
    more();
  } else {
    req.resume();
    req.on('end', () => res.end('answered'));
  }
});
const origins = { london: origin.address };
const edge = await startTlsEdge(origins);
const honest = new Http2User(edge.port);

/** Runs `act` on a connection of its own, and checks afterwards that others are served. */
async function _attack(act: (client: FrameClient) => Promise<void>, on: TlsEdge = edge, values = {}): Promise<void> {
  const client = await FrameClient.connect(on.port, values);
  await act(client);
  client.destroy();
  assert.equal((await honest.ask('/cached')).status, 200);
}

/** What becomes of a request, and that no origin hears of it. */
async function assertOutcome(fields: readonly string[], expected: string, name = String(fields)): Promise<void> {
  const before = origin.received.length;
  const client = await FrameClient.connect(edge.port);
  assert.equal(await client.outcome(client.request(fields)), expected, name);
  // The connection goes on.
  assert.equal(await client.outcome(client.request(get('/cached'))), '200', name);
  client.destroy();
  assert.deepEqual(
    origin.received.slice(before).filter(({ target }) => target !== '/cached'),
    [],
    name,
  );
}

const RESET = `reset ${CODE.protocol}`;

test('fields of the connection are no fields of HTTP/2: the stream is reset', async () => {
  const fields = { connection: 'close', 'keep-alive': '1', 'proxy-connection': 'close', upgrade: 'x', te: 'gzip' };
  for (const pair of Object.entries(fields)) await assertOutcome(get('/', pair), RESET);
  await assertOutcome(get('/', ['transfer-encoding', 'chunked'], { ':method': 'POST' }), RESET);
});

test('pseudo-fields that are missing, doubled, late, unknown or malformed: the stream is reset', async () => {
  for (const name of [':method', ':scheme', ':path', ':authority'])
    await assertOutcome(get('/', [], { [name]: undefined }), RESET);
  for (const name of [':method', ':scheme', ':path', ':authority']) await assertOutcome(get('/', [name, '/b']), RESET);
  await assertOutcome(get('/', ['accept', '*/*', ':path', '/b'], { ':path': undefined }), RESET);
  await assertOutcome(get('/', [], { ':status': '200' }), RESET);
  await assertOutcome(get('/', [], { ':unknown': 'x' }), RESET);
  for (const path of ['', 'a', '*', 'https://demo.example/', '/a b', '/a\r\nx: y', '/\0'])
    await assertOutcome(get(path), RESET);
  for (const authority of ['user@demo.example', 'demo.example\r\nx: y', 'a b']) {
    await assertOutcome(get('/', [], { ':authority': authority }), RESET);
  }
  // Extended CONNECT (RFC 8441) was not offered.
  await assertOutcome(get('/', [], { ':method': 'CONNECT', ':protocol': 'websocket' }), RESET);
});

test('names in upper case: the stream is reset', async () => {
  await assertOutcome(get('/', ['X-A', '1']), RESET);
});

test('a field whose name or value cannot be one makes the request malformed: the stream is reset', async () => {
  const names = ['x a', 'x:f', '', 'x-\xe9', 'x\0', 'x\r\ny'];
  for (const name of names) await assertOutcome(get('/', [name, '1']), RESET, JSON.stringify(name));
  const values = ['a\r\nx-b: c', 'a\0b', ' a', 'a ', '\ta', 'a\n', '\x7f'];
  for (const value of values) await assertOutcome(get('/', ['x-a', value]), RESET, JSON.stringify(value));
  // Whatever is no control character may be in a value.
  const client = await FrameClient.connect(edge.port);
  assert.equal(await client.outcome(client.request(get('/good', ['x-good', 'a\tb \xe9', 'x-empty', '']))), '200');
  const { fields } = origin.received.findLast(({ target }) => target === '/good') ?? assert.fail();
  assert.deepEqual([field(fields, 'x-good'), field(fields, 'x-empty')], ['a\tb \xe9', '']);
  client.destroy();
});

test('Host doubled: reset; contradicting :authority: 400; host or scheme of another connection: 421', async () => {
  await assertOutcome(get('/', ['host', 'demo.example', 'host', 'demo.example']), RESET);
  await assertOutcome(get('/', ['host', 'a', 'host', 'b'], { ':authority': undefined }), RESET);
  await assertOutcome(get('/', ['host', 'other.example']), '400');
  await assertOutcome(get('/', [], { ':authority': 'other.example' }), '421');
  await assertOutcome(get('/', ['host', 'other.example'], { ':authority': undefined }), '421');
  await assertOutcome(get('/', [], { ':scheme': 'http' }), '421');
});

test('methods and targets that HTTP/1 refuses are refused', async () => {
  await assertOutcome([':method', 'CONNECT', ':authority', 'demo.example:443'], '405');
  await assertOutcome(get('/', [], { ':method': 'TRACE' }), '405');
  await assertOutcome(get('*', [], { ':method': 'OPTIONS' }), '400');
  for (const path of ['/a%2fb', '/%00', '/a\\b', '/..;/a', '/a#b', '/%']) await assertOutcome(get(path), '400');
  await assertOutcome(get(`/${'a'.repeat(9_000)}`), '414');
});

test('a Content-Length that is doubled, malformed or not that of the body never looks whole to an origin', async () => {
  for (const value of ['+5', '-1', '0x5', '5 5', '', '5,5']) {
    await assertOutcome(get('/', ['content-length', value], { ':method': 'POST' }), RESET);
  }
  await assertOutcome(get('/', ['content-length', '5', 'content-length', '5'], { ':method': 'POST' }), RESET);
  await assertOutcome(get('/', ['content-length', '5'], { ':method': 'POST' }), RESET);
  for (const [declared, body] of [
    ['5', 'abc'],
    ['2', 'abc'],
  ] as const) {
    const answered = edge.ends.filter((end) => end === 'complete').length;
    const client = await FrameClient.connect(edge.port);
    const stream = client.request(get('/', ['content-length', declared], { ':method': 'POST' }), FLAG.endHeaders);
    client.data(stream, body, true);
    assert.equal(await client.outcome(stream), RESET, declared);
    assert.equal(edge.ends.filter((end) => end === 'complete').length, answered);
    client.destroy();
  }
});

test('trailers with pseudo-fields, or without an end: the stream is reset', async () => {
  for (const [flags, trailers] of [
    [FLAG.endHeaders | FLAG.endStream, [':path', '/b']],
    [FLAG.endHeaders, ['x-a', '1']],
  ] as const) {
    const client = await FrameClient.connect(edge.port);
    const stream = client.request(get('/', [], { ':method': 'POST' }), FLAG.endHeaders);
    client.data(stream, 'body');
    client.send(frame(TYPE.headers, flags, stream, block(trailers)));
    assert.equal(await client.outcome(stream), RESET);
    client.destroy();
  }
});

test('too many fields, or too many bytes of them: 431; far too many: the stream is reset', async () => {
  const fields = (count: number, length: number) =>
    Array.from({ length: 2 * count }, (_, i) => (i % 2 === 0 ? `x-${i}` : 'v'.repeat(length)));
  await assertOutcome(get('/', fields(125, 1)), '431', '129 fields');
  await assertOutcome(get('/', fields(10, 3_500)), '431', '35 kB');
  await assertOutcome(get('/', fields(300, 1)), `reset ${CODE.calm}`, '304 fields');
  await assertOutcome(get('/', fields(20, 3_500)), `reset ${CODE.calm}`, '70 kB');
  // The limit itself is not too many.
  const client = await FrameClient.connect(edge.port);
  assert.equal(await client.outcome(client.request(get('/limit', fields(124, 1)))), '200');
  assert.equal(countField(origin.received.at(-1)?.fields ?? [], 'x-2'), 1);
  client.destroy();
});
