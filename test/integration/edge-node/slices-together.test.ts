// A large file that many clients want at the same moment, over real sockets: what that costs the origin, and memory.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { startEdge, startOrigin } from '../../support/edge.ts';
import { Herd } from '../../support/herd.ts';
import { demo, Node } from '../../support/threads.ts';
import { until } from '../../support/until.ts';

const MIB = 1024 * 1024;
const SLICES = 24;
/** A number every four bytes. */
const FILE = Buffer.from(Uint32Array.from({ length: (SLICES * MIB) / 4 }, (_, i) => i).buffer);
const FAR = 20 * MIB;

interface Sent {
  readonly range: string | undefined;
  bytes: number;
  /** Lets the answer go on, where it was held. */
  go: () => void;
}

/** Of each request, in order. */
let sent: Sent[] = [];
let holds = false;

async function serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
  if (req.url === '/health') {
    res.end();
    return;
  }
  const gate = Promise.withResolvers<void>();
  const noted: Sent = { range: req.headers.range, bytes: 0, go: gate.resolve };
  sent.push(noted);
  if (holds) await gate.promise;
  let open = true;
  const closed = once(res, 'close').then(() => {
    open = false;
  });
  const [, first = '0', last = ''] = /^bytes=(\d+)-(\d*)$/.exec(req.headers.range ?? '') ?? [];
  const from = Number(first);
  const to = last === '' ? FILE.length : Math.min(FILE.length, Number(last) + 1);
  if (noted.range !== undefined) res.setHeader('content-range', `bytes ${from}-${to - 1}/${FILE.length}`);
  const fields = { 'cache-control': 'max-age=600', etag: '"v"', 'accept-ranges': 'bytes', 'content-length': to - from };
  res.writeHead(noted.range === undefined ? 200 : 206, fields);
  for (let at = from; at < to && open; at += 64 * 1024) {
    const chunk = FILE.subarray(at, Math.min(to, at + 64 * 1024));
    noted.bytes += chunk.length;
    if (!res.write(chunk)) await Promise.race([once(res, 'drain'), closed]);
  }
  res.end();
}

const origin = await startOrigin((req, res) => void serve(req, res));

const reset = (hold: boolean): void => {
  sent = [];
  holds = hold;
};

/** Downloads all of it, checking each byte; `pace` is waited for before each piece is taken. Bytes that came. */
async function download(port: number, pace: (bytes: number) => Promise<void>): Promise<number> {
  const request = http.get({ port, host: '127.0.0.1', path: '/film', headers: { host: 'demo.example' }, agent: false });
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  assert.equal(response.statusCode, 200);
  let at = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    assert.ok(chunk.equals(FILE.subarray(at, at + chunk.length)), `bytes at ${at}`);
    at += chunk.length;
    await pace(at);
  }
  return at;
}

/** This machine may have better things to do for a second. */
const PATIENT = { connectMs: 20_000, headMs: 20_000, bodyMs: 20_000 };
const start = (connections = 100) =>
  startEdge({ london: origin.address }, { connections, headMs: 60_000, idleMs: 60_000 }, PATIENT);

test('a thousand at once for a part of what is not known, and then of what is, cost one slice each', async (t) => {
  const edge = await start(1_100);
  const herd = await Herd.start(edge.port, 1_000);
  t.after(() => herd.stop());
  for (const range of [`${FAR}-${FAR + 3}`, '4-7']) {
    reset(true);
    const result = herd.ask('/film', `Range: bytes=${range}`);
    await until('all to wait', () => sent.length > 0 && edge.fills.stats().waiting === 999);
    for (const { go } of sent) go();
    const { answers, broken, cache } = await result;
    const [from = 0] = range.split('-').map(Number);
    assert.deepEqual([answers, broken], [{ [`206 ${FILE.toString('latin1', from, from + 4)}`]: 1_000 }, 0]);
    assert.ok(
      Object.keys(cache).some((status) => status.startsWith('fwd=partial; fwd-status=206; stored; collapsed; ')),
    );
    assert.deepEqual(
      sent.map(({ bytes }) => bytes),
      [MIB],
    );
  }
});

test('clients of any speed who download all of it cost the origin little more than one, and hold each other in nothing', async () => {
  const edge = await start();
  reset(false);
  const others = Promise.withResolvers<void>();
  const stuck = Array.from({ length: 3 }, () =>
    download(edge.port, (at) => (at > 0 ? others.promise : Promise.resolve())),
  );
  await until('the first request', () => sent.length > 0);
  let most = 0;
  const moving = Array.from({ length: 12 }, (_, i) =>
    download(edge.port, async () => {
      most = Math.max(most, edge.cache.stats().pendingBytes);
      for (let turn = i % 4; turn > 0; turn -= 1) await setImmediate();
    }),
  );
  for (const bytes of await Promise.all(moving)) assert.equal(bytes, FILE.length);
  others.resolve();
  for (const bytes of await Promise.all(stuck)) assert.equal(bytes, FILE.length);
  const bytes = sent.reduce((sum, call) => sum + call.bytes, 0);
  assert.ok(sent.length <= SLICES && bytes < 1.5 * FILE.length, `${sent.length} requests, ${bytes} bytes`);
  // One slice is gathered for all who take it.
  assert.ok(most <= 4 * MIB, `${most} bytes gathered at once`);
});

test('hundreds at once over three threads cost one slice', async (t) => {
  reset(true);
  const node = await Node.start(t, demo(1, { london: origin.address }), { threads: 3, cacheBytes: 64 * MIB });
  const herd = await Herd.start(node.edge.port, 300);
  t.after(() => herd.stop());
  for (const range of [`${FAR}-${FAR + 3}`, '4-7']) {
    reset(true);
    const result = herd.ask('/film', `Range: bytes=${range}`);
    await until('a request', () => sent.length > 0);
    holds = false;
    for (const { go } of sent) go();
    const { answers, broken } = await result;
    const [from = 0] = range.split('-').map(Number);
    assert.deepEqual([answers, broken], [{ [`206 ${FILE.toString('latin1', from, from + 4)}`]: 300 }, 0]);
    // What is not known yet two threads may ask for, if one is just about to when the other has its answer.
    if (from === FAR) assert.ok(sent.length <= 2);
    else
      assert.deepEqual(
        sent.map(({ bytes }) => bytes),
        [MIB],
      );
  }
});
