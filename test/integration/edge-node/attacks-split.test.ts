// Requests that are refused, and their like that are not, over sockets: cut in two at every octet, and octet by octet, they come to
// the same end as in one piece, and the same reaches the origin.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { field } from '../../../edge-node/decide/fields.ts';
import { startEdge, startOrigin } from '../../support/edge.ts';
import { RawClient, request } from '../../support/raw-client.ts';

const origin = await startOrigin((req, res) => {
  let text = '';
  req.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  req.on('end', () => res.end(`${req.method} ${req.url} ${text}`));
});
const edge = await startEdge({ london: origin.address });

const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: demo.example\r\n\r\n';
const chunked = (body: string, line = 'Transfer-Encoding: chunked') => request('POST', '/c', line) + body;

const CASES: Readonly<Record<string, string>> = {
  'what is in order': `${request('POST', '/a', 'Content-Length: 5')}hello`,
  'chunks in order': chunked('5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n'),
  'CL.TE': chunked(`0\r\n\r\n${SMUGGLED}`, 'Content-Length: 49\r\nTransfer-Encoding: chunked'),
  'two lengths': `${request('POST', '/b', 'Content-Length: 0', 'Content-Length: 47')}${SMUGGLED}`,
  'a length with a sign': `${request('POST', '/b', 'Content-Length: +5')}hello`,
  'a coding that is not exactly chunked': chunked('0\r\n\r\n', 'Transfer-Encoding: xchunked'),
  'a coding behind a tab': chunked('0\r\n\r\n', 'Transfer-Encoding:\tchunked\t'),
  'a coding in HTTP/1.0': 'POST /b HTTP/1.0\r\nHost: demo.example\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  'a bare LF': 'GET / HTTP/1.1\nHost: demo.example\n\n',
  'a bare CR': request('GET', '/', 'X: a\rContent-Length: 5'),
  'a space before the colon': request('GET', '/', 'Content-Length : 5'),
  'a folded line': request('GET', '/', 'X: a\r\n b'),
  'a NUL': request('GET', '/', 'X: a\0b'),
  'a chunk extension': chunked('5;a=b\r\nhello\r\n0\r\n\r\n'),
  'a chunk without its end': chunked('5\r\nhelloX\r\n0\r\n\r\n'),
  'a size of a chunk that is too large': chunked('fffffffff\r\n'),
  'a trailer that routes': chunked('0\r\nHost: evil.example\r\n\r\n'),
  'two Hosts': 'GET / HTTP/1.1\r\nHost: demo.example\r\nHost: evil.example\r\n\r\n',
  'no Host': 'GET / HTTP/1.1\r\n\r\n',
  'a path with two forms': request('GET', '/a%2fb'),
  'a tunnel': 'CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n',
};

/** The answer to `pieces`, each sent when what came before has been taken; and whether the connection ends. */
async function answerTo(...pieces: readonly string[]): Promise<string> {
  const client = await RawClient.connect(edge.port);
  for (const piece of pieces) {
    client.send(piece);
    await setImmediate();
  }
  const { status, fields, body } = await client.response();
  const ends = field(fields, 'connection') === 'close';
  if (ends) await client.closed();
  client.destroy();
  return `${status} ${ends ? 'closed' : 'kept'} ${body}`;
}

for (const [name, text] of Object.entries(CASES)) {
  test(`wherever it is cut: ${name}`, async () => {
    const whole = await answerTo(text);
    if (!name.includes('in order')) assert.match(whole, /^(?:4\d\d|501) /);
    // Where the head ends, an answer may come before the rest is sent.
    const cuts = Array.from({ length: text.length - 1 }, (_, i) => [text.slice(0, i + 1), text.slice(i + 1)]);
    const ends = await Promise.all([...cuts, [...text]].map((pieces) => answerTo(...pieces)));
    for (const [index, end] of ends.entries()) assert.equal(end, whole, `cut at ${index + 1}`);
  });
}

test('what was smuggled has never reached the origin', () => {
  assert.deepEqual(
    origin.received.filter(({ target }) => target === '/smuggled' || target.includes('evil')),
    [],
  );
});
