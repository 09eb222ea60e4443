// What an origin is asked, as it is written.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type RequestLines, requestText } from '../../../../edge-node/decide/http1/request-head.ts';

const PLAIN: RequestLines = {
  method: 'GET',
  target: '/',
  fields: ['host', 'a.example'],
  body: 'none',
  expectsContinue: false,
  trailers: false,
  upgrade: undefined,
};

function text(request: Partial<RequestLines>): string {
  const made = requestText({ ...PLAIN, ...request });
  return made.kind === 'text' ? made.text : made.kind;
}

/** The lines behind the request line and Host. */
function lines(request: Partial<RequestLines>): string[] {
  return text(request).split('\r\n').slice(2, -2);
}

test('a request line, the fields as they are, an empty line', () => {
  const fields = ['host', 'a.example', 'x-a', '\xe9', 'x-a', ''];
  assert.equal(text({ target: '/a?b', fields }), 'GET /a?b HTTP/1.1\r\nhost: a.example\r\nx-a: \xe9\r\nx-a: \r\n\r\n');
});

test('the body is framed afresh, by its length or in chunks; methods that mean one say that there is none', () => {
  const fields = ['host', 'a.example', 'content-length', '9', 'transfer-encoding', 'gzip'];
  assert.deepEqual(lines({ fields }), []);
  assert.deepEqual(lines({ method: 'POST', fields, body: 5 }), ['content-length: 5']);
  assert.deepEqual(lines({ method: 'POST', fields, body: 'chunked' }), ['transfer-encoding: chunked']);
  for (const method of ['POST', 'PUT', 'PATCH']) assert.deepEqual(lines({ method }), ['content-length: 0'], method);
  for (const method of ['GET', 'HEAD', 'DELETE', 'OPTIONS']) assert.deepEqual(lines({ method }), [], method);
});

test('what speaks of the connection is this edge’s own word', () => {
  const theirs = ['connection', 'keep-alive', 'te', 'upgrade', 'expect'].flatMap((name) => [name, 'x']);
  const fields = [...PLAIN.fields, ...theirs];
  assert.deepEqual(lines({ fields }), []);
  assert.deepEqual(lines({ fields, trailers: true }), ['te: trailers', 'connection: te']);
  assert.deepEqual(lines({ fields, upgrade: 'websocket' }), ['connection: upgrade', 'upgrade: websocket']);
  assert.deepEqual(lines({ fields, expectsContinue: true, body: 5 }), ['expect: 100-continue', 'content-length: 5']);
});

test('nothing that could end a line, or stand for more than an octet, is sent', () => {
  for (const target of ['', 'a', '/a b', '/a\r\nx: y', '/a\0', '/\u0100', '/\xe9', '/a#b', 'http://a/']) {
    assert.equal(text({ target }), 'malformed', JSON.stringify(target));
  }
  for (const method of ['', 'GET /', 'GET\r\n']) assert.equal(text({ method }), 'malformed', JSON.stringify(method));
  for (const value of ['a\r\nb: c', 'a\nb', 'a\0', '\x7f', '\u0100']) {
    assert.equal(text({ fields: ['host', 'a', 'x', value] }), 'malformed', JSON.stringify(value));
  }
  for (const name of ['', 'a b', 'a:', 'a\r\n', '\xe9']) {
    assert.equal(text({ fields: ['host', 'a', name, 'x'] }), 'malformed', JSON.stringify(name));
  }
});

test('what was written before for a list of fields is not what another gets', () => {
  const list = (value: string) => Object.freeze(['host', 'a.example', 'x-a', value]);
  const [one, other] = [list('1'), list('2')];
  for (let i = 0; i < 3; i += 1) {
    assert.deepEqual(lines({ fields: one }), ['x-a: 1']);
    assert.deepEqual(lines({ fields: other }), ['x-a: 2']);
  }
  const changing = ['host', 'a.example', 'x-a', '1'];
  assert.deepEqual(lines({ fields: changing }), ['x-a: 1']);
  changing[3] = '2';
  assert.deepEqual(lines({ fields: changing }), ['x-a: 2']);
});
