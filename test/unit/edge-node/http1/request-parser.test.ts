import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ParserShared, RequestParser } from '../../../../edge-node/decide/http1/request-parser.ts';
import { accept, LIMITS, parseEveryWay, refuse } from './support.ts';

const GET = 'GET / HTTP/1.1\r\nHost: a.example\r\n';

test('the least request: a request line and Host', () => {
  assert.deepEqual(accept('GET /x?y=1 HTTP/1.1\r\nHost: a.example\r\n\r\n'), {
    kind: 'request',
    method: 'GET',
    target: '/x?y=1',
    version: '1.1',
    fields: ['host', 'a.example'],
    recurring: false,
    scheme: 'http',
    peer: '192.0.2.1',
    sni: undefined,
    hasBody: false,
    dropped: 0,
    framing: 'none',
    contentLength: 0,
    keepAlive: true,
    expectsContinue: false,
    upgrade: undefined,
    end: 40,
  });
});

test('field names come in lower case, values without the blanks around them, order and repetition kept', () => {
  const { fields } = accept(
    'GET / HTTP/1.1\r\nHOST:a.example\r\nX-One: 1 \t\r\ncookie: a=1;  b=2\r\nx-one:\t2\r\nX-Empty:\r\nX-Blank:  \r\n\r\n',
  );
  assert.deepEqual(
    fields,
    ['host', 'a.example', 'x-one', '1', 'cookie', 'a=1;  b=2', 'x-one', '2', 'x-empty', '', 'x-blank', ''].slice(),
  );
});

test('every method that is served, and what it leaves of the window', () => {
  for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
    const head = `${method} / HTTP/1.1\r\nHost: a.example\r\n\r\n`;
    const request = accept(`${head}GET /next`);
    assert.equal(request.method, method);
    assert.equal(request.end, head.length);
  }
});

test('obs-text and tabs may stand in a value, and come out octet for octet', () => {
  const { fields } = accept(`${GET}X-Name: caf\xe9\t\xff\x80\r\n\r\n`);
  assert.equal(fields[3], 'caf\xe9\t\xff\x80');
});

test('a section above 4 KiB gives the same fields as a small one', () => {
  const limits = { ...LIMITS, headBytes: 16_384 };
  const long = 'v'.repeat(5000);
  assert.deepEqual(accept(`${GET}X-Long: ${long}\r\nX-Short: s\r\n\r\n`, limits).fields, [
    'host',
    'a.example',
    'x-long',
    long,
    'x-short',
    's',
  ]);
});

test('one empty line before the request is passed over, a second is not', () => {
  assert.equal(accept(`\r\n${GET}\r\n`).target, '/');
  assert.equal(refuse(`\r\n\r\n${GET}\r\n`), '400 empty-lines');
  assert.equal(refuse(`\n${GET}\r\n`), '400 method-malformed');
  assert.equal(refuse(`\r${GET}\r\n`), '400 line-terminator');
});

