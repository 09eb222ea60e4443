// Requests meant to be understood in two ways, over real sockets: each is refused before an origin hears of it, or reaches it
// in the one form that is left.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { combinedField, countField, field } from '../../../edge-node/decide/fields.ts';
import { startEdge, startOrigin } from '../../support/edge.ts';
import { RawClient, type RawResponse, request } from '../../support/raw-client.ts';

const origin = await startOrigin((req, res) => {
  req.resume();
  const path = req.url ?? '';
  if (path.startsWith('/cached')) res.setHeader('cache-control', 'max-age=60');
  if (path.startsWith('/account')) res.setHeader('cache-control', 'private, max-age=60');
  if (path.startsWith('/login')) res.setHeader('set-cookie', 'session=1').setHeader('cache-control', 'max-age=60');
  if (path.startsWith('/vary')) res.setHeader('vary', 'X-Lang').setHeader('cache-control', 'max-age=60');
  res
    .setHeader('server', 'secret/1.0')
    .setHeader('x-powered-by', 'secret')
    .setHeader('connection', 'keep-alive, x-hop');
  res.setHeader('x-hop', '1');
  req.on('end', () => res.end(`lang=${req.headers['x-lang'] ?? 'none'}`));
});
const edge = await startEdge({ london: origin.address });

async function ask(text: string): Promise<{ response: RawResponse; client: RawClient }> {
  const client = await RawClient.connect(edge.port);
  return { response: await client.ask(text), client };
}

/** Asserts the refusal of `text`: its status, that nothing reached the origin, and that the connection is closed or not. */
async function assertRefused(text: string, status: number, connection: 'closed' | 'kept', name = text): Promise<void> {
  const before = origin.received.length;
  const { response, client } = await ask(text);
  assert.equal(response.status, status, name);
  assert.equal(field(response.fields, 'content-type'), 'application/problem+json', name);
  assert.doesNotMatch(response.body, /london|secret|127\.0\.0\.1/, name);
  if (connection === 'closed') {
    assert.equal(field(response.fields, 'connection'), 'close', name);
    await client.closed();
  } else {
    assert.equal((await client.ask(request('HEAD', '/cached/alive'), 'HEAD')).status, 200, name);
  }
  client.destroy();
  const reached = origin.received.slice(before).filter(({ target }) => target !== '/cached/alive');
  assert.deepEqual(reached, [], name);
}

const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: demo.example\r\n\r\n';

test('Content-Length beside Transfer-Encoding: 400 and closed', async () => {
  const [length, chunked] = ['Content-Length: 4', 'Transfer-Encoding: chunked'];
  await assertRefused(`${request('POST', '/', length, chunked)}0\r\n\r\n${SMUGGLED}`, 400, 'closed');
  await assertRefused(`${request('POST', '/', chunked, length)}0\r\n\r\n${SMUGGLED}`, 400, 'closed');
});

test('Content-Length that differs, repeats or is no number: 400 and closed', async () => {
  await assertRefused(`${request('POST', '/', 'Content-Length: 0', 'Content-Length: 44')}${SMUGGLED}`, 400, 'closed');
  for (const value of ['5, 5', '+5', '-5', '0x5', '5 5', '', '5;', '5.0', '99999999999999999999', '5\v']) {
    await assertRefused(`${request('POST', '/', `Content-Length: ${value}`)}hello`, 400, 'closed');
  }
});

test('Transfer-Encoding that is not exactly chunked: 400 and closed', async () => {
  const values = [
    'gzip, chunked',
    'chunked, chunked',
    'identity',
    'xchunked',
    'chunked;q=1',
    '\vchunked',
    '"chunked"',
    '',
  ];
  for (const value of values) {
    await assertRefused(`${request('POST', '/', `Transfer-Encoding: ${value}`)}0\r\n\r\n`, 400, 'closed');
  }
  const twice = request('POST', '/', 'Transfer-Encoding: chunked', 'Transfer-Encoding: identity');
  await assertRefused(`${twice}0\r\n\r\n`, 400, 'closed');
});

