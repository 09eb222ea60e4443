// A range of a very large file over real sockets, between real threads and from disk: what it costs the origin. The file is never there:
// each of its bytes can be worked out from its place.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http, {
  type IncomingHttpHeaders,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type ServerResponse,
} from 'node:http';
import path from 'node:path';
import { test } from 'node:test';
import { field } from '../../../edge-node/decide/fields.ts';
import { startEdge, startOrigin } from '../../support/edge.ts';
import { type RawClient, request } from '../../support/raw-client.ts';
import { tempFolder } from '../../support/temp.ts';
import { demo, Node } from '../../support/threads.ts';
import { until } from '../../support/until.ts';

const MIB = 1024 * 1024;
const LENGTH = 10_000_000_000;
const FAR = 9_000_000_123;

/** Bytes `from` ..< `to`: a number of eight digits every eight bytes. */
function bytes(from: number, to: number, version = ''): string {
  let text = '';
  for (let at = from - (from % 8); at < to; at += 8)
    text +=
      version +
      String(at / 8)
        .padStart(8 - version.length, '0')
        .slice(-8 + version.length);
  return text.slice(from % 8, (from % 8) + to - from);
}

interface Sent {
  readonly range: string | undefined;
  bytes: number;
  over: boolean;
}

/** Of each request, in order. */
const sent: Sent[] = [];
let version = '';
let takesRanges = true;

async function serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
  if (req.url === '/health') {
    res.end();
    return;
  }
  const now = version;
  const etag = `"v${now}"`;
  const noted: Sent = { range: req.headers.range, bytes: 0, over: false };
  sent.push(noted);
  const closed = once(res, 'close').then(() => {
    noted.over = true;
  });
  res.setHeader('cache-control', 'max-age=600').setHeader('etag', etag).setHeader('content-type', 'video/mp4');
  if (takesRanges) res.setHeader('accept-ranges', 'bytes');
  if (req.headers['if-none-match'] === etag) {
    res.writeHead(304).end();
    return;
  }
  const [, first = '', last = ''] = (takesRanges && /^bytes=(\d*)-(\d*)$/.exec(req.headers.range ?? '')) || [];
  const whole = first === '' && last === '';
  const from = first === '' ? (whole ? 0 : LENGTH - Number(last)) : Number(first);
  const to = whole || first === '' || last === '' ? LENGTH : Math.min(LENGTH, Number(last) + 1);
  if (from >= LENGTH) {
    res.writeHead(416, { 'content-range': `bytes */${LENGTH}` }).end();
    return;
  }
  if (!whole) res.setHeader('content-range', `bytes ${from}-${to - 1}/${LENGTH}`);
  res.writeHead(whole ? 200 : 206, { 'content-length': to - from });
  for (let at = from; at < to && !noted.over; at += 64 * 1024) {
    const end = Math.min(to, at + 64 * 1024);
    const more = res.write(req.method === 'HEAD' ? '' : bytes(at, end, now));
    noted.bytes += end - at;
    if (!more) await Promise.race([once(res, 'drain'), closed]);
  }
  res.end();
}

const origin = await startOrigin((req, res) => void serve(req, res));

/** What is asked of the origin, and how much it sends, while `run` does. */
async function cost<T>(
  run: () => Promise<T>,
): Promise<{ readonly result: T; readonly bytes: number; readonly asked: string[] }> {
  const before = sent.length;
  const result = await run();
  await until('the origin to be done', () => sent.slice(before).every(({ over }) => over));
  const calls = sent.slice(before);
  return {
    result,
    bytes: calls.reduce((sum, call) => sum + call.bytes, 0),
    asked: calls.map(({ range }) => range ?? 'all'),
  };
}

interface Got {
  readonly status: number;
  readonly body: string;
  readonly headers: IncomingHttpHeaders;
  readonly complete: boolean;
}

/** `fields`: of the request. Leaves after `enough` bytes. */
async function ask(port: number, fields: OutgoingHttpHeaders, enough = LENGTH, method = 'GET'): Promise<Got> {
  const headers = { host: 'demo.example', ...fields };
  const sending = http.request({ port, host: '127.0.0.1', path: '/film', method, headers, agent: false }).end();
  const [response] = (await once(sending, 'response')) as [IncomingMessage];
  const chunks: Buffer[] = [];
  let length = 0;
  response.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    length += chunk.length;
    if (length >= enough) response.destroy();
  });
  response.on('error', () => undefined);
  await new Promise<void>((resolve) => void response.on('close', resolve));
  const { statusCode: status = 0, complete } = response;
  return { status, body: Buffer.concat(chunks).toString('latin1'), headers: response.headers, complete };
}

function assertPart(got: Got, from: number, to: number): void {
  assert.deepEqual([got.status, got.headers['content-range']], [206, `bytes ${from}-${to - 1}/${LENGTH}`]);
  assert.ok(got.body === bytes(from, to, version), `bytes ${from}..${to}`);
}

/** This machine may have better things to do for a second. */
const PATIENT = { connectMs: 20_000, headMs: 20_000, bodyMs: 20_000 };
const start = () => startEdge({ london: origin.address }, {}, PATIENT);
const RANGE = `bytes=${FAR}-${FAR + 99_999}`;