test('request lines that are refused', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['GET  / HTTP/1.1', '400 target-malformed'],
    ['GET /  HTTP/1.1', '400 version-malformed'],
    [' GET / HTTP/1.1', '400 method-malformed'],
    ['GET\t/ HTTP/1.1', '400 method-malformed'],
    ['GET / HTTP/1.1 ', '400 version-malformed'],
    ['GET / http/1.1', '400 version-malformed'],
    ['GET / HTTP/11', '400 version-malformed'],
    ['GET / HTTP/1.10', '400 version-malformed'],
    ['GET / HTTPS/1.1', '400 version-malformed'],
    ['GET / HTTP/1,1', '400 version-malformed'],
    ['GET / HTTP/1.2', '505 version-unsupported'],
    ['GET / HTTP/0.9', '505 version-unsupported'],
    ['GET / HTTP/2.0', '505 version-unsupported'],
    ['GET /', '400 target-malformed'],
    ['GET', '400 method-malformed'],
    ['get / HTTP/1.1', '501 method-unknown'],
    ['BREW / HTTP/1.1', '501 method-unknown'],
    ['TRACE / HTTP/1.1', '501 method-unknown'],
    ['PROPFIND / HTTP/1.1', '501 method-unknown'],
    ['CONNECT a.example:443 HTTP/1.1', '501 method-unknown'],
    ['PRI * HTTP/2.0', '501 method-unknown'],
    ['G\x00T / HTTP/1.1', '400 method-malformed'],
    ['GET /a\x00b HTTP/1.1', '400 target-malformed'],
    ['GET /a\x7f HTTP/1.1', '400 target-malformed'],
    ['GET /caf\xe9 HTTP/1.1', '400 target-malformed'],
    ['GET /a#b HTTP/1.1', '400 target-malformed'],
    ['GET /a\tb HTTP/1.1', '400 target-malformed'],
    ['GET /a\rb HTTP/1.1', '400 target-malformed'],
    ['GET / HTTP/1.1\rX: y', '400 line-terminator'],
  ];
  for (const [line, refusal] of cases) assert.equal(refuse(`${line}\r\nHost: a.example\r\n\r\n`), refusal, line);
  assert.equal(refuse('GET / HTTP/1.1\nHost: a.example\r\n\r\n'), '400 line-terminator');
  assert.equal(refuse('\x16\x03\x01\x02\x00\x01\x00'), '400 method-malformed');
});

test('forms of the target: a path, an absolute URL, "*" with OPTIONS alone', () => {
  const line = (target: string, method = 'GET') => `${method} ${target} HTTP/1.1\r\nHost: a.example\r\n\r\n`;
  for (const target of ['/', '//a', '/%zz', '/a?b?c', 'http://b.example/x', 'HTTP://b.example', 'https://[::1]:8443?q'])
    assert.equal(accept(line(target)).target, target);
  assert.equal(accept(line('*', 'OPTIONS')).target, '*');
  for (const target of [
    '*',
    'a.example:443',
    'a/b',
    '?a',
    'ftp://b.example/',
    'http:/b.example',
    'http:///x',
    'http://',
  ])
    assert.equal(refuse(line(target)), '400 target-form', target);
  for (const target of [
    'http://user@b.example/',
    'http://b.example:80:80/',
    'http://b,c.example/',
    'http://b.example:a/',
  ])
    assert.equal(refuse(line(target)), '400 target-form', target);
});

test('line ends are CR LF, and neither stands alone', () => {
  for (const field of ['X: a\nY: b', 'X: a\rY: b', 'X: a\r\rY: b', 'X: a\n\r\nY: b', 'X\r: a', 'X\n: a', 'X: a\r'])
    assert.match(
      refuse(`${GET}${field}\r\n\r\n`),
      /^400 (?:line-terminator|field-name-malformed)$/,
      JSON.stringify(field),
    );
  assert.equal(refuse(`${GET}\n`), '400 line-terminator');
  assert.equal(refuse(`${GET}\rX`), '400 line-terminator');
});

test('field lines that are refused', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['X-A : b', '400 field-space-before-colon'],
    ['X-A\t: b', '400 field-space-before-colon'],
    ['Transfer-Encoding : chunked', '400 field-space-before-colon'],
    [' folded', '400 field-folded'],
    ['\tfolded', '400 field-folded'],
    [': b', '400 field-name-malformed'],
    ['no colon', '400 field-space-before-colon'],
    ['no-colon', '400 field-name-malformed'],
    ['X-\xe9: b', '400 field-name-malformed'],
    ['X\x00: b', '400 field-name-malformed'],
    ['X(: b', '400 field-name-malformed'],
    ['X: a\x00b', '400 field-value-control'],
    ['X: a\x0bb', '400 field-value-control'],
    ['X: a\x1bb', '400 field-value-control'],
    ['X: a\x7fb', '400 field-value-control'],
    ['X: \x0c', '400 field-value-control'],
  ];
  for (const [field, refusal] of cases) {
    assert.equal(refuse(`${GET}${field}\r\n\r\n`), refusal, JSON.stringify(field));
    assert.equal(refuse(`${GET}X-Before: 1\r\n${field}\r\nX-After: 2\r\n\r\n`), refusal, JSON.stringify(field));
  }
});

