// Parts of what is stored, over real sockets: what clients get who resume a download, and what those get who ask for too much.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { field } from '../../../edge-node/decide/fields.ts';
import { startEdge, startOrigin } from '../../support/edge.ts';
import { RawClient, request } from '../../support/raw-client.ts';

const BODY = Array.from({ length: 20_000 }, (_, i) => String(i).padStart(6, '0')).join('\n');

const origin = await startOrigin((_, res) => {
  res.setHeader('cache-control', 'max-age=60').setHeader('etag', '"v1"').setHeader('content-type', 'text/plain');
  res.end(BODY);
});
const edge = await startEdge({ london: origin.address });
const client = await RawClient.connect(edge.port);
assert.equal((await client.ask(request('GET', '/'))).body, BODY);

async function ask(range: string, ...more: string[]) {
  const { status, fields, body } = await client.ask(request('GET', '/', `Range: ${range}`, ...more));
  assert.equal(origin.received.filter(({ method }) => method === 'GET').length, 1, 'the origin is asked once');
  return { status, body, type: field(fields, 'content-type'), range: field(fields, 'content-range') };
}

test('parts of any size, over and over on one connection', async () => {
  for (let i = 0; i < 3; i += 1) {
    for (const [from, to] of [
      [0, 0],
      [7_000, 7_005],
      [1_000, 101_000],
      [BODY.length - 1, BODY.length - 1],
    ] as const) {
      const part = await ask(`bytes=${from}-${to}`);
      assert.deepEqual([part.status, part.range], [206, `bytes ${from}-${to}/${BODY.length}`]);
      assert.ok(part.body === BODY.slice(from, to + 1), `${from}-${to}`);
    }
  }
});

test('several parts make one body', async () => {
  const { status, type, body } = await ask('bytes=0-5,-6');
  const boundary = /^multipart\/byteranges; boundary=(\w+)$/.exec(type ?? '')?.[1];
  const [first = '', second = ''] = body.split(`--${boundary}`).slice(1);
  assert.equal(status, 206);
  assert.ok(first.endsWith(`content-range: bytes 0-5/${BODY.length}\r\n\r\n000000\r\n`), first);
  assert.ok(second.endsWith('\r\n\r\n019999\r\n'), second);
});

test('many, overlapping and endless lists of parts never give more than the whole', async () => {
  const overlapping = await ask(`bytes=${Array.from({ length: 16 }, () => '0-').join(',')}`);
  assert.deepEqual([overlapping.status, overlapping.range], [206, `bytes 0-${BODY.length - 1}/${BODY.length}`]);
  assert.equal(overlapping.body.length, BODY.length);
  const many = await ask(`bytes=${Array.from({ length: 1_300 }, (_, i) => `5-${i + 5}`).join(',')}`);
  assert.deepEqual([many.status, many.body.length], [200, BODY.length]);
  const beyond = await ask(`bytes=${BODY.length}-`);
  assert.deepEqual([beyond.status, beyond.body, beyond.range], [416, '', `bytes */${BODY.length}`]);
  assert.equal((await ask('bytes=0-1', 'If-Range: "v0"')).status, 200);
  client.destroy();
});
