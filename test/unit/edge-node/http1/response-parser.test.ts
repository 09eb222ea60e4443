// Heads of answers: what they mean, and which are refused because they could mean two things. Each is read whole, cut at every
// octet, octet by octet, repeated and elsewhere in the window, and the outcome must be the same.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type ParsedResponse,
  type ResponseOutcome,
  ResponseParser,
  ResponseParserShared,
} from '../../../../edge-node/decide/http1/response-parser.ts';
import { SectionMemo } from '../../../../edge-node/decide/http1/section-memo.ts';

const LIMITS = { headBytes: 1024, fieldCount: 12 };

function parseEveryWay(text: string, toHead = false): ResponseOutcome {
  const octets = Buffer.from(text, 'latin1');
  const { length } = octets;
  const shared = new ResponseParserShared(LIMITS, new SectionMemo(4));
  const whole = new ResponseParser(shared).parse(octets, 0, length, toHead);
  for (let cut = 1; cut < length; cut += 1) {
    const parser = new ResponseParser(shared);
    const early = parser.parse(octets.subarray(0, cut), 0, cut, toHead);
    if (early.kind !== 'incomplete') assert.deepEqual(early, whole, `decided otherwise after ${cut} octets`);
    else assert.deepEqual(parser.parse(octets, 0, length, toHead), whole, `cut at ${cut}`);
  }
  const drip = new ResponseParser(shared);
  let dripped: ResponseOutcome = { kind: 'incomplete' };
  for (let end = 1; end <= length && dripped.kind === 'incomplete'; end += 1) {
    dripped = drip.parse(octets, 0, end, toHead);
  }
  assert.deepEqual(dripped, whole, 'octet by octet');
  const repeating = new ResponseParser(shared);
  for (let i = 0; i < 3; i += 1) assert.deepEqual(repeating.parse(octets, 0, length, toHead), whole, `time ${i}`);
  const moved = new ResponseParser(shared).parse(Buffer.concat([Buffer.alloc(5), octets]), 5, 5 + length, toHead);
  assert.deepEqual(moved.kind === 'response' ? { ...moved, end: moved.end - 5 } : moved, whole, 'elsewhere');
  return whole;
}

function accept(text: string, toHead = false): ParsedResponse {
  const outcome = parseEveryWay(text, toHead);
  assert.equal(outcome.kind, 'response', `${outcome.kind === 'refused' ? outcome.reason : outcome.kind}: ${text}`);
  return outcome as ParsedResponse;
}

function refuse(text: string, toHead = false): string {
  const outcome = parseEveryWay(text, toHead);
  return outcome.kind === 'refused' ? outcome.reason : outcome.kind;
}

/** With `lines` and status 200 unless said otherwise. */
function answer(lines: readonly string[], status = '200 OK', version = 'HTTP/1.1'): string {
  return `${version} ${status}\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`;
}

/** "framing contentLength keepAlive" */
function framing(lines: readonly string[], status?: string, version?: string, toHead?: boolean): string {
  const { framing: kind, contentLength, keepAlive } = accept(answer(lines, status, version), toHead);
  return `${kind} ${contentLength} ${keepAlive}`;
}

test('a head has a status, fields in lower case and an end', () => {
  const text = answer(['Content-Type: text/plain ', 'X-A:\t1', 'x-a: \xe9', 'X_B: 2', 'Content-Length: 5']);
  const head = accept(`${text}hello`);
  assert.equal(head.status, 200);
  assert.deepEqual(head.fields, [
    ...['content-type', 'text/plain', 'x-a', '1', 'x-a', '\xe9', 'x_b', '2', 'content-length', '5'],
  ]);
  assert.equal(head.end, text.length);
});

test('a reason may be anything or missing', () => {
  for (const line of ['404 Not Found', '404 ', '404', '404 caf\xe9\t!'])
    assert.equal(accept(answer([], line)).status, 404);
});