test('a field with "_" in its name is left out and counted, whatever it would have meant', () => {
  const request = accept(`${GET}Content_Length: 5\r\ntransfer_encoding: chunked\r\nX-A: 1\r\n_: x\r\n\r\n`);
  assert.deepEqual(request.fields, ['host', 'a.example', 'x-a', '1']);
  assert.equal(request.dropped, 3);
  assert.equal(request.framing, 'none');
});

test('Host: one, well formed, except that HTTP/1.0 may do without', () => {
  assert.equal(refuse('GET / HTTP/1.1\r\n\r\n'), '400 host-missing');
  assert.equal(refuse('GET http://a.example/ HTTP/1.1\r\n\r\n'), '400 host-missing');
  assert.equal(accept('GET / HTTP/1.0\r\n\r\n').version, '1.0');
  assert.equal(refuse(`${GET}Host: a.example\r\n\r\n`), '400 host-repeated');
  assert.equal(refuse(`${GET}hOST: b.example\r\n\r\n`), '400 host-repeated');
  for (const host of [
    '',
    'a b',
    'a,b',
    'a/b',
    'user@a',
    'a:b',
    'a:80:80',
    '[::1',
    'a?b',
    'a#b',
    'caf\xe9',
    'a:123456',
    ':80',
  ])
    assert.equal(refuse(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`), '400 host-malformed', host);
  for (const host of ['a', 'A.Example:8080', '127.0.0.1', '[2001:db8::1]:443', 'a_b.example', 'a.example.', 'a:'])
    assert.equal(accept(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`).fields[1], host);
});

test('the body is framed by Content-Length or by chunks', () => {
  assert.deepEqual(framing('Content-Length: 0'), ['length', 0]);
  assert.deepEqual(framing('Content-Length: 42'), ['length', 42]);
  assert.deepEqual(framing('Content-Length: 007'), ['length', 7]);
  assert.deepEqual(framing('Content-Length: 999999999999999'), ['length', 999_999_999_999_999]);
  assert.deepEqual(framing('Transfer-Encoding: chunked'), ['chunked', 0]);
  assert.deepEqual(framing('TRANSFER-ENCODING:chunked'), ['chunked', 0]);
});

function framing(field: string): unknown[] {
  const request = accept(`POST / HTTP/1.1\r\nHost: a.example\r\n${field}\r\n\r\n`);
  return [request.framing, request.contentLength];
}

test('framing that could be read in two ways is refused', () => {
  for (const value of [
    '',
    '-1',
    '+5',
    '0x5',
    '5,5',
    '5, 5',
    '5 5',
    '1e3',
    '5.0',
    '٥',
    'five',
    '1000000000000000',
    '"5"',
  ])
    assert.equal(refuse(post(`Content-Length: ${value}`)), '400 content-length-malformed', value);
  assert.equal(refuse(post('Content-Length: 5', 'Content-Length: 5')), '400 content-length-repeated');
  assert.equal(refuse(post('Content-Length: 5', 'content-length: 6')), '400 content-length-repeated');
  for (const value of [
    '',
    'identity',
    'gzip, chunked',
    'chunked, chunked',
    'chunked,',
    ',chunked',
    'chunked;q=1',
    'xchunked',
  ])
    assert.equal(refuse(post(`Transfer-Encoding: ${value}`)), '400 transfer-encoding-unknown', value);
  for (const value of ['cHuNkEd', 'Chunked', '"chunked"', 'chunked identity', 'gzip', "chunked'", '\xa0chunked'])
    assert.equal(refuse(post(`Transfer-Encoding: ${value}`)), '400 transfer-encoding-unknown', value);
  assert.equal(refuse(post('Transfer-Encoding: chunked\t')), '400 transfer-encoding-unknown');
  assert.equal(refuse(post('Transfer-Encoding: \x0bchunked')), '400 field-value-control');
  assert.equal(
    refuse(post('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked')),
    '400 transfer-encoding-repeated',
  );
  assert.equal(refuse(post('Transfer-Encoding: chunked', 'Transfer-Encoding: x')), '400 transfer-encoding-repeated');
  const both = ['Transfer-Encoding: chunked', 'Content-Length: 5'];
  assert.equal(refuse(post(...both)), '400 transfer-encoding-and-content-length');
  assert.equal(refuse(post(...both.toReversed())), '400 transfer-encoding-and-content-length');
  assert.equal(refuse('POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n'), '400 transfer-encoding-in-1.0');
});