test('Transfer-Encoding in HTTP/1.0: 400; versions that are not HTTP/1.1 or 1.0: 400 or 505; all closed', async () => {
  const head = 'Host: demo.example\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n';
  await assertRefused(`POST / HTTP/1.0\r\n${head}`, 400, 'closed');
  for (const version of ['HTTP/2.0', 'HTTP/1.2', 'HTTP/0.9']) {
    await assertRefused(`GET / ${version}\r\nHost: demo.example\r\n\r\n`, 505, 'closed');
  }
  for (const version of ['http/1.1', 'HTTP/1.1 ', 'HTTP/11']) {
    await assertRefused(`GET / ${version}\r\nHost: demo.example\r\n\r\n`, 400, 'closed');
  }
  await assertRefused('GET /\r\n\r\n', 400, 'closed');
});

test('bare CR and LF, a space before the colon, folded lines and controls: 400 and closed', async () => {
  const heads = {
    'LF for CRLF': 'GET / HTTP/1.1\nHost: demo.example\n\n',
    'LF after a field': 'GET / HTTP/1.1\r\nHost: demo.example\nX: a\r\n\r\n',
    'LF at the end': 'GET / HTTP/1.1\r\nHost: demo.example\r\n\n',
    'CR for CRLF': 'GET / HTTP/1.1\rHost: demo.example\r\r',
    'CR in a value': request('GET', '/', 'X: a\rb'),
    'space before the colon': request('GET', '/', 'X : a'),
    'tab before the colon': request('GET', '/', 'X\t: a'),
    'a folded line': request('GET', '/', 'X: a\r\n b'),
    'a line folded by a tab': request('GET', '/', 'X: a\r\n\tb'),
    'a folded first line': 'GET / HTTP/1.1\r\n Host: demo.example\r\n\r\n',
    'NUL in a value': request('GET', '/', 'X: a\0b'),
    'NUL in a name': request('GET', '/', 'X\0: a'),
    'a control in a value': request('GET', '/', 'X: a\x01b'),
    'DEL in a value': request('GET', '/', 'X: a\x7fb'),
    'a field without a name': request('GET', '/', ': a'),
    'a field without a colon': request('GET', '/', 'X'),
    'a byte beyond ASCII in a name': request('GET', '/', 'X\xe9: a'),
  };
  for (const [name, text] of Object.entries(heads)) await assertRefused(text, 400, 'closed', name);
});