test('what is no status line is refused', () => {
  assert.equal(refuse('SSH-2.0-OpenSSH_9.6\r\n'), 'status-line-malformed');
  assert.equal(refuse('http/1.1 200 OK\r\n\r\n'), 'status-line-malformed');
  assert.equal(refuse('\r\nHTTP/1.1 200 OK\r\n\r\n'), 'status-line-malformed');
  for (const version of ['HTTP/1.2', 'HTTP/1.9', 'HTTP/1.x']) {
    assert.equal(refuse(answer([], '200 OK', version)), 'version-unsupported', version);
  }
  assert.equal(refuse(answer([], '200 OK', 'HTTP/2.0')), 'status-line-malformed');
  assert.equal(refuse(answer([], '200 OK', 'HTTP/1.10')), 'status-line-malformed');
  for (const status of ['20 OK', '2000 OK', '+20 OK', '2x0 OK', ' 200 OK', '200\tOK', '', '200 a\x01', '200 a\x7f']) {
    assert.equal(refuse(answer([], status)), 'status-line-malformed', status);
  }
  for (const status of ['000 OK', '099 OK', '600 OK', '999 OK']) {
    assert.equal(refuse(answer([], status)), 'status-out-of-range', status);
  }
});

test('lines end in CR LF, and fields are as strict as those of requests', () => {
  assert.equal(refuse('HTTP/1.1 200 OK\nX: a\n\n'), 'line-terminator');
  assert.equal(refuse('HTTP/1.1 200 OK\rX: a\r\r'), 'line-terminator');
  assert.equal(refuse('HTTP/1.1 200 OK\r\nX: a\n\r\n'), 'line-terminator');
  assert.equal(refuse('HTTP/1.1 200 OK\r\nX: a\r\n\n'), 'line-terminator');
  assert.equal(refuse(answer(['X: a', ' b'])), 'field-folded');
  assert.equal(refuse(answer(['X : a'])), 'field-space-before-colon');
  assert.equal(refuse(answer(['X'])), 'field-name-malformed');
  assert.equal(refuse(answer([': a'])), 'field-name-malformed');
  assert.equal(refuse(answer(['X: a\0'])), 'field-value-control');
  assert.equal(refuse(answer(['X: a\rb'])), 'line-terminator');
});

test('too many fields, and too many octets, are refused', () => {
  assert.equal(accept(answer(Array<string>(12).fill('X: a'))).fields.length, 24);
  assert.equal(refuse(answer(Array<string>(13).fill('X: a'))), 'fields-too-many');
  assert.equal(refuse(answer([`X: ${'a'.repeat(1_100)}`])), 'fields-too-large');
});

test('a body has a length, comes in chunks, or ends with the connection', () => {
  assert.equal(framing(['Content-Length: 5']), 'length 5 true');
  assert.equal(framing(['Content-Length: 0']), 'length 0 true');
  assert.equal(framing(['Content-Length: 007']), 'length 7 true');
  assert.equal(framing(['Transfer-Encoding: chunked']), 'chunked 0 true');
  assert.equal(framing(['Transfer-Encoding: Chunked']), 'chunked 0 true');
  assert.equal(framing([]), 'close 0 false');
  assert.equal(framing(['Connection: keep-alive']), 'close 0 false');
});

test('an answer to HEAD, 1xx, 204 and 304 have no body, whatever the head says', () => {
  assert.equal(framing(['Content-Length: 5'], undefined, undefined, true), 'none 0 true');
  assert.equal(framing(['Transfer-Encoding: chunked'], undefined, undefined, true), 'none 0 true');
  assert.equal(framing([], undefined, undefined, true), 'none 0 true');
  assert.equal(framing(['Content-Length: 5'], '304 Not Modified'), 'none 0 true');
  assert.equal(framing(['Transfer-Encoding: chunked'], '304 Not Modified'), 'none 0 true');
  for (const status of ['100 Continue', '103 Early Hints', '204 No Content']) {
    assert.equal(framing([], status), 'none 0 true', status);
    assert.equal(framing(['Content-Length: 0'], status), 'none 0 true', status);
    // A recipient that knows no better would read on.
    assert.equal(refuse(answer(['Content-Length: 5'], status)), 'body-where-none-may-be', status);
    assert.equal(refuse(answer(['Transfer-Encoding: chunked'], status)), 'body-where-none-may-be', status);
  }
});

test('an informational answer announces another, so it is not of HTTP/1.0 and does not close', () => {
  assert.equal(accept(answer([], '103 Early Hints')).status, 103);
  assert.equal(refuse(answer([], '103 Early Hints', 'HTTP/1.0')), 'informational-alone');
  assert.equal(refuse(answer(['Connection: close'], '100 Continue')), 'informational-alone');
});

