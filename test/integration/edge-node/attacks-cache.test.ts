// Attempts to get into the cache what others would then be given, or to get out of it what is another's, over real sockets.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { field } from '../../../edge-node/decide/fields.ts';
import { startEdge, startOrigin } from '../../support/edge.ts';
import { RawClient, type RawResponse, request } from '../../support/raw-client.ts';

/** 64 MiB of nothing, packed. */
const BOMB = gzipSync(Buffer.alloc(64 * 1024 * 1024), { level: 9 });
/** Whatever an origin might build an answer from. */
const REFLECTED = [
  ...['host', 'x-forwarded-host', 'x-forwarded-proto', 'x-forwarded-port', 'x-forwarded-prefix', 'x-forwarded-server'],
  ...['forwarded', 'x-host', 'x-original-url', 'x-rewrite-url', 'x-http-method-override', 'x-real-ip', 'via'],
];

const origin = await startOrigin((req, res) => {
  const body: Buffer[] = [];
  req.on('data', (chunk: Buffer) => body.push(chunk));
  req.on('end', () => {
    const path = req.url ?? '';
    if (path.startsWith('/kept')) res.setHeader('cache-control', 'max-age=60');
    if (path.startsWith('/shared')) res.setHeader('cache-control', 's-maxage=60');
    if (path.startsWith('/bomb')) {
      res
        .setHeader('content-encoding', 'gzip')
        .setHeader('cache-control', 'max-age=60')
        .setHeader('vary', 'Accept-Encoding');
      res.end(BOMB);
    } else if (path.startsWith('/length')) res.end(`${Buffer.concat(body).length} ${req.headers['content-encoding']}`);
    else if (path.startsWith('/kept/reflect')) {
      res.end(REFLECTED.map((name) => `${name}=${req.headers[name] ?? ''}`).join('\n'));
    } else res.end(`for ${req.headers.authorization ?? 'anybody'}`);
  });
});
const edge = await startEdge({ london: origin.address });

async function ask(text: string): Promise<RawResponse> {
  const client = await RawClient.connect(edge.port);
  const response = await client.ask(text);
  client.destroy();
  return response;
}

const status = (response: RawResponse) => field(response.fields, 'cache-status') ?? '';

test('nothing that an origin might build its answer from can be put into what others are given', async () => {
  const lies = [
    'X-Forwarded-Host: evil.example',
    'X-Forwarded-Proto: https',
    'X-Forwarded-Port: 666',
    'X-Forwarded-Prefix: /evil',
    'X-Forwarded-Server: evil.example',
    'Forwarded: for=1.1.1.1;host=evil.example;proto=https',
    'X-Host: evil.example',
    'X-Original-URL: /evil',
    'X-Rewrite-URL: /evil',
    'X-Real-IP: 6.6.6.6',
  ];
  const poisoned = await ask(request('GET', '/kept/reflect', ...lies));
  assert.match(status(poisoned), /stored/);
  const victim = await ask(request('GET', '/kept/reflect'));
  assert.match(status(victim), /hit/);
  for (const { body } of [poisoned, victim]) {
    assert.doesNotMatch(body, /evil|666|6\.6\.6\.6|https/);
    assert.match(body, /^host=demo\.example$/m);
    assert.match(body, /^x-forwarded-host=demo\.example$/m);
  }
});

test('all spellings of a path are one entry, and no two paths share one', async () => {
  await ask(request('GET', '/kept/one'));
  for (const path of ['/kept/./one', '/x/../kept/one', '/%6bept/one', '/kept/%6Fne']) {
    assert.match(status(await ask(request('GET', path))), /hit/, path);
  }
  for (const path of ['/kept//one', '/kept/one/', '/kept/one;x', '/kept/one?', '/KEPT/one', '/kept/one%20']) {
    assert.doesNotMatch(status(await ask(request('GET', path))), /hit/, path);
  }
});

test('an answer to Authorization is for who asked, unless the origin says that all may have it', async () => {
  for (const [path, who] of [
    ['/kept/mine', 'anybody'],
    ['/shared/ours', 'alice'],
  ] as const) {
    const mine = await ask(request('GET', path, 'Authorization: alice'));
    assert.equal(mine.body, 'for alice');
    const theirs = await ask(request('GET', path));
    assert.equal(theirs.body, `for ${who}`, path);
  }
});

test('a body behind a request that the cache answers is thrown away, or ends the connection, and is never a request', async () => {
  await ask(request('GET', '/kept/body'));
  const before = origin.received.length;
  const smuggled = request('GET', '/smuggled');
  for (const method of ['GET', 'HEAD']) {
    const client = await RawClient.connect(edge.port);
    const head = request(method, '/kept/body', `Content-Length: ${smuggled.length}`);
    const { fields } = await client.ask(`${head}${smuggled}`, method);
    assert.match(field(fields, 'cache-status') ?? '', /fwd=bypass/);
    const after = await client.ask(request('GET', '/kept/body'));
    assert.match(status(after), /hit/);
    client.destroy();
  }
  const reached = origin.received.slice(before).map(({ target }) => target);
  assert.deepEqual([...new Set(reached)], ['/kept/body']);
});

test('what is packed passes as it is, both ways, however much it would unpack to', async () => {
  const before = process.memoryUsage().rss;
  const first = await ask(request('GET', '/bomb', 'Accept-Encoding: gzip'));
  const again = await ask(request('GET', '/bomb', 'Accept-Encoding: gzip'));
  assert.match(status(again), /hit/);
  for (const { fields, body } of [first, again]) {
    assert.equal(field(fields, 'content-encoding'), 'gzip');
    assert.ok(Buffer.from(body, 'latin1').equals(BOMB), 'the body was changed');
  }
  const upload = request('POST', '/length', 'Content-Encoding: gzip', `Content-Length: ${BOMB.length}`);
  const sent = await ask(`${upload}${BOMB.toString('latin1')}`);
  assert.equal(sent.body, `${BOMB.length} gzip`);
  assert.ok(process.memoryUsage().rss - before < 48 * 1024 * 1024, 'something was unpacked');
});

test('a client cannot make the cache keep a part, an error of its own making, or an answer to another method', async () => {
  const part = await ask(request('GET', '/kept/part', 'Range: bytes=0-1'));
  assert.doesNotMatch(status(part), /hit/);
  const head = await ask(request('OPTIONS', '/kept/options'));
  assert.doesNotMatch(status(head), /stored/);
  assert.match(status(await ask(request('GET', '/kept/options'))), /fwd=uri-miss/);
  const long = await ask(request('GET', `/kept/${'a'.repeat(8_000)}`));
  assert.equal(long.status, 414);
  assert.equal(field(long.fields, 'cache-control'), 'no-store');
});