test('what is no request line: 400 and closed', async () => {
  const lines = ['GET\t/\tHTTP/1.1', 'GET /a b HTTP/1.1', 'GET /\xc3\xa9 HTTP/1.1', 'GET /\0 HTTP/1.1'];
  for (const line of lines) await assertRefused(`${line}\r\nHost: demo.example\r\n\r\n`, 400, 'closed');
  await assertRefused('\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400, 'closed', 'TLS');
});

test('a body in chunks that are none ends with 400, and the origin’s request with it', async () => {
  const head = request('POST', '/chunks', 'Transfer-Encoding: chunked');
  for (const body of [
    '0x5\r\nhello\r\n',
    '-5\r\nhello\r\n',
    '5 \r\nhello\r\n',
    '5\nhello\n',
    'fffffffffffffffff\r\n',
  ]) {
    const { response, client } = await ask(`${head}${body}0\r\n\r\n`);
    assert.equal(response.status, 400, body);
    await client.closed();
  }
  const { response, client } = await ask(`${head}5\r\nhelloX\r\n0\r\n\r\n`);
  assert.equal(response.status, 400);
  await client.closed();
});

test('too many or too large fields: 431 and closed; too long a URL: 414', async () => {
  await assertRefused(request('GET', '/', ...Array<string>(128).fill('X: a')), 431, 'closed', 'count');
  await assertRefused(request('GET', '/', `X: ${'a'.repeat(33_000)}`), 431, 'closed', 'size');
  await assertRefused(request('GET', '/', ...Array<string>(60).fill(`X: ${'a'.repeat(600)}`)), 431, 'closed', 'sum');
  await assertRefused(request('GET', `/${'a'.repeat(8_000)}`), 414, 'kept', 'URL');
  const most = await ask(request('GET', `/${'a'.repeat(7_999)}`, ...Array<string>(127).fill('X: a')));
  assert.equal(most.response.status, 200);
  most.client.destroy();
});

test('Host missing or doubled: 400; unknown: 421', async () => {
  await assertRefused('GET / HTTP/1.1\r\n\r\n', 400, 'closed');
  await assertRefused(request('GET', '/', 'Host: demo.example', 'Host: demo.example'), 400, 'closed');
  await assertRefused(request('GET', '/', 'Host: demo.example, demo.example'), 400, 'closed');
  await assertRefused(request('GET', '/', 'Host: user@demo.example'), 400, 'closed');
  await assertRefused(request('GET', '/', 'Host:'), 400, 'closed');
  await assertRefused(request('GET', '/', 'Host: other.example'), 421, 'kept');
  await assertRefused(request('GET', '/', 'Host: 127.0.0.1'), 421, 'kept');
});

test('absolute-form wins over Host', async () => {
  await assertRefused(request('GET', 'http://other.example/', 'Host: demo.example'), 421, 'kept');
  const { response, client } = await ask(request('GET', 'http://demo.example/absolute', 'Host: other.example'));
  client.destroy();
  const last = origin.received.at(-1);
  assert.deepEqual(
    [response.status, last?.target, field(last?.fields ?? [], 'host')],
    [200, '/absolute', 'demo.example'],
  );
});

test('ambiguous paths: 400; the others reach the origin in their one form', async () => {
  for (const path of ['/a%2fb', '/a%5cb', '/a%00', '/a\\b', '/..;/a', '/%', '/a%2', '/a#b', '*', '/a|\x7f']) {
    await assertRefused(request('GET', path), 400, /[\x7f#*]/.test(path) ? 'closed' : 'kept');
  }
  const forms = { '/a/../%62': '/b', '/%2e%2e/c': '/c', '/d/.//e': '/d//e', '/f?%7e|': '/f?~%7C' };
  for (const [given, expected] of Object.entries(forms)) {
    const { client } = await ask(request('GET', given));
    client.destroy();
    assert.equal(origin.received.at(-1)?.target, expected);
  }
});

test('methods that open tunnels or echo requests, and unknown ones: 501 and closed', async () => {
  await assertRefused('CONNECT demo.example:80 HTTP/1.1\r\nHost: demo.example\r\n\r\n', 501, 'closed');
  for (const method of ['TRACE', 'PROPFIND', 'FOO']) await assertRefused(request(method, '/'), 501, 'closed');
  await assertRefused('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 501, 'closed');
});

test('a request that came through this edge before: 508', async () => {
  await assertRefused(request('GET', '/', 'CDN-Loop: other, meridian-edge-1'), 508, 'kept');
});

test('an Upgrade opens no tunnel: the origin never hears of it', async () => {
  const upgrade = ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__'];
  const { response, client } = await ask(request('GET', '/upgrade', ...upgrade));
  assert.equal(response.status, 200);
  const { fields } = origin.received.at(-1) ?? assert.fail();
  for (const name of ['upgrade', 'http2-settings']) assert.equal(field(fields, name), undefined);
  assert.equal((await client.ask(request('GET', '/upgrade'))).status, 200);
  client.destroy();
});

test('fields that Connection names end here, but never those that an origin decides by', async () => {
  const named = 'close, X-A, Authorization, Cookie, Host, X-Forwarded-For, X-Forwarded-Host, Cache-Control';
  const lines = [
    'X-A: 1',
    'X-B: 1',
    'Authorization: a',
    'Cookie: b',
    'Cache-Control: no-cache',
    'Keep-Alive: 5',
    'TE: gzip',
  ];
  const { client } = await ask(request('GET', '/named', `Connection: ${named}`, ...lines));
  await client.closed();
  const { fields } = origin.received.at(-1) ?? assert.fail();
  const got = ['x-a', 'x-b', 'authorization', 'cookie', 'host', 'x-forwarded-for', 'keep-alive', 'te'];
  assert.deepEqual(
    got.map((name) => combinedField(fields, name)),
    [undefined, '1', 'a', 'b', 'demo.example', '127.0.0.1', undefined, undefined],
  );
});

test('what claims to speak for the client is written afresh, and "_" does not pass for "-"', async () => {
  const lies = [
    'X-Forwarded-For: 6.6.6.6',
    'X-Forwarded-Host: evil',
    'X-Forwarded-Proto: https',
    'Forwarded: for=6.6.6.6',
  ];
  const refused = edge.refused.length;
  const more = [
    'X_Forwarded_For: 6.6.6.6',
    'Content_Length: 9',
    'X-Real-IP: 6.6.6.6',
    'X-Original-URL: /admin',
    'X-Host: evil',
  ];
  const { client } = await ask(request('GET', '/lies', ...lies, ...more));
  client.destroy();
  const { fields } = origin.received.at(-1) ?? assert.fail();
  assert.deepEqual(
    fields.filter((text) => /evil|6\.6\.6\.6|admin|_/.test(text)),
    [],
  );
  assert.equal(field(fields, 'x-forwarded-host'), 'demo.example');
  assert.equal(countField(fields, 'x-forwarded-for'), 1);
  assert.equal(edge.refused.length - refused, 2);
});

test('what an origin says about itself does not reach a client', async () => {
  const { response, client } = await ask(request('GET', '/internals'));
  client.destroy();
  for (const name of ['server', 'x-powered-by', 'x-hop', 'via']) assert.equal(field(response.fields, name), undefined);
  assert.doesNotMatch(response.fields.join('\n'), /secret|127\.0\.0\.1/);
});

test('a GET with a body, or with another method in a field, is neither answered from the cache nor stored', async () => {
  const requests = [
    `${request('GET', '/cached/body', 'Content-Length: 5')}hello`,
    `${request('GET', '/cached/body', 'Transfer-Encoding: chunked')}5\r\nhello\r\n0\r\n\r\n`,
    request('GET', '/cached/body', 'X-HTTP-Method-Override: DELETE'),
  ];
  for (const text of [...requests, ...requests]) {
    const { response, client } = await ask(text);
    client.destroy();
    assert.match(field(response.fields, 'cache-status') ?? '', /fwd=bypass/);
    assert.doesNotMatch(field(response.fields, 'cache-status') ?? '', /stored/);
  }
});

test('the origin’s fields decide on storing, never the extension', async () => {
  for (const path of ['/account/x.css', '/login/x.js']) {
    for (let i = 0; i < 2; i += 1) {
      const { response, client } = await ask(request('GET', path));
      client.destroy();
      assert.match(field(response.fields, 'cache-status') ?? '', /fwd=uri-miss.*detail=(private|set-cookie)/);
    }
  }
});

test('a field that Connection takes away on the way to the origin poisons no variant', async () => {
  const poison = await ask(request('GET', '/vary', 'X-Lang: fr', 'Connection: X-Lang'));
  poison.client.destroy();
  assert.equal(poison.response.body, 'lang=none');
  const victim = await ask(request('GET', '/vary', 'X-Lang: fr'));
  victim.client.destroy();
  assert.equal(victim.response.body, 'lang=fr');
});

test('the key has host and port: no other host’s answer is served', async () => {
  await (await ask(request('GET', '/cached/key'))).client.destroy();
  const { response, client } = await ask(request('GET', '/cached/key', 'Host: demo.example:8080'));
  client.destroy();
  assert.match(field(response.fields, 'cache-status') ?? '', /fwd=uri-miss/);
});