test('framing that contradicts or repeats itself is refused, for HEAD as well', () => {
  const [length, chunked] = ['Content-Length: 5', 'Transfer-Encoding: chunked'];
  for (const toHead of [false, true]) {
    assert.equal(refuse(answer([length, chunked]), toHead), 'transfer-encoding-and-content-length');
    assert.equal(refuse(answer([chunked, length]), toHead), 'transfer-encoding-and-content-length');
    assert.equal(refuse(answer([length, length]), toHead), 'content-length-repeated');
    assert.equal(refuse(answer([length, 'Content-Length: 6']), toHead), 'content-length-repeated');
    assert.equal(refuse(answer([chunked, chunked]), toHead), 'transfer-encoding-repeated');
  }
});

test('a length that is none, and a coding that is not exactly chunked, are refused', () => {
  for (const value of ['', '+5', '-5', '5, 5', '5 5', '0x5', '5.0', '1e3', '9'.repeat(16)]) {
    assert.equal(refuse(answer([`Content-Length: ${value}`])), 'content-length-malformed', value);
  }
  for (const value of ['', 'gzip', 'gzip, chunked', 'chunked, gzip', 'chunked,', 'identity', '"chunked"', 'xchunked']) {
    assert.equal(refuse(answer([`Transfer-Encoding: ${value}`])), 'transfer-encoding-unknown', value);
  }
  assert.equal(refuse(answer(['Transfer-Encoding: chunked\t'])), 'transfer-encoding-unknown');
});

test('HTTP/1.0 has no chunks, and persists only when it says so', () => {
  assert.equal(refuse(answer(['Transfer-Encoding: chunked'], '200 OK', 'HTTP/1.0')), 'transfer-encoding-in-1.0');
  assert.equal(framing(['Content-Length: 5'], '200 OK', 'HTTP/1.0'), 'length 5 false');
  assert.equal(framing(['Content-Length: 5', 'Connection: Keep-Alive'], '200 OK', 'HTTP/1.0'), 'length 5 true');
  assert.equal(framing([], '200 OK', 'HTTP/1.0'), 'close 0 false');
});

test('Connection: close ends the connection, wherever it stands', () => {
  for (const lines of [
    ['Connection: close'],
    ['Connection: x, Close'],
    ['Connection: keep-alive', 'Connection: close'],
  ]) {
    assert.equal(framing(['Content-Length: 5', ...lines]), 'length 5 false', lines.join());
  }
});

test('how long the origin keeps an idle connection is known where it says so', () => {
  const kept = (value: string) => accept(answer(['Content-Length: 0', `Keep-Alive: ${value}`])).keepAliveMs;
  assert.deepEqual(['timeout=5', 'max=100, Timeout=5', 'timeout="5"'].map(kept), [5_000, 5_000, 5_000]);
  assert.deepEqual(['', 'max=100', 'xtimeout=5', 'timeout=x'].map(kept), [undefined, undefined, undefined, undefined]);
});

test('a protocol to switch to counts only where Connection names it', () => {
  const upgrade = (...lines: string[]) => accept(answer(lines, '101 Switching Protocols')).upgrade;
  assert.equal(upgrade('Upgrade: WebSocket', 'Connection: Upgrade'), 'websocket');
  assert.equal(upgrade('Upgrade: websocket'), undefined);
  assert.equal(upgrade('Upgrade: a', 'Upgrade: b', 'Connection: upgrade'), 'a, b');
});

test('what is remembered of one answer is not taken for another that begins alike', () => {
  const shared = new ResponseParserShared(LIMITS, new SectionMemo(1));
  const parser = new ResponseParser(shared);
  const read = (text: string) => parser.parse(Buffer.from(text), 0, text.length, false);
  const short = answer(['Content-Length: 1']);
  for (let i = 0; i < 3; i += 1) assert.equal(read(short).kind, 'response');
  const long = read(answer(['Content-Length: 10']));
  assert.equal(long.kind === 'response' && long.contentLength, 10);
  assert.equal(read('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n').kind, 'incomplete');
});