test('100 KB at 9 GB cost two slices at most, and the next time nothing', async () => {
  const { port } = await start();
  const get = (range: string, more: OutgoingHttpHeaders = {}) => cost(() => ask(port, { range, ...more }));
  const first = await get(RANGE);
  assertPart(first.result, FAR, FAR + 100_000);
  assert.ok(first.bytes <= 2 * MIB && first.asked.length === 1, `${first.bytes} bytes`);
  const second = await get(RANGE);
  assertPart(second.result, FAR, FAR + 100_000);
  assert.deepEqual(second.asked, []);
  assert.match(String(second.result.headers['cache-status']), /; hit/);
  // Over the boundary, to slices that are not there.
  const third = await get(`bytes=${FAR}-${FAR + 3 * MIB}`);
  assertPart(third.result, FAR, FAR + 3 * MIB + 1);
  assert.ok(third.bytes <= 4 * MIB, `${third.bytes} bytes`);

  const suffix = await get('bytes=-100000');
  assertPart(suffix.result, LENGTH - 100_000, LENGTH);
  assert.ok(suffix.bytes <= 2 * MIB, `${suffix.bytes} bytes`);
  const again = await get('bytes=-50000');
  assertPart(again.result, LENGTH - 50_000, LENGTH);
  assert.deepEqual(again.asked, []);

  const head = await ask(port, {}, LENGTH, 'HEAD');
  assert.deepEqual([head.status, head.headers['content-length']], [200, String(LENGTH)]);
  const beyond = await ask(port, { range: `bytes=${LENGTH}-` });
  assert.deepEqual([beyond.status, beyond.headers['content-range']], [416, `bytes */${LENGTH}`]);
  const held = await get(RANGE, { 'if-range': '"v"' });
  assertPart(held.result, FAR, FAR + 100_000);
  const unchanged = await get(RANGE, { 'if-none-match': '"v"' });
  assert.deepEqual([held.asked, unchanged.asked, unchanged.result.status], [[], [], 304]);
  const several = await get(`bytes=${FAR}-${FAR + 9},-10`);
  assert.deepEqual([several.asked, several.result.status], [[], 206]);
  assert.ok(several.result.body.includes(`\r\n\r\n${bytes(LENGTH - 10, LENGTH)}\r\n`));
});

test('who asks for all of it and leaves costs what he read, and that is kept', async () => {
  const edge = await start();
  const whole = await cost(() => ask(edge.port, {}, 3 * MIB));
  assert.deepEqual([whole.result.status, whole.result.complete], [200, false]);
  assert.ok(whole.bytes < 40 * MIB, `${whole.bytes} bytes`);
  await until('the exchange to be over', () => edge.ends.length === 1);
  assert.deepEqual(edge.ends, ['client-gone']);
  assert.equal(edge.cache.stats().pendingBytes, 0);
  const second = await cost(() => ask(edge.port, { range: 'bytes=1000000-1999999' }));
  assertPart(second.result, 1_000_000, 2_000_000);
  assert.deepEqual(second.asked, []);
});

test('an origin that takes no ranges is not read beyond what is wanted', async () => {
  takesRanges = false;
  const { port } = await start();
  const { result, bytes: read } = await cost(() => ask(port, { range: 'bytes=1000-1999' }));
  assertPart(result, 1000, 2000);
  assert.ok(read < 20 * MIB, `${read} bytes`);
  takesRanges = true;
});

async function askRaw(client: RawClient): Promise<Got> {
  const { status, fields, body } = await client.ask(request('GET', '/film', `Range: ${RANGE}`));
  return { status, body, headers: { 'content-range': field(fields, 'content-range') }, complete: true };
}

test('threads share slices, in memory and on disk, until the file changes or is purged', async (t) => {
  const diskCache = { folder: path.join(tempFolder(t), 'cache'), maxBytes: 256 * MIB };
  const snapshot = demo(1, { london: origin.address });
  const pools = snapshot.pools.map((pool) => ({ ...pool, timeouts: PATIENT }));
  // Too little memory for a slice.
  const node = await Node.start(t, { ...snapshot, pools }, { cacheBytes: 4 * MIB, diskCache });
  const one = await node.clientOf(1);
  const two = await node.clientOf(2);
  const onDisk = (count: number) => () => node.metric('meridian_disk_cache_objects').then((found) => found === count);
  assertPart((await cost(() => askRaw(one))).result, FAR, FAR + 100_000);
  await until('index and slice to be on disk', onDisk(2));
  for (const client of [two, one, two]) {
    const { result, asked } = await cost(() => askRaw(client));
    assertPart(result, FAR, FAR + 100_000);
    assert.deepEqual(asked, []);
  }
  await node.purge({ $case: 'url', value: { host: 'demo.example', path: '/film' } });
  version = 'x';
  const purged = await cost(() => askRaw(two));
  assertPart(purged.result, FAR, FAR + 100_000);
  assert.equal(purged.asked.length, 1);
  await until('the new slice to be on disk, and the former swept', async () => {
    return (await onDisk(2)()) && (await node.metric('meridian_disk_cache_writes_total')) === 4;
  });
  // The file changes once more: what is missing shows it, and the answer that has begun is broken off.
  version = 'y';
  const broken = await ask(node.edge.port, { range: `bytes=${FAR}-${FAR + 2 * MIB}` });
  assert.deepEqual([broken.status, broken.complete], [206, false]);
  assert.ok(broken.body.length < 2 * MIB && bytes(FAR, FAR + broken.body.length, 'x') === broken.body);
  assertPart((await cost(() => askRaw(one))).result, FAR, FAR + 100_000);
  version = '';
});
