import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DateText, headText, wholeHead } from '../../../../edge-node/decide/http1/response-head.ts';

function text(status: number, fields: readonly string[]): string {
  const head = headText(status, fields);
  return head.kind === 'text' ? head.text : `malformed: ${head.name}`;
}

test('a status line, then the fields in their order', () => {
  assert.equal(text(200, []), 'HTTP/1.1 200 OK\r\n');
  assert.equal(
    text(404, ['content-type', 'text/plain', 'set-cookie', 'a=1', 'set-cookie', 'b=2']),
    'HTTP/1.1 404 Not Found\r\ncontent-type: text/plain\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n',
  );
  assert.equal(text(299, ['x', '']), 'HTTP/1.1 299 \r\nx: \r\n');
});

test('fields that delimit the message or speak of the connection are left to who writes it', () => {
  const fields = [
    'content-length',
    '5',
    'a',
    '1',
    'transfer-encoding',
    'chunked',
    'connection',
    'x',
    'keep-alive',
    '5',
  ];
  assert.equal(text(200, fields), 'HTTP/1.1 200 OK\r\na: 1\r\n');
});

test('a name or a value that could end its line is not written', () => {
  for (const value of ['a\r\nset-cookie: b', 'a\nb', 'a\rb', 'a\x00b', 'a\x7f', '\x0b', 'a\u010ab', 'a\u{1f600}'])
    assert.equal(text(200, ['x-good', '1', 'x-bad', value]), 'malformed: x-bad', JSON.stringify(value));
  for (const name of ['', 'a b', 'a:', 'a\r\n', 'a\u0161', 'a\x00'])
    assert.equal(text(200, [name, '1']), `malformed: ${name}`, JSON.stringify(name));
  assert.equal(text(200, ['x', 'tab\tcaf\xe9\xff']), 'HTTP/1.1 200 OK\r\nx: tab\tcaf\xe9\xff\r\n');
});

test('a head that comes again is octets, equal to its text, whatever was made of it before', () => {
  const fields = Object.freeze(['date', 'now', 'x', 'caf\xe9']);
  const made: string[] = [];
  for (const lines of ['', 'connection: close\r\n', '', 'transfer-encoding: chunked\r\n']) {
    for (const length of [undefined, 0, 5, undefined, 55]) {
      const framing = length === undefined ? '' : `content-length: ${length}\r\n`;
      for (let time = 0; time < 3; time += 1) {
        const head = headText(200, fields);
        assert.ok(head.kind === 'text');
        const whole = wholeHead(head, length, lines);
        made.push(typeof whole === 'string' ? 'text' : 'octets');
        const text = typeof whole === 'string' ? whole : Buffer.from(whole).toString('latin1');
        assert.equal(text, `HTTP/1.1 200 OK\r\ndate: now\r\nx: caf\xe9\r\n${framing}${lines}\r\n`);
      }
    }
  }
  assert.deepEqual(made.slice(0, 6), ['text', 'octets', 'octets', 'text', 'octets', 'octets']);
});

test('a status outside 100..999 is a defect of the caller', () => {
  for (const status of [0, 99, 1000, 200.5, Number.NaN]) assert.throws(() => headText(status, []), RangeError);
});

test('the date changes with the second, not within it, and may go back', () => {
  const date = new DateText();
  const first = date.at(784_111_777_000);
  assert.equal(first, 'Sun, 06 Nov 1994 08:49:37 GMT');
  assert.equal(date.at(784_111_777_999), first);
  assert.equal(date.at(784_111_778_000), 'Sun, 06 Nov 1994 08:49:38 GMT');
  assert.equal(date.at(784_111_776_000), 'Sun, 06 Nov 1994 08:49:36 GMT');
});