function post(...fields: readonly string[]): string {
  return `POST / HTTP/1.1\r\nHost: a.example\r\n${fields.join('\r\n')}\r\n\r\n`;
}

test('persistence: HTTP/1.1 unless closed, HTTP/1.0 only when asked', () => {
  const keeps = (minor: number, ...fields: readonly string[]) =>
    accept(`GET / HTTP/1.${minor}\r\nHost: a\r\n${fields.map((field) => `${field}\r\n`).join('')}\r\n`).keepAlive;
  assert.equal(keeps(1), true);
  assert.equal(keeps(1, 'Connection: close'), false);
  assert.equal(keeps(1, 'Connection: x-hop, CLOSE'), false);
  assert.equal(keeps(1, 'Connection: keep-alive', 'Connection: close'), false);
  assert.equal(keeps(1, 'Connection: closed'), true);
  assert.equal(keeps(0), false);
  assert.equal(keeps(0, 'Connection: Keep-Alive'), true);
  assert.equal(keeps(0, 'Connection: keep-alive, close'), false);
});

test('Expect: 100-continue counts when a body is to come; nothing else can be expected', () => {
  const expects = (...fields: readonly string[]) => accept(post(...fields)).expectsContinue;
  assert.equal(expects('Expect: 100-continue', 'Content-Length: 5'), true);
  assert.equal(expects('Expect: 100-Continue', 'Transfer-Encoding: chunked'), true);
  assert.equal(expects('Expect: 100-continue'), false);
  assert.equal(expects('Expect: 100-continue', 'Content-Length: 0'), false);
  assert.equal(refuse(post('Expect: cookies')), '417 expectation-unknown');
  assert.equal(refuse(post('Expect: 100-continue', 'Expect: 100-continue')), '417 expectation-unknown');
  const old = accept('POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n');
  assert.equal(old.expectsContinue, false);
});

test('Upgrade counts where Connection names it, in HTTP/1.1', () => {
  const upgrade = (...fields: readonly string[]) => accept(post(...fields)).upgrade;
  assert.equal(upgrade('Connection: keep-alive, Upgrade', 'Upgrade: websocket'), 'websocket');
  assert.equal(upgrade('Upgrade: websocket'), undefined);
  assert.equal(upgrade('Connection: upgrade'), undefined);
  assert.equal(accept('GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n').upgrade, undefined);
});

test('sizes are bounded: target 414, number and size of the fields 431', () => {
  const target = (length: number) => `GET /${'a'.repeat(length - 1)} HTTP/1.1\r\nHost: a\r\n\r\n`;
  assert.equal(accept(target(LIMITS.targetBytes)).target.length, LIMITS.targetBytes);
  assert.equal(refuse(target(LIMITS.targetBytes + 1)), '414 target-too-long');
  assert.equal(refuse(`GET /${'a'.repeat(3000)}`), '414 target-too-long');

  const many = (count: number) => `${GET}${'X: 1\r\n'.repeat(count - 1)}\r\n`;
  assert.equal(accept(many(LIMITS.fieldCount)).fields.length, LIMITS.fieldCount * 2);
  assert.equal(refuse(many(LIMITS.fieldCount + 1)), '431 fields-too-many');
  assert.equal(refuse(`${GET}${'X_: 1\r\n'.repeat(LIMITS.fieldCount)}\r\n`), '431 fields-too-many');

  const sized = (size: number) => `${GET}X: ${'v'.repeat(size - GET.length - 7)}\r\n\r\n`;
  assert.equal(accept(sized(LIMITS.headBytes)).end, LIMITS.headBytes);
  assert.equal(refuse(sized(LIMITS.headBytes + 1)), '431 fields-too-large');
  assert.equal(refuse(`${GET}X: ${'v'.repeat(3000)}`), '431 fields-too-large');
  // What is beyond the limit is not looked at, so it does not matter how much of it has arrived.
  assert.equal(refuse(`${GET}X: ${'v'.repeat(3000)}\x00`), '431 fields-too-large');
});

test('what is not there yet is incomplete', () => {
  for (const text of [
    'G',
    'GET /',
    'GET / HTTP/1',
    'GET / HTTP/1.1\r',
    GET,
    `${GET}\r`,
    `${GET}X`,
    `${GET}X: y\r`,
    '\r',
    '\r\n',
  ])
    assert.equal(parseEveryWay(text).kind, 'incomplete', JSON.stringify(text));
});

test('a repeated section gives the very same list, and one that differs in one octet its own', () => {
  const shared = new ParserShared(LIMITS);
  const parser = new RequestParser(shared, 'http', '192.0.2.1');
  const read = (text: string, from = parser) => {
    const octets = Buffer.from(text, 'latin1');
    const outcome = from.parse(octets, 0, octets.length);
    return outcome.kind === 'request' ? outcome.fields : [];
  };
  const section = (value: string) => `GET / HTTP/1.1\r\nHost: a\r\nX: ${'pad '.repeat(60)}\r\nY: ${value}\r\n\r\n`;
  read(section('1'));
  const second = read(section('1'));
  assert.equal(read(section('1')), second);
  assert.equal(read(section('1').replace('GET /', 'GET /other')), second);
  assert.equal(
    read(section('1'), new RequestParser(shared, 'http', '192.0.2.1')),
    read(section('1'), new RequestParser(shared, 'http', '192.0.2.1')),
  );
  assert.deepEqual(read(section('2')).at(-1), '2');
  assert.deepEqual(read(section('1')).at(-1), '1');
  assert.deepEqual(read(section('1').replace('Y: 1\r\n', 'Y: 1\r\nZ: 3\r\n')).at(-1), '3');
  assert.throws(() => (second as string[]).push('x', 'y'), TypeError);
});

test('a request says whether its fields are the list of others, which never depends on the request line', () => {
  const parser = new RequestParser(new ParserShared(LIMITS), 'http', '192.0.2.1');
  const recurring = (line: string, value: string) => {
    const octets = Buffer.from(`${line}\r\nHost: a\r\nX: ${value}\r\n\r\n`);
    const outcome = parser.parse(octets, 0, octets.length);
    return outcome.kind === 'request' && outcome.recurring;
  };
  const outcomes = ['1', '1', '1', '2', '1', '2', '2', '2'].map((x, i) => recurring(`GET /${i} HTTP/1.1`, x));
  assert.deepEqual(outcomes, [false, false, true, false, true, false, false, true]);
});

test('a remembered section does not lend its outcome to another version', () => {
  const parser = new RequestParser(new ParserShared(LIMITS), 'http', '192.0.2.1');
  const section = 'Transfer-Encoding: chunked\r\nHost: a\r\n\r\n';
  const outcome = (line: string) => {
    const octets = Buffer.from(`${line}\r\n${section}`);
    return parser.parse(octets, 0, octets.length).kind;
  };
  for (let i = 0; i < 3; i += 1) {
    assert.equal(outcome('POST / HTTP/1.1'), 'request');
    assert.equal(outcome('POST / HTTP/1.0'), 'refused');
  }
});

test('a remembered section counts against the size of the whole head', () => {
  const parser = new RequestParser(new ParserShared(LIMITS), 'http', '192.0.2.1');
  const outcome = (target: string) => {
    const octets = Buffer.from(`GET /${target} HTTP/1.1\r\nHost: a\r\nX: ${'v'.repeat(1900)}\r\n\r\n`);
    const result = parser.parse(octets, 0, octets.length);
    return result.kind === 'refused' ? result.status : result.kind;
  };
  for (let i = 0; i < 3; i += 1) {
    assert.equal(outcome('a'), 'request');
    assert.equal(outcome('a'.repeat(200)), 431);
  }
});
